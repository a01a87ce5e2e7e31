//! `signal run --kill-tree` and `--reap`, under limits that contain a failure.

use super::{HIDES, contained};
use crate::support::{BINARY, Call, World, lines};

#[test]
fn children_from_before_are_not_killed() {
    let world = World::new();
    let script = "sleep 100 >&- 2>&- & echo $! >before; exec ipcbox signal run --kill-tree -- sh -c 'sleep 100 & setsid sleep 100 & exit 5'";
    world.shell(script).status(5);
    let before = std::fs::read_to_string(world.dir().join("before")).unwrap();
    let pid = before.trim();
    assert!(std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == "sleep\n"));
    world.call(&format!("signal send KILL {pid}")).ok();
}

/// Lists the puppets that still run.
const LEFT: &str = "left() { grep -lsx puppet /proc/[0-9]*/comm; }";

#[test]
fn kill_tree_leaves_nothing_of_fast_forkers() {
    let world = World::new();
    let script = format!(
        "{LEFT}
        n=0
        while [ $n -lt 100 ]; do
            s=0; $BOX signal run --kill-tree -- $PUPPET monster 60 || s=$?
            [ $s = 7 ] || {{ echo status $s; exit 1; }}
            ! left
            n=$((n+1))
        done
        echo $n"
    );
    let Some(call) = contained(&world, 60, false, &script) else { return };
    let output = call.output();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed, "100\n", "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn fast_forker_is_killed_by_timeout_and_signals() {
    let world = World::new();
    let script = format!(
        "{LEFT}
        s=0; $BOX signal run --kill-tree --max-time 0.1 --then TERM:0.05 -- $PUPPET monster 2000 2>err || s=$?
        ! left; echo $s
        for sig in HUP INT TERM USR1 ALRM RTMIN; do
            $BOX signal run --kill-tree --default INT -- sh -c '$PUPPET monster 3000 & $PUPPET monster 3000 & echo ready >ready; exec sleep 100' & pid=$!
            until [ -s ready ]; do :; done
            $BOX signal send $sig $pid; s=0; wait $pid || s=$?
            ! left; rm ready; echo $s
        done"
    );
    let Some(call) = contained(&world, 90, false, &script) else { return };
    let output = call.output();
    let printed = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(printed, "124\n129\n130\n143\n138\n142\n162\n", "{error}");
}

#[test]
fn few_descriptors_are_enough() {
    let world = World::new();
    let script = "s=0
        (ulimit -n 6; exec $BOX signal run --kill-tree -- sh -c '
            for n in 1 2 3 4 5 6 7 8 9; do setsid sleep 100 & done; exit 7') || s=$?
        ! grep -lsx sleep /proc/[0-9]*/comm; echo $s";
    let Some(call) = contained(&world, 60, false, script) else { return };
    call.stdout("7\n").ok();
}

#[test]
fn kill_tree_without_its_own_proc_is_refused() {
    let world = World::new();
    // The pid namespace is new, /proc is not.
    let user = if nix::unistd::geteuid().is_root() { &[][..] } else { &["--user", "--map-root-user"] };
    let unshare = || Call::new("unshare").args(user).args(["--pid", "--fork"]);
    if !unshare().arg("true").output().status.success() {
        crate::support::skip("no pid namespace can be created here");
        return;
    }
    let run = |options: &[&str]| unshare().arg(BINARY).args(["signal", "run"]).args(options).args(["--", "true"]);
    run(&["--kill-tree"]).fails(125, "--kill-tree needs the /proc of this pid namespace");
    run(&["--reap"]).ok();
    drop(world);
}

#[test]
fn init_reaps_a_thousand_orphans() {
    let world = World::new();
    // With each option that makes ipcbox stay, it is init and reaps.
    let script = "
        exec $BOX signal run $WAY -- sh -euc '
            $PUPPET orphans 1000
            [ $(cat /proc/1/comm) = ipcbox ]
            left() { grep -ls \"^State:.Z\" /proc/[0-9]*/status; }
            n=0; while left >/dev/null; do n=$((n+1)); [ $n -lt 2000 ]; done
            exit 9'
    ";
    for way in ["--reap", "--map TERM=INT"] {
        let Some(call) = contained(&world, 60, false, script) else { return };
        call.env("WAY", way).stdout("").status(9);
    }
}

#[test]
fn orphans_below_an_ordinary_process_are_reaped() {
    let world = World::new();
    let script = "
        $BOX signal run --reap -- sh -euc '
            $PUPPET orphans 200
            n=0; while grep -ls \"^State:.Z\" /proc/[0-9]*/status >/dev/null; do n=$((n+1)); [ $n -lt 2000 ]; done
            sh -c \"sleep 100 & echo \\$! >orphan\"
            [ $(cut -d\" \" -f4 /proc/$(cat orphan)/stat) = $PPID ]; kill $(cat orphan)'
    ";
    let Some(call) = contained(&world, 60, false, script) else { return };
    call.stdout("").ok();
}

#[test]
fn run_works_as_init_of_a_container() {
    let world = World::new();
    // The kernel drops signals for which init has no handler; ipcbox gets them all, and dies by none.
    let script = "exec $BOX signal run --map TERM=INT -- sh -euc '
        int() { echo INT; n=$((n + 1)); if [ $n = 1 ]; then $BOX signal send TERM 1; else kill -HUP 1; fi; }
        hup() { echo HUP; exit 3; }
        n=0; trap int INT; trap hup HUP
        kill -TERM 1; while :; do sleep 0.01; done'";
    let Some(call) = contained(&world, 60, false, script) else { return };
    call.stdout("INT\nINT\nHUP\n").status(3);
    for (end, status) in [("kill -TERM $$", 143), ("kill -KILL $$", 137), ("exit 5", 5)] {
        let script = format!("exec $BOX signal run --reap --kill-tree -- sh -c 'setsid sleep 100 & {end}'");
        let Some(call) = contained(&world, 60, false, &script) else { return };
        let output = call.output();
        assert_eq!(output.status.code(), Some(status), "{end}");
    }
}

#[test]
fn unkillable_descendants_are_reported() {
    let world = World::new();
    if !nix::unistd::geteuid().is_root() {
        crate::support::skip("only root can start what an ordinary user may not kill");
        return;
    }
    // A root process below an ipcbox of an ordinary user, started by a set-uid program. It may also be hidden.
    // Beside it runs a chain of processes that each start the next one and exit, until one is stopped.
    for hides in HIDES {
        let script = format!(
            "cp $(command -v setpriv) su; chmod 4755 su; chmod 777 .; {hides}
            s=0; setpriv --reuid=54398 --regid=54398 --clear-groups $BOX signal run --kill-tree -- sh -c './su --ruid=0 sh -c \"touch up; exec sleep 77\" & until [ -e up ]; do :; done; f() {{ f & }}; f; exit 2' 2>err || s=$?
            read a b c d before </proc/loadavg; for i in 1 2 3 4 5 6 7 8 9; do /bin/true; done; read a b c d after </proc/loadavg
            echo $((after - before)); grep -c 'operation not permitted (EPERM)' err; echo $s; rm up; grep -lsx sleep /proc/[0-9]*/comm | wc -l"
        );
        let Some(call) = contained(&world, 60, true, &script) else { return };
        assert_eq!(lines(call.ok().as_bytes()), ["9", "1", "2", "1"], "{hides}");
    }
}
