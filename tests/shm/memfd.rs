//! `shm memfd`.

use std::os::unix::fs::MetadataExt;

use crate::support::{Call, World, eventually, skip};

#[test]
fn cmd_gets_path_as_argument_and_in_environment() {
    let world = World::new();
    let script = "cat $1 $IPCBOX_MEMFD; test $1 = $IPCBOX_MEMFD; echo $2; cat; cat <&${1##*/}";
    world
        .call("shm memfd -- sh -euc")
        .args([script, "sh", "{}", "x{}"])
        .input("bytes\0\n")
        .stdout("bytes\0\nbytes\0\nx{}\nbytes\0\n")
        .ok();
    world.file("f", "of a file");
    // With FILE, CMD inherits standard input.
    world.call("shm memfd f -- sh -c").args(["cat $0 -", "{}"]).input("!").stdout("of a file!").ok();
    world.call("shm memfd -- cat {}").stdout("").ok();
}

#[test]
fn file_is_sealed_and_has_a_name() {
    let world = World::new();
    let script = "ls -l /proc/self/fd | grep -o memfd:.*; { echo x >>$0; } 2>/dev/null || echo sealed
        truncate -s 0 $0 2>/dev/null || echo sealed
        truncate -s 9999 $0 2>/dev/null || echo sealed; cat $0";
    world
        .call("shm memfd --name my-key -- sh -c")
        .args([script, "{}"])
        .input("key")
        .stdout("memfd:my-key (deleted)\nsealed\nsealed\nsealed\nkey")
        .ok();
    world.call("shm memfd --writable -- sh -c").args(["echo x >>$0; cat $0", "{}"]).input("key").stdout("keyx\n").ok();
    let long = "x".repeat(250);
    world.call("shm memfd --name").args([&long, "--", "true"]).fails(125, "expected at most 249 bytes");
    world.call("shm memfd --name").args([&long[1..], "--", "true"]).ok();
}

#[test]
fn file_is_executable_only_on_request() {
    let world = World::new();
    world.call("shm memfd /bin/echo --executable -- {} hello").stdout("hello\n").ok();
    if std::fs::exists("/proc/sys/vm/memfd_noexec").unwrap() {
        world.call("shm memfd /bin/echo -- {} hello").fails(126, "cannot run /proc/self/fd/");
    }
}

#[test]
fn large_input_is_copied_whole() {
    let world = World::new();
    let bytes: Vec<u8> = (0..3_000_001_u32).map(|n| (n % 251).to_le_bytes()[0]).collect();
    let output = world.call("shm memfd -- cat {}").input(bytes.clone()).output();
    assert!(output.status.success() && output.stdout == bytes);
    std::fs::write(world.dir().join("f"), &bytes).unwrap();
    let output = world.call("shm memfd f -- cat {}").output();
    assert!(output.status.success() && output.stdout == bytes);
    let output = world.call("shm memfd /proc/self/status -- cat {}").output();
    assert!(output.stdout.starts_with(b"Name:"));
}

#[test]
fn failure_before_cmd_exits_with_125() {
    let world = World::new();
    world.call("shm memfd f").fails(125, "CMD is missing");
    world.call("shm memfd f --").fails(125, "CMD is missing");
    world.call("shm memfd cat {}").fails(125, "the command goes after '--'");
    world.call("shm memfd /tmp -- true").fails(125, "cannot read /tmp: is a directory (EISDIR)");
    world.call("shm memfd nope -- true").fails(125, "cannot read nope: no such file");
    world.call("shm memfd -- no-such-command").fails(127, "command not found");
    world.call("shm memfd -- /tmp").fails(126, "cannot run /tmp");
    world.call("shm memfd -- sh -c").arg("exit 7").status(7);
}

#[test]
fn mode_is_for_the_owner_only() {
    let world = World::new();
    let umask = |umask: &str, words: &str| {
        let line = format!("umask {umask}; echo | ipcbox shm memfd {words} -- stat -Lc %a {{}}");
        world.shell(&line).ok()
    };
    for (words, mode) in
        [("", "400\n"), ("--executable", "500\n"), ("--writable", "600\n"), ("--writable --executable", "700\n")]
    {
        for mask in ["0", "077", "777"] {
            assert_eq!(umask(mask, words), mode, "{words}");
        }
    }
}

#[test]
fn ssh_keygen_accepts_it_as_a_private_key() {
    let world = World::new();
    if Call::new("/bin/sh").args(["-c", "command -v ssh-keygen"]).output().stdout.is_empty() {
        return skip("ssh-keygen is not installed");
    }
    // ssh-keygen needs a user that /etc/passwd has.
    if !Call::new("id").arg("-un").output().status.success() {
        return skip("this user has no name");
    }
    world.shell("ssh-keygen -q -t ed25519 -N '' -f key").ok();
    let public = std::fs::read_to_string(world.dir().join("key.pub")).unwrap();
    let key = std::fs::read(world.dir().join("key")).unwrap();
    let print = || world.call("shm memfd -- ssh-keygen -y -f {}").input(key.clone());
    let is_it = |printed: &str| printed.split(' ').nth(1) == public.split(' ').nth(1);
    assert!(is_it(&print().ok()));
    if nix::unistd::geteuid().is_root() {
        assert!(is_it(&print().user(65534).ok()));
    }
}

#[test]
fn executable_file_runs_for_its_user() {
    let world = World::new();
    let run = || world.call("shm memfd --executable /bin/true -- {}");
    run().ok();
    if let Some(user) = world.stranger() {
        run().user(user).ok();
    }
}

#[test]
fn spooled_data_is_for_the_owner_only() {
    let world = World::new();
    // The message that CMD reads, and its collected output.
    world.call("msgq send @q secret --create").ok();
    world.call("msgq serve @q -c 1 -- stat -Lc %a /dev/stdin").stdout("600\n").ok();
    world.call("msgq send @q secret --create").ok();
    world.call("msgq serve @q -c 1 -j 2 -- stat -Lc %a /dev/stdout").stdout("600\n").ok();
    // The input of a locked write, which is read before the lock is taken.
    let script = "mkfifo f; exec 3<>f; exec ipcbox shm write $NAME-w --create --lock $NAME-l <f";
    let writer = world.shell(script).start();
    let spools = || {
        let open = std::fs::read_dir(format!("/proc/{}/fd", writer.pid())).into_iter().flatten();
        let open = open.flatten().map(|fd| fd.path());
        open.filter(|fd| std::fs::read_link(fd).is_ok_and(|to| to.starts_with("/memfd:ipcbox (deleted)")))
            .map(|fd| std::fs::metadata(fd).unwrap().mode() & 0o777)
            .collect::<Vec<_>>()
    };
    eventually("it reads into memory", || spools() == [0o600]);
}
