//! Hostile names and payloads.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::{Command, Stdio};

use nix::pty::openpty;

use crate::support::{BINARY, Call, World};

/// A name that clears the screen and starts a line that looks like a message of ipcbox.
const NAME: &str = "a\x1b[2J\x07\nsem: all is well\r\u{9b}31mb";

/// A name must not control the terminal or forge a line, in any message.
#[test]
fn hostile_name_in_message_is_escaped() {
    let world = World::new();
    fs::write(world.dir().join(NAME), "").unwrap();
    fs::write(world.dir().join(format!("x{NAME}")), "").unwrap();
    let posix = world.posix(&format!("p{NAME}"));
    world.call("shm create --size 1").arg(&posix).ok();
    let calls: &[&[&str]] = &[
        &[NAME],
        &["sem", NAME],
        &["help", NAME],
        &["key", NAME],
        &["key", &format!("ftok:no/{NAME}")],
        &["sem", "get", NAME],
        &["sem", "get", &format!("--{NAME}")],
        &["sem", "get", "x", NAME],
        &["sem", "wait", "x", "-w", NAME],
        &["sem", "run", "x", NAME],
        &["sem", "run", "x", "--", NAME],
        &["sem", "run", "x", "--", &format!("./{NAME}")],
        &["sem", "run", &format!("./{NAME}"), "--", "true"],
        &["sem", "lock", &format!("no/{NAME}"), "--", "true"],
        &["sem", "hold", &format!("no/{NAME}"), "1", "--slots", "2"],
        &["sem", "create", &format!("no/{NAME}"), "--lock"],
        &["sem", "stat", &format!("./{NAME}")],
        &["sem", "rm", &format!("no/{NAME}")],
        &["sem", "post", &format!("./{NAME}")],
        &["sem", "get", &format!("ftok:{NAME}")],
        &["sem", "stat", "--columns", NAME],
        &["fifo", "stat", NAME],
        &["fifo", "rm", NAME],
        &["fifo", "create", NAME],
        &["fifo", "read", NAME],
        &["fifo", "write", NAME, "x"],
        &["shm", "write", "/none", "--lock", NAME],
        &["shm", "memfd", &format!("no/{NAME}"), "--", "true"],
        &["shm", "create", &posix, "-x", "--size", "1"],
        &["msgq", "recv", "x", "--format", &format!("%{NAME}")],
        &["pipe", "run", "--", "true", ":::", NAME],
        &["pipe", "stat", NAME],
        &["pipe", "meter", &format!("no/{NAME}")],
        &["signal", "send", NAME, "1"],
        &["signal", "send", "TERM", NAME],
        &["signal", "run", "--on", &format!("USR1{NAME}"), "--", "true"],
        &["sock", "connect", NAME],
        &["sock", "connect", &format!("./{NAME}")],
        &["sock", "connect", &format!("@{NAME}")],
        &["sock", "connect", &format!("no/{NAME}")],
        &["sock", "connect", &format!("tcp:{NAME}:1")],
        &["sock", "recv", NAME],
        &["sock", "recv", &format!("no/{NAME}")],
        &["sock", "send", NAME, "x"],
        &["sock", "send", &format!("dgram:no/{NAME}"), "x"],
        &["sock", "activate", NAME, "--", "true"],
        &["sock", "activate", &format!("no/{NAME}"), "--", "true"],
        &["sock", "stat", NAME],
        &["sock", "stat", &format!("./{NAME}")],
        &["sock", "stat", &format!("@{NAME}")],
        &["sock", "stat", "--pid", NAME],
        &["sock", "wait", "-n", &format!("./{NAME}x"), &format!("@{NAME}")],
        &["sock", "wait", "-n", &format!("tcp:{NAME}:1")],
        &["sock", "with", &format!("no/{NAME}"), "--", "true", ":::", "true"],
        &["sock", "serve", NAME, "--", "true"],
        &["sock", "serve", &format!("no/{NAME}"), "--", "true"],
        &["sock", "serve", "./s", "--allow", NAME, "--", "true"],
        &["sock", "serve", "./s", "--", NAME],
        &["sock", "call", NAME],
        &["sock", "call", &format!("@{NAME}")],
        &["sock", "rm", NAME],
        &["sock", "rm", &format!("no/{NAME}")],
        &["ipcrm-lite", NAME],
        &["ipcrm-lite", "-m", NAME],
        &["ipcs-lite", "--of", NAME],
        &["--install", &format!("no/{NAME}")],
        &["--install-all", &format!("/etc/passwd/{NAME}")],
        &["--uninstall", &format!("no/{NAME}")],
        &["--man", NAME],
    ];
    for call in calls {
        let output = Call::new(BINARY).args(*call).dir(world.dir()).output();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && !stderr.is_empty(), "{call:?}");
        for line in stderr.split_terminator('\n') {
            let forged = line.starts_with("sem: all is well");
            assert!(!forged && !line.chars().any(char::is_control), "{call:?}\n{stderr:?}");
        }
    }
}

/// The contents of a table must not control the terminal, and must not be changed in output to a file.
#[test]
fn hostile_name_in_table_is_escaped() {
    let world = World::new();
    let evil = "\x1b]0;evil\x07";
    // A process with such a name, which holds objects of all kinds.
    let program = world.copy("/bin/sleep", &format!("e{evil}"));
    world.call("fifo create f").ok();
    let address = SocketAddr::from_abstract_name(world.name(evil)).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let holder = world
        .call("sem run @s --slots 1 -- sh -c")
        .args(["exec \"$0\" 100 <>f", &program.display().to_string()])
        .start()
        .became(&format!("e{evil}"));
    let pid = holder.pid().to_string();
    for call in [
        "sem stat @s --holders",
        "fifo stat f",
        &format!("signal stat {pid}"),
        &format!("signal send 0 {pid}"),
        &format!("signal send TERM {pid} --dry-run"),
        "ipcs-lite -s --holders",
        "sock stat --listening",
        "fifo rm f",
    ] {
        let terminal = openpty(None, None).expect("a pseudo-terminal");
        let words = call.split(' ').map(|word| match word.strip_prefix('@') {
            Some(name) => world.name(name),
            None => word.to_owned(),
        });
        let mut command = Command::new(BINARY);
        command.args(words).current_dir(world.dir()).stdin(Stdio::null()).env("NO_COLOR", "1");
        command.stdout(Stdio::from(terminal.slave.try_clone().unwrap())).stderr(terminal.slave);
        command.status().expect("it runs");
        drop(command);
        let mut text = Vec::new();
        // Reading returns EIO once no process has the terminal open.
        let _ = File::from(terminal.master).read_to_end(&mut text);
        let text = String::from_utf8(text).unwrap();
        let drives = text.chars().any(|c| c.is_control() && c != '\n' && c != '\r');
        assert!(!drives, "{call}: {text:?}");
    }
}

/// Payloads that could be taken for options, expansions, quotes or several lines.
const PAYLOADS: &[&str] = &[
    "-x",
    "--",
    "--help",
    "-n",
    "$(touch OWNED)",
    "`touch OWNED`",
    "; touch OWNED",
    "| touch OWNED",
    "x\ntouch OWNED\n",
    "'",
    "\"",
    "\\",
    "' ; touch OWNED ; '",
    "{}",
    "{} {}",
    "%s%n",
    "*",
    "~",
    "$HOME",
    "a  b\tc",
    "\x1b[2J",
    "",
];

/// A payload must not become an option or a command, and must not be changed.
#[test]
fn hostile_payload_is_unchanged_and_not_run() {
    let world = World::new();
    // Prints its arguments, each in brackets, and standard input.
    let show = world.script("show", "#!/bin/sh\nprintf '[%s]' \"$@\"; cat; : >shown");
    for payload in PAYLOADS {
        let answer = format!("[--a={{}}][{payload}][x{{}}]{payload}");
        for queue in ["@q", "/@q"] {
            world.call(&format!("msgq send {queue} --create --")).arg(payload).ok();
            let recv = format!("msgq recv {queue} --raw");
            world.call(&recv).stdout(*payload).ok();
            world.call(&format!("msgq send {queue}")).input(*payload).ok();
            let serve = world.call(&format!("msgq serve {queue} -c 1 --")).arg(&show);
            serve.args(["--a={}", "{}", "x{}"]).stdout(&answer).ok();
            fs::remove_file(world.dir().join("shown")).unwrap();
        }
        let recv = world.call("sock recv dgram:m seqpacket:q --raw -c 2").start().blocked_in(nix::libc::SYS_ppoll);
        world.call("sock send dgram:m --").arg(payload).ok();
        world.call("sock send seqpacket:q").input(*payload).ok();
        assert_eq!(String::from_utf8(recv.end().stdout).unwrap(), [*payload; 2].concat());
        let serve = world.call("sock serve ./s -c 1 --").arg(&show).args(["--a={}", "{}", "x{}"]).start();
        world.call("sock call ./s --await --").arg(payload).stdout(&answer).ok();
        assert_eq!(serve.code(), 0);
        fs::remove_file(world.dir().join("shown")).unwrap();
        world.call("shm write @o --create --clear").input(format!("{payload}\0")).ok();
        world.call("shm read @o --text").stdout(*payload).ok();
        world.call("shm rm @o").ok();
        world.call("shm write /@o --create --").arg(payload).ok();
        world.call("shm read /@o").stdout(*payload).ok();
        world.call("shm rm /@o").ok();
        if !payload.contains('\n') {
            let reader = world.call("fifo serve f --create --rm -- ").arg(&show);
            let reader = reader.args(["--a={}", "{}", "x{}"]).start();
            crate::support::eventually("the FIFO is there", || world.dir().join("f").exists());
            world.call("fifo write f --").arg(payload).ok();
            let shows = world.dir().join("shown");
            crate::support::eventually("the line is served", || fs::remove_file(&shows).is_ok());
            reader.signal(nix::sys::signal::Signal::SIGTERM);
            let output = reader.end();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{answer}\n"));
        }
        assert!(!world.dir().join("OWNED").exists(), "{payload:?}");
    }
}

/// A payload must not be run as the command, and only an argument `{}` is replaced.
#[test]
fn braces_as_command_are_not_replaced() {
    let world = World::new();
    world.script("evil", "#!/bin/sh\ntouch OWNED");
    world.call("msgq send @q ./evil --create").ok();
    world.call("msgq serve @q -c 1 -- {}").fails(127, "cannot run {}: command not found");
    world.call("msgq recv @q").stdout("./evil\n").ok();
    // A payload stays one argument.
    world.call("msgq send @q").arg("a b\nc").ok();
    world
        .call("msgq serve @q -c 1 -- printf [%s]")
        .args(["{}", "{}{}", " {}", "{ }", "\\{}"])
        .stdout("[a b\nc][{}{}][ {}][{ }][\\{}]")
        .ok();
    assert!(!world.dir().join("OWNED").exists());
}

/// A command must not be found outside PATH.
#[test]
fn command_is_searched_only_in_path() {
    let world = World::new();
    world.script("planted", "#!/bin/sh\ntouch OWNED");
    let runs: &[&str] = &[
        "sem run @s --slots 1 -- planted",
        "sem lock @l -- planted",
        "shm memfd -- planted",
        "signal run -- planted",
        "pipe run -- planted",
        "msgq serve @q --create -c 1 -- planted",
        "fifo serve f --create -- planted",
        "sock connect @none -- planted",
        "sock wait @none --gone -- planted",
        "sock with @none -- planted ::: true",
        "sock with @none -- true ::: planted",
        "sock activate @none -- planted",
        "sock serve ./s -c 1 -- planted",
    ];
    for path in ["/nonexistent", "/usr/bin:/bin"] {
        for call in runs {
            let status = world.call(call).env("PATH", path).output().status;
            assert_eq!(status.code(), Some(127), "{call} with {path}");
        }
    }
    for call in runs {
        // Without PATH the default is the system's directories.
        let words = call.replace('@', &world.name(""));
        let unset = world.shell(&format!("unset PATH; exec {BINARY} {words}")).output();
        assert_eq!(unset.status.code(), Some(127), "{call} without PATH");
    }
    assert!(!world.dir().join("OWNED").exists());
}

/// A large environment, and bytes in it that are not UTF-8, must reach CMD unchanged.
#[test]
fn large_environment_reaches_command() {
    let world = World::new();
    // A single string may have at most 128 KiB.
    let big = |n: u8| OsString::from_vec(vec![n; 100_000]);
    let _listener = UnixListener::bind(world.dir().join("listener")).unwrap();
    for call in [
        "sem run @s --slots 1 --",
        "sem lock @l --",
        "shm memfd --",
        "signal run --",
        "pipe run --",
        "pipe merge --",
        "msgq serve @q -c 1 --",
        "sock activate ./s --",
        "sock connect ./listener --fd 5 --",
        "sock wait ./none --gone --",
        "sock with ./s --pass -- sleep 60 :::",
    ] {
        world.call("msgq send @q x --create").ok();
        let mut call = world.call(call).args(["sh", "-c", "env | wc -c; env | grep -c ^BIG"]);
        for n in 0..11_u8 {
            call = call.env(&format!("BIG{n}"), big(0xf5 + n.min(10)));
        }
        let output = call.output();
        let text = String::from_utf8(output.stdout).unwrap();
        let numbers: Vec<usize> = text.split_whitespace().map(|n| n.parse().unwrap()).collect();
        assert!(numbers[0] > 1_100_000 && numbers[1] == 11, "{text}");
    }
    world.call("msgq rm @q").ok();
}
