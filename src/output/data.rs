//! Bytes in JSON.

use crate::text::write_json;

/// Returns the JSON field for some bytes: `"data":"…"` if they are UTF-8, else `"data_base64":"…"`.
pub fn json_data(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            let mut field = String::from("\"data\":");
            write_json(&mut field, text);
            field
        }
        Err(_) => format!("\"data_base64\":\"{}\"", base64(bytes)),
    }
}

/// Encodes as base64 (RFC 4648), with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let byte = |n: usize| u32::from(chunk.get(n).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let digit = move |n: usize| DIGITS[(bits >> (18 - 6 * n)) as usize & 63] as char;
        let used = chunk.len() + 1;
        (0..4).map(move |n| if n < used { digit(n) } else { '=' })
    };
    bytes.chunks(3).flat_map(group).collect()
}

#[cfg(test)]
#[path = "../../tests/units/output/data.rs"]
mod tests;
