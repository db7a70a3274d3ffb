//! The columns of a table by their role.

use std::collections::BTreeMap;

use trainyard_core::config::CsvConfig;

use super::problem::TableProblem;
use crate::data::excerpt::{Excerpt, Names};

/// The places of the columns by their role.
pub(super) struct Roles {
    pub(super) label: usize,
    pub(super) features: Vec<usize>,
    pub(super) weight: Option<usize>,
    pub(super) row_id: Option<usize>,
    /// Columns whose texts are kept beside their role, with their names.
    pub(super) keys: Vec<(String, usize)>,
}

impl Roles {
    pub(super) fn of(
        header: &[String],
        config: &CsvConfig,
        keys: &[String],
        is_closed: bool,
    ) -> Result<Self, TableProblem> {
        let mut seen = BTreeMap::new();
        for (idx, name) in header.iter().enumerate() {
            if let Some(first) = seen.insert(name.as_str(), idx) {
                return Err(TableProblem::Twice {
                    name: Excerpt::of(name),
                    first: first + 1,
                    second: idx + 1,
                });
            }
        }
        let find = |name: &String| {
            seen.get(name.as_str())
                .copied()
                .ok_or_else(|| TableProblem::NoColumn {
                    name: Excerpt::of(name),
                    known: Names::of(header),
                    hint: delimiter_hint(header),
                })
        };
        let label = find(&config.label)?;
        config
            .types
            .keys()
            .try_for_each(|name| find(name).map(|_| ()))?;
        let weight = config.weight.as_ref().map(find).transpose()?;
        let row_id = config.row_id.as_ref().map(find).transpose()?;
        let ignored: Vec<usize> = config.ignore.iter().map(find).collect::<Result<_, _>>()?;
        let has_role = |idx: &usize| {
            *idx == label || Some(*idx) == weight || Some(*idx) == row_id || ignored.contains(idx)
        };
        let features: Vec<usize> = if let Some(names) = &config.features {
            names.iter().map(find).collect::<Result<_, _>>()?
        } else {
            (0..header.len()).filter(|idx| !has_role(idx)).collect()
        };
        let keys = keys
            .iter()
            .map(|name| Ok::<_, TableProblem>((name.clone(), find(name)?)));
        let keys = keys.collect::<Result<_, _>>()?;
        let is_unknown = |idx: &usize| !has_role(idx) && !features.contains(idx);
        if let Some(idx) = (0..header.len()).find(is_unknown).filter(|_| is_closed) {
            return Err(TableProblem::UnknownColumn {
                name: Excerpt::of(&header[idx]),
                written: header[idx].clone(),
            });
        }
        Ok(Self {
            label,
            features,
            weight,
            row_id,
            keys,
        })
    }
}

/// A header that is one cell was most often split by the wrong character.
fn delimiter_hint(header: &[String]) -> String {
    let [only] = header else {
        return String::new();
    };
    let used = [(';', ";"), ('\t', "\\t"), ('|', "|"), (',', ",")]
        .into_iter()
        .find(|(delimiter, _)| only.contains(*delimiter));
    used.map_or_else(String::new, |(_, written)| {
        format!("; set `delimiter = \"{written}\"` in `[data.csv]`")
    })
}
