//! Help: what it looks like, and that it is whole. The examples run where the pages' do.

use std::fs::File;
use std::io::Read;

use ipcbox::applets::{APPLETS, Applet, Entry, WORDS};
use nix::pty::openpty;

use crate::support::{BINARY, Call, shellcheck};

/// Every verb, with the words that call it.
fn verbs() -> impl Iterator<Item = (Vec<&'static str>, &'static Entry)> {
    let line = |applet: &'static Applet, verb: &'static Entry| match applet.alone(verb.name) {
        Some(alone) => vec![alone.name],
        None => vec![applet.name, verb.name],
    };
    let of = move |applet: &'static Applet| applet.verbs.iter().map(move |v| (line(applet, v), v));
    APPLETS.iter().flat_map(of).chain(WORDS.iter().map(|word| (vec![word.name], word)))
}

#[test]
fn short_help_fits_a_screen() {
    let applets = APPLETS.iter().map(|applet| vec![applet.name]);
    // The box's own list is a line each.
    assert!(APPLETS.iter().all(|applet| applet.summary.len() <= 66));
    for line in verbs().map(|(line, _)| line).chain(applets).chain([vec![]]) {
        let help = Call::new(BINARY).args(&line).arg("-h").ok();
        let width = help.lines().map(|line| line.chars().count()).max();
        assert!(help.lines().count() <= 24 && width <= Some(80), "{line:?}\n{help}");
    }
}

#[test]
fn long_help_has_every_option_and_the_examples() {
    for (line, verb) in verbs() {
        let help = Call::new(BINARY).args(&line).arg("--help").ok();
        let lines: Vec<&str> = help.lines().map(str::trim_start).collect();
        for arg in verb.parser("x", &[]).get_opts() {
            let Some(long) = arg.get_long() else { continue };
            let is_it = |line: &&str| line.split([' ', ',', '=', '[']).any(|word| word == format!("--{long}"));
            assert!(lines.iter().any(is_it), "{line:?} has no --{long}\n{help}");
        }
        let calls = format!("ipcbox {}", line.join(" "));
        assert!(verb.examples.contains(&calls), "{line:?} has no example");
        for example in verb.examples.trim().lines() {
            assert!(help.contains(&format!("\n  {example}\n")), "{example}\n{help}");
        }
        assert_eq!(Call::new(BINARY).arg("help").args(&line).ok(), help);
    }
}

#[test]
fn the_examples_are_sound_shell() {
    shellcheck(verbs().map(|(_, verb)| verb.examples.to_owned()));
}

/// What a terminal gets from this call.
fn on_a_terminal(call: Call) -> String {
    let pty = openpty(None, None).unwrap();
    let output = call.onto(pty.slave);
    assert!(output.status.success());
    let (mut bytes, mut master) = (Vec::new(), File::from(pty.master));
    // The other end is closed: what was written, and then an error.
    let _ = master.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn help_is_in_colour_on_a_terminal_only() {
    let call = || Call::new(BINARY).args(["sem", "run", "-h"]);
    let plain = call().ok();
    assert!(!plain.contains('\u{1b}'), "{plain}");
    let shown = on_a_terminal(call());
    assert!(shown.contains("\u{1b}[1mUsage:\u{1b}[0m ipcbox"), "{shown}");
    assert!(shown.contains("\u{1b}[1m--slots <N>\u{1b}[0m  Make"), "{shown}");
    let refused = on_a_terminal(call().env("NO_COLOR", "1"));
    assert_eq!(refused.replace("\r\n", "\n"), plain);
    assert!(on_a_terminal(call().env("NO_COLOR", "")).contains('\u{1b}'));
}

#[test]
fn a_misspelt_option_is_told_the_nearest_one() {
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
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(nearest) && told.lines().count() == 1, "{line}\n{told}");
    }
}
