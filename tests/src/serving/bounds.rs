//! Figures, each with the bound that it must keep.

use std::fmt;

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What was measured, and while what.
    pub name: String,
    /// The value.
    pub value: f64,
    /// What it is counted in.
    pub unit: &'static str,
    /// What it must keep.
    pub bound: Bound,
}

/// What a figure must keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
    /// Nothing: it says how hard the others were tried.
    None,
}

impl Figure {
    /// A figure with its bound.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str, bound: Bound) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            bound,
        }
    }

    /// Whether the bound is kept. A value that is not a number keeps none.
    pub fn holds(&self) -> bool {
        match self.bound {
            Bound::AtMost(bound) => self.value <= bound,
            Bound::AtLeast(bound) => self.value >= bound,
            Bound::None => true,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name, value, unit, ..
        } = self;
        let value = format!("{value:.1} {unit}");
        let bound = match self.bound {
            Bound::AtMost(bound) => format!("at most {bound}"),
            Bound::AtLeast(bound) => format!("at least {bound}"),
            Bound::None => String::new(),
        };
        let failed = if self.holds() { "" } else { "  FAILED" };
        write!(f, "{name:72} {:>18}  {bound}{failed}", value.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_kept_or_not() {
        let figure = |value, bound| Figure::new("memory", value, "MB", bound);
        assert!(figure(2.0, Bound::AtMost(2.0)).holds() && figure(2.0, Bound::None).holds());
        for (value, bound) in [
            (2.1, Bound::AtMost(2.0)),
            (1.9, Bound::AtLeast(2.0)),
            (f64::NAN, Bound::AtMost(2.0)),
        ] {
            let figure = figure(value, bound);
            assert!(!figure.holds() && figure.to_string().ends_with("FAILED"));
        }
    }
}
