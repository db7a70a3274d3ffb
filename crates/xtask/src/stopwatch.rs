//! How long each step of a command took.

use std::fmt;
use std::time::{Duration, Instant};

/// Named steps with their durations, in the order they ran.
#[derive(Default)]
pub(crate) struct Stopwatch {
    laps: Vec<(String, Duration)>,
}

impl Stopwatch {
    /// Runs `step` and records its duration under `name`, whatever it returns.
    pub(crate) fn time<T>(&mut self, name: &str, step: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = step();
        self.laps.push((name.to_owned(), start.elapsed()));
        result
    }
}

/// One line a step, and the total.
impl fmt::Display for Stopwatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .laps
            .iter()
            .map(|(name, _)| name.len())
            .max()
            .unwrap_or(0)
            .max("total".len());
        for (name, duration) in &self.laps {
            writeln!(f, "  {name:width$}  {:>7.1} s", duration.as_secs_f64())?;
        }
        let total: Duration = self.laps.iter().map(|(_, duration)| duration).sum();
        write!(f, "  {:width$}  {:>7.1} s", "total", total.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let laps = vec![
            ("build".to_owned(), Duration::from_millis(95_040)),
            ("publish-image".to_owned(), Duration::from_millis(1_260)),
        ];
        let expected =
            "  build             95.0 s\n  publish-image      1.3 s\n  total             96.3 s";
        assert_eq!(Stopwatch { laps }.to_string(), expected);
    }
}
