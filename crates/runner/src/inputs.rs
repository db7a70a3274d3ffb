//! Command-line arguments from an action's inputs.
//!
//! An action passes each input as a variable: `--min-rows` is `INPUT_MIN_ROWS`. The variables become arguments
//! in front of the real ones, so clap checks both alike and its messages name the option. They are read only
//! where `GITHUB_ACTIONS` or `TRAINYARD_INPUTS` (for other CI systems that call `run.sh`) says so, and only for
//! long options that `--help` shows; elsewhere an `INPUT_…` variable belongs to another program.
//!
//! An option that may be repeated takes one value a line, as an input and on the command line. A variable that is empty is unset,
//! whether it is an input or one that clap reads itself.

use std::any::TypeId;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};

use clap::builder::{OsStr, Resettable, StyledStr};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, Command, Parser};

use crate::annotate::{Annotation, Annotator};
use crate::environment::Environment;
use crate::exit_code::ExitCode;
use crate::redact::Redactor;

/// Parses the arguments and the inputs of this process.
///
/// Leaves the process with 0 after `--help` and `--version`, and with 2 after a mistake, which is annotated in
/// GitHub Actions.
pub fn parse<T: Parser>() -> T {
    let environment = Environment::from_process();
    parse_from(std::env::args_os(), &environment)
        .unwrap_or_else(|error| leave(&error, &environment))
}

fn parse_from<T: Parser>(
    args: impl IntoIterator<Item = OsString>,
    environment: &Environment,
) -> Result<T, clap::Error> {
    let mut command = without_empty_variables(T::command());
    let argv = argv(&command, args, environment)?;
    let matches = command.try_get_matches_from_mut(argv);
    let mut matches = matches.map_err(|error| with_variables(error, &command))?;
    T::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// The command without the variables that are set to nothing, which clap takes for a value.
fn without_empty_variables(command: Command) -> Command {
    command.mut_args(|arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        match value {
            Some(value) if value.is_empty() => arg.env(Resettable::<OsStr>::Reset),
            _ => arg,
        }
    })
}

/// The error, which names the variables that would do in place of the options that are missing.
fn with_variables(mut error: clap::Error, command: &Command) -> clap::Error {
    let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    if error.kind() != ErrorKind::MissingRequiredArgument {
        return error;
    }
    let tips = command.get_arguments().filter_map(|arg| {
        let (long, variable) = (arg.get_long()?, arg.get_env()?.to_str()?);
        let option = format!("--{long}");
        let is_missing = |text: &String| text.split(' ').next() == Some(option.as_str());
        let tip = format!("the environment variable `{variable}` holds it, too");
        missing.iter().any(is_missing).then(|| StyledStr::from(tip))
    });
    let tips: Vec<StyledStr> = tips.collect();
    if !tips.is_empty() {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
    error
}

/// The long options that are inputs: those that take part in `--help`, flags that count aside.
pub fn documented(command: &Command) -> impl Iterator<Item = &Arg> {
    command
        .get_arguments()
        .filter(|arg| arg.get_long().is_some() && !arg.is_hide_set() && Kind::of(arg).is_some())
}

/// The variable that carries the input of a long option: `INPUT_MIN_ROWS` for `min-rows`.
pub fn variable(long: &str) -> String {
    let name = long.replace('-', "_").to_ascii_uppercase();
    format!("INPUT_{name}")
}

/// The arguments that clap is to parse: `args`, and after its first (the program) the inputs that `args` does
/// not give itself. Of an option that may be repeated, each line of a value is a value in both.
///
/// White space around an input is dropped, as GitHub's toolkit does it, and an empty input is unset. A flag
/// takes `true` or `false`.
pub fn argv(
    command: &Command,
    args: impl IntoIterator<Item = OsString>,
    environment: &Environment,
) -> Result<Vec<OsString>, clap::Error> {
    let mut argv = line_by_line(command, args.into_iter().collect());
    if !(environment.is_github_actions() || is_set(environment, "TRAINYARD_INPUTS")) {
        return Ok(argv);
    }
    // With a mistake in them (or `--help`) the arguments are left as they are: the real parse will say so.
    let lenient = command.clone().ignore_errors(true);
    let Ok(given) = lenient.try_get_matches_from(&argv) else {
        return Ok(argv);
    };
    let is_given =
        |arg: &&Arg| given.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    let mut inputs = Vec::new();
    for arg in documented(command).filter(|arg| !is_given(arg)) {
        inputs.extend(arguments(command, arg, environment)?);
    }
    let after_program = argv.len().min(1);
    argv.splice(after_program..after_program, inputs);
    Ok(argv)
}

/// The arguments, with each line of an option that may be repeated as a value of its own.
fn line_by_line(command: &Command, args: Vec<OsString>) -> Vec<OsString> {
    let is_many = |long: &str| {
        let mut found = command
            .get_arguments()
            .filter(|arg| arg.get_long() == Some(long));
        found.any(|arg| matches!(Kind::of(arg), Some(Kind::Many)))
    };
    let mut split = Vec::with_capacity(args.len());
    let mut args = args.into_iter().peekable();
    while let Some(arg) = args.next() {
        if arg == "--" {
            split.push(arg);
            break;
        }
        let Some(text) = arg.to_str().and_then(|text| text.strip_prefix("--")) else {
            split.push(arg);
            continue;
        };
        // `--name=value`, or `--name value`.
        let (long, value) = match text.split_once('=') {
            Some((long, value)) => (long, Some(value)),
            None => (text, args.peek().and_then(|next| next.to_str())),
        };
        let values: Vec<&str> = match value {
            Some(value) if value.contains('\n') && is_many(long) => lines(value).collect(),
            _ => Vec::new(),
        };
        if values.is_empty() {
            split.push(arg);
            continue;
        }
        split.extend(values.iter().map(|value| with_value(long, value)));
        if !text.contains('=') {
            args.next();
        }
    }
    split.extend(args);
    split
}

/// The values in a text of one a line.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty())
}

/// In one piece: a value that begins with a dash stays a value.
fn with_value(long: &str, value: &str) -> OsString {
    format!("--{long}={value}").into()
}

/// How an option takes its value.
enum Kind {
    /// Present or absent.
    Flag,
    /// `true` or `false` as a value.
    Boolean,
    One,
    Many,
}

impl Kind {
    fn of(arg: &Arg) -> Option<Self> {
        match arg.get_action() {
            ArgAction::SetTrue | ArgAction::SetFalse => Some(Self::Flag),
            ArgAction::Set if arg.get_value_parser().type_id() == TypeId::of::<bool>() => {
                Some(Self::Boolean)
            }
            ArgAction::Set => Some(Self::One),
            ArgAction::Append => Some(Self::Many),
            _ => None,
        }
    }
}

/// What the input of `arg` says, as arguments.
fn arguments(
    command: &Command,
    arg: &Arg,
    environment: &Environment,
) -> Result<Vec<OsString>, clap::Error> {
    let (Some(long), Some(kind)) = (arg.get_long(), Kind::of(arg)) else {
        return Ok(Vec::new());
    };
    let Some(value) = environment
        .get(&variable(long))
        .map(str::trim)
        .filter(|value| !value.is_empty())
    else {
        return Ok(Vec::new());
    };
    Ok(match kind {
        Kind::Flag if boolean(command, long, value)? => vec![format!("--{long}").into()],
        Kind::Flag => Vec::new(),
        Kind::Boolean => {
            let value = boolean(command, long, value)?;
            vec![with_value(long, &value.to_string())]
        }
        Kind::One => vec![with_value(long, value)],
        Kind::Many => lines(value).map(|value| with_value(long, value)).collect(),
    })
}

/// The spellings that YAML 1.2's core schema allows.
fn boolean(command: &Command, long: &str, value: &str) -> Result<bool, clap::Error> {
    match value {
        "true" | "True" | "TRUE" => Ok(true),
        "false" | "False" | "FALSE" => Ok(false),
        _ => Err(command.clone().error(
            ErrorKind::InvalidValue,
            format!("invalid value `{value}` for input `{long}`; write `true` or `false`"),
        )),
    }
}

fn is_set(environment: &Environment, name: &str) -> bool {
    matches!(environment.get(name), Some("1" | "true"))
}

/// Prints clap's message, without secrets, and ends the process.
#[expect(
    clippy::exit,
    reason = "as clap itself does; nothing is open yet at the time arguments are parsed"
)]
fn leave(error: &clap::Error, environment: &Environment) -> ! {
    if !error.use_stderr() {
        error.exit();
    }
    let redactor = Redactor::from_environment(environment);
    let plain = error.render().to_string();
    let is_coloured = io::stderr().is_terminal() && environment.get("NO_COLOR").is_none();
    let text = if is_coloured {
        error.render().ansi().to_string()
    } else {
        plain.clone()
    };
    // Nothing is left to be done about an error stream that takes nothing.
    let _ = io::stderr().write_all(redactor.redact(&text).as_bytes());
    let mut annotator = Annotator::from_environment(environment);
    if annotator.is_github_actions() {
        let message = plain.trim_start_matches("error: ").trim_end();
        let annotation = Annotation::error(message).title("Trainyard: wrong inputs");
        let _ = annotator.emit(vec![annotation], &mut io::stdout().lock());
    }
    std::process::exit(i32::from(u8::from(ExitCode::Usage)))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::CommandFactory as _;

    use super::*;

    #[derive(Debug, Parser, PartialEq)]
    #[command(name = "trainyard-gate")]
    struct Args {
        /// A required option.
        #[arg(short, long)]
        config: PathBuf,
        /// One that may be repeated.
        #[arg(long)]
        tag: Vec<String>,
        #[arg(long)]
        dry_run: bool,
        #[arg(long, action = ArgAction::Set, default_value_t = true)]
        comment: bool,
        #[arg(long, default_value_t = 3)]
        min_rows: u32,
        #[arg(long, hide = true)]
        internal: Option<String>,
        /// One of a pair.
        #[arg(long, requires = "password")]
        user: Option<String>,
        #[arg(long, env = "NO_SUCH_PASSWORD", requires = "user")]
        password: Option<String>,
    }

    fn parse_with(args: &[&str], variables: &[(&str, &str)]) -> Result<Args, clap::Error> {
        let in_actions = [("GITHUB_ACTIONS", "true")];
        let environment = in_actions.iter().chain(variables).copied().collect();
        parse_in(&environment, args)
    }

    fn parse_in(environment: &Environment, args: &[&str]) -> Result<Args, clap::Error> {
        let args = ["trainyard-gate"].iter().chain(args).map(OsString::from);
        parse_from(args, environment)
    }

    fn expected() -> Args {
        Args {
            config: "a.toml".into(),
            tag: vec![],
            dry_run: false,
            comment: true,
            min_rows: 3,
            internal: None,
            user: None,
            password: None,
        }
    }

    #[test]
    fn inputs_become_arguments() {
        let inputs = [
            ("INPUT_CONFIG", " a.toml\n"),
            ("INPUT_TAG", "one\n\n  -two \r\n"),
            ("INPUT_DRY_RUN", "True"),
            ("INPUT_COMMENT", "FALSE"),
            ("INPUT_MIN_ROWS", ""),
            ("INPUT_INTERNAL", "hidden options are not inputs"),
        ];
        let wanted = Args {
            tag: vec!["one".to_owned(), "-two".to_owned()],
            dry_run: true,
            comment: false,
            ..expected()
        };
        assert_eq!(parse_with(&[], &inputs).unwrap(), wanted);

        let elsewhere: Environment = inputs.into_iter().collect();
        assert!(parse_in(&elsewhere, &[]).is_err());
        let asked_for = inputs.into_iter().chain([("TRAINYARD_INPUTS", "1")]);
        assert_eq!(parse_in(&asked_for.collect(), &[]).unwrap(), wanted);
    }

    #[test]
    fn arguments_win_over_inputs() {
        let inputs = [
            ("INPUT_CONFIG", "b.toml"),
            ("INPUT_TAG", "input"),
            ("INPUT_COMMENT", "false"),
            ("INPUT_MIN_ROWS", "9"),
        ];
        let args = [
            "-c",
            "a.toml",
            "--tag",
            "x",
            "--comment=true",
            "--min-rows=7",
        ];
        let wanted = Args {
            tag: vec!["x".to_owned()],
            min_rows: 7,
            ..expected()
        };
        assert_eq!(parse_with(&args, &inputs).unwrap(), wanted);
    }

    #[test]
    fn a_value_that_looks_like_an_option_stays_a_value() {
        let parsed = parse_with(&[], &[("INPUT_CONFIG", "--dry-run"), ("INPUT_TAG", "--")]);
        let parsed = parsed.unwrap();
        assert_eq!(parsed.config, PathBuf::from("--dry-run"));
        assert_eq!(parsed.tag, ["--"]);
        assert!(!parsed.dry_run);
    }

    /// What `--help` says of such options: "one per line, or repeated".
    #[test]
    fn each_line_of_an_option_that_may_be_repeated_is_a_value_on_the_command_line_too() {
        let nowhere = Environment::default();
        for args in [
            &["--tag", "one\n\n two \r\n-three", "-c", "a.toml"][..],
            &["--tag=one\ntwo\n", "--tag", "-three\n", "-c", "a.toml"],
            &["-c", "a.toml", "--tag=one", "--tag=two\n-three"],
        ] {
            let parsed = parse_in(&nowhere, args).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(parsed.tag, ["one", "two", "-three"], "{args:?}");
        }
        // Other options take the text as it is, and so does what is no option.
        let parsed = parse_in(&nowhere, &["--config", "a\nb"]).unwrap();
        assert_eq!(parsed.config, PathBuf::from("a\nb"));
        let rest = ["--", "--tag", "a\nb"].map(OsString::from).to_vec();
        assert_eq!(line_by_line(&Args::command(), rest.clone()), rest);
    }

    /// An argument is visible to other processes, so the variable is the one to set.
    #[test]
    fn a_missing_partner_is_named_by_its_variable_too() {
        let nowhere = Environment::default();
        let error = parse_in(&nowhere, &["-c", "a", "--user", "ann"]).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.exit_code(), 2);
        assert!(
            text.contains("--password <PASSWORD>") && text.contains("`NO_SUCH_PASSWORD`"),
            "{text}"
        );
        // It has no variable.
        let error = parse_in(&nowhere, &["-c", "a", "--password", "pw"]).unwrap_err();
        assert!(!error.to_string().contains("environment"), "{error}");
    }

    #[test]
    fn mistakes_are_usage_errors_that_name_the_input() {
        let error = parse_with(&["-c", "a"], &[("INPUT_DRY_RUN", "yes")]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(
            error
                .to_string()
                .contains("invalid value `yes` for input `dry-run`; write `true` or `false`"),
            "{error}"
        );
        let error = parse_with(&["-c", "a"], &[("INPUT_MIN_ROWS", "many")]).unwrap_err();
        assert!(error.to_string().contains("--min-rows"), "{error}");
        let error = parse_with(&[], &[("INPUT_CONFIG", "  ")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MissingRequiredArgument);
        let error = parse_with(&["--nonsense"], &[("INPUT_CONFIG", "a")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownArgument);
        let error = parse_with(&["--help"], &[("INPUT_CONFIG", "a")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DisplayHelp);
    }

    #[test]
    fn the_documented_inputs_are_the_visible_options() {
        let command = Args::command();
        let names: Vec<_> = documented(&command).filter_map(Arg::get_long).collect();
        let expected = [
            "config", "tag", "dry-run", "comment", "min-rows", "user", "password",
        ];
        assert_eq!(names, expected);
        assert_eq!(variable("min-rows"), "INPUT_MIN_ROWS");
    }
}
