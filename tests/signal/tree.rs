use nix::sys::signal::Signal;

use super::{HIDES, Puppet, contained, puppet_in, reports_reaped, ways_to_many};
use crate::support::{World, eventually, holds, lines};

#[test]
fn whole_tree_is_signalled() {
    let world = World::new();
    let Some(puppet) = puppet_in(&world) else { return };
    // Three levels: the deepest ignores TERM, and one was stopped before.
    let script = format!("sh -c '{puppet} pending >&- & sleep 100 & kill -STOP $!; echo $!; wait' & wait");
    let mut root = Puppet::shell(&script);
    let (pid, stopped) = (root.pid(), root.1.clone());
    let children = || world.call(&format!("signal send 0 {pid} --tree --dry-run --columns pid")).ok();
    eventually("all are there", || children().lines().count() == 4);
    let all: Vec<String> = children().lines().map(str::to_owned).collect();
    let state = |pid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").map(|(_, rest)| rest.chars().next().unwrap())
    };
    eventually("one is stopped", || state(&stopped) == Some('T'));
    world.call(&format!("signal send 0 {pid} --tree")).ok();
    for one in &all {
        assert_eq!(state(one) == Some('T'), *one == stopped, "{one}");
    }
    // A signal that stops leaves the tree stopped.
    world.call(&format!("signal send STOP {pid} --tree")).ok();
    for one in &all {
        eventually("they are stopped", || state(one) == Some('T'));
    }
    world.call(&format!("signal send CONT {pid} --tree")).ok();
    let printed = world.call(&format!("signal send TERM {pid} --tree --wait 20s --then KILL")).ok();
    assert_eq!(printed.lines().count(), 4, "{printed}");
    assert_eq!(root.status(), 143);
}

#[test]
fn tree_with_ipcbox_in_it_is_refused() {
    let world = World::new();
    let script = "ipcbox signal send KILL $$ --tree; echo $?; sh -c 'ipcbox signal send KILL $PPID --tree; echo $?; :'; \
                  sleep 100 & ipcbox signal send KILL $! $$ --tree || kill -0 $! && kill $!";
    let output = world.shell(&format!("set +e; {script}")).output();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "2\n2\n");
    let printed = String::from_utf8(output.stderr).unwrap();
    assert_eq!(printed.matches("ipcbox itself is in it").count(), 3, "{printed}");
}

/// A process that may not be signalled, or not even be seen, is reported; all others are signalled.
#[test]
fn hidden_process_of_a_tree_is_reported() {
    let world = World::new();
    if !nix::unistd::geteuid().is_root() {
        crate::support::skip("only root can start what an ordinary user may not signal");
        return;
    }
    for hides in HIDES {
        let script = format!(
            "cp $(command -v setpriv) su; chmod 4755 su; chmod 777 .; rm -f up; as='setpriv --reuid=54397 --regid=54397 --clear-groups'
            $as sh -c 'sleep 71 & ./su --ruid=0 sh -c \"touch up; exec sleep 72\" & exec sleep 70' >&- 2>&- &
            {hides}
            until [ -e up ] && [ $(grep -lsx sleep /proc/[0-9]*/comm | wc -l) = 3 ]; do :; done
            s=0; $as $BOX signal send TERM $! --tree --dry-run >out 2>err || s=$?; echo $s; wc -l <out; wc -l <err
            s=0; $as $BOX signal send TERM $! --tree 2>err || s=$?; echo $s; grep -c '^signal: cannot send TERM to .*(EPERM)' err
            until [ $(grep -lsx sleep /proc/[0-9]*/comm | wc -l) = 1 ]; do :; done"
        );
        let Some(call) = contained(&world, 60, true, &script) else { return };
        assert_eq!(lines(call.ok().as_bytes()), ["5", "2", "1", "5", "1"], "{hides}");
    }
}

/// A tree or group is signalled whole or not at all.
#[test]
fn tree_beyond_the_descriptors_is_not_signalled() {
    let world = World::new();
    let script = "n=0; while [ $n -lt 30 ]; do sleep 100 >&- & n=$((n+1)); done; echo $$; wait";
    for way in ways_to_many() {
        let mut setsid = std::process::Command::new("setsid");
        let mut root = Puppet::start(setsid.args(["sh", "-c", script]));
        let pid = root.pid();
        let limited = |limit: &str, words: &str| {
            let words = format!("{pid} {way} {words} --columns pid");
            world.shell(&format!("ulimit {limit} 20; exec ipcbox signal send TERM {words}"))
        };
        let printed = "not enough file descriptors for all processes; none was signalled (EMFILE)";
        limited("-n", "--dry-run").fails(1, printed);
        limited("-n", "--wait 20s").fails(1, printed);
        // No process is left stopped.
        let states = world.program("ps").args(["-o", "stat=", "-g", &pid.to_string()]).ok();
        assert!(states.lines().count() == 31 && !states.contains(['T', 'Z']), "{states}");
        assert_eq!(limited("-Sn", "--dry-run").ok().lines().count(), 31);
        assert_eq!(limited("-Sn", "--wait 20s").ok().lines().count(), 31);
        assert_eq!(root.status(), 143);
    }
}

#[test]
fn growing_tree_is_signalled_whole() {
    let world = World::new();
    let script = "
        n=0
        while [ $n -lt 30 ]; do
            # The root never exits by itself while its descendants run.
            sh -c 'n=0; while [ $n -lt 40 ]; do sleep 30 & n=$((n+1)); done; wait' &
            until [ $(cat /proc/$!/task/$!/children | wc -w) -gt 5 ]; do :; done
            $BOX signal send KILL $! --tree --wait 20s >out
            wait $! || :
            n=$((n+1))
            ! grep -lsx sleep /proc/[0-9]*/comm
        done
        echo $n
    ";
    let Some(call) = contained(&world, 90, false, script) else { return };
    let output = call.output();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed, "30\n", "{}", String::from_utf8_lossy(&output.stderr));
}

/// A process forks right after the first pass of the walk, which needs another pass.
#[test]
fn process_forked_during_the_walk_is_signalled() {
    let world = World::new();
    let state = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next())
    };
    for signal in ["KILL", "STOP"] {
        let Some(mut puppet) = Puppet::be(&["continued"]) else { return };
        let pid = puppet.pid();
        let path = format!("/proc/{pid}/task/{pid}/stat");
        let strace = world.injected_at(&path, "openat:delay_enter=2000000");
        let Some(strace) = strace else { return };
        let words = format!("signal send {signal} {pid} --tree");
        let send = strace.args(words.split(' ')).start();
        eventually("the first pass is over", || {
            state(pid) == Some('T') && state(send.pid()) == Some('t') && holds(|| state(send.pid()) == Some('t'))
        });
        crate::support::signal(pid, Signal::SIGCONT);
        let forked: i32 = puppet.line().parse().unwrap();
        crate::support::signal(pid, Signal::SIGSTOP);
        assert_eq!(send.code(), 0);
        let is_done = |pid| {
            if signal == "STOP" { state(pid) == Some('T') } else { state(pid).is_none_or(|state| state == 'Z') }
        };
        eventually("both are signalled", || is_done(pid) && is_done(forked));
        world.call(&format!("signal send KILL {forked} --missing-ok")).ok();
    }
}

/// The first signal itself can make a process fork.
#[test]
fn process_forked_before_the_next_step_is_signalled() {
    let world = World::new();
    let script = "trap 'sleep 100 >&- & echo $!' TERM; sleep 100 & echo ready; while :; do wait; done";
    let mut root = Puppet::shell(script);
    let words = format!("signal send TERM {} --tree --wait 0.5 --then KILL", root.pid());
    let printed = world.call(&words).ok();
    let forked = root.line();
    assert_eq!(root.status(), 137);
    assert!(reports(&world, &printed, &format!("{forked}  killed  137  KILL\n")), "{printed}");
}

/// Whether a report has this line, or the one without status that older kernels allow for.
fn reports(world: &World, printed: &str, line: &str) -> bool {
    let pid = line.split_whitespace().next().unwrap();
    printed.contains(line) || !reports_reaped(world) && printed.contains(&format!("{pid}  ended  -\n"))
}

#[test]
fn below_spares_the_calling_script() {
    let world = World::new();
    // A child in its own session, and a grandchild. The script itself ignores no signal and survives.
    let script = "
        sleep 101 & a=$!; setsid sh -c 'sleep 102 & wait' & b=$!
        until [ -n \"$(cat /proc/$b/task/$b/children)\" ]; do :; done
        c=$(cat /proc/$b/task/$b/children)
        ipcbox signal send TERM $$ --below --wait 20s --then KILL >out
        wait $a || s=$?; echo $s; echo $a $b $c; cat out
        ipcbox signal send TERM $$ --below && echo none
    ";
    let printed = world.shell(script).ok();
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!((lines[0], lines.len(), lines[5]), ("143", 6, "none"), "{printed}");
    for pid in lines[1].split_whitespace() {
        assert!(reports(&world, &printed, &format!("{pid}  killed  143  TERM\n")), "{printed}");
    }
    world.shell("ipcbox signal send TERM $$ --tree").status(2);
    let hint = "hint: ipcbox signal send TERM ";
    let output = world.shell("ipcbox signal send TERM $$ --tree").output();
    let printed = String::from_utf8(output.stderr).unwrap();
    assert!(printed.contains(hint) && printed.ends_with(" --below\n"), "{printed}");
    // Another process is stopped with its descendants, and continued.
    let mut root = Puppet::shell("sleep 103 >&- & echo $!; wait; echo $?; read x");
    let first = root.1.clone();
    let printed = world.call(&format!("signal send TERM {} --below --wait 20s", root.pid())).ok();
    assert_eq!(printed.lines().count(), 1, "{printed}");
    assert!(reports(&world, &printed, &format!("{first}  killed  143  TERM\n")), "{printed}");
    assert_eq!(root.line(), "0");
    assert!(root.runs());
    for (words, status) in [("--below --tree", 2), ("--below --group", 2), ("--below --when-caught 1", 2)] {
        world.call(&format!("signal send TERM {} {words}", root.pid())).status(status);
    }
}

#[test]
fn exit_trap_kills_leftovers_of_a_script() {
    let world = World::new();
    let script = "trap 'ipcbox signal send TERM $$ --below' EXIT; sleep 100 >&- 2>&- & echo $!; exit 4";
    let pid = world.shell(script).status(4);
    let stat = format!("/proc/{}/stat", pid.trim());
    eventually("it exits", || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z ")));
}
