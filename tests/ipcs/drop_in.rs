//! Output of util-linux's `ipcs` and `ipcrm`, byte for byte.

use super::{beside_objects, has};
use crate::support::{BINARY, Call, World, skip};

/// Compares both in the calls of a part; prints differences.
const COMPARE: &str = r#"
bad=0
same() {
    ipcs "$@" >theirs 2>/dev/null; bin/ipcs-lite "$@" >ours 2>errors || { echo "fails: $*"; cat errors; bad=1; }
    cmp -s theirs ours || { echo "differs: $*"; diff theirs ours | cat -A; bad=1; }
}
"#;

/// Every output option before and after `$kind`.
const OUTPUTS: &str = r"
for what in '' -t -p -c -l -u -b --human '-l --human' '-u --human' '-p -t' '-t -p' '-b --human' '--human -b' \
    -lb '-b -l' '-u -b' '-l --human -b' '-b -u --human' '--bytes --limits' '--human --summary' \
    --time --pid --creator --limits --summary --bytes '-ct' '-uc'; do
    same $kind $what; same $what $kind
done
";

/// One object at a time, and every abbreviation of a long option.
const OTHERS: [&str; 2] = [
    r"
for kind in -q -m -s; do
    for id in $(command ipcs $kind | awk '$2 ~ /^[0-9]+$/ { print $2 }'); do
        same $kind -i $id; same -i $id $kind --human; same $kind --id=$id -b
    done
done
",
    r#"
for name in shmems queues semaphores all time pid creator limits summary human bytes; do
    while [ "$name" ]; do
        if ipcs --$name >/dev/null 2>&1; then same --$name
        elif bin/ipcs-lite --$name >/dev/null 2>&1; then echo "taken: --$name"; bad=1; fi
        name=${name%?}
    done
done
"#,
];

#[test]
fn tables_match_util_linux() {
    if !has("ipcs") {
        return;
    }
    let kinds = ["", "-q", "-m", "-s", "-a", "-qs", "-sm", "-mqs", "--queues", "--shmems --semaphores", "--all"];
    let tables = kinds.iter().map(|kind| format!("kind='{kind}'\n{OUTPUTS}"));
    for part in tables.chain(OTHERS.map(str::to_owned)) {
        let world = World::new();
        // `--install` creates links only for applets; the system's ipcs is still found.
        world.shell("true").ok();
        let script = format!("{COMPARE}{part}exit $bad");
        let Some(full) = beside_objects(&world, &script) else { return };
        full.stdout("").ok();
        world.program("/bin/sh").args(["-c", &script]).stdout("").ok();
    }
}

/// Names, POSIX rules with daylight saving time of both hemispheres, leap seconds, and invalid time zones.
const ZONES: &[&str] = &[
    "UTC",
    "",
    ":",
    "America/St_Johns",
    ":Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Africa/Casablanca",
    "right/Europe/Berlin",
    "posix/America/New_York",
    ":/usr/share/zoneinfo/Asia/Tokyo",
    "/usr/share/zoneinfo/Europe/London",
    "EST5EDT",
    "EST5EDT,M3.2.0,M11.1.0",
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "AEST-10AEDT,M10.1.0,M4.1.0/3",
    "NZST-12NZDT,J300,J60",
    "XYZ-1XYD,0/0,365/25",
    "<+0330>-3:30",
    "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1",
    "UTC+24:59:59",
    "Nowhere/At_All",
    "nonsense",
    "A1",
    ":/dev/null",
    ":/dev/zero",
    "/dev/full",
    ":/proc/self/mem",
    ":/etc",
    "../../../etc/passwd",
];

#[test]
fn times_are_in_the_time_zone_of_the_user() {
    if !has("ipcs") {
        return;
    }
    let world = World::new();
    world.file("zones", &format!("{}\n", ZONES.join("\n")));
    // A file that is no time zone is refused at once, not read whole.
    let script = r#"ulimit -v 500000; bin/ipcs-lite -J >utc
        while IFS= read -r TZ; do
            export TZ
            ipcs -t >theirs; bin/ipcs-lite -t | cmp -s theirs - || echo "differs: $TZ"
        done <zones
        for kind in -q -m -s; do TZ=NZST-12NZDT,J300,J60; export TZ
            ipcs $kind -i 0 >theirs; bin/ipcs-lite $kind -i 0 | cmp theirs -
        done
        bin/ipcs-lite -J | tee json | cmp utc -
        grep -cE '"change_time":"20[0-9-]{8}T[0-9:]{8}Z"' json"#;
    world.shell("true").ok();
    let Some(call) = beside_objects(&world, script) else { return };
    call.stdout("7\n").ok();
}

/// A chroot or a container may have no `/proc`.
#[test]
fn every_table_needs_no_proc() {
    let world = World::new();
    if !has("ipcs") || !world.is_own() {
        return;
    }
    let script = format!(
        r#"mount -t tmpfs none /proc || exit 7
        ipcmk -M 9; ipcmk -Q; ipcmk -S 1
        for o in '' -a -t -p -c -u -l -b --human '-l -b' '-l --human' '-m -i 0' '-q -i 0' '-s -i 0'; do
            ipcs $o >theirs; {BINARY} ipcs $o >ours 2>&1 || echo "fails: $o"; diff theirs ours
        done
        for o in '-l --json' '-l -P --json' '-u --json'; do
            {BINARY} ipcs-lite $o | grep -c max_segments.:4096
        done"#
    );
    let output = Call::new("unshare").args(["-m", "sh", "-c", &script]).dir(world.dir()).output();
    if output.status.code() == Some(7) {
        return skip("it needs the right to mount");
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let found: Vec<&str> = text.lines().filter(|line| !line.contains(" id: ")).collect();
    assert_eq!(found, ["1", "1", "0"], "{text}");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// If the kernel refuses, the message names the limits that could not be read.
#[test]
fn refused_limits_are_named() {
    let world = World::new();
    for (kind, call) in [("-m", "shmctl"), ("-q", "msgctl"), ("-s", "semctl")] {
        for options in ["-l", "-u", "-l -J", "-u -J"] {
            let Some(traced) = world.injected(&format!("{call}:error=EPERM")) else { return };
            let line = format!("ipcs-lite {options} {kind}");
            let words = "cannot read the limits of";
            traced.args(line.split(' ')).fails(5, words);
        }
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
fn missing_id_is_status_3() {
    let world = World::new();
    for kind in ["-q", "-m", "-s"] {
        world.call(&format!("ipcs {kind} -i 2147483647")).fails(3, "no such");
        world.call(&format!("ipcs {kind} -i 5x")).fails(2, "expected an id");
        world.call(&format!("ipcs {kind} -i 99999999999999999999")).fails(2, "expected an id");
    }
    world.call("ipcs -i 0").fails(2, "--id needs -q, -m or -s");
    world.call("ipcs -q -s -i 0").fails(2, "--id needs -q, -m or -s");
    world.call("ipcs-lite 2147483647").fails(3, "no such object");
    world.call("ipcs-lite 0x0").fails(2, "private objects share key 0");
    world.call("ipcs-lite -Z").fails(2, "no option '-Z'");
    world.call("ipcs-lite --leaks make -j").fails(2, "no option '-j'");
    // Only --leaks has a CMD, and status 125.
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
fn removal_prints_what_util_linux_prints() {
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
            let printed: Vec<&str> = stderr.lines().filter(|line| !line.starts_with("hint: ")).collect();
            let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
            (format!("{line}: {stdout}{}", printed.join("\n")), output.status.success())
        };
        LINES.lines().filter(|text| !text.is_empty()).map(line).collect()
    };
    assert_eq!(run("ipcrm"), run("ours"));
}

/// The one difference: util-linux refuses a word after an option, but removes the object of the option.
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
        let printed = String::from_utf8_lossy(&theirs.stderr).into_owned();
        assert!(!theirs.status.success() && printed.contains(&words), "{printed}");
        Call::new("/bin/sh").args(["-c", "ipcrm -a"]).ok();
        let _fresh = World::new();
        Call::new("/bin/sh").args(["-c", make]).ok();
        world.call(&format!("ipcrm {line}")).stdout("").ok();
    }
}

#[test]
fn objects_of_another_user_are_status_5() {
    let world = World::new();
    let (Some(uid), true) = (world.stranger(), world.is_own()) else { return };
    world.shell("ipcmk -Q >/dev/null; ipcmk -M 10 >/dev/null; ipcmk -S 1 >/dev/null").ok();
    let as_stranger = |line: &str| world.call(line).user(uid);
    as_stranger("ipcrm -q 0").fails(5, "permission denied for id (0)");
    as_stranger("ipcrm-lite --msg 0").fails(5, "cannot remove 0: owned by root");
    // An object that the caller may read is refused, and one that it may not read is skipped, as by util-linux.
    world.shell("ipcmk -Q -p 600; ipcmk -M 10 -p 600; ipcmk -S 1 -p 600").ok();
    for line in ["-a", "-v -a", "-ashm", "-amsg -v", "--all=sem"] {
        let theirs = world.program("/usr/bin/env").args(["ipcrm"]).args(line.split(' ')).user(uid);
        let (theirs, ours) = (theirs.output(), as_stranger(&format!("ipcrm {line}")).output());
        assert_eq!((theirs.status.code(), ours.status.code()), (Some(1), Some(5)), "{line}");
        assert_eq!(theirs.stdout, ours.stdout, "{line}");
        assert_eq!(theirs.stderr, ours.stderr, "{line}");
    }
    world.call("ipcrm -a").stdout("").ok();
    world.call("ipcs-lite -J").stdout("").ok();
}

#[test]
fn private_objects_of_others_are_passed_over() {
    let world = World::new();
    let (Some(uid), true) = (world.stranger(), world.is_own()) else { return };
    let as_stranger = |line: &str| world.call(line).user(uid);
    world.shell("for n in 1 2; do ipcmk -Q -p 600; ipcmk -M 10 -p 600; ipcmk -S 1 -p 600; done").ok();
    let others = world.call("ipcs-lite -J").ok();
    for line in ["-a", "-ashm", "-amsg", "--all=sem", "-v -a", "-a --dry-run", "-asem -J"] {
        as_stranger(&format!("ipcrm {line}")).stdout("").ok();
    }
    // The caller's own objects are removed, even if their mode keeps the owner from reading them.
    for line in ["-Q -p 0", "-M 9 -p 0", "-S 1 -p 0"] {
        world.program("ipcmk").args(line.split(' ')).user(uid).ok();
    }
    assert_eq!(as_stranger("ipcrm -a --dry-run -J").ok().lines().count(), 3);
    as_stranger("ipcrm -a").stdout("").ok();
    assert_eq!(world.call("ipcs-lite -J").ok(), others);
    as_stranger("ipcrm -q 0").fails(5, "permission denied for id (0)");
}
