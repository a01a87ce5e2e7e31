use super::{paint, wrap};

#[test]
fn titles_and_terms_are_bold() {
    let text =
        "Sum\n\nUsage: sem run\n\nOptions:\n  -w, --timeout D  Wait\n      --long\n    - no\n  12  number\nNo title:\n";
    let (on, off) = ("\u{1b}[1m", "\u{1b}[0m");
    let painted = format!(
        "Sum\n\n{on}Usage:{off} sem run\n\n{on}Options:{off}\n  {on}-w, --timeout D{off}  Wait\n      {on}--long{off}\n    - no\n  {on}12{off}  number\nNo title:\n"
    );
    assert_eq!(paint(text), painted);
}

#[test]
fn long_line_breaks_between_words() {
    let word = "abcdefghi";
    let line = format!("  {}", [word; 10].join(" "));
    let wrapped = format!("  {}\n  {}\n", [word; 7].join(" "), [word; 3].join(" "));
    assert_eq!(wrap(&line, 80), wrapped);
    let exact = "x".repeat(80);
    assert_eq!(wrap(&exact, 80), format!("{exact}\n"));
    let long = "é".repeat(100);
    assert_eq!(wrap(&format!("{long} a\n          \nb"), 80), format!("{long}\na\n\nb\n"));
}

#[test]
fn text_of_a_term_is_aligned_with_its_column() {
    let line = "  -x, --exclusive     Fail with status 4 if it exists, or if it is not as requested";
    let beside = "  -x, --exclusive     Fail with status 4 if it\n                      exists, or if it is not as\n                      requested\n";
    assert_eq!(wrap(line, 50), beside);
    let beneath = "  -x, --exclusive\n        Fail with status 4 if it exists,\n        or if it is not as requested\n";
    assert_eq!(wrap(line, 42), beneath);
}

#[test]
fn width_is_at_most_100() {
    let line = "word ".repeat(40);
    let widest = |columns| wrap(&line, columns).lines().map(str::len).max();
    assert_eq!([widest(60), widest(100), widest(200)], [Some(59), Some(99), Some(99)]);
}

#[test]
fn usage_breaks_outside_of_brackets() {
    let line = "Usage: ipcbox sem op [OPTION]... TARGET INDEX:DELTA... [-- CMD [ARG]...]";
    let wrapped = "Usage: ipcbox sem op [OPTION]... TARGET INDEX:DELTA...\n       [-- CMD [ARG]...]\n";
    assert_eq!(wrap(line, 60), wrapped);
}
