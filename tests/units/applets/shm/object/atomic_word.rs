use super::*;

#[test]
fn values_are_signed_integers() {
    for (text, number) in [("0", 0), ("-1", -1), ("+7", 7), ("9223372036854775807", i64::MAX)] {
        assert_eq!(value(text), Ok(number), "{text}");
    }
    for text in ["", "-", "1x", "0x1", "--1", "1.5", "9223372036854775808"] {
        assert!(value(text).is_err(), "{text}");
    }
    assert!(Bits::Narrow.fit(i64::from(i32::MAX) + 1).is_err());
    assert!(Bits::Wide.fit(i64::MAX).is_ok());
}
