//! Bytes in JSON.

use crate::text::write_json;

/// The field of a JSON object that has these bytes: `"data":"…"` where they are UTF-8, else `"data_base64":"…"`.
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

/// Base 64 of RFC 4648, with padding.
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
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_the_rfc() {
        for (text, digits) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), digits);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfd]), "//79");
    }

    #[test]
    fn what_is_text_is_text() {
        assert_eq!(json_data("é\0\"\n".as_bytes()), r#""data":"é\u0000\"\n""#);
        assert_eq!(json_data(b"\xff"), r#""data_base64":"/w==""#);
    }

    #[test]
    fn any_bytes_are_json() {
        use proptest::prelude::*;
        crate::fuzz::fuzz(2000, &proptest::collection::vec(any::<u8>(), 0..40), |bytes| {
            let json = format!("{{{}}}", json_data(&bytes));
            let object: serde_json::Value = serde_json::from_str(&json).unwrap();
            match std::str::from_utf8(&bytes) {
                Ok(text) => prop_assert_eq!(object["data"].as_str(), Some(text)),
                Err(_) => prop_assert!(object["data_base64"].is_string()),
            }
            Ok(())
        });
    }
}
