//! `pipe stat` and `pipe resize`.

use super::pipe;
use crate::support::World;

#[test]
fn stat_shows_both_ends() {
    let world = World::new();
    let script = "{ printf abc; sleep 100 & echo $! >pid; } | { \
                  while [ ! -s pid ]; do :; done; ipcbox pipe stat -J 0; kill $(cat pid); }";
    let shown = world.shell(script).ok();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let pid: i32 = std::fs::read_to_string(world.dir().join("pid")).unwrap().trim().parse().unwrap();
    assert_eq!(shown["kind"], "pipe");
    assert_eq!(shown["bytes"], 3);
    assert!(shown["capacity"].as_u64().unwrap() >= 4096);
    assert_eq!(shown["packet_mode"], false);
    assert_eq!(shown["pipe_buf"], 4096);
    let writers = shown["writing"].as_array().unwrap();
    let writer = writers.iter().find(|writer| writer["pid"] == pid).expect("the writer is seen");
    assert_eq!((&writer["command"], &writer["fds"]), (&"sleep 100".into(), &serde_json::json!([1])));
    let readers = shown["reading"].as_array().unwrap();
    assert!(readers.iter().any(|reader| reader["fds"] == serde_json::json!([0])));
    for key in ["pipe_max_size", "user_pages_soft", "user_pages_hard"] {
        assert!(shown[key].is_u64(), "{key}");
    }
}

#[test]
fn pipe_is_named_by_descriptor_or_path() {
    let world = World::new();
    let columns = "--columns name,bytes,readers,writers --no-header";
    let script = format!(
        "mkfifo f; exec 8<>f; printf xy >&8; ipcbox pipe stat {columns} 8 $$:8 f /proc/$$/fd/8 | sed s/$$/PID/"
    );
    let shown = world.shell(&script).ok();
    let words: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words.len(), 4, "{shown}");
    for (line, name) in words.iter().zip(["8", "PID:8", "f", "/proc/PID/fd/8"]) {
        assert_eq!(line[..2], [name, "2"], "{shown}");
        assert!(line[2].parse::<u8>().unwrap() >= 1 && line[2] == line[3], "{shown}");
    }
    let fifo = world.shell("mkfifo g; ipcbox pipe stat -J g").ok();
    assert!(fifo.contains(r#""kind":"fifo""#) && fifo.contains(r#""capacity":null,"bytes":"#), "{fifo}");
    // Without a pipe only the limits are shown.
    let limits = pipe(&["stat", "-J"]).onto(std::fs::File::create(world.dir().join("o")).unwrap().into());
    assert!(limits.status.success());
}

#[test]
fn packet_mode_is_that_of_the_writer() {
    let world = World::new();
    if std::process::Command::new("python3").args(["-c", ""]).status().is_err() {
        return crate::support::skip("there is no python3");
    }
    let script = "import os, subprocess\nr, w = os.pipe2(os.O_DIRECT)\n\
                  os.write(w, b'abc')\nsubprocess.run(['ipcbox', 'pipe', 'stat', '--columns', 'packet_mode,bytes', \
                  '--no-header', str(r), str(w)], pass_fds=[r, w], check=True)";
    world.program("python3").args(["-c", script]).stdout("yes  3\nyes  3\n").ok();
}

#[test]
fn resize_prints_the_rounded_size() {
    let world = World::new();
    let resized = |script: &str| world.program("/bin/sh").args(["-c", script]);
    resized(": | ipcbox pipe resize 5000 0").stdout("8192\n").ok();
    resized(": | ipcbox pipe resize 4096 | cat").stdout("4096\n4096\n").ok();
    resized(": | ipcbox pipe resize max 0 -- ipcbox pipe stat --columns capacity --no-header 0")
        .stdout(std::fs::read_to_string("/proc/sys/fs/pipe-max-size").unwrap())
        .ok();
    resized("mkfifo f; exec 8<>f; ipcbox pipe resize 8K f; ipcbox pipe resize 4K $$:8").stdout("8192\n4096\n").ok();
    // It cannot shrink below its content.
    resized("mkfifo g; exec 8<>g; head -c 9000 /dev/zero >&8; ipcbox pipe resize 4096 8")
        .fails(1, "the pipe holds 9000 unread bytes (EBUSY)");
}

#[test]
fn impossible_resize_fails() {
    let world = World::new();
    let run = |script: &str| world.program("/bin/sh").args(["-c", script]);
    run("ipcbox pipe resize 4096 </dev/null >o").fails(1, "neither standard input nor output is a pipe");
    run("ipcbox pipe resize 4096 0 -- true </dev/null").fails(125, "cannot resize 0: not a pipe");
    run(": | ipcbox pipe resize 4096 77").fails(3, "cannot resize 77: not an open descriptor (EBADF)");
    run(": | ipcbox pipe resize 4096 no-such").fails(3, "no such file");
    run("mkfifo g; ipcbox pipe resize 4096 g").fails(3, "no process that you may trace has the FIFO open");
    run(": | ipcbox pipe resize 4096 .").fails(1, "not a pipe");
    run(": | ipcbox pipe resize 4096 999999999:1").fails(3, "no process 999999999 (ESRCH)");
    run(&format!(": | ipcbox pipe resize 4096 {}:999", std::process::id())).fails(3, "has no descriptor 999 (EBADF)");
    run(": | ipcbox pipe resize 0 0").fails(2, "expected a capacity of at least 1 byte");
    run(": | ipcbox pipe resize 16E").fails(2, "SIZE: expected a size of at most");
    run(": | ipcbox pipe resize").fails(2, "SIZE is missing");
    run(": | ipcbox pipe resize 3G 0").fails(1, "3221225472 bytes exceed the maximum pipe capacity of 2 GiB (EINVAL)");
    run(": | ipcbox pipe resize 4K -- no-such-command").fails(127, "command not found");
    if let Some(uid) = world.stranger() {
        run(": | ipcbox pipe resize 8M 0").user(uid).fails(5, "pipe-max-size");
        run(": | ipcbox pipe stat 1:0").user(uid).fails(5, "no permission to trace process 1 (EPERM)");
    }
}
