//! Fuzzes the real binary with whole argument vectors. It must exit in time, with a status of the contract and a
//! message that gives the reason.
//!
//! Arbitrary words can run commands, signal processes and remove files. Therefore this runs as an unprivileged user in
//! its own namespaces (pid, mount, IPC), with a private `/dev/shm` and working directory, few processes, and a
//! deadline.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Arg;
use ipcbox::applets::{APPLETS, Entry, Runs, WORDS};
use nix::sys::signal::Signal;
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::Union;
use proptest::test_runner::TestCaseError;

use super::run::fuzz;
use crate::support::{BINARY, Call, World, code, signal, skip};

/// The user it runs as, which no one else uses.
const USER: u32 = 54399;
/// The time until a call gets SIGTERM.
const PATIENCE: Duration = Duration::from_millis(300);
/// The time that it then has to exit.
const GRACE: Duration = Duration::from_secs(10);
/// The variable that passes the directory to this test inside the namespaces.
const INSIDE: &str = "IPCBOX_FUZZ_INSIDE";

const NAMESPACES: &[&str] = &["--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--ipc"];

/// Returns valid words for an argument with this name.
fn right(value: &str) -> &'static [&'static str] {
    match value {
        "TARGET" | "SEM" => &["a", "b", "/a", "/b", "0", "1", "0x7", "ftok:.", "private"],
        "PATH" | "FILE" | "DIR" | "PREFIX" => &["f", "g", "d/f", "file", ".", "/dev/null", "/dev/full", "/"],
        "TEXT" | "MESSAGE" | "LABEL" | "NAME" | "P" => &["x", "", "{}", "$(id)", "-x", "é", "3"],
        "DURATION" | "D" | "INTERVAL" => &["0.02", "0", "1ms", "1h"],
        "SIZE" | "RATE" => &["0", "1", "4096", "64K", "1M", "1G", "1T", "16EiB"],
        "N" | "K" | "TYPE" | "COUNT" | "RECORDS" | "INDEX" | "JOBS" | "OFFSET" | "LENGTH" => {
            &["0", "1", "2", "3", "7", "32767", "65536", "2147483647", "9223372036854775807"]
        }
        "VALUE" | "OLD" | "NEW" | "BY" => &["0", "1", "-1", "7", "0x10", "32768", "-2147483648"],
        "V,V" => &["0", "1,2", "0,0,0", "32767"],
        "INDEX:DELTA" => &["0:+1", "0:-1", "0:0", "0..2:+1", "1:-1nu", "65535:1"],
        "A,B" | "COLUMN" => &["name", "id,key", "kind", "pid,signal", "mode,mode"],
        "WHEN" => &["auto", "always", "never"],
        "MODE" => &["0600", "666", "0", "777"],
        "USER[:GROUP]" | "USER" => &["root", "54399", "nobody:0", "0:0"],
        "F" => &["%t %d%n", "%p %l%n", "%%"],
        "SIG" | "SPEC" => &["TERM", "0", "USR1", "RTMIN+3", "15", "0x4002", "KILL", "137"],
        "PID" => &["1", "2", "99999", "4194304", "1:1", "1@1"],
        "SIG[:D]" => &["TERM", "KILL:0.1", "INT:1ms"],
        "L" => &["INT,TERM", "PIPE", "USR1"],
        "A=B" => &["TERM=INT", "USR1=USR2"],
        "SIG=CMDLINE" => &["USR1=true", "TERM=exit 3"],
        "PIPE" => &["0", "1", "1:0", "f"],
        "WORD" => &[":::", "--", "x"],
        "CMDLINE" => &["true", "exit 3", "cat", "echo x"],
        "32|64" => &["32", "64"],
        "eq|ne|ge|le" => &["eq", "ne", "ge", "le"],
        "APPLET" | "PAGE" => &["sem", "ipcs", "x"],
        "SHELL" => &["bash", "zsh", "fish"],
        "ID" => &["0", "1", "32768"],
        "KEY" => &["0x7", "0", "-1"],
        "KIND" => &["shm", "msg", "sem"],
        _ => &["0", "1", "a"],
    }
}

/// Words that are rarely or never valid.
const JUNK: &[&[u8]] = &[
    b"",
    b"-",
    b"--",
    b"---",
    b"-1",
    b"--=",
    b"--x=y",
    b"-\xff",
    b"\xff\xfe",
    b"a\xc3",
    b"--timeout=\xff",
    b"{}",
    b"%",
    b":",
    b":::",
    b"::::",
    b"..",
    b"0..",
    b"\n",
    b"a\nb: c",
    b"\x1b[2J",
    b"\xc2\x9b0m",
    b"99999999999999999999999",
    b"-99999999999999999999999",
    b"0x",
    b"0xffffffffff",
    b"1e9",
    b"1.",
    b".",
    b"NaN",
    b"/",
    b"//",
    b"/.",
    b"/..",
    b"/a/b",
    b"ftok:",
    b"ftok:.:0",
    b"ftok:~/x:300",
    b"private",
    b"/proc/self/exe",
    b"help",
    b"--help",
    b"-h",
    b"-V",
    b"--list",
    b"stat",
    b"--no-such",
    b"--json=1",
    b"-Jq0x",
    b"\xe2\x80\xae",
];

/// Harmless commands.
const COMMANDS: &[&[&str]] = &[
    &["true"],
    &["false"],
    &["cat"],
    &["cat", ":::", "cat"],
    &["true", ":::", "false", ":::", "cat"],
    &["echo", "{}"],
    &["sh", "-c", "exit 3"],
    &["sh", "-c", "kill -TERM $$"],
    &["/"],
    &["no-such-command"],
    &[""],
    &["{}"],
];

/// The calls that create objects. A file and a FIFO also exist.
const SETUP: &[&str] = &[
    "sem create a --value 3,3,3",
    "sem create b --slots 2",
    "sem create /a",
    "shm create a --size 64K",
    "shm create /a --size 64K",
    "msgq send a one two three --create",
    "msgq send /a one two three --create",
];

type Words = Vec<OsString>;

fn word() -> impl Strategy<Value = OsString> {
    let junk = select(JUNK).prop_map(|bytes| OsStr::from_bytes(bytes).to_owned());
    let bytes = vec(1_u8.., 0..9).prop_map(OsString::from_vec);
    prop_oneof![4 => junk, 1 => bytes]
}

fn value_of(arg: &Arg) -> BoxedStrategy<OsString> {
    let name = arg.get_value_names().and_then(|names| names.first()).map_or("", |name| name);
    let right = select(right(name)).prop_map(OsString::from);
    prop_oneof![19 => right, 1 => word()].boxed()
}

/// Generates an option in one of its spellings, with its value.
fn option(args: Vec<Arg>) -> impl Strategy<Value = Words> {
    select(args).prop_flat_map(|arg| {
        let value = value_of(&arg);
        (any::<bool>(), any::<bool>(), value).prop_map(move |(short, joined, value)| {
            let long = arg.get_long().map(|long| format!("--{long}"));
            let short = arg.get_short().filter(|_| short || long.is_none());
            let option = short.map_or_else(|| long.unwrap_or_default(), |c| format!("-{c}"));
            let mut option = OsString::from(option);
            if !arg.get_action().takes_values() {
                return vec![option];
            }
            if !joined {
                return vec![option, value];
            }
            if short.is_none() {
                option.push("=");
            }
            option.push(value);
            vec![option]
        })
    })
}

/// Generates a line for a verb: its positional arguments in order, options, usually a timeout and a command in its
/// place, and rarely an extra word.
fn line(start: &[&str], verb: &Entry) -> BoxedStrategy<Words> {
    let parser = verb.parser("x", &[]);
    let is_command = |arg: &&Arg| arg.is_last_set() || arg.get_id() == "command";
    let positionals: Vec<_> = parser
        .get_positionals()
        .filter(|arg| !is_command(arg))
        .map(|arg| weighted(0.97, value_of(arg)).boxed())
        .collect();
    let options = parser.get_arguments().filter(|arg| !arg.is_positional());
    let options: Vec<Arg> = options.cloned().collect();
    let waits = parser.get_arguments().any(|arg| arg.get_long() == Some("timeout"));
    let options = if options.is_empty() { Just(Vec::new()).boxed() } else { vec(option(options), 0..4).boxed() };
    let command = weighted(if verb.runs == Runs::Nothing { 0.02 } else { 0.9 }, select(COMMANDS));
    let limited = weighted(if waits { 0.9 } else { 0.01 }, Just("-w0.02"));
    let extra = weighted(0.08, (any::<Index>(), word()));
    let more = weighted(0.03, word());
    let start: Words = start.iter().map(OsString::from).collect();
    let parts = (positionals, more, options, limited, command, extra, any::<bool>());
    parts
        .prop_map(move |(positionals, more, options, limited, command, extra, first)| {
            let positionals: Words = positionals.into_iter().chain([more]).flatten().collect();
            let options = options.concat().into_iter().chain(limited.map(OsString::from));
            let mut words = start.clone();
            if first {
                words.extend(options);
                words.extend(positionals);
            } else {
                words.extend(positionals);
                words.extend(options);
            }
            if let Some(command) = command {
                words.push("--".into());
                words.extend(command.iter().map(OsString::from));
            }
            if let Some((place, word)) = extra {
                words.insert(place.index(words.len() + 1), word);
            }
            words
        })
        .boxed()
}

fn lines() -> impl Strategy<Value = Words> {
    let verbs = APPLETS.iter().flat_map(|applet| {
        applet.verbs.iter().map(|verb| match applet.alone(verb.name) {
            Some(_) => line(&[verb.name], verb),
            None => line(&[applet.name, verb.name], verb),
        })
    });
    Union::new(verbs.chain(WORDS.iter().map(|verb| line(&[verb.name], verb))))
}

/// Lists everything that a usage error must not change.
fn objects(dir: &OsStr) -> BTreeSet<String> {
    let kinds = ["shm", "msg", "sem"].map(|kind| format!("/proc/sysvipc/{kind}"));
    let objects = kinds.iter().map(|file| fs::read_to_string(file).unwrap());
    let dirs = [OsStr::new("/dev/shm"), dir].into_iter().flat_map(|dir| fs::read_dir(dir).unwrap());
    objects.chain(dirs.map(|entry| entry.unwrap().path().display().to_string())).collect()
}

/// The working directory, and the directory for output.
struct Inside {
    dir: OsString,
    output: PathBuf,
}

impl Inside {
    /// Mounts small private file systems on `dir` and on `/dev/shm`.
    fn new(dir: OsString) -> Self {
        // The following is only safe in the first process of a pid namespace.
        assert_eq!(std::process::id(), 1, "not inside");
        for target in [OsStr::new("/dev/shm"), &dir] {
            let mount = ["-t", "tmpfs", "-o", "size=16m,mode=1777", "tmpfs"];
            Call::new("mount").args(mount).arg(target).ok();
        }
        let output = PathBuf::from(&dir).join("output");
        fs::create_dir(&output).unwrap();
        let inside = Self { dir, output };
        inside.clear();
        inside
    }

    /// Kills what a call left running, and removes what it created.
    fn clear(&self) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(-1), Signal::SIGKILL);
        while nix::sys::wait::wait().is_ok() {}
        Call::new("ipcrm").arg("--all").ok();
        Call::new(BINARY).args(["msgq", "rm", "--missing-ok", "/a", "/b"]).ok();
        for dir in [OsStr::new("/dev/shm"), &self.dir] {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path == self.output {
                    continue;
                }
                let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                removed.unwrap();
            }
        }
        fs::write(PathBuf::from(&self.dir).join("file"), "some text\n").unwrap();
        let fifo = PathBuf::from(&self.dir).join("g");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        nix::unistd::chown(&fifo, Some(USER.into()), None).unwrap();
        for call in SETUP {
            Call::new(BINARY).args(call.split(' ')).user(USER).ok();
        }
    }

    /// Runs one vector and checks its outcome.
    fn check(&self, words: &[OsString]) -> Result<(), TestCaseError> {
        let stderr = self.output.join("stderr");
        let before = objects(&self.dir);
        let mut child = Command::new("prlimit")
            .args(["--nproc=200", "--fsize=16777216", "--core=0", "--"])
            .arg(BINARY)
            .args(words)
            .current_dir(&self.dir)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .uid(USER)
            .gid(USER)
            .stdin(File::open(PathBuf::from(&self.dir).join("file")).map_or(Stdio::null(), Into::into))
            .stdout(File::create(self.output.join("stdout")).unwrap())
            .stderr(File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        let pid = child.id().cast_signed();
        let start = Instant::now();
        let mut is_signalled = false;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > PATIENCE && !is_signalled {
                signal(pid, Signal::SIGTERM);
                is_signalled = true;
            }
            if start.elapsed() > PATIENCE + GRACE {
                signal(pid, Signal::SIGKILL);
                child.wait().unwrap();
                // SIGTERM may be what it was waiting for.
                if words.starts_with(&["signal".into(), "wait".into()]) {
                    return Ok(());
                }
                return Err(TestCaseError::fail("it does not exit"));
            }
            std::thread::sleep(Duration::from_micros(500));
        };
        let stderr = fs::read(&stderr).unwrap();
        let stderr = String::from_utf8_lossy(&stderr);
        let wrong = |what: &str| TestCaseError::fail(format!("{what}: {status}: {stderr}"));
        let status = code(status);
        // Commands and processes add statuses of their own; 7 and 0 can be chosen as the timeout status.
        let is_of_the_contract = matches!(status, 0..=5 | 7 | 124..=127)
            || [Signal::SIGTERM, Signal::SIGKILL, Signal::SIGXFSZ, Signal::SIGPIPE]
                .iter()
                .any(|signal| status == 128 + *signal as i32);
        let is_signalled = words.get(1).is_some_and(|word| word == "send" || word == "list");
        if !is_of_the_contract && !is_signalled {
            return Err(wrong("a status without a meaning"));
        }
        if stderr.contains("panicked") || stderr.contains("RUST_BACKTRACE") {
            return Err(wrong("a panic"));
        }
        let is_chosen = |word: &OsString| {
            let word = word.as_bytes();
            word == b"--" || word.starts_with(b"-E") || word.starts_with(b"--timeout-status")
        };
        if status == 2 && !words.iter().any(is_chosen) {
            if objects(&self.dir) != before {
                return Err(wrong("a usage error that changed something"));
            }
            if stderr.is_empty() {
                return Err(wrong("a usage error without a message"));
            }
        }
        Ok(())
    }
}

fn corpus() -> Vec<Words> {
    let text = include_str!("corpus/vectors");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(' ').map(unescaped).collect()).collect()
}

/// Decodes a word of the corpus, in which `\xNN` is a byte.
fn unescaped(word: &str) -> OsString {
    let mut parts = word.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).expect("two digits"));
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    OsString::from_vec(bytes)
}

#[test]
fn any_vector_exits_with_status_and_reason() {
    if let Some(dir) = std::env::var_os(INSIDE) {
        let inside = Inside::new(dir);
        for words in corpus() {
            inside.check(&words).unwrap_or_else(|failure| panic!("{words:?}: {failure}"));
        }
        let calls = std::cell::Cell::new(0_u32);
        return fuzz(600, &lines(), |words| {
            calls.set(calls.get() + 1);
            if calls.get().is_multiple_of(25) {
                inside.clear();
            }
            inside.check(&words)
        });
    }
    let world = World::new();
    let mount = ["mount", "-t", "tmpfs", "tmpfs", "/dev/shm"];
    let may = || Call::new("unshare").args(NAMESPACES).args(mount).output().status.success();
    if world.stranger().is_none() || !may() {
        return skip("needs root, and permission to create pid, mount and IPC namespaces");
    }
    let own = std::thread::current().name().unwrap().to_owned();
    // No overall deadline: each call has its own, and the user chooses the number of calls.
    let output = Command::new("unshare")
        .args(NAMESPACES)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &own, "--nocapture", "--test-threads=1"])
        .env(INSIDE, world.dir())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{text}");
    print!("{text}");
}
