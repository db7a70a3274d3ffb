//! Options of all stages, and the variables that hold them.

use crate::project::Said;
use crate::support::{run, stage};

const STAGES: [&str; 6] = [
    "train",
    "evaluate",
    "gate",
    "publish-image",
    "verify",
    "deploy",
];

/// As GitHub hands over a secret or a variable that is not there.
#[test]
fn a_variable_that_is_empty_is_unset_for_every_option_that_has_one() {
    let mut n_variables = 0;
    let folder = tempfile::tempdir().unwrap();
    for name in STAGES {
        // Ends once the options are read: there is no such configuration, and no key to verify by.
        let ended = |variable: Option<&str>| {
            let mut stage = stage(name);
            stage.current_dir(folder.path());
            match name {
                "verify" => stage.arg("localhost:1/acme/m:1"),
                _ => stage.args(["--config", "no-such-file.toml"]),
            };
            stage.args(["--log-level", "error"]);
            if let Some(variable) = variable {
                stage.env(variable, "");
            }
            let Said { stdout, stderr } = Said::of(&mut stage, 2);
            (stdout, stderr)
        };
        let help = run(stage(name).arg("--help"));
        let variables = help.split("[env: ").skip(1);
        for variable in variables.filter_map(|rest| rest.split(['=', ']']).next()) {
            assert_eq!(ended(Some(variable)), ended(None), "{name}: {variable}");
            n_variables += 1;
        }
    }
    // Cache, authorities, token, user and password, where each belongs.
    assert!(n_variables >= 10, "{n_variables}");
}

/// Not the argument, which other processes can see.
#[test]
fn half_of_a_login_is_completed_by_a_variable() {
    let mut publish = stage("publish-image");
    publish.env("TRAINYARD_REGISTRY_USERNAME", "bob");
    Said::of(&mut publish, 2).has_error("`TRAINYARD_REGISTRY_PASSWORD`");
}
