//! Wrong paths and contents, and missing resources.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::{Call, World, skip};

#[test]
fn other_kinds_of_files_are_refused() {
    let world = World::new();
    let path = |name: &str| world.dir().join(name);
    fs::create_dir(path("dir")).unwrap();
    mkfifo(&path("fifo"), Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    symlink("target", path("dangling")).unwrap();
    world.file("target2", "ipcbox slots 1\n");
    symlink("target2", path("link")).unwrap();
    for (target, words) in [
        ("./dir", "the path is a directory, not a file that holds slots or a lock\n"),
        ("./dir/", "the path is a directory"),
        ("./fifo", "the path is a FIFO"),
        ("./socket", "the path is a socket"),
        ("./link", "the path is a symbolic link (not followed)"),
        ("./dangling", "the path is a symbolic link"),
        ("/dev/null", "the path is a device"),
    ] {
        for (line, status) in [
            (format!("sem run {target} --slots 1 -- true"), 125),
            (format!("sem lock {target} -- true"), 125),
            (format!("sem create {target} --slots 1"), 4),
            (format!("sem hold {target} 1 --lock"), 4),
            (format!("sem stat {target}"), 4),
            (format!("sem rm {target}"), 4),
            (format!("sem rm --force {target}"), 4),
        ] {
            world.call(&line).fails(status, words);
        }
    }
    assert!(!path("target").exists() && path("fifo").exists());
}

#[test]
fn other_content_is_never_written_to() {
    let world = World::new();
    for content in ["x", "ipcbox slots 4", "ipcbox slo", "ipcbox slots 257\n", "ipcbox slots 4\nmore\n", "\0"] {
        let path = world.file("f", content);
        for (line, status) in [
            ("sem run ./f --slots 4 -- true", 125),
            ("sem lock ./f -- true", 125),
            ("sem create ./f --slots 4", 4),
            ("sem create ./f --lock", 4),
            ("sem stat ./f", 4),
            ("sem rm ./f", 4),
            ("sem rm --force ./f", 4),
        ] {
            world
                .call(line)
                .fails(status, "the file contains something other than slots or a lock\nhint: use another path\n");
        }
        assert_eq!(fs::read_to_string(path).unwrap(), content);
    }
    fs::File::create(world.dir().join("large")).unwrap().set_len(1 << 30).unwrap();
    world.call("sem run ./large --slots 1 -- true").fails(125, "something other than slots or a lock");
    assert_eq!(fs::metadata(world.dir().join("large")).unwrap().len(), 1 << 30);
}

#[test]
fn number_or_verb_that_a_file_cannot_have_is_refused() {
    let world = World::new();
    world.call("sem create ./s --slots 2 -q").ok();
    for (line, status, words) in [
        (
            "sem run ./s --slots 3 -- true",
            125,
            "has 2 slots, not 3\nhint: remove the file when it is not in use: ipcbox sem rm ./s\n",
        ),
        ("sem run ./s --take 3 -- true", 125, "--take 3 can never succeed: there are only 2 slots\n"),
        ("sem run ./t --slots 1 --take 2 -- true", 125, "--take 2 can never succeed: there is only 1 slot\n"),
        ("sem run ./s --slots 3 --resize -- true", 125, "the number of slots in a file is fixed\nhint: omit --resize"),
        ("sem run ./s --slots 257 -- true", 125, "a file holds at most 256 slots, not 257\n"),
        ("sem create ./t --slots 257", 2, "a file holds at most 256 slots, not 257\n"),
        ("sem lock ./s -- true", 125, "has 2 slots, not a lock\nhint: use ipcbox sem run ./s\n"),
        (
            "sem wait ./s",
            2,
            "TARGET './s': a file can hold only slots or a lock: give a name
",
        ),
        ("sem post ./s", 2, "a file can hold only slots or a lock"),
        (
            "sem get a/b",
            2,
            "a file can hold only slots or a lock: give a name
hint: ipcbox sem get b
",
        ),
        ("sem set ./s 1", 2, "a file can hold only slots or a lock"),
        ("sem op ./s 0:-1", 2, "a file can hold only slots or a lock"),
        ("sem op ./s 0:-1 -- true", 125, "a file can hold only slots or a lock"),
        (
            "sem barrier ./s 2",
            2,
            "give a name
hint: ipcbox sem barrier s 2
",
        ),
    ] {
        world.call(line).fails(status, words);
    }
    assert!(!world.dir().join("t").exists());
    world.call("sem create ./most --slots 256 -q").ok();
    world.call("sem run ./most --take 256 -- sh -c").arg("echo ${IPCBOX_SLOT##*,}").stdout("256\n").ok();
}

#[test]
fn path_that_leads_nowhere_is_named() {
    let world = World::new();
    world.file("file", "");
    let long = format!("./{}", "x".repeat(4094));
    let name = format!("./{}", "x".repeat(256));
    for (target, words) in [
        ("none/s", "the directory does not exist (ENOENT)\n"),
        ("file/s", "a part of the path is not a directory (ENOTDIR)\n"),
        (long.as_str(), "(ENAMETOOLONG)\n"),
        (name.as_str(), "(ENAMETOOLONG)\n"),
    ] {
        world.call("sem run").args([target, "--slots", "1", "--", "true"]).fails(125, words);
    }
    world.call("sem create none/s --lock").fails(3, "the directory does not exist (ENOENT)\n");
    let odd = "./a\u{1b}[1m\nb \u{202e}c";
    world.call("sem create").args([odd, "--slots", "1"]).stdout(format!("{odd}\n")).ok();
    let record = world.call("sem stat --json").arg(odd).ok();
    assert!(record.contains(r#""path":"./a\u001b[1m\nb \u202ec""#), "{record}");
    let shown = world.call("sem stat --no-header --columns name").arg(odd).ok();
    assert!(!shown.contains('\u{1b}') || shown.contains("\u{1b}[1m"), "{shown:?}");
}

#[test]
fn read_only_file_and_file_system_are_named() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    world.call("sem create ./s --slots 1 -q").user(stranger).ok();
    fs::set_permissions(world.dir().join("s"), fs::Permissions::from_mode(0o444)).unwrap();
    let call = world.call("sem run ./s -- true").user(stranger);
    call.fails(125, "no write permission; owned by uid 54321, mode 0444 (EACCES)\n");
    let mount = "mount -t tmpfs none m; echo 'ipcbox slots 1' >m/s; mount -o remount,ro m";
    fs::create_dir(world.dir().join("m")).unwrap();
    let script = format!("{mount}; exec {} \"$@\"", crate::support::BINARY);
    let contained = |line: &str| {
        Call::new("unshare").args(["--mount", "sh", "-euc", &script, "sh"]).args(line.split(' ')).dir(world.dir())
    };
    contained("sem run m/s -- true")
        .fails(125, "the file system is read-only, and a lock needs write access (EROFS)\n");
    contained("sem create m/new --lock").fails(1, "the file system is read-only (EROFS)\n");
    contained("sem stat m/s --columns used --no-header").stdout("0/1\n").ok();
}

#[test]
fn file_system_without_locks_is_named() {
    let world = World::new();
    for errno in ["ENOLCK", "EOPNOTSUPP"] {
        let Some(call) = world.injected(&format!("fcntl:error={errno}")) else { return };
        let call = call.args(["sem", "lock", "./l", "--", "true"]);
        let output = call.output();
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(125), "{printed}");
        assert!(printed.contains(" has no record locks (") && printed.contains(errno), "{printed}");
        assert!(printed.contains("\nhint: use a path on another file system"), "{printed}");
    }
}

#[test]
fn waiter_without_threads_looks_again() {
    let world = World::new();
    if world.stranger().is_none() {
        return;
    }
    world.call("sem create ./s --slots 3 -m 666 -q").ok();
    // There is room for no watcher, for one without threads, and for one with a thread.
    for (limit, blocks_in) in [(1, libc::SYS_clock_nanosleep), (2, libc::SYS_ppoll), (3, libc::SYS_ppoll)] {
        let holder = super::holder(&world, "sem run ./s --take 3");
        let call = world.program("prlimit").arg(format!("--nproc={limit}")).user(world.lone_user());
        let waiting = call.args("ipcbox sem run ./s --foreign -q -w 60 -- true".split(' ')).start();
        let waiting = waiting.blocked_in(blocks_in);
        drop(holder);
        let output = waiting.end();
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        // CMD needs a process, too.
        let is_full = limit == 1 && printed.contains("the process limit is reached (EAGAIN)");
        assert!(output.status.success() || is_full, "{limit}: {output:?}");
    }
}

#[test]
fn call_without_proc_works() {
    let world = World::new();
    fs::create_dir(world.dir().join("empty")).unwrap();
    let run = |line: &str| {
        let script = format!("mount --bind empty /proc || exit 77; exec {} {line}", crate::support::BINARY);
        Call::new("unshare").args(["--mount", "sh", "-c", &script]).dir(world.dir())
    };
    if run("--version").output().status.code() != Some(0) {
        return skip("needs root to hide /proc");
    }
    run("sem run ./s --slots 2 -- true").ok();
    let _holder = super::holder(&world, "sem run ./s --take 2");
    let output = run("sem run ./s -w 0.1 -q -- true").output();
    assert_eq!(output.status.code(), Some(124), "{output:?}");
    let record = run("sem stat ./s --json").ok();
    assert!(record.contains(r#""held":2"#) && record.contains(r#""waiters":null"#), "{record}");
    run("sem lock ./l --shared -- true").ok();
}

#[test]
fn shortage_of_descriptors_is_named() {
    let world = World::new();
    world.call("sem create ./s --slots 1 -q").ok();
    for limit in [3, 4, 10] {
        let call = world.program("prlimit").arg(format!("--nofile={limit}"));
        let output = call.args(["ipcbox", "sem", "run", "./s", "--", "true"]).output();
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(125), "{printed}");
        assert!(printed.contains("(EMFILE)"), "{printed}");
    }
}

#[test]
fn mode_that_locks_out_the_owner_is_refused() {
    let world = World::new();
    let words = "mode 0440 does not let the owner lock the file\nhint: use -m 640\n";
    world.call("sem run ./s --slots 1 -m 440 -- true").fails(125, words);
    world.call("sem create ./s --lock -m 440").fails(2, words);
    assert!(!world.dir().join("s").exists());
}

#[test]
fn unexpanded_home_is_never_taken_for_a_name() {
    let world = World::new();
    let words = "the shell expands ~ only at the start of a word without quotes\n";
    for (target, hint) in [("~/x", "hint: ipcbox sem run \"$HOME/x\" --slots 1 -- true\n"), ("~other/x", "")] {
        let call = world.call("sem run").args([target, "--slots", "1", "--", "true"]);
        let output = call.output();
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(125), "{printed}");
        assert!(printed.ends_with(&format!("{words}{hint}")), "{printed}");
    }
}

#[test]
fn empty_file_is_named_and_removed() {
    let world = World::new();
    let path = world.file("s", "");
    world.call("sem stat ./s").fails(3, "the file is empty (ENOENT)\n");
    world.call("sem rm ./s").ok();
    assert!(!path.exists());
    world.call("sem rm ./s").fails(3, "");
    world.file("s", "");
    world.call("sem rm --force ./s").ok();
    assert!(!path.exists());
    // It was truncated, and is in use.
    let holder = super::holder(&world, "sem run ./s --slots 1");
    fs::write(&path, "").unwrap();
    world.call("sem rm ./s").fails(1, "the file is empty, but in use");
    assert!(path.exists());
    drop(holder);
    let Some(stranger) = world.stranger() else { return };
    std::os::unix::fs::chown(&path, Some(stranger), None).unwrap();
    world.call("sem rm ./s").fails(5, "the file is empty and owned by uid 54321");
    assert!(path.exists());
}
