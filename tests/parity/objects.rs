//! The same object through every verb that shows it.

use nix::libc;
use serde_json::{Map, Value};

use crate::support::{World, skip};

type Record = Map<String, Value>;

fn records(text: &str) -> Vec<Record> {
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// Objects of each kind and family: the call that creates one, the applet, the option of `ipcs-lite`, and the TARGET.
const OBJECTS: [(&str, &str, &str, &str); 9] = [
    ("sem create @plain --value 4", "sem", "-s", "@plain"),
    ("sem create @slots --slots 3", "sem", "-s", "@slots"),
    ("sem lock @lock -- true", "sem", "-s", "@lock"),
    ("sem barrier @meet 1", "sem", "-s", "@meet"),
    ("sem create /@s --value 2", "sem", "-s", "/@s"),
    ("msgq send @q hello --create", "msgq", "-q", "@q"),
    ("msgq send /@q hello --create", "msgq", "-q", "/@q"),
    ("shm create @m --size 5000", "shm", "-m", "@m"),
    ("shm create /@m --size 5000", "shm", "-m", "/@m"),
];

/// The first record of each call, which shows that object.
fn shown(world: &World, calls: &[String], user: Option<u32>) -> Vec<Record> {
    let one = |line: &String| {
        let call = world.call(line);
        let text = if let Some(uid) = user { call.user(uid).ok() } else { call.ok() };
        records(&text).into_iter().next().unwrap_or_else(|| panic!("{line}: nothing"))
    };
    calls.iter().map(one).collect()
}

/// The keys of an object are those of `ipcs-lite`, which are in every other record too, with the same values.
fn same(calls: &[String], shown: &[Record]) {
    let (first, rest) = shown.split_first().unwrap();
    for (call, record) in calls[1..].iter().zip(rest) {
        for (key, value) in first {
            assert_eq!(record.get(key), Some(value), "{key} in `{call}` and `{}`", calls[0]);
        }
        for (key, value) in record {
            let twice = rest.iter().filter_map(|other| other.get(key));
            assert!(twice.clone().all(|other| other == value), "{key}: {:?}", twice.collect::<Vec<_>>());
        }
    }
}

#[test]
fn object_has_one_record() {
    let world = World::new();
    for (make, applet, option, target) in OBJECTS {
        world.call(make).ok();
        let calls = [
            format!("ipcs-lite {option} {target} -J"),
            format!("{applet} stat {target} -J"),
            format!("ipcrm-lite --posix --dry-run --{} {target} -J", if applet == "msgq" { "msg" } else { applet }),
        ];
        let found = shown(&world, &calls, None);
        same(&calls, &found);
        let name = target.rsplit('@').next().unwrap();
        let name = if target.starts_with('/') { world.posix(name) } else { world.name(name) };
        assert_eq!(found[0]["name"], name, "{target}");
        let Some(id) = found[0].get("id") else { continue };
        let calls = [
            format!("ipcs-lite {option} {id} -J"),
            format!("ipcs-lite {option} -i {id} -J"),
            format!("{applet} stat {id} -J"),
        ];
        same(&calls, &shown(&world, &calls, None));
    }
}

#[test]
fn listing_has_the_same_records() {
    let world = World::new();
    if !world.is_own() {
        return skip("a listing of one object wants an IPC namespace");
    }
    for (make, applet, option, target) in OBJECTS.iter().filter(|(.., target)| !target.starts_with('/')) {
        let world = World::new();
        world.call(make).ok();
        let calls = [format!("ipcs-lite {option} -J"), format!("{applet} stat -J")];
        let found = shown(&world, &calls, None);
        same(&calls, &found);
        assert_eq!(found[0]["name"], world.name(&target[1..]), "{target}");
    }
}

#[test]
fn unreadable_field_is_null_in_every_verb() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    for (make, applet, option, target) in OBJECTS {
        world.call(make).ok();
        let mut calls = vec![format!("ipcs-lite {option} {target} -J"), format!("{applet} stat {target} -J")];
        // msgq stat refuses a queue that may not be opened.
        calls.truncate(if target == "/@q" { 1 } else { 2 });
        let found = shown(&world, &calls, Some(stranger));
        same(&calls, &found);
        let unknown: &[&str] = match target {
            "/@s" => &["value", "waiters"],
            "/@q" => &["messages", "bytes", "max_messages", "message_size", "mode", "owner", "change_time"],
            _ => &[],
        };
        for key in unknown {
            assert_eq!(found[0].get(*key), Some(&Value::Null), "{key} of {target}");
        }
    }
}

/// The processes of each call's records, sorted.
fn pids(world: &World, line: &str) -> Vec<Value> {
    // Standard error may warn of processes of other tests that cannot be inspected.
    let text = String::from_utf8(world.call(line).output().stdout).unwrap();
    let mut pids: Vec<Value> = records(&text).iter().map(|record| record["pid"].clone()).collect();
    pids.sort_by_key(Value::as_i64);
    pids.dedup();
    pids
}

#[test]
fn every_verb_knows_the_same_users() {
    let world = World::new();
    for name in ["@m", "/@m"] {
        world.call(&format!("shm create {name} --size 4")).ok();
    }
    for name in ["@q", "/@q"] {
        world.call(&format!("msgq create {name}")).ok();
    }
    world.call("sem create @w --value 0").ok();
    let held = |line: &str| world.call(line).start().became("sleep");
    let blocked = |line: &str, call| world.call(line).start().blocked_in(call);
    let users = [
        ("sem", "--holders", "@s", held("sem run @s --slots 4 --take 2 -- sleep 100")),
        ("sem", "--holders", "@l", held("sem lock @l -- sleep 100")),
        ("sem", "--holders", "@r", held("sem lock --shared @r -- sleep 100")),
        ("sem", "--waiters", "@w", blocked("sem wait @w", libc::SYS_semtimedop)),
        ("msgq", "--waiters", "@q", blocked("msgq recv @q", libc::SYS_msgrcv)),
        ("msgq", "--waiters", "/@q", blocked("msgq recv /@q", libc::SYS_mq_timedreceive)),
        ("shm", "--holders", "@m", blocked("shm wait @m 1", libc::SYS_futex)),
        ("shm", "--holders", "/@m", blocked("shm wait /@m 1", libc::SYS_futex)),
    ];
    for (applet, option, target, user) in &users {
        for line in [format!("{applet} stat {target} {option} -J"), format!("ipcs-lite {target} --holders -J")] {
            assert_eq!(pids(&world, &line), [user.pid()], "{line}");
        }
    }
    let text = world.call("ipcs-lite @s --holders --columns name,how --no-header").ok();
    let name = world.name("s");
    assert_eq!(text, format!("{name}  holds slot 1\n{name}  holds slot 2\n"));
}
