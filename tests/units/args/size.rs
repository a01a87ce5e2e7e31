use super::parse;

#[test]
fn sizes_are_powers_of_1024_or_1000() {
    for (text, bytes) in [
        ("0", 0),
        ("4096", 4096),
        ("64K", 65_536),
        ("64k", 65_536),
        ("64KiB", 65_536),
        ("64KB", 64_000),
        ("1M", 1 << 20),
        ("2GiB", 2 << 30),
        ("15E", 15 << 60),
    ] {
        assert_eq!(parse(text), Ok(bytes), "{text}");
    }
}

#[test]
fn invalid_size_is_rejected() {
    for text in ["", "K", "-1", "1.5K", "4X", "4Ki", "4KiBs", "1é", "16E", "99999999999999999999"] {
        assert!(parse(text).is_err(), "{text}");
    }
}
