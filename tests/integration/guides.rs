//! The guides: what they show can be pasted, and what they name is there.
//!
//! Workflows are also shown to actionlint, with our actions beside them, in `peers::yaml`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use trainyard_core::config::JudgingConfig;

use crate::support::{files, output, repository, run, stage};

/// Folder of the guides.
const GUIDES: &str = "docs/guides";

/// Stages whose binaries take the inputs of an action as options.
const STAGES: [&str; 6] = [
    "train",
    "evaluate",
    "gate",
    "publish-image",
    "verify",
    "deploy",
];

/// A fenced block of a page.
pub(crate) struct Block {
    /// From the repository's root.
    page: PathBuf,
    /// Of the opening fence, counted from 1.
    line: usize,
    language: String,
    /// Without the indentation of the fence; each line ends in a newline.
    pub(crate) text: String,
}

impl fmt::Display for Block {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.page.display(), self.line)
    }
}

impl Block {
    /// A name for a file that holds it.
    pub(crate) fn file_name(&self) -> String {
        let stem = self.page.file_stem().unwrap().to_string_lossy();
        format!("{stem}-{}.yml", self.line)
    }

    /// Keys of a YAML mapping that stand at its margin.
    fn keys(&self) -> BTreeSet<&str> {
        let at_margin = self
            .text
            .lines()
            .filter(|line| line.starts_with(|first: char| first.is_ascii_alphabetic()));
        at_margin
            .filter_map(|line| line.split_once(':'))
            .map(|(key, _)| key)
            .collect()
    }

    fn is_steps(&self) -> bool {
        self.text.starts_with("- ")
    }

    /// Whether it is an object of Kubernetes.
    fn is_manifest(&self) -> bool {
        let is_there = |key: &&str| self.keys().contains(key);
        ["apiVersion", "kind", "metadata"].iter().all(is_there)
    }

    /// Steps as a workflow of one job; a workflow as it is.
    fn into_workflow(self) -> Self {
        if !self.is_steps() {
            return self;
        }
        let head = "on: push\n\npermissions: {}\n\njobs:\n  job:\n    runs-on: ubuntu-latest\n    steps:\n";
        let steps = self.text.lines().map(|line| format!("      {line}\n"));
        Self {
            text: head.to_owned() + &steps.collect::<String>(),
            ..self
        }
    }
}

/// What a page holds: prose and fenced blocks.
struct Page {
    path: PathBuf,
    /// Lines outside of blocks.
    prose: String,
    blocks: Vec<Block>,
}

impl Page {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(repository().join(&path)).unwrap();
        let mut page = Self {
            path,
            prose: String::new(),
            blocks: Vec::new(),
        };
        let mut lines = text.lines().enumerate();
        while let Some((idx, line)) = lines.next() {
            let Some(language) = line.trim_start().strip_prefix("```") else {
                page.prose.push_str(line);
                page.prose.push('\n');
                continue;
            };
            let indentation = line.len() - line.trim_start().len();
            let mut content = String::new();
            for (_, line) in lines.by_ref().take_while(|(_, line)| line.trim() != "```") {
                content.push_str(line.get(indentation..).unwrap_or_default());
                content.push('\n');
            }
            page.blocks.push(Block {
                page: page.path.clone(),
                line: idx + 1,
                language: language.trim().to_owned(),
                text: content,
            });
        }
        page
    }

    /// Names by which links reach the headings, as GitHub makes them.
    fn anchors(&self) -> BTreeSet<String> {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let headings = self.prose.lines().filter(|line| line.starts_with('#'));
        let anchors = headings.map(|line| {
            let slug = slug(line.trim_start_matches('#').trim());
            let n_before = seen.entry(slug.clone()).or_default();
            *n_before += 1;
            match *n_before {
                1 => slug,
                n => format!("{slug}-{}", n - 1),
            }
        });
        anchors.collect()
    }

    /// Targets of the links that lead to files.
    fn links(&self) -> Vec<&str> {
        let targets = self
            .prose
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split([')', ' ']).next());
        targets
            .filter(|target| !(target.contains("://") || target.starts_with("mailto:")))
            .collect()
    }
}

fn slug(heading: &str) -> String {
    let kept = heading.chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        '-' | '_' => Some(letter),
        _ => letter.is_alphanumeric().then_some(letter),
    });
    kept.flat_map(char::to_lowercase).collect()
}

/// Pages whose path `is_wanted`.
fn pages(is_wanted: impl Fn(&Path) -> bool) -> Vec<Page> {
    let is_page = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    files()
        .into_iter()
        .filter(is_page)
        .filter(|path| is_wanted(path))
        .map(Page::read)
        .collect()
}

fn guides() -> Vec<Page> {
    let found = pages(|path| path.starts_with(GUIDES));
    assert!(found.len() >= 10, "only {} guides were found", found.len());
    found
}

fn guide(name: &str) -> Page {
    Page::read(Path::new(GUIDES).join(name))
}

/// Blocks of the guides in `language`.
fn blocks(language: &str) -> Vec<Block> {
    let all = guides().into_iter().flat_map(|page| page.blocks);
    all.filter(|block| block.language == language).collect()
}

/// The workflows of the guides; lists of steps become one each.
pub(crate) fn workflows() -> Vec<Block> {
    let mut found = blocks("yaml");
    found.retain(|block| !block.is_manifest());
    let found = found.into_iter().map(Block::into_workflow);
    found.collect()
}

/// The workflow of a guide that `on` starts.
#[track_caller]
fn workflow_on(name: &str, event: &str) -> Block {
    let line = format!("\n  {event}:");
    let mut found = guide(name)
        .blocks
        .into_iter()
        .filter(|block| block.language == "yaml" && block.text.contains(&line));
    found
        .next()
        .unwrap_or_else(|| panic!("{GUIDES}/{name} shows no workflow on `{event}`"))
}

#[test]
fn every_configuration_is_valid_and_has_rules() {
    let configures = |block: &Block| {
        ["[gate", "[model"]
            .iter()
            .any(|key| block.text.contains(key))
    };
    let found: Vec<_> = blocks("toml").into_iter().filter(configures).collect();
    assert!(found.len() >= 8, "only {} were found", found.len());
    for block in found {
        let config = JudgingConfig::parse(&block.text, Path::new("trainyard.toml"))
            .unwrap_or_else(|error| panic!("{block}: {error}"));
        assert!(
            !config.gate.rules.is_empty(),
            "{block}: pasted as it is, it would be inconclusive"
        );
    }
}

/// The files of several labels a row that the guide shows, judged by the rules below each.
#[test]
fn the_predictions_files_of_a_guide_pass_the_rules_below_them() {
    let blocks = guide("another-tools-model.md").blocks;
    let files = blocks.iter().enumerate();
    let files: Vec<_> = files.filter(|(_, block)| block.language == "csv").collect();
    assert_eq!(files.len(), 2);
    for (idx, table) in files {
        let rules = &blocks[idx + 1];
        assert_eq!(rules.language, "toml", "{rules}");
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("predictions.csv", &table.text);
        write("trainyard.toml", &rules.text);
        run(stage("evaluate")
            .args(["--predictions", "predictions.csv"])
            .current_dir(folder.path()));
        let said = run(stage("gate").current_dir(folder.path()));
        assert!(said.contains("verdict: pass"), "{table}: {said}");
    }
}

#[test]
fn every_yaml_block_is_a_workflow_a_list_of_steps_or_a_manifest() {
    let found = blocks("yaml");
    assert!(found.len() >= 10, "only {} were found", found.len());
    for block in found {
        let is_whole = ["on", "jobs", "permissions"]
            .iter()
            .all(|key| block.keys().contains(key));
        assert!(
            is_whole || block.is_manifest() || block.is_steps(),
            "{block}: a reader cannot paste this: {:?}",
            block.keys()
        );
    }
}

/// So what the guides show is what is tested.
#[test]
fn the_guides_show_the_files_of_readme_and_examples() {
    let examples = repository().join("examples/mnist/.github/workflows");
    for (name, event, file) in [
        ("override.md", "issue_comment", "trainyard-override.yml"),
        ("forks.md", "workflow_run", "trainyard-forks.yml"),
        ("monitoring.md", "schedule", "trainyard-re-evaluate.yml"),
    ] {
        let expected = fs::read_to_string(examples.join(file)).unwrap();
        assert_eq!(
            workflow_on(name, event).text.trim_end(),
            expected.trim_end(),
            "{GUIDES}/{name} should show {file}"
        );
    }
    let library = repository().join("examples/jenkins/Jenkinsfile.library");
    let groovy = blocks("groovy");
    assert_eq!(groovy.len(), 1);
    assert_eq!(groovy[0].text, fs::read_to_string(library).unwrap());
    let readme = Page::read(PathBuf::from("README.md"));
    let mut shown = readme
        .blocks
        .iter()
        .filter(|block| block.language == "yaml");
    assert_eq!(
        workflow_on("add-to-a-repository.md", "pull_request").text,
        shown.next().unwrap().text,
        "the README should show the same workflow"
    );
}

#[test]
fn what_is_sent_to_github_is_what_the_workflow_waits_for() {
    let page = guide("badge-and-dispatch.md");
    let workflow = workflow_on("badge-and-dispatch.md", "repository_dispatch").text;
    let (_, rest) = workflow.split_once("types: [").unwrap();
    let (event_type, _) = rest.split_once(']').unwrap();
    let mut n_sent = 0;
    for block in &page.blocks {
        for rest in block.text.split("\"event_type\": \"").skip(1) {
            assert_eq!(rest.split('"').next(), Some(event_type), "{block}");
            n_sent += 1;
        }
    }
    assert!(n_sent >= 3, "{n_sent}");
    for field in ["name", "version"] {
        assert!(
            workflow.contains(&format!("github.event.client_payload.{field}")),
            "{workflow}"
        );
    }
}

#[test]
fn every_link_of_the_documentation_leads_to_a_heading_that_is_there() {
    let found = pages(|path| path.starts_with("docs") || path == Path::new("README.md"));
    let mut n_anchors = 0;
    for page in &found {
        for link in page.links() {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let own = repository().join(&page.path);
            let target = match file {
                "" => own,
                file => own.parent().unwrap().join(file),
            };
            assert!(
                target.exists(),
                "{} links to `{link}`, which is not there",
                page.path.display()
            );
            if !anchor.is_empty() {
                n_anchors += 1;
                let anchors = Page::read(target.canonicalize().unwrap()).anchors();
                assert!(
                    anchors.contains(anchor),
                    "{} links to `{link}`, but there are only {anchors:?}",
                    page.path.display()
                );
            }
        }
    }
    assert!(n_anchors >= 20, "{n_anchors}");
}

#[test]
fn each_guide_is_linked_from_the_readme() {
    let readme = Page::read(PathBuf::from("README.md"));
    let linked: BTreeSet<&str> = readme.links().into_iter().collect();
    for page in guides() {
        let path = page.path.display().to_string();
        assert!(linked.contains(&*path), "the README does not link {path}");
    }
}

/// The commands of a shell's block, a line each, continued lines joined.
fn commands(block: &Block) -> Vec<Vec<String>> {
    let joined = block.text.replace("\\\n", " ");
    let lines = joined.lines().map(|line| {
        let code = line.split(" #").next().unwrap_or_default();
        code.split_whitespace().map(str::to_owned).collect()
    });
    lines
        .filter(|words: &Vec<String>| !words.is_empty())
        .collect()
}

/// By the stage's own parser: with `--help` last, it reads every argument and runs nothing.
#[test]
fn every_command_is_one_that_the_stage_understands() {
    let mut n_commands = 0;
    for page in pages(|_| true) {
        for block in page.blocks.iter().filter(|block| block.language == "sh") {
            for words in commands(block) {
                let Some(name) = words[0].strip_prefix("trainyard-") else {
                    continue;
                };
                assert!(STAGES.contains(&name), "{block}: there is no `{name}`");
                let mut command = stage(name);
                command.args(&words[1..]).arg("--help");
                let said = output(&mut command);
                assert!(
                    said.status.success(),
                    "{block}: {words:?}: {}",
                    String::from_utf8_lossy(&said.stderr)
                );
                n_commands += 1;
            }
        }
    }
    assert!(n_commands >= 10, "{n_commands}");
}

/// Options that a guide names in its prose, such as `--resume`.
#[test]
fn every_option_that_a_guide_names_is_there() {
    let help = |name: &&str| run(stage(name).arg("--help"));
    let known: String = STAGES.iter().map(help).collect();
    let known: BTreeSet<&str> = known
        .split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'))
        .filter(|word| word.starts_with("--"))
        .collect();
    for page in guides() {
        let code = page.prose.split('`').skip(1).step_by(2);
        for option in code.filter(|code| code.starts_with("--")) {
            let name = option.split([' ', '=']).next().unwrap_or_default();
            assert!(
                known.contains(name),
                "{} names `{option}`, which no stage has",
                page.path.display()
            );
        }
    }
}

#[test]
fn troubleshooting_has_a_row_for_each_exit_code_that_is_an_error() {
    let page = guide("troubleshooting.md");
    let reference = Page::read(PathBuf::from("docs/reference/exit-codes.md"));
    let first_cell = |line: &str| -> Vec<u8> {
        let cell = line
            .strip_prefix("| ")
            .and_then(|line| line.split(" |").next());
        let codes = cell.unwrap_or_default().split(", ");
        codes.filter_map(|code| code.parse().ok()).collect()
    };
    let listed: BTreeSet<u8> = page.prose.lines().flat_map(first_cell).collect();
    // 6 and 7 are of deployments, which no stage does yet.
    let codes = reference.prose.lines().flat_map(first_cell);
    for code in codes.filter(|code| ![0, 6, 7].contains(code)) {
        assert!(listed.contains(&code), "there is no row for {code}");
    }
}

/// Each case that is told apart in the client of GitHub's API, by its status and by GitHub's words.
#[test]
fn troubleshooting_has_a_row_for_each_hint_about_githubs_api() {
    let guide = guide("troubleshooting.md").prose;
    let (_, section) = guide.split_once("## Messages of GitHub's API").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let code = fs::read_to_string(repository().join("crates/github/src/error.rs")).unwrap();
    let (_, hints) = code.split_once("fn hint(").unwrap();
    let words = hints
        .split("message.contains(\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    let arms = hints.lines().map(str::trim);
    let arms = arms.filter(|line| line.starts_with(|first: char| first.is_ascii_digit()));
    let statuses = arms
        .flat_map(|line| line.split(|letter: char| !letter.is_ascii_digit()))
        .filter(|digits| digits.len() == 3);
    let cases: BTreeSet<&str> = words.chain(statuses).collect();
    assert!(cases.len() >= 12, "{cases:?}");
    for case in cases {
        assert!(section.contains(case), "there is no row for `{case}`");
    }
}

#[test]
fn a_heading_is_linked_as_on_github() {
    for (heading, expected) in [
        ("2. Add the workflow", "2-add-the-workflow"),
        ("Merge a fork's change", "merge-a-forks-change"),
        ("`[[gate.rules]]`", "gaterules"),
        ("One check for all: join", "one-check-for-all-join"),
    ] {
        assert_eq!(slug(heading), expected);
    }
}
