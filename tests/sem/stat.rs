//! `sem stat` and `sem rm`.

use nix::libc;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{World, eventually, lines, skip};

fn records(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn json_has_a_record_for_each_semaphore() {
    let world = World::new();
    world.call("sem create @a --value 4,0 -m 0640").ok();
    let waiting = world.call("sem wait @a -i 1").start().blocked_in(libc::SYS_semtimedop);
    let zero = world.call("sem wait @a --zero").start().blocked_in(libc::SYS_semtimedop);
    let text = world.call("sem stat @a --json").ok();
    let found = records(&text);
    assert_eq!(found.len(), 2, "{text}");
    let expected = [
        ("kind", Value::from("sem")),
        ("family", Value::from("sysv")),
        ("name", Value::from(world.name("a"))),
        ("uid", Value::from(nix::unistd::geteuid().as_raw())),
        ("gid", Value::from(nix::unistd::getegid().as_raw())),
        ("mode", Value::from("0640")),
        ("nsems", Value::from(2)),
        ("key", Value::from(world.call("key @a").ok().trim())),
    ];
    for (key, value) in expected {
        assert_eq!(found[0][key], value, "{text}");
    }
    assert_eq!((&found[0]["index"], &found[0]["value"]), (&0.into(), &4.into()));
    assert_eq!((&found[0]["waiters"], &found[0]["zero_waiters"]), (&0.into(), &1.into()));
    assert_eq!((&found[1]["index"], &found[1]["value"], &found[1]["waiters"]), (&1.into(), &0.into(), &1.into()));
    assert!(found[0]["last_pid"].as_i64().unwrap() > 0 && found[0]["id"].is_i64());
    assert!(found[0]["op_time"].as_str().unwrap().ends_with('Z'), "{text}");
    drop((waiting, zero));
}

/// Returns the non-empty cells of each line.
fn cells(table: &str) -> Vec<Vec<String>> {
    let cells =
        |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect();
    table.lines().map(cells).collect()
}

#[test]
fn stat_is_one_table_with_a_header() {
    let world = World::new();
    let first = world.call("sem run @s --slots 4 --take 2 -- sleep 100").start().became("sleep");
    let second = world.call("sem run @s -- sleep 100").start().became("sleep");
    let _waiting = world.call("sem run @s --take 2 -- true").start().blocked_in(libc::SYS_semtimedop);
    let slots = format!("slots|3/4|{} sleep, {} sleep|1", first.pid(), second.pid());
    let writer = world.call("sem lock @l -- sleep 100").start().became("sleep");
    let lock = format!("lock|1/1|{} sleep|0", writer.pid());
    let reader = world.call("sem lock @r -s -- sleep 100").start().became("sleep");
    let shared = format!("lock|1 shared|{} sleep|0", reader.pid());
    world.call("sem lock @f -- true").ok();
    let _arrived = world.call("sem barrier @b 3").start().blocked_in(libc::SYS_semtimedop);
    for (target, row) in
        [("@s", slots.as_str()), ("@l", &lock), ("@r", &shared), ("@f", "lock|0/1|0"), ("@b", "barrier|1/3|-|1")]
    {
        let table = cells(&world.call(&format!("sem stat {target}")).ok());
        assert_eq!(table[0].join(" "), "NAME PURPOSE USED HOLDERS WAITING");
        assert_eq!(table[1].join("|"), format!("{}|{row}", world.name(&target[1..])));
        assert_eq!(table.len(), 2, "{table:?}");
    }
    let table = cells(&world.call("sem stat @s @l").ok());
    assert_eq!(table.len(), 3, "{table:?}");
}

#[test]
fn stat_of_a_plain_semaphore_shows_its_value() {
    let world = World::new();
    world.call("sem create @a --value 4").ok();
    let id = world.call("sem create private --value 4").ok();
    world.call("sem create @several --value 5,0").ok();
    world.call("sem create /@p --value 6").ok();
    let _waits = world.call("sem wait @several -i 1").start().blocked_in(libc::SYS_semtimedop);
    let _waits_for_0 = world.call("sem wait @several --zero").start().blocked_in(libc::SYS_semtimedop);
    let (several, posix) = (world.name("several"), world.posix("p"));
    for (target, rows) in [
        ("@a", vec!["NAME|PURPOSE|USED|VALUE|HOLDERS|WAITING".into(), format!("{}|plain|-|4|-|0", world.name("a"))]),
        ("/@p", vec!["NAME|PURPOSE|USED|VALUE|HOLDERS|WAITING".into(), format!("{posix}|plain|-|6|-|0")]),
        (
            "@several",
            vec![
                "NAME|PURPOSE|USED|INDEX|VALUE|HOLDERS|WAITING".into(),
                format!("{several}|plain|-|0|5|-|1"),
                format!("{several}|plain|-|1|0|-|1"),
            ],
        ),
    ] {
        let table = cells(&world.call(&format!("sem stat {target}")).ok());
        assert_eq!(table.iter().map(|row| row.join("|")).collect::<Vec<_>>(), rows);
    }
    // Without a name there is the id.
    let table = cells(&world.call(&format!("sem stat {}", id.trim())).ok());
    assert_eq!(table[0].join("|"), "ID|NAME|PURPOSE|USED|VALUE|HOLDERS|WAITING");
    assert_eq!(table[1].join("|"), format!("{}|-|plain|-|4|-|0", id.trim()));
    world.call(&format!("sem rm {id}")).ok();
}

#[test]
fn stat_has_the_fields_of_its_table_in_json() {
    let world = World::new();
    let holder = world.call("sem run @s --slots 4 --take 2 -- sleep 100").start().became("sleep");
    let found = records(&world.call("sem stat @s --json").ok());
    assert_eq!((&found[0]["used"], &found[0]["held"], &found[0]["waiting"]), (&2.into(), &2.into(), &0.into()));
    let slot =
        |number: i32| serde_json::json!({"slot": number, "count": null, "pid": holder.pid(), "command": "sleep 100"});
    assert_eq!(found[0]["holders"], serde_json::json!([slot(1), slot(2)]));
    world.call("sem create @a").ok();
    world.call("sem create /@p").ok();
    for target in ["@a", "/@p"] {
        let found = records(&world.call(&format!("sem stat {target} --json")).ok());
        assert_eq!(found[0]["purpose"], "plain", "{found:?}");
        for unknown in ["used", "holders"] {
            assert_eq!(found[0].get(unknown), Some(&Value::Null), "{found:?}");
        }
    }
}

#[test]
fn stat_shows_any_column_that_is_named() {
    let world = World::new();
    world.call("sem create @a --value 4").ok();
    world.call("sem create @s --slots 3").ok();
    world.call("sem create /@p --value 6").ok();
    world
        .call("sem stat @a @s /@p --columns value,free,purpose")
        .stdout("VALUE  FREE  PURPOSE\n    4        plain\n          3  slots\n    6        plain\n")
        .ok();
    world.call("sem stat @a --columns VALUE --no-header").stdout("4\n").ok();
    let all = world.call("sem stat @a @nope @s").output();
    assert_eq!(all.status.code(), Some(3));
    assert_eq!(lines(&all.stdout).len(), 3);
    world.call("sem stat @a --columns value,price").fails(2, "no column 'price'");
    world.call("sem stat @a --columns vaule").fails(2, "did you mean 'value'?");
}

#[test]
fn stat_without_target_shows_every_set() {
    let world = World::new();
    if world.is_own() {
        // POSIX semaphores of other users have no id.
        let ids = world.call("sem stat --columns id").ok();
        assert!(!ids.contains(|letter: char| letter.is_ascii_digit()), "{ids}");
    } else {
        skip("in part: an empty listing wants an IPC namespace");
    }
    world.call("sem create @a --value 4,5").ok();
    world.call("sem create @s --slots 3").ok();
    world.call("sem create /@p").ok();
    let keys = ["@a", "@s"].map(|target| world.call(&format!("key {target}")).ok().trim().to_owned());
    let found = records(&world.call("sem stat -J").ok());
    let of = |key: &str| found.iter().filter(|record| record["key"] == key).count();
    assert_eq!((of(&keys[0]), of(&keys[1])), (2, 1));
    let posix: Vec<&Value> = found.iter().filter(|record| record["name"] == world.posix("p")).collect();
    assert_eq!(posix.len(), 1);
    assert_eq!((&posix[0]["family"], &posix[0]["value"]), (&"posix".into(), &0.into()));
    assert!(posix[0].get("id").is_none() && posix[0].get("index").is_none(), "{posix:?}");
}

#[test]
fn holders_are_listed_with_slot_and_command() {
    let world = World::new();
    let first = world.call("sem run @s --slots 4 -- sleep 100").start().became("sleep");
    let second = world.call("sem run @s --take 2 -- sleep 101").start().became("sleep");
    let found = records(&world.call("sem stat --holders @s --json").ok());
    let printed: Vec<(i64, i64, &str)> = found
        .iter()
        .map(|r| (r["slot"].as_i64().unwrap(), r["pid"].as_i64().unwrap(), r["command"].as_str().unwrap()))
        .collect();
    let (one, two) = (i64::from(first.pid()), i64::from(second.pid()));
    assert_eq!(printed, [(1, one, "sleep 100"), (2, two, "sleep 101"), (3, two, "sleep 101")]);
    assert!(found.iter().all(|r| r["role"] == "holder"));

    let writer = world.call("sem lock @l -- sleep 102").start().became("sleep");
    let columns = "--columns role,pid,command --no-header";
    let line = format!("holder  {}  sleep 102\n", writer.pid());
    world.call(&format!("sem stat --holders @l {columns}")).stdout(line).ok();
    drop(writer);
    world.call("sem lock @l -w 60 -- true").ok();
    world.call("sem stat --holders @l").stdout("").ok();
    let readers: Vec<_> = (0..3).map(|_| world.call("sem lock -s @l -- sleep 103").start().became("sleep")).collect();
    let found = records(&world.call("sem stat --holders @l --json").ok());
    // The kernel knows only the last one.
    assert!(readers.iter().any(|reader| found[0]["pid"] == reader.pid()), "{found:?}");
    assert_eq!((&found[1]["pid"], &found[1]["count"]), (&Value::Null, &2.into()));
    // One that has exited does not hold it, reaped or not.
    for reader in &readers {
        if found[0]["pid"] == reader.pid() {
            reader.signal(Signal::SIGKILL);
        }
    }
    eventually("the last one who came has ended", || {
        let found = records(&world.call("sem stat --holders @l --json").ok());
        found.len() == 1 && found[0]["pid"].is_null() && found[0]["count"] == 2
    });
    world.call("sem create @a --value 1").ok();
    world.call("sem stat --holders @a").stdout("").ok();
}

#[test]
fn waiters_are_listed_with_their_operations() {
    let world = World::new();
    world.call("sem create @a --value 0,0,0").ok();
    let plain = world.call("sem wait @a -i 2 --by 3").start().blocked_in(libc::SYS_semtimedop);
    let several = world.call("sem op @a 0:+1 1:-2u").start().blocked_in(libc::SYS_semtimedop);
    let found = records(&world.call("sem stat @a --waiters --json").ok());
    let mut printed: Vec<(i64, &str)> =
        found.iter().map(|r| (r["pid"].as_i64().unwrap(), r["operations"].as_str().unwrap())).collect();
    printed.sort_unstable();
    let mut expected = [(i64::from(plain.pid()), "2:-3"), (i64::from(several.pid()), "0:+1 1:-2u")];
    expected.sort_unstable();
    assert_eq!(printed, expected);
    let command = found.iter().find(|r| r["pid"] == plain.pid()).unwrap()["command"].as_str().unwrap();
    assert!(command.ends_with("sem wait ".to_owned().as_str()) || command.contains(" -i 2 --by 3"), "{command}");
    world.call("sem stat @a --waiters --holders --columns role --no-header").stdout("waiter\nwaiter\n").ok();

    world.call("sem create /@p").ok();
    let posix = world.call("sem wait /@p").start().blocked_in(libc::SYS_futex);
    let output = world.call("sem stat /@p --waiters --json").output();
    let found = records(&String::from_utf8(output.stdout).unwrap());
    assert_eq!((&found[0]["pid"], &found[0]["count"]), (&Value::Null, &1.into()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot list the waiters of"));
    drop(posix);
}

#[test]
fn waiters_of_another_namespace_are_not_listed() {
    let world = World::new();
    if !world.is_own() {
        return skip("a second IPC namespace wants the privilege");
    }
    let id = world.call("sem create @a").ok();
    let there = "sem create there >/dev/null; exec ipcbox sem wait there";
    let call = world.program("unshare").args(["--ipc", "sh", "-c", there]);
    let there = call.start().blocked_in(libc::SYS_semtimedop);
    assert_eq!(id, "0\n", "the first id of a namespace");
    world.call("sem stat @a --waiters").stdout("").ok();
    let waiting = world.call("sem wait @a").start().blocked_in(libc::SYS_semtimedop);
    let printed = format!("{}\n", waiting.pid());
    world.call("sem stat @a --waiters --columns pid --no-header").stdout(printed).ok();
    drop(there);
}

#[test]
fn invisible_waiters_are_counted() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    world.call("sem create @a -m 0666").ok();
    let _waiting = world.call("sem wait @a").start().blocked_in(libc::SYS_semtimedop);
    let output = world.call("sem stat @a --waiters --json").user(stranger).output();
    let found = records(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(found.len(), 1);
    assert_eq!(
        (&found[0]["pid"], &found[0]["operations"], &found[0]["count"]),
        (&Value::Null, &Value::Null, &1.into())
    );
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(why.contains("no permission to trace them"), "{why}");
}

#[test]
fn rm_removes_unused_semaphores() {
    let world = World::new();
    world.call("sem create @a --value 1").ok();
    world.call("sem create /@p").ok();
    world.call("sem rm @a /@p").stdout("").ok();
    world.call("sem get @a").fails(3, "no such semaphore set (ENOENT)");
    world.call("sem get /@p").fails(3, "no such semaphore (ENOENT)");
    world.call("sem rm @a").fails(3, "no such semaphore set (ENOENT)");
    world.call("sem rm @a /@p --missing-ok").stdout("").ok();
    world.call("sem rm 2147483647 --missing-ok").ok();
    world.call("sem rm 2147483647").fails(3, "no such semaphore set (EINVAL)");
    // All are tried, each failure is reported, and the first one gives the status.
    world.call("sem create @b").ok();
    let both = world.call("sem rm @a @b /@p").output();
    assert_eq!((both.status.code(), lines(&both.stderr).len()), (Some(3), 2));
    world.call("sem get @b").fails(3, "no such");
}

#[test]
fn rm_in_use_needs_force_and_wakes_waiters() {
    let world = World::new();
    let holder = world.call("sem run @s --slots 1 -- sleep 100").start().became("sleep");
    world.call("sem rm @s").fails(1, &format!("held by {} (sleep 100)", holder.pid()));
    let waiting = world.call("sem run @s -- true").start().blocked_in(libc::SYS_semtimedop);
    world.call("sem rm @s --force").ok();
    let printed = waiting.end();
    assert_eq!(printed.status.code(), Some(125));
    let printed = String::from_utf8(printed.stderr).unwrap();
    assert!(printed.contains("removed by another process (EIDRM)") && printed.contains("RemoveIPC"), "{printed}");

    world.call("sem create @a").ok();
    let waiting = world.call("sem wait @a").start().blocked_in(libc::SYS_semtimedop);
    world.call("sem rm @a").fails(1, &format!("waited on by {} (", waiting.pid()));
    world.call("sem rm @a --force").ok();
    assert_eq!(waiting.code(), 3);

    world.call("sem create /@p").ok();
    let _waiting = world.call("sem wait /@p").start().blocked_in(libc::SYS_futex);
    world.call("sem rm /@p").fails(1, "the semaphore has 1 waiter, including killed ones");
    world.call("sem rm /@p --force").ok();

    // A waiter that timed out or was killed by a signal no longer counts.
    world.call("sem create /@q").ok();
    for which in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let waiting = world.call("sem wait /@q").start().blocked_in(libc::SYS_futex);
        waiting.signal(which);
        assert_eq!(waiting.code(), 128 + which as i32);
    }
    world.call("sem wait /@q -w 0.05").fails(124, "the value is still 0 after 50ms, but at least 1 is needed");
    world.call("sem stat /@q --columns waiters --no-header").stdout("0\n").ok();
    world.call("sem rm /@q").ok();
    drop(holder);
}

#[test]
fn unreadable_posix_semaphore_is_listed() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    world.call("sem create /@p --value 6 -m 600").ok();
    let output = world.call("sem stat --json").user(stranger).output();
    let text = String::from_utf8(output.stdout).unwrap();
    let name = Value::from(world.posix("p"));
    let found = records(&text).into_iter().find(|record| record["name"] == name);
    let found = found.unwrap_or_else(|| panic!("it is left out: {text}"));
    assert_eq!((&found["mode"], &found["uid"]), (&"0600".into(), &0.into()));
    assert_eq!((&found["value"], &found["waiters"]), (&Value::Null, &Value::Null));
}

#[test]
fn unreadable_target_is_shown() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    for target in ["@s", "/@s"] {
        world.call(&format!("sem create {target}")).ok();
        let text = world.call(&format!("sem stat {target} --json")).user(stranger).ok();
        let [record] = &records(&text)[..] else { panic!("{text}") };
        assert_eq!((&record["mode"], &record["value"]), (&"0600".into(), &Value::Null));
        let fields = ["purpose", "free", "capacity", "held"];
        for field in fields.iter().filter(|_| target == "@s") {
            assert_eq!(record.get(*field), Some(&Value::Null), "{field}: {text}");
        }
        for users in ["--holders", "--waiters"] {
            let call = world.call(&format!("sem stat {target} {users}")).user(stranger);
            call.fails(5, "permission denied; owned by root (EACCES)");
        }
    }
}
