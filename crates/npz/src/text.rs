//! Elements that are texts.

pub(super) fn decode_text(
    elements: &[u8],
    n: usize,
    width: usize,
    is_big: bool,
) -> Result<Vec<String>, String> {
    check_len(elements, n, width.checked_mul(4))?;
    let code = |bytes: &[u8; 4]| {
        let bytes = *bytes;
        char::from_u32(if is_big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    };
    let text = |element: &[u8]| {
        let text: Option<String> = element.as_chunks().0.iter().map(code).collect();
        text.map(|text| text.trim_end_matches('\0').to_owned())
    };
    let texts: Option<Vec<String>> = (0..n)
        .map(|idx| text(&elements[idx * width * 4..(idx + 1) * width * 4]))
        .collect();
    texts.ok_or_else(|| "a text holds what is not a character".to_owned())
}

pub(super) fn decode_bytes(elements: &[u8], n: usize, width: usize) -> Result<Vec<String>, String> {
    check_len(elements, n, Some(width))?;
    let text = |element: &[u8]| {
        let text = std::str::from_utf8(element).ok()?;
        Some(text.trim_end_matches('\0').to_owned())
    };
    let texts: Option<Vec<String>> = (0..n)
        .map(|idx| text(&elements[idx * width..(idx + 1) * width]))
        .collect();
    texts.ok_or_else(|| {
        "a text of bytes is not UTF-8; save it as text (`array.astype(str)`)".to_owned()
    })
}

fn check_len(elements: &[u8], n: usize, width: Option<usize>) -> Result<(), String> {
    // Without a width, any number of texts would fit no bytes.
    let width = width.filter(|&width| width > 0 || n == 0);
    if width.and_then(|width| n.checked_mul(width)) == Some(elements.len()) {
        return Ok(());
    }
    Err(format!(
        "{n} texts are announced, but {} bytes follow",
        elements.len()
    ))
}
