//! IDX, plain and compressed. What is read has as many values as its shape says.

#![no_main]

use libfuzzer_sys::fuzz_target;
use trainyard_ml::data::idx;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(array) = idx::parse(bytes) {
        let n_values = array.shape.iter().product::<usize>();
        assert_eq!(array.values.into_f64().len(), n_values);
    }
});
