//! What a step made, in the file that `GITHUB_ARTIFACTS` names, from which the runner makes the list that `actions/attest` reads.
//!
//! A line a subject, `oci://IMAGE@DIGEST`. Where no runner sets the variable, nothing is written.

use std::io;
use std::path::PathBuf;

use crate::environment::Environment;
use crate::outputs;

/// Why an artifact could not be declared.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to the file in `GITHUB_ARTIFACTS`, `{}`", path.display())]
pub struct ArtifactsError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Declares what a step made. Does nothing where no runner asks for it.
#[derive(Clone, Debug, Default)]
pub struct Artifacts {
    path: Option<PathBuf>,
}

impl Artifacts {
    /// Writes to the file that `GITHUB_ARTIFACTS` names, if any.
    pub fn from_environment(environment: &Environment) -> Self {
        Self {
            path: environment.get("GITHUB_ARTIFACTS").map(PathBuf::from),
        }
    }

    /// Declares an image in a registry: `ghcr.io/owner/name@sha256:…`.
    pub fn declare_image(&self, image: &str) -> Result<(), ArtifactsError> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        outputs::append(path, &format!("oci://{image}\n")).map_err(|source| ArtifactsError {
            path: path.clone(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_image_is_a_line_after_what_others_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("artifacts");
        fs::write(&path, "theirs").unwrap();
        let variables = [("GITHUB_ARTIFACTS", path.to_str().unwrap())];
        let artifacts = Artifacts::from_environment(&variables.into_iter().collect());
        artifacts.declare_image("ghcr.io/a/b@sha256:0").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "theirs\noci://ghcr.io/a/b@sha256:0\n");
        let nowhere = Artifacts::from_environment(&Environment::default());
        nowhere.declare_image("ghcr.io/a/b@sha256:0").unwrap();
    }
}
