use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::{Puppet, field, ways_to_many};
use crate::support::{BINARY, Call, Where, World, deny, eventually, holds, lines, skip};

#[test]
fn every_signal_has_all_of_its_names() {
    let world = World::new();
    let table = world.call("signal list --columns number,signal --no-header").ok();
    let all: Vec<(&str, &str)> = table
        .lines()
        .map(|line| line.trim().split_once("  ").unwrap())
        .filter(|(_, name)| !["KILL", "STOP"].contains(name))
        .collect();
    let names: Vec<&str> = all.iter().map(|(_, name)| *name).collect();
    let script = format!(
        "ipcbox signal wait {} -c 180 --ready p >out & until [ -s p ]; do :; done; pid=$!; n=0
        for pair in {}; do
            number=${{pair%=*}}; name=${{pair#*=}}
            for s in $number $name sig$(echo $name | tr A-Z a-z); do
                ipcbox signal send $s $pid; n=$((n+1)); until [ $(wc -l <out) = $n ]; do :; done
            done
        done
        wait $pid; cat out",
        names.join(","),
        all.iter().map(|(number, name)| [*number, name].join("=")).collect::<Vec<_>>().join(" "),
    );
    let expected: String = names.iter().map(|name| format!("{name}\n").repeat(3)).collect();
    world.shell(&script).stdout(expected).ok();
}

#[test]
fn value_is_sent_as_by_sigqueue() {
    let world = World::new();
    for (signal, number, value) in [("USR1", 10, i32::MAX), ("RTMIN+3", 37, i32::MIN), ("37", 37, 0)] {
        let Some(mut puppet) = Puppet::be(&["receive"]) else { return };
        let sender = world.call(&format!("signal send {signal} {} --value {value}", puppet.pid())).start();
        let pid = sender.pid();
        assert_eq!(sender.code(), 0);
        assert_eq!(puppet.rest(), format!("{number} -1 {value} {pid}\n"));
    }
    for value in ["2147483648", "-2147483649", "x", "1.5"] {
        let words = format!("--value: expected a number from -2147483648 to 2147483647, not '{value}'");
        world.call("signal send USR1 1 --value").arg(value).fails(2, &words);
    }
    world.call("signal send USR1 1 --value").arg("").fails(2, "--value is empty");
}

#[test]
fn full_queue_is_reported_with_its_limit() {
    let world = World::new();
    // The first two fit in the queue; a signal without a value is always accepted.
    let script = "
        prlimit --sigpending=2 ipcbox signal wait RTMIN --ready p -c 9 >out & until [ -s p ]; do :; done
        kill -STOP $!; until grep -q '^State:.T' /proc/$!/status; do :; done
        s=0; n=0
        while [ $n -lt 9 ]; do ipcbox signal send RTMIN $! --value 1 2>err || { s=$?; break; }; n=$((n+1)); done
        ipcbox signal send RTMIN $!
        kill -KILL $!
        cat err; exit $s
    ";
    let printed = world.shell(script).status(1);
    assert!(printed.contains("signals are pending for the owner of the process (EAGAIN)"), "{printed}");
    assert!(printed.contains("hint: prlimit --pid "), "{printed}");
}

#[test]
fn one_failure_does_not_stop_the_others() {
    let world = World::new();
    let mut first = Puppet::shell("echo ready; exec sleep 100");
    let mut last = Puppet::shell("echo ready; exec sleep 100");
    let words = format!("signal send TERM {} 2147483647 {}", first.pid(), last.pid());
    world.call(&words).fails(3, "cannot send TERM to 2147483647: no such process (ESRCH)");
    assert_eq!((first.status(), last.status()), (143, 143));
    world.call("signal send TERM 2147483647 --missing-ok").stdout("").ok();
}

#[test]
fn zero_only_tests_and_dry_run_only_shows() {
    let world = World::new();
    let mut puppet = Puppet::shell("echo ready; exec sleep 100");
    let pid = puppet.pid();
    world.call(&format!("signal send 0 {pid}")).stdout("").ok();
    world.call(&format!("signal send KILL {pid} --dry-run")).stdout(format!("{pid}  KILL  sleep 100\n")).ok();
    let line = world.call(&format!("signal send KILL {pid} --dry-run -J")).ok();
    assert_eq!((field(&line, "pid"), field(&line, "signal")), (pid.into(), "KILL".into()));
    let line = world.call(&format!("signal send KILL {pid} --dry-run --tree -J")).ok();
    assert_eq!(field(&line, "command"), "sleep 100");
    world.call(&format!("signal send 0 {pid} --tree")).stdout("").ok();
    // It was not even stopped, or it would have been continued.
    let flags = WaitPidFlag::WCONTINUED | WaitPidFlag::WNOHANG;
    assert_eq!(waitpid(Pid::from_raw(pid), Some(flags)), Ok(WaitStatus::StillAlive));
    assert!(puppet.runs());
    world.call("signal send 0 2147483647").fails(3, "no such process");
}

#[test]
fn fate_has_the_command_from_before() {
    let world = World::new();
    for how in [&[""][..], ways_to_many()].concat().repeat(10) {
        let mut call = std::process::Command::new("setsid");
        let puppet = Puppet::start(call.args(["sh", "-c", "echo ready; exec sleep 100"]));
        let pid = puppet.pid();
        eventually("it is what it will be", || {
            std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|it| it == "sleep\n")
        });
        let line = world.call(&format!("signal send KILL {pid} --wait 20s -J {how}")).ok();
        assert_eq!(field(&line, "command"), "sleep 100");
    }
}

#[test]
fn wait_reports_the_fate_of_each_process() {
    let world = World::new();
    let mut puppet = Puppet::shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done");
    let pid = puppet.pid();
    world.call(&format!("signal send TERM {pid} --wait 20s")).stdout(format!("{pid}  exited  7\n")).ok();
    assert_eq!(puppet.status(), 7);
    let stubborn = Puppet::shell("trap '' TERM; echo ready; exec sleep 100");
    let pid = stubborn.pid();
    let call = || world.call(&format!("signal send TERM {pid} --wait 0.1")).stdout(format!("{pid}  alive\n"));
    call().status(124);
    call().fails(124, "still alive after 100ms");
    call().fails(124, &format!("signal: cannot terminate {pid} ("));
    let line = world.call(&format!("signal send TERM {pid} --wait 0.1 --then INT:0.1 --then KILL -J")).ok();
    assert_eq!((field(&line, "result"), field(&line, "signal")), ("killed".into(), "INT".into()));
}

#[test]
fn steps_apply_to_all_processes_at_once() {
    let world = World::new();
    let script = "trap '' TERM INT; echo ready; exec sleep 100";
    let stubborn = [(); 4].map(|()| Puppet::shell(script));
    let mut willing = Puppet::shell("echo ready; exec sleep 100");
    let pids: Vec<String> = stubborn.iter().chain([&willing]).map(|puppet| puppet.pid().to_string()).collect();
    let Some(call) = world.traced("pidfd_send_signal") else { return };
    let steps = ["--wait", "0.5", "--then", "INT:0.5", "--then", "KILL"];
    let printed = call.args(["signal", "send", "TERM"]).args(&pids).args(steps).ok();
    let trace = std::fs::read_to_string(world.dir().join("trace")).unwrap();
    let step = |line: &str| ["SIGTERM", "SIGINT", "SIGKILL"].into_iter().find(|name| line.contains(name));
    let sent: Vec<&str> = trace.lines().filter_map(step).collect();
    // No process gets its second signal before all have had the first.
    let steps = [["SIGTERM"; 4], ["SIGINT"; 4], ["SIGKILL"; 4]].concat();
    assert_eq!(sent, [&["SIGTERM"][..], &steps].concat(), "{trace}");
    let printed: Vec<&str> = printed.lines().collect();
    assert_eq!(printed[0], format!("{}  killed  143  TERM", willing.pid()));
    assert_eq!(printed.iter().filter(|line| line.ends_with("killed  137  KILL")).count(), 4);
    assert_eq!(willing.status(), 143);
}

#[test]
fn group_is_refused_before_linux_6_9() {
    let world = World::new();
    let leader = Puppet::start(std::process::Command::new("setsid").args(["sh", "-c", "echo; read x"]));
    let call = world.call(&format!("signal send TERM {} --group", leader.pid()));
    let old = || deny(libc::SYS_pidfd_send_signal, Where::Is(3, 4), Errno::EINVAL);
    call.before(old).fails(1, "--group needs Linux 6.9 (EINVAL)");
}

#[test]
fn group_is_signalled_by_its_leader() {
    let world = World::new();
    if !ways_to_many().contains(&"--group") {
        return;
    }
    let script = "sleep 100 & echo $!; exec sleep 100";
    let mut call = std::process::Command::new("setsid");
    let mut leader = Puppet::start(call.args(["sh", "-c", script]));
    let (pid, member) = (leader.pid(), leader.1.clone());
    world.call(&format!("signal send TERM {member} --group")).fails(3, "is not the leader of a process group (ESRCH)");
    world
        .call(&format!("signal send TERM {member} --group --dry-run"))
        .stdout("")
        .fails(3, &format!("cannot send TERM to {member}: {member} is not the leader of a process group"));
    let printed = world.call(&format!("signal send TERM {pid} --group --dry-run")).ok();
    assert_eq!(printed.lines().count(), 2);
    let printed = world.call(&format!("signal send TERM {pid} --group --wait 20s --then KILL")).ok();
    assert_eq!(printed.lines().count(), 2);
    assert!(printed.contains(&format!("{member}  ")), "{printed}");
    assert_eq!(leader.status(), 143);
}

#[test]
fn signal_waits_for_its_handler() {
    let world = World::new();
    // In each round the process continues only after ipcbox has started to poll.
    for round in 0..10 {
        let mut puppet = Puppet::shell("echo ready; read x; trap 'exit 9' USR1; while :; do sleep 0.01; done");
        let send = world.call(&format!("signal send USR1 {} --when-caught 30s", puppet.pid())).start();
        if round == 0 {
            assert!(holds(|| puppet.runs()));
        }
        drop(puppet.0.stdin.take());
        assert_eq!(puppet.status(), 9);
        assert_eq!(send.code(), 0);
    }
    let mut puppet = Puppet::shell("echo ready; exec sleep 100");
    let call = format!("signal send USR1 {} --when-caught 0.1", puppet.pid());
    world.call(&call).fails(124, "the process has no handler after 100ms");
    assert!(puppet.runs());
    drop(puppet.0.kill());
    puppet.status();
    world.call(&call).fails(3, "no such process");
}

#[test]
fn handlers_are_unknown_without_proc() {
    let hidden = "mount -t tmpfs none /proc && exec \"$0\" signal send USR1 \"$1\" --when-caught 0.1";
    let puppet = Puppet::shell("echo ready; exec sleep 100");
    let pid = puppet.pid().to_string();
    let unshare = || Call::new("unshare").arg("-m");
    if !unshare().arg("true").output().status.success() {
        return skip("no mount namespace can be created here");
    }
    let words = "/proc does not show its handlers after 100ms";
    unshare().args(["sh", "-c", hidden, BINARY, &pid]).fails(124, words);
}

#[test]
fn short_w_is_refused_with_a_hint() {
    let world = World::new();
    world.call("signal send TERM 1 -w 5s").fails(2, "hint: ipcbox signal send TERM 1 --wait 5s\n");
    world.call("signal send -w5s TERM 1").fails(2, "hint: ipcbox signal send --wait 5s TERM 1\n");
    world.call("signal send TERM 1 -w").fails(2, "hint: ipcbox signal send --help\n");
}

#[test]
fn wrong_signal_or_process_is_refused() {
    let world = World::new();
    for (words, printed) in [
        ("65 1", "1 to 64"),
        ("TREM 1", "did you mean 'TERM'"),
        ("-9 1", "without '-': 9"),
        ("-TERM 1", "without '-': TERM"),
        ("-sigterm 1", "without '-': sigterm"),
        ("-Q 1", "no option '-Q'"),
        ("33 1", "SIGSETXID"),
        ("TERM 0", "expected a process id"),
        ("TERM -1", "expected a process id"),
        ("TERM", "PID is missing"),
        ("", "SIG is missing"),
        ("TERM 1 --then KILL", "--wait"),
        ("TERM 1 --wait x", "expected a duration"),
        ("TERM 1 --wait 1 --then KLIL", "did you mean 'KILL'"),
        ("TERM 1 --wait 1 --then KILL:x", "expected a duration"),
        ("TERM 1 --group --tree", "cannot be used together"),
    ] {
        world.call(&format!("signal send {words}")).fails(2, printed);
    }
}

#[test]
fn unreachable_process_is_reported() {
    let world = World::new();
    if let Some(puppet) = Puppet::be(&["zombie"]) {
        let words = format!("the process is a zombie that its parent {} (", puppet.pid());
        for signal in ["0", "TERM", "TERM --dry-run", "TERM --dry-run --tree"] {
            world.call(&format!("signal send {signal} {}", puppet.1)).fails(3, &words);
        }
        world.call(&format!("signal send TERM {} --missing-ok", puppet.1)).ok();
    }
    if let Some(puppet) = Puppet::be(&["thread"]) {
        let words = format!("{} is a thread of process {}", puppet.1, puppet.pid());
        world.call(&format!("signal send TERM {}", puppet.1)).fails(3, &words);
    }
    // Only root may signal init and kernel threads.
    let is_root = nix::unistd::geteuid().is_root();
    let status = std::fs::read_to_string("/proc/1/status").unwrap();
    let heard = |key: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim();
        u64::from_str_radix(mask, 16).unwrap() >> (12 - 1) & 1 == 1
    };
    if heard("SigCgt:") || heard("SigBlk:") {
        skip("init hears USR2 here");
    } else if is_root {
        world.call("signal send USR2 1").fails(1, "init has no handler for USR2");
        world.call("signal send KILL 1").fails(1, "init has no handler for KILL");
        world.call("signal send KILL 1 --dry-run").fails(1, "init has no handler");
    } else {
        world.call("signal send USR2 1 --dry-run").fails(5, "owned by root (EPERM)");
        world.call("signal send USR2 1").fails(5, "permission denied; owned by root (EPERM)");
    }
    let kernel = std::fs::read_to_string("/proc/2/comm").unwrap_or_default();
    if kernel.trim() != "kthreadd" {
        skip("the kernel's threads cannot be seen here");
    } else if is_root {
        world.call("signal send USR2 2").fails(1, "kernel threads ignore signals");
    } else {
        world.call("signal send USR2 2").fails(5, "EPERM");
    }
}

#[test]
fn process_of_another_user_is_refused() {
    let world = World::new();
    let Some(stranger) = world.stranger() else {
        return world.call("signal send USR2 1").fails(5, "owned by root (EPERM)");
    };
    let mut puppet = Puppet::shell("echo ready; exec sleep 100");
    let call = |words: &str| world.call(&format!("signal send {words} {}", puppet.pid())).user(stranger);
    for words in ["TERM", "0", "RTMIN --value 1", "TERM --tree", "TERM --dry-run", "TERM --tree --dry-run"] {
        call(words).fails(5, "permission denied; owned by root (EPERM)");
    }
    assert!(puppet.runs());
}

#[test]
fn storms_lose_no_queued_signal() {
    let world = World::new();
    let wait = world.call("signal wait RTMIN -c 200 --columns value").start();
    let file = format!("/proc/{}/status", wait.pid());
    eventually("it blocks", || {
        std::fs::read_to_string(&file).is_ok_and(|text| text.contains("SigBlk:\t0000000200000000"))
    });
    for value in 0..200 {
        let pid = wait.pid().to_string();
        Call::new(BINARY).args(["signal", "send", "RTMIN", &pid, "--value", &value.to_string()]).ok();
        if value % 20 == 0 {
            wait.signal(Signal::SIGSTOP);
            wait.signal(Signal::SIGCONT);
        }
    }
    let expected: Vec<String> = (0..200).map(|value: i32| value.to_string()).collect();
    assert_eq!(lines(&wait.end().stdout), expected);
}
