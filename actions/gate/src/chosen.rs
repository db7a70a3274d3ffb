//! Which of the places where a baseline may lie counts: a file or image that is named, a file that the configuration names, the record
//! of an earlier commit, and last the image that the configuration names.

use std::path::Path;

use trainyard_core::config::GateConfig;
use trainyard_core::gate::{Baseline, BaselinePlace, BaselineRecord, RulesOrigin};

use crate::Inputs;
use crate::github::Reporter;
use crate::published::Published;
use crate::shared::Origin;

/// Where baselines may lie.
pub(crate) struct Places<'a> {
    pub(crate) inputs: &'a Inputs,
    /// The section that judges, and whose it is.
    pub(crate) gate: &'a GateConfig,
    pub(crate) origin: &'a RulesOrigin,
    pub(crate) reporter: Option<&'a Reporter<'a>>,
    pub(crate) published: Published<'a>,
}

/// What a search for the record of an earlier commit came to.
pub(crate) struct Searched<'a> {
    pub(crate) baseline: Baseline,
    /// Whether it ended at its bound, so that an older record may exist.
    pub(crate) is_at_bound: bool,
    /// The record, where one was found.
    pub(crate) record: Option<&'a BaselineRecord>,
    /// What it found besides, in sentences.
    pub(crate) notes: Vec<String>,
}

/// The baseline that counts.
pub(crate) struct Chosen<'a> {
    pub(crate) baseline: Baseline,
    /// Where its predictions are.
    pub(crate) origin: Option<Origin<'a>>,
    /// Its text, where it does not lie here.
    pub(crate) text: Option<String>,
    pub(crate) notes: Vec<String>,
}

impl<'a> Places<'a> {
    pub(crate) fn choose(&self, searched: Searched<'a>) -> Chosen<'a> {
        match (&self.inputs.baseline, &self.gate.baseline) {
            (Some(BaselinePlace::File(path)), _) => Chosen::of_file(path, path),
            (Some(BaselinePlace::Image(image)), _) => self.of_image(image),
            (None, Some(BaselinePlace::File(path))) => self.of_configured(path),
            (None, Some(BaselinePlace::Image(image))) if searched.leads_on() => {
                self.of_image(image).after(searched)
            }
            (None, _) => {
                let record = searched.record.zip(self.reporter);
                Chosen {
                    origin: record.map(|(record, reporter)| Origin::Record(record, reporter)),
                    baseline: searched.baseline,
                    text: None,
                    notes: searched.notes,
                }
            }
        }
    }

    /// A file that the base branch's rules name is read from the base branch.
    fn of_configured(&self, path: &Path) -> Chosen<'a> {
        let base = self.inputs.stage.base();
        let (RulesOrigin::Base(reference), Some(reporter)) = (self.origin, self.reporter) else {
            return Chosen::of_file(&base.join(path), path);
        };
        let path = base.join(path);
        let source = format!("{} of {reference}", path.display());
        let (baseline, text) = match reporter.base_file(&path, reference) {
            Ok(text) => (Baseline::parse(text.as_bytes(), &path, &source), Some(text)),
            Err(error) => (Baseline::Unavailable(format!("`{source}`: {error}")), None),
        };
        Chosen {
            baseline,
            origin: Some(Origin::Elsewhere(
                "the baseline is a file of the base branch, which has none beside it",
            )),
            text,
            notes: Vec::new(),
        }
    }

    fn of_image(&self, image: &str) -> Chosen<'a> {
        let (baseline, text) = self.published.baseline(image);
        Chosen {
            baseline,
            origin: Some(Origin::Elsewhere(
                "the evaluation that is attached to an image has none beside it",
            )),
            text,
            notes: Vec::new(),
        }
    }
}

impl Searched<'_> {
    /// Whether the next place is asked. Where a call failed, a nearer baseline may exist, and an older one is not put in its
    /// place.
    const fn leads_on(&self) -> bool {
        match self.baseline {
            Baseline::Ready { .. } => false,
            Baseline::NeverRecorded(_) | Baseline::NotConfigured(_) => true,
            Baseline::Unavailable(_) => self.is_at_bound,
        }
    }
}

impl Chosen<'_> {
    fn of_file(path: &Path, written: &Path) -> Self {
        Self {
            baseline: Baseline::read(path, &written.display().to_string()),
            origin: Some(Origin::File(path.to_owned())),
            text: None,
            notes: Vec::new(),
        }
    }

    /// The same after a search that found no record.
    fn after(self, searched: Searched<'_>) -> Self {
        let Searched {
            baseline: nearer,
            mut notes,
            ..
        } = searched;
        let why = match &nearer {
            Baseline::Ready { .. } | Baseline::NotConfigured(_) => None,
            Baseline::NeverRecorded(_) => Some("No earlier commit has a record that counts"),
            Baseline::Unavailable(_) => {
                Some("The search for the record of an earlier commit ended at its bound")
            }
        };
        let is_ready = matches!(self.baseline, Baseline::Ready { .. });
        notes.extend(
            why.filter(|_| is_ready)
                .map(|why| format!("{why}, so the baseline is a published image.")),
        );
        let baseline = match (nearer, self.baseline) {
            // There may be one further back.
            (Baseline::Unavailable(of_search), Baseline::NeverRecorded(reason)) => {
                Baseline::Unavailable(format!("{of_search}; {reason}"))
            }
            (Baseline::NeverRecorded(of_search), Baseline::NeverRecorded(reason)) => {
                Baseline::NeverRecorded(format!("{of_search}; {reason}"))
            }
            (_, found) => found,
        };
        Self {
            baseline,
            notes,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn searched(baseline: Baseline, is_at_bound: bool) -> Searched<'static> {
        Searched {
            baseline,
            is_at_bound,
            record: None,
            notes: vec!["Not compared with 1234567.".to_owned()],
        }
    }

    fn image(baseline: Baseline) -> Chosen<'static> {
        Chosen {
            baseline,
            origin: None,
            text: None,
            notes: Vec::new(),
        }
    }

    fn text(text: &str) -> String {
        text.to_owned()
    }

    /// A failed call is not a reason to compare with something older.
    #[test]
    fn the_image_is_asked_where_the_search_came_to_its_end() {
        let ready = Baseline::parse(br#"{"accuracy": 0.9}"#, Path::new("x.json"), "x");
        for (baseline, is_at_bound, expected) in [
            (ready, false, false),
            (Baseline::NeverRecorded(text("none")), false, true),
            (Baseline::NotConfigured(text("no token")), false, true),
            (Baseline::Unavailable(text("3,000 commits")), true, true),
            (Baseline::Unavailable(text("502")), false, false),
        ] {
            let searched = searched(baseline, is_at_bound);
            assert_eq!(searched.leads_on(), expected, "{:?}", searched.baseline);
        }
    }

    #[test]
    fn what_neither_place_has_was_never_recorded_only_where_both_say_so() {
        let never = || Baseline::NeverRecorded(text("not published yet"));
        let of = |nearer: Baseline| image(never()).after(searched(nearer, true)).baseline;
        assert_eq!(
            of(Baseline::NeverRecorded(text("no record"))),
            Baseline::NeverRecorded(text("no record; not published yet"))
        );
        assert_eq!(of(Baseline::NotConfigured(text("no token"))), never());
        assert_eq!(
            of(Baseline::Unavailable(text("the search ended"))),
            Baseline::Unavailable(text("the search ended; not published yet"))
        );
        let refused = Baseline::Unavailable(text("refused"));
        let after = image(refused.clone()).after(searched(never(), false));
        assert_eq!(after.baseline, refused);
        assert_eq!(after.notes, ["Not compared with 1234567."]);
    }

    #[test]
    fn a_report_says_why_the_baseline_is_a_published_image() {
        let ready = Baseline::parse(br#"{"accuracy": 0.9}"#, Path::new("x.json"), "x");
        let after = image(ready).after(searched(Baseline::NeverRecorded(text("none")), false));
        assert_eq!(
            after.notes.last().unwrap(),
            "No earlier commit has a record that counts, so the baseline is a published image."
        );
    }
}
