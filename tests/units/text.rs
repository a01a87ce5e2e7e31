use super::*;

#[test]
fn terminal_controls_are_escaped() {
    assert_eq!(visible("a\x1b[2J\n\u{9b}é\x7f", &['\n']), "a\\u{1b}[2J\n\\u{9b}é\\u{7f}");
    assert_eq!(visible("\u{202e}gnp\u{2069}", &[]), "\\u{202e}gnp\\u{2069}");
    assert_eq!(visible_bytes(b"a\x9b\xc3\xa9\n\xff"), b"a\\x9b\xc3\xa9\\n\xff");
    let json = |text: &str| {
        let mut line = String::new();
        write_json(&mut line, text);
        line
    };
    assert_eq!(json("a\"\\\t\0é日"), "\"a\\\"\\\\\\t\\u0000é日\"");
    assert_eq!(json("\x7f\u{80}\u{9f}\u{202a}\u{2066}"), r#""\u007f\u0080\u009f\u202a\u2066""#);
}

#[test]
fn any_text_is_escaped_for_json_and_terminals() {
    use proptest::prelude::*;
    crate::fuzz::fuzz(2000, &any::<String>(), |text| {
        let mut line = String::new();
        write_json(&mut line, &text);
        prop_assert!(!visible(&text, &[]).chars().any(is_control));
        prop_assert!(!line.chars().any(is_control));
        let read: String = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(read, text);
        Ok(())
    });
}

#[test]
fn nearest_word_differs_by_two_letters_at_most() {
    let verbs = ["run", "lock", "wait", "post", "stat", "rm", "set"];
    for (word, ours) in [("rnu", "run"), ("stats", "stat"), ("sett", "set"), ("lokc", "lock")] {
        assert_eq!(nearest(word, &verbs), Some(ours), "{word}");
    }
    for word in ["xyzzy", "ls", "acquire"] {
        assert_eq!(nearest(word, &verbs), None, "{word}");
    }
}

#[test]
fn count_of_one_is_singular() {
    let counts = [0, 1, 2].map(|count| counted(count, "byte"));
    assert_eq!(counts, ["0 bytes", "1 byte", "2 bytes"]);
}

#[test]
fn width_is_in_terminal_columns() {
    assert_eq!((width("é"), width("e\u{301}"), width("日本"), width("👍")), (1, 1, 4, 2));
    assert_eq!((pad("日", 4), pad_left("日", 4)), ("日  ".into(), "  日".into()));
    assert_eq!(pad("日本", 3), "日本");
}

#[test]
fn long_text_loses_its_middle() {
    assert_eq!((shorten("abcdef", 6, ".."), shorten("abcdefg", 6, "..")), ("abcdef".into(), "ab..fg".into()));
    assert_eq!((shorten("日本日本", 6, "…"), shorten("abcdef", 3, "")), ("日…本".into(), "abc".into()));
    for columns in 2..9 {
        assert!(width(&shorten("é日e\u{301}x/日本y", columns, "..")) <= columns);
    }
}

#[test]
fn whole_lines_are_measured_in_bytes() {
    assert_eq!(whole(b"a\nbc\nd", b'\n', 9), (5, 2));
    assert_eq!(whole(b"a\nbc\nd", b'\n', 1), (2, 1));
    assert_eq!(whole(b"a\nbc\nd", b'\n', 0), (0, 0));
    assert_eq!(whole(b"abc", b'\n', 9), (0, 0));
    assert_eq!(whole(b"\0\0", 0, u64::MAX), (2, 2));
}
