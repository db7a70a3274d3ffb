//! The header of an `.npy`: a Python dictionary.

/// What the Python dictionary of a header says.
pub(super) struct Header {
    pub(super) descr: String,
    pub(super) is_fortran: bool,
    pub(super) shape: Vec<usize>,
}

impl Header {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let value = |key: &str| {
            let quoted = [format!("'{key}'"), format!("\"{key}\"")];
            let after = quoted
                .iter()
                .find_map(|key| text.split_once(key.as_str()).map(|(_, after)| after));
            after
                .and_then(|after| after.trim_start().strip_prefix(':'))
                .map(str::trim_start)
        };
        let descr = value("descr")
            .and_then(|text| {
                let quote = text
                    .chars()
                    .next()
                    .filter(|quote| matches!(quote, '\'' | '"'))?;
                text[1..]
                    .split_once(quote)
                    .map(|(descr, _)| descr.to_owned())
            })
            .ok_or("the header names no plain element type")?;
        let is_fortran = match value("fortran_order") {
            Some(text) if text.starts_with("True") => true,
            Some(text) if text.starts_with("False") => false,
            _ => return Err("the header does not say `fortran_order`".to_owned()),
        };
        let axes = value("shape")
            .and_then(|text| text.strip_prefix('('))
            .and_then(|text| text.split_once(')'))
            .map(|(axes, _)| axes)
            .ok_or("the header says no `shape`")?;
        let axes = axes
            .split(',')
            .map(str::trim)
            .filter(|axis| !axis.is_empty());
        let shape: Result<Vec<usize>, _> = axes
            .map(|axis| axis.trim_end_matches('L').parse())
            .collect();
        Ok(Self {
            descr,
            is_fortran,
            shape: shape.map_err(|_| "the `shape` is not a list of sizes".to_owned())?,
        })
    }
}
