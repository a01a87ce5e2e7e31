use super::*;

#[test]
fn lines_are_whole_and_tagged() {
    let mut lines = Lines::new(b'\n', b"f: ".to_vec());
    assert_eq!(lines.add(b"a"), b"");
    assert_eq!(lines.add(b"b\nc\n\nd"), b"f: ab\nf: c\nf: \n");
    assert!(lines.has_begun() && !lines.is_inside());
    assert_eq!(lines.add(b"e"), b"");
    assert_eq!(lines.finish(), b"f: de\n");
    assert_eq!(lines.finish(), b"");
    assert!(!lines.has_begun());
}

#[test]
fn long_line_is_split() {
    for tag in ["", "f: "] {
        let mut lines = Lines::new(0, tag.into());
        assert_eq!(lines.add(&vec![b'x'; LONGEST]), b"");
        assert!(!lines.is_inside());
        assert_eq!(lines.add(b"y").len(), tag.len() + LONGEST + 1);
        assert!(lines.is_inside() && lines.has_begun());
        assert_eq!(lines.add(b"z"), b"z");
        assert_eq!(lines.add(b"!\0a\0b"), [b"!\0", tag.as_bytes(), b"a\0"].concat());
        assert!(!lines.is_inside());
        assert_eq!(lines.finish(), [tag.as_bytes(), b"b\0"].concat());
    }
}
