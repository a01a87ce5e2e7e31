use super::mode;

#[test]
fn modes_are_octal() {
    assert_eq!(mode("0660"), Ok(0o660));
    assert_eq!(mode("0"), Ok(0));
    for text in ["", "8", "1777", "u=rw", "-1", "+7", "99999999999"] {
        assert!(mode(text).is_err(), "{text}");
    }
}
