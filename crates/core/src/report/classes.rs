//! Figures of each class, or of each of several outputs, as tables of the report and of the page show them.

use crate::gate::Comparison;
use crate::measurement::Measurement;
use crate::metrics::{Confusion, LabelledClass, catalog};

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
    fn output_and_metric(&self) -> Option<(&str, &str)>;
    fn n_rows(&self) -> Option<u64>;
}

impl OfClass for Measurement {
    fn class_and_metric(&self) -> Option<(&str, &str)> {
        let is_of_class = self.key.slice.is_none() && self.key.fold.is_none();
        let class = self.key.class.as_deref().filter(|_| is_of_class)?;
        Some((class, &self.key.metric))
    }

    fn output_and_metric(&self) -> Option<(&str, &str)> {
        let is_of_output = self.key.slice.is_none() && self.key.fold.is_none();
        let output = self.key.output.as_deref().filter(|_| is_of_output)?;
        Some((output, &self.key.metric))
    }

    fn n_rows(&self) -> Option<u64> {
        self.n_rows
    }
}

impl OfClass for Comparison {
    fn class_and_metric(&self) -> Option<(&str, &str)> {
        self.measured.as_ref().and_then(OfClass::class_and_metric)
    }

    fn output_and_metric(&self) -> Option<(&str, &str)> {
        self.measured.as_ref().and_then(OfClass::output_and_metric)
    }

    fn n_rows(&self) -> Option<u64> {
        self.measured.as_ref().and_then(OfClass::n_rows)
    }
}

impl<'a, T: OfClass> ClassTable<'a, T> {
    /// The classes in the order of `confusion`, or of `labelled` of multilabel rows, where they are known, else of `figures`.
    pub(super) fn of(
        figures: &'a [T],
        confusion: Option<&'a Confusion>,
        labelled: &'a [LabelledClass],
    ) -> Self {
        let (mut metrics, mut classes): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        let in_order = confusion.iter().flat_map(|confusion| confusion.classes());
        classes.extend(in_order.map(String::as_str));
        classes.extend(labelled.iter().map(|class| class.class.as_str()));
        for (class, metric) in figures.iter().filter_map(OfClass::class_and_metric) {
            if !metrics.contains(&metric) && catalog::is_headline_of_class(metric) {
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
        let n_labelled = |class: &str| {
            let found = labelled.iter().find(|found| found.class == class);
            found.map(|found| found.n_labelled)
        };
        let rows = classes
            .iter()
            .enumerate()
            .map(|(idx, class)| ClassRow {
                class,
                support: confusion
                    .filter(|confusion| idx < confusion.classes().len())
                    .map(|confusion| confusion.support(idx))
                    .or_else(|| n_labelled(class))
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

/// Each output with its figures: names of the metrics in the order of the file, without details, and the outputs with a cell a metric.
pub(super) struct OutputTable<'a, T> {
    pub(super) metrics: Vec<&'a str>,
    pub(super) rows: Vec<(&'a str, Vec<Option<&'a T>>)>,
}

impl<'a, T: OfClass> OutputTable<'a, T> {
    /// Empty where one number a row is predicted.
    pub(super) fn of(figures: &'a [T]) -> Self {
        let (mut metrics, mut outputs): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        let mut by_key = std::collections::BTreeMap::new();
        for figure in figures {
            let Some((output, metric)) = figure.output_and_metric() else {
                continue;
            };
            if !catalog::is_headline(metric) {
                continue;
            }
            if !metrics.contains(&metric) {
                metrics.push(metric);
            }
            if !outputs.contains(&output) {
                outputs.push(output);
            }
            by_key.insert((output, metric), figure);
        }
        let row = |output: &'a str| {
            let cells = metrics
                .iter()
                .map(|metric| by_key.get(&(output, *metric)).copied());
            (output, cells.collect())
        };
        let rows = outputs.iter().map(|&output| row(output)).collect();
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
