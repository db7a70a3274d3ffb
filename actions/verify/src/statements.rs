//! Bundles and whom to trust in; statements of trusted signers, contradictions and what could not be verified out.

use trainyard_attest::{
    Bundle, Contradiction, MODEL_SIGNATURE, ModelFile, PROVENANCE, Provenance, SignedModel,
    Statement, Unverified, Verified, VerifyError, short_name,
};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::model::FileEntry;
use trainyard_oci::AttachedFile;

use crate::trust::Trust;

/// What came of the bundles.
#[derive(Debug, Default)]
pub(crate) struct Statements {
    /// By a trusted signer, and about this image.
    pub(crate) verified: Vec<Verified>,
    /// Evidence of a change: one sentence each.
    pub(crate) contradictions: Vec<String>,
    /// What nothing can be said about: one sentence each.
    pub(crate) not_checked: Vec<String>,
    /// Statements by keys that are not trusted: what is said of the key, then the kind of each and the referrer.
    by_others: Vec<(String, Vec<(String, Sha256Digest)>)>,
}

impl Statements {
    /// Verifies each bundle. `model` are the files of a model at hand, where there are any.
    pub(crate) fn of(
        bundles: &[AttachedFile],
        trust: &Trust,
        image: &Sha256Digest,
        model: Option<&[FileEntry]>,
    ) -> Self {
        let mut statements = Self::default();
        let mut of_models = Vec::new();
        for AttachedFile {
            referrer, bytes, ..
        } in bundles
        {
            let bundle = match Bundle::from_json(bytes) {
                Ok(bundle) => bundle,
                Err(error) => {
                    statements.fail(referrer, "bundle", &error.into());
                    continue;
                }
            };
            // Not verified yet: it decides what the statement must be about, and by which function that is checked.
            let kind = Statement::from_json(&bundle.envelope.payload)
                .map_or_else(|_| "statement".to_owned(), |found| found.predicate_type);
            let authenticated = trust.authenticate(&bundle, bytes);
            if kind == MODEL_SIGNATURE {
                match authenticated.and_then(SignedModel::of) {
                    Ok(signed) => of_models.push((referrer, signed)),
                    Err(error) => statements.fail(referrer, &kind, &error),
                }
                continue;
            }
            match authenticated.and_then(|signed| signed.about(image)) {
                Ok(verified) => statements.verified.push(verified),
                Err(error) => statements.fail(referrer, &kind, &error),
            }
        }
        for (referrer, signed) in of_models {
            statements.take_model(referrer, &signed, model);
        }
        statements.tell_of_others();
        let n_log_entries: usize = (statements.verified.iter())
            .map(|verified| verified.n_unchecked_log_entries)
            .sum();
        if n_log_entries > 0 {
            statements.not_checked.push(format!(
                "transparency log entries of the bundles: {n_log_entries}"
            ));
        }
        statements
    }

    /// A model's signature names files and no image: it counts where a provenance of this image by a trusted signer names the same.
    fn take_model(
        &mut self,
        referrer: &Sha256Digest,
        signed: &SignedModel,
        model: Option<&[FileEntry]>,
    ) {
        if let Some(files) = model {
            let files: Vec<_> = files.iter().map(model_file).collect();
            if let Err(contradiction) = signed.check(&files) {
                self.fail(referrer, MODEL_SIGNATURE, &contradiction.into());
                return;
            }
        } else {
            self.not_checked.push(
                "the model's files by themselves: `--model FOLDER` compares them with the model's signature"
                    .to_owned(),
            );
        }
        let mut refusal = None;
        for packed in self.packed_files() {
            let files: Vec<_> = packed.iter().map(model_file).collect();
            match signed.check(&files) {
                Ok(()) => {
                    self.verified.push(signed.verified().clone());
                    return;
                }
                Err(contradiction) => refusal = Some(contradiction),
            }
        }
        match refusal {
            Some(Contradiction::Content(words)) => self.contradictions.push(format!(
                "the model's signature ({referrer}) is not of the model in this image: {words}"
            )),
            _ => self.not_checked.push(format!(
                "the model's signature ({referrer}): no provenance by a trusted signer says which files are in the image"
            )),
        }
    }

    /// The model's files, as each verified provenance lists them.
    fn packed_files(&self) -> Vec<Vec<FileEntry>> {
        let provenances = self.verified.iter();
        let provenances = provenances.filter(|found| found.predicate_type == PROVENANCE);
        let files_of = |found: &Verified| {
            let provenance = Provenance::from_predicate(&found.predicate).ok()?;
            let files = provenance.model_files().map(|(name, hex)| {
                Some(FileEntry {
                    path: name.to_owned(),
                    sha256: format!("sha256:{hex}").parse().ok()?,
                    size_bytes: 0,
                })
            });
            let files: Option<Vec<_>> = files.collect();
            files.filter(|files| !files.is_empty())
        };
        provenances.filter_map(files_of).collect()
    }

    /// One sentence a key: an image that is signed with several keys has all statements once for each.
    fn tell_of_others(&mut self) {
        for (words, statements) in std::mem::take(&mut self.by_others) {
            let text = match statements.as_slice() {
                [(kind, referrer)] => format!("{kind} ({referrer}): {words}"),
                several => {
                    let mut kinds: Vec<&str> = Vec::new();
                    for (kind, _) in several {
                        if !kinds.contains(&kind.as_str()) {
                            kinds.push(kind);
                        }
                    }
                    format!(
                        "{} statements ({}): {words}",
                        several.len(),
                        kinds.join(", ")
                    )
                }
            };
            self.not_checked.push(text);
        }
    }

    fn fail(&mut self, referrer: &Sha256Digest, kind: &str, error: &VerifyError) {
        let kind = short_name(kind);
        let words = trainyard_core::error_chain::in_one_line(error);
        if matches!(
            error,
            VerifyError::Unverified(Unverified::UnknownKey { .. })
        ) {
            let statement = (kind.to_owned(), referrer.clone());
            match self.by_others.iter_mut().find(|(of, _)| *of == words) {
                Some((_, statements)) => statements.push(statement),
                None => self.by_others.push((words, vec![statement])),
            }
            return;
        }
        let text = format!("{kind} ({referrer}): {words}");
        if error.is_contradiction() {
            self.contradictions.push(text);
        } else {
            self.not_checked.push(text);
        }
    }
}

fn model_file(file: &FileEntry) -> ModelFile<'_> {
    ModelFile {
        name: &file.path,
        sha256: &file.sha256,
    }
}

#[cfg(test)]
mod tests;
