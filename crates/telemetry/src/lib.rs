//! Results of stages as documents in Elasticsearch (or OpenSearch): runs, epochs, evaluations, measurements, verdicts and rules.
//!
//! In come values of `core` and what the CI system says of the run; out go documents, kept on disk first and then sent by `_bulk`.
//! A document is named by its content, so sending it twice makes it once. A server that is away or refuses is a warning: it changes
//! no verdict and no exit code, and holds a stage up for [`TIME_LIMIT`] at most.

mod arguments;
mod bulk;
mod circumstances;
mod deliver;
mod document;
mod evaluation;
mod server;
mod spool;
mod target;
mod templates;
#[cfg(test)]
mod tests;
mod training;
mod verdict;

use std::path::Path;
use std::time::SystemTime;

use trainyard_core::config::ReportConfig;
use trainyard_runner::{Annotation, Context, Environment, Stage};

pub use arguments::ElasticsearchArgs;
pub use circumstances::Circumstances;
use deliver::Delivery;
pub use deliver::TIME_LIMIT;
pub use document::{Document, Kind};
use spool::Spool;
use target::Target;
pub use templates::files as template_files;
pub use training::Trained;

/// A stage that tells what came out.
#[derive(Debug)]
pub struct Teller<'a> {
    /// Its options.
    pub args: &'a ElasticsearchArgs,
    /// `[report]` of the configuration.
    pub config: &'a ReportConfig,
    /// PEM file of certificates to trust in addition to the system's.
    pub ca: Option<&'a Path>,
    /// What the run is about.
    pub context: &'a Context,
    /// The program: `trainyard-train`.
    pub service: &'static str,
}

impl Teller<'_> {
    /// Indexes the documents that `make` makes, and those that earlier stages could not send, where there is a server to send them to.
    /// What goes wrong is a warning, also as an annotation. Must not be called from asynchronous code.
    pub fn tell(&self, stage: &mut Stage, make: impl FnOnce(&Circumstances<'_>) -> Vec<Document>) {
        let environment = Environment::from_process();
        for warning in self.warnings(&environment, make) {
            tracing::warn!("{warning}");
            if stage.annotator.is_github_actions() {
                let annotation = Annotation::warning(warning);
                stage.annotate(vec![annotation.title("Results are not in Elasticsearch")]);
            }
        }
    }

    /// The same; returns what went wrong.
    fn warnings(
        &self,
        environment: &Environment,
        make: impl FnOnce(&Circumstances<'_>) -> Vec<Document>,
    ) -> Vec<String> {
        let target = match Target::find(self.args, self.config, self.context) {
            Ok(Some(target)) => target,
            Ok(None) => return Vec::new(),
            Err(error) => return vec![error.to_string()],
        };
        let circumstances = Circumstances {
            at: SystemTime::now(),
            context: self.context,
            service: self.service,
            version: env!("CARGO_PKG_VERSION"),
            labels: &self.config.labels,
        };
        let documents = make(&circumstances);
        let spool = Spool::of_user(environment, target.url());
        Delivery::new(target, self.ca, spool).run(&documents)
    }
}
