//! `[evaluate]`: how the model is scored, on which parts of the rows, and which further columns are metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::checks::first_problem;
use super::cross_validation::CrossValidationConfig;
use super::error::Problem;
use super::ranking::RankingConfig;
use super::threshold::Threshold;
use crate::figure::percent;
use crate::measurement::Direction;
use crate::threshold::ThresholdAim;

/// Columns of rows that a slice may name beside those of the file.
pub const ROW_COLUMNS: [&str; 4] = ["label", "predicted", "group", "fold"];

/// `[evaluate]`: how the model is scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluateConfig {
    /// Two-sided level of the confidence intervals.
    pub confidence: f64,
    /// With two classes: the one that is to be found, which precision, recall and `threshold` are about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive_class: Option<String>,
    /// With two classes: predict the positive class where its score is at least this, instead of the class with the higher
    /// score. A number, or an aim by which it is chosen on validation rows: `{ aim = "min_recall", at = 0.95 }`. Of a
    /// multilabel predictions file: a number, from which on each class is predicted; 0.5 if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Threshold>,
    /// What the scores of a predictions file are.
    pub scores: ScoreKind,
    /// Number of highest-scored classes among which `top_k_accuracy` looks for the label.
    pub top_k: u32,
    /// Numeric columns of a predictions file that are metrics, such as latency or cost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ColumnConfig>,
    /// Parts of the rows that are measured on their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slices: Vec<SliceConfig>,
    /// Rows that are ranked within their groups; not so if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranking: Option<RankingConfig>,
    /// Cross-validation on the training data; none if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_validation: Option<CrossValidationConfig>,
}

/// What scores are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScoreKind {
    /// Probabilities, which sum to 1 in each row, but of multilabel rows.
    #[default]
    Probabilities,
    /// Logits: a softmax makes probabilities of them, or a sigmoid where there is one column or rows are multilabel.
    Logits,
}

/// `[[evaluate.columns]]`: a numeric column of a predictions file whose mean and quantiles are metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnConfig {
    /// Name of the column. Its metrics are called `<name>.mean`, `<name>.p50` and so on.
    pub name: String,
    /// Unit of its values as reports show it: `ms`, `USD`, `tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Which direction is better. Rules that compare with a baseline need it, here or in the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Quantiles that are metrics: 0.95 is `<name>.p95`.
    #[serde(default = "default_quantiles")]
    pub quantiles: Vec<f64>,
}

/// `[[evaluate.slices]]`: a column, or several crossed, by whose values the rows are cut into slices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SliceConfig {
    /// Columns of the predictions file, or `label`, `predicted`, `group`, `fold`; of several labels a row `label_<name>`
    /// and `predicted_<name>`. Each combination of their values is a slice.
    pub columns: Vec<String>,
    /// Bins of numeric columns: their edges, `[0, 20, 40]`, or a number of bins of about as many rows each, `4`; for one
    /// of several columns, a table by column, `{ age = [0, 20, 40] }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bins: Option<Bins>,
    /// Slices with fewer rows are listed, not measured.
    #[serde(default = "default_min_rows")]
    pub min_rows: u64,
    /// Metrics to measure in each slice, beside a short list and those that rules name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<String>,
}

/// How numbers are put into bins.
#[derive(Debug, Clone, PartialEq)]
pub enum Bins {
    /// The same for every column whose cells are all numbers.
    Each(Binning),
    /// By the name of the column.
    ByColumn(BTreeMap<String, Binning>),
}

/// Bins of one column.
#[derive(Debug, Clone, PartialEq)]
pub enum Binning {
    /// Ascending edges; each bin holds its lower edge. What lies outside is in bins of its own.
    Edges(Vec<f64>),
    /// This many bins with about as many rows each.
    Count(u32),
}

const MAX_BINS: usize = 1000;

fn default_quantiles() -> Vec<f64> {
    vec![0.5, 0.95]
}

const fn default_min_rows() -> u64 {
    30
}

impl Default for EvaluateConfig {
    fn default() -> Self {
        Self {
            confidence: 0.95,
            positive_class: None,
            threshold: None,
            scores: ScoreKind::default(),
            top_k: 2,
            columns: Vec::new(),
            slices: Vec::new(),
            ranking: None,
            cross_validation: None,
        }
    }
}

impl ColumnConfig {
    /// Name of the metric that is the mean.
    pub fn mean_name(&self) -> String {
        format!("{}.mean", self.name)
    }

    /// Name of the metric that is the quantile `q`: `latency_ms.p99.9`.
    pub fn quantile_name(&self, q: f64) -> String {
        format!("{}.p{}", self.name, percent(q))
    }

    /// Names of all its metrics, in the order of reports.
    pub fn metric_names(&self) -> Vec<String> {
        let quantiles = self.quantiles.iter().map(|&q| self.quantile_name(q));
        std::iter::once(self.mean_name()).chain(quantiles).collect()
    }

    fn validate(&self, column_idx: &str) -> Result<(), Problem> {
        let at = |key| ["evaluate", "columns", column_idx, key];
        if self.name.trim().is_empty() {
            return Err(Problem::at(&at("name"), "names no column"));
        }
        let is_reserved = ROW_COLUMNS
            .iter()
            .chain(&["row_id", "weight"])
            .any(|name| *name == self.name)
            || self.name.starts_with("score_");
        if is_reserved {
            let problem = format!(
                "`{}` has a meaning of its own and is not a column of metrics",
                self.name
            );
            return Err(
                Problem::at(&at("name"), problem).hint("give that column of the file another name")
            );
        }
        if let Some(q) = self.quantiles.iter().find(|q| !(**q > 0.0 && **q < 1.0)) {
            let problem = format!("{q} is not a quantile, which lies between 0 and 1");
            return Err(Problem::at(&at("quantiles"), problem).hint("write 95 % as 0.95"));
        }
        let names = self.metric_names();
        if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
            return Err(Problem::at(&at("quantiles"), "names one quantile twice"));
        }
        Ok(())
    }
}

impl SliceConfig {
    /// The bins of `column`, where it has any: those that are written for it, else those for each numeric column.
    pub fn binning(&self, column: &str) -> Option<&Binning> {
        match self.bins.as_ref()? {
            Bins::Each(binning) => Some(binning),
            Bins::ByColumn(by_column) => by_column.get(column),
        }
    }

    fn validate(&self, slice_idx: &str) -> Result<(), Problem> {
        let at = |key| ["evaluate", "slices", slice_idx, key];
        let columns = &at("columns");
        if self.columns.is_empty() || self.columns.iter().any(|name| name.trim().is_empty()) {
            return Err(Problem::at(columns, "names no column")
                .hint("write the columns of one slice, such as `columns = [\"country\"]`"));
        }
        let distinct: BTreeSet<&String> = self.columns.iter().collect();
        if distinct.len() < self.columns.len() {
            return Err(Problem::at(columns, "names one column twice"));
        }
        if self.min_rows == 0 {
            return Err(Problem::at(&at("min_rows"), "must be at least 1"));
        }
        let is_bad = |binning: &&Binning| binning.problem().is_some();
        let bad = match &self.bins {
            None => None,
            Some(Bins::Each(binning)) => Some(binning).filter(is_bad),
            Some(Bins::ByColumn(by_column)) => {
                if let Some(other) = by_column.keys().find(|name| !self.columns.contains(name)) {
                    let problem = format!("`{other}` is not among `columns`");
                    return Err(Problem::at(&at("bins"), problem));
                }
                by_column.values().find(is_bad)
            }
        };
        match bad.and_then(Binning::problem) {
            Some(problem) => Err(Problem::at(&at("bins"), problem)
                .hint("write edges, `bins = [0, 20, 40]`, or a number of bins, `bins = 4`")),
            None => Ok(()),
        }
    }
}

impl Binning {
    fn problem(&self) -> Option<String> {
        match self {
            Self::Count(n_bins) if !(2..=MAX_BINS as u32).contains(n_bins) => Some(format!(
                "{n_bins} is not a number of bins between 2 and {MAX_BINS}"
            )),
            Self::Edges(edges) if edges.is_empty() || edges.len() > MAX_BINS => {
                Some(format!("needs 1 to {MAX_BINS} edges"))
            }
            Self::Edges(edges) if edges.iter().any(|edge| !edge.is_finite()) => {
                Some("an edge must be a finite number: values below the first and above the last edge have bins of their own".to_owned())
            }
            Self::Edges(edges) if edges.windows(2).any(|pair| pair[0] >= pair[1]) => {
                Some("the edges must ascend".to_owned())
            }
            _ => None,
        }
    }
}

impl EvaluateConfig {
    /// Which way the metric of a declared column is better.
    pub fn column_of(&self, metric: &str) -> Option<&ColumnConfig> {
        let has_metric = |column: &&ColumnConfig| {
            let rest = metric.strip_prefix(column.name.as_str());
            rest.is_some_and(|rest| rest.starts_with('.'))
                && column.metric_names().iter().any(|name| name == metric)
        };
        self.columns.iter().find(has_metric)
    }

    /// Fewest rows of a part that is measured on its own: the smallest number that slices ask for.
    pub fn min_slice_rows(&self) -> u64 {
        let of_slices = self.slices.iter().map(|slice| slice.min_rows);
        of_slices.min().unwrap_or_else(default_min_rows)
    }

    /// The threshold that is written as a number.
    pub const fn fixed_threshold(&self) -> Option<f64> {
        match self.threshold {
            Some(Threshold::Fixed(threshold)) => Some(threshold),
            _ => None,
        }
    }

    /// The aim by which the threshold is chosen.
    pub const fn threshold_aim(&self) -> Option<ThresholdAim> {
        match self.threshold {
            Some(Threshold::Chosen(aim)) => Some(aim),
            _ => None,
        }
    }

    pub(super) fn validate(&self, classes: Option<&[String]>) -> Result<(), Problem> {
        let is_level = self.confidence > 0.5 && self.confidence < 1.0;
        first_problem(&[
            (
                &["evaluate", "confidence"],
                is_level,
                "must lie between 0.5 and 1, such as 0.95",
            ),
            (
                &["evaluate", "top_k"],
                self.top_k >= 1,
                "must be at least 1",
            ),
        ])?;
        if let Some(threshold) = &self.threshold {
            threshold.validate(self.positive_class.is_some())?;
        }
        if let (Some(positive), Some(classes)) = (&self.positive_class, classes) {
            let place = ["evaluate", "positive_class"];
            if !classes.contains(positive) {
                let problem = format!("`{positive}` is not among `[data] classes`");
                return Err(Problem::at(&place, problem)
                    .hint(format!("write one of `{}`", classes.join("`, `"))));
            }
            if classes.len() != 2 {
                let problem = format!("is for two classes, and there are {}", classes.len());
                return Err(Problem::at(&place, problem)
                    .hint("remove it; rules on one of many classes name it with `class`"));
            }
        }
        for (column_idx, column) in self.columns.iter().enumerate() {
            let idx = column_idx.to_string();
            column.validate(&idx)?;
            if self.columns[..column_idx]
                .iter()
                .any(|other| other.name == column.name)
            {
                let problem = format!("the column `{}` is declared twice", column.name);
                return Err(Problem::at(&["evaluate", "columns", &idx, "name"], problem));
            }
        }
        for (slice_idx, slice) in self.slices.iter().enumerate() {
            slice.validate(&slice_idx.to_string())?;
        }
        if let Some(ranking) = &self.ranking {
            ranking.validate()?;
            if self.positive_class.is_some() {
                return Err(Problem::at(
                    &["evaluate", "positive_class"],
                    "has no meaning with `[evaluate.ranking]`: ranked rows have no classes",
                )
                .hint("remove one of the two"));
            }
        }
        match &self.cross_validation {
            Some(folds) => folds.validate(),
            None => Ok(()),
        }
    }
}

impl<'de> Deserialize<'de> for Binning {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EdgesOrCount;
        impl<'de> Visitor<'de> for EdgesOrCount {
            type Value = Binning;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("edges such as [0, 20, 40], or a number of bins such as 4")
            }

            fn visit_i64<E: de::Error>(self, n_bins: i64) -> Result<Binning, E> {
                count(n_bins)
            }

            fn visit_u64<E: de::Error>(self, n_bins: u64) -> Result<Binning, E> {
                count(n_bins)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Binning, A::Error> {
                edges(sequence)
            }
        }
        deserializer.deserialize_any(EdgesOrCount)
    }
}

impl<'de> Deserialize<'de> for Bins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EachOrTable;
        impl<'de> Visitor<'de> for EachOrTable {
            type Value = Bins;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(
                    "edges such as [0, 20, 40], a number of bins such as 4, or a table of them by column",
                )
            }

            fn visit_i64<E: de::Error>(self, n_bins: i64) -> Result<Bins, E> {
                count(n_bins).map(Bins::Each)
            }

            fn visit_u64<E: de::Error>(self, n_bins: u64) -> Result<Bins, E> {
                count(n_bins).map(Bins::Each)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Bins, A::Error> {
                edges(sequence).map(Bins::Each)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Bins, A::Error> {
                let mut by_column = BTreeMap::new();
                while let Some((name, binning)) = map.next_entry()? {
                    by_column.insert(name, binning);
                }
                Ok(Bins::ByColumn(by_column))
            }
        }
        deserializer.deserialize_any(EachOrTable)
    }
}

fn count<E: de::Error>(n_bins: impl TryInto<u32>) -> Result<Binning, E> {
    let n_bins = n_bins.try_into();
    n_bins
        .map(Binning::Count)
        .map_err(|_| E::custom(format!("a number of bins lies between 2 and {MAX_BINS}")))
}

fn edges<'de, A: SeqAccess<'de>>(mut sequence: A) -> Result<Binning, A::Error> {
    let mut edges = Vec::new();
    while let Some(edge) = sequence.next_element()? {
        edges.push(edge);
    }
    Ok(Binning::Edges(edges))
}

impl Serialize for Binning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Edges(edges) => edges.serialize(serializer),
            Self::Count(n_bins) => n_bins.serialize(serializer),
        }
    }
}

impl Serialize for Bins {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Each(binning) => binning.serialize(serializer),
            Self::ByColumn(by_column) => by_column.serialize(serializer),
        }
    }
}

impl JsonSchema for Bins {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bins".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "oneOf": [
                { "type": "integer", "minimum": 2 },
                { "type": "array", "items": { "type": "number" }, "minItems": 1 },
                {
                    "type": "object",
                    "additionalProperties": {
                        "oneOf": [
                            { "type": "integer", "minimum": 2 },
                            { "type": "array", "items": { "type": "number" }, "minItems": 1 }
                        ]
                    }
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::JudgingConfig;

    fn parsed(text: &str) -> Result<EvaluateConfig, String> {
        JudgingConfig::parse(text, Path::new("trainyard.toml"))
            .map(|config| config.evaluate)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn bins_are_edges_a_number_or_a_table_by_column() {
        let read = |bins: &str| {
            let text =
                format!("[[evaluate.slices]]\ncolumns = [\"age\", \"country\"]\nbins = {bins}\n");
            parsed(&text).unwrap().slices.remove(0)
        };
        assert_eq!(read("4").bins, Some(Bins::Each(Binning::Count(4))));
        let edges = Binning::Edges(vec![0.0, 20.5, 40.0]);
        assert_eq!(read("[0, 20.5, 40]").binning("age"), Some(&edges));
        let slice = read("{ age = [0, 20.5, 40] }");
        assert_eq!(
            (slice.binning("age"), slice.binning("country")),
            (Some(&edges), None)
        );
        assert_eq!((slice.min_rows, slice.metrics.len()), (30, 0));
        // What is written as JSON, for digests and `--print-config`, is read back.
        let json = serde_json::to_string(&slice).unwrap();
        assert_eq!(serde_json::from_str::<SliceConfig>(&json).unwrap(), slice);
    }

    #[test]
    fn columns_have_metrics_named_by_quantile() {
        let config = parsed(
            "[[evaluate.columns]]\nname = \"latency_ms\"\nunit = \"ms\"\ndirection = \"lower_is_better\"\n\
             quantiles = [0.5, 0.95, 0.999, 0.025]\n",
        )
        .unwrap();
        assert_eq!(
            config.columns[0].metric_names(),
            [
                "latency_ms.mean",
                "latency_ms.p50",
                "latency_ms.p95",
                "latency_ms.p99.9",
                "latency_ms.p2.5"
            ]
        );
        assert_eq!(
            config
                .column_of("latency_ms.p99.9")
                .map(|column| column.direction),
            Some(Some(Direction::LowerIsBetter))
        );
        assert_eq!(config.column_of("latency_ms.p99"), None);
        assert_eq!(config.column_of("latency"), None);
    }

    #[test]
    fn a_mistake_is_named_with_its_line_and_what_to_write() {
        for (text, parts) in [
            (
                "[evaluate]\nthreshold = { aim = \"max_f1\" }",
                ["toml:2:1", "add `positive_class"],
            ),
            (
                "[evaluate]\npositive_class = \"a\"\nthreshold = 1.5",
                ["toml:3:1", "between 0 and 1"],
            ),
            (
                "[evaluate]\npositive_class = \"x\"\n[data]\nclasses = [\"a\", \"b\"]\ntrain = {}\ntest = {}",
                ["toml:2:1", "write one of `a`, `b`"],
            ),
            (
                "[evaluate]\npositive_class = \"a\"\n[data]\nclasses = [\"a\", \"b\", \"c\"]\ntrain = {}\ntest = {}",
                ["toml:2:1", "there are 3"],
            ),
            ("[evaluate]\ntop_k = 0", ["toml:2:1", "at least 1"]),
            (
                "[evaluate]\nscores = \"logit\"",
                ["toml:2:10", "did you mean `logits`?"],
            ),
            (
                "[[evaluate.columns]]\nname = \"weight\"",
                ["toml:2:1", "meaning of its own"],
            ),
            (
                "[[evaluate.columns]]\nname = \"x\"\nquantiles = [95]",
                ["toml:3:1", "write 95 % as 0.95"],
            ),
            (
                "[[evaluate.columns]]\nname = \"x\"\n[[evaluate.columns]]\nname = \"x\"",
                ["toml:4:1", "declared twice"],
            ),
            (
                "[evaluate.columns]\nname = \"x\"",
                ["toml:1:1", "as `[[evaluate.columns]]`"],
            ),
            (
                "[[evaluate.slices]]\ncolumns = []",
                ["toml:2:1", "names no column"],
            ),
            (
                "[[evaluate.slices]]\ncolumns = [\"a\"]\nbins = [2, 1]",
                ["toml:3:1", "must ascend"],
            ),
            (
                "[[evaluate.slices]]\ncolumns = [\"a\"]\nbins = 1",
                ["toml:3:1", "between 2 and"],
            ),
            (
                "[[evaluate.slices]]\ncolumns = [\"a\"]\nbins = \"4\"",
                ["toml:3:8", "a number of bins such as 4"],
            ),
            (
                "[[evaluate.slices]]\ncolumns = [\"a\"]\nbins = { b = 4 }",
                ["toml:3:1", "not among `columns`"],
            ),
            (
                "[[evaluate.slices]]\ncolumns = [\"a\"]\nmin_row = 4",
                ["toml:3:1", "did you mean `min_rows`?"],
            ),
        ] {
            let error = parsed(text).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{text}\n{error}");
            }
        }
    }

    #[test]
    fn a_rule_on_a_declared_column_knows_its_direction_from_there() {
        let rule = "\n[[gate.rules]]\nmetric = \"latency_ms.p95\"\nmax_drop = 5\n";
        let with = |direction: &str| {
            parsed(&format!(
                "[[evaluate.columns]]\nname = \"latency_ms\"\n{direction}{rule}"
            ))
        };
        assert!(with("direction = \"lower_is_better\"").is_ok());
        let error = with("").unwrap_err();
        assert!(
            error.contains("which way `latency_ms.p95` is better"),
            "{error}"
        );
        let stated = format!("{rule}direction = \"higher_is_better\"\n");
        let error = parsed(&format!(
            "[[evaluate.columns]]\nname = \"latency_ms\"\ndirection = \"lower_is_better\"{stated}"
        ))
        .unwrap_err();
        assert!(error.contains("contradicts"), "{error}");
    }
}
