//! What `cargo xtask soak serve` does for minutes, in short. Times are not asserted here: they are of an idle machine.

use std::time::Duration;

use trainyard_tests::serving::bounds::Figure;
use trainyard_tests::serving::overload::{self, Traffic, binary_images, json_images};
use trainyard_tests::serving::process::Setup;
use trainyard_tests::serving::termination::{self, Terminations};
use trainyard_tests::serving::{mutated, slow};

use crate::project::Project;
use crate::support::{binaries, repository};

const PREDICT: &str = "/v1/models/mnist:predict";
const INFER: &str = "/v2/models/mnist/infer";

fn setup(project: &Project) -> Setup {
    project.run("train", &[], 0);
    let program = binaries().join("trainyard-serve");
    Setup::new(&program, &project.path("trainyard-out/model"))
}

#[track_caller]
fn hold(figures: &[Figure]) {
    assert!(figures.len() >= 4, "{}", figures.len());
    let lines: Vec<String> = figures.iter().map(Figure::to_string).collect();
    let counts = figures.iter().filter(|figure| figure.unit != "ms");
    assert!(counts.clone().count() >= 3);
    assert!(
        counts.into_iter().all(Figure::holds),
        "{}",
        lines.join("\n")
    );
}

#[test]
fn an_overload_is_refused_within_the_memory() {
    let project = Project::new();
    let setup = Setup {
        address_space_kb: Some(400_000),
        ..setup(&project)
    };
    let of = |name: &str, request, n_clients| Traffic {
        name: name.to_owned(),
        request,
        n_clients,
        times_capacity: None,
    };
    // Each byte of the second becomes a value of four.
    for traffic in [
        of("64 clients × 200 rows", json_images(PREDICT, 200), 64),
        of("400 clients × 256 rows", binary_images(INFER, 256), 400),
    ] {
        hold(&overload::run(&setup, &traffic, Duration::from_secs(3)).unwrap());
    }
}

#[test]
fn others_are_served_beside_more_slow_clients_than_files() {
    let project = Project::new();
    let setup = Setup {
        n_files: 256,
        ..setup(&project)
    };
    let one = json_images(PREDICT, 1);
    hold(&slow::run(&setup, 400, &one, Duration::from_secs(2)).unwrap());
}

#[test]
fn mutated_requests_are_never_answered_by_5xx() {
    let program = binaries().join("trainyard-serve");
    let model = repository().join("tests/fixtures/serving/model");
    let setup = Setup::new(&program, &model).with(&mutated::OPTIONS);
    hold(&mutated::run(&setup, "plants", &[4], 3000, 1).unwrap());
}

#[test]
fn sigterm_under_many_clients_loses_no_request() {
    let project = Project::new();
    let terminations = Terminations {
        n_times: 2,
        n_clients: 64,
        request: json_images(PREDICT, 4),
        deadline: Duration::from_secs(21),
    };
    hold(&termination::run(&setup(&project), &terminations).unwrap());
}
