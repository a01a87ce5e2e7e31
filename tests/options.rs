//! Options that mean the same everywhere: which verbs have them, and that a letter has one meaning.

use std::collections::BTreeMap;

use clap::{Arg, Command};
use ipcbox::applets::APPLETS;

use crate::support::World;

/// An option or a verb's name, and the options that it requires, each with its letter.
type Row = (&'static str, &'static [(&'static str, Option<char>)]);

const TABLE: &[Row] = &[
    ("--timeout", &[("nonblock", Some('n')), ("timeout-status", Some('E')), ("quiet", Some('q'))]),
    ("--nonblock", &[("timeout", Some('w'))]),
    ("--max-time", &[("timeout-status", Some('E')), ("then", None)]),
    ("--create", &[("foreign", None), ("mode", Some('m'))]),
    ("--columns", &[("json", Some('J'))]),
    ("--no-header", &[("columns", None), ("color", None)]),
    ("create", &[("quiet", Some('q')), ("exclusive", Some('x')), ("mode", Some('m')), ("foreign", None)]),
    ("hold", &[("quiet", Some('q')), ("timeout", Some('w'))]),
    ("rm", &[("missing-ok", None), ("force", None)]),
    ("stat", &[("columns", None), ("no-header", None), ("color", None), ("json", Some('J'))]),
];

/// Letters with a fixed meaning.
const LETTERS: &[(char, &str)] = &[
    ('w', "timeout"),
    ('n', "nonblock"),
    ('E', "timeout-status"),
    ('m', "mode"),
    ('x', "exclusive"),
    ('J', "json"),
    ('j', "jobs"),
    ('0', "null"),
    ('c', "count"),
    ('q', "quiet"),
];

/// Every verb of every applet, except those with the options of util-linux.
fn verbs() -> impl Iterator<Item = (String, Command)> {
    let applets = APPLETS.iter().filter(|applet| !applet.name.ends_with("-lite"));
    applets.flat_map(|applet| {
        applet.verbs.iter().map(|verb| (format!("{} {}", applet.name, verb.name), verb.parser("x", &[])))
    })
}

fn option<'a>(parser: &'a Command, name: &str) -> Option<&'a Arg> {
    parser.get_arguments().find(|arg| option_is(arg, name))
}

fn option_is(arg: &Arg, name: &str) -> bool {
    let is_alias = || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name));
    arg.get_long() == Some(name) || is_alias()
}

#[test]
fn verb_has_the_options_that_belong_together() {
    let mut rows = 0;
    for (line, parser) in verbs() {
        let name = line.split(' ').nth(1).unwrap();
        for (why, wanted) in TABLE {
            let asks = match why.strip_prefix("--") {
                Some(long) => option(&parser, long).is_some(),
                None => *why == name,
            };
            for (long, letter) in wanted.iter().filter(|_| asks) {
                let found = option(&parser, long).and_then(Arg::get_short);
                assert!(option(&parser, long).is_some(), "{line}: {why} wants --{long}");
                assert_eq!(found, *letter, "{line}: --{long}");
                rows += 1;
            }
        }
    }
    assert!(rows > 100, "{rows} looked at");
    for (line, alias) in [("fifo read", "records"), ("fifo read", "count")] {
        let (_, parser) = verbs().find(|(name, _)| name == line).unwrap();
        assert_eq!(option(&parser, alias).and_then(Arg::get_short), Some('c'), "{line} --{alias}");
    }
}

#[test]
fn letter_has_one_meaning() {
    let mut meanings: BTreeMap<char, (&str, String)> =
        LETTERS.iter().map(|(letter, long)| (*letter, (*long, "the contract".into()))).collect();
    let parsers: Vec<_> = verbs().collect();
    for (line, parser) in &parsers {
        for arg in parser.get_arguments() {
            let named = LETTERS.iter().find(|(_, long)| option_is(arg, long));
            if let Some((letter, long)) = named {
                assert_eq!(arg.get_short(), Some(*letter), "--{long} of {line}");
            }
            let (Some(letter), Some(long)) = (arg.get_short(), arg.get_long()) else { continue };
            let (known, at) = meanings.entry(letter).or_insert_with(|| (long, line.clone()));
            assert_eq!(*known, long, "-{letter} of {line} and of {at}");
        }
    }
}

#[test]
fn quiet_create_prints_no_answer() {
    let world = World::new();
    for line in [
        "sem create @s -q",
        "sem create @s --quiet",
        "sem create @l --slots 2 -q",
        "sem create /@s -q",
        "shm create @m --size 1 -q",
        "shm create /@m --size 1 -q",
        "msgq create @q -q",
        "msgq create /@q -q",
        "fifo create f -q",
    ] {
        world.call(line).stdout("").ok();
    }
    // -q does not suppress errors.
    world.call("sem create @s -qx").fails(4, "exists");
    world.call("shm create @m --size 9 -q").fails(4, "not 9");
}

#[test]
fn max_time_has_a_timeout_status() {
    let world = World::new();
    for line in [
        "signal run --max-time 0.01",
        "signal run --kill-tree --max-time 10ms",
        "pipe run --max-time 0.01",
        "pipe merge --max-time 0.01",
    ] {
        world.call(&format!("{line} -E 7 -- sleep 100")).fails(7, "timed out after 10ms");
        world.call(&format!("{line} --timeout-status=0 -- sleep 100")).stderr("").ok();
        world.call(&format!("{line} -- sleep 100")).fails(124, "timed out after 10ms");
        // Only a timeout has it.
        world.call(&format!("{line} -E 7 -- /missing")).fails(127, "not found");
    }
    let duplex = "pipe duplex --max-time 0.01 -E 7 --shell";
    world.call(duplex).args(["read x", "read x"]).fails(7, "timed out after 10ms");
    world.call("pipe run --max-time 1h -E 7 -- true").ok();
    world.call("signal run --max-time 1h -E 7 -- false").status(1);
}

#[test]
fn max_time_of_0_is_no_limit() {
    let world = World::new();
    for zero in ["0", "0s", "0ms"] {
        for line in ["signal run", "signal run --kill-tree", "pipe run", "pipe merge"] {
            world.call(&format!("{line} --max-time {zero} -- sleep 0.05")).ok();
            world.call(&format!("{line} --max-time {zero} --then KILL:0 -- sleep 0.05")).ok();
        }
        let duplex = format!("pipe duplex --max-time {zero} --shell");
        world.call(&duplex).args(["sleep 0.05", "sleep 0.05"]).ok();
        let merge = format!("pipe merge --max-time {zero} --keep-order -- sleep 0.05 ::: echo x");
        world.call(&merge).stdout("x\n").ok();
    }
}
