//! `fifo stat`.

use std::io::Write;

use nix::libc;
use serde_json::{Value, json};

use super::{hold, world};
use crate::support::{World, lines};

fn stat(world: &World, path: &str) -> Value {
    let line = world.call("fifo stat -J").arg(path).ok();
    assert_eq!(line.lines().count(), 1);
    serde_json::from_str(&line).unwrap()
}

#[test]
fn unused_fifo_holds_nothing() {
    let world = world();
    let found = stat(&world, "f");
    assert_eq!(found["path"], "f");
    assert_eq!((&found["kind"], &found["mode"]), (&json!("fifo"), &json!("0600")));
    assert_eq!((&found["capacity"], &found["bytes"]), (&Value::Null, &json!(0)));
    assert_eq!((&found["readers"], &found["writers"]), (&json!(0), &json!(0)));
    assert_eq!((&found["reading"], &found["writing"]), (&json!([]), &json!([])));
}

#[test]
fn stat_shows_users_and_bytes() {
    let world = world();
    let mut held = hold(&world.dir().join("f"));
    held.write_all(b"12345").unwrap();
    let pid = std::process::id();
    let found = stat(&world, "f");
    assert_eq!((&found["capacity"], &found["bytes"]), (&json!(65536), &json!(5)));
    assert_eq!((&found["readers"], &found["writers"]), (&json!(1), &json!(1)));
    assert_eq!(found["reading"], found["writing"]);
    assert_eq!((&found["reading"][0]["pid"], &found["reading"][0]["state"]), (&json!(pid), &json!("open")));
    assert!(found["reading"][0]["command"].as_str().unwrap().contains("ipcbox"));
    // Nothing was taken, and stat itself is not counted.
    assert_eq!(stat(&world, "f"), found);
    world.call("fifo read f -n").stdout("12345").ok();
}

#[test]
fn stat_shows_blocked_opens_without_waking_them() {
    let world = world();
    world.call("fifo create g").ok();
    let f = world.dir().join("f");
    let opening = |script: &str| world.shell(script).start().blocked_in(libc::SYS_openat);
    let dir = world.dir().display().to_string();
    let readers = [
        opening("exec cat f").became("cat"),
        opening(&format!("cd /; exec cat {dir}/f")).became("cat"),
        opening("mkdir sub; cd sub; ln -s ../f link; exec cat link").became("cat"),
    ]
    .map(|reader| reader.blocked_in(libc::SYS_openat));
    let writer = opening("exec dd of=g if=/dev/null").became("dd").blocked_in(libc::SYS_openat);
    let found = stat(&world, "f");
    assert_eq!((&found["readers"], &found["writers"], &found["bytes"]), (&json!(3), &json!(0), &json!(0)));
    for reader in &readers {
        let pids = || found["reading"].as_array().unwrap().iter();
        let it = pids().find(|it| it["pid"] == json!(reader.pid())).unwrap();
        assert_eq!(it["state"], "opening");
        assert!(it["command"].as_str().unwrap().starts_with("cat "));
    }
    let found = stat(&world, "g");
    assert_eq!((&found["readers"], &found["writers"]), (&json!(0), &json!(1)));
    assert_eq!(found["writing"][0]["command"], "dd of=g if=/dev/null");
    // They are still blocked.
    assert_eq!(stat(&world, "g"), found);
    let readers = readers.map(|reader| reader.blocked_in(libc::SYS_openat));
    std::fs::write(&f, "").unwrap();
    for reader in readers {
        assert_eq!(reader.code(), 0);
    }
    drop(writer);
}

#[test]
fn one_fifo_is_fields_several_are_a_table() {
    let world = world();
    world.call("fifo create g -m 400").ok();
    let one = world.call("fifo stat f").ok();
    assert!(one.contains("PATH      f\nMODE      0600\n") && one.contains("BYTES     0\n"), "{one}");
    let table = world.call("fifo stat f g --columns path,mode,bytes,readers").ok();
    assert_eq!(table, "PATH  MODE  BYTES  READERS\nf     0600      0        0\ng     0400      0        0\n");
    let output = world.call("fifo stat none f /dev/null --columns path").output();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(3), &b"PATH\nf\n"[..]));
    assert_eq!(lines(&output.stderr).len(), 2);
    world.call("fifo stat f --columns nope").fails(2, "no column 'nope'");
    world.call("fifo stat").fails(2, "PATH is missing");
}

#[test]
fn invisible_values_are_unknown() {
    let world = world();
    let Some(stranger) = world.stranger() else { return };
    world.call("fifo create g -m 666").ok();
    let _held = hold(&world.dir().join("g"));
    let line = world.call("fifo stat g -J").user(stranger).ok();
    let found: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&found["bytes"], &found["readers"]), (&Value::Null, &json!(0)));
    // A private FIFO cannot be open in invisible processes.
    world.call("fifo create mine").user(stranger).ok();
    let line = world.call("fifo stat mine -J").user(stranger).ok();
    assert!(line.contains("\"bytes\":0"), "{line}");
}
