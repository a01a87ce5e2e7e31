use super::*;

fn parse(text: &str) -> Result<Form, String> {
    form(text.as_bytes())
}

#[test]
fn every_form_is_parsed() {
    assert_eq!(parse("/a"), Ok(Form::Posix));
    assert_eq!(parse("0"), Ok(Form::Id(0)));
    assert_eq!(parse("2147483647"), Ok(Form::Id(i32::MAX)));
    assert_eq!(parse("0x1"), Ok(Form::Key(1)));
    assert_eq!(parse("0xFFFFFFFF"), Ok(Form::Key(-1)));
    assert_eq!(parse("private"), Ok(Form::Private));
    assert_eq!(parse("ftok:."), Ok(Form::Ftok(".".into(), 1)));
    assert_eq!(parse("ftok:a:b:7"), Ok(Form::Ftok("a:b".into(), 7)));
    assert_eq!(parse("ftok:a:1234"), Ok(Form::Ftok("a:1234".into(), 1)));
    assert_eq!(parse("build-slots"), Ok(Form::Name(name_key(b"build-slots"))));
    assert_eq!(parse("_.a-9"), Ok(Form::Name(name_key(b"_.a-9"))));
}

#[test]
fn key_of_a_name_is_fnv_1a() {
    assert_eq!(name_key(b"").cast_unsigned(), 0x811c_9dc5);
    assert_eq!(name_key(b"a").cast_unsigned(), 0xe40c_292c);
    assert_eq!(name_key(b"foobar").cast_unsigned(), 0xbf9c_f968);
}

#[test]
fn malformed_target_names_the_nearest_form() {
    for (text, words) in [
        ("", "a name"),
        ("/", "after '/'"),
        ("/a/b", "'/' only at the start"),
        ("/..", "after '/'"),
        ("./lock", "without '/'"),
        ("a/b", "without '/'"),
        ("~x", "not '~'"),
        ("0x", "hexadecimal"),
        ("0x123456789", "hexadecimal"),
        ("0x0", "private objects share key 0"),
        ("0x+1", "hexadecimal"),
        ("2147483648", "at most"),
        ("99999999999999999999", "at most"),
        ("12a", "ci-12a"),
        ("1.2", "ci-1.2"),
        ("-5", "starts with a letter"),
        ("a b", "not ' '"),
        ("naïve", "not 'ï'"),
        ("ftok:", "PATH"),
        ("ftok:a:0", "1 to 255"),
        ("ftok:a:256", "1 to 255"),
    ] {
        let message = parse(text).unwrap_err();
        assert!(message.contains(words), "{text:?}: {message}");
    }
    assert!(parse(&"x".repeat(65)).unwrap_err().contains("64 bytes"));
    assert!(parse(&format!("/{}", "x".repeat(251))).is_err());
    assert_eq!(parse(&format!("/{}", "x".repeat(250))), Ok(Form::Posix));
}
