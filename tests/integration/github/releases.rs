//! The release of a tag on GitHub: our section in its notes, and its files.

use std::fs;

use serde_json::{Value, json};
use trainyard_github::{
    AssetOutcome, GitHub, NewRelease, NotesOutcome, RELEASE_NOTES_LIMIT, ReleasePage,
};

use super::{Api, Repository, block_on};
use crate::project::{Project, Said};

/// A repository with this release, whose files are uploaded through Prism too, where it runs.
fn with_release(name: &'static str, mut release: Value) -> Repository {
    let repository = Repository { name };
    release["tag"] = json!("v1.0.0");
    let uploads = Api::Checked.address();
    repository.prepare(&json!({ "uploads": uploads, "releases": [release] }));
    repository
}

fn page(github: &GitHub) -> ReleasePage {
    let found = block_on(github.release_of_tag("v1.0.0")).unwrap();
    found.expect("the release was prepared")
}

fn release(repository: &Repository) -> Value {
    let releases = repository.state()["releases"].as_array().unwrap().clone();
    assert_eq!(releases.len(), 1, "{releases:?}");
    releases[0].clone()
}

/// Name and text of each file.
fn assets(repository: &Repository) -> Vec<(String, String)> {
    let release = release(repository);
    let text = |asset: &Value, key: &str| asset[key].as_str().unwrap().to_owned();
    let assets = release["assets"].as_array().unwrap().iter();
    assets
        .map(|asset| (text(asset, "name"), text(asset, "text")))
        .collect()
}

/// Method and path of what was asked, without what only reads.
fn writes(repository: &Repository) -> Vec<String> {
    let requests = repository.state()["requests"].as_array().unwrap().clone();
    let requests = requests.iter().map(|it| it.as_str().unwrap().to_owned());
    requests.filter(|it| !it.starts_with("GET ")).collect()
}

#[test]
fn notes_get_a_section_and_people_keep_their_text() {
    for (name, draft) in [("notes", false), ("notes-of-a-draft", true)] {
        let body = "Thanks to all!\r\n\r\n* faster\r\n";
        let given = json!({ "body": body, "draft": draft, "prerelease": true });
        let repository = with_release(name, given);
        let github = repository.checked();
        let page = page(&github);
        let put = |text: &'static str| {
            block_on(github.put_release_notes(page.id, "digits", |_| text.to_owned())).unwrap()
        };
        assert_eq!(put("| accuracy | 0.98 |"), NotesOutcome::Written);
        assert_eq!(put("| accuracy | 0.99 |"), NotesOutcome::Written);
        let n_writes = writes(&repository).len();
        assert_eq!(put("| accuracy | 0.99 |"), NotesOutcome::Unchanged);
        assert_eq!(writes(&repository).len(), n_writes);
        let release = release(&repository);
        let expected = format!(
            "{body}\n<!-- trainyard-release key=digits -->\n| accuracy | 0.99 |\n<!-- /trainyard-release key=digits -->\n"
        );
        assert_eq!(release["body"], expected);
        assert_eq!(
            (&release["draft"], &release["prerelease"]),
            (&json!(draft), &json!(true))
        );
    }
}

/// Each reads what is there before the other has written; both are there in the end.
#[test]
fn two_models_share_the_notes_of_one_release() {
    let repository = with_release("shared-notes", json!({ "body": "Hello" }));
    repository.fault(json!({ "method": "PATCH", "delay_ms": 60, "times": 2 }));
    let github = repository.direct();
    let id = page(&github).id;
    block_on(async {
        let (one, other) = tokio::join!(
            github.put_release_notes(id, "digits", |_| "of digits".to_owned()),
            github.put_release_notes(id, "letters", |_| "of letters".to_owned()),
        );
        one.unwrap();
        other.unwrap();
    });
    let body = release(&repository)["body"].as_str().unwrap().to_owned();
    assert!(body.starts_with("Hello\n\n"), "{body}");
    for expected in ["of digits", "of letters"] {
        assert_eq!(body.matches(expected).count(), 1, "{body}");
    }
}

#[test]
fn the_notes_stay_below_githubs_limit_whatever_people_wrote() {
    for (name, n_theirs, expected) in [
        ("long-notes", 100_000, NotesOutcome::Written),
        ("full-notes", 124_500, NotesOutcome::NoRoom),
    ] {
        let body = "ä".repeat(n_theirs);
        let repository = with_release(name, json!({ "body": body }));
        let github = repository.checked();
        let id = page(&github).id;
        let render = |max_chars: usize| "x".repeat(max_chars);
        let outcome = block_on(github.put_release_notes(id, "digits", render)).unwrap();
        assert_eq!(outcome, expected);
        let notes = release(&repository)["body"].as_str().unwrap().to_owned();
        assert!(notes.starts_with(&body));
        let n_chars = notes.chars().count();
        match expected {
            NotesOutcome::NoRoom => assert_eq!(n_chars, n_theirs),
            _ => assert_eq!(n_chars, RELEASE_NOTES_LIMIT),
        }
    }
}

fn put_asset(github: &GitHub, text: &str) -> Result<AssetOutcome, trainyard_github::GitHubError> {
    let page = page(github);
    block_on(github.put_release_asset(&page, "digits-report.html", text.as_bytes().to_vec()))
}

#[test]
fn a_file_takes_the_place_of_the_old_one_once_it_is_whole() {
    let name = "digits-report.html";
    let kept = ("theirs.zip".to_owned(), "zip".to_owned());
    let given = json!({ "assets": [
        { "name": "theirs.zip", "text": "zip" },
        // Left by a run that broke off.
        { "name": "digits-report.html.new", "text": "half" },
    ] });
    let repository = with_release("assets", given);
    let github = repository.checked();
    assert_eq!(put_asset(&github, "first").unwrap(), AssetOutcome::Added);
    assert_eq!(
        put_asset(&github, "second").unwrap(),
        AssetOutcome::Replaced
    );
    assert_eq!(
        put_asset(&github, "second").unwrap(),
        AssetOutcome::Unchanged
    );
    let second = (name.to_owned(), "second".to_owned());
    assert_eq!(assets(&repository), [kept, second]);
    let writes = writes(&repository);
    let methods: Vec<&str> = writes
        .iter()
        .filter_map(|it| it.split(' ').next())
        .collect();
    assert_eq!(methods, ["DELETE", "POST", "POST", "DELETE", "PATCH"]);
    assert!(
        writes[2].ends_with("?name=digits-report.html.new"),
        "{writes:?}"
    );
}

#[test]
fn an_upload_that_broke_off_is_in_nobodys_way() {
    // GitHub's description has this state in its words alone, so Prism refuses it.
    let given =
        json!({ "assets": [{ "name": "digits-report.html", "state": "starter", "text": "" }] });
    let repository = with_release("starter", given);
    repository.prepare(&json!({ "uploads": Api::Direct.address() }));
    let outcome = put_asset(&repository.direct(), "first").unwrap();
    assert_eq!(outcome, AssetOutcome::Added);
    let first = ("digits-report.html".to_owned(), "first".to_owned());
    assert_eq!(assets(&repository), [first]);
}

/// Each fault, once or twice; the new file is there once in the end.
#[test]
fn trouble_that_passes_leaves_one_file() {
    for (idx, fault) in [
        json!({ "method": "POST", "status": 502, "times": 2 }),
        json!({ "method": "POST", "status": 502, "is_carried_out": true, "times": 1 }),
        json!({ "method": "POST", "is_cut_off": true, "times": 1 }),
        json!({ "method": "POST", "status": 403, "message": "You have exceeded a secondary rate limit", "times": 1 }),
        json!({ "method": "DELETE", "status": 502, "is_carried_out": true, "times": 1 }),
        json!({ "method": "PATCH", "status": 503, "times": 2 }),
        json!({ "method": "GET", "status": 500, "times": 2 }),
    ]
    .into_iter()
    .enumerate()
    {
        let name: &'static str = format!("passing-upload-{idx}").leak();
        let repository = Repository { name };
        let old = json!([{ "name": "digits-report.html", "text": "old" }]);
        repository.prepare(&json!({ "releases": [{ "tag": "v1.0.0", "assets": old }] }));
        repository.fault(fault.clone());
        let outcome = put_asset(&repository.direct(), "new");
        let outcome = outcome.unwrap_or_else(|error| panic!("{fault}: {error}"));
        assert_eq!(outcome, AssetOutcome::Replaced, "{fault}");
        let new = ("digits-report.html".to_owned(), "new".to_owned());
        assert_eq!(assets(&repository), [new], "{fault}");
    }
}

#[test]
fn a_storm_costs_no_file() {
    let repository = Repository {
        name: "upload-storm",
    };
    let old = json!([{ "name": "digits-report.html", "text": "old" }]);
    repository.prepare(&json!({ "releases": [{ "tag": "v1.0.0", "assets": old }] }));
    repository.fault(json!({ "method": "POST", "status": 502, "times": 100 }));
    let error = put_asset(&repository.direct(), "new").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("cannot upload a file of the release"),
        "{error}"
    );
    let old = ("digits-report.html".to_owned(), "old".to_owned());
    assert_eq!(assets(&repository), [old]);
}

#[test]
fn a_release_is_made_as_a_draft_and_published_once() {
    for (idx, fault) in [
        None,
        Some(json!({ "method": "POST", "status": 502, "is_carried_out": true, "times": 1 })),
        Some(json!({ "method": "POST", "status": 502, "times": 2 })),
    ]
    .into_iter()
    .enumerate()
    {
        let name: &'static str = format!("made-{idx}").leak();
        let repository = Repository { name };
        let github = match fault {
            Some(fault) => {
                repository.fault(fault);
                repository.direct()
            }
            None => repository.checked(),
        };
        let new = NewRelease {
            tag: "models/digits/v1.0.0-rc.1".to_owned(),
            is_prerelease: true,
        };
        let url = block_on(async {
            assert_eq!(github.release_of_tag(&new.tag).await.unwrap(), None);
            let made = github.create_release(&new).await.unwrap();
            assert!(made.is_unfinished(), "{made:?}");
            let found = github.release_of_tag(&new.tag).await.unwrap();
            assert_eq!(found.map(|it| it.id), Some(made.id), "a draft is found too");
            let render = |_| "| accuracy |".to_owned();
            github
                .put_release_notes(made.id, "digits", render)
                .await
                .unwrap();
            github.publish_release(made.id).await.unwrap().html_url
        });
        let release = release(&repository);
        assert_eq!(release["html_url"], url);
        assert_eq!(
            (&release["draft"], &release["prerelease"]),
            (&json!(false), &json!(true))
        );
        let body = release["body"].as_str().unwrap();
        assert!(
            body.contains("| accuracy |") && !body.contains("unfinished"),
            "{body}"
        );
    }
}

#[test]
fn two_runs_that_make_a_release_at_once_make_one() {
    let repository = Repository { name: "made-twice" };
    repository.fault(json!({ "method": "POST", "delay_ms": 60, "times": 2 }));
    let github = repository.direct();
    let new = NewRelease {
        tag: "v1.0.0".to_owned(),
        is_prerelease: false,
    };
    block_on(async {
        let (one, other) = tokio::join!(github.create_release(&new), github.create_release(&new));
        assert_eq!(one.unwrap().id, other.unwrap().id);
    });
    release(&repository);
}

/// `publish-image` in a run of the tag `v1.0.0`; nothing is pushed.
fn publish(project: &Project, repository: &Repository, arguments: &[&str]) -> Said {
    publish_with(project, repository, arguments, "ghs_1234567890")
}

fn publish_with(
    project: &Project,
    repository: &Repository,
    arguments: &[&str],
    token: &str,
) -> Said {
    let event = json!({ "ref": "refs/tags/v1.0.0" });
    project.write("event.json", event.to_string());
    project.write("output", "");
    let mut publish = project.stage("publish-image", arguments);
    publish
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_API_URL", Api::Checked.address())
        .env("GITHUB_EVENT_NAME", "push")
        .env("GITHUB_EVENT_PATH", project.path("event.json"))
        .env("GITHUB_OUTPUT", project.path("output"))
        .env("GITHUB_REF", "refs/tags/v1.0.0")
        .env("GITHUB_REF_NAME", "v1.0.0")
        .env("GITHUB_REF_TYPE", "tag")
        .env("GITHUB_REPOSITORY", format!("acme/{}", repository.name))
        .env("GITHUB_RUN_ATTEMPT", "1")
        .env("GITHUB_RUN_ID", "1")
        .env("GITHUB_TOKEN", token);
    Said::of(&mut publish, 0)
}

fn url_output(project: &Project) -> String {
    let output = fs::read_to_string(project.path("output")).unwrap();
    let mut lines = output.lines();
    lines
        .find(|line| line.starts_with("release-url<<"))
        .unwrap();
    lines.next().unwrap().to_owned()
}

#[test]
fn the_release_of_a_tag_shows_the_published_model() {
    let repository = with_release("released", json!({ "body": "Hello" }));
    let project = Project::passed();
    publish(&project, &repository, &[]);
    let release = release(&repository);
    let body = release["body"].as_str().unwrap();
    assert!(
        body.starts_with(
            "Hello\n\n<!-- trainyard-release key=mnist -->\n### ✅ Pass · mnist 1.0.0 — "
        ) && body.contains("| Metric | This release |"),
        "{body}"
    );
    let assets = assets(&repository);
    let names: Vec<&str> = assets.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "mnist-model-card.md",
            "mnist-report.html",
            "mnist-verdict.html"
        ]
    );
    assert!(assets[0].1.starts_with("---\n") && assets[1].1.contains("<html"));
    assert_eq!(json!(url_output(&project)), release["html_url"]);

    // Once more, with a page that another hand wrote.
    project.write("trainyard-out/evaluation/report.html", "mine");
    let said = publish(&project, &repository, &[]);
    said.has_error("`trainyard-out/evaluation/report.html` has changed since");
    assert_eq!(self::assets(&repository).len(), 3);
    assert!(
        !self::assets(&repository)
            .iter()
            .any(|(_, text)| text == "mine")
    );

    let repository = with_release("locked", json!({ "body": "Hello", "immutable": true }));
    publish(&project, &repository, &[]).has_error("the release is immutable");
    let locked = self::release(&repository);
    assert!(
        locked["body"].as_str().unwrap().contains("| Metric |"),
        "{locked}"
    );
    assert_eq!(locked["assets"], json!([]));
}

#[test]
fn without_a_release_or_the_permission_a_line_says_so_and_the_run_is_green() {
    let project = Project::passed();
    let repository = Repository { name: "unreleased" };
    let said = publish(&project, &repository, &[]);
    said.has_error("`v1.0.0` has no release on GitHub; `release: create`");
    assert_eq!(url_output(&project), "");
    assert_eq!(writes(&repository), [] as [String; 0]);
    publish(&project, &repository, &["--release", "never"]);
    let n_requests = repository.state()["requests"].as_array().unwrap().len();
    publish(&project, &repository, &["--release", "never"]);
    // As a workflow without a token has it.
    publish_with(&project, &repository, &["--release", "create"], "")
        .has_error("no token: the release `v1.0.0` on GitHub is left as it is");
    let requests = repository.state()["requests"].clone();
    assert_eq!(requests.as_array().unwrap().len(), n_requests);

    publish(&project, &repository, &["--release", "create"]);
    let made = release(&repository);
    assert_eq!(
        (&made["draft"], &made["tag_name"]),
        (&json!(false), &json!("v1.0.0"))
    );
    assert_eq!(json!(url_output(&project)), made["html_url"]);

    let repository = with_release("read-only", json!({ "body": "Hello" }));
    repository.fault(json!({
        "method": "PATCH", "status": 403, "times": 100, "message": "Resource not accessible by integration",
    }));
    let said = publish(&project, &repository, &[]);
    said.has_error("the release `v1.0.0` on GitHub is left as it is: add `contents: write`");
    assert!(!said.stdout.contains("::warning"), "{}", said.stdout);
    // Where it was asked for, the run shows it.
    let said = publish(&project, &repository, &["--release", "create"]);
    said.has_output("::warning title=The release v1.0.0 is not up to date");
    assert_eq!(release(&repository)["body"], "Hello");
}
