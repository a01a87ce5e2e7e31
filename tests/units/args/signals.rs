use super::*;

#[test]
fn signal_name_is_parsed_back() {
    assert_eq!(all().count(), 62);
    for signal in all() {
        let name = name(signal);
        for text in [name.clone(), format!("SIG{name}"), name.to_lowercase(), signal.number().to_string()] {
            assert_eq!(parse(&text), Ok(signal), "{text}");
        }
    }
    for (other, named) in OTHER_NAMES {
        assert_eq!(parse(other), Ok(*named));
    }
    let names: Vec<String> = [34, 37, 49, 50, 63, 64].map(|n| name(Signal::new(n).unwrap())).into();
    assert_eq!(names, ["RTMIN", "RTMIN+3", "RTMIN+15", "RTMAX-14", "RTMAX-1", "RTMAX"]);
}

#[test]
fn invalid_signal_is_explained() {
    for (text, words) in [
        ("", "a name or a number"),
        ("0", "1 to 64"),
        ("65", "1 to 64"),
        ("99999999999", "1 to 64"),
        ("32", "SIGCANCEL"),
        ("33", "SIGSETXID"),
        ("SIGCANCEL", "signal 32"),
        ("TREM", "'TERM'"),
        ("sigkil", "'KILL'"),
        ("xyzzy", "signal list"),
        ("RTMIN+31", "RTMIN to RTMIN+30"),
        ("RTMAX-31", "RTMAX to RTMAX-30"),
        ("RTMIN+-1", "RTMIN to RTMIN+30"),
        ("-9", "without '-'"),
        ("RTMIN-1", "'RTMIN"),
    ] {
        let reason = parse(text).unwrap_err();
        assert!(reason.contains(words), "{text}: {reason}");
    }
    assert!(catchable("KILL").is_err() && catchable("stop").is_err());
    assert_eq!(or_none("0"), Ok(None));
}

#[test]
fn masks_are_sets() {
    assert_eq!(mask("0x4002").map(names), Ok("INT,TERM".into()));
    assert_eq!(mask("0x180000000").map(names), Ok("32,33".into()));
    assert_eq!(mask("0x8000000000000000").map(names), Ok("RTMAX".into()));
    for text in ["0x", "0xg", "0x10000000000000000", "0x+1"] {
        assert!(mask(text).is_err(), "{text}");
    }
}
