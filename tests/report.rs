//! `--report` and other FILE arguments that are written.

use std::fs;

use nix::libc;
use nix::sys::signal::Signal;

use crate::support::{World, lines};

/// Every verb with a report: the key of its number, and a script that runs it. `$R` is the report, `$C` a script for
/// CMD.
const REPORTING: [(&str, &str); 5] = [
    ("stage", "ipcbox pipe run --report $R -- sh -c \"$C\""),
    ("consumer", "ipcbox pipe tee --report $R -- sh -c \"$C\" </dev/null"),
    ("source", "ipcbox pipe merge --report $R -- sh -c \"$C\""),
    ("record", "ipcbox msgq send $NAME-q --create x; ipcbox msgq serve $NAME-q -c 1 --report $R -- sh -c \"$C\""),
    (
        "record",
        "ipcbox fifo create f; exec 8<>f; echo x >&8
        ipcbox fifo serve f --report $R -- sh -c \"$C\" & server=$!
        until [ -s report ]; do sleep 0.01; done; kill $server; wait $server",
    ),
];
/// Verbs with --report and --max-time.
const LIMITED: [&str; 2] = ["pipe run", "pipe merge"];

#[test]
fn every_report_has_the_same_keys() {
    for (key, verb) in REPORTING {
        for (cmd, status, signal) in [("exit 3", "3", "null"), ("kill -KILL $$", "137", "\"KILL\"")] {
            let world = World::new();
            world.shell(&format!("{verb} || :")).env("R", "report").env("C", cmd).output();
            let text = fs::read_to_string(world.dir().join("report")).unwrap();
            let record: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{verb}: {error}: {text}"));
            let forgiven: &[&str] = if key == "stage" { &["forgiven"] } else { &[] };
            let rest = ["wall_s", "user_s", "system_s", "max_rss_bytes"];
            let expected = [&[key, "argv", "pid", "status", "signal"], forgiven, &rest].concat();
            let at = |key: &str| text.find(&format!("\"{key}\":")).unwrap_or(usize::MAX);
            assert!(expected.iter().map(|key| at(key)).is_sorted(), "{verb}: {text}");
            assert_eq!(record.len(), expected.len(), "{verb}: {text}");
            assert_eq!(record[key], 1, "{verb}: {text}");
            assert_eq!(record["argv"], serde_json::json!(["sh", "-c", cmd]), "{verb}");
            assert_eq!(
                (record["status"].to_string(), record["signal"].to_string()),
                (status.into(), signal.into()),
                "{verb}"
            );
            assert!(record["pid"].as_i64().unwrap() > 1 && record["max_rss_bytes"].as_i64().unwrap() > 0, "{text}");
        }
    }
}

#[test]
fn each_consumer_and_source_has_its_status() {
    let world = World::new();
    for (verb, key) in [("tee", "consumer"), ("merge", "source")] {
        let script = format!("ipcbox pipe {verb} --report r --shell 'exit 3' 'kill -TERM $$' : </dev/null");
        world.shell(&script).status(143);
        let text = fs::read_to_string(world.dir().join("r")).unwrap();
        for (line, words) in lines(text.as_bytes()).iter().zip([
            [format!("\"{key}\":1,"), "\"status\":3,\"signal\":null".into()],
            [format!("\"{key}\":2,"), "\"status\":143,\"signal\":\"TERM\"".into()],
            [format!("\"{key}\":3,"), "\"status\":0,\"signal\":null".into()],
        ]) {
            assert!(words.iter().all(|word| line.contains(word)), "{line}");
        }
        // If one is not found, none runs.
        let script = format!("ipcbox pipe {verb} --report r -- true ::: no-such-command </dev/null");
        world.shell(&script).status(127);
        let text = fs::read_to_string(world.dir().join("r")).unwrap();
        assert!(
            text.contains("\"pid\":null,\"status\":null") && text.contains("\"pid\":null,\"status\":127"),
            "{text}"
        );
    }
}

#[test]
fn wall_time_covers_the_processor_time() {
    let world = World::new();
    world.shell("seq 9 | ipcbox msgq send $NAME-q --create --lines").ok();
    world.call("msgq serve @q --drain --report r -- sh -c :").ok();
    let text = fs::read_to_string(world.dir().join("r")).unwrap();
    for line in text.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let seconds = |key: &str| record[key].as_f64().unwrap();
        // Each of the three is truncated to microseconds.
        assert!(seconds("wall_s") + 2e-6 >= seconds("user_s") + seconds("system_s"), "{line}");
    }
    assert_eq!(text.lines().count(), 9);
}

#[test]
fn records_are_numbered_in_the_order_taken() {
    let world = World::new();
    world.shell("seq 3 | ipcbox msgq send $NAME-q --create --lines").ok();
    let script = "until [ $1 = 3 ] || [ -e $(($1 + 1)) ]; do sleep 0.01; done; : >$1; exit $1";
    let words = ["sh", "-c", script, "sh", "{}"];
    world.call("msgq serve @q -j 3 --drain --report r --").args(words).status(1);
    let text = fs::read_to_string(world.dir().join("r")).unwrap();
    let mut message: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Lines appear as commands are reaped, so two that exit together can be in either order.
    message.sort_by_key(|record| record["record"].as_u64());
    for (record, number) in message.iter().zip([1, 2, 3]) {
        assert_eq!((&record["record"], &record["status"]), (&number.into(), &number.into()), "{text}");
        assert_eq!(record["argv"][4], number.to_string(), "{text}");
    }
    // A command that cannot be started has a record, too.
    world.call("msgq send @q").input("a\0b").ok();
    world.call("msgq serve @q --drain --report r -- echo {}").status(1);
    let text = fs::read_to_string(world.dir().join("r")).unwrap();
    assert!(text.contains("\"pid\":null,\"status\":126,\"signal\":null,\"wall_s\":null"), "{text}");
}

#[test]
fn report_without_a_reader_times_out() {
    for verb in LIMITED {
        let world = World::new();
        world.shell("mkfifo r").ok();
        let message = "cannot write the report to r: no reader opened the file within 50ms";
        world.call(&format!("{verb} --max-time 50ms --report r -- touch ran")).fails(124, message);
        assert!(!world.dir().join("ran").exists());
    }
}

#[test]
fn wait_for_a_stalled_reader_times_out() {
    for verb in LIMITED {
        let world = World::new();
        let full = "mkfifo r; exec 8<>r; head -c 65536 /dev/zero >&8;";
        world
            .shell(&format!("{full} exec ipcbox {verb} --max-time 200ms --report r -- true"))
            .fails(124, "cannot write the report to r: the pipe is still full after 200ms");
        // A signal still works during that wait.
        let call = world.shell(&format!("rm r; {full} exec ipcbox {verb} --report r -- touch ran"));
        let child = call.start();
        crate::support::eventually("it has run", || world.dir().join("ran").exists());
        // Until CMD is reaped, signals are forwarded to it.
        let children = format!("/proc/{0}/task/{0}/children", child.pid());
        let are_reaped = || fs::read_to_string(&children).is_ok_and(|pids| pids.is_empty());
        crate::support::eventually("it is reaped", are_reaped);
        let child = child.blocked_in(libc::SYS_ppoll);
        child.signal(Signal::SIGTERM);
        assert_eq!(child.code(), 143, "{verb}");
    }
}

#[test]
fn late_reader_of_a_fifo_gets_the_report() {
    for (_, verb) in REPORTING {
        let world = World::new();
        world.shell("mkfifo r").ok();
        let started = world.shell(verb).env("R", "r").env("C", "exit 0").start();
        let text = world.shell("head -n 1 r; echo >report").ok();
        assert!(text.ends_with("}\n"), "{verb}: {text}");
        assert_eq!(started.code(), 0, "{verb}");
    }
    let world = World::new();
    world.shell("mkfifo r").ok();
    let tee = world.shell("seq 9999 | ipcbox pipe tee -o r").start();
    let text = world.shell("cat r").ok();
    assert_eq!((tee.code(), text.lines().count()), (0, 9999));
}

#[test]
fn signal_interrupts_the_wait_for_a_reader() {
    let world = World::new();
    world.shell("mkfifo r; ipcbox msgq create $NAME-q").ok();
    for verb in [
        "pipe run --report r -- true",
        "pipe merge --report r -- true",
        "pipe tee --report r -- true",
        "pipe tee -o r",
        "msgq serve @q --report r -- true",
        "fifo serve r --report r -- true",
    ] {
        let child = world.call(verb).start().blocked_in(libc::SYS_openat);
        child.signal(Signal::SIGTERM);
        assert_eq!(child.code(), 143, "{verb}");
    }
}

#[test]
fn final_symbolic_link_is_refused() {
    let world = World::new();
    world.shell("echo kept >kept; ln -s kept link; ipcbox fifo create f; ipcbox msgq create $NAME-q").ok();
    for verb in [
        "pipe run --report link -- touch ran",
        "pipe merge --report link -- touch ran",
        "pipe tee --report link -- touch ran",
        "pipe tee -o link -- touch ran",
        "pipe tee --append -o link -- touch ran",
        "msgq serve @q --report link -- touch ran",
        "fifo serve f --report link -- touch ran",
        "signal wait USR1 --ready link -n",
    ] {
        let output = world.call(verb).output();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains("symbolic links are not followed (ELOOP)"), "{verb}: {text}");
        assert!(!output.status.success(), "{verb}");
    }
    assert!(!world.dir().join("ran").exists());
    world.shell("cat kept").stdout("kept\n").ok();
    // These links stand for descriptors.
    world.shell("echo x | ipcbox pipe tee -o /dev/stderr -o /dev/fd/7 7>seven").stdout("x\n").stderr("x\n").ok();
    world.shell("cat seven").stdout("x\n").ok();
}

#[test]
fn closed_descriptor_is_refused() {
    let world = World::new();
    world
        .shell("echo x | ipcbox pipe tee -o a -o /dev/fd/3")
        .fails(1, "cannot write to /dev/fd/3: bad file descriptor");
    world.shell("ipcbox pipe run --report /dev/fd/3 -- true").fails(125, "bad file descriptor (EBADF)");
    world.shell("echo x | ipcbox pipe tee -o ''").fails(3, "cannot write to '': no such file");
}

#[test]
fn server_stops_if_its_report_fails() {
    let world = World::new();
    world.shell("ipcbox msgq send $NAME-q --create 1 2 3").ok();
    let message = "msgq: cannot write the report to /dev/full: no space left on device (ENOSPC)\n";
    world.call("msgq serve @q --drain --report /dev/full -- true").stderr(message).status(1);
    world.call("msgq stat @q --columns messages --no-header").stdout("2\n").ok();
    // A reader that closes early does not kill the server.
    world.shell("mkfifo r").ok();
    let reader = world.shell("exec 7<r; : >reads; until [ -e go ]; do sleep 0.01; done; exec 7<&-; : >left").start();
    let cmd = ["sh", "-c", ": >go; until [ -e left ]; do sleep 0.01; done"];
    world
        .call("msgq serve @q --drain --report r --")
        .args(cmd)
        .stderr("msgq: cannot write the report to r: broken pipe (EPIPE)\n")
        .status(1);
    assert_eq!(reader.code(), 0);
}
