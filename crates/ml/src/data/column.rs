//! A column of features in a table: what its cells are, declared or found out cell by cell.

use trainyard_core::config::{ColumnType, Decimal};

use super::excerpt::Excerpt;

/// Words for a cell that is not there.
const MISSING: [&str; 6] = ["", "na", "nan", "null", "none", "?"];

/// Why a cell is not a value of its column.
#[derive(Debug, thiserror::Error)]
pub enum CellProblem {
    /// Text, NaN or infinity.
    #[error(
        "{text} in the column {column} is not a finite number; leave the column out with `[data.csv] ignore = [{name:?}]`"
    )]
    NotANumber {
        /// What stands there.
        text: Excerpt,
        /// The column.
        column: Excerpt,
        /// The column as TOML writes it.
        name: String,
    },
    /// A number with the other decimal separator.
    #[error(
        "{text} in the column {column} is written with a decimal {word}; set `decimal = \"{separator}\"` in `[data.csv]`"
    )]
    Decimal {
        /// What stands there.
        text: Excerpt,
        /// The column.
        column: Excerpt,
        /// The separator in a word.
        word: &'static str,
        /// What to write.
        separator: char,
    },
    /// Both separators.
    #[error(
        "{text} in the column {column} has separators between thousands; write numbers without them"
    )]
    Thousands {
        /// What stands there.
        text: Excerpt,
        /// The column.
        column: Excerpt,
    },
    /// Beyond 32 bits.
    #[error("{text} in the column {column} is too large for a 32-bit number; scale the column")]
    TooLarge {
        /// What stands there.
        text: Excerpt,
        /// The column.
        column: Excerpt,
    },
    /// Not of the declared type.
    #[error("{text} in the column {column} is not {declared}")]
    Declared {
        /// What stands there.
        text: Excerpt,
        /// The column.
        column: Excerpt,
        /// With its article.
        declared: &'static str,
    },
    /// Numbers among booleans.
    #[error(
        "{text} in the column {column}: numbers and true or false are mixed; if 1 and 0 mean the same, say \
         `[data.csv] types = {{ {name:?} = \"boolean\" }}`"
    )]
    Mixed {
        /// What stands there.
        text: Excerpt,
        /// The column.
        column: Excerpt,
        /// The column as TOML writes it.
        name: String,
    },
}

/// A column of features.
pub(super) struct Column {
    pub(super) name: String,
    /// Cells that were not there.
    pub(super) n_missing: u64,
    declared: Option<ColumnType>,
    found: Option<ColumnType>,
    decimal: Decimal,
}

impl Column {
    pub(super) fn new(name: &str, declared: Option<ColumnType>, decimal: Decimal) -> Self {
        Self {
            name: name.to_owned(),
            n_missing: 0,
            declared,
            found: None,
            decimal,
        }
    }

    /// The value of a cell; the error says what is wrong with it and what to do.
    pub(super) fn read(&mut self, text: &str) -> Result<f32, CellProblem> {
        let (value, cell_type) = parse(text, self.decimal)
            .ok_or_else(|| not_a_number(text, &self.name, self.decimal))?;
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
                Err(CellProblem::Declared {
                    text: Excerpt::of(text),
                    column: Excerpt::of(&self.name),
                    declared: match declared {
                        ColumnType::Boolean => "a boolean",
                        ColumnType::Integer => "an integer",
                        ColumnType::Number => "a number",
                    },
                })
            };
        }
        self.found = match (self.found, cell_type) {
            (None, cell_type) => Some(cell_type),
            (Some(found), cell_type) if found == cell_type => Some(found),
            (Some(ColumnType::Boolean), _) | (_, ColumnType::Boolean) => {
                return Err(CellProblem::Mixed {
                    text: Excerpt::of(text),
                    column: Excerpt::of(&self.name),
                    name: self.name.clone(),
                });
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
pub(super) fn number(text: &str, decimal: Decimal) -> Option<f64> {
    let parsed = match decimal {
        Decimal::Point => text.parse::<f64>(),
        // With a point in it, it is another number, or the points are between thousands.
        Decimal::Comma if text.contains('.') => return None,
        Decimal::Comma => text.replacen(',', ".", 1).parse(),
    };
    parsed.ok().filter(|value| value.is_finite())
}

/// The text as a finite number of 32 bits, rounded once.
pub(super) fn narrow(text: &str, decimal: Decimal) -> Option<f32> {
    number(text, decimal)?;
    let value: f32 = match decimal {
        Decimal::Point => text.parse().ok()?,
        Decimal::Comma => text.replacen(',', ".", 1).parse().ok()?,
    };
    value.is_finite().then_some(value)
}

fn parse(text: &str, decimal: Decimal) -> Option<(f32, ColumnType)> {
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
    Some((narrow(text, decimal)?, cell_type))
}

fn not_a_number(text: &str, name: &str, decimal: Decimal) -> CellProblem {
    let (other, word, separator) = match decimal {
        Decimal::Point => (Decimal::Comma, "comma", ','),
        Decimal::Comma => (Decimal::Point, "point", '.'),
    };
    let (excerpt, column) = (Excerpt::of(text), Excerpt::of(name));
    let without = |separator: char| text.replace(separator, "").replacen(',', ".", 1);
    let is_thousands = text.contains(',') && text.contains('.') || text.matches(',').count() > 1;
    if number(text, decimal).is_some() {
        CellProblem::TooLarge {
            text: excerpt,
            column,
        }
    } else if number(text, other).is_some() {
        CellProblem::Decimal {
            text: excerpt,
            column,
            word,
            separator,
        }
    } else if is_thousands
        && ['.', ',', '\'', ' ']
            .iter()
            .any(|&separator| without(separator).parse::<f64>().is_ok())
    {
        CellProblem::Thousands {
            text: excerpt,
            column,
        }
    } else {
        CellProblem::NotANumber {
            text: excerpt,
            column,
            name: name.to_owned(),
        }
    }
}

const fn word(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Boolean => "boolean",
        ColumnType::Integer => "integer",
        ColumnType::Number => "number",
    }
}
