use super::*;

#[test]
fn process_forms_are_parsed() {
    let form = |text| parse(text).map(|process| (process.pid, process.only));
    assert_eq!(form("12"), Ok((12, Only::Any)));
    assert_eq!(form("12:345"), Ok((12, Only::Inode(345))));
    assert_eq!(form("12@345"), Ok((12, Only::Start(345))));
    for text in ["", "0", "-1", "0:5", "-2@5", "12:", "12@", "12:x", "12@-1", "12:+1", "1x", "99999999999"] {
        assert!(parse(text).is_err(), "{text}");
    }
}
