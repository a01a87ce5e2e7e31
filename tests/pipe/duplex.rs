//! `pipe duplex`.

use super::pipe;
use crate::support::{World, skip};

#[test]
fn commands_exchange_data_both_ways() {
    let world = World::new();
    let client = "echo 42; read x; echo $x >answer";
    let server = "read line; echo $((line))";
    pipe(&["duplex", "--shell", client, server]).dir(world.dir()).ok();
    assert_eq!(std::fs::read_to_string(world.dir().join("answer")).unwrap(), "42\n");
    // More data than a pipe holds, both ways.
    let client = "{ head -c 1000000 /dev/zero; exec >&-; } & exec >&-; wc -c >count; wait";
    pipe(&["duplex", "--shell", &client.replace("wc -c >count", "wc -c >&2"), "cat"]).stderr("1000000\n").ok();
}

#[test]
fn timeout_reports_which_command_was_blocked() {
    pipe(&["duplex", "--max-time", "0.3", "--", "cat", ":::", "wc"]).fails(
        124,
        "cat, wc timed out after 300ms (killed by SIGTERM); \
         cat was blocked reading from wc; wc was blocked reading from cat",
    );
    pipe(&["duplex", "--max-time", "0.3", "--", "yes", ":::", "sleep", "1000"])
        .fails(124, "yes was blocked writing to sleep; sleep was not blocked");
}

#[test]
fn duplex_returns_the_last_failure() {
    pipe(&["duplex", "--", "true", ":::", "sh", "-c", "exit 3"]).status(3);
    pipe(&["duplex", "--", "yes", ":::", "true"]).ok();
    pipe(&["duplex", "--", "true", ":::", "yes"]).ok();
    pipe(&["duplex", "--", "true"]).fails(125, "duplex takes 2 commands, not 1");
    pipe(&["duplex", "--", "a", ":::", "b", ":::", "c"]).fails(125, "duplex takes 2 commands, not 3");
    pipe(&["duplex", "--", "true", ":::", "no-such-command"]).fails(127, "command not found");
}

#[test]
fn hidden_proc_is_reported_as_unknown() {
    let world = World::new();
    let unshared = |script: &str| world.program("unshare").args(["-rm", "sh", "-c", script]);
    if !unshared("mount -t tmpfs none /proc").output().status.success() {
        return skip("/proc cannot be covered here");
    }
    let duplex = "exec ipcbox pipe duplex --max-time 0.3 -- cat ::: sleep 1000";
    let shown = "/proc does not show whether cat was blocked; /proc does not show whether sleep was blocked";
    unshared(&format!("mount -t tmpfs none /proc; {duplex}")).fails(124, shown);
    // A /proc of another pid namespace has other pids.
    let foreign = world.program("unshare").args(["-rpf", "sh", "-c", duplex]);
    foreign.fails(124, "/proc does not show whether sleep was blocked");
}
