//! `ulimit -f`: a write beyond the limit fails with EFBIG, which is reported, and SIGXFSZ kills no verb.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};

use crate::support::{World, code};

const LIMIT: u64 = 4096;

fn limited() -> io::Result<()> {
    Ok(setrlimit(Resource::RLIMIT_FSIZE, LIMIT, LIMIT)?)
}

/// A file to append to that exceeds the limit.
fn full(world: &World) -> OwnedFd {
    let path = world.file("full", &"x".repeat(8192));
    File::options().append(true).open(path).unwrap().into()
}

/// The setup and a call that writes to standard output.
const TO_OUTPUT: &[(&str, &str)] = &[
    ("", "key build"),
    ("", "sem create @s"),
    ("sem create @s", "sem get @s"),
    ("sem create @s", "sem stat @s"),
    ("", "sem hold @h PID --lock"),
    ("", "shm create @m --size 1"),
    ("", "shm add @m --create"),
    ("shm write @m hello --create", "shm read @m"),
    ("shm write /@m hello --create", "shm read /@m"),
    ("shm write @m hello --create", "shm stat"),
    ("", "msgq create /@q"),
    ("msgq send @q hello --create", "msgq recv @q"),
    ("msgq send /@q hello --create", "msgq recv /@q"),
    ("msgq send @q hello --create", "msgq peek @q"),
    ("fifo create f", "fifo stat f"),
    ("", "signal list"),
    ("", "signal stat PID"),
    ("", "pipe merge -- echo x"),
    ("", "ipcs-lite -l"),
    ("", "ipcs -q"),
    ("sem create @s", "ipcrm-lite @s --dry-run"),
    ("", "--help"),
    ("", "sem run --help"),
];

#[test]
fn full_standard_output_is_reported() {
    let pid = std::process::id().to_string();
    for (setup, call) in TO_OUTPUT {
        let world = World::new();
        if !setup.is_empty() {
            world.call(setup).ok();
        }
        let output = world.call(&call.replace("PID", &pid)).before(limited).onto(full(&world));
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(code(output.status), 1 | 125), "{call}: {} {text}", output.status);
        assert!(text.contains("(EFBIG)"), "{call}: {text}");
    }
}

/// The setup, a call that writes to another file, and its exit status.
const TO_FILES: &[(&str, &str, i32)] = &[
    ("", "shm create /@m --size 64K", 1),
    ("shm create /@m --size 4K", "shm set /@m --size 128K", 1),
    ("", "shm write /@m --create", 1),
    ("", "shm memfd -- true", 125),
    ("", "pipe tee -o out", 1),
    ("", "pipe meter", 1),
];

#[test]
fn growth_beyond_the_limit_is_reported() {
    for (setup, call, status) in TO_FILES {
        let world = World::new();
        if !setup.is_empty() {
            world.call(setup).ok();
        }
        let out = File::create(world.dir().join("standard")).unwrap();
        let input = world.file("input", &"x".repeat(100_000));
        let words = world.call(call).before(limited);
        let output = words.reading(&input).onto(out.into());
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(code(output.status), *status, "{call}: {text}");
        assert!(text.contains("(EFBIG)"), "{call}: {text}");
    }
}

/// The message was already taken, so the server reports the failure.
#[test]
fn server_reports_a_message_that_is_too_long() {
    let world = World::new();
    let message = "x".repeat(6000);
    world.call("msgq send @q --create").arg(&message).ok();
    world.call("msgq send @q after").ok();
    let output = world.call("msgq serve @q --drain -- cat").before(limited).output();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("(EFBIG)"), "{text}");
    assert!(matches!(code(output.status), 0..=126), "{}", output.status);
}

/// CMD inherits the disposition of SIGXFSZ that ipcbox was started with.
#[test]
fn command_inherits_the_original_disposition() {
    let ignored = || {
        // SAFETY: ignoring calls no code of ours.
        #[allow(unsafe_code)]
        unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }?;
        Ok(())
    };
    for (setup, call) in [
        ("", "sem run @s --slots 1"),
        ("", "shm memfd"),
        ("", "pipe run"),
        ("", "pipe merge"),
        ("", "signal run"),
        ("", "signal run --kill-tree"),
        ("", "ipcs-lite --leaks"),
        ("msgq send @q x --create", "msgq serve @q -c 1"),
    ] {
        for is_ignored in [false, true] {
            let world = World::new();
            if !setup.is_empty() {
                world.call(setup).ok();
            }
            let call = world.call(&format!("{call} -- cat /proc/self/status"));
            let call = if is_ignored { call.before(ignored) } else { call };
            let status = call.ok();
            let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
            let bit = u64::from_str_radix(set.trim(), 16).unwrap() >> (Signal::SIGXFSZ as i32 - 1) & 1;
            assert_eq!(bit == 1, is_ignored, "{status}");
        }
    }
}
