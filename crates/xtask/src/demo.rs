//! `cargo xtask demo`: the whole chain on the real MNIST, and where to look afterwards.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;
use crate::stopwatch::Stopwatch;
use crate::workspace::Workspace;

const CONFIG: &str = "examples/mnist/trainyard.toml";
const OUT: &str = "trainyard-out";

/// The stages in the order the data flows, each with the folder it fills.
const STAGES: [(&str, &str); 4] = [
    ("train", "model"),
    ("evaluate", "evaluation"),
    ("gate", "verdict"),
    ("publish-image", "image"),
];

/// Builds the binaries and runs the four stages on the example; stops at the first red one with its exit code.
pub(crate) fn run(workspace: &Workspace) -> Result<ExitCode> {
    let mut stopwatch = Stopwatch::default();
    let binaries = stopwatch.time("build", || workspace.build_binaries())?;
    let out = workspace.root.join(OUT);
    remove_earlier_results(&out)?;

    for (stage, _) in STAGES {
        let mut command = Command::new(binaries.join(format!("trainyard-{stage}")));
        command
            .args(["--config", CONFIG, "--out", OUT])
            .current_dir(&workspace.root);
        eprintln!();
        let status = stopwatch.time(stage, || process::status(&mut command))?;
        if !status.success() {
            eprintln!(
                "\nThe demo stopped: `trainyard-{stage}` ended red ({status}); its own message is above."
            );
            return Ok(exit_code(status));
        }
    }

    println!("\n{}", closing_words(workspace, &out)?);
    println!("\nTimes\n{stopwatch}");
    Ok(ExitCode::SUCCESS)
}

/// The demo shows every stage at work, so nothing of an earlier run may be found done.
fn remove_earlier_results(out: &Path) -> Result<()> {
    let folders = STAGES
        .iter()
        .map(|(_, folder)| *folder)
        .chain(["checkpoint"]);
    for folder in folders.map(|folder| out.join(folder)) {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing `{}`", folder.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The verdict, the headline metrics and the files worth opening.
fn closing_words(workspace: &Workspace, out: &Path) -> Result<String> {
    let verdict = read_json(&out.join("verdict/verdict.json"))?;
    let verdict = verdict
        .get("verdict")
        .and_then(Value::as_str)
        .unwrap_or("unknown");
    let metrics = read_json(&out.join("evaluation/metrics.json"))?;
    let publication = read_json(&out.join("image/publication.json"))?;

    let mut lines = vec![format!("Verdict: {verdict}")];
    lines.extend(headline_metrics(&metrics));
    lines.extend([String::new(), "Where to look".to_owned()]);
    for (name, path) in [
        ("report", "evaluation/report.html"),
        ("comment", "verdict/comment.md"),
        ("metrics", "evaluation/metrics.json"),
        ("verdict", "verdict/verdict.json"),
        ("OCI image layout", "image"),
    ] {
        lines.push(format!(
            "  {name:16}  {}",
            workspace.relative(&out.join(path)).display()
        ));
    }
    if let Some(command) = publication.get("run_command").and_then(Value::as_str) {
        lines.push(format!("  {:16}  {command}", "run the image"));
    }
    Ok(lines.join("\n"))
}

/// The overall numbers, one a line: those whose name is not a path into classes or slices.
fn headline_metrics(metrics: &Value) -> Vec<String> {
    let is_headline = |name: &str| !name.contains(['.', '/']);
    let scalars = metrics.as_object().into_iter().flatten();
    let headlines: Vec<(&String, f64)> = scalars
        .filter(|(name, value)| is_headline(name) && value.is_f64())
        .filter_map(|(name, value)| Some((name, value.as_f64()?)))
        .collect();
    let width = headlines.iter().map(|(name, _)| name.len()).max();
    let width = width.unwrap_or(0).max(16);
    headlines
        .into_iter()
        .map(|(name, value)| format!("  {name:width$}  {value:.4}"))
        .collect()
}

fn read_json(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("reading `{}`", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("reading `{}`", path.display()))
}

/// The stage's own exit code; 128 + n when signal n ended it, as a shell says it.
fn exit_code(status: ExitStatus) -> ExitCode {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal: Option<i32> = None;
    let code = status.code().or(signal.map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headlines_leave_out_classes_and_counts() {
        let metrics = serde_json::json!({
            "accuracy": 0.9912,
            "loss": 0.031_24,
            "n_rows": 10_000,
            "precision.class_3": 0.5,
            "slices": {"a": 0.1},
        });
        assert_eq!(
            headline_metrics(&metrics),
            ["  accuracy          0.9912", "  loss              0.0312"]
        );
    }
}
