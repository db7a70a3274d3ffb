//! Rows that are ranked within groups: the column of the groups takes its place.

use trainyard_core::config::RankingConfig;
use trainyard_core::scored_rows::{Column, Labels, ScoredRows};

use super::places::Places;
use super::problem::{Problem, some};

/// Puts the column that `ranking` names in place of the rows' groups, and checks that the rows can be ranked.
pub(super) fn prepare(
    rows: &mut ScoredRows,
    ranking: &RankingConfig,
    places: &Places,
) -> Result<(), Problem> {
    let refuse = |problem: String| Err(Problem::Ranking(problem));
    if matches!(rows.labels, Labels::Sets(_) | Labels::Values(_)) {
        return refuse(
            "the rows have several labels, and are ranked by one number: write one column `label` of relevances and one `predicted` of scores"
                .to_owned(),
        );
    }
    if rows.weights.is_some() {
        return refuse(
            "the rows have weights, which metrics of ranked rows do not count: remove the column `weight`"
                .to_owned(),
        );
    }
    if let Labels::Value(relevance) = &rows.labels
        && let Some(row) = relevance.iter().position(|relevance| *relevance < 0.0)
    {
        return refuse(format!(
            "{} has a relevance of {}: write 0 into `label` for what is not relevant, and higher numbers for what is",
            places.of(row),
            relevance[row]
        ));
    }
    let name = &ranking.group;
    if name == "group" {
        return if rows.groups.is_some() {
            Ok(())
        } else {
            refuse(format!(
                "there is no column `group`{}: add it, or name the column of the groups, such as `group = \"query_id\"`",
                beside(rows)
            ))
        };
    }
    // Before the column `group`: where the name is misspelt, that column is not what is wrong.
    let Some(column) = rows.columns.get(name) else {
        return refuse(format!(
            "there is no column `{name}`{}: name the column by which rows belong together",
            beside(rows)
        ));
    };
    if rows.groups.is_some() {
        return refuse(format!(
            "the rows have a column `group` beside `{name}`, and rows are grouped by one column: remove `group`, or give it another name"
        ));
    }
    let groups = match column {
        Column::Texts(texts) => match texts.iter().position(String::is_empty) {
            None => texts.clone(),
            Some(row) => {
                return Err(Problem::Empty {
                    place: places.of(row),
                    column: name.clone(),
                });
            }
        },
        Column::Numbers(numbers) => numbers.iter().map(f64::to_string).collect(),
    };
    rows.groups = Some(groups);
    Ok(())
}

/// The columns that could be meant, as an addition to a sentence.
fn beside(rows: &ScoredRows) -> String {
    let group = rows.groups.as_ref().map(|_| "group");
    let names = group
        .into_iter()
        .chain(rows.columns.keys().map(String::as_str));
    match some(names).as_str() {
        "" => String::new(),
        names => format!("; there are {names}"),
    }
}
