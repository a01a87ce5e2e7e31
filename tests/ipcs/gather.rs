//! `ipcs-lite`: how objects are found and shown.

use super::beside_objects;
use crate::support::{BINARY, Call, World, lines, skip};

#[test]
fn proc_and_calls_give_the_same_records() {
    let world = World::new();
    world.shell("true").ok();
    // Without /proc only system calls are left; fields that they do not return are null.
    let script = format!(
        "{BINARY} ipcs-lite -J >proc.json; unshare -m sh -c 'mount -t tmpfs none /proc && {BINARY} ipcs-lite -J >calls.json'"
    );
    let Some(call) = beside_objects(&world, &script) else { return };
    if call.output().status.code() != Some(0) {
        return skip("no mount namespace can be created here");
    }
    let read = |name: &str| std::fs::read_to_string(world.dir().join(name)).unwrap();
    let (from_proc, from_calls) = (read("proc.json"), read("calls.json"));
    let resident = |line: &str| match line.split_once("\"resident\":") {
        Some((head, tail)) => format!("{head}{}", tail.split_once("\"removed\"").unwrap().1),
        None => line.to_owned(),
    };
    let trimmed = |text: &str| text.lines().map(resident).collect::<Vec<_>>();
    assert_eq!(trimmed(&from_proc), trimmed(&from_calls));
    assert_eq!(trimmed(&from_proc).len(), 7);
    assert!(from_calls.contains("\"resident\":null"), "{from_calls}");
}

#[test]
fn unreadable_line_is_reported_by_number() {
    let world = World::new();
    if !nix::unistd::geteuid().is_root() {
        return skip("it needs the right to mount");
    }
    for (kind, file) in [("-q", "msg"), ("-s", "sem"), ("-m", "shm")] {
        let fake = world.file(file, "titles\nnot a line\n");
        let script = format!("mount --bind {} /proc/sysvipc/{file} && exec {BINARY} ipcs-lite {kind}", fake.display());
        let printed = Call::new("unshare").args(["-m", "sh", "-c", &script]).output();
        let stderr = String::from_utf8_lossy(&printed.stderr).into_owned();
        if stderr.contains("mount:") || stderr.contains("unshare:") {
            return skip("it needs the right to mount");
        }
        assert_eq!(printed.status.code(), Some(1), "{stderr}");
        let line = format!("line 2 of /proc/sysvipc/{file} has an unknown format");
        assert!(stderr.contains(&line), "{stderr}");
    }
}

#[test]
fn records_are_sorted_chosen_and_shown_by_column() {
    let world = World::new();
    let script = format!(
        "{BINARY} ipcs-lite -m --columns size,key --sort size --no-header; {BINARY} ipcs-lite 0x77 --columns kind,id --no-header; {BINARY} ipcs-lite -s -i 0 -J --columns index; {BINARY} ipcs-lite -s -i 0 --columns index,value --no-header"
    );
    let Some(call) = beside_objects(&world, &script) else { return };
    let shown = "   5000  0x00000088\n1048470  0x00000000\n2097152  0x00000000\nsem  0\n{\"index\":0}\n{\"index\":1}\n{\"index\":2}\n0  0\n1  4\n2  0\n";
    call.stdout(shown).ok();
    for option in ["--sort", "--columns"] {
        let output = world.call(&format!("ipcs-lite {option} bogus")).output();
        let printed = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{option}");
        assert!(printed.contains("no column 'bogus'"), "{printed}");
        assert!(printed.contains("choose from verdict,kind,"), "{printed}");
    }
    for interval in ["0", "9ms"] {
        let line = format!("ipcs-lite --watch={interval}");
        world.call(&line).fails(2, "expected an interval of at least 10ms");
    }
    world.call("ipcs-lite --columns bogus").fails(2, "no column 'bogus'");
    let Some(holders) = beside_objects(&world, &format!("{BINARY} ipcs-lite --holders -J")) else {
        return;
    };
    let text = holders.ok();
    assert_eq!(text.matches("\"how\":\"maps\"").count(), 2, "{text}");
}

#[test]
fn waiters_are_shown_with_their_operation() {
    let world = World::new();
    if !world.is_own() {
        return skip("it needs an IPC namespace of its own");
    }
    world.call("msgq create @q").ok();
    world.call("sem create @s --value 0").ok();
    let receiver = world.call("msgq recv @q -t 7").start().blocked_in(nix::libc::SYS_msgrcv);
    let waiter = world.call("sem wait @s").start().blocked_in(nix::libc::SYS_semtimedop);
    let text = world.call("ipcs-lite --holders --columns pid,how --no-header").ok();
    assert!(text.contains(&format!("{}  msgrcv type 7", receiver.pid())), "{text}");
    assert!(text.contains(&format!("{}  semop 0:-1", waiter.pid())), "{text}");
    // A queue with a waiter is in use, and not removed without --force.
    world.call("ipcs-lite --unused -J").stdout("").ok();
    world.call("ipcrm-lite --msg @q").fails(1, "in use by ");
    world.call("ipcrm-lite --force @q @s").ok();
    assert_eq!(receiver.code(), 3);
    assert_eq!(waiter.code(), 3);
}

#[test]
fn posix_names_cannot_break_a_line() {
    let world = World::new();
    let odd = world.posix("a\n\x1b[2J");
    world.call("shm create --size 5").arg(&odd).ok();
    world.call("sem create /@s").ok();
    let bytes = [world.posix("b").as_bytes(), b"\xff"].concat();
    let path = std::path::Path::new("/dev/shm")
        .join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&bytes[1..]));
    std::fs::write(&path, "x").unwrap();
    let json = world.call("ipcs-lite -P -J").output();
    let _ = std::fs::remove_file(path);
    let json = lines(&json.stdout);
    let name = world.posix("");
    let ours: Vec<&String> = json.iter().filter(|line| line.contains(&*name)).collect();
    assert_eq!(ours.len(), 3, "{ours:?}");
    assert!(ours.iter().any(|line| line.contains(r"a\n\u001b[2J")), "{ours:?}");
    assert!(ours.iter().all(|line| line.starts_with('{') && line.ends_with('}')), "{ours:?}");
    world.call("ipcrm-lite --posix --missing-ok").arg(&odd).ok();
}

#[test]
fn limits_and_use_are_records_too() {
    let world = World::new();
    let limits = world.call("ipcs-lite -l -J -P").ok();
    assert_eq!(limits.lines().count(), 6, "{limits}");
    assert!(limits.contains("\"max_ops\":") && limits.contains("\"max_user_bytes\":"), "{limits}");
    assert_eq!(world.call("ipcs-lite -u -J").ok().lines().count(), 3);
    // In a table, and after those of util-linux.
    for line in ["-l", "-u"] {
        let shown = world.call(&format!("ipcs-lite {line} --color never --columns kind")).ok();
        assert_eq!(shown, "KIND\nmsg\nshm\nsem\n");
        let plain = world.call(&format!("ipcs-lite {line} --no-header -m")).ok();
        assert!(plain.starts_with("shm  sysv  ") && plain.len() > 14, "{plain}");
    }
    let posix = world.call("ipcs-lite -l -P").ok();
    let (system_v, posix) = posix.split_once("\n\nKIND  FAMILY  MAX_QUEUES  ").unwrap();
    assert!(system_v.ends_with("semaphore max value = 32767"), "{system_v}");
    assert!(posix.contains("\nsem   posix   ") && posix.lines().count() == 4, "{posix}");
    assert!(world.call("ipcs-lite -u -P -q").ok().contains("\nKIND  FAMILY  QUEUES\nmsg   posix   "));
    for line in ["-u 0", "-l --mine", "-l --sort kind", "-u --holders", "-q -i 0 --keep 0", "--watch -u"] {
        world.call(&format!("ipcs-lite {line}")).fails(2, "cannot be used together");
    }
    world.call("ipcs-lite --watch --holders").fails(2, "cannot be used together");
}

#[test]
fn namespace_of_another_process_is_listed() {
    let world = World::new();
    if !world.is_own() {
        return skip("it needs the right to make an IPC namespace");
    }
    let inside = "ipcmk -Q >/dev/null && exec sleep 1000";
    let other = world.program("unshare").args(["-i", "sh", "-c", inside]).start().became("sleep");
    let of = format!("ipcs-lite --of {} --columns kind,id --no-header", other.pid());
    world.call(&of).stdout("msg  0\n").ok();
    world.call("ipcs-lite -J").stdout("").ok();
    world.call("ipcs-lite --of x").fails(2, "expected a process id");
    world.call("ipcs-lite --of -1").fails(2, "--of: expected a process id, not");
    world.call("ipcs-lite --of 2147483647").fails(3, "no such process");
    if let Some(uid) = world.stranger() {
        world.call(&of).user(uid).fails(5, "CAP_SYS_ADMIN");
    }
    // Older seccomp profiles refuse pidfd_open; ipcbox then opens the namespace by /proc.
    for errno in ["EPERM", "ENOSYS"] {
        let injected = |line: &str| {
            let call = world.injected(&format!("pidfd_open:error={errno}"))?;
            Some(call.args(line.split(' ')))
        };
        let Some(call) = injected(&of) else { return };
        call.stdout("msg  0\n").ok();
        let Some(call) = injected("ipcs-lite --of 2147483647") else { return };
        call.fails(3, "no such process");
    }
}

#[test]
fn only_targets_are_shown() {
    let world = World::new();
    if !world.is_own() {
        return skip("it needs an IPC namespace of its own");
    }
    world.call("sem create /@p").ok();
    world.call("msgq create @a").ok();
    world.call("sem create @a").ok();
    world.call("shm create @b --size 5").ok();
    let file = world.file("file", "");
    world.call("msgq create").arg(format!("ftok:{}:7", file.display())).ok();
    let shown = |line: &str| {
        let line = format!("ipcs-lite {line} --columns kind,family --no-header");
        world.call(&line).ok()
    };
    assert_eq!(shown("@a"), "msg  sysv\nsem  sysv\n");
    assert_eq!(shown("-s @a"), "sem  sysv\n");
    assert_eq!(shown("@b /@p @a"), "shm  sysv\nsem  posix\nmsg  sysv\nsem  sysv\n");
    assert_eq!(shown(&format!("ftok:{}:7", file.display())), "msg  sysv\n");
    assert_eq!(shown(world.call("key @b").ok().trim()), "shm  sysv\n");
    let id = world.call("ipcs-lite -m --columns id --no-header").ok();
    assert!(shown(id.trim()).contains("shm  sysv\n"));
    // An existing TARGET is shown although another one is missing.
    let some = world.call("ipcs-lite @b 2147483647 --columns kind --no-header").stdout("shm\n");
    some.stderr("ipcs-lite: cannot show 2147483647: no such object (ENOENT)\n").status(3);
    world.call("ipcs-lite -m @a").fails(3, "no such shared memory segment");
    // No object is no line, and only tables of util-linux have an empty line after them.
    for line in ["@none", "2147483647 /@none"] {
        world.call(&format!("ipcs-lite {line}")).stdout("").status(3);
    }
    world.call("ipcs-lite -m --sort size --owner 54321").stdout("").ok();
    assert!(world.call("ipcs-lite /@p").ok().starts_with("KIND"));
    // Tables of other kinds are left out.
    let table = world.call("ipcs-lite @b").ok();
    assert!(table.contains("Shared Memory Segments") && !table.contains("Message Queues"));
}

#[test]
fn each_user_is_looked_up_once() {
    let world = World::new();
    let (Some(uid), true) = (world.stranger(), world.is_own()) else {
        return skip("it needs root and an IPC namespace of its own");
    };
    for line in ["msgq create @q", "sem create @s", "shm create @m --size 5"] {
        world.call(line).user(uid).ok();
    }
    let path = std::env::var("PATH").unwrap();
    world.script("getent", "#!/bin/sh\necho \"$*\" >>asked\nexit 2\n");
    let asking = |line: &str| {
        let path = format!("{}:{path}", world.dir().display());
        let text = world.call(line).env("PATH", path).ok();
        let asked = std::fs::read_to_string(world.dir().join("asked")).unwrap();
        std::fs::remove_file(world.dir().join("asked")).unwrap();
        (text, asked)
    };
    for line in ["ipcs-lite", "ipcs-lite -J --sort owner", "ipcs-lite --columns owner,uid"] {
        let (text, asked) = asking(line);
        assert_eq!(text.matches(&uid.to_string()).count() % 3, 0, "{text}");
        assert!(text.contains(&uid.to_string()), "{text}");
        assert_eq!(asked, format!("passwd {uid}\ngroup {uid}\n"), "{line}");
    }
}

#[test]
fn unlistable_kind_is_an_error() {
    let world = World::new();
    world.call("sem create /@s").ok();
    for line in ["ipcs-lite -P -s", "ipcs-lite -P -s -u", "ipcs-lite -s --leaks -- true"] {
        let limited = format!("trap '' PIPE; ulimit -n 3; exec ipcbox {line}");
        let output = world.shell(&limited).output();
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code().is_some_and(|code| code != 0), "{line}");
        let words = "cannot list POSIX semaphores: too many open files (EMFILE)\n";
        assert!(printed.contains(words), "{line}: {printed}");
    }
}

#[test]
fn invalid_user_name_is_not_looked_up() {
    World::new().call("ipcs-lite --owner=--version").fails(2, "no user '--version'");
}

#[test]
fn lookup_of_names_can_be_interrupted() {
    let world = World::new();
    let path = format!("{}:{}", world.dir().display(), std::env::var("PATH").unwrap());
    world.script("getent", "#!/bin/sh\nexec grep SigBlk /proc/self/status >blocked\n");
    world.call("ipcs-lite --owner no-such-user").env("PATH", path).fails(2, "no user");
    let blocked = std::fs::read_to_string(world.dir().join("blocked")).unwrap();
    assert_eq!(blocked, "SigBlk:\t0000000000000000\n");
}

#[test]
fn queues_are_listed_without_a_mount() {
    let world = World::new();
    let (Some(uid), true) = (world.stranger(), world.is_own()) else {
        return skip("it needs root and an IPC namespace of its own");
    };
    let name = world.posix("q");
    world.call("msgq create /@q").ok();
    let run = |line: &str| {
        let script = format!("umount /dev/mqueue 2>/dev/null; {line}");
        Call::new("unshare").args(["-m", "sh", "-c", &script]).output()
    };
    let unmounted = |before: &str| run(&format!("{before} {BINARY} ipcs-lite -P -q --columns name --no-header"));
    let listed = unmounted("");
    if String::from_utf8_lossy(&listed.stderr).contains("unshare:") {
        return skip("no mount namespace can be created here");
    }
    assert_eq!(String::from_utf8_lossy(&listed.stdout), format!("{name}\n"));
    assert!(listed.stderr.is_empty(), "{listed:?}");
    // It does not need /proc.
    let hidden = format!("mount -t tmpfs none /proc; {BINARY} ipcs-lite --leaks -q -- true;");
    assert_eq!(unmounted(&hidden), listed);
    // Without privilege, one message names the remedy.
    let user = format!("setpriv --reuid {uid} --regid {uid} --clear-groups");
    let printed = unmounted(&user);
    assert!(printed.status.success() && printed.stdout.is_empty(), "{printed:?}");
    let expected = "ipcs-lite: cannot list POSIX queues: mqueue is not mounted, and mounting it requires privilege\nhint: sudo mount -t mqueue none /dev/mqueue\n";
    assert_eq!(String::from_utf8_lossy(&printed.stderr), expected);
    let printed = run(&format!("{user} {BINARY} msgq stat --columns name --no-header"));
    assert_eq!(String::from_utf8_lossy(&printed.stderr), expected.replace("ipcs-lite:", "msgq:"));
    // A lack of descriptors is not reported as a lack of privilege.
    for verb in ["ipcs-lite -P -q", "msgq stat"] {
        let output = run(&format!("prlimit --nofile=4 {BINARY} {verb}"));
        let words = "cannot list POSIX queues: too many open files (EMFILE)\n";
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && printed.contains(words), "{verb}: {printed}");
    }
}

#[test]
fn openers_of_posix_objects_are_shown() {
    let world = World::new();
    world.call("shm create /@m --size 5").ok();
    world.call("msgq create /@q").ok();
    let file = format!("/dev/shm{}", world.posix("m"));
    let opens = format!("exec 9<{file}; exec sleep 1000");
    let opener = world.shell(&opens).start().became("sleep");
    let receiver = world.call("msgq recv /@q").start();
    let receiver = receiver.blocked_in(nix::libc::SYS_mq_timedreceive);
    let line = "ipcs-lite --holders /@m /@q --columns kind,pid,command,how --no-header";
    let text = world.call(line).ok();
    let has = |kind: &str, pid: i32, how: &str| {
        let is_it = |line: &str| line.starts_with(&format!("{kind}  {pid}  ")) && line.ends_with(how);
        assert_eq!(text.lines().filter(|line| is_it(line)).count(), 1, "{text}");
    };
    has("shm", opener.pid(), "  has open");
    has("msg", receiver.pid(), "mq_receive");
    world.call("ipcrm-lite --posix --shm /@m").fails(1, "has open");
    world.call("ipcrm-lite --posix --msg /@q").fails(1, "mq_receive");
    world.call("ipcrm-lite --posix --force --shm /@m --msg /@q").ok();
}
