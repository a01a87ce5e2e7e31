use super::*;

#[test]
fn durations_of_other_tools_are_parsed() {
    for (text, millis) in [
        ("0", 0),
        ("5", 5_000),
        ("0.25", 250),
        (".5", 500),
        ("5.", 5_000),
        ("250ms", 250),
        ("1m30s", 90_000),
        ("1.5m", 90_000),
        ("2h", 7_200_000),
        ("1d", 86_400_000),
        ("1d 2h", 93_600_000),
        ("5 s", 5_000),
    ] {
        assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
    }
}

#[test]
fn duration_is_shown_as_typed() {
    for text in
        ["0s", "1.5s", "1m30.25s", "1m500ms", "250ms", "1.05ms", "2.5us", "7ns", "10s", "2h", "1m", "1.000000001s"]
    {
        assert_eq!(show(parse(text).unwrap()), text);
    }
    assert_eq!(show(Duration::from_millis(60_500)), "1m500ms");
}

#[test]
fn part_of_a_nanosecond_rounds_up() {
    for (text, nanos) in [
        ("0.0000000001", 1),
        ("0.1000000001", 100_000_001),
        ("1.9999999999", 2_000_000_000),
        ("0.10000000000000000000000000000000000000000000000000000000000001", 100_000_001),
        ("0.0000001ms", 1),
        ("0.5ns", 1),
        ("1.00001us", 1_001),
        ("0.00000001h", 36_000),
        ("1.23456h", 4_444_416_000_000),
        ("0.0000000000", 0),
    ] {
        assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
    }
}

#[test]
fn invalid_duration_is_rejected() {
    for text in ["", "-1", "5x", "s", ".", "1e3", "1y", "2M", "1month", "inf", "1..2"] {
        assert!(parse(text).is_err(), "{text}");
    }
    for text in ["18446744073709551615s999999999ns1ns", "9999999999999"] {
        assert!(parse(text).unwrap_err().contains("digits"), "{text}");
    }
}
