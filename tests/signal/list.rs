use std::collections::BTreeMap;
use std::process::Command;

use crate::support::World;

#[test]
fn table_matches_kill_and_bash() {
    let world = World::new();
    let table = world.call("signal list --columns number,signal --no-header").ok();
    let ours: BTreeMap<u32, &str> = table
        .lines()
        .map(|line| line.trim().split_once("  ").unwrap())
        .map(|(number, name)| (number.parse().unwrap(), name))
        .collect();
    assert_eq!(ours.len(), 62);
    assert!(!ours.contains_key(&32) && !ours.contains_key(&33));
    match Command::new("bash").args(["-c", "kill -l"]).output() {
        Ok(output) => {
            let text = String::from_utf8(output.stdout).unwrap();
            let words: Vec<&str> = text.split_whitespace().collect();
            let theirs: BTreeMap<u32, &str> = words
                .chunks(2)
                .map(|pair| (pair[0].trim_end_matches(')').parse().unwrap(), pair[1].trim_start_matches("SIG")))
                .collect();
            assert_eq!(ours, theirs);
        }
        Err(_) => crate::support::skip("there is no bash"),
    }
    match Command::new("/usr/bin/kill").arg("-L").output() {
        Ok(output) => {
            let text = String::from_utf8(output.stdout).unwrap();
            let words: Vec<&str> = text.split_whitespace().collect();
            assert!(words.len() >= 62, "{text}");
            for pair in words.chunks(2) {
                // kill names IO POLL, and counts all real-time signals from RTMIN.
                world.call("signal list").arg(pair[1]).stdout(format!("{}\n", pair[0])).ok();
            }
        }
        Err(_) => crate::support::skip("there is no kill"),
    }
}

#[test]
fn spec_prints_the_bare_answer() {
    let world = World::new();
    for (spec, answer) in [
        ("TERM", "15"),
        ("sigterm", "15"),
        ("15", "TERM"),
        ("143", "TERM"),
        ("137", "KILL"),
        ("192", "RTMAX"),
        ("0x4002", "INT,TERM"),
        ("0X180000000", "32,33"),
        ("RTMIN+3", "37"),
        ("rtmax-1", "63"),
        ("POLL", "29"),
        ("29", "IO"),
        ("CLD", "17"),
        ("INT,TERM", "2\n15"),
        ("15 0x1 HUP", "TERM\nHUP\n1"),
    ] {
        world.call(&format!("signal list {spec}")).stdout(format!("{answer}\n")).ok();
    }
    world
        .call("signal list KILL -J")
        .stdout("{\"number\":9,\"signal\":\"KILL\",\"action\":\"terminate\",\"meaning\":\"kill; cannot be caught, blocked or ignored\"}\n")
        .ok();
    assert_eq!(world.call("signal list 0x6 --columns signal --no-header").ok(), "INT\nQUIT\n");
}

#[test]
fn wrong_spec_is_refused() {
    let world = World::new();
    for (spec, words) in [
        ("0", "1 to 64"),
        ("65", "1 to 64"),
        ("128", "129 to 192"),
        ("193", "129 to 192"),
        ("-1", "without '-'"),
        ("32", "the C library reserves signal 32 (SIGCANCEL)"),
        ("161", "SIGSETXID"),
        ("TREM", "did you mean 'TERM'"),
        ("RTMIN+31", "RTMIN to RTMIN+30"),
        ("0x", "hexadecimal"),
        ("0x10000000000000000", "hexadecimal"),
    ] {
        world.call(&format!("signal list {spec}")).fails(2, words);
    }
    // All are looked up, each failure is reported, and the first one sets the status.
    world.call("signal list TREM INT").stdout("2\n").status(2);
}
