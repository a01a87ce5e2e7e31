//! `pipe tee`.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use nix::libc;
use nix::pty::openpty;
use nix::sys::signal::Signal;

use super::{children, pipe};
use crate::support::{BINARY, Child, World, code, eventually, lines, signal, skip};

/// The signals that kill a filter.
const ENDING: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// A tee with these words. Its input, the FIFO `f`, has no EOF.
fn endless(world: &World, words: &str) -> Child {
    let line = format!("rm -f f; mkfifo f; exec ipcbox pipe tee {words} <>f >/dev/null");
    world.program("/bin/sh").args(["-c", &line]).start().became("ipcbox")
}

/// The checksum of a file, by cksum(1).
fn sum(world: &World, path: &Path) -> String {
    world.program("/bin/sh").args(["-c", &format!("cksum <{}", path.display())]).ok()
}

/// A file of about this many bytes without repetition.
fn data(world: &World, bytes: usize) -> std::path::PathBuf {
    let text = (0..bytes / 7).map(|n| n.to_string()).collect::<Vec<_>>().join("\n") + "\n";
    world.file("data", &text)
}

#[test]
fn every_consumer_gets_all_bytes() {
    let world = World::new();
    let input = data(&world, 3 << 20);
    let expected = sum(&world, &input);
    for feed in ["<data", "< <(cat data)", "<<<\"$(cat data)\"", "< <(cat data; sleep 0.05; :)"] {
        let script = format!(
            "rm -f a b c d e; echo old >b; ipcbox pipe tee -o a -o - --shell 'cat >c' 'cat | cat >d' >e {feed}"
        );
        world.program("bash").args(["-c", &script]).ok();
        for name in ["a", "c", "d", "e"] {
            assert_eq!(sum(&world, &world.dir().join(name)), expected, "{feed} {name}");
        }
        let script = format!("ipcbox pipe tee --append -o b {feed} >>e");
        world.program("bash").args(["-c", &script]).ok();
        assert_eq!(fs::metadata(world.dir().join("b")).unwrap().len(), fs::metadata(&input).unwrap().len() + 4);
    }
    // Input that is neither a pipe nor a file.
    let zeros = "head -c 100000 /dev/zero | ipcbox pipe tee | wc -c; ipcbox pipe tee -o a </dev/null; \
                 ipcbox pipe tee -- head -c 5000 </dev/zero | wc -c";
    world.program("/bin/sh").args(["-c", zeros]).stdout("100000\n5000\n").ok();
}

#[test]
fn last_bytes_of_a_writer_are_not_lost() {
    let world = World::new();
    // Delayed after it has seen an empty pipe, until the writer has written and closed.
    let slow = "strace -o /dev/null -e trace=ioctl -e inject=ioctl:delay_exit=500000";
    if !world.program("/bin/sh").args(["-c", &format!("{slow} true")]).output().status.success() {
        return skip("strace does not work here");
    }
    let script = format!("{{ sleep 0.1; echo x; }} | {slow} ipcbox pipe tee");
    world.program("/bin/sh").args(["-c", &script]).stdout("x\n").ok();
}

#[test]
fn slow_and_dead_consumers_cost_no_byte() {
    let world = World::new();
    let input = data(&world, 4 << 20);
    let expected = sum(&world, &input);
    let script = "cat data | ipcbox pipe tee -o f1 -o f2 --shell 'head -c 5 >early' \
                  'for i in 1 2 3 4 5 6 7 8; do dd bs=64k count=1 2>/dev/null; sleep 0.02; done >slow; cat >>slow' \
                  'head -c 100000 >/dev/null; kill -KILL $$' 'cksum >c1' 'cksum >c2' 'cat | cksum >c3'";
    world.program("/bin/sh").args(["-c", script]).status(137);
    for name in ["f1", "f2", "slow"] {
        assert_eq!(sum(&world, &world.dir().join(name)), expected, "{name}");
    }
    for name in ["c1", "c2", "c3"] {
        assert_eq!(fs::read_to_string(world.dir().join(name)).unwrap(), expected, "{name}");
    }
    assert_eq!(fs::read_to_string(world.dir().join("early")).unwrap(), "0\n1\n2");
}

#[test]
fn last_consumer_may_close_early() {
    let world = World::new();
    let input = data(&world, 1 << 20);
    let script = "cat data | ipcbox pipe tee --shell 'cksum >c1' 'cksum >c2' 'head -c 9 >/dev/null'";
    world.program("/bin/sh").args(["-c", script]).ok();
    let expected = sum(&world, &input);
    for name in ["c1", "c2"] {
        assert_eq!(fs::read_to_string(world.dir().join(name)).unwrap(), expected, "{name}");
    }
    // Without consumers tee exits, although its input goes on.
    let script = "yes | ipcbox pipe tee -- head -1 ::: head -2 | sort; (echo x; exec sleep 1000) | \
                  { ipcbox pipe tee -- head -1; kill -TERM -- $(ps -o pid= --ppid $$ -C sleep) 2>/dev/null; }";
    let output = world.program("bash").args(["-c", script.split(';').next().unwrap()]).ok();
    assert_eq!(output, "y\ny\ny\n");
    // Standard output may close early too.
    let script = "cat data | { ipcbox pipe tee -o all; echo $? >status; } | head -1";
    world.program("/bin/sh").args(["-c", script]).stdout("0\n").ok();
    assert_eq!(sum(&world, &world.dir().join("all")), expected);
    assert_eq!(fs::read_to_string(world.dir().join("status")).unwrap(), "0\n");
}

#[test]
fn output_of_commands_is_separate_from_data() {
    let shown = pipe(&["tee", "--shell", "cat", "tr a b"]).input("a\n").output();
    let mut out = lines(&shown.stdout);
    out.sort();
    assert_eq!(out, ["a", "b"]);
    let shown = pipe(&["tee", "-o", "-", "--", "tr", "a", "b"]).input("a\n").output();
    assert_eq!((lines(&shown.stdout), lines(&shown.stderr)), (vec!["a".into()], vec!["b".into()]));
}

#[test]
fn tee_returns_the_last_failure() {
    pipe(&["tee", "--shell", "cat", "exit 3", "cat >/dev/null; exit 5", "cat"]).status(5);
    pipe(&["tee", "--", "no-such-command"]).fails(127, "command not found");
    pipe(&["tee", "--shell", "cat", " "]).fails(125, "command 2 is empty");
    // With --fail-fast a failure stops all, and so does a consumer that closes early.
    let world = World::new();
    let run = |line: &str| world.program("/bin/sh").args(["-c", line]);
    run("yes | ipcbox pipe tee --fail-fast --shell 'exit 9' 'sleep 1000' 'cat >/dev/null'").status(9);
    run("yes | ipcbox pipe tee --fail-fast --shell 'head -1' 'cat >/dev/null'").status(1);
}

#[test]
fn file_without_option_gets_a_hint() {
    let output = pipe(&["tee", "out 1", "out2"]).output();
    let text = "pipe: unexpected argument 'out 1'; -o names a file\nhint: use -o 'out 1' -o out2\n";
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(2), text.into()));
    pipe(&["tee", "out", "--", "cat"]).fails(125, "unexpected argument 'out'");
}

#[test]
fn unwritable_outputs_are_reported() {
    let world = World::new();
    let run = |line: &str| world.program("/bin/sh").args(["-c", line]);
    pipe(&["tee", "-o", "/no/such/dir/x"]).fails(3, "cannot write to /no/such/dir/x: no such file");
    pipe(&["tee", "-o", "/no/such/dir/x", "--", "touch", "/no/such"]).fails(125, "cannot write to");
    pipe(&["tee", "-o", "/"]).fails(1, "cannot write to /: is a directory (EISDIR)");
    run("ipcbox pipe tee </").fails(1, "cannot read standard input: is a directory (EISDIR)");
    run("ipcbox pipe tee <&-").fails(1, "cannot read standard input: bad file");
    run("echo x | ipcbox pipe tee >&-").fails(1, "cannot write to standard output: bad file");
    run("echo x | ipcbox pipe tee -- cat >&-").status(1);
    // An existing file is not truncated.
    let keeps = "echo old >old; echo x | ipcbox pipe tee -o old >&- 2>/dev/null; cat old";
    run(keeps).stdout("old\n").ok();
    if !Path::new("/dev/full").exists() {
        return skip("there is no /dev/full");
    }
    // One disk is full: the other consumers go on.
    let shown = run("head -c 300000 /dev/zero | ipcbox pipe tee -o /dev/full -o a -- wc -c").output();
    let text = String::from_utf8_lossy(&shown.stderr).into_owned();
    assert_eq!(text, "pipe: cannot write to /dev/full: no space left on device (ENOSPC)\n");
    assert_eq!((shown.status.code(), lines(&shown.stdout)), (Some(1), vec!["300000".into()]));
    assert_eq!(fs::metadata(world.dir().join("a")).unwrap().len(), 300_000);
    run("echo x | ipcbox pipe tee >/dev/full").fails(1, "cannot write to standard output: no space left");
}

#[test]
fn full_disk_is_reported_and_others_go_on() {
    let world = World::new();
    // A disk of 64 KiB, in a mount namespace of its own.
    let disk = "mkdir disk && mount -t tmpfs -o size=64k none disk";
    let inside = |script: String| world.program("unshare").args(["-m", "/bin/sh", "-c", &script]);
    if !inside(disk.to_owned()).output().status.success() {
        return skip("there can be no mount namespace");
    }
    let shown = inside(format!(
        "rmdir disk; {disk}; head -c 300000 /dev/zero | ipcbox pipe tee -o disk/a -o b -- wc -c; echo $?; wc -c <disk/a"
    ))
    .output();
    let text = String::from_utf8_lossy(&shown.stderr).into_owned();
    assert_eq!(text, "pipe: cannot write to disk/a: no space left on device (ENOSPC)\n");
    assert_eq!(lines(&shown.stdout), ["300000", "1", "65536"]);
    assert_eq!(fs::metadata(world.dir().join("b")).unwrap().len(), 300_000);
}

#[test]
fn too_few_descriptors_are_reported() {
    let world = World::new();
    let line = "set --; i=0; while [ $i -lt 200 ]; do set -- \"$@\" cat :::; i=$((i + 1)); done; \
                ulimit -n 64; echo x | exec ipcbox pipe tee -- \"$@\" cat";
    let shown = world.program("/bin/sh").args(["-c", line]).output();
    let text = String::from_utf8_lossy(&shown.stderr).into_owned();
    assert_eq!(shown.status.code(), Some(125), "{text}");
    assert!(text.contains("(EMFILE)") && text.contains("ulimit -n"), "{text}");
}

#[test]
fn signals_kill_tee_like_any_filter() {
    let world = World::new();
    for signal in ENDING {
        for (words, commands) in [("-o a", 0), ("-o a -- true", 0), ("-o a -- cat", 1)] {
            let tee = endless(&world, words).blocked_in(libc::SYS_ppoll);
            eventually("its commands run, or have ended", || children(tee.pid()).len() == commands);
            tee.signal(signal);
            assert_eq!(tee.end().status.signal(), Some(signal as i32), "{signal} {words}");
        }
        // The input never blocks.
        let line = "rm -f g; mkfifo g; yes >g & exec ipcbox pipe tee -o /dev/null <g >/dev/null";
        let tee = world.program("/bin/sh").args(["-c", line]).start().became("ipcbox");
        let status = format!("/proc/{}/status", tee.pid());
        eventually("it reads signals", || fs::read_to_string(&status).is_ok_and(|it| it.contains("SigBlk:\tf")));
        tee.signal(signal);
        assert_eq!(tee.end().status.signal(), Some(signal as i32), "{signal} yes");
    }
}

#[test]
fn commands_ignoring_the_signal_get_eof() {
    let world = World::new();
    let got = || fs::read_to_string(world.dir().join("got")).unwrap_or_default();
    let deaf = |then: &str| {
        let words = format!("--shell 'trap \"\" TERM; read -r it; echo $it >got; {then}'");
        let _ = fs::remove_file(world.dir().join("got"));
        let tee = endless(&world, &words);
        world.file("f", "x\ny\n");
        eventually("the first line is there", || got() == "x\n");
        tee
    };
    let tee = deaf("cat >rest; cat rest >>got; echo end >>got");
    tee.signal(Signal::SIGTERM);
    assert_eq!(tee.code(), 143);
    assert_eq!(got(), "x\ny\nend\n");
    // A second signal kills a command that still runs, and tee.
    let mut tee = deaf("cat >/dev/null; exec sleep 1000");
    tee.signal(Signal::SIGTERM);
    let comm = |pid: i32| fs::read_to_string(format!("/proc/{pid}/comm"));
    let child = children(tee.pid())[0];
    eventually("it has seen the end", || comm(child).is_ok_and(|it| it == "sleep\n"));
    eventually("tee exits", || {
        tee.signal(Signal::SIGTERM);
        !tee.runs()
    });
    assert_eq!(tee.code(), 143);
    eventually("sleep is gone", || comm(child).is_err());
}

#[test]
fn ignored_signal_has_no_effect() {
    let world = World::new();
    let line = "trap '' HUP; mkfifo f; exec ipcbox pipe tee -- cat <>f";
    let tee = world.program("/bin/sh").args(["-c", line]).start().blocked_in(libc::SYS_ppoll);
    tee.signal(Signal::SIGHUP);
    tee.signal(Signal::SIGTERM);
    assert_eq!(tee.code(), 143);
}

/// A socket, as under ssh, or a terminal that is not read takes less than it has reported room for.
#[test]
fn signal_kills_tee_on_a_full_output() {
    for line in ["tee", "merge -- yes"] {
        for is_terminal in [false, true] {
            let (mine, theirs): (OwnedFd, OwnedFd) = if is_terminal {
                let terminal = openpty(None, None).unwrap();
                (terminal.master, terminal.slave)
            } else {
                let (mine, theirs) = UnixStream::pair().unwrap();
                (mine.into(), theirs.into())
            };
            let mut command = Command::new(BINARY);
            command.arg("pipe").args(line.split(' ')).stdin(File::open("/dev/zero").unwrap());
            let mut child = command.stdout(theirs).spawn().unwrap();
            let pid = child.id().cast_signed();
            let call = || fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
            let waits = format!("{} ", libc::SYS_ppoll);
            let mut seen = 0;
            // Seen repeatedly, so that it is not just between two writes.
            eventually("its output is full", || {
                seen = if call().starts_with(&waits) { seen + 1 } else { 0 };
                seen > 20
            });
            // In merge, the first signal kills the command only.
            let mut ended = None;
            eventually("it ends", || {
                ended = child.try_wait().unwrap();
                if ended.is_none() {
                    signal(pid, Signal::SIGTERM);
                }
                ended.is_some()
            });
            // On a slow machine the command of merge may not have filled the output: then merge returns its status.
            assert_eq!(code(ended.unwrap()), 143, "{line} {is_terminal}");
            drop(mine);
        }
    }
}
