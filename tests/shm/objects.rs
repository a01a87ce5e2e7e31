//! `shm create`, `set`, `stat` and `rm`.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use nix::libc;

use super::{both, missing};
use crate::support::{World, eventually};

fn file(name: &str) -> PathBuf {
    PathBuf::from(format!("/dev/shm{name}"))
}

#[test]
fn create_prints_the_id_or_the_name() {
    let world = World::new();
    let name = world.name("a");
    let id = world.call("shm create --size 5000").arg(&name).ok();
    assert!(id.trim_end().parse::<i32>().is_ok(), "{id}");
    world.call("shm create --size 5000").arg(&name).stdout(id.clone()).ok();
    world.call("shm get").arg(id.trim_end()).stdout("0\n").ok();
    let private = world.call("shm create private --size 1").ok();
    world.call("shm rm").arg(private.trim_end()).ok();
    let name = world.posix("a");
    world.call("shm create --size 0").arg(&name).stdout(format!("{name}\n")).ok();
    assert_eq!(std::fs::metadata(file(&name)).unwrap().len(), 0);
}

#[test]
fn too_large_object_names_the_limit() {
    let world = World::new();
    world.call("shm create @a --size 0").fails(2, "shm: --size: expected at least 1 byte\n");
    world.call("shm create @a --size 15E").fails(1, "exceed the memory that the kernel can provide (EINVAL)");
    world.call("shm create /@a --size 8E").fails(1, "bytes exceed the maximum file size (EFBIG)");
    world.call("shm create /@a --size 1E").fails(1, "free in /dev/shm (ENOSPC)");
    assert!(!file(&world.posix("a")).exists());
    world.call("shm create /@a --size 2M --huge").fails(2, "no huge pages");
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
    let free = meminfo.lines().find(|line| line.starts_with("HugePages_Free:"));
    if free.is_some_and(|line| line.ends_with(" 0")) {
        // Or this user may not use them.
        let output = world.call("shm create @a --size 2M --huge").output();
        assert!(String::from_utf8_lossy(&output.stderr).contains("huge pages"), "{output:?}");
    }
    if missing("IPC namespace of its own", !world.is_own()) {
        return;
    }
    // The limits are those of the namespace of this thread.
    let limit = |name: &str, value: &str| {
        let set = std::fs::write(format!("/proc/sys/kernel/{name}"), value);
        !missing("right to set kernel limits", set.is_err())
    };
    if limit("shmmax", "8192") {
        let words = "8193 bytes exceed kernel.shmmax, which is 8192 (EINVAL)\nhint: sysctl -w kernel.shmmax=8193\n";
        world.call("shm create @b --size 8193").fails(1, words);
        world.call("shm create @b --size 8192").ok();
    }
    if limit("shmall", "3") {
        let words =
            "2 pages of 4096 bytes are needed, but the limit leaves only 1 (ENOSPC)\nhint: sysctl -w kernel.shmall=4\n";
        world.call("shm create @c --size 8192").fails(1, words);
        world.call("shm create @c --size 4096").ok();
    }
    if limit("shmmni", "2") {
        let words = "the system's limit of 2 segments is reached (ENOSPC)\nhint: sysctl -w kernel.shmmni=128\n";
        world.call("shm create @d --size 1").fails(1, words);
    }
}

#[test]
fn set_changes_size_mode_and_owner() {
    let world = World::new();
    for name in both(&world, "a") {
        world.call("shm create --size 4K").arg(&name).ok();
        world.call("shm set -m 0640").arg(&name).ok();
        let mode = || world.call("shm stat --no-header --columns mode").arg(&name).ok();
        assert_eq!(mode(), "0640\n");
        if world.stranger().is_some() {
            world.call("shm set --owner 54321:54321 -m 0606").arg(&name).ok();
            let line = "54321  54321  0606\n";
            let columns = "shm stat --no-header --columns uid,gid,mode";
            world.call(columns).arg(&name).stdout(line).ok();
        }
    }
    let name = world.posix("a");
    world.call("shm set --size 1M").arg(&name).ok();
    assert_eq!(std::fs::metadata(file(&name)).unwrap().len(), 1 << 20);
    world.call("shm set --size 100").arg(&name).ok();
    assert_eq!(std::fs::metadata(file(&name)).unwrap().len(), 100);
    world.call("shm set --size 104 --offset 100").args([&name, "7"]).ok();
    world.call("shm get --offset 100").arg(&name).stdout("7\n").ok();
    world.call("shm set --size 100").arg(&name).ok();
    world.call("shm set --size 1E").arg(&name).fails(1, "free in /dev/shm");
    assert_eq!(std::fs::metadata(file(&name)).unwrap().len(), 100);
    world.call("shm set @a --size 8K").fails(2, "the kernel cannot change the size of a segment");
    world.call("shm set @a").fails(2, "there is nothing to change");
    world.call("shm set @a --pin --unpin").fails(2, "cannot be used together");
    world.call("shm set /@a --pin").fails(2, "a POSIX object cannot be pinned\nhint: use ");
}

#[test]
fn segment_is_pinned_and_unpinned() {
    let world = World::new();
    world.call("shm create @a --size 4K").ok();
    let pinned = || world.call("shm stat @a --no-header --columns pinned").ok();
    world.call("shm set @a --pin").ok();
    assert_eq!(pinned(), "yes\n");
    world.call("shm set @a --unpin").ok();
    assert_eq!(pinned(), "no\n");
}

#[test]
fn record_has_every_field() {
    let world = World::new();
    world.call("shm create @a --size 5000").ok();
    world.call("shm write @a x").ok();
    let json = world.call("shm stat @a -J").ok();
    let record: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(record["size"], 5000);
    assert_eq!(record["attached"], 0);
    assert_eq!(record["resident"], 4096);
    assert_eq!(record["removed"], false);
    assert_eq!(record["key"], world.call("key @a").ok().trim_end());
    for key in ["creator_pid", "last_pid", "id", "uid", "gid", "swapped"] {
        assert!(record[key].is_number(), "{key}: {json}");
    }
    for key in ["attach_time", "detach_time", "change_time"] {
        assert!(record[key].as_str().unwrap().ends_with('Z'), "{key}: {json}");
    }
    let json = world.call("shm create /@a --size 5000").ok() + &world.call("shm stat /@a -J").ok();
    let record: serde_json::Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    assert_eq!((&record["size"], &record["family"]), (&5000.into(), &"posix".into()));
    assert!(record.get("attached").is_none() && record["swapped"].is_null(), "{json}");
    let all = world.call("shm stat").ok();
    assert!(all.contains(&world.posix("a")), "{all}");
    if world.is_own() {
        assert_eq!(all.lines().filter(|line| line.contains("0x")).count(), 1, "{all}");
    }
}

#[test]
fn rm_keeps_an_object_in_use() {
    let world = World::new();
    for name in both(&world, "a") {
        world.call("shm create --size 4K").arg(&name).ok();
        let waiter = world.call("shm wait").arg(&name).arg("1").start();
        let waiter = waiter.blocked_in(libc::SYS_futex);
        let holders = world.call("shm stat --holders --no-header").arg(&name);
        let text = String::from_utf8(holders.output().stdout).unwrap();
        let pid = waiter.pid().to_string();
        assert!(text.contains(&pid) && text.contains("shm wait"), "{text}");
        let words = format!("by {pid} (");
        world.call("shm rm").arg(&name).fails(1, &words);
        world.call("shm rm --force").arg(&name).ok();
        world.call("shm rm").arg(&name).fails(3, "(ENOENT)");
        world.call("shm rm --missing-ok").arg(&name).ok();
    }
}

#[test]
fn holder_of_posix_object_has_its_descriptor() {
    let world = World::new();
    let name = world.posix("a");
    world.call("shm create --size 4K").arg(&name).ok();
    let open = world.shell(&format!("exec 7<>/dev/shm{name}; exec sleep 1000")).start();
    let open = open.became("sleep");
    let columns = "shm stat --holders --no-header --columns pid,command,mappings,descriptors";
    let shown = world.call(columns).arg(&name).output().stdout;
    let shown = String::from_utf8(shown).unwrap();
    let words: Vec<&str> = shown.split_whitespace().collect();
    assert_eq!(words, [&open.pid().to_string(), "sleep", "1000", "0", "7"]);
    world.call("shm rm").arg(&name).fails(1, &format!("in use by {} (sleep 1000)", open.pid()));
}

#[test]
fn removed_segment_lasts_until_its_last_user_exits() {
    let world = World::new();
    let id = world.call("shm create @a --size 4K").ok();
    let id = id.trim_end();
    let waiter = world.call("shm wait --until ge").arg(id).arg("1");
    let waiter = waiter.start().blocked_in(libc::SYS_futex);
    world.call("shm rm --force @a").ok();
    world.call("shm stat --no-header --columns removed,attached").arg(id).stdout("yes  1\n").ok();
    // Its id still works, until the waiter exits.
    world.call("shm set").arg(id).arg("1").ok();
    assert_eq!(waiter.code(), 0);
    eventually("the segment goes", || world.call("shm get").arg(id).output().status.code() == Some(3));
    world.call("shm get").arg(id).fails(3, "no such shared memory segment (EINVAL)");
}

#[test]
fn object_removed_at_open_is_created_again() {
    let world = World::new();
    let name = world.name("a");
    for (inject, verb, printed) in [
        ("shmat:error=EIDRM:when=1", "add --create", "2\n"),
        ("shmctl:error=EINVAL:when=1", "add --create", "4\n"),
        ("shmctl:error=EINVAL:when=1", "write --create", ""),
        ("shmat:error=EIDRM:when=1", "write --create --lock @l", ""),
    ] {
        world.call("shm add @a --create").ok();
        let Some(call) = world.injected(inject) else { return };
        let lock = world.name("l");
        let words = verb.split(' ').map(|word| if word == "@l" { &lock } else { word });
        call.arg("shm").args(words).arg(&name).input("x").stdout(printed).ok();
    }
    let Some(call) = world.injected("shmctl:error=EINVAL:when=1") else { return };
    call.args(["shm", "create", &name, "--size", "4096"]).status(0);
}

#[test]
fn directory_and_symbolic_link_are_refused() {
    let world = World::new();
    let dir = world.posix("dir");
    std::fs::create_dir(file(&dir)).unwrap();
    let link = world.posix("link");
    world.file("secret", "secret");
    symlink(world.dir().join("secret"), file(&link)).unwrap();
    for verb in ["read", "get", "stat", "write --create", "add --create", "set -m 0666"] {
        let text = verb.starts_with("write").then_some("x");
        world.call(&format!("shm {verb}")).arg(&dir).args(text).fails(1, "not a regular file");
        world.call(&format!("shm {verb}")).arg(&link).args(text).fails(1, "not a regular file");
    }
    assert_eq!(std::fs::read_to_string(world.dir().join("secret")).unwrap(), "secret");
    std::fs::remove_dir(file(&dir)).unwrap();
    std::fs::remove_file(file(&link)).unwrap();
}
