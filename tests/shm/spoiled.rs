//! Files in `/dev/shm` and journals of killed writers that another process has spoiled.

use std::fs;
use std::os::unix::fs::symlink;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::{again::left, missing};
use crate::support::World;

#[test]
fn other_kinds_of_file_are_refused() {
    let world = World::new();
    let name = world.posix("a");
    let file = format!("/dev/shm{name}");
    let make: [fn(&str); 3] = [
        |file| fs::create_dir(file).unwrap(),
        |file| mkfifo(file, Mode::S_IRWXU).unwrap(),
        |file| symlink("/dev/zero", file).unwrap(),
    ];
    for make in make {
        make(&file);
        for verb in [
            "read",
            "read --lock @l",
            "write --create",
            "write --create --lock @l",
            "get",
            "set --size 8",
            "add --create",
        ] {
            let call = world.call(&format!("shm {verb}")).arg(&name);
            let call = if verb.starts_with("set") { call } else { call.input("x") };
            call.fails(1, "not a regular file (E");
        }
        world.call("shm wait -n").args([&name, "0"]).fails(1, "not a regular file (E");
        let _ = fs::remove_dir(&file).or_else(|_| fs::remove_file(&file));
    }
}

#[test]
fn object_shorter_than_a_word_is_refused() {
    let world = World::new();
    let name = world.posix("a");
    for len in 0..4 {
        fs::write(format!("/dev/shm{name}"), vec![0; len]).unwrap();
        for verb in ["get", "add", "wait -n"] {
            let call = world.call(&format!("shm {verb}")).arg(&name);
            let call = if verb == "wait -n" { call.arg("0") } else { call };
            call.fails(1, &format!("4 bytes at offset 0 are beyond the end: the object has {len} byte"));
        }
    }
}

/// Returns the ids of the segments whose size `is_it`.
fn segments(is_it: fn(u64) -> bool) -> Vec<String> {
    let all = fs::read_to_string("/proc/sysvipc/shm").unwrap();
    let words = all.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.filter(|words| is_it(words[3].parse().unwrap())).map(|words| words[1].to_owned()).collect()
}

#[test]
fn spoiled_journal_is_dropped_or_read_in_bounds() {
    let world = World::new();
    if missing("IPC namespace", !world.is_own()) {
        return;
    }
    for (place, value) in (0..13).flat_map(|place| [i64::MAX, -1, 1 << 40, 2].map(|value| (place, value))) {
        let Some((name, _)) = left(&world) else { return };
        let [journal] = &segments(|size| size != 3)[..] else { panic!("one journal") };
        let offset = (place * 8).to_string();
        let value = value.to_string();
        world.call("shm set --bits 64 --offset").args([&offset, journal, &value]).ok();
        let read = world.call("shm read @a --lock @l").output();
        assert!(read.status.success() && read.stdout.len() == 3, "{place}: {value}: {read:?}");
        world.call("shm write @a A --lock @l").ok();
        let text = world.call("shm read @a --lock @l").ok();
        assert!(text.starts_with('A') && text.len() == 3, "{place}: {value}: {text:?}");
        world.call("shm rm").arg(&name).ok();
        for id in segments(|_| true) {
            world.call("shm rm").arg(id).ok();
        }
    }
}
