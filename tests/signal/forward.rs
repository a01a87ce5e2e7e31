//! `signal run --forward`, and the steps of `--then` for descendants of CMD.

use nix::sys::signal::Signal;

use crate::support::{Child, World, eventually, lines};

/// A script that reports the signal of three processes: CMD, one of its group, and one in a session of its own.
const THREE: &str = "
    exec >/dev/null 2>&1
    trap 'echo cmd >>log; wait; exit 7' TERM
    sh -c 'trap \"echo group >>log; exit\" TERM; echo >>ready; while :; do sleep 0.02; done' &
    setsid sh -c 'trap \"echo session >>log; exit\" TERM; echo >>ready; while :; do sleep 0.02; done' &
    echo >>ready; while :; do sleep 0.02; done";

fn started(world: &World, options: &str) -> Child {
    let run = world.call(&format!("signal run {options} -- sh -c")).arg(THREE).start();
    let ready = world.dir().join("ready");
    eventually("three are ready", || std::fs::read(&ready).is_ok_and(|text| lines(&text).len() == 3));
    run
}

fn log(world: &World) -> Vec<String> {
    let mut log = lines(&std::fs::read(world.dir().join("log")).unwrap_or_default());
    log.sort_unstable();
    log
}

#[test]
fn forward_chooses_the_processes() {
    for (options, wanted) in [
        ("--forward group", &["cmd", "group"][..]),
        ("--forward tree", &["cmd", "group", "session"]),
        ("--forward cmd --kill-tree", &["cmd"]),
    ] {
        let world = World::new();
        let run = started(&world, options);
        run.signal(Signal::SIGTERM);
        eventually(options, || log(&world) == wanted);
        if wanted.len() == 3 {
            assert_eq!(run.code(), 7);
        } else {
            // CMD waits for the others.
            run.signal(Signal::SIGKILL);
            assert_eq!(run.code(), 137);
        }
        world.shell("for p in /proc/[0-9]*; do [ \"$(readlink $p/cwd)\" != \"$PWD\" ] || [ ${p#/proc/} = $$ ] || kill -KILL ${p#/proc/} || :; done 2>&-; :").output();
    }
}

#[test]
fn time_limit_gives_every_descendant_its_step() {
    let world = World::new();
    let run = started(&world, "--kill-tree --max-time 1 --then TERM:20 --then KILL");
    assert_eq!(run.code(), 124);
    assert_eq!(log(&world), ["cmd", "group", "session"]);
}

#[test]
fn descendants_left_by_cmd_get_the_steps() {
    let world = World::new();
    // The orphan takes a while to clean up after TERM, when CMD has long exited.
    let orphan = "trap 'sleep 0.3; echo cleaned >log; exit' TERM; echo >ready; while :; do sleep 0.02; done";
    let script = "setsid sh -c \"$1\" & until [ -s ready ]; do sleep 0.02; done; exit 5";
    let call = "signal run --kill-tree --max-time 0 --then TERM:20 -- sh -c";
    world.call(call).args([script, "sh", orphan]).status(5);
    assert_eq!(log(&world), ["cleaned"]);
    // An orphan that ignores TERM is killed when its time is over.
    let world = World::new();
    let stubborn = "trap '' TERM; echo $$ >ready; while :; do sleep 0.02; done";
    let call = "signal run --kill-tree --max-time 0 --then TERM:0.2 -- sh -c";
    world.call(call).args([script, "sh", stubborn]).status(5);
    let pid = std::fs::read_to_string(world.dir().join("ready")).unwrap();
    assert!(!std::path::Path::new(&format!("/proc/{}", pid.trim())).exists());
    // Without --then all are killed at once.
    let world = World::new();
    world.call("signal run --kill-tree -- sh -c").args([script, "sh", orphan]).status(5);
    assert_eq!(log(&world), [""; 0]);
}
