//! Archives of NumPy arrays.

#![no_main]

use libfuzzer_sys::fuzz_target;
use trainyard_ml::data::npz;

fuzz_target!(|bytes: &[u8]| {
    for array in npz::read_npz(bytes).unwrap_or_default().values() {
        // Texts have no numbers.
        if let Some(values) = array.to_f64() {
            assert_eq!(values.len(), array.shape.iter().product::<usize>());
        }
    }
});
