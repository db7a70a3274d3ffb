//! Where rows stand in the file that they came from.

/// Where rows stand in their file.
#[derive(Debug)]
pub(super) enum Places {
    /// In arrays: by index.
    Rows,
    /// In a table: on these lines, which differ from the row's number where cells hold line breaks or lines are empty.
    Lines(Vec<u32>),
}

impl Places {
    /// What the row is called in errors.
    pub(super) fn of(&self, row: usize) -> String {
        match self {
            Self::Rows => format!("row {row}"),
            Self::Lines(lines) => format!("line {}", lines[row]),
        }
    }
}
