use super::*;

#[test]
fn number_is_a_descriptor_else_a_path() {
    for (text, form) in [
        ("0", Spelling::Own(0)),
        ("12:3", Spelling::Of(12, 3)),
        ("./0", Spelling::Path("./0".into())),
        ("a:1", Spelling::Path("a:1".into())),
        (":1", Spelling::Path(":1".into())),
        ("99999999999", Spelling::Path("99999999999".into())),
    ] {
        assert_eq!(PipeTarget::from(OsString::from(text)).form, form, "{text}");
    }
}
