use super::*;

#[test]
fn base64_matches_the_rfc() {
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
fn utf8_data_is_json_text() {
    assert_eq!(json_data("é\0\"\n".as_bytes()), r#""data":"é\u0000\"\n""#);
    assert_eq!(json_data(b"\xff"), r#""data_base64":"/w==""#);
}

#[test]
fn any_bytes_are_valid_json() {
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
