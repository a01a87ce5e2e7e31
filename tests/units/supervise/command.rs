use super::*;

#[test]
fn braces_are_replaced_as_whole_argument() {
    let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
    let mut line = words("{} a --b={} {}");
    assert_eq!(fill(&mut line, b"x\n"), Ok(true));
    assert_eq!(line, words("x\n a --b={} x\n"));
    assert_eq!(fill(&mut line, b"\0"), Ok(false));
    assert!(fill(&mut words("a {}"), b"a\0b").is_err());
}
