use super::*;

#[test]
fn pattern_matches_the_whole_name() {
    for (pattern, name, is_match) in [
        (c"ci-*", "ci-12", true),
        (c"ci-*", "my-ci-12", false),
        (c"*", "/job", true),
        (c"*", ".hidden", true),
        (c"/j?b", "/job", true),
        (c"[a-c]x", "bx", true),
        (c"[!a-c]x", "bx", false),
        (c"a\\*", "a*", true),
        (c"a\\*", "ab", false),
        (c"[", "[", true),
        (c"", "a", false),
    ] {
        assert_eq!(matches(pattern, OsStr::new(name)), is_match, "{pattern:?} {name}");
    }
}

#[test]
fn unclosed_bracket_is_open() {
    for (pattern, is) in [
        ("", false),
        ("a", false),
        ("[a]", false),
        ("[]a]", false),
        ("[!]a]*", false),
        ("[[:alpha:]]", false),
        ("[[a]", false),
        ("\\[a", false),
        ("ä\\ä[ä]", false),
        ("[a", true),
        ("[", true),
        ("[]", true),
        ("[^]", true),
        ("[a]x[b", true),
        ("\\\\[a", true),
        ("[[:alpha:]", true),
    ] {
        assert_eq!(is_open(pattern), is, "{pattern}");
    }
}
