use super::*;

#[test]
fn a_line_is_shown_with_its_dashes() {
    let words = ["build", "cc", "it's"].map(str::to_owned);
    assert_eq!(with_dashes("sem run", &words, "cc"), r"sem run build -- cc 'it'\''s'");
    let words = ["cc", "cc", "-c"].map(str::to_owned);
    assert_eq!(with_dashes("sem run", &words, "cc"), "sem run cc -- cc -c");
}
