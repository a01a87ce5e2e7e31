use super::*;

use clap::{Arg, Command};

/// What is answered to these words in the place of `sem run`.
fn answer(words: &[&str]) -> (String, Option<String>) {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let parse = |words: &[String]| {
        let slots = Arg::new("slots").long("slots").value_parser(super::super::numbers::count);
        let command = Arg::new("CMD").last(true).required(true).num_args(1..);
        let parser = Command::new("run").no_binary_name(true).args([Arg::new("TARGET").required(true), slots, command]);
        parser.try_get_matches_from(words).map(drop)
    };
    let usage = || "sem run TARGET -- CMD".to_owned();
    let line = CommandLine {
        called: "sem run",
        words: words.clone(),
        takes_command: true,
        parse: Box::new(parse),
        usage: Box::new(usage),
    };
    let cause = line.explain(&parse(&words).unwrap_err());
    let text = crate::exit::lines("sem", &cause.into());
    let (message, hint) = text.split_once('\n').unwrap();
    let hint = hint.strip_prefix("hint: ").map(|hint| hint.trim_end().to_owned());
    (message.trim_start_matches("sem: ").to_owned(), hint)
}

#[test]
fn dashes_go_before_the_command() {
    for (words, line) in [
        (&["build", "cc", "it's"][..], r"sem run build -- cc 'it'\''s'"),
        (&["cc", "cc", "-c"], "sem run cc -- cc -c"),
        (&["build", "echo a | cat"], "sem run build -- sh -c 'echo a | cat'"),
        (&["build", "--slots", "2", "cc", "-c"], "sem run build --slots 2 -- cc -c"),
    ] {
        assert_eq!(answer(words), ("the command goes after '--'".into(), Some(line.into())), "{words:?}");
    }
}

#[test]
fn several_faults_are_corrected_at_once() {
    let words = ["build", "-j2", "make", "-k"];
    let line = "sem run build --slots 2 -- make -k";
    assert_eq!(answer(&words), ("no option '-j'; did you mean '--slots 2'?".into(), Some(line.into())));
}

#[test]
fn value_without_its_option_is_recognised() {
    let message = "unexpected argument '4' (did you mean --slots 4?)";
    assert_eq!(answer(&["b", "4", "--", "x"]), (message.into(), Some("sem run b --slots 4 -- x".into())));
}

#[test]
fn missing_operand_shows_the_usage() {
    assert_eq!(answer(&[]), ("TARGET is missing".into(), Some("write sem run TARGET -- CMD".into())));
    assert_eq!(answer(&["b"]), ("CMD is missing".into(), Some("write sem run TARGET -- CMD".into())));
}

#[test]
fn line_that_cannot_be_corrected_has_no_hint() {
    let message = "no option '--slot'; did you mean '--slots'?";
    assert_eq!(answer(&["b", "--slot", "x", "--", "y"]), (message.into(), None));
}
