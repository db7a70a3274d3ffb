//! Numbers of a fixed width as bytes, one behind the other.

/// The numbers in `bytes`; what is left over at the end is passed over.
pub fn decode<const N: usize, T>(bytes: &[u8], from: impl Fn([u8; N]) -> T) -> Vec<T> {
    let numbers = bytes.as_chunks().0.iter();
    numbers.map(|bytes| from(*bytes)).collect()
}

/// The bytes of `numbers`.
pub fn encode<const N: usize, T: Copy>(numbers: &[T], to: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    numbers.iter().flat_map(|number| to(*number)).collect()
}
