//! Archives of NumPy arrays.

#![no_main]

use libfuzzer_sys::fuzz_target;
use trainyard_ml::data::npz;

fuzz_target!(|bytes: &[u8]| {
    for array in npz::read_npz(bytes).unwrap_or_default().values() {
        assert_eq!(array.to_f64().len(), array.shape.iter().product::<usize>());
    }
});
