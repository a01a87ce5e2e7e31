//! Help: the measures of its texts, and that they are complete. Its examples run with those of the pages.

use std::fs::File;
use std::io::Read;

use clap::Arg;
use ipcbox::applets::topics::TOPICS;
use ipcbox::applets::{APPLETS, Applet, Entry, SHARED, WORDS};
use ipcbox::args::synopsis::{brief, term};
use nix::pty::openpty;

use crate::support::{BINARY, Call, shellcheck};

/// The first word of an option's help, or of a summary: an imperative.
const IMPERATIVES: &str = "\
    Accept Add Allow Append Apply Ask Block Change Choose Clear Connect Copy Count Create Deliver Disable \
    Discard Do Draw Enable Execute Exit Expect Explain Fail Find Follow Forward Give Handle Hold Ignore \
    Include Install Keep Kill Leave Let Limit List Lock Make Mark Match Measure Meet Move Name Omit Open Pass \
    Perform Prefix Print Process Put Read Reap Receive Release Remove Repeat Replace Report Require Reset \
    Resize Restart Restore Return Run Search Select Send Separate Serve Set Share Show Skip Sort Start Stop \
    Store Subtract Suppress Take Terminate Translate Treat Truncate Try Undo Use Wait Watch Write";

/// The options of the groups that verbs share.
const SHARED_OPTIONS: &[(&str, &[&str])] = &[
    ("Creating", &["create", "mode", "foreign"]),
    ("Waiting", &["timeout", "nonblock", "timeout_status", "verbose"]),
    ("Output", &["json", "columns", "no_header", "color", "quiet"]),
];

fn is_imperative(word: &str) -> bool {
    IMPERATIVES.split_whitespace().any(|verb| verb == word)
}

/// Returns every verb, with the words that call it.
fn verbs() -> impl Iterator<Item = (Vec<&'static str>, &'static Entry)> {
    let line = |applet: &'static Applet, verb: &'static Entry| match applet.alone(verb.name) {
        Some(alone) => vec![alone.name],
        None => vec![applet.name, verb.name],
    };
    let of = move |applet: &'static Applet| applet.verbs.iter().map(move |v| (line(applet, v), v));
    APPLETS.iter().flat_map(of).chain(WORDS.iter().map(|word| (vec![word.name], word)))
}

/// Returns every verb with its call, but not the other names of an applet.
fn measured() -> impl Iterator<Item = (String, &'static Entry)> {
    let is_alias = |line: &[&str]| ["ipcs", "ipcrm"].contains(&line[0]);
    verbs().filter(move |(line, _)| !is_alias(line)).map(|(line, verb)| (line.join(" "), verb))
}

fn options(verb: &Entry) -> Vec<Arg> {
    let parser = verb.parser("x", &[]);
    parser.get_arguments().filter(|arg| !arg.is_positional() && !arg.is_hide_set()).cloned().collect()
}

/// Returns the options of a help text, in order, as `-w, --timeout DURATION` or `--slots N`.
fn listed(help: &str) -> Vec<&str> {
    let terms = help.lines().filter(|line| line.starts_with("  -") || line.starts_with("      --"));
    terms.map(|line| line.trim_start().split("  ").next().unwrap()).collect()
}

/// Returns the groups of a help text, each with its lines.
fn groups(help: &str) -> Vec<(&str, &str)> {
    let blocks = help.split("\n\n").filter_map(|block| block.split_once(":\n"));
    blocks.filter(|(title, _)| ["Arguments", "Options"].iter().chain(&SHARED).any(|known| known == title)).collect()
}

#[test]
fn short_help_fits_a_screen() {
    let applets = APPLETS.iter().map(|applet| vec![applet.name]);
    // The list of applets is a line each.
    assert!(APPLETS.iter().all(|applet| applet.summary.len() <= 66));
    for line in verbs().map(|(line, _)| line).chain(applets).chain([vec![]]) {
        let help = Call::new(BINARY).args(&line).arg("-h").ok();
        let width = help.lines().map(|line| line.chars().count()).max();
        let most = if line.iter().any(|word| word.starts_with("ipc")) { 50 } else { 40 };
        assert!(help.lines().count() <= most && width <= Some(80), "{line:?}\n{help}");
    }
}

#[test]
fn short_help_lists_every_option_in_groups() {
    for (line, verb) in verbs() {
        let help = Call::new(BINARY).args(&line).arg("-h").ok();
        let found = listed(&help);
        let options = options(verb);
        assert_eq!(found.len(), options.len() + 1, "{line:?}: and --help\n{help}");
        let groups = groups(&help);
        let titles: Vec<&str> = groups.iter().map(|(title, _)| *title).collect();
        let order = ["Arguments", "Options"].into_iter().chain(SHARED);
        let in_order: Vec<&str> = order.filter(|title| titles.contains(title)).collect();
        assert_eq!(titles, in_order, "{line:?}");
        for arg in &options {
            let group = arg.get_help_heading().unwrap_or("Options");
            let shared = SHARED_OPTIONS.iter().find(|(title, _)| *title == group);
            assert!(shared.is_none_or(|(_, ids)| ids.contains(&arg.get_id().as_str())), "{line:?}: {group}: {arg}");
            let is_there = |(title, lines): &(&str, &str)| *title == group && listed(lines).contains(&term(arg).trim());
            assert!(groups.iter().any(is_there), "{line:?} has no {} under {group}\n{help}", term(arg));
        }
    }
}

#[test]
fn option_help_is_a_short_imperative() {
    for (line, verb) in measured() {
        let help = Call::new(BINARY).args(line.split(' ')).arg("-h").ok();
        for arg in options(verb) {
            let (option, words) = (brief(&arg, false), arg.get_help().unwrap().to_string());
            assert!(words.chars().count() <= 52, "{line} {option}: {} columns: {words}", words.chars().count());
            assert!(!words.ends_with('.'), "{line} {option}: {words}");
            let first = words.split([' ', ',']).next().unwrap();
            assert!(is_imperative(first), "{line} {option}: no imperative: {words}");
            let beside = format!("{:<26}", format!("  {}", term(&arg)));
            assert!(
                help.contains(&format!("\n{beside}  {words}\n")),
                "{line} {option} is not beside its help:\n{help}"
            );
            let default = arg.get_default_values().iter().any(|value| !value.is_empty());
            let all = arg.get_long_help().map_or(words, ToString::to_string);
            assert!(!default || all.contains("(default: "), "{line} {option}: no default: {all}");
        }
    }
}

#[test]
fn summary_is_a_short_imperative() {
    for (line, verb) in measured() {
        let first = verb.summary.split([' ', ',']).next().unwrap();
        assert!(is_imperative(first), "{line}: {}", verb.summary);
        assert!(verb.summary.len() <= 60 && !verb.summary.ends_with('.'), "{line}: {}", verb.summary);
    }
}

/// Returns the explanation of a long help: the lines between the options and the examples.
fn explanation(help: &str) -> Vec<&str> {
    let before = help.split("\nExamples:\n").next().unwrap();
    let (_, last) = groups(before).pop().unwrap();
    let (_, after) = before.split_once(last).unwrap();
    after.lines().filter(|line| !line.is_empty()).collect()
}

#[test]
fn explanation_has_at_most_six_lines() {
    for (line, _) in measured() {
        let help = Call::new(BINARY).args(line.split(' ')).arg("--help").ok();
        let lines = explanation(&help);
        assert!(lines.len() <= 6, "{line}: {}\n{}", lines.len(), lines.join("\n"));
    }
}

#[test]
fn long_help_is_whole() {
    for (line, verb) in verbs() {
        let help = Call::new(BINARY).args(&line).arg("--help").ok();
        let width = help.lines().map(|line| line.chars().count()).max();
        assert!(width <= Some(80), "{line:?}\n{help}");
        let options = listed(help.split("\nExamples:\n").next().unwrap());
        for arg in self::options(verb) {
            assert!(options.contains(&term(&arg).trim()), "{line:?} has no {}\n{help}", term(&arg));
        }
        let calls = format!("ipcbox {}", line.join(" "));
        assert!(verb.examples.contains(&calls), "{line:?} has no example");
        for example in verb.examples.trim().lines() {
            assert!(help.contains(&format!("\n  {example}\n")), "{example}\n{help}");
        }
        let statuses = help.split_once("\nExit status:\n").unwrap().1;
        for (exit, _) in verb.exit_statuses() {
            let label = format!("  {} ", ipcbox::applets::statuses::label(exit));
            assert!(statuses.lines().any(|line| line.starts_with(&label)), "{line:?} has no status {label}\n{help}");
        }
        let takes_target = help.lines().any(|line| line.starts_with("  TARGET "));
        assert_eq!(help.contains("\nTARGET:\n"), takes_target, "{line:?}\n{help}");
        assert!(help.lines().last().unwrap().starts_with("Manual page: man ipcbox"), "{line:?}\n{help}");
        assert_eq!(Call::new(BINARY).arg("help").args(&line).ok(), help);
    }
}

#[test]
fn topic_fits_a_screen() {
    for (topic, _) in TOPICS {
        let text = Call::new(BINARY).args(["help", topic]).ok();
        let width = text.lines().map(|line| line.chars().count()).max();
        // The cookbook has a line for each recipe.
        let most = if topic == "cookbook" { 60 } else { 40 };
        assert!(text.lines().count() <= most && width <= Some(80), "{topic}\n{text}");
        assert!(Call::new(BINARY).arg("help").ok().contains(&format!("\n  {topic} ")));
    }
    let recipes = Call::new(BINARY).args(["help", "cookbook"]).ok();
    assert!(recipes.contains("\nManual page: man ipcbox-cookbook\n"), "{recipes}");
}

#[test]
fn examples_are_sound_shell() {
    shellcheck(verbs().map(|(_, verb)| verb.examples.to_owned()));
}

/// Returns what this call prints on a terminal.
fn on_a_terminal(call: Call) -> String {
    let pty = openpty(None, None).unwrap();
    let output = call.onto(pty.slave);
    assert!(output.status.success());
    let (mut bytes, mut master) = (Vec::new(), File::from(pty.master));
    // The other end is closed, so the read ends in an error.
    let _ = master.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn help_is_bold_on_a_terminal_only() {
    let call = || Call::new(BINARY).args(["sem", "run", "-h"]);
    let plain = call().ok();
    assert!(!plain.contains('\u{1b}'), "{plain}");
    let shown = on_a_terminal(call());
    assert!(shown.contains("\u{1b}[1mUsage:\u{1b}[0m ipcbox"), "{shown}");
    assert!(shown.contains("\u{1b}[1m--slots N\u{1b}[0m  "), "{shown}");
    let refused = on_a_terminal(call().env("NO_COLOR", "1"));
    assert_eq!(refused.replace("\r\n", "\n"), plain);
    assert!(on_a_terminal(call().env("NO_COLOR", "")).contains('\u{1b}'));
}

/// Returns the width of the widest line of help on a terminal of `columns`.
fn widest(columns: u16, line: &str) -> usize {
    let size = nix::pty::Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(Some(&size), None).unwrap();
    let call = Call::new(BINARY).args(line.split(' ')).env("NO_COLOR", "1");
    assert!(call.onto(pty.slave).status.success());
    let (mut bytes, mut master) = (Vec::new(), File::from(pty.master));
    let _ = master.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap().lines().map(|line| line.trim_end().chars().count()).max().unwrap()
}

#[test]
fn help_fits_the_terminal() {
    for (line, _) in verbs() {
        let line = format!("{} --help", line.join(" "));
        for (columns, most) in [(60, 60), (80, 80), (200, 100)] {
            let widest = widest(columns, &line);
            assert!(widest <= most, "{line}: {widest} of {columns}");
        }
    }
}

#[test]
fn misspelt_option_names_the_nearest() {
    for (line, nearest) in [
        ("sem run a --slot 4 -- true", "'--slots'"),
        ("sem run a --tiemout 4 -- true", "'--timeout'"),
        ("msgq recv q --drian", "'--drain'"),
        ("shm create s --sise 4", "'--size'"),
        ("ipcs-lite --leak -- true", "'--leaks'"),
        ("signal send TERM 1 --wiat 4", "'--wait'"),
        ("pipe run --stric -- true", "'--strict'"),
    ] {
        let output = Call::new(BINARY).args(line.split(' ')).output();
        let printed = String::from_utf8(output.stderr).unwrap();
        assert!(printed.contains(nearest) && printed.lines().count() == 1, "{line}\n{printed}");
    }
}
