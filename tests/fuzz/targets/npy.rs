//! NumPy arrays. What is read has as many values as its shape says.

#![no_main]

use libfuzzer_sys::fuzz_target;
use trainyard_ml::data::npz;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(array) = npz::read_npy(bytes) {
        // Texts have no numbers.
        if let Some(values) = array.to_f64() {
            assert_eq!(values.len(), array.shape.iter().product::<usize>());
        }
    }
});
