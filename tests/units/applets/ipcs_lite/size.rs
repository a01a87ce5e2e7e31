use super::human;

#[test]
fn sizes_match_util_linux() {
    for (bytes, text) in [
        (0, "0B"),
        (1023, "1023B"),
        (1075, "1K"),
        (1076, "1.1K"),
        (1_048_524, "1023.9K"),
        (1_048_575, "1024K"),
        (1_048_576, "1M"),
        (12_345_678_901_234_567, "11P"),
        (u64::MAX, "16E"),
    ] {
        assert_eq!(human(bytes), text, "{bytes}");
    }
}
