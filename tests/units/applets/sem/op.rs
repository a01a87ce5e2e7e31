use super::*;

fn shown(text: &str) -> Result<String, String> {
    let ops = operations(text)?.0;
    Ok(ops.iter().map(sem::Op::to_string).collect::<Vec<_>>().join(" "))
}

#[test]
fn operations_are_parsed() {
    for (text, ops) in [
        ("0:-1", "0:-1"),
        ("0:1", "0:+1"),
        ("2:0", "2:+0"),
        ("0..2:+3", "0:+3 1:+3 2:+3"),
        ("1:-1nu", "1:-1nu"),
        ("1:-1un", "1:-1nu"),
        ("0:-32767", "0:-32767"),
    ] {
        assert_eq!(shown(text).as_deref(), Ok(ops), "{text}");
    }
    for text in ["", "0", ":1", "0:", "0:x", "0:1x", "0:--1", "0:u", "-1:1", "2..1:1", "0:32768", "0:-32768"] {
        assert!(shown(text).is_err(), "{text}");
    }
}
