//! The step summary: Markdown in the file that `GITHUB_STEP_SUMMARY` names, never too long.
//!
//! Above 1 MiB GitHub drops the whole summary of the step, so what does not fit is left out here, and said.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::environment::Environment;
use crate::outputs;

/// GitHub drops a step's summary that is longer than this.
pub const LIMIT_BYTES: usize = 1_048_576;

/// Room for the line that says what was left out, and for closing what the cut left open.
const RESERVE_BYTES: usize = 512;

/// Why the summary could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to the file in `GITHUB_STEP_SUMMARY`, `{}`", path.display())]
pub struct SummaryError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Appends to the step summary. Does nothing outside of GitHub Actions.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    path: Option<PathBuf>,
}

impl Summary {
    /// Writes to the file that `GITHUB_STEP_SUMMARY` names, if any.
    pub fn from_environment(environment: &Environment) -> Self {
        Self {
            path: environment.get("GITHUB_STEP_SUMMARY").map(PathBuf::from),
        }
    }

    /// Appends Markdown, or as much of its beginning as GitHub will still show.
    pub fn append(&self, markdown: &str) -> Result<(), SummaryError> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let error = |source| SummaryError {
            path: path.clone(),
            source,
        };
        let written_bytes = match fs::metadata(path) {
            Ok(metadata) => metadata.len() as usize,
            Err(source) if source.kind() == io::ErrorKind::NotFound => 0,
            Err(source) => return Err(error(source)),
        };
        // One for the newline that the text before ours may lack, one to stay below the limit.
        let room_bytes = LIMIT_BYTES.saturating_sub(written_bytes + 2);
        outputs::append(path, &cap(markdown, room_bytes)).map_err(error)
    }
}

/// The Markdown with a final newline, cut to at most `room_bytes`.
///
/// The cut is before a heading where that keeps at least half of the room in use, else between lines outside of
/// code blocks and `<details>`, else between any lines, closing what is open. Where not even the line that says
/// so fits, nothing is left.
fn cap(markdown: &str, room_bytes: usize) -> String {
    let newline = if markdown.ends_with('\n') || markdown.is_empty() {
        ""
    } else {
        "\n"
    };
    if markdown.len() + newline.len() <= room_bytes {
        return format!("{markdown}{newline}");
    }
    let Some(budget_bytes) = room_bytes.checked_sub(RESERVE_BYTES) else {
        return String::new();
    };
    let (end, closing) = cut(markdown, budget_bytes);
    let (kept, left_out) = markdown.split_at(end);
    let (n_lines, n_bytes) = (left_out.lines().count(), left_out.len());
    format!(
        "{kept}{closing}\n*Left out here: {n_lines} more lines ({n_bytes} bytes), since GitHub shows at most 1 MiB a step. The report's files have all of it.*\n"
    )
}

/// Where to cut, and what closes the blocks that the cut goes through.
fn cut(markdown: &str, budget_bytes: usize) -> (usize, String) {
    let mut blocks = Blocks::default();
    let (mut any, mut outside, mut heading) = ((0, String::new()), 0, 0);
    let mut start = 0;
    for line in markdown.split_inclusive('\n') {
        if start > budget_bytes {
            break;
        }
        let closing = blocks.closing();
        if closing.is_empty() {
            outside = start;
            if line.starts_with('#') {
                heading = start;
            }
        }
        if closing.len() <= RESERVE_BYTES / 2 {
            any = (start, closing);
        }
        blocks.read(line);
        start += line.len();
    }
    if heading >= budget_bytes / 2 {
        (heading, String::new())
    } else if outside > 0 {
        (outside, String::new())
    } else {
        any
    }
}

/// The code block and the `<details>` that the lines read so far left open.
#[derive(Default)]
struct Blocks {
    fence: Option<String>,
    n_details: usize,
}

impl Blocks {
    fn read(&mut self, line: &str) {
        let text = line.trim();
        let fence = fence(text);
        match &self.fence {
            // A fence is closed by nothing but as many of its marks, or more.
            Some(open) if fence.starts_with(open.as_str()) && fence == text => self.fence = None,
            Some(_) => {}
            None if !fence.is_empty() => self.fence = Some(fence.to_owned()),
            None => {
                let count = |tag| text.matches(tag).count();
                self.n_details += count("<details");
                self.n_details = self.n_details.saturating_sub(count("</details>"));
            }
        }
    }

    fn closing(&self) -> String {
        let fence = self.fence.as_ref().map(|fence| format!("{fence}\n"));
        fence.unwrap_or_default() + &"\n</details>\n".repeat(self.n_details)
    }
}

/// The three or more backticks or tildes that a line begins with.
fn fence(text: &str) -> &str {
    let of = |mark: char| {
        let rest = text.trim_start_matches(mark);
        text.split_at(text.len() - rest.len()).0
    };
    [of('`'), of('~')]
        .into_iter()
        .find(|fence| fence.len() >= 3)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_fits_is_kept_as_it_is() {
        assert_eq!(cap("# A\ntext", 100), "# A\ntext\n");
        assert_eq!(cap("text\n", 5), "text\n");
        assert_eq!(cap("text\n", 4), "");
    }

    fn kept(capped: &str) -> &str {
        capped.split_once("\n*Left out here: ").unwrap().0
    }

    #[test]
    fn the_cut_is_at_a_section_else_between_lines_outside_of_blocks() {
        let row = "| a row of a table | 0.98 |\n";
        let room = |text: &str| text.len() + RESERVE_BYTES - 1;

        let first = format!("# One\n{}", row.repeat(30));
        let both = format!("{first}# Two\n{}", row.repeat(30));
        assert_eq!(kept(&cap(&both, room(&both[..both.len() - 700]))), first);

        let rows = row.repeat(60);
        let capped = cap(&rows, 1000);
        assert_eq!(kept(&capped).len() % row.len(), 0);
        assert!(
            capped.contains("Left out here: 43 more lines (1204 bytes)"),
            "{capped}"
        );

        let folded = format!("before\n<details>\n{}</details>\n", row.repeat(60));
        assert_eq!(kept(&cap(&folded, 1000)), "before\n");
    }

    #[test]
    fn a_block_longer_than_all_the_room_is_closed() {
        let folded = format!("<details>\n````text\n{}", "# no heading\n```\n".repeat(60));
        let capped = cap(&folded, 800);
        assert!(
            kept(&capped).ends_with("# no heading\n````\n\n</details>\n"),
            "{capped}"
        );
    }

    #[test]
    fn everything_the_step_writes_stays_below_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary");
        fs::write(&path, "theirs, without a newline").unwrap();
        let environment = [("GITHUB_STEP_SUMMARY", path.to_str().unwrap())];
        let summary = Summary::from_environment(&environment.into_iter().collect());
        let half = "0123456789abcde\n".repeat(40_000);
        for _ in 0..3 {
            summary.append(&half).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("theirs, without a newline\n0123"));
        assert!(text.len() < LIMIT_BYTES && text.len() > LIMIT_BYTES - 2 * RESERVE_BYTES);
        assert_eq!(text.matches("Left out here").count(), 1);

        let nowhere = Summary::from_environment(&Environment::default());
        nowhere.append(&half).unwrap();
    }

    proptest! {
        #[test]
        fn the_cap_holds_whatever_the_text(
            lines in prop::collection::vec(r"(# |```|~~~~|<details>|</details>|\PC{0,200})", 0..60),
            room_bytes in 0_usize..4000,
        ) {
            let markdown = lines.join("\n");
            let capped = cap(&markdown, room_bytes);
            prop_assert!(capped.len() <= room_bytes);
            prop_assert!(capped.is_empty() || capped.ends_with('\n'));
            if let Some((kept, _)) = capped.split_once("\n*Left out here: ") {
                let mut blocks = Blocks::default();
                kept.lines().for_each(|line| blocks.read(line));
                prop_assert_eq!(blocks.closing(), "");
            }
        }
    }
}
