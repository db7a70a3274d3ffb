//! The page of the server in a browser, Chromium.

use std::fs;

use super::python_with;
use crate::http::Server;
use crate::project::Project;
use crate::support::{repository, run, stage};

#[test]
fn a_drawn_digit_and_a_form_are_answered_in_a_browser() {
    let project = Project::new();
    project.run("train", &[], 0);
    let models = project.path("models");
    fs::create_dir_all(models.join("digits")).unwrap();
    fs::rename(project.path("trainyard-out/model"), models.join("digits/1")).unwrap();
    let table = repository().join("examples/diabetes/trainyard.toml");
    run(stage("train")
        .arg("--config")
        .arg(table)
        .arg("--out")
        .arg(project.path("table")));
    fs::create_dir_all(models.join("progression")).unwrap();
    fs::rename(project.path("table/model"), models.join("progression/1")).unwrap();
    let server = Server::start(&models);
    let said = run(python_with("playwright", "playwright")
        .arg(repository().join("tests/fixtures/serving/page.py"))
        .arg(&server.address)
        .arg(project.path("")));
    let mut numbers = Vec::new();
    for (line, scheme) in said.lines().zip(["light", "dark"]) {
        let number = line.strip_prefix(&format!("{scheme} 7 ")).expect(line);
        numbers.push(number.parse::<f64>().unwrap());
        let picture = project.path(&format!("digit-{scheme}.png"));
        assert!(fs::metadata(picture).unwrap().len() > 10_000);
    }
    // Progression of diabetes lies between 25 and 346 in the data.
    assert!(
        numbers.len() == 2 && numbers.iter().all(|it| (25.0..346.0).contains(it)),
        "{said}"
    );
}
