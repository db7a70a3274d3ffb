//! The examples for Jenkins, Travis and GitLab, word for word, on a repository without a variable of GitHub's: the same model
//! and verdict as under act, reports published, a tag that publishes, a red gate, and files that are refused.
//!
//! None of the three systems can be run here. A Jenkinsfile is run by Groovy's own parser and a strict interpreter, the other
//! two by strict runners, all in `tests/fixtures/ci`; their scripts are executed for real, and the files are held against their
//! schemas in `peers::yaml`.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, iter};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::act::project::Project;
use super::registry::Registry;
use super::{program, python_with};
use crate::project::read_json;
use crate::support::{binaries, output, repository, run as run_of};

const JENKINSFILE: &str = "jenkins/Jenkinsfile";
const WITH_LIBRARY: &str = "jenkins/Jenkinsfile.library";
const TRAVIS: &str = "travis/.travis.yml";
const GITLAB: &str = "gitlab/.gitlab-ci.yml";

/// Where an image goes in the examples; GitLab's names its project's own registry.
const DESTINATION: &str = "registry.example.org/team/digits";

/// What an example's run left.
struct Run {
    /// The exit code: 0 is green, 1 red, and 2 a file that is refused.
    code: Option<i32>,
    log: String,
    report: Value,
    /// The checkout in which the model was judged.
    checkout: PathBuf,
}

impl Run {
    #[track_caller]
    fn assert_code(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{}", self.log);
    }

    fn json(&self, relative: &str) -> Value {
        read_json(&self.checkout.join("trainyard-out").join(relative))
    }

    /// What every system must agree on.
    fn judged(&self) -> Value {
        judged(
            &self.json("verdict/verdict.json"),
            &self.json("evaluation/evaluation.json"),
        )
    }

    /// What of the Jenkinsfile's reports the step named `step` published.
    fn published(&self, step: &str) -> &Value {
        let published = self.report["published"].as_array().unwrap();
        let found = published.iter().find(|found| found["step"] == step);
        found.unwrap_or_else(|| panic!("`{step}` published nothing: {}", self.report))
    }
}

/// Verdict, digests and figures, without the commit, which a pull request's merge changes, and times.
fn judged(verdict: &Value, evaluation: &Value) -> Value {
    assert!(verdict["model_digest"].is_string(), "{verdict}");
    json!([
        verdict["verdict"],
        verdict["model_digest"],
        verdict["data_digest"],
        evaluation["model"]["digest"],
        evaluation["measurements"],
    ])
}

/// A system of one's own: what is installed on its machines, and a folder a run.
struct Machine {
    folder: TempDir,
    destination: String,
}

impl Machine {
    /// A machine whose images go to `destination`.
    fn new(destination: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let machine = Self {
            folder,
            destination: destination.to_owned(),
        };
        machine.pack_release();
        machine
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    fn executable(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The archive of a release as the install page has it, whose programs lead to those under test, and a `curl` that fetches
    /// it from here: there is no release yet, and no network.
    fn pack_release(&self) {
        let name = concat!(
            "trainyard-",
            env!("CARGO_PKG_VERSION"),
            "-x86_64-unknown-linux-gnu"
        );
        for stage in ["train", "evaluate", "gate", "publish-image"] {
            let binary = binaries().join(format!("trainyard-{stage}"));
            let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", binary.display());
            self.executable(&format!("release/{name}/trainyard-{stage}"), &script);
        }
        let release = self.path("release");
        let archive = format!("{name}.tar.gz");
        run_of(
            Command::new("tar")
                .args(["-czf", &archive, name])
                .current_dir(&release),
        );
        let sums = run_of(
            Command::new("sha256sum")
                .arg(&archive)
                .current_dir(&release),
        );
        fs::write(release.join("SHA256SUMS"), sums).unwrap();
        let base = concat!(
            "https://github.com/trainyard/trainyard/releases/download/v",
            env!("CARGO_PKG_VERSION"),
            "/"
        );
        let curl = format!(
            "#!/bin/sh\nset -e\nfor word in \"$@\"; do\n  case $word in\n    -fsSLO) ;;\n    {base}*) cp \"{}/${{word#{base}}}\" . ;;\n    *) echo \"curl: $word\" >&2; exit 2 ;;\n  esac\ndone\n",
            release.display()
        );
        self.executable("bin/curl", &curl);
    }

    /// Runs an example on a clone of `project`, in an environment with nothing of this machine's in it but the peers.
    fn run(&self, example: &str, project: &Path, variables: &[(&str, &str)]) -> Run {
        let text = fs::read_to_string(repository().join("examples").join(example)).unwrap();
        self.run_text(example, &text, project, variables)
    }

    /// The same, with `text` in the place of the example's.
    fn run_text(
        &self,
        example: &str,
        text: &str,
        project: &Path,
        variables: &[(&str, &str)],
    ) -> Run {
        let name = example.replace('/', "-");
        let n_before = fs::read_dir(self.folder.path()).unwrap().count();
        let folder = self.path(&format!("{name}-{n_before}"));
        let workspace = folder.join("workspace");
        run_of(
            Command::new("git")
                .args(["clone", "--quiet"])
                .arg(project)
                .arg(&workspace),
        );
        let file = folder.join("file");
        fs::write(&file, text.replace(DESTINATION, &self.destination)).unwrap();
        let fixtures = repository().join("tests/fixtures/ci");
        let is_jenkins = example.starts_with("jenkins");
        let mut command = if is_jenkins {
            let mut groovy = program("groovy");
            groovy
                .arg(fixtures.join("jenkins.groovy"))
                .arg(&file)
                .arg(folder.join("report.json"))
                .arg(repository().join("examples/jenkins/vars"));
            groovy
        } else {
            let runner = if example == TRAVIS {
                "travis.py"
            } else {
                "gitlab.py"
            };
            let mut python = python_with("ruamel.yaml", "ruamel.yaml");
            python.arg(fixtures.join(runner)).arg(&file).arg(&folder);
            python
        };
        command.env_clear();
        let own = env::var_os("PATH").unwrap();
        // A Jenkins agent has the programs; on the others the file fetches them.
        let agent = is_jenkins.then(binaries);
        let path = agent
            .into_iter()
            .chain(iter::once(self.path("bin")))
            .chain(env::split_paths(&own));
        command
            .env("PATH", env::join_paths(path).unwrap())
            .env("HOME", &folder)
            .env("LANG", "C.UTF-8")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        // As each system says of the commit that it has checked out.
        let commit = run_of(
            Command::new("git")
                .args(["rev-parse", "HEAD"])
                .current_dir(&workspace),
        );
        let variable = match example {
            TRAVIS => "TRAVIS_COMMIT",
            GITLAB => "CI_COMMIT_SHA",
            _ => "GIT_COMMIT",
        };
        command.env(variable, commit.trim());
        if let Some(java) = java_home() {
            command.env("JAVA_HOME", java);
        }
        for (variable, value) in variables {
            assert!(!variable.starts_with("GITHUB_"), "{variable}");
            command.env(variable, value);
        }
        let done = output(command.current_dir(&workspace));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let log = text(&done.stdout) + &text(&done.stderr);
        let report = folder.join("report.json");
        let report = fs::read_to_string(report)
            .map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
        let checkout = match example {
            TRAVIS if variables.iter().any(|(name, _)| *name == "TRAVIS_TAG") => {
                folder.join("publish")
            }
            TRAVIS => folder.join("judge"),
            GITLAB => folder.join("artifacts"),
            _ => workspace,
        };
        Run {
            code: done.status.code(),
            log,
            report,
            checkout,
        }
    }
}

/// Debian's `groovy` looks for Java in places of its own only.
fn java_home() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let mut java = env::split_paths(&path).map(|folder| folder.join("java"));
    let java = java.find_map(|java| java.canonicalize().ok())?;
    Some(java.parent()?.parent()?.to_owned())
}

const JENKINS_BRANCH: [(&str, &str); 3] = [
    ("JENKINS_URL", "https://ci.acme.dev/"),
    ("BRANCH_NAME", "main"),
    ("BRANCH_IS_PRIMARY", "true"),
];
const JENKINS_TAG: [(&str, &str); 4] = [
    ("JENKINS_URL", "https://ci.acme.dev/"),
    ("BRANCH_NAME", "v1.2.3"),
    ("TAG_NAME", "v1.2.3"),
    ("CREDENTIALS", "registry ci s3cret"),
];
const TRAVIS_BRANCH: [(&str, &str); 4] = [
    ("TRAVIS", "true"),
    ("TRAVIS_EVENT_TYPE", "push"),
    ("TRAVIS_PULL_REQUEST", "false"),
    ("TRAVIS_BRANCH", "main"),
];
const TRAVIS_TAG: [(&str, &str); 5] = [
    ("TRAVIS", "true"),
    ("TRAVIS_BRANCH", "v1.2.3"),
    ("TRAVIS_TAG", "v1.2.3"),
    ("TRAINYARD_REGISTRY_USERNAME", "ci"),
    ("TRAINYARD_REGISTRY_PASSWORD", "s3cret"),
];
const GITLAB_REQUEST: [(&str, &str); 6] = [
    ("GITLAB_CI", "true"),
    ("CI_PIPELINE_SOURCE", "merge_request_event"),
    ("CI_DEFAULT_BRANCH", "main"),
    ("CI_MERGE_REQUEST_IID", "7"),
    ("CI_MERGE_REQUEST_PROJECT_PATH", "acme/digits"),
    ("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH", "acme/digits"),
];

fn gitlab_tag(image: &str) -> [(&str, &str); 7] {
    [
        ("GITLAB_CI", "true"),
        ("CI_PIPELINE_SOURCE", "push"),
        ("CI_DEFAULT_BRANCH", "main"),
        ("CI_COMMIT_TAG", "v1.2.3"),
        ("CI_REGISTRY_IMAGE", image),
        ("CI_REGISTRY_USER", "ci"),
        ("CI_REGISTRY_PASSWORD", "s3cret"),
    ]
}

#[test]
fn every_system_gives_the_model_and_the_verdict_of_act() {
    let project = Project::new("0.5", "registry.invalid");
    let by_act = project.pull_request();
    assert!(by_act.is_green, "{}", by_act.messages());
    let expected = judged(
        &project.artifact("verdict/verdict.json"),
        &project.artifact("evaluation/evaluation.json"),
    );
    assert_eq!(expected[0], "pass");

    let checkout = project.path("project");
    let machine = Machine::new("registry.invalid/acme/digits");
    for example in [JENKINSFILE, WITH_LIBRARY] {
        let jenkins = machine.run(example, &checkout, &JENKINS_BRANCH);
        jenkins.assert_code(0);
        assert_eq!(jenkins.judged(), expected, "{example}");
        assert_eq!(jenkins.published("junit")["failed"], 0);
        let n_results = &jenkins.published("recordIssues")["results"];
        assert!(n_results.as_u64() >= Some(1), "{n_results}");
        let files = jenkins.published("archiveArtifacts")["files"].to_string();
        for file in ["model/weights.safetensors", "evaluation/report.html"] {
            assert!(files.contains(file), "{files}");
        }
        let stages = jenkins.report["stages"].as_array().unwrap();
        let last = &stages.last().unwrap()["outcome"];
        // The library's step leaves the publishing out itself.
        let expected = if example == JENKINSFILE {
            "skipped due to when"
        } else {
            "run"
        };
        assert_eq!(last, expected, "{}", jenkins.report);
        assert!(!jenkins.checkout.join("trainyard-out/image").exists());
    }

    let travis = machine.run(TRAVIS, &checkout, &TRAVIS_BRANCH);
    travis.assert_code(0);
    assert_eq!(travis.judged(), expected);
    let outcomes = json!([
        {"stage": "judge", "outcome": "passed"},
        {"stage": "publish", "outcome": "skipped"},
    ]);
    assert_eq!(travis.report, outcomes);

    let gitlab = machine.run(GITLAB, &checkout, &GITLAB_REQUEST);
    gitlab.assert_code(0);
    assert_eq!(gitlab.judged(), expected);
    let outcomes = json!([
        {"job": "model", "outcome": "success", "reports": {"junit": true, "metrics": true}},
        {"job": "publish", "outcome": "skipped", "reports": {}},
    ]);
    assert_eq!(gitlab.report["jobs"], outcomes);
}

#[test]
fn a_tag_publishes_the_image_from_every_system() {
    let registry = Registry::start_with_login();
    let project = Project::new("0.5", "registry.invalid");
    let checkout = project.path("project");
    let mut digests = Vec::new();
    for (example, name) in [
        (JENKINSFILE, "jenkins"),
        (WITH_LIBRARY, "library"),
        (TRAVIS, "travis"),
        (GITLAB, "gitlab"),
    ] {
        let image = format!("{}/team/{name}", registry.address);
        let machine = Machine::new(&image);
        let run = match example {
            TRAVIS => machine.run(example, &checkout, &TRAVIS_TAG),
            GITLAB => machine.run(example, &checkout, &gitlab_tag(&image)),
            _ => machine.run(example, &checkout, &JENKINS_TAG),
        };
        run.assert_code(0);
        assert!(!run.log.contains("s3cret"), "{}", run.log);
        let mut skopeo = program("skopeo");
        skopeo.args(["inspect", "--tls-verify=false", "--creds=ci:s3cret"]);
        skopeo.args(["--format", "{{.Digest}} {{.Labels}}"]);
        digests.push(run_of(skopeo.arg(format!("docker://{image}:1.2.3"))));
    }
    // One commit is one image, wherever it was built.
    assert_eq!(digests.len(), 4);
    digests.dedup();
    assert_eq!(digests.len(), 1, "{digests:?}");
}

#[test]
fn a_model_below_its_rule_is_red_and_reported_everywhere_and_is_not_published() {
    let project = Project::new("0.9999", "registry.invalid");
    let checkout = project.path("project");
    let machine = Machine::new("registry.invalid/acme/digits");
    for example in [JENKINSFILE, WITH_LIBRARY] {
        let jenkins = machine.run(example, &checkout, &JENKINS_TAG);
        jenkins.assert_code(1);
        assert_eq!(jenkins.report["result"], "FAILURE");
        let failed = &jenkins.published("junit")["failed"];
        assert!(failed.as_u64() >= Some(1), "{failed}");
        jenkins.published("recordIssues");
        jenkins.published("archiveArtifacts");
        assert!(!jenkins.checkout.join("trainyard-out/image").exists());
    }
    let travis = machine.run(TRAVIS, &checkout, &TRAVIS_TAG);
    travis.assert_code(1);
    assert_eq!(travis.report[1]["outcome"], "failed");
    assert!(!travis.checkout.join("trainyard-out/image").exists());

    let gitlab = machine.run(
        GITLAB,
        &checkout,
        &gitlab_tag("registry.invalid/acme/digits"),
    );
    gitlab.assert_code(1);
    assert_eq!(gitlab.json("verdict/verdict.json")["verdict"], "fail");
    let outcomes = json!([
        {"job": "model", "outcome": "failed", "reports": {"junit": true, "metrics": true}},
        {"job": "publish", "outcome": "skipped", "reports": {}},
    ]);
    assert_eq!(gitlab.report["jobs"], outcomes);
}

/// As Jenkins does: the whole file is checked first. `when { } steps { }` on one line is one call of another in Groovy.
#[test]
fn a_file_with_a_mistake_is_refused_before_anything_runs() {
    let project = Project::new("0.5", "registry.invalid");
    let checkout = project.path("project");
    let machine = Machine::new("registry.invalid/acme/digits");
    let one_line = "when {\n                buildingTag()\n            }\n            steps";
    for (example, from, to, expected) in [
        (
            JENKINSFILE,
            "    post {",
            "    posts {",
            "`pipeline` knows no `posts`",
        ),
        (
            JENKINSFILE,
            "disableConcurrentBuilds",
            "disableConcurrent",
            "`options` knows no",
        ),
        (
            JENKINSFILE,
            "buildingTag()",
            "buildingTags()",
            "`when` knows no `buildingTags`",
        ),
        (
            JENKINSFILE,
            one_line,
            "when { buildingTag() } steps",
            "stands on the line of `when`",
        ),
        (
            JENKINSFILE,
            "junit testResults",
            "junit testResult",
            "`junit` knows no `testResult`",
        ),
        (
            JENKINSFILE,
            "sh 'trainyard-gate'",
            "bash 'trainyard-gate'",
            "there is no step `bash`",
        ),
        (TRAVIS, "language:", "langage:", "lacks `language`"),
        (
            TRAVIS,
            "tag IS blank",
            "tag is blank",
            "the condition `tag is blank`",
        ),
        (GITLAB, "  timeout: 15", "  time: 15", "knows no `time`"),
        (
            GITLAB,
            "when: always",
            "when: allways",
            "`artifacts: when: allways`",
        ),
    ] {
        let path = repository().join("examples").join(example);
        let text = fs::read_to_string(path).unwrap();
        assert!(text.contains(from), "`{from}` is not in {example}");
        let variables = match example {
            TRAVIS => &TRAVIS_BRANCH[..],
            GITLAB => &GITLAB_REQUEST[..],
            _ => &JENKINS_BRANCH[..],
        };
        let run = machine.run_text(example, &text.replacen(from, to, 1), &checkout, variables);
        run.assert_code(2);
        let log = &run.log;
        assert!(log.contains("refused: ") && log.contains(expected), "{log}");
        assert!(!log.contains("trainyard-train"), "{log}");
    }
}

/// The library's step refuses an option that it does not know, when it is run.
#[test]
fn the_librarys_step_names_an_unknown_option() {
    let project = Project::new("0.5", "registry.invalid");
    let machine = Machine::new("registry.invalid/acme/digits");
    let path = repository().join("examples").join(WITH_LIBRARY);
    let text = fs::read_to_string(path)
        .unwrap()
        .replace("push:", "pushes:");
    let checkout = project.path("project");
    let run = machine.run_text(WITH_LIBRARY, &text, &checkout, &JENKINS_BRANCH);
    run.assert_code(1);
    let expected =
        "ERROR: trainyard: there is no option pushes; it takes config, out, push and credentialsId";
    assert!(run.log.contains(expected), "{}", run.log);
}
