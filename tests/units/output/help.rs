use super::{paint, wrap};

#[test]
fn titles_and_options_stand_out() {
    let text = "Sum.\n\nUsage: sem run\n\nOptions:\n  -w, --timeout <D>  Wait\n      --x\n    - no\n";
    let (on, off) = ("\u{1b}[1m", "\u{1b}[0m");
    let painted = format!(
        "Sum.\n\n{on}Usage:{off} sem run\n\n{on}Options:{off}\n  {on}-w, --timeout <D>{off}  Wait\n      {on}--x{off}\n    - no\n"
    );
    assert_eq!(paint(text), painted);
}

#[test]
fn lines_are_broken_between_words_and_keep_their_indent() {
    let word = "abcdefghi";
    let line = format!("  {}", [word; 10].join(" "));
    let wrapped = format!("  {}\n  {}\n", [word; 7].join(" "), [word; 3].join(" "));
    assert_eq!(wrap(&line), wrapped);
    let exact = "x".repeat(80);
    assert_eq!(wrap(&exact), format!("{exact}\n"));
    let long = "é".repeat(100);
    assert_eq!(wrap(&format!("{long} a\n          \nb")), format!("{long} a\n\nb\n"));
}
