//! Rows that are ranked within groups: the column of the groups takes its place.

use anyhow::anyhow;
use trainyard_core::config::RankingConfig;
use trainyard_core::scored_rows::{Column, Labels, ScoredRows};
use trainyard_runner::{ExitCode, WithExitCode as _};

/// Puts the column that `ranking` names in place of the rows' groups, and checks that the rows can be ranked.
pub(crate) fn prepare(rows: &mut ScoredRows, ranking: &RankingConfig) -> anyhow::Result<()> {
    let refuse = |problem: String, hint: &'static str| {
        Err(anyhow!("`[evaluate.ranking]`: {problem}"))
            .exit_code(ExitCode::Data)
            .hint(hint)
    };
    if matches!(rows.labels, Labels::Sets(_) | Labels::Values(_)) {
        return refuse(
            "the rows have several labels, and are ranked by one number".to_owned(),
            "write one column `label` of relevances and one `predicted` of scores",
        );
    }
    if rows.weights.is_some() {
        return refuse(
            "the rows have weights, which metrics of ranked rows do not count".to_owned(),
            "remove the column `weight`",
        );
    }
    if let Labels::Value(relevance) = &rows.labels
        && let Some(row) = relevance.iter().position(|relevance| *relevance < 0.0)
    {
        return refuse(
            format!("row {row} (from 0) has a relevance of {}", relevance[row]),
            "write 0 into `label` for what is not relevant, and higher numbers for what is",
        );
    }
    let name = &ranking.group;
    if name == "group" {
        return if rows.groups.is_some() {
            Ok(())
        } else {
            refuse(
                "there is no column `group`".to_owned(),
                "add it, or name the column of the groups, such as `group = \"query_id\"`",
            )
        };
    }
    if rows.groups.is_some() {
        return refuse(
            format!("the rows have a column `group` beside `{name}`"),
            "remove `group`, or name it under another name: rows are grouped by one column",
        );
    }
    rows.groups = Some(match rows.columns.get(name) {
        Some(Column::Texts(texts)) => match texts.iter().position(String::is_empty) {
            None => texts.clone(),
            Some(row) => {
                return refuse(
                    format!("row {row} (from 0): the column `{name}` is empty"),
                    "name the group of every row",
                );
            }
        },
        Some(Column::Numbers(numbers)) => numbers.iter().map(f64::to_string).collect(),
        None => {
            return refuse(
                format!("there is no column `{name}`"),
                "name the column by which rows belong together, such as `group = \"query_id\"`",
            );
        }
    });
    Ok(())
}
