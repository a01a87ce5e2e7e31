//! `sem stat` on files.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::{awaited, child_of, holder};
use crate::support::World;

#[test]
fn record_has_what_the_kernel_knows() {
    let world = World::new();
    let holder = holder(&world, "sem run ./s --slots 3 --take 2");
    let cmd = child_of(holder.pid());
    let record = world.call("sem stat ./s --json").ok();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let file = fs::metadata(world.dir().join("s")).unwrap();
    let expected = serde_json::json!({
        "kind": "sem", "family": "file", "name": "./s", "path": "./s", "device": file.dev(), "inode": file.ino(),
        "uid": file.uid(), "mode": "0600", "purpose": "slots", "capacity": 3, "free": 1, "held": 2, "waiters": 0,
        "stopped": 0,
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&record[key], value, "{key}: {record}");
    }
    let holders: Vec<_> = record["holders"].as_array().unwrap().iter().map(|it| (&it["slot"], &it["pid"])).collect();
    let json = |number: i32| serde_json::Value::from(number);
    assert_eq!(holders, [(&json(1), &json(cmd)), (&json(2), &json(cmd))]);
    assert_eq!(record.get("key"), None);
}

#[test]
fn table_shows_use_and_waiters() {
    let world = World::new();
    let holder = holder(&world, "sem run ./s --slots 2 --take 2");
    let cmd = child_of(holder.pid());
    let waiting: Vec<_> = (0..3).map(|_| world.call("sem run ./s -- true").start()).collect();
    awaited(&world, "./s", 3);
    let table = format!("NAME  PURPOSE  USED  HOLDERS{}WAITING\n", " ".repeat(cmd.to_string().len() + 1));
    let shown = world.call("sem stat ./s").ok();
    assert!(
        shown.starts_with(&table) && shown.contains(&format!("./s   slots    2/2   {cmd} sleep        3\n")),
        "{shown}"
    );
    let users = world.call("sem stat ./s --holders --waiters --columns role,pid,operations --no-header").ok();
    assert_eq!(users.lines().filter(|line| line.starts_with("holder")).count(), 2, "{users}");
    for waiter in &waiting {
        assert!(users.contains(&format!("{}  slot\n", waiter.pid())), "{users}");
    }
}

#[test]
fn file_is_shown_without_write_permission() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    world.call("sem create ./s --slots 2 -m 644 -q").ok();
    world.call("sem stat ./s --columns used --no-header").user(stranger).stdout("0/2\n").ok();
    world.call("sem create ./t --slots 2 -q").ok();
    world.call("sem stat ./t").user(stranger).fails(5, "owned by root, mode 0600");
}
