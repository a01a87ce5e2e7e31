use super::*;

fn written(shape: &Shape, is_posix: bool, number: i64, data: &[u8]) -> String {
    let (mut message, mut out) = (Message::new(number), Vec::new());
    message.fill(data);
    shape.write(&message, is_posix, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn every_shape_is_written() {
    let format = |text| Shape::Format(Format::parse(text).unwrap());
    assert_eq!(written(&Shape::Ended(b"\n"), false, 1, b"a b"), "a b\n");
    assert_eq!(written(&Shape::Ended(b""), false, 1, b""), "");
    assert_eq!(written(&Shape::Text, false, 1, b"quit\n\0junk"), "quit\n\n");
    assert_eq!(written(&Shape::Json, false, 7, b"a\"b"), "{\"type\":7,\"length\":3,\"data\":\"a\\\"b\"}\n");
    assert_eq!(written(&Shape::Json, true, 2, b"\xff"), "{\"priority\":2,\"length\":1,\"data_base64\":\"/w==\"}\n");
    assert_eq!(written(&format("%t:%l:%d%n"), false, 9, b"xyz"), "9:3:xyz\n");
    assert_eq!(written(&format("100%% %p"), true, 3, b""), "100% 3");
}

#[test]
fn invalid_format_is_rejected() {
    assert!(Format::parse("%x").unwrap_err().contains("%t"));
    assert!(Format::parse("100%").unwrap_err().contains("%%"));
}

#[test]
fn end_mark_matches_with_newline_or_nul() {
    let line = Shape::Ended(b"\n");
    for data in [&b"quit"[..], b"quit\n", b"quit\0", b"quit\n\0"] {
        assert!(line.is(data, b"quit"), "{data:?}");
    }
    for data in [&b"quit "[..], b"quit\n\n", b"quit\0rest", b"qui", b"QUIT"] {
        assert!(!line.is(data, b"quit"), "{data:?}");
    }
    assert!(Shape::Text.is(b"quit\0rest", b"quit"));
    assert!(line.is(b"", b""));
}

#[test]
fn any_format_is_parsed_or_rejected() {
    use proptest::prelude::*;
    crate::fuzz::fuzz(2000, &".{0,20}", |text| {
        let _ = Format::parse(&text);
        let escaped = Format::parse(&text.replace('%', "%%"));
        let mut out = Vec::new();
        Shape::Format(escaped.unwrap()).write(&Message::new(0), false, &mut out);
        prop_assert_eq!(String::from_utf8(out).unwrap(), text);
        Ok(())
    });
}
