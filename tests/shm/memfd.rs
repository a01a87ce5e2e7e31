//! `memfd`.

use crate::support::World;

#[test]
fn the_command_gets_the_bytes_by_path_and_environment() {
    let world = World::new();
    let script = "cat $1 $IPCBOX_MEMFD; test $1 = $IPCBOX_MEMFD; echo $2; cat; cat <&${1##*/}";
    world
        .call("shm memfd -- sh -euc")
        .args([script, "sh", "{}", "x{}"])
        .input("bytes\0\n")
        .stdout("bytes\0\nbytes\0\nx{}\nbytes\0\n")
        .ok();
    world.file("f", "of a file");
    // Its standard input is the box's where that was not read.
    world
        .call("shm memfd f -- sh -c")
        .args(["cat $0 -", "{}"])
        .input("!")
        .stdout("of a file!")
        .ok();
    world.call("shm memfd -- cat {}").stdout("").ok();
}

#[test]
fn it_is_sealed_and_bears_a_name() {
    let world = World::new();
    let script =
        "ls -l /proc/self/fd | grep -o memfd:.*; { echo x >>$0; } 2>/dev/null || echo sealed
        truncate -s 0 $0 2>/dev/null || echo sealed
        truncate -s 9999 $0 2>/dev/null || echo sealed; cat $0";
    world
        .call("shm memfd --name my-key -- sh -c")
        .args([script, "{}"])
        .input("key")
        .stdout("memfd:my-key (deleted)\nsealed\nsealed\nsealed\nkey")
        .ok();
    world
        .call("shm memfd --writable -- sh -c")
        .args(["echo x >>$0; cat $0", "{}"])
        .input("key")
        .stdout("keyx\n")
        .ok();
    let long = "x".repeat(250);
    world.call("shm memfd --name").args([&long, "--", "true"]).fails(125, "at most 249 bytes");
    world.call("shm memfd --name").args([&long[1..], "--", "true"]).ok();
}

#[test]
fn it_is_executed_only_where_that_was_asked() {
    let world = World::new();
    world.call("shm memfd /bin/echo --executable -- {} hello").stdout("hello\n").ok();
    if std::fs::exists("/proc/sys/vm/memfd_noexec").unwrap() {
        world.call("shm memfd /bin/echo -- {} hello").fails(126, "cannot run /proc/self/fd/");
    }
}

#[test]
fn large_inputs_go_through_whole() {
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
fn what_cannot_be_is_told_before_the_command() {
    let world = World::new();
    world.call("shm memfd f").fails(125, "no command was given");
    world.call("shm memfd f --").fails(125, "no command was given");
    world.call("shm memfd cat {}").fails(125, "a command comes after '--'");
    world.call("shm memfd /tmp -- true").fails(125, "cannot read /tmp: it is a directory (EISDIR)");
    world.call("shm memfd nope -- true").fails(125, "cannot read nope: no such file");
    world.call("shm memfd -- no-such-command").fails(127, "command not found");
    world.call("shm memfd -- /tmp").fails(126, "cannot run /tmp");
    world.call("shm memfd -- sh -c").arg("exit 7").status(7);
}
