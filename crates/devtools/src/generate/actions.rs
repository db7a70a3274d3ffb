//! `action.yml` of each stage and of the whole chain, from the stages' clap structs and output lists.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command, CommandFactory as _};
use trainyard_runner::inputs::{documented, variable};

use crate::Generated;

/// Options that print something and stop, which no workflow wants.
const NOT_INPUTS: [&str; 1] = ["print-config"];

/// Options that change what flows between the stages, which the chain decides itself.
const NOT_OF_THE_CHAIN: [&str; 13] = [
    "answer",
    "content-key",
    "evaluation",
    "if-unchanged",
    "join",
    "legs",
    "metrics",
    "model",
    "name",
    "predictions",
    "preflight",
    "start",
    "task",
];

/// No binary is asked to publish where the input says otherwise, so none checks it.
const CHECK_OF_PUBLISH: &str = "    - name: Check the input `publish`
      if: inputs.publish != 'true' && inputs.publish != 'false'
      shell: bash
      run: |
        echo '::error title=Trainyard%3A wrong inputs::invalid value for the input `publish`; write `true` or `false`'
        exit 2
";

/// GitHub's own action keeps the files; runs of the base branch leave them for comparisons, and people open the page.
const UPLOAD: &str = "    - name: Keep model, evaluation and verdict
      if: always() && steps.gate.outputs.artifact != ''
      uses: actions/upload-artifact@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f # v7.0.0
      with:
        name: ${{ steps.gate.outputs.artifact }}
        path: ${{ steps.gate.outputs.folder }}
        overwrite: true
        if-no-files-found: warn
";

/// Outputs of the stages that the chain hands on: stage, output.
const OUTPUTS_OF_THE_CHAIN: [(&str, &str); 20] = [
    ("gate", "verdict"),
    ("gate", "title"),
    ("gate", "comment"),
    ("gate", "comment-url"),
    ("gate", "check-url"),
    ("gate", "issue-url"),
    ("gate", "junit"),
    ("gate", "badge"),
    ("gate", "artifact"),
    ("train", "model-digest"),
    ("train", "content-key"),
    ("evaluate", "metrics"),
    ("evaluate", "report"),
    ("publish-image", "digest"),
    ("publish-image", "image"),
    ("publish-image", "images"),
    ("publish-image", "tags"),
    ("publish-image", "release-notes"),
    ("publish-image", "model-card"),
    ("publish-image", "release-url"),
];

/// An action: one stage, or the chain.
pub(crate) struct Action {
    /// Its folder from the repository's root; empty for the chain.
    pub(crate) folder: String,
    title: String,
    description: String,
    icon: &'static str,
    pub(crate) inputs: Vec<Input>,
    pub(crate) outputs: Vec<Output>,
    steps: Vec<Step>,
}

pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) default: Option<String>,
}

pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) description: String,
    step: String,
}

/// One stage of an action.
struct Step {
    id: &'static str,
    stage: &'static str,
    condition: Option<&'static str>,
    /// An input that is always set, as a variable.
    fixed: Option<&'static str>,
    /// Inputs that reach it.
    inputs: Vec<String>,
}

struct Stage {
    name: &'static str,
    icon: &'static str,
    command: Command,
    outputs: &'static [(&'static str, &'static str)],
}

/// The stages of the chain.
fn stages() -> [Stage; 4] {
    [
        Stage {
            name: "train",
            icon: "cpu",
            command: trainyard_train::Inputs::command(),
            outputs: trainyard_train::OUTPUTS,
        },
        Stage {
            name: "evaluate",
            icon: "bar-chart-2",
            command: trainyard_evaluate::Inputs::command(),
            outputs: trainyard_evaluate::OUTPUTS,
        },
        Stage {
            name: "gate",
            icon: "shield",
            command: trainyard_gate::Inputs::command(),
            outputs: trainyard_gate::OUTPUTS,
        },
        Stage {
            name: "publish-image",
            icon: "package",
            command: trainyard_publish_image::Inputs::command(),
            outputs: trainyard_publish_image::OUTPUTS,
        },
    ]
}

/// Checks an image that the chain published, wherever it is going to be used.
fn verify() -> Stage {
    Stage {
        name: "verify",
        icon: "check-circle",
        command: trainyard_verify::Inputs::command(),
        outputs: trainyard_verify::OUTPUTS,
    }
}

/// Brings an image that the chain published to a cluster, most often in a job of its own with an environment.
fn deploy() -> Stage {
    Stage {
        name: "deploy",
        icon: "upload-cloud",
        command: trainyard_deploy::Inputs::command(),
        outputs: trainyard_deploy::OUTPUTS,
    }
}

/// The actions of the stages, and last that of the chain.
pub(crate) fn all() -> Vec<Action> {
    let mut actions: Vec<Action> = stages()
        .iter()
        .chain([&verify(), &deploy()])
        .map(of_stage)
        .collect();
    actions.push(of_chain(&stages()));
    actions
}

fn of_stage(stage: &Stage) -> Action {
    let mut inputs = inputs(&stage.command);
    let names = inputs.iter().map(|input| input.name.clone()).collect();
    inputs.push(working_directory());
    Action {
        folder: format!("actions/{}", stage.name),
        title: format!("Trainyard: {}", stage.name),
        description: about(&stage.command),
        icon: stage.icon,
        inputs,
        outputs: stage
            .outputs
            .iter()
            .map(|(name, description)| Output {
                name: (*name).to_owned(),
                description: (*description).to_owned(),
                step: stage.name.to_owned(),
            })
            .collect(),
        steps: vec![Step {
            id: stage.name,
            stage: stage.name,
            condition: None,
            fixed: None,
            inputs: names,
        }],
    }
}

fn of_chain(stages: &[Stage]) -> Action {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    let mut steps = Vec::new();
    for stage in stages {
        let of_stage = inputs(&stage.command)
            .into_iter()
            // `evaluate` takes a name with predictions alone.
            .filter(|input| {
                !NOT_OF_THE_CHAIN.contains(&&*input.name)
                    || (stage.name == "gate" && input.name == "name")
            });
        let mut names = Vec::new();
        for input in of_stage {
            names.push(input.name.clone());
            if seen.insert(input.name.clone()) {
                all.push(of_the_chain(input));
            }
        }
        if stage.name == "gate" {
            // Before training, so that a pull request shows that a verdict is to come, whatever happens.
            steps.insert(
                0,
                Step {
                    id: "start",
                    stage: stage.name,
                    condition: None,
                    fixed: Some("INPUT_START: \"true\""),
                    inputs: names.clone(),
                },
            );
        }
        if stage.name == "publish-image" {
            // First of all: a wrong password costs no training.
            steps.insert(
                0,
                Step {
                    id: "preflight",
                    stage: stage.name,
                    condition: Some("inputs.publish == 'true'"),
                    fixed: Some("INPUT_PREFLIGHT: \"true\""),
                    inputs: names
                        .iter()
                        .filter(|name| *name != "dry-run")
                        .cloned()
                        .collect(),
                },
            );
        }
        steps.push(Step {
            id: stage.name,
            stage: stage.name,
            condition: match stage.name {
                // Also when a step before it failed: what could not be judged must not look green.
                "gate" => Some("always()"),
                "publish-image" => Some("inputs.publish == 'true'"),
                _ => None,
            },
            fixed: None,
            inputs: names,
        });
    }
    all.push(Input {
        name: "publish".to_owned(),
        description: "Build the image of a model that passed, and push it where `push` or `[image] repository` names a \
                      place."
            .to_owned(),
        default: Some("true".to_owned()),
    });
    all.push(working_directory());
    let outputs = OUTPUTS_OF_THE_CHAIN.iter().filter_map(|(stage, name)| {
        let stage = stages.iter().find(|candidate| candidate.name == *stage)?;
        let (_, description) = stage.outputs.iter().find(|(output, _)| output == name)?;
        Some(Output {
            name: (*name).to_owned(),
            description: (*description).to_owned(),
            step: stage.name.to_owned(),
        })
    });
    Action {
        folder: String::new(),
        title: "Trainyard".to_owned(),
        description:
            "Train a model, score it, judge it by written rules, and publish it as an image."
                .to_owned(),
        icon: "git-merge",
        inputs: all,
        outputs: outputs.collect(),
        steps,
    }
}

/// The chain uploads the artifact itself.
fn of_the_chain(input: Input) -> Input {
    match &*input.name {
        "artifact" => Input {
            description: "Name of the artifact with model, evaluation and verdict, which later runs fetch predictions from; `auto` names it after the model. Nothing is uploaded if empty, as GitHub Enterprise Server needs it."
                .to_owned(),
            default: Some("auto".to_owned()),
            ..input
        },
        "dry-run" => Input {
            description: "Write nothing to GitHub and push no image: the log shows what would be written."
                .to_owned(),
            ..input
        },
        "token" => Input {
            description: "Token that writes the comment (`pull-requests: write`), the check run (`checks: write`) and, for a release tag, the release (`contents: write`)."
                .to_owned(),
            ..input
        },
        _ => input,
    }
}

fn working_directory() -> Input {
    Input {
        name: "working-directory".to_owned(),
        description:
            "Folder to run in, relative to the workspace; paths in other inputs are relative to it."
                .to_owned(),
        default: Some(".".to_owned()),
    }
}

fn inputs(command: &Command) -> Vec<Input> {
    documented(command)
        .filter_map(input)
        .filter(|input| !NOT_INPUTS.contains(&&*input.name))
        .collect()
}

fn input(arg: &Arg) -> Option<Input> {
    let is_flag = matches!(arg.get_action(), ArgAction::SetTrue);
    let default = arg
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy().into_owned())
        .next();
    let values: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|_| !is_flag)
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    let mut description = sentence(&arg.get_help()?.to_string());
    if !values.is_empty() {
        let _ = write!(description, " One of {}.", values.join(", "));
    }
    Some(Input {
        name: arg.get_long()?.to_owned(),
        description,
        default: if is_flag {
            Some("false".to_owned())
        } else if arg.get_long() == Some("token") {
            Some("${{ github.token }}".to_owned())
        } else {
            default
        },
    })
}

fn about(command: &Command) -> String {
    sentence(
        &command
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default(),
    )
}

/// On one line, with a full stop.
fn sentence(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.ends_with('.') {
        text
    } else {
        format!("{text}.")
    }
}

/// A double-quoted YAML scalar; for these texts its escapes are those of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl Action {
    /// `action.yml`.
    pub(crate) fn file(&self) -> Generated {
        let is_chain = self.folder.is_empty();
        let mut yaml = String::from(
            "# Generated by `cargo xtask generate` from the stages' Rust types; do not edit.\n",
        );
        let Self {
            title,
            description,
            icon,
            inputs,
            outputs,
            steps,
            ..
        } = self;
        let _ = write!(
            yaml,
            "name: {}\ndescription: {}\nauthor: The Trainyard developers\nbranding:\n  icon: {icon}\n  color: blue\n",
            quoted(title),
            quoted(description)
        );
        yaml.push_str("\ninputs:\n");
        for input in inputs {
            let _ = write!(
                yaml,
                "  {}:\n    description: {}\n    required: false\n",
                input.name,
                quoted(&input.description)
            );
            if let Some(default) = &input.default {
                let _ = writeln!(yaml, "    default: {}", quoted(default));
            }
        }
        yaml.push_str("\noutputs:\n");
        for output in outputs {
            let _ = write!(
                yaml,
                "  {0}:\n    description: {1}\n    value: ${{{{ steps.{2}.outputs.{0} }}}}\n",
                output.name,
                quoted(&output.description),
                output.step
            );
        }
        yaml.push_str("\nruns:\n  using: composite\n  steps:\n");
        if inputs.iter().any(|input| input.name == "publish") {
            yaml.push_str(CHECK_OF_PUBLISH);
        }
        for step in steps {
            let script = if is_chain {
                "$GITHUB_ACTION_PATH/actions/support/run.sh"
            } else {
                "$GITHUB_ACTION_PATH/../support/run.sh"
            };
            let _ = write!(
                yaml,
                "    - name: Run trainyard-{}{}\n      id: {}\n",
                step.stage,
                if step.fixed.is_some() { " --start" } else { "" },
                step.id
            );
            if let Some(condition) = step.condition {
                let _ = writeln!(yaml, "      if: {condition}");
            }
            yaml.push_str("      shell: bash\n      working-directory: ${{ inputs.working-directory }}\n      env:\n");
            for input in &step.inputs {
                let _ = writeln!(
                    yaml,
                    "        {}: ${{{{ inputs.{input} }}}}",
                    variable(input)
                );
            }
            if let Some(fixed) = step.fixed {
                let _ = writeln!(yaml, "        {fixed}");
            }
            let asks = match step.stage {
                "publish-image" => Some("pushes"),
                "verify" | "deploy" => Some("pulls"),
                _ => None,
            };
            if let Some(asks) = asks {
                let _ = writeln!(
                    yaml,
                    "        # For ghcr.io, where nothing else says who {asks}."
                );
                yaml.push_str("        GITHUB_TOKEN: ${{ github.token }}\n");
            }
            let _ = writeln!(yaml, "      run: '\"{script}\" {}'", step.stage);
        }
        if is_chain {
            yaml.push_str(UPLOAD);
        }
        let path = if is_chain {
            "action.yml".to_owned()
        } else {
            format!("{}/action.yml", self.folder)
        };
        Generated::new(path, yaml)
    }
}
