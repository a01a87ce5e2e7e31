//! `pipe run`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::Signal;

use super::pipe;
use crate::support::{BINARY, Call, World, eventually, lines};

#[test]
fn data_and_words_pass_unchanged() {
    pipe(&["run", "--", "printf", "%s|", "a b", "", ":::", "tr", "a", "A", ":::", "cat"]).stdout("A b||").ok();
    pipe(&["run", "--sep", "THEN", "--", "echo", ":::", "THEN", "cat"]).stdout(":::\n").ok();
    pipe(&["run", "--shell", "echo a b; exit 4", "cat && exit 0"]).stdout("a b\n").status(4);
    pipe(&["run", "--shell", "--", "echo $((1 + 1))"]).stdout("2\n").ok();
    pipe(&["run", "--", "cat"]).input("x".repeat(200_000)).stdout("x".repeat(200_000)).ok();
}

#[test]
fn missing_command_runs_nothing() {
    let world = World::new();
    let mark = world.dir().join("ran");
    let plain = world.file("plain", "");
    let bad = world.script("bad", "#!/no/such/interpreter\n");
    let nested = world.script("nested", &format!("#!{}\n", bad.display()));
    let nameless = world.script("nameless", "#! \n");
    let dir = world.dir().to_path_buf();
    for (path, code, words) in [
        ("no-such-command".into(), 127, "cannot run no-such-command: command not found (ENOENT)"),
        (plain, 126, "permission denied (EACCES)"),
        (dir, 126, "permission denied (EACCES)"),
        (bad, 126, "the program's interpreter or loader is missing (ENOENT)"),
        (nested, 126, "the program's interpreter or loader is missing (ENOENT)"),
        (nameless, 126, "(ENOEXEC)"),
    ] {
        let first = format!("touch {}", mark.display());
        let call = pipe(&["run", "--", "sh", "-c", &first, ":::"]).arg(path).args([":::", "cat"]);
        call.fails(code, words);
        assert!(!mark.exists(), "{words}");
    }
    // Each one is named, and the last one gives the status.
    let shown = pipe(&["run", "--", "no-such", ":::", "/", ":::", "cat"]).output();
    let named = lines(&shown.stderr).into_iter().filter(|line| line.starts_with("pipe: ")).count();
    assert_eq!((shown.status.code(), named), (Some(126), 2));
}

#[test]
fn exec_failure_terminates_the_others() {
    let world = World::new();
    let empty = world.script("empty", "neither a program nor a script\n");
    let report = world.dir().join("report");
    let started = Instant::now();
    pipe(&["run", "--report", report.to_str().unwrap(), "--", "sleep", "100", ":::"])
        .arg(&empty)
        .args([":::", "sleep", "100"])
        .fails(126, "neither a binary nor a script that starts with #! (ENOEXEC)");
    assert!(started.elapsed() < Duration::from_secs(50));
    let shown = fs::read_to_string(&report).unwrap();
    let statuses: Vec<_> = shown.lines().map(|line| line.contains("\"status\":126")).collect();
    assert_eq!(statuses, [false, true, false], "{shown}");
    assert_eq!(shown.matches("\"signal\":\"TERM\"").count(), 2, "{shown}");
}

#[test]
fn wrong_command_lines_are_refused() {
    for (words, message) in [
        (&["run"][..], "CMD is missing"),
        (&["run", "--"], "CMD is missing"),
        (&["run", "cat"], "the command goes after '--'"),
        (&["run", "--", ":::"], "command 1 is empty"),
        (&["run", "--", "cat", ":::", ":::", "cat"], "command 2 is empty"),
        (&["run", "--", "cat", ":::"], "command 2 is empty"),
        (&["run", "--", ""], "cannot run"),
        (&["run", "--shell", "true", " "], "command 2 is empty"),
        (&["run", "--shell", "true", ":::", "true"], "each argument is a command"),
        (&["run", "--capacity", "0", "--", "true"], "expected a capacity of at least 1 byte"),
        (&["run", "--capacity", "-1", "--", "true"], "expected a size"),
        (&["run", "--capacity", "8E", "--", "true", ":::", "true"], "bytes exceed the maximum pipe capacity"),
        (&["run", "--then", "KILL", "--", "true"], "--max-time"),
        (&["run", "--report", "/no/such/file", "--", "true"], "cannot write the report"),
        (&["run", "--report", "/dev/fd/77", "--", "true"], "cannot write the report"),
    ] {
        let code = if words.last() == Some(&"") { 127 } else { 125 };
        pipe(words).fails(code, message);
    }
}

#[test]
fn operator_as_argument_is_explained_on_failure() {
    let world = World::new();
    world.file("f", "a|b\n");
    let fails = |words: &str, message: &str| {
        let output = world.call(words).input("x\n").output();
        let text = String::from_utf8(output.stderr).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(['p', 'h'])).collect();
        assert_eq!(lines.join("\n"), message, "{words}");
        output.status.code()
    };
    let message = "pipe: ls exited with status 2; '|' was passed to it as an argument\n\
                   hint: ipcbox pipe run -- ls f ::: wc -l";
    assert_eq!(fails("pipe run -- ls f | wc -l", message), Some(2));
    let hint = message.split_once("hint: ").unwrap().1;
    world.shell(hint).stdout("1\n").ok();
    let message = "pipe: cat exited with status 1; '>' was passed to it as an argument\n\
                   hint: ipcbox pipe tee --shell 'cat > out' 'wc -l'";
    assert_eq!(fails("pipe tee -- cat > out ::: wc -l", message), Some(1));
    let hint = message.split_once("hint: ").unwrap().1;
    world.shell(&format!("echo x | {hint}; cat out")).stdout("1\nx\n").ok();
    // Right calls.
    world.call("pipe run -- grep -c | f").stdout("1\n").ok();
    world.call("pipe run -- grep -x | f").stderr("").status(1);
    world.call("pipe run -- sh -c false").stderr("").status(1);
}

#[test]
fn hinted_line_does_not_truncate_a_file() {
    let world = World::new();
    world.file("f", "a|b\n");
    // Right calls that find nothing.
    for operator in [">", ">>", "2>", "2>>", "&>"] {
        for verb in ["run", "tee"] {
            world.call(&format!("pipe {verb} -- grep -x {operator} f")).input("").stderr("").status(1);
        }
        // Another operator is explained.
        let hint = format!("hint: ipcbox pipe run -- grep -x '{operator}' f ::: wc -l\n");
        let output = world.call(&format!("pipe run -- grep -x {operator} f | wc -l")).output();
        let printed = String::from_utf8(output.stderr).unwrap();
        assert!(printed.ends_with(&hint), "{printed}");
        world.shell(hint.strip_prefix("hint: ").unwrap()).stdout("0\n").status(1);
        world.shell("cat f").stdout("a|b\n").ok();
    }
    // In another command too, and next to an operator that was meant for the shell.
    let output = world.call("pipe run -- grep -x > f ::: cat no > out").output();
    let printed = String::from_utf8(output.stderr).unwrap();
    let hint = printed.lines().last().unwrap();
    assert_eq!(hint, r"hint: ipcbox pipe run --shell 'grep -x '\''>'\'' f' 'cat no > out'", "{printed}");
}

#[test]
fn operator_in_quotes_is_left_alone_in_the_hint() {
    let world = World::new();
    let output = world.call("pipe run -- sh -c").args(["echo a | cat; exit 3", "x", "|", "wc"]).output();
    let printed = String::from_utf8(output.stderr).unwrap();
    let hint = printed.lines().last().unwrap();
    assert_eq!(hint, "hint: ipcbox pipe run -- sh -c 'echo a | cat; exit 3' x ::: wc", "{printed}");
}

#[test]
fn capacity_applies_to_every_pipe() {
    let capacity = format!("{BINARY} pipe stat --columns capacity --no-header");
    let shown = format!("{capacity} 0 >&2");
    let shown = pipe(&["run", "--capacity", "5000", "--shell", "true", &shown, &shown]).output();
    assert_eq!(lines(&shown.stderr), ["8192", "8192"]);
    let max = fs::read_to_string("/proc/sys/fs/pipe-max-size").unwrap().trim().parse::<u64>().unwrap();
    pipe(&["run", "--capacity", "max", "--shell", "true", &format!("{capacity} 0")]).stdout(format!("{max}\n")).ok();
    let too_much = pipe(&["run", "--capacity", "1G", "--", "true", ":::", "true"]);
    let world = World::new();
    if let Some(uid) = world.stranger() {
        too_much.user(uid).fails(125, "bytes exceed /proc/sys/fs/pipe-max-size, ");
    }
}

#[test]
fn timeout_is_124_and_leaves_no_process() {
    let world = World::new();
    let report = world.dir().join("report");
    let report = report.to_str().unwrap();
    pipe(&["run", "--max-time", "0.1", "--report", report, "--", "sleep", "98765", ":::", "cat"])
        .fails(124, "sleep, cat timed out after 100ms (killed by SIGTERM)");
    let shown = fs::read_to_string(report).unwrap();
    assert_eq!(shown.matches("\"signal\":\"TERM\"").count(), 2, "{shown}");
    // A command that ignores the first signal gets the next one.
    let deaf = "trap '' TERM; while :; do sleep 1; done";
    pipe(&["run", "--max-time", "0.2", "--then", "TERM:0.1", "--then", "KILL", "--shell", deaf])
        .fails(124, "done timed out after 200ms (killed by SIGKILL)");
}

#[test]
fn fail_fast_stops_the_others() {
    let start = Instant::now();
    pipe(&["run", "--fail-fast", "--", "sleep", "100", ":::", "sh", "-c", "exit 7"]).status(7);
    pipe(&["run", "--fail-fast", "--", "sh", "-c", "exit 7", ":::", "sleep", "100"]).status(7);
    pipe(&["run", "--fail-fast", "--", "yes", ":::", "head", "-1", ":::", "cat"]).stdout("y\n").ok();
    assert!(start.elapsed() < Duration::from_secs(50));
    // A terminated command that exits with its own status has not failed.
    let world = World::new();
    let first = "until [ -e ready ]; do :; done; exit 3";
    let other = "trap 'exit 7' TERM; : >ready; while :; do sleep 0.01; done";
    for stages in [[first, other], [other, first]] {
        let report = ["--report", "report", "--fail-fast", "--shell"];
        pipe(&["run"]).args(report).args(stages).dir(world.dir()).status(3);
        let shown = fs::read_to_string(world.dir().join("report")).unwrap();
        assert!(shown.contains(r#""status":7,"signal":null,"forgiven":true"#), "{shown}");
        fs::remove_file(world.dir().join("ready")).unwrap();
    }
}

#[test]
fn term_is_forwarded_and_reported() {
    let world = World::new();
    let file = world.dir().join("report");
    let line = ["run", "--report", file.to_str().unwrap(), "--", "sleep", "100", ":::", "sleep", "100"];
    for (signal, code, name) in [(Signal::SIGTERM, 143, "TERM"), (Signal::SIGHUP, 129, "HUP")] {
        let child = pipe(&line).start().blocked_in(libc::SYS_ppoll);
        eventually("both stages run", || children(child.pid(), "sleep").len() == 2);
        child.signal(signal);
        assert_eq!(child.code(), code);
        let shown = fs::read_to_string(&file).unwrap();
        assert_eq!(shown.matches(&format!("\"signal\":\"{name}\"")).count(), 2, "{shown}");
    }
}

#[test]
fn stage_killed_by_int_kills_ipcbox_by_int() {
    // So that Ctrl-C stops the loop of a shell too.
    let shown = pipe(&["run", "--shell", "kill -INT $$", "cat"]).output();
    assert_eq!(shown.status.signal(), Some(libc::SIGINT));
    pipe(&["run", "--shell", "kill -INT $$", "exit 3"]).status(3);
    let shown = pipe(&["run", "--shell", "kill -TERM $$", "cat"]).output();
    assert_eq!(shown.status.code(), Some(143));
}

/// The children of a process that run the program `name`.
fn children(pid: i32, name: &str) -> Vec<i32> {
    super::children(pid)
        .into_iter()
        .filter(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim_end() == name))
        .collect()
}

#[test]
fn killed_ipcbox_leaves_no_stage() {
    let child = pipe(&["run", "--", "sleep", "100", ":::", "sleep", "100"]).start();
    let mut stages = Vec::new();
    eventually("both stages run", || {
        stages = children(child.pid(), "sleep");
        stages.len() == 2
    });
    child.signal(Signal::SIGKILL);
    assert_eq!(child.code(), 137);
    eventually("the stages are gone", || {
        stages
            .iter()
            .all(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z ")))
    });
}

#[test]
fn stage_gets_only_standard_descriptors() {
    let world = World::new();
    let report = world.dir().join("report");
    let report = report.to_str().unwrap();
    // One shell starts both, because the threads of the tests can inherit descriptors of each other for a moment.
    let list = "ls /proc/self/fd";
    let compare = |call: &str| {
        let script =
            format!("given=$({list}) found=$(ipcbox pipe {call}); [ \"$found\" = \"$given\" ] || echo \"$found\"");
        assert_eq!(world.program("/bin/sh").args(["-c", &script]).ok(), "", "{call}");
    };
    for options in [&format!("--report {report}"), "--capacity 4096", "--max-time 50"] {
        compare(&format!("run {options} -- true ::: {list} ::: cat ::: cat"));
    }
    for verb in ["tee", "merge"] {
        compare(&format!("{verb} -- {list}"));
    }
    compare("duplex --shell 'exec ls /proc/self/fd >&2' 'cat >/dev/null' 2>&1");
    // Nor the one of the report.
    let script =
        format!("exec 9>{report}; ipcbox pipe run --report /dev/fd/9 --shell \"ls /proc/self/fd\" | grep -x 9");
    world.program("/bin/sh").args(["-c", &script]).status(1);
    assert!(fs::read_to_string(report).unwrap().contains("\"stage\":1"));
}

#[test]
fn report_to_a_descriptor_keeps_its_file() {
    let world = World::new();
    let log = world.dir().join("log");
    let log = log.to_str().unwrap();
    for name in ["/dev/stderr", "/dev/fd/2", "/proc/self/fd/2", "/proc/self/fd/7"] {
        let run = format!("ipcbox pipe run --report {name} -- true");
        let script = format!("{{ echo before >&2; {run}; echo after >&2; }} 2>{log} 7>&2");
        world.program("/bin/sh").args(["-c", &script]).ok();
        let shown = fs::read_to_string(log).unwrap();
        let shown: Vec<&str> = shown.lines().collect();
        let [before, stage, after] = shown[..] else { panic!("{name}: {shown:?}") };
        assert_eq!((before, after), ("before", "after"), "{name}");
        assert!(stage.starts_with("{\"stage\":1"), "{name}: {stage}");
    }
}

#[test]
fn stages_inherit_signal_dispositions() {
    let masks = ["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"];
    let given = Call::new(masks[0]).args(&masks[1..]).ok();
    pipe(&["run", "--"]).args(masks).stdout(given).ok();
    let masks = "grep -E 'Sig(Blk|Ign)' /proc/self/status";
    let ignoring = format!("trap '' CHLD INT; {masks}; {BINARY} pipe run -- {masks}");
    let shown = Call::new("bash").args(["-c", &ignoring]).ok();
    let shown: Vec<&str> = shown.lines().collect();
    assert_eq!(shown[..2], shown[2..]);
}

#[test]
fn closed_standard_descriptors_stay_closed() {
    let world = World::new();
    let closed = |redirection: &str, line: &str| {
        world.program("/bin/sh").args(["-c", &format!("ipcbox pipe run -- {line} {redirection}")])
    };
    closed("<&-", "true ::: true").ok();
    closed("<&-", "cat ::: cat").status(1);
    closed(">&-", "echo x ::: cat").status(1);
    closed("<&- >&-", "true ::: true").ok();
    closed("2>&-", "echo x ::: cat").stdout("x\n").ok();
    // A closed descriptor stays closed for the stages: no pipe of ipcbox takes its number.
    closed("<&-", "sh -c '[ ! -e /proc/self/fd/0 ]' ::: true").ok();
    world.program("/bin/sh").args(["-c", "ipcbox pipe run -- cat </"]).status(1);
}

#[test]
fn long_argument_lists_pass() {
    let long = "x".repeat(100_000);
    pipe(&["run", "--", "printf", "%s", &long, ":::", "cat"]).stdout(long.clone()).ok();
    let words = vec!["y"; 50_000];
    let call = pipe(&["run", "--", "echo"]).args(&words).args([":::", "wc", "-w"]);
    call.stdout("50000\n").ok();
}

#[test]
fn three_hundred_stages_need_few_descriptors() {
    let world = World::new();
    let many = "set --; i=0; while [ $i -lt 300 ]; do set -- \"$@\" cat :::; i=$((i + 1)); done; \
                ulimit -n $N; echo through | ipcbox pipe run -- \"$@\" cat";
    let run = |limit: &str| world.program("/bin/sh").env("N", limit).args(["-c", many]);
    run("20").stdout("through\n").ok();
    let starved = world
        .program("/bin/sh")
        .args(["-c", "exec 3</dev/null 4<&3; ulimit -n 6; exec ipcbox pipe run -- cat ::: cat ::: cat"]);
    let shown = starved.output();
    let text = String::from_utf8_lossy(&shown.stderr).into_owned();
    assert_eq!(shown.status.code(), Some(125), "{text}");
    assert!(text.contains("(EMFILE)") && text.contains("ulimit -n"), "{text}");
}

#[test]
fn two_hundred_stages_pass_all_bytes() {
    // 1 GiB in a full run.
    let full = std::env::var_os("IPCBOX_FULL").is_some();
    let count = if full { 1 << 30 } else { 32 << 20 };
    let stages = format!(
        "{} | cksum",
        format_args!("head -c {count} /dev/zero | tr '\\0' 'k' | ipcbox pipe run -- $STAGES cat")
    );
    let world = World::new();
    let direct = format!("head -c {count} /dev/zero | tr '\\0' 'k' | cksum");
    let expected = world.program("/bin/sh").args(["-c", &direct]).ok();
    let line = "cat ::: ".repeat(199);
    let call = world.program("/bin/sh").env("STAGES", &line).args(["-c", &stages]);
    let output = call.output();
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn unreadable_program_runs() {
    let world = World::new();
    let Some(uid) = world.stranger() else { return };
    let copy = world.copy("/bin/true", "true");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o111)).unwrap();
    pipe(&["run", "--"]).arg(&copy).user(uid).ok();
}

#[test]
fn stopped_stage_is_terminated() {
    for line in ["run -- sh -c 'kill -STOP $$' ::: cat", "merge -- sh -c 'kill -STOP $$'"] {
        let world = World::new();
        let script = format!(
            "setsid ipcbox pipe {line} & until grep -qs '(sh) T ' /proc/$(cut -d' ' -f1 /proc/$!/task/$!/children)/stat; do :; done
             kill -TERM $!; s=0; wait $! || s=$?; exit $s"
        );
        world.shell(&script).status(143);
    }
}
