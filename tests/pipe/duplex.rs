//! `pipe duplex`.

use super::pipe;
use crate::support::{World, skip};

#[test]
fn two_talk_to_each_other() {
    let world = World::new();
    let client = "echo 42; read x; echo $x >answer";
    let server = "read line; echo $((line))";
    pipe(&["duplex", "--shell", client, server]).dir(world.dir()).ok();
    assert_eq!(std::fs::read_to_string(world.dir().join("answer")).unwrap(), "42\n");
    // More than a pipe holds, both ways.
    let client = "{ head -c 1000000 /dev/zero; exec >&-; } & exec >&-; wc -c >count; wait";
    pipe(&["duplex", "--shell", &client.replace("wc -c >count", "wc -c >&2"), "cat"]).stderr("1000000\n").ok();
}

#[test]
fn two_that_wait_for_each_other_are_told() {
    pipe(&["duplex", "--max-time", "0.3", "--", "cat", ":::", "wc"]).fails(
        124,
        "cat, wc timed out after 300ms (killed by SIGTERM); cat waits to read what wc writes; wc waits to read what cat writes",
    );
    pipe(&["duplex", "--max-time", "0.3", "--", "yes", ":::", "sleep", "1000"])
        .fails(124, "yes waits for sleep to read; sleep waits for neither");
}

#[test]
fn it_ends_as_run_does() {
    pipe(&["duplex", "--", "true", ":::", "sh", "-c", "exit 3"]).status(3);
    pipe(&["duplex", "--", "yes", ":::", "true"]).ok();
    pipe(&["duplex", "--", "true", ":::", "yes"]).ok();
    pipe(&["duplex", "--", "true"]).fails(125, "it takes two commands, not 1");
    pipe(&["duplex", "--", "a", ":::", "b", ":::", "c"]).fails(125, "it takes two commands, not 3");
    pipe(&["duplex", "--", "true", ":::", "no-such-command"]).fails(127, "command not found");
}

#[test]
fn nothing_is_claimed_without_proc() {
    let world = World::new();
    let unshared = |script: &str| world.program("unshare").args(["-rm", "sh", "-c", script]);
    if !unshared("mount -t tmpfs none /proc").output().status.success() {
        return skip("/proc cannot be covered here");
    }
    let duplex = "exec ipcbox pipe duplex --max-time 0.3 -- cat ::: sleep 1000";
    let told = "/proc does not show what cat waits for; /proc does not show what sleep waits for";
    unshared(&format!("mount -t tmpfs none /proc; {duplex}")).fails(124, told);
    // Nor where it is that of another pid namespace, whose numbers are others.
    let foreign = world.program("unshare").args(["-rpf", "sh", "-c", duplex]);
    foreign.fails(124, "/proc does not show what sleep waits for");
}
