use super::*;

#[test]
fn counts_pids_and_indexes_are_checked() {
    assert_eq!(count("1"), Ok(1));
    assert_eq!(count("32767"), Ok(32767));
    for text in ["", "0", "-1", "+1", "32768", "1.5", "x", "99999999999999999999"] {
        assert!(count(text).is_err(), "{text}");
    }
    assert_eq!(many("1000000"), Ok(1_000_000));
    for text in ["", "0", "-1", "1K", "99999999999999999999"] {
        assert!(many(text).is_err(), "{text}");
    }
    assert_eq!(pid("2147483647"), Ok(i32::MAX));
    for text in ["0", "-1", "2147483648", "1x"] {
        assert!(pid(text).is_err(), "{text}");
    }
    assert_eq!(indexes("0"), Ok(0..=0));
    assert_eq!(indexes("2..4"), Ok(2..=4));
    for text in ["", "..", "1..", "..1", "4..2", "1...2", "65536"] {
        assert!(indexes(text).is_err(), "{text}");
    }
}
