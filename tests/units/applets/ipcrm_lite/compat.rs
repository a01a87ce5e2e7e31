use super::number;

#[test]
fn numbers_parse_as_in_c_library() {
    for (text, base, value) in [
        ("10", 10, Some(10)),
        ("010", 10, Some(10)),
        ("010", 0, Some(8)),
        ("0", 0, Some(0)),
        ("0x0", 0, Some(0)),
        ("0xffffffff", 0, Some(0xffff_ffff)),
        ("-5", 0, Some(-5)),
        (" +7", 10, Some(7)),
        ("5x", 10, None),
        ("", 10, None),
        ("-", 10, None),
        ("+-5", 10, None),
        ("0x", 0, None),
        ("08", 0, None),
        ("99999999999999999999", 10, None),
    ] {
        assert_eq!(number(text, base), value, "{text:?}");
    }
}
