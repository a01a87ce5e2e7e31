use super::*;

#[test]
fn compacted_file_has_its_length() {
    for (text, len) in [
        ("", 0),
        ("c39bf2a3 build\n", 0),
        ("# compacted: 40000\nc39bf2a3 build\n", 40000),
        ("# compacted: 40000", 40000),
        ("# compacted: -1\n", 0),
        ("# compacted: \n", 0),
        ("# compacted: 99999999999999999999999\n", 0),
    ] {
        assert_eq!(length(text.as_bytes()), len, "{text:?}");
    }
}
