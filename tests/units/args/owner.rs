use super::*;

#[test]
fn owner_is_names_or_numbers() {
    assert_eq!(parse("root"), Ok(Owner { uid: 0, gid: None }));
    assert_eq!(parse("root:0"), Ok(Owner { uid: 0, gid: Some(0) }));
    assert_eq!(parse("4242:root"), Ok(Owner { uid: 4242, gid: Some(0) }));
    for text in ["", ":root", "root:", "no-such-user", "-1", "4294967296"] {
        assert!(parse(text).is_err(), "{text}");
    }
}
