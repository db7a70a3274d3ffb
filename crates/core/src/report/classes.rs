//! Figures of each class, as tables of the report and of the page show them.

use crate::gate::Comparison;
use crate::measurement::Measurement;
use crate::metrics::{Confusion, catalog};

/// One class with its figures.
pub(super) struct ClassRow<'a, T> {
    pub(super) class: &'a str,
    /// Rows with this label, where known.
    pub(super) support: Option<u64>,
    /// One entry a metric of [`ClassTable::metrics`].
    pub(super) cells: Vec<Option<&'a T>>,
    /// The class that most of its rows predicted wrong were predicted as, and how many.
    pub(super) confused_with: Option<(&'a str, u64)>,
}

/// All classes.
pub(super) struct ClassTable<'a, T> {
    /// Names of the metrics, in the order of the file, without details.
    pub(super) metrics: Vec<&'a str>,
    pub(super) rows: Vec<ClassRow<'a, T>>,
}

/// A measurement, with or without a baseline's beside it.
pub(super) trait OfClass {
    fn class_and_metric(&self) -> Option<(&str, &str)>;
    fn n_rows(&self) -> Option<u64>;
}

impl OfClass for Measurement {
    fn class_and_metric(&self) -> Option<(&str, &str)> {
        let is_of_class = self.key.slice.is_none() && self.key.fold.is_none();
        let class = self.key.class.as_deref().filter(|_| is_of_class)?;
        Some((class, &self.key.metric))
    }

    fn n_rows(&self) -> Option<u64> {
        self.n_rows
    }
}

impl OfClass for Comparison {
    fn class_and_metric(&self) -> Option<(&str, &str)> {
        self.measured.as_ref().and_then(OfClass::class_and_metric)
    }

    fn n_rows(&self) -> Option<u64> {
        self.measured.as_ref().and_then(OfClass::n_rows)
    }
}

impl<'a, T: OfClass> ClassTable<'a, T> {
    /// The classes in the order of `confusion`, where it is known, else of `figures`.
    pub(super) fn of(figures: &'a [T], confusion: Option<&'a Confusion>) -> Self {
        let (mut metrics, mut classes): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        let in_order = confusion.iter().flat_map(|confusion| confusion.classes());
        classes.extend(in_order.map(String::as_str));
        for (class, metric) in figures.iter().filter_map(OfClass::class_and_metric) {
            if !metrics.contains(&metric) && catalog::is_headline(metric) {
                metrics.push(metric);
            }
            if !classes.contains(&class) {
                classes.push(class);
            }
        }
        if metrics.is_empty() {
            classes.clear();
        }
        let mut by_key = std::collections::BTreeMap::new();
        for figure in figures {
            if let Some(key) = figure.class_and_metric() {
                by_key.insert(key, figure);
            }
        }
        let rows = classes
            .iter()
            .enumerate()
            .map(|(idx, class)| ClassRow {
                class,
                support: confusion
                    .filter(|confusion| idx < confusion.classes().len())
                    .map(|confusion| confusion.support(idx))
                    .or_else(|| {
                        by_key
                            .get(&(*class, "recall"))
                            .and_then(|found| found.n_rows())
                    }),
                cells: metrics
                    .iter()
                    .map(|metric| by_key.get(&(*class, *metric)).copied())
                    .collect(),
                confused_with: confusion.and_then(|confusion| most_confused(confusion, idx)),
            })
            .collect();
        Self { metrics, rows }
    }
}

fn most_confused(confusion: &Confusion, class: usize) -> Option<(&str, u64)> {
    if class >= confusion.classes().len() {
        return None;
    }
    let row = confusion.counts().of_label(class).iter();
    let others = row.filter(|(label, predicted, _)| label != predicted);
    let (_, other, n) = others.max_by_key(|(_, other, n)| (*n, std::cmp::Reverse(*other)))?;
    Some((&confusion.classes()[*other as usize], *n))
}
