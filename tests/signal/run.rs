use std::collections::HashMap;
use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt;

use nix::sys::signal::Signal;
use nix::unistd::{Pid, setpgid};

use super::{Puppet, puppet};
use crate::support::{BINARY, Call, World, eventually, signal};

/// The masks of a program, by their name in `/proc/self/status`.
fn masks(status: &str) -> HashMap<String, u64> {
    let lines = status.lines().filter(|line| line.starts_with("Sig") && !line.starts_with("SigQ"));
    lines
        .map(|line| line.split_once(":\t").unwrap())
        .map(|(key, mask)| (key.to_owned(), u64::from_str_radix(mask.trim(), 16).unwrap()))
        .collect()
}

/// Options with which ipcbox stays, and others.
const WAYS: [&str; 4] = ["", "--map USR1=USR2", "--reap", "--kill-tree --max-time 60"];

#[test]
fn inherited_dispositions_reach_cmd() {
    let world = World::new();
    // Of sh, grep and ipcbox, only the last could change a mask.
    let given = "trap '' PIPE USR2; ";
    let plain = world.shell(&format!("{given} exec grep Sig /proc/self/status")).ok();
    for way in WAYS {
        for before in ["", "env --block-signal=TERM,RTMIN+2 --ignore-signal=CHLD ", "env --ignore-signal=TTOU,TTIN "] {
            let bare = world.shell(&format!("{given} exec {before} grep Sig /proc/self/status")).ok();
            let line = format!("{given} exec {before} ipcbox signal run {way} -- grep Sig /proc/self/status");
            assert_eq!(masks(&world.shell(&line).ok()), masks(&bare), "{line}");
            assert!(masks(&plain)["SigIgn"] & 1 << (13 - 1) != 0);
        }
    }
}

#[test]
fn dispositions_hold_in_every_way_to_run() {
    let world = World::new();
    for way in WAYS {
        for (option, [ign, blk]) in [
            ("--ignore TERM,USR2", [true, false]),
            ("--block TERM,USR2", [false, true]),
            ("--default TERM,USR2", [false, false]),
            ("--ignore term,12 --block SIGTERM,USR2", [true, true]),
            ("--default TERM,USR2 --block TERM,USR2", [false, true]),
        ] {
            let option = if way.contains("USR1=USR2") {
                option.replace("USR2", "HUP").replace("12", "1")
            } else {
                option.into()
            };
            let other = if way.contains("USR1=USR2") { 1 } else { 12 };
            for given in ["", "trap '' TERM USR2 HUP;"] {
                let line = format!("{given} exec ipcbox signal run {way} {option} -- grep Sig /proc/self/status");
                let saw = masks(&world.shell(&line).ok());
                for signal in [15, other] {
                    let has = |key: &str| saw[key] >> (signal - 1) & 1 == 1;
                    // A blocked signal is still ignored if it was inherited as ignored.
                    let ignored = ign || (!given.is_empty() && !option.contains("--default"));
                    assert_eq!((has("SigIgn"), has("SigBlk")), (ignored, blk), "{line}");
                }
            }
        }
    }
}

#[test]
fn run_exits_as_cmd_did() {
    let world = World::new();
    for way in WAYS {
        for (script, status) in [
            ("exit 0", 0),
            ("exit 42", 42),
            ("exit 125", 125),
            ("kill -9 $$", 137),
            ("kill -34 $$", 162),
            ("kill -SEGV $$", 139),
        ] {
            let words = format!("signal run {way} -- sh -c");
            world.call(&words).arg(script).stderr("").status(status);
        }
        // ipcbox dies by the signal itself.
        let output = world.call(&format!("signal run {way} -- sh -c")).arg("kill -TERM $$").output();
        assert_eq!(output.status.signal(), Some(15), "{way}");
        let words = |words: &str| world.call(&format!("signal run {way} {words}"));
        words("-- no-such-command").env("PATH", "/usr/bin").fails(127, "command not found");
        words("-- /etc/passwd").fails(126, "EACCES");
        let missing = "CMD is missing\nhint: write ipcbox signal run ";
        words("").fails(125, missing);
        words("true").fails(125, "the command goes after '--'");
        let script = world.script("script", "neither program nor script");
        words("--").arg(script).fails(126, "ENOEXEC");
    }
}

#[test]
fn signals_of_the_c_library_kill_as_such() {
    let Some(puppet) = puppet() else { return };
    for way in WAYS {
        for (number, status) in [(32, 160), (33, 161)] {
            let call = Call::new(puppet).args(["plain", BINARY, "signal", "run"]);
            let call = call.args(way.split_whitespace()).args(["--", "bash", "-c"]);
            call.arg(format!("kill -{number} $$")).stderr("").status(status);
        }
    }
}

#[test]
fn contradictory_options_are_refused() {
    let world = World::new();
    for (words, printed) in [
        ("--map TERM=KILL", "cannot translate a signal to KILL"),
        ("--map KILL=TERM", "no process can catch, block or ignore KILL"),
        ("--map TERM", "TERM=INT), or A= to drop signal A"),
        ("--map TERM=TREM", "did you mean 'TERM'"),
        ("--map 65=INT", "1 to 64"),
        ("--map TERM=0", "1 to 64"),
        ("--map INT=TERM,INT=HUP", "--map names INT twice"),
        ("--map TERM=INT --ignore TERM", "--ignore and --map both name TERM (--map TERM= drops it)"),
        ("--map TERM=INT --ignore INT", "--map translates a signal to INT, which --ignore ignores"),
        ("--ignore TERM --default TERM", "--ignore and --default both name TERM"),
        ("--ignore KILL", "no process can catch, block or ignore KILL"),
        ("--block STOP", "no process can catch, block or ignore STOP"),
        ("--block INT,KILL", "ignore KILL"),
        ("--default KILL", "ignore KILL"),
        ("--ignore 33", "SIGSETXID"),
        ("--on TERM", "SIG=CMDLINE"),
        ("--on TERM=", "CMDLINE after '=' is empty"),
        ("--on KILL=true", "ignore KILL"),
        ("--on TERM=true --on TERM=false", "--on names TERM twice"),
        ("--parent-death 0", "1 to 64"),
        ("--max-time 1y", "no fixed length"),
        ("--then KILL", "--then needs --max-time\nhint: add --max-time DURATION\n"),
        ("--max-time 1 --then 5s:TERM", "--then '5s:TERM': the signal comes first, as in TERM:5s\n"),
    ] {
        world.call(&format!("signal run {words} -- true")).fails(125, printed);
    }
}

/// A CMD that prints the name of each signal that it gets, and exits on QUIT.
const TRAPS: &str = "for s in HUP INT TERM USR1 USR2 ALRM WINCH URG CONT; do trap \"echo $s\" $s; done; trap 'exit 3' QUIT; trap 'echo RT' RTMIN+5; \
                     echo $$; for n in {1..3000}; do sleep 0.01; done; exit 9";

/// Starts it with these options, and waits until it has its traps.
fn taker(world: &World, options: &str) -> Puppet {
    let mut command = std::process::Command::new(BINARY);
    command.args(["signal", "run"]).args(options.split_whitespace());
    Puppet::start(command.args(["--", "bash", "-c", TRAPS]).current_dir(world.dir()))
}

fn notify(world: &World, to: &Puppet, name: &str) {
    world.call(&format!("signal send {name} {}", to.pid())).ok();
}

#[test]
fn every_catchable_signal_is_forwarded() {
    let world = World::new();
    for (options, pairs) in [
        (
            "--reap",
            &[
                ("HUP", "HUP"),
                ("INT", "INT"),
                ("TERM", "TERM"),
                ("USR1", "USR1"),
                ("ALRM", "ALRM"),
                ("WINCH", "WINCH"),
                ("URG", "URG"),
                ("RTMIN+5", "RT"),
            ][..],
        ),
        ("--map TERM=INT,usr1=rtmin+5,HUP=", &[("TERM", "INT"), ("INT", "INT"), ("USR1", "RT"), ("USR2", "USR2")][..]),
        ("--map TERM=INT --map INT=HUP", &[("TERM", "INT"), ("INT", "HUP")][..]),
    ] {
        let mut box_ = taker(&world, options);
        let mut expected = String::new();
        for (sent, heard) in pairs {
            // One after another, so that their order is known.
            if options.contains("HUP=") {
                notify(&world, &box_, "HUP");
            }
            notify(&world, &box_, sent);
            let mut line = String::new();
            let out = box_.0.stdout.as_mut().unwrap();
            let mut byte = [0];
            while !line.ends_with('\n') {
                std::io::Read::read_exact(out, &mut byte).unwrap();
                line.push(byte[0] as char);
            }
            writeln!(expected, "{heard}").unwrap();
            assert_eq!(line.trim(), *heard, "{options}: {sent}");
        }
        notify(&world, &box_, "QUIT");
        assert_eq!(box_.status(), 3);
    }
}

#[test]
fn stopped_cmd_is_continued_to_exit() {
    let world = World::new();
    for (name, number) in [("TERM", 15), ("HUP", 1)] {
        let mut command = std::process::Command::new(BINARY);
        command.args(["signal", "run", "--max-time", "30", "--", "sh", "-c"]);
        let mut box_ = Puppet::start(command.arg("echo $$; kill -STOP $$; exec sleep 100"));
        let stat = format!("/proc/{}/stat", box_.1);
        eventually("it is stopped", || std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T ")));
        notify(&world, &box_, name);
        assert_eq!(box_.status(), 128 + number);
    }
}

#[test]
fn stopped_handler_is_continued_to_exit() {
    let world = World::new();
    for end in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let call = world.call("signal run --map USR1= --on").arg("USR1=echo $$ >pid; kill -STOP $$");
        let cmd = "rm -f pid; kill -USR1 $PPID; until [ -s pid ]; do :; done; exit 6";
        let box_ = call.args(["--", "sh", "-c", cmd]).start();
        let pid = world.dir().join("pid");
        let text = || std::fs::read_to_string(&pid).unwrap_or_default();
        eventually("it is stopped, and CMD has exited", || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", text().trim()));
            let children = format!("/proc/{0}/task/{0}/children", box_.pid());
            stat.is_ok_and(|stat| stat.contains(") T "))
                && std::fs::read_to_string(children).is_ok_and(|all| all.trim() == text().trim())
        });
        box_.signal(end);
        assert_eq!(box_.code(), 6);
    }
}

#[test]
fn value_is_forwarded() {
    let world = World::new();
    let Some(puppet) = puppet() else { return };
    let mut command = std::process::Command::new(BINARY);
    command.args(["signal", "run", "--reap", "--"]).arg(puppet).arg("receive");
    let mut box_ = Puppet::start(&mut command);
    world.call(&format!("signal send RTMIN+3 {} --value 77", box_.pid())).ok();
    let printed = box_.rest();
    assert!(printed.starts_with("37 -1 77 "), "{printed}");
}

/// After unshare(2), children are in the new pid namespace, in which their parent has no pid.
#[test]
fn cmd_in_its_own_pid_namespace_gets_signals() {
    let world = World::new();
    let user = if nix::unistd::geteuid().is_root() { "" } else { "--user --map-root-user" };
    if world.shell(&format!("unshare {user} --pid --fork true")).output().status.success() {
        let script = format!("unshare {user} --pid ipcbox signal run --reap -- echo in");
        world.shell(&script).stdout("in\n").ok();
    } else {
        crate::support::skip("no pid namespace can be created here");
    }
}

#[test]
fn handlers_run_one_at_a_time() {
    let world = World::new();
    let mut box_ = taker(&world, "--map USR1= --on USR1=echo${IFS}$IPCBOX_SIGNAL${IFS}$IPCBOX_PID>>message");
    let cmd = box_.1.clone();
    let message = world.dir().join("message");
    for count in 1..=3 {
        notify(&world, &box_, "USR1");
        let line = format!("USR1 {cmd}\n").repeat(count);
        eventually("it was run", || std::fs::read_to_string(&message).is_ok_and(|text| text == line));
    }
    notify(&world, &box_, "QUIT");
    assert_eq!(box_.status(), 3);
    assert_eq!(box_.rest(), "");
    // The signal is forwarded as well, and ipcbox waits for the handler.
    let call = world.call("signal run --on USR1=touch${IFS}began;read${IFS}x<gate;echo${IFS}done>late -- sh -c");
    world.shell("mkfifo gate").ok();
    let call = call.arg("kill -USR1 $PPID; exec sleep 60").start();
    eventually("it began", || world.dir().join("began").exists());
    std::fs::write(world.dir().join("gate"), "\n").unwrap();
    assert_eq!(call.code(), 128 + 10);
    assert_eq!(std::fs::read_to_string(world.dir().join("late")).unwrap(), "done\n");
}

#[test]
fn max_time_limits_cmd() {
    let world = World::new();
    world.call("signal run --max-time 20 -- true").ok();
    world.call("signal run --max-time 0.1 -- sleep 100").fails(124, "sleep timed out after 100ms (killed by SIGTERM)");
    let stubborn = "trap 'echo TERM' TERM; trap 'echo HUP' HUP; while :; do sleep 0.01; done";
    let limited = |options: &str| world.call(&format!("signal run {options} -- sh -c")).arg(stubborn);
    assert_eq!(limited("--max-time 2 --then TERM:2 --then HUP:2 --then KILL").status(124), "TERM\nHUP\n");
    // After the last step the tree is killed.
    assert_eq!(limited("--max-time 2 --kill-tree --then TERM:2").status(124), "TERM\n");
    // A stopped CMD is terminated as well.
    world
        .call("signal run --max-time 0.3 -- sh -c")
        .arg("kill -STOP $$")
        .fails(124, "sh timed out after 300ms (killed by SIGTERM)");
    // Also if ipcbox stops with it.
    for options in ["--max-time 0.3", "--kill-tree --max-time 0.1 --then CONT:0.1 --then TERM:0.2"] {
        world
            .call(&format!("signal run {options} -- sh -c"))
            .arg("trap 'kill -TSTP $$' CONT; kill -TSTP $$; while :; do sleep 0.01; done")
            .before(|| setpgid(Pid::this(), Pid::from_raw(0)).map_err(Into::into))
            .fails(124, "sh timed out after");
    }
}

/// After CMD has exited, the limit applies to handlers, and CMD itself was in time.
#[test]
fn handler_after_cmd_is_limited_but_not_late() {
    let world = World::new();
    let call = world.call("signal run --max-time 9 --then TERM:60 --map USR1= --on");
    let call = call.args(["USR1=touch began; exec sleep 987", "--", "sh", "-c"]);
    let cmd = "kill -USR1 $PPID; until [ -e began ]; do :; done; exit 6";
    call.arg(cmd).stdout("").stderr("").status(6);
}

#[test]
fn cmd_does_not_outlive_ipcbox() {
    let world = World::new();
    for way in &WAYS[1..] {
        let mut box_ = taker(&world, way);
        let cmd = box_.1.clone();
        let join = world.call(&format!("signal join {cmd} -w 60")).start();
        let join = join.blocked_in(nix::libc::SYS_ppoll);
        signal(box_.pid(), Signal::SIGKILL);
        box_.status();
        assert!([137, 1].contains(&join.code()), "{way}");
    }
}

#[test]
fn parent_death_reaches_cmd() {
    let world = World::new();
    world.shell("mkfifo hold").ok();
    for (way, which, line) in [
        ("", "TERM", "TERM"),
        ("--reap", "TERM", "TERM"),
        ("--kill-tree", "HUP", "HUP"),
        ("--map USR1=USR2", "HUP", "HUP"),
    ] {
        // The shell is the parent, and dies; CMD records the signal that it gets.
        let cmd = "trap 'echo $GOT; exit' HUP INT TERM; echo $$ >pid; while :; do sleep 0.01; done";
        let script = format!(
            "GOT={line} ipcbox signal run {way} --parent-death {which} -- sh -c '{}' >out & read x <hold",
            cmd.replace('\'', "'\\''")
        );
        let parent = world.program("/bin/sh").args(["-ec", &script]).start();
        let pid = world.dir().join("pid");
        eventually("it runs", || std::fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n')));
        parent.signal(Signal::SIGKILL);
        parent.code();
        let out = world.dir().join("out");
        eventually(&format!("{which} comes by {way}"), || {
            std::fs::read_to_string(&out).is_ok_and(|text| text == format!("{line}\n"))
        });
        std::fs::remove_file(&pid).unwrap();
    }
}

#[test]
fn inherited_ignored_chld_changes_nothing() {
    let Some(puppet) = puppet() else { return };
    let run =
        |words: &[&str]| Call::new(puppet).args(["ignorant", BINARY, "signal", "run", "--reap", "--"]).args(words);
    run(&["sh", "-c", "exit 6"]).status(6);
    let status = run(&["grep", "SigIgn", "/proc/self/status"]).ok();
    assert!(masks(&status)["SigIgn"] >> (17 - 1) & 1 == 1, "{status}");
}
