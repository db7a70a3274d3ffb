//! A column of features in a table: what its cells are, declared or found out cell by cell.

use trainyard_core::config::ColumnType;

/// Words for a cell that is not there.
const MISSING: [&str; 6] = ["", "na", "nan", "null", "none", "?"];

/// A column of features.
pub(super) struct Column {
    pub(super) name: String,
    /// Cells that were not there.
    pub(super) n_missing: u64,
    declared: Option<ColumnType>,
    found: Option<ColumnType>,
}

impl Column {
    pub(super) fn new(name: &str, declared: Option<ColumnType>) -> Self {
        Self {
            name: name.to_owned(),
            n_missing: 0,
            declared,
            found: None,
        }
    }

    /// The value of a cell; the error says what is wrong with it and what to do.
    pub(super) fn read(&mut self, text: &str) -> Result<f32, String> {
        let name = &self.name;
        let (value, cell_type) = parse(text).ok_or_else(|| {
            format!(
                "`{text}` in the column `{name}` is not a finite number; leave the column out with `[data.csv] ignore = [\"{name}\"]`"
            )
        })?;
        if let Some(declared) = self.declared {
            let fits = match declared {
                ColumnType::Boolean => {
                    cell_type == ColumnType::Boolean || value == 0.0 || value == 1.0
                }
                ColumnType::Integer => cell_type == ColumnType::Integer,
                ColumnType::Number => cell_type != ColumnType::Boolean,
            };
            return if fits {
                Ok(value)
            } else {
                Err(format!(
                    "`{text}` in the column `{name}` is no {}",
                    word(declared)
                ))
            };
        }
        self.found = match (self.found, cell_type) {
            (None, cell_type) => Some(cell_type),
            (Some(found), cell_type) if found == cell_type => Some(found),
            (Some(ColumnType::Boolean), _) | (_, ColumnType::Boolean) => {
                return Err(format!(
                    "`{text}` in the column `{name}`: numbers and true or false are mixed; \
                     if 1 and 0 mean the same, say `[data.csv] types = {{ \"{name}\" = \"boolean\" }}`"
                ));
            }
            _ => Some(ColumnType::Number),
        };
        Ok(value)
    }

    /// Name and type, and how many cells are missing.
    pub(super) fn describe(&self) -> String {
        let kind = self.declared.or(self.found).map_or("empty", word);
        match self.n_missing {
            0 => format!("{} ({kind})", self.name),
            n_missing => format!("{} ({kind}, {n_missing} missing)", self.name),
        }
    }
}

pub(super) fn is_missing(text: &str) -> bool {
    MISSING.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// The text as a finite number.
pub(super) fn number(text: &str) -> Option<f32> {
    text.parse::<f32>().ok().filter(|value| value.is_finite())
}

fn parse(text: &str) -> Option<(f32, ColumnType)> {
    if text.eq_ignore_ascii_case("true") {
        return Some((1.0, ColumnType::Boolean));
    }
    if text.eq_ignore_ascii_case("false") {
        return Some((0.0, ColumnType::Boolean));
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    let cell_type = if is_whole {
        ColumnType::Integer
    } else {
        ColumnType::Number
    };
    Some((number(text)?, cell_type))
}

const fn word(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Boolean => "boolean",
        ColumnType::Integer => "integer",
        ColumnType::Number => "number",
    }
}
