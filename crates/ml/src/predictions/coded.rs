//! A column of texts of which many are alike, such as labels: each distinct text once, and a number a row.

use std::collections::HashMap;
use std::hash::Hash;

/// Integers that lie no further apart are told apart by a table.
const MAX_RANGE: u64 = 1 << 16;

/// Texts, one a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Coded {
    /// The distinct texts, in the order in which they first appear.
    texts: Vec<String>,
    /// The index of each row's text.
    codes: Vec<u32>,
}

impl Coded {
    pub(super) fn of_texts(texts: Vec<String>) -> Self {
        let mut coding = Coding::default();
        texts.iter().for_each(|text| coding.push(text));
        coding.finish()
    }

    pub(super) fn of_integers(values: &[i64]) -> Self {
        let (Some(&least), Some(&largest)) = (values.iter().min(), values.iter().max()) else {
            return Self::distinct_and_codes(values, i64::to_string);
        };
        let range = largest.abs_diff(least);
        if range >= MAX_RANGE {
            return Self::distinct_and_codes(values, i64::to_string);
        }
        let mut code_of = vec![u32::MAX; range as usize + 1];
        let mut texts = Vec::new();
        let code = |value: &i64| {
            let code = &mut code_of[value.abs_diff(least) as usize];
            if *code == u32::MAX {
                *code = texts.len() as u32;
                texts.push(value.to_string());
            }
            *code
        };
        let codes = values.iter().map(code).collect();
        Self { texts, codes }
    }

    /// As Python writes them: `1.0` keeps its point, so that it is known for a number that could have a fraction.
    pub(super) fn of_numbers(values: &[f64]) -> Self {
        let bits: Vec<u64> = values.iter().map(|value| value.to_bits()).collect();
        Self::distinct_and_codes(&bits, |bits| format!("{:?}", f64::from_bits(*bits)))
    }

    fn distinct_and_codes<T: Copy + Eq + Hash>(values: &[T], text: impl Fn(&T) -> String) -> Self {
        let mut code_of: HashMap<T, u32> = HashMap::new();
        let mut texts = Vec::new();
        let code = |value: &T| {
            *code_of.entry(*value).or_insert_with(|| {
                texts.push(text(value));
                texts.len() as u32 - 1
            })
        };
        let codes = values.iter().map(code).collect();
        Self { texts, codes }
    }

    /// How many rows there are.
    pub(super) const fn len(&self) -> usize {
        self.codes.len()
    }

    /// The distinct texts, in the order in which they first appear.
    pub(super) fn distinct(&self) -> &[String] {
        &self.texts
    }

    /// The index of each row's text among the distinct ones.
    pub(super) fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// The first row with the distinct text of this index.
    pub(super) fn first_row(&self, code: usize) -> usize {
        let is_it = |other: &u32| *other as usize == code;
        let found = self.codes.iter().position(is_it);
        found.expect("each text is that of a row")
    }
}

/// Texts on the way in.
#[derive(Debug, Default)]
pub(super) struct Coding {
    code_of: HashMap<String, u32>,
    codes: Vec<u32>,
}

impl Coding {
    pub(super) fn push(&mut self, text: &str) {
        let code = if let Some(code) = self.code_of.get(text) {
            *code
        } else {
            let code = self.code_of.len() as u32;
            self.code_of.insert(text.to_owned(), code);
            code
        };
        self.codes.push(code);
    }

    pub(super) fn finish(self) -> Coded {
        let mut texts = vec![String::new(); self.code_of.len()];
        for (text, code) in self.code_of {
            texts[code as usize] = text;
        }
        Coded {
            texts,
            codes: self.codes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_cell_is_coded_alike() {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let of_texts = Coded::of_texts(texts(&["7", "-2", "7", "300000"]));
        assert_eq!(of_texts.distinct(), ["7", "-2", "300000"]);
        assert_eq!(of_texts.codes(), [0, 1, 0, 2]);
        assert_eq!(of_texts.first_row(2), 3);
        assert_eq!(Coded::of_integers(&[7, -2, 7, 300_000]), of_texts);
        let close = Coded::of_integers(&[3, 3, -1]);
        assert_eq!(close, Coded::of_texts(texts(&["3", "3", "-1"])));
        let far = Coded::of_integers(&[i64::MIN, i64::MAX]);
        assert_eq!(far.codes(), [0, 1]);
        assert_eq!(Coded::of_integers(&[]).len(), 0);
        let of_numbers = Coded::of_numbers(&[1.0, 0.5, 1.0]);
        assert_eq!(of_numbers.distinct(), ["1.0", "0.5"]);
        assert_eq!(of_numbers.codes(), [0, 1, 0]);
    }
}
