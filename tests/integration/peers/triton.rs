//! The server against NVIDIA's own client of the Open Inference Protocol, tritonclient.

use serde_json::json;

use super::python_with;
use crate::http::Server;
use crate::project::Project;
use crate::serve::images;
use crate::support::{repository, run};

#[test]
fn every_call_and_encoding_of_tritonclient_is_answered() {
    let project = Project::new();
    project.run("train", &[], 0);
    let server = Server::start(&project.path("trainyard-out/model"));
    let rows = images(3);
    let (status, answer) = server.post("/v1/models/mnist:predict", &json!({"instances": rows}));
    assert_eq!(status, 200, "{answer}");
    let file = project.path("rows.json");
    let given = json!({"rows": rows, "scores": answer["predictions"]});
    std::fs::write(&file, given.to_string()).unwrap();
    // The counts of the script are those of a server of its own.
    let server = Server::start(&project.path("trainyard-out/model"));
    let said = run(python_with("tritonclient", "tritonclient[http]")
        .arg(repository().join("tests/fixtures/serving/triton.py"))
        .arg(&server.address)
        .arg(&file));
    assert!(said.contains("132 answers"), "{said}");
}
