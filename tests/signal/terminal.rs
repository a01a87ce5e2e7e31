//! `signal run`, and `ipcs-lite --leaks`, which follows the same rules, under an interactive bash in a pseudoterminal.

use nix::libc;

use crate::support::{Call, Terminal, World, eventually, holds};

fn open(world: &World) -> Option<Terminal> {
    Terminal::open(world, &["bash", "--norc", "--noprofile", "-i"], &[])
}

fn state(pid: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

fn parent(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Calls that supervise a CMD.
const RUNS: [&str; 2] = ["$BOX signal run --map USR1=USR2 -- ", "$BOX ipcs-lite --leaks -q -- "];

/// Tests each call in a terminal of its own.
fn each(act: impl Fn(&World, &Terminal, &str)) {
    for run in RUNS {
        let world = World::new();
        if run.contains("leaks") && !world.is_own() {
            return crate::support::skip("--leaks needs an IPC namespace of its own");
        }
        let Some(terminal) = open(&world) else { return };
        act(&world, &terminal, run);
    }
}

/// Checks that the shell has the terminal: it reads a word there, after `first` was called.
fn is_the_shells(terminal: &Terminal, first: impl FnOnce()) {
    terminal.types("read x; echo +$x+\n");
    terminal.in_front("bash", libc::SYS_read);
    first();
    terminal.types("word\n");
    terminal.says("+word+");
}

#[test]
fn job_is_stopped_continued_and_interrupted() {
    each(|_, terminal, run| {
        terminal.types(&format!("{run} cat\n"));
        let cat = terminal.in_front("cat", libc::SYS_read);
        let box_ = parent(cat);
        terminal.types("hello\n");
        terminal.says("hello\r\nhello\r\n");
        for _ in 0..3 {
            terminal.types("\u{1a}");
            terminal.says("Stopped");
            eventually("both are stopped", || state(cat) == Some('T') && state(box_) == Some('T'));
            terminal.types("fg\n");
            assert_eq!(terminal.in_front("cat", libc::SYS_read), cat);
            terminal.types("again\n");
            terminal.says("again\r\nagain\r\n");
        }
        terminal.types("\u{3}");
        terminal.says("ask> ");
        terminal.types("echo =$?=\n");
        terminal.says("=130=");
        is_the_shells(terminal, || {});
    });
}

#[test]
fn running_handler_is_interrupted() {
    let world = World::new();
    let Some(terminal) = open(&world) else { return };
    let script = "-- sh -c 'kill -USR1 $PPID; exit 6'\n";
    terminal.types(&format!("$BOX signal run --map USR1= --on USR1='exec sleep 987' {script}"));
    terminal.in_front("ipcbox", libc::SYS_ppoll);
    terminal.types("\u{3}");
    terminal.says("ask> ");
    terminal.types("echo =$?=\n");
    terminal.says("=6=");
}

#[test]
fn handler_that_wants_the_terminal_is_interrupted() {
    let world = World::new();
    let Some(terminal) = open(&world) else { return };
    let script = "-- sh -c 'kill -USR1 $PPID; until [ -s pid ]; do :; done; exit 6'\n";
    let on = "--on USR1='echo $$ >pid; read x </dev/tty'";
    for key in ["\u{3}", "\u{1c}"] {
        terminal.types(&format!("rm -f pid; $BOX signal run --map USR1= {on} {script}"));
        terminal.in_front("ipcbox", libc::SYS_ppoll);
        // ipcbox can wait before it has seen the signal.
        let reader = || std::fs::read_to_string(world.dir().join("pid")).ok()?.trim().parse().ok();
        eventually("it is stopped", || reader().and_then(state) == Some('T'));
        terminal.types(key);
        terminal.says("ask> ");
        terminal.types("echo =$?=\n");
        terminal.says("=6=");
    }
}

/// Waits until the shell knows that its job has stopped, and can continue it.
fn knows_it_stopped(terminal: &Terminal) {
    terminal.types("until jobs | grep Stopped; do :; done; echo fo''und\n");
    terminal.says("\nfound");
}

#[test]
fn background_job_stops_on_read() {
    each(|_, terminal, run| {
        terminal.types(&format!("{run} cat &\n"));
        terminal.says("ask> ");
        knows_it_stopped(terminal);
        terminal.types("fg\n");
        let cat = terminal.in_front("cat", libc::SYS_read);
        terminal.types("hello\n");
        terminal.says("hello\r\nhello\r\n");
        // In the background, then in the foreground again.
        terminal.types("\u{1a}");
        terminal.says("Stopped");
        terminal.types("bg\n");
        terminal.says("ask> ");
        eventually("it stops again", || state(cat) == Some('T'));
        knows_it_stopped(terminal);
        terminal.types("fg\n");
        terminal.in_front("cat", libc::SYS_read);
        terminal.types("\u{4}");
        terminal.says("ask> ");
        terminal.types("echo =$?=\n");
        terminal.says("=0=");
    });
}

#[test]
fn stopped_job_times_out() {
    let world = World::new();
    let Some(terminal) = open(&world) else { return };
    // In the background, where CMD stops on its own, and in the foreground, where ^Z stops it.
    terminal.types("$BOX signal run --max-time 0.5 -- cat &\n");
    terminal.says("cat timed out after 500ms (killed by SIGTERM)");
    terminal.types("wait $!; echo =$?=\n");
    terminal.says("=124=");
    terminal.types("$BOX signal run --max-time 2 -- cat\n");
    terminal.in_front("cat", libc::SYS_read);
    terminal.types("\u{1a}");
    terminal.says("Stopped");
    terminal.says("cat timed out after 2s (killed by SIGTERM)");
    terminal.types("wait %1; echo =$?=\n");
    terminal.says("=124=");
}

#[test]
fn background_job_stops_on_write_with_tostop() {
    each(|_, terminal, run| {
        terminal.types(&format!("stty tostop; {run} sh -c 'echo w''ritten; exit 4' &\n"));
        terminal.says("ask> ");
        knows_it_stopped(terminal);
        terminal.types("fg; echo =$?=\n");
        terminal.says("written");
        terminal.says("=4=");
    });
}

#[test]
fn pager_behind_the_pipe_gets_the_terminal() {
    each(|_, terminal, run| {
        terminal
            .types(&format!("{run} sh -c 'echo x; exec sleep 100' | sh -c 'read y; read z </dev/tty; echo +$z+'\n"));
        // The shell reads what is typed, although CMD got the terminal.
        eventually("the pager has the terminal", || {
            let group = terminal.foreground();
            std::fs::read_to_string(format!("/proc/{group}/comm")).is_ok_and(|comm| comm == "ipcbox\n")
        });
        terminal.types("word\n");
        terminal.says("+word+");
        terminal.types("\u{3}");
        terminal.says("ask> ");
    });
}

#[test]
fn failed_exec_returns_the_terminal() {
    each(|world, terminal, run| {
        let script = world.script("script", "neither program nor script");
        terminal.types(&format!("{run} {}; echo =$?=; read x; echo +$x+\n", script.display()));
        terminal.says("=126=");
        terminal.in_front("bash", libc::SYS_read);
        terminal.types("word\n");
        terminal.says("+word+");
    });
}

#[test]
fn orphaned_group_is_not_stopped() {
    each(|_, terminal, run| {
        // ipcbox leads the session: no shell can continue it.
        terminal.types(&format!("exec {run} cat\n"));
        let cat = terminal.in_front("cat", libc::SYS_read);
        terminal.types("one\n");
        terminal.says("one\r\none\r\n");
        terminal.types("\u{1a}");
        terminal.says("^Z");
        terminal.types("two\n");
        terminal.says("two\r\ntwo\r\n");
        assert_ne!(state(cat), Some('T'));
        terminal.types("\u{4}");
    });
}

/// ipcbox is init of a pid namespace below the shell, which sees neither it nor CMD.
fn below_init() -> Option<String> {
    let user = if nix::unistd::geteuid().is_root() { "" } else { "--user --map-root-user" };
    let unshare = format!("unshare {user} --pid --fork --mount-proc");
    let call = Call::new("sh").args(["-c", &format!("{unshare} true")]);
    if !call.output().status.success() {
        crate::support::skip("no pid namespace can be created here");
        return None;
    }
    Some(format!("{unshare} $BOX signal run --reap -- cat"))
}

#[test]
fn unstoppable_init_leaves_the_terminal() {
    let world = World::new();
    let Some(line) = below_init() else { return };
    let Some(terminal) = open(&world) else { return };
    terminal.types(&format!("{line}\n"));
    let cat = terminal.in_front("cat", libc::SYS_read);
    for again in ["", "bg\n"] {
        terminal.types("\u{1a}");
        terminal.says("Stopped");
        terminal.types(again);
        eventually("it is stopped", || state(cat) == Some('T'));
        is_the_shells(&terminal, || assert!(holds(|| state(cat) == Some('T'))));
        knows_it_stopped(&terminal);
        terminal.types("fg\n");
        assert_eq!(terminal.in_front("cat", libc::SYS_read), cat);
        terminal.types("hello\n");
        terminal.says("hello\r\nhello\r\n");
    }
    terminal.types("\u{4}");
    terminal.says("ask> ");
    terminal.types("echo =$?=\n");
    terminal.says("=0=");
    // Started in the background.
    terminal.types(&format!("{line} &\n"));
    knows_it_stopped(&terminal);
    terminal.types("fg\n");
    terminal.in_front("cat", libc::SYS_read);
    terminal.types("\u{4}");
    terminal.says("ask> ");
}

#[test]
fn orphaned_group_below_init_is_not_stopped() {
    let world = World::new();
    let Some(line) = below_init() else { return };
    let Some(terminal) = open(&world) else { return };
    terminal.types(&format!("exec {line}\n"));
    let cat = terminal.in_front("cat", libc::SYS_read);
    terminal.types("\u{1a}");
    terminal.says("^Z");
    terminal.types("two\n");
    terminal.says("two\r\ntwo\r\n");
    assert_ne!(state(cat), Some('T'));
    terminal.types("\u{4}");
}
