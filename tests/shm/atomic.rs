//! `get`, `set`, `add` and `cas`.

use super::{both, rounds};
use crate::support::{World, skip};

#[test]
fn word_is_signed_and_wraps() {
    let world = World::new();
    for name in both(&world, "a") {
        let call = |words: &str| world.call(&format!("shm {words}")).arg(&name);
        call("create --size 16").ok();
        call("get").stdout("0\n").ok();
        call("add").stdout("1\n").ok();
        call("add --by -3").stdout("-2\n").ok();
        call("add --by=-1").stdout("-3\n").ok();
        call("add --by 2147483647").stdout("2147483644\n").ok();
        call("add --by 4").stdout("-2147483648\n").ok();
        call("add --by -1").stdout("2147483647\n").ok();
        call("set").arg("-5").ok();
        call("get").stdout("-5\n").ok();
        call("set --bits 64 --offset 8").arg("9223372036854775807").ok();
        call("add --bits 64 --offset 8").stdout("-9223372036854775808\n").ok();
        call("get --offset 12").stdout("-2147483648\n").ok();
        call("cas").args(["-5", "7"]).stdout("-5\n").ok();
        call("cas").args(["-5", "8"]).stdout("7\n").stderr("").status(1);
        call("cas --bits 64 --offset 8").args(["0", "1"]).status(1);
        call("get").stdout("7\n").ok();
    }
}

#[test]
fn add_creates_a_page_of_zeros() {
    let world = World::new();
    for name in both(&world, "a") {
        let size = || world.call("shm stat --no-header --columns size,mode").arg(&name).ok();
        world.call("shm add").arg(&name).fails(3, "(ENOENT)\nhint: add --create to create the object\n");
        world.call("shm add --create -m 0640").arg(&name).stdout("1\n").ok();
        world.call("shm add --create").arg(&name).stdout("2\n").ok();
        assert_eq!(size(), "4096  0640\n");
        world.call("shm rm --force").arg(&name).ok();
        world.call("shm add --create --offset 4096").arg(&name).stdout("1\n").ok();
        assert_eq!(size(), "8192  0600\n");
        let end = ["--offset", "18446744073709551612"];
        world.call("shm add").arg(&name).args(end).fails(1, "beyond the end: the object has 8192 bytes");
        world.call("shm rm").arg(&name).ok();
        world.call("shm add --create").arg(&name).args(end).fails(1, "");
    }
}

#[test]
fn set_creates_a_missing_object() {
    let world = World::new();
    for name in both(&world, "n") {
        let stat = || world.call("shm stat --no-header --columns size,mode").arg(&name).ok();
        let rm = || world.call("shm rm --force").arg(&name).ok();
        world.call("shm set").args([&name, "5"]).fails(3, "(ENOENT)\nhint: add --create to create the object\n");
        world.call("shm set --create").args([&name, "5"]).stdout("").ok();
        world.call("shm get").arg(&name).stdout("5\n").ok();
        world.call("shm set --create --offset 8 --bits 64").args([&name, "-1"]).ok();
        world.call("shm get").arg(&name).stdout("5\n").ok();
        assert_eq!(stat(), "4096  0600\n");
        rm();
        // A mode that would deny the first write is set last.
        world.call("shm set --create -m 0400 --offset 4096").args([&name, "7"]).ok();
        assert_eq!(stat(), "8192  0400\n");
        rm();
        world.call("shm set --create").arg(&name).fails(2, "VALUE");
        world.call("shm set --foreign").args([&name, "1"]).fails(2, "--create");
        world.call("shm get").arg(&name).fails(3, "no such");
        // One of several callers creates it.
        let script = format!(
            "for n in 1 2 3 4 5 6 7 8; do ipcbox shm set {name} 7 --create & done; wait; ipcbox shm get {name}"
        );
        world.shell(&script).stdout("7\n").ok();
        rm();
    }
    let name = world.posix("n");
    world.call("shm set --create --size 64").args([&name, "5"]).ok();
    world.call("shm stat --no-header --columns size").arg(&name).stdout("64\n").ok();
    world.call("shm get").arg(&name).stdout("5\n").ok();
}

#[test]
fn set_create_refuses_object_of_another_user() {
    let world = World::new();
    let Some(uid) = world.stranger() else { return skip("it needs two users") };
    for name in both(&world, "n") {
        world.call("shm create --size 4 -m 0666").arg(&name).user(uid).ok();
        let root = || world.call("shm set --create").args([&name, "5"]);
        root().fails(5, "already exists and is owned by");
        root().arg("--foreign").ok();
        // Without --create, any object that allows it is used.
        world.call("shm set").args([&name, "6"]).ok();
    }
}

#[test]
fn thirty_two_processes_lose_no_count() {
    let world = World::new();
    let each = rounds(250, 50);
    for name in both(&world, "a") {
        let script = format!(
            "count() {{ n=0; while [ $n -lt {each} ]; do ipcbox shm add {name} --create >>out$1; n=$((n + 1)); done; }}
            i=0; while [ $i -lt 32 ]; do count $i & i=$((i + 1)); done; wait
            cat out* | sort -n | uniq | wc -l; rm out*; ipcbox shm get {name}"
        );
        let all = 32 * each;
        world.shell(&script).stdout(format!("{all}\n{all}\n")).ok();
    }
}

#[test]
fn spin_lock_of_cas_loses_no_update() {
    let world = World::new();
    world.file("count", "0\n");
    let each = rounds(100, 25);
    // Word 0 is the lock: 1 while it is held.
    let script = format!(
        "ipcbox shm create $NAME-l --size 4K >/dev/null
        change() {{
            n=0
            while [ $n -lt {each} ]; do
                until ipcbox shm cas $NAME-l 0 1 >/dev/null; do ipcbox shm wait $NAME-l 0 -w 60; done
                read v <count; echo $((v + 1)) >count
                ipcbox shm set $NAME-l 0
                n=$((n + 1))
            done
        }}
        for i in 1 2 3 4 5 6 7 8; do change & done; wait; cat count"
    );
    world.name("l");
    world.shell(&script).stdout(format!("{}\n", 8 * each)).ok();
}
