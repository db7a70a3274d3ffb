use serde_json::Value;

use std::sync::{Arc, Mutex};

use super::*;

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Memory {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// What the calls in `log` leave on standard error and, if there is one, in the file.
fn capture(
    variables: &[(&str, &str)],
    level: LogLevel,
    format: LogFormat,
    has_file: bool,
    log: impl FnOnce(),
) -> (String, String) {
    let (stderr, file) = (Memory::default(), Memory::default());
    let sinks = Sinks {
        is_coloured: false,
        stderr: Sink::new(Box::new(stderr.clone())),
        file: has_file.then(|| Sink::new(Box::new(file.clone()))),
    };
    let environment = variables.iter().copied().collect();
    let subscriber = subscriber("train", &environment, level, format, sinks);
    tracing::subscriber::with_default(subscriber, log);
    (stderr.text(), file.text())
}

fn log_an_epoch() {
    tracing::info!(epoch = 3, loss = 0.25, is_best = true, file = %"a b", "epoch done with s3cr3t-value");
}

#[test]
fn text_is_redacted_and_has_no_time_where_the_runner_adds_one() {
    let variables = [("GITHUB_ACTIONS", "true"), ("API_TOKEN", "s3cr3t-value")];
    let (stderr, _) = capture(&variables, LogLevel::Info, LogFormat::Text, false, || {
        log_an_epoch();
        tracing::debug!("not shown");
        tracing::warn!("first\n::error::not a command\n##[group]nor this");
        error("train", "said elsewhere", ExitCode::Data);
    });
    insta::assert_snapshot!(stderr, @r"
     INFO epoch done with *** epoch=3 loss=0.25 is_best=true file=a b
     WARN first
    \::error::not a command
    ##\[group]nor this
    ");

    let (stderr, _) = capture(&[], LogLevel::Info, LogFormat::Text, false, log_an_epoch);
    let (time, rest) = stderr.split_at(24);
    assert!(time.starts_with("20") && time.ends_with('Z'), "{stderr}");
    assert!(rest.starts_with("  INFO epoch done"), "{stderr}");
}

#[test]
fn json_lines_follow_the_elastic_common_schema() {
    let variables = [("API_TOKEN", "s3cr3t-value")];
    let (stderr, _) = capture(&variables, LogLevel::Info, LogFormat::Json, false, || {
        log_an_epoch();
        tracing::warn!(loss = f64::NAN, path = "of/s3cr3t-value");
        error("train", "cannot read `x`", ExitCode::Data);
    });
    let lines: Vec<&str> = stderr.lines().collect();
    let with_time = without_time(lines[0]);
    assert_eq!(
        with_time,
        concat!(
            r#"{"@timestamp":"TIME","log.level":"info","message":"epoch done with ***","ecs.version":"1.6.0","#,
            r#""log.logger":"trainyard_runner::log::tests","service.name":"trainyard-train","service.version":"VERSION","#,
            r#""trainyard":{"epoch":3,"loss":0.25,"is_best":true,"file":"a b"}}"#
        )
        .replace("VERSION", env!("CARGO_PKG_VERSION"))
    );
    let second: Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!(second["trainyard"]["loss"], "NaN");
    assert_eq!(second["trainyard"]["path"], "of/***");
    let third: Value = serde_json::from_str(lines[2]).unwrap();
    assert_eq!(third["log.level"], "error");
    assert_eq!(third["trainyard"]["exit_code"], 4);
}

/// The line with its time replaced, after a look at the time's form.
fn without_time(line: &str) -> String {
    let start = r#"{"@timestamp":""#.len();
    let time = &line[start..start + 24];
    assert!(
        time.chars()
            .all(|char| char.is_ascii_digit() || "-:.TZ".contains(char)),
        "{time}"
    );
    line.replacen(time, "TIME", 1)
}

#[test]
fn a_log_file_takes_the_chosen_form_and_people_keep_their_text() {
    let log = || {
        log_an_epoch();
        error("train", "cannot read `x`", ExitCode::Data);
    };
    let (stderr, file) = capture(&[], LogLevel::Info, LogFormat::Json, true, log);
    assert!(stderr.contains("INFO epoch done") && !stderr.contains("cannot read"));
    assert_eq!(file.lines().filter(|line| line.starts_with('{')).count(), 2);
    let (_, file) = capture(&[], LogLevel::Info, LogFormat::Text, true, log);
    assert!(file.contains("INFO epoch done") && file.contains("ERROR cannot read"));
}

#[test]
fn libraries_are_heard_from_warnings_on() {
    let log = || {
        tracing::info!(target: "hyper::client", "chatter");
        tracing::warn!(target: "hyper::client", "trouble");
        tracing::debug!(target: "trainyard_ml::train", "detail");
    };
    let heard = |level| capture(&[], level, LogFormat::Text, false, log).0;
    let of_debug = heard(LogLevel::Debug);
    assert!(!of_debug.contains("chatter"));
    assert!(of_debug.contains("trouble") && of_debug.contains("detail"));
    assert!(heard(LogLevel::Trace).contains("chatter"));
    assert!(!heard(LogLevel::Error).contains("trouble"));
    assert_eq!(heard(LogLevel::Off), "");
}

#[test]
fn the_level_comes_from_the_option_then_the_variables() {
    let level = |args: &LogArgs, variables: &[(&str, &str)]| {
        args.level(&variables.iter().copied().collect()).unwrap()
    };
    let unset = LogArgs::default();
    let set = LogArgs {
        log_level: Some(LogLevel::Warn),
        ..LogArgs::default()
    };
    assert_eq!(level(&unset, &[]), LogLevel::Info);
    assert_eq!(level(&unset, &[("RUNNER_DEBUG", "1")]), LogLevel::Debug);
    let variable = [("TRAINYARD_LOG", "TRACE"), ("RUNNER_DEBUG", "1")];
    assert_eq!(level(&unset, &variable), LogLevel::Trace);
    assert_eq!(level(&set, &variable), LogLevel::Warn);
    let error = unset.level(&[("TRAINYARD_LOG", "loud")].into_iter().collect());
    assert!(error.unwrap_err().to_string().contains("`loud`"));
}

#[test]
fn a_log_file_is_appended_to_and_must_be_openable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.json");
    for line in ["one\n", "two\n"] {
        open(&path).unwrap().write(line).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    for (path, expected) in [
        (folder.path().to_owned(), "cannot open the log file"),
        (folder.path().join("logs/x.log"), "there is no folder"),
        (path.join("x.log"), "there is no folder"),
    ] {
        let error = open(&path).err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(ExitCode::of(&error.into()), ExitCode::Usage);
    }
    assert!(!folder.path().join("logs").exists());
}
