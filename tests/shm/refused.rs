//! Refused values, targets and permissions.

use nix::libc;

use super::both;
use crate::support::World;

#[test]
fn bad_number_is_refused() {
    let world = World::new();
    for name in both(&world, "a") {
        world.call("shm create --size 4K").arg(&name).ok();
        let call = |words: &str| world.call(&format!("shm {words}")).arg(&name);
        call("create --size 4X").fails(2, "--size: expected a size such as 4096");
        call("create --size -1").fails(2, "(64,000), not '-1'");
        call("create").fails(2, "--size is missing");
        call("create --size 1 -m 8").fails(2, "expected permission bits in octal");
        for verb in ["read", "write", "get", "add", "set 1", "cas 1 2", "wait 1"] {
            let (verb, values) = verb.split_once(' ').unwrap_or((verb, ""));
            let call = |offset: &str| {
                let call = world.call(&format!("shm {verb} --offset {offset}")).arg(&name);
                call.args(values.split_whitespace())
            };
            call("-4").fails(2, "--offset: expected a size such as 4096");
            call("99999999999999999999").fails(2, "--offset");
            call("18446744073709551612").fails(1, "beyond the end: the object has 4096 bytes");
            if !["read", "write"].contains(&verb) {
                call("2").fails(2, "offset 2 is not a multiple of 4");
                call("4096").fails(1, "4 bytes at offset 4096 are beyond the end: the object has 4096 bytes");
            }
        }
        call("read --length -1").fails(2, "--length: expected a size such as 4096");
        call("read --offset 1 --length 18446744073709551615").ok();
        call("get --offset 4 --bits 64").fails(2, "offset 4 is not a multiple of 8");
        call("get --bits 16").fails(2, "expected 32 or 64 bits");
        call("add --by 1x").fails(2, "expected a number from -9223372036854775808");
        call("add --by 2147483648").fails(2, "2147483648 does not fit in 32 bits");
        call("set").arg("99999999999999999999").fails(2, "expected a number from");
        call("set").arg("-2147483649").fails(2, "does not fit in 32 bits");
        call("cas").args(["1", "2147483648"]).fails(2, "does not fit in 32 bits");
        // A wider word cannot be waited for: there is no hint to --bits 64.
        let stderr = call("wait").arg("2147483648").output().stderr;
        let stderr = String::from_utf8(stderr).unwrap();
        assert!(stderr.contains("-2147483648 to 2147483647") && !stderr.contains("hint:"), "{stderr}");
        call("wait --until gt").arg("1").fails(2, "expected eq, ne, ge or le, not 'gt'");
        call("get").stdout("0\n").ok();
    }
}

#[test]
fn missing_object_and_other_kind_fail_with_3() {
    let world = World::new();
    for verb in ["read", "get", "add", "stat", "rm", "set -m 600"] {
        world.call(&format!("shm {verb} @none")).fails(3, "no such shared memory segment (ENOENT)");
        world.call(&format!("shm {verb} /@none")).fails(3, "no such object (ENOENT)");
        world.call(&format!("shm {verb} 2147483647")).fails(3, "no such shared memory segment (EINVAL)");
        world.call(&format!("shm {verb} private")).fails(2, "valid only with the verb create");
    }
    // SAFETY: plain integers.
    #[allow(unsafe_code)]
    let queue = unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) };
    if world.is_own() {
        let words = format!("{queue} is the id of a message queue (EINVAL)");
        for verb in ["read", "get", "add", "stat", "rm", "rm --missing-ok", "set -m 600"] {
            world.call(&format!("shm {verb} {queue}")).fails(3, &words);
        }
    }
    // SAFETY: this command takes no structure.
    #[allow(unsafe_code)]
    unsafe {
        libc::msgctl(queue, libc::IPC_RMID, std::ptr::null_mut());
    }
    // Several targets: all are tried, and the first failure gives the status.
    world.call("shm create @a --size 1").ok();
    world.call("shm rm @none @a /@none").status(3);
    world.call("shm stat @a").fails(3, "no such shared memory segment");
}

#[test]
fn object_of_another_user_is_refused() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    for name in both(&world, "a") {
        world.call("shm create --size 4K").arg(&name).ok();
        let call = |words: &str| world.call(&format!("shm {words}")).arg(&name).user(stranger);
        for verb in ["read", "write", "get", "add", "add --create", "write --create", "wait -n"] {
            let value = verb.starts_with("wait").then_some("0");
            call(verb).args(value).fails(5, "permission denied; owned by root (EACCES)");
        }
        call("set -m 0666").fails(5, "owned by root (EPERM)");
        call("rm").fails(5, "(E");
        call("stat --no-header --columns owner,mode").stdout("root  0600\n").ok();
        // Readable: enough for get, read and wait, and for nothing else.
        world.call("shm set -m 0644").arg(&name).ok();
        call("get").stdout("0\n").ok();
        call("read --length 1").stdout("\0").ok();
        call("wait -n").arg("0").ok();
        for verb in ["set 1", "add 0", "cas 0 1", "write x"] {
            let (verb, value) = verb.split_once(' ').unwrap();
            let values = if verb == "cas" { vec!["0", "1"] } else { vec![value] };
            let values = if verb == "add" { vec![] } else { values };
            call(verb).args(values).fails(5, "permission denied; owned by root (EACCES)");
        }
        // An object that another user created first is not used.
        let theirs = name.clone() + "-theirs";
        let make = world.call("shm add --create -m 0666").arg(&theirs);
        make.user(stranger).stdout("1\n").ok();
        world.call("shm add --create").arg(&theirs).fails(5, "owned by uid 54321");
        world.call("shm write --create").args([&theirs, "x"]).fails(5, "owned by uid 54321");
        world.call("shm create --size 1").arg(&theirs).fails(5, "owned by uid 54321");
        world.call("shm create --size 4K --foreign").arg(&theirs).ok();
        world.call("shm add --create --foreign").arg(&theirs).stdout("2\n").ok();
        world.call("shm rm --force").arg(&theirs).ok();
    }
    // A failed change of the owner changes nothing.
    let own = |line: &str| world.call(line).user(stranger);
    own("shm create /@mine --size 4").ok();
    own("shm set /@mine -m 640 --owner root").fails(5, "only a privileged user can change the owner (EPERM)");
    own("shm stat /@mine --no-header --columns mode").stdout("0600\n").ok();
    own("shm set /@mine -m 640").ok();
    // Processes that may use it and cannot be inspected are counted in a warning.
    for (mode, warns) in [("600", false), ("666", true)] {
        own(&format!("shm create /@shared --size 4 -m {mode}")).ok();
        let removed = own("shm rm /@shared").output();
        assert_eq!(removed.status.code(), Some(0));
        let words = String::from_utf8(removed.stderr).unwrap();
        assert_eq!(words.contains("shm: cannot list every process that uses /"), warns, "{words}");
    }
    world.call("shm create @p --size 4K").ok();
    let pin = world.call("shm set @p --pin").user(stranger);
    pin.fails(5, "owned by root (EPERM)");
}

#[test]
fn pin_beyond_ulimit_l_is_refused() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let name = world.name("a");
    let script = |limit: &str| {
        format!("ulimit -l {limit}; ipcbox shm create {name} --size 1M >/dev/null; ipcbox shm set {name} --pin")
    };
    let words = "the size exceeds what this user may pin (ENOMEM)";
    world.shell(&script("64")).user(stranger).fails(1, words);
    world.shell(&script("0")).user(stranger).fails(5, "this user may not pin memory (EPERM)");
}
