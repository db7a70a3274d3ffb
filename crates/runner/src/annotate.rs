//! Workflow commands: annotations, masks and groups, as lines that GitHub's runner reads from the log.
//!
//! In GitHub Actions they go to standard output; elsewhere standard output is data, so that annotations are
//! plain text for standard error, and the rest is silent. All text is escaped: no message can become a command.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::redact::Redactor;

/// GitHub shows at most this many errors a step, and as many warnings and notices.
pub const MAX_PER_LEVEL: usize = 10;

/// GitHub cuts longer messages.
const MAX_MESSAGE_CHARS: usize = 4096;

/// How bad it is; the worst comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something needs a look.
    Warning,
    /// Something to know.
    Notice,
}

impl Level {
    fn command(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

/// A message, and the place in the repository that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    level: Level,
    message: String,
    title: Option<String>,
    place: Option<(PathBuf, usize)>,
}

impl Annotation {
    /// A message of the given level, which may have several lines.
    pub fn new(level: Level, message: impl Into<String>) -> Self {
        Self {
            level,
            message: message.into(),
            title: None,
            place: None,
        }
    }

    /// An error.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Level::Error, message)
    }

    /// A warning.
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Level::Warning, message)
    }

    /// A notice.
    pub fn notice(message: impl Into<String>) -> Self {
        Self::new(Level::Notice, message)
    }

    /// How bad it is.
    pub const fn level(&self) -> Level {
        self.level
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What stands above the message.
    pub fn title_text(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// The file, as this process would open it, and the line.
    pub fn place(&self) -> Option<(&Path, usize)> {
        self.place
            .as_ref()
            .map(|(path, line)| (path.as_path(), *line))
    }

    /// Sets what stands above the message.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Sets the file, as this process would open it, and the line, counted from 1.
    #[must_use]
    pub fn at(mut self, path: impl Into<PathBuf>, line: usize) -> Self {
        self.place = Some((path.into(), line));
        self
    }
}

/// Writes annotations, within GitHub's limits for one step; so a step has one of these.
#[derive(Clone, Debug, Default)]
pub struct Annotator {
    is_github_actions: bool,
    workspace: Option<PathBuf>,
    redactor: Redactor,
    n_shown: Counts,
}

/// How many annotations of each level.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    errors: usize,
    warnings: usize,
    notices: usize,
}

impl Counts {
    fn of(&mut self, level: Level) -> &mut usize {
        match level {
            Level::Error => &mut self.errors,
            Level::Warning => &mut self.warnings,
            Level::Notice => &mut self.notices,
        }
    }
}

impl Annotator {
    /// Writes workflow commands in GitHub Actions and plain text elsewhere.
    pub fn from_environment(environment: &Environment) -> Self {
        Self {
            is_github_actions: environment.is_github_actions(),
            workspace: environment.get("GITHUB_WORKSPACE").map(PathBuf::from),
            redactor: Redactor::from_environment(environment),
            n_shown: Counts::default(),
        }
    }

    /// Whether it writes workflow commands.
    pub fn is_github_actions(&self) -> bool {
        self.is_github_actions
    }

    /// Writes the annotations where they belong: to standard output in GitHub Actions, else to standard error.
    pub fn emit_to_process(&mut self, annotations: Vec<Annotation>) -> io::Result<()> {
        if self.is_github_actions {
            self.emit(annotations, &mut io::stdout().lock())
        } else {
            self.emit(annotations, &mut io::stderr().lock())
        }
    }

    /// Writes errors, then warnings, then notices, each in the order given.
    ///
    /// What goes beyond GitHub's limits is counted in one more line; the caller puts the worst first.
    pub fn emit(
        &mut self,
        mut annotations: Vec<Annotation>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        annotations.sort_by_key(|annotation| annotation.level);
        let mut n_left_off = Counts::default();
        let mut text = String::new();
        for annotation in &annotations {
            // The last notice is kept for the line that counts.
            let limit = MAX_PER_LEVEL - usize::from(annotation.level == Level::Notice);
            let n_shown = self.n_shown.of(annotation.level);
            if self.is_github_actions && *n_shown >= limit {
                *n_left_off.of(annotation.level) += 1;
                continue;
            }
            *n_shown += 1;
            text.push_str(&self.line(annotation));
        }
        if let Some(count) = count_left_off(n_left_off) {
            let message = format!(
                "{count} left off here, since GitHub shows ten of each a step; the report has all"
            );
            text.push_str(&self.line(&Annotation::notice(message).title("Trainyard")));
        }
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Asks the runner to replace the value in its log from now on. Does nothing elsewhere.
    pub fn add_mask(&self, value: &str, out: &mut impl Write) -> io::Result<()> {
        if !self.is_github_actions || value.trim().is_empty() {
            return Ok(());
        }
        writeln!(out, "::add-mask::{}", escape_data(value))?;
        out.flush()
    }

    /// Opens a group of log lines that the reader can fold. It ends when the guard is dropped.
    pub fn group<W: Write>(&self, title: &str, mut out: W) -> io::Result<Group<W>> {
        if self.is_github_actions {
            writeln!(
                out,
                "::group::{}",
                escape_data(&self.redactor.redact(title))
            )?;
            out.flush()?;
        }
        Ok(Group {
            out,
            is_open: self.is_github_actions,
        })
    }

    fn line(&self, annotation: &Annotation) -> String {
        let Annotation {
            level,
            message,
            title,
            place,
        } = annotation;
        let message = self.redactor.redact(message);
        let title = title.as_deref().map(|title| self.redactor.redact(title));
        let place = place
            .as_ref()
            .map(|(path, line)| (self.path_in_repository(path), line));
        let command = level.command();
        if !self.is_github_actions {
            let place = place.map(|(path, line)| format!("{path}:{line}: "));
            let title = title.map(|title| format!("{title}: "));
            let message = indent(&message, "  ");
            return format!(
                "{command}: {}{}{message}\n",
                place.unwrap_or_default(),
                title.unwrap_or_default()
            );
        }
        let mut properties = Vec::new();
        if let Some((path, line)) = place {
            properties.push(format!("file={}", escape_property(&path)));
            properties.push(format!("line={line}"));
        }
        if let Some(title) = title {
            properties.push(format!("title={}", escape_property(&title)));
        }
        let properties = match properties.join(",") {
            none if none.is_empty() => none,
            some => format!(" {some}"),
        };
        let message = escape_data(&shorten(&message));
        format!("::{command}{properties}::{message}\n")
    }

    fn path_in_repository(&self, path: &Path) -> String {
        path_in_repository(self.workspace.as_deref(), path)
    }
}

/// The path as GitHub wants it: relative to the checkout at `workspace`, with slashes.
pub fn path_in_repository(workspace: Option<&Path>, path: &Path) -> String {
    let absolute = std::path::absolute(path).ok();
    let relative = match (&absolute, workspace) {
        (Some(absolute), Some(workspace)) => absolute.strip_prefix(workspace).ok(),
        _ => None,
    };
    let path = relative.unwrap_or(path).display().to_string();
    if cfg!(windows) {
        path.replace('\\', "/")
    } else {
        path
    }
}

/// An open group of log lines.
#[derive(Debug)]
pub struct Group<W: Write> {
    out: W,
    is_open: bool,
}

impl<W: Write> Drop for Group<W> {
    fn drop(&mut self) {
        if self.is_open {
            // A log that takes nothing more needs no end of a group.
            let _ = self.out.write_all(b"::endgroup::\n");
            let _ = self.out.flush();
        }
    }
}

/// Makes lines harmless that the runner would read as commands: it looks for `::` at the start of a line,
/// behind any white space, and for `##[` anywhere, on both standard output and standard error.
pub(crate) fn neutralise(text: &str) -> Cow<'_, str> {
    if !text.contains("::") && !text.contains("##[") {
        return Cow::Borrowed(text);
    }
    let is_end = |char| matches!(char, '\n' | '\r');
    let lines = text.split_inclusive(is_end).map(|line| {
        let line = line.replace("##[", "##\\[");
        let command = line.trim_start();
        if command.starts_with("::") {
            let white_space = line.len() - command.len();
            format!("{}\\{command}", " ".repeat(white_space))
        } else {
            line
        }
    });
    Cow::Owned(lines.collect())
}

/// Indents all lines but the first.
pub(crate) fn indent(text: &str, by: &str) -> String {
    text.trim_end().replace('\n', &format!("\n{by}"))
}

/// Escapes the text behind `::command::`.
fn escape_data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Escapes the value of a property.
fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

/// The beginning that GitHub shows, with a sign that there was more.
fn shorten(message: &str) -> Cow<'_, str> {
    // GitHub counts in UTF-16.
    let n_units = |text: &str| text.chars().map(char::len_utf16).sum::<usize>();
    if n_units(message) <= MAX_MESSAGE_CHARS {
        return Cow::Borrowed(message);
    }
    let mut units_left = MAX_MESSAGE_CHARS - 1;
    let kept = message.chars().take_while(|char| {
        let fits = char.len_utf16() <= units_left;
        units_left = units_left.saturating_sub(char.len_utf16());
        fits
    });
    Cow::Owned(kept.chain(['…']).collect())
}

/// `2 more errors and 1 more warning were`; `None` where nothing was left off.
fn count_left_off(counts: Counts) -> Option<String> {
    let Counts {
        errors,
        warnings,
        notices,
    } = counts;
    let counted = [
        (errors, "error"),
        (warnings, "warning"),
        (notices, "notice"),
    ];
    let parts: Vec<String> = counted
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, level)| format!("{n} more {level}{}", if n == 1 { "" } else { "s" }))
        .collect();
    let verb = if errors + warnings + notices == 1 {
        "was"
    } else {
        "were"
    };
    (!parts.is_empty()).then(|| format!("{} {verb}", parts.join(" and ")))
}

#[cfg(test)]
mod tests;
