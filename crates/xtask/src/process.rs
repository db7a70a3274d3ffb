//! Running other programs: announced, with errors that name the command.

use std::io::{BufRead, BufReader, IsTerminal};
use std::iter;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Runs `command` with this process's own input and output, and fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("`{}` failed ({status})", display(command));
    }
    Ok(())
}

/// Runs `command` with this process's own input and output, and returns how it ended.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    announce(command);
    command
        .status()
        .with_context(|| format!("starting `{}`", display(command)))
}

/// Runs `command` until it succeeds, at most `attempts` times, waiting a little longer after each failure.
/// For downloads: a registry that times out once mostly answers the next time.
pub(crate) fn run_with_retries(command: &mut Command, attempts: u32) -> Result<()> {
    for attempt in 1..attempts {
        match run(command) {
            Ok(()) => return Ok(()),
            Err(error) => eprintln!(
                "{error:#}; trying again ({attempt} of {} retries)",
                attempts - 1
            ),
        }
        thread::sleep(Duration::from_secs(u64::from(attempt) * 5));
    }
    run(command)
}

/// Runs `command` unannounced and returns its standard output.
pub(crate) fn stdout(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("starting `{}`", display(command)))?;
    if !output.status.success() {
        bail!("`{}` failed ({})", display(command), output.status);
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("reading the output of `{}`", display(command)))
}

/// Whether `command` runs and succeeds, with its output thrown away.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// Runs `command`, passing its standard error on line by line, and returns how it ended with those lines.
pub(crate) fn tee_stderr(command: &mut Command) -> Result<(ExitStatus, Vec<String>)> {
    announce(command);
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting `{}`", display(command)))?;
    let mut lines = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n') {
            let line = line.with_context(|| format!("reading from `{}`", display(command)))?;
            let line = String::from_utf8_lossy(&line).into_owned();
            eprintln!("{line}");
            lines.push(line);
        }
    }
    let status = child
        .wait()
        .with_context(|| format!("waiting for `{}`", display(command)))?;
    Ok((status, lines))
}

/// The command as one would type it in the folder that it runs in, without its environment. A program below that folder is on no search
/// path, so it is named by its own.
fn display(command: &Command) -> String {
    let path = Path::new(command.get_program());
    let own = command.get_current_dir();
    let program = match own.and_then(|folder| path.strip_prefix(folder).ok()) {
        Some(own) => own.as_os_str(),
        None => path.file_name().unwrap_or(path.as_os_str()),
    };
    let words = iter::once(program).chain(command.get_args());
    words
        .map(|word| quoted(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// `word` as a shell takes it for one word.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-+=:,./@%".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn announce(command: &Command) {
    let (bold, plain) = if std::io::stderr().is_terminal() {
        ("\x1b[1m", "\x1b[0m")
    } else {
        ("", "")
    };
    eprintln!("{bold}$ {}{plain}", display(command));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_displayed_command_can_be_typed() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["nextest", "-E", "package(xtask)", "--", "it's", ""]);
        assert_eq!(
            display(&command),
            r"cargo nextest -E 'package(xtask)' -- 'it'\''s' ''"
        );
        let mut command = Command::new("/repository/target/release/trainyard-gate");
        command.current_dir("/repository").arg("--explain");
        assert_eq!(display(&command), "target/release/trainyard-gate --explain");
    }
}
