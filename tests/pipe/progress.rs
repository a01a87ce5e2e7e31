//! `pipe tee --progress`, with its lines on a pseudo-terminal.

use std::fs::File;
use std::process::Stdio;
use std::sync::Arc;

use super::meter::Screen;
use super::pipe;
use crate::support::{World, code, eventually};

/// In the C locale, without colour.
fn tee(columns: u16, words: &[&str], input: Stdio) -> Screen {
    Screen::of(columns, &[("LC_ALL", "C"), ("NO_COLOR", "1")], &[&["tee", "--progress"], words].concat(), input)
}

/// The lines of the last frame.
fn frame(screen: &Screen) -> Vec<String> {
    let text = screen.shown.lock().unwrap().clone();
    let frame = text.rsplit("\x1b[J").next().unwrap();
    frame.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Closes the input and waits for the end of the output. Returns the final frame and the status.
fn end(screen: &mut Screen) -> (Vec<String>, i32) {
    drop(screen.input.take());
    let status = code(screen.child.wait().unwrap());
    eventually("all has been read", || Arc::strong_count(&screen.shown) == 1);
    (frame(screen), status)
}

#[test]
fn every_consumer_has_a_line() {
    let world = World::new();
    let copy = world.dir().join("copy");
    let words = ["-o", copy.to_str().unwrap(), "-o", "-", "--shell", "cat >/dev/null"];
    let mut screen = tee(300, &words, Stdio::piped());
    screen.feed(100);
    eventually("a frame is drawn", || {
        let frame = frame(&screen);
        frame.len() == 3 && frame.iter().all(|line| line.contains("  100B "))
    });
    screen.feed(899);
    let (frame, status) = end(&mut screen);
    assert!(status == 0 && frame.iter().all(|line| line.contains("  999B ")), "{frame:#?}");
    let names = [&format!("{}: ", copy.display()), "standard output: ", "cat >/dev/null: "];
    assert!(frame.len() == 3 && frame.iter().zip(names).all(|(line, name)| line.starts_with(name)), "{frame:#?}");
    let place = frame[0].find("999B");
    assert!(frame.iter().all(|line| line.find("999B") == place && line.contains("/s mean)")), "{frame:#?}");
    assert!(screen.shown.lock().unwrap().contains("\x1b[3A\r\x1b[J"));
}

#[test]
fn lost_consumers_show_their_state() {
    let mut screen = tee(80, &["-o", "-", "--shell", "exit 3", "kill -TERM $$", "cat >/dev/null"], Stdio::piped());
    drop(screen.child.stdout.take());
    let ends = ["  closed", "  exited with 3", "  killed by SIGTERM", "0B/s mean)"];
    eventually("the states are shown", || {
        let frame = frame(&screen);
        frame.len() == 4 && frame.iter().zip(ends).all(|(line, end)| line.ends_with(end))
    });
    screen.feed(10);
    let (frame, status) = end(&mut screen);
    assert!(status == 143 && frame[1].starts_with("exit 3:") && frame[3].contains("    10B "), "{frame:#?}");
}

#[test]
fn message_takes_the_place_of_the_lines() {
    let mut screen = tee(80, &["-o", "/dev/full", "-o", "-"], Stdio::piped());
    eventually("a frame is drawn", || screen.shown.lock().unwrap().matches('\n').count() == 2);
    screen.feed(10);
    let (frame, status) = end(&mut screen);
    let [.., full, output] = &frame[..] else { panic!("{frame:?}") };
    assert!(full.starts_with("/dev/full:            0B ") && full.ends_with("  write failed"), "{frame:#?}");
    assert!(status == 1 && output.starts_with("standard output:     10B "), "{frame:#?}");
    let text = screen.shown.lock().unwrap();
    assert!(text.contains("\x1b[2A\r\x1b[Jpipe: cannot write to /dev/full: no space left"), "{text:?}");
}

#[test]
fn lines_never_wrap() {
    let world = World::new();
    let data = world.file("data", &"x".repeat(3000));
    let command = "printf '\\033[2J' >/dev/null; cat >/dev/null\x1b[2J";
    for columns in [8, 12, 20, 40, 80] {
        for known in [false, true] {
            let input = if known { File::open(&data).unwrap().into() } else { Stdio::piped() };
            let mut screen = tee(columns, &["-o", "-", "--shell", command, "exec cat >/dev/null"], input);
            if !known {
                screen.feed(3000);
            }
            let (frame, _) = end(&mut screen);
            assert_eq!(frame.len(), if columns > 8 { 3 } else { 0 });
            assert!(frame.iter().all(|line| line.chars().count() < columns.into()), "{frame:#?}");
            assert!(frame.iter().all(|line| line.contains("2.93KiB") && !line.contains('\x1b')), "{frame:#?}");
            assert!(columns < 20 || frame.iter().all(|line| line.contains(": ")), "{frame:#?}");
            assert!(columns < 40 || frame.iter().all(|line| line.contains("100% [####") == known), "{frame:#?}");
        }
    }
}

#[test]
fn narrowed_terminal_gets_a_new_block() {
    let mut screen = tee(80, &["-o", "-", "--shell", "cat >/dev/null"], Stdio::piped());
    eventually("a frame is drawn", || screen.shown.lock().unwrap().matches('\n').count() == 2);
    screen.resize(40);
    screen.feed(5);
    let (frame, status) = end(&mut screen);
    assert!(status == 0 && frame.iter().any(|line| line.starts_with("stand..tput:")), "{frame:#?}");
    // A block that has wrapped is left alone.
    let text = screen.shown.lock().unwrap();
    assert!(text.split("stand..tput:").next().unwrap().ends_with('\n'), "{text:?}");
}

#[test]
fn nothing_is_drawn_without_a_terminal() {
    pipe(&["tee", "--progress", "-o", "-", "--", "cat"]).input("a\n").stdout("a\n").stderr("a\n").ok();
}
