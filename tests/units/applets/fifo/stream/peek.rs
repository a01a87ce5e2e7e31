use super::whole;

#[test]
fn whole_lines_are_measured_in_bytes() {
    assert_eq!(whole(b"a\nbc\nd", b'\n', 9), (5, 2));
    assert_eq!(whole(b"a\nbc\nd", b'\n', 1), (2, 1));
    assert_eq!(whole(b"a\nbc\nd", b'\n', 0), (0, 0));
    assert_eq!(whole(b"abc", b'\n', 9), (0, 0));
    assert_eq!(whole(b"\0\0", 0, u64::MAX), (2, 2));
}
