//! What util-linux's `ipcs` and `ipcrm` print, to the byte.

use super::{beside_objects, has};
use crate::support::{Call, World};

/// Compares both for every kind and every output option; prints what differs.
const COMPARE: &str = r#"
bad=0
same() {
    ipcs "$@" >theirs 2>/dev/null; bin/ipcs-lite "$@" >ours 2>errors || { echo "fails: $*"; cat errors; bad=1; }
    cmp -s theirs ours || { echo "differs: $*"; diff theirs ours | cat -A; bad=1; }
}
for kind in '' -q -m -s -a -qs -sm -mqs --queues '--shmems --semaphores' --all; do
    for what in '' -t -p -c -l -u -b --human '-l --human' '-u --human' '-p -t' '-t -p' '-b --human' '--human -b' \
        -lb '-b -l' '-u -b' '-l --human -b' '-b -u --human' '--bytes --limits' '--human --summary' \
        --time --pid --creator --limits --summary --bytes '-ct' '-uc'; do
        same $kind $what; same $what $kind
    done
done
for kind in -q -m -s; do
    for id in $(command ipcs $kind | awk '$2 ~ /^[0-9]+$/ { print $2 }'); do
        same $kind -i $id; same -i $id $kind --human; same $kind --id=$id -b
    done
done
for name in shmems queues semaphores all time pid creator limits summary human bytes; do
    while [ "$name" ]; do
        if ipcs --$name >/dev/null 2>&1; then same --$name
        elif bin/ipcs-lite --$name >/dev/null 2>&1; then echo "taken: --$name"; bad=1; fi
        name=${name%?}
    done
done
exit $bad
"#;

#[test]
fn every_table_is_that_of_util_linux() {
    let world = World::new();
    if !has("ipcs") {
        return;
    }
    // `--install` makes links for the applets alone; the system's ipcs is still found.
    world.shell("true").ok();
    let Some(full) = beside_objects(&world, COMPARE) else { return };
    full.stdout("").ok();
    world.program("/bin/sh").args(["-c", COMPARE]).stdout("").ok();
}

#[test]
fn times_are_those_of_the_users_time_zone() {
    if !has("ipcs") {
        return;
    }
    for zone in ["UTC", "", "America/St_Johns", ":Asia/Kathmandu", "EST5EDT", "<+0330>-3:30"] {
        let world = World::new();
        let script =
            "ipcs -t >theirs; bin/ipcs-lite -t | cmp theirs -; bin/ipcs-lite -J | grep -c Z";
        world.shell("true").ok();
        let Some(call) = beside_objects(&world, script) else { return };
        call.env("TZ", zone).stdout("7\n").ok();
    }
}

#[test]
fn limits_do_not_overflow() {
    let world = World::new();
    if !has("ipcs") || !world.is_own() {
        return;
    }
    let script = r"
        for n in 0 1 1023 4096 4611686018427387903 4611686018427387904 18446744073692774399 18446744073709551615; do
            echo $n >/proc/sys/kernel/shmall && echo $n >/proc/sys/kernel/shmmax || exit 0
            for o in '' -b --human; do ipcs -lm $o >theirs; bin/ipcs-lite -lm $o | cmp theirs - || exit 1; done
        done
        bin/ipcs-lite -lm -J | grep -q max_size.:18446744073709551615,";
    world.shell("true").ok();
    world.program("/bin/sh").args(["-c", script]).ok();
}

#[test]
fn an_id_that_is_not_there_is_status_3() {
    let world = World::new();
    for kind in ["-q", "-m", "-s"] {
        world.call(&format!("ipcs {kind} -i 2147483647")).fails(3, "no such");
        world.call(&format!("ipcs {kind} -i 5x")).fails(2, "an id is a number");
        world.call(&format!("ipcs {kind} -i 99999999999999999999")).fails(2, "an id is a number");
    }
    world.call("ipcs -i 0").fails(2, "one kind is to be chosen");
    world.call("ipcs -q -s -i 0").fails(2, "one kind is to be chosen");
    world.call("ipcs-lite 2147483647").fails(3, "no such object");
    world.call("ipcs-lite 0x0").fails(2, "key 0");
    world.call("ipcs-lite -Z").fails(2, "no option '-Z'");
    world.call("ipcs-lite --leaks make -j").fails(2, "a command comes after '--'");
    // Only --leaks has a command whose status is to be told from the box's own.
    world.call("ipcs-lite -i -- -5 -q").fails(2, "");
    world.call("ipcs-lite --leaks --no-such -- true").fails(125, "--no-such");
}

/// Lines of `ipcrm` and whether util-linux succeeds.
const LINES: &str = r"
shm 0
shm 9 8
msg 0 7
shm x
shm -1
-v -q 1 -m 1
-q 55
-Q 0x55
-Q 0
-Q 0x0
-M 5x
-q 5x
-q -1
-q 99999999999999999999
-Q 0xfffffffff
-S 077
-S -5
--shmem-id 7 --queue-id 8 --semaphore-id 9
--queue-i 7 --shmem-k 0x77 --semaphore-i=9
--verb -q 1 --al=sem
-m 010
-v --all=shm
-asem -v
-v -a
-v -M 0x23 -Q 041 -S 34
";

#[test]
fn removal_says_what_util_linux_says() {
    let world = World::new();
    if !has("ipcrm") || !world.is_own() {
        return;
    }
    let make = r"
        for n in 1 2; do ipcmk -Q; ipcmk -M 10; ipcmk -S 1; done";
    let run = |program: &str| -> Vec<(String, bool)> {
        let fresh = World::new();
        fresh.shell(make).ok();
        let line = |line: &str| {
            let call = if program == "ipcrm" { Call::new(program) } else { fresh.call("ipcrm") };
            let output = call.args(line.split_whitespace()).output();
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            let told: Vec<&str> =
                stderr.lines().filter(|line| !line.starts_with("hint: ")).collect();
            let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
            (format!("{line}: {stdout}{}", told.join("\n")), output.status.success())
        };
        LINES.lines().filter(|text| !text.is_empty()).map(line).collect()
    };
    assert_eq!(run("ipcrm"), run("ours"));
}

/// The one difference: util-linux refuses a word after an option, when it has removed what the option names.
#[test]
fn word_after_an_option_is_a_named_difference() {
    let world = World::new();
    if !has("ipcrm") || !world.is_own() {
        return;
    }
    for (line, word) in [("-m 0 2", "2"), ("-q 0 -s 0 1 2", "1")] {
        let make = "for n in 0 1 2; do ipcmk -Q; ipcmk -M 10; ipcmk -S 1; done";
        let _fresh = World::new();
        Call::new("/bin/sh").args(["-c", make]).ok();
        let words = format!("unknown argument: {word}");
        let theirs = Call::new("ipcrm").args(line.split(' ')).output();
        let told = String::from_utf8_lossy(&theirs.stderr).into_owned();
        assert!(!theirs.status.success() && told.contains(&words), "{told}");
        Call::new("/bin/sh").args(["-c", "ipcrm -a"]).ok();
        let _fresh = World::new();
        Call::new("/bin/sh").args(["-c", make]).ok();
        world.call(&format!("ipcrm {line}")).stdout("").ok();
    }
}

#[test]
fn somebody_elses_objects_are_status_5() {
    let world = World::new();
    let (Some(uid), true) = (world.stranger(), world.is_own()) else { return };
    world.shell("ipcmk -Q >/dev/null; ipcmk -M 10 >/dev/null; ipcmk -S 1 >/dev/null").ok();
    let as_stranger = |line: &str| world.call(line).user(uid);
    as_stranger("ipcrm -q 0").fails(5, "permission denied for id (0)");
    as_stranger("ipcrm-lite --msg 0").fails(5, "cannot remove 0: it belongs to root");
    let all = as_stranger("ipcrm -a").output();
    assert_eq!(all.status.code(), Some(5));
    assert_eq!(String::from_utf8_lossy(&all.stderr).lines().count(), 3);
    world.call("ipcrm -a").stdout("").ok();
    world.call("ipcs-lite -J").stdout("").ok();
}
