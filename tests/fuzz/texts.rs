//! Fuzzes every value parser of every verb with single words, without running anything.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use clap::Arg;
use ipcbox::applets::{APPLETS, Entry, WORDS};
use ipcbox::args::{creating, duration, numbers, signals, size};
use ipcbox::objects::process;
use ipcbox::supervise::escalation;
use ipcbox::target::{Form, Target};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::run::fuzz;

/// Generates texts similar to valid ones.
fn text() -> impl Strategy<Value = OsString> {
    let parts = [
        "0",
        "1",
        "9",
        "32767",
        "65536",
        "2147483648",
        "18446744073709551616",
        "-",
        "+",
        ".",
        "..",
        ":",
        ",",
        "=",
        "/",
        "0x",
        "ffff",
        "K",
        "KiB",
        "KB",
        "E",
        "s",
        "ms",
        "m",
        "h",
        "d",
        "y",
        "n",
        "u",
        "TERM",
        "SIG",
        "RTMIN",
        "RTMAX",
        "ftok:",
        "private",
        "%",
        "%t",
        "%d",
        "@",
        " ",
        "é",
        "\n",
        "\0",
        "\u{202e}",
        "a",
        "_",
        "root",
        "eq",
        "true",
    ];
    let near = vec(select(parts.to_vec()), 0..7).prop_map(|parts| OsString::from(parts.concat()));
    let bytes = vec(any::<u8>(), 0..20).prop_map(OsString::from_vec);
    let any_text = any::<String>().prop_map(OsString::from);
    prop_oneof![6 => near, 1 => bytes, 1 => any_text]
}

/// Returns whether an unknown value would be looked up by another program.
fn is_asked_for(arg: &Arg) -> bool {
    arg.get_value_names().is_some_and(|names| names[0].as_str().starts_with("USER"))
}

#[test]
fn any_text_is_parsed_or_rejected() {
    let verbs: Vec<&Entry> = APPLETS.iter().flat_map(|applet| applet.verbs).chain(WORDS).collect();
    let mut parsers: Vec<_> = verbs.iter().map(|verb| verb.parser("x", &[])).collect();
    let places: Vec<(usize, String, bool)> = parsers
        .iter()
        .enumerate()
        .flat_map(|(n, parser)| {
            let args = parser
                .get_arguments()
                .filter(|arg| !is_asked_for(arg) && arg.get_action().takes_values() && !arg.is_last_set());
            args.map(move |arg| match (arg.get_long(), arg.get_short()) {
                (Some(long), _) => (n, format!("--{long}="), false),
                (None, Some(short)) => (n, format!("-{short}"), false),
                _ => (n, String::new(), true),
            })
        })
        .collect();
    let parsers = std::cell::RefCell::new(&mut parsers);
    fuzz(6000, &(select(places), text()), |((n, option, is_positional), text)| {
        let mut word = OsString::from(option);
        word.push(text);
        let words = if is_positional { vec!["--".into(), word] } else { vec![word] };
        // Rejecting the words is fine too.
        let _ = parsers.borrow_mut()[n].try_get_matches_from_mut(words);
        Ok(())
    });
}

#[test]
fn written_value_is_parsed_back() {
    fuzz(2000, &(any::<u64>(), 0..6_u32), |(number, power)| {
        prop_assert_eq!(size::parse(&number.to_string()), Ok(number));
        let suffix = ["", "K", "M", "G", "T", "P"][power as usize];
        let wanted = number.checked_mul(1 << (10 * power));
        prop_assert_eq!(size::parse(&format!("{number}{suffix}")).ok(), wanted);
        prop_assert_eq!(numbers::digits(&number.to_string()), Some(number));
        Ok(())
    });
    fuzz(2000, &(0..1_000_000_000_000_u64), |nanos| {
        let wanted = Duration::from_nanos(nanos);
        prop_assert_eq!(duration::parse(&duration::show(wanted)), Ok(wanted));
        Ok(())
    });
    fuzz(2000, &any::<u32>(), |bits| {
        let wanted = Some(bits).filter(|bits| *bits <= 0o777);
        prop_assert_eq!(creating::mode(&format!("{bits:o}")).ok(), wanted);
        Ok(())
    });
    fuzz(2000, &select(signals::all().collect::<Vec<_>>()), |signal| {
        prop_assert_eq!(signals::parse(&signals::name(signal)), Ok(signal));
        let step = escalation::step(&format!("{}:1.5", signals::name(signal))).unwrap();
        prop_assert_eq!((step.signal, step.grace), (signal, Duration::from_millis(1500)));
        Ok(())
    });
    fuzz(2000, &(1..=i32::MAX, any::<u64>()), |(pid, number)| {
        for text in [format!("{pid}"), format!("{pid}:{number}"), format!("{pid}@{number}")] {
            let read = process::parse(&text).unwrap();
            prop_assert_eq!(read.pid, pid);
            prop_assert_eq!(read.to_string(), text);
        }
        Ok(())
    });
}

/// The forms are exclusive, and a target is shown as it was typed.
#[test]
fn target_form_matches_its_spelling() {
    fuzz(6000, &text(), |typed| {
        let Ok(target) = Target::parse_or_file(typed.clone()) else { return Ok(()) };
        prop_assert_eq!(target.typed(), typed.as_os_str());
        let bytes = typed.as_encoded_bytes();
        let looks = match target.form() {
            Form::Posix => bytes[0] == b'/' && !bytes[1..].contains(&b'/') && bytes.len() <= 251,
            Form::Id(id) => typed.to_str().is_some_and(|text| text.parse() == Ok(*id)),
            Form::Key(key) => *key != 0 && bytes.len() <= 10 && bytes[0] == b'0',
            Form::Ftok(path, number) => bytes.starts_with(b"ftok:") && *number > 0 && !path.as_os_str().is_empty(),
            Form::Private => bytes == b"private",
            Form::File => bytes[1..].contains(&b'/') || bytes[0] != b'/' && bytes.contains(&b'/'),
            Form::Name(key) => *key != 0 && bytes.len() <= 64 && typed.to_str().is_some_and(is_name),
        };
        prop_assert!(looks, "{:?}", target);
        Ok(())
    });
}

fn is_name(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    text.chars().all(is_letter) && !text.starts_with(|c: char| c.is_ascii_digit() || ".-".contains(c))
}
