//! The completions in their shells, in a terminal: what Tab offers, inserts and costs.

mod objects;

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use ipcbox::applets::APPLETS;

use crate::support::{BINARY, Call, PROMPT, Terminal, World, lines, skip};

const COMPLETIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/completions");
/// The bash-completion package, with which bash loads completions on demand.
pub const PACKAGE: &str = "/usr/share/bash-completion/bash_completion";

/// A shell: how to start it, what it reads first, and the keys that list completions.
pub struct Shell {
    pub words: &'static [&'static str],
    pub rc: (&'static str, &'static str),
    pub tab: &'static str,
    /// What to type around a line so that the cost of its completion is printed.
    pub cost: (&'static str, &'static str),
}

pub const BASH: Shell = Shell {
    words: &["bash", "--noprofile", "--rcfile", "rc", "-i"],
    rc: (
        "rc",
        r"PS1='ask> '
bind 'set bell-style none' 'set completion-query-items 0' 'set page-completions off'
. $COMPLETIONS/ipcbox.bash
# The strictest options that a user may have set.
set -u
shopt -s failglob
# The time of one call, in microseconds.
cost() {
    COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=63 COMP_WORDS=($1 '') COMP_CWORD=${#COMP_WORDS[@]}
    ((COMP_CWORD--))
    local from=$EPOCHREALTIME
    _ipcbox '' '' ''
    printf '@=%d=@\n' $((${EPOCHREALTIME/.} - ${from/.}))
}
",
    ),
    // A third Tab, if the first one inserted something.
    tab: "\t\t\t",
    cost: ("cost '", "'\n"),
};

pub const ZSH: Shell = Shell {
    words: &["zsh", "-d", "-i"],
    rc: (
        ".zshrc",
        r"PS1='ask> '
LISTMAX=0
bindkey -e
unsetopt beep prompt_cr prompt_sp list_ambiguous auto_menu
fpath=($COMPLETIONS $fpath)
autoload -Uz compinit && compinit -u -D
# The time of one Tab, in microseconds.
zmodload zsh/datetime
cost() { local from=$EPOCHREALTIME; zle list-choices; printf '@=%d=@' $(((EPOCHREALTIME - from) * 1000000)); }
zle -N cost
bindkey '^Xt' cost
",
    ),
    tab: "\t",
    cost: ("", "\u{18}t\u{15}"),
};

pub const FISH: Shell = Shell {
    words: &["fish", "--no-config", "--init-command", "source rc.fish"],
    rc: (
        "rc.fish",
        r"function fish_prompt; echo -n 'ask> '; end
function fish_greeting; end
set -g fish_autosuggestion_enabled 0
source $COMPLETIONS/ipcbox.fish
# The time of one call, in microseconds.
function cost
    set -l from (date +%s%N)
    complete --do-complete=$argv[1] >/dev/null
    printf '@=%d=@\\n' (math -s0 \( (date +%s%N) - $from \) / 1000)
end
",
    ),
    tab: "\t",
    cost: ("cost '", "'\n"),
};

impl Shell {
    /// Starts it with the completions of this directory.
    pub fn open(&self, world: &World, completions: &str) -> Option<Terminal> {
        world.file(self.rc.0, self.rc.1);
        let path = format!("{}/bin:{}", world.dir().display(), std::env::var("PATH").unwrap_or_default());
        let home = world.dir().to_str().unwrap();
        let term = if self.tab == "\t" { "xterm" } else { "dumb" };
        let env = [("COMPLETIONS", completions), ("PATH", &path), ("ZDOTDIR", home), ("TERM", term)];
        Terminal::open(world, self.words, &env)
    }

    /// Types a line and the keys that list its completions, waits until all of `expected` are on the screen, and
    /// returns the screen.
    pub fn lists(&self, terminal: &Terminal, line: &str, expected: &[&str]) -> String {
        terminal.types(&format!("{line}{}", self.tab));
        for word in expected {
            terminal.shows(word, line);
        }
        // Not ^C: a signal would flush the input after it.
        terminal.types("\u{15}echo en''d\n");
        let screen = terminal.says("end\r\n");
        terminal.says(PROMPT);
        screen
    }

    /// Checks lines with what must be offered for them and what must not.
    fn offers(&self, terminal: &Terminal, table: &[(&str, &[&str], &[&str])]) {
        for (line, expected, unwanted) in table {
            // If one family of objects is shared, those of other tests are among the offers.
            let screen = self.lists(terminal, line, expected);
            let screen = screen.replacen(line, "", 1);
            for word in *unwanted {
                assert!(!screen.contains(word), "{line:?} offers {word:?}:\n{screen}");
            }
            for word in ["_ipcbox", "What exists", "rror", "not found", "nvalid", "No such"] {
                assert!(!screen.contains(word), "{line:?}:\n{screen}");
            }
        }
    }
}

/// Creates files of sockets, and servers with names.
fn servers(world: &World) -> [UnixListener; 2] {
    ["one", "two"].map(|end| {
        let address = SocketAddr::from_abstract_name(format!("ipcbox.{}", world.name(end))).unwrap();
        drop(UnixListener::bind(world.dir().join(format!("way-sock-{end}"))).unwrap());
        UnixListener::bind_addr(&address).unwrap()
    })
}

/// Creates objects of every kind, and checks lines with what must be offered for them and what must not.
fn check(shell: &Shell) {
    let world = World::new();
    let name = |name: &str| world.name(name);
    let made = |line: &str| world.call(line).ok().trim().to_owned();
    let key = |name: &str| made(&format!("key {name}"));
    let [sem, msg, shm] = ["sem", "msg", "shm"].map(name);
    made(&format!("sem create {sem} --value 1,2,3"));
    made(&format!("msgq send {msg} one two --create"));
    // A single one would be inserted instead of listed.
    made(&format!("sem create {msg} --value 1,2,3"));
    made(&format!("msgq create {sem}"));
    made(&format!("shm create {shm} --size 12345"));
    let [slash_sem, slash_board] = ["psem", "pshm"].map(|name| world.posix(name));
    made(&format!("sem create {slash_sem}"));
    made(&format!("shm create {slash_board} --size 4321"));
    made("fifo create way-in way-out");
    world.file("way-of-life", "");
    // Objects with another first letter: fish shortens a long beginning that all offers have in common.
    for applet in ["sem", "msgq"] {
        made(&format!("{applet} create ftok:way-of-life"));
    }
    let _servers = servers(&world);
    let server = format!("sock connect {}", name(""));
    world.program("true").ok();
    let bin = world.dir().join("bin");
    // The links hide the programs of the system.
    assert!(Call::new(BINARY).arg("--install").arg(bin).args(["ipcs", "ipcrm"]).output().status.success());
    // Another program with the name of an applet.
    std::fs::remove_file(world.dir().join("bin/pipe")).unwrap();
    world.script("bin/pipe", "#!/bin/sh\n");
    world.script("bin/way-one", "#!/bin/sh\n");
    world.script("bin/way-two", "#!/bin/sh\n");
    let Some(terminal) = shell.open(&world, COMPLETIONS) else { return };
    let sleepers = [(); 2].map(|()| Call::new("sleep").arg("987654").start());
    let (key_of_sem, key_of_queue, key_of_board) = (key(&sem), key(&msg), key(&shm));
    let [pid, other] = sleepers.each_ref().map(|sleeper| sleeper.pid().to_string());
    let (sems, msgs, bytes) = ("3 semaphores", "2 messages, 6 bytes", "12345 bytes, 0 attached");
    let alike = pid.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let some_pid = format!("signal join {}", &pid[..alike]);
    let other_pid = some_pid.replace("signal join", "sem hold x");
    let table: &[(&str, &[&str], &[&str])] = &[
        ("ipcbox --", &["--install", "--list", "--version"], &[]),
        ("ipcbox --version -", &["-v", "--verbose"], &[]),
        ("ipcbox s", &["sem", "shm", "Job slots, locks and barriers"], &["msgq", "fifo"]),
        ("sem ", &["barrier", "Wait until N callers have arrived, then return"], &["--timeout"]),
        ("ipcbox help msgq ", &["peek", "Print messages without taking them"], &[]),
        ("ipc-sem run x --", &["--slots", "Create N slots if needed", "--timeout"], &["--json"]),
        ("ipcbox-sem stat x --color ", &["auto", "always", "never"], &[]),
        ("sem stat x --color=a", &["auto", "always"], &["never"]),
        ("ipcrm-lite --all ", &["shm", "msg"], &[]),
        ("ipcrm-lite --all=", &["shm", "msg", "sem"], &[]),
        ("shm get x --bits ", &["32", "64"], &[]),
        ("ipcs --", &["--leaks", "Run CMD, and report the objects it leaves behind", "--version"], &["--list"]),
        ("ipcs --sort ", &["attached", "change_time"], &["command"]),
        ("ipcs --holders --columns ", &["command", "how"], &["attached"]),
        ("sem stat --columns ", &["purpose", "value"], &["operations"]),
        ("sem stat x --columns=purpose,w", &["waiting", "waiters"], &["held"]),
        ("sem stat --waiters --columns state,", &["operations", "purpose"], &["value"]),
        ("ipcbox ipcrm --", &["--orphaned", "--queue-key"], &["--list"]),
        ("sem run x --timeout 5 --tim", &["--timeout", "--timeout-status"], &["--slots"]),
        ("signal send T", &["TERM", "terminate", "TRAP"], &["KILL"]),
        ("signal wait INT,US", &["USR1", "USR2"], &["TERM"]),
        ("signal wait SIGUS", &["USR1", "USR2"], &["TERM"]),
        ("ipcbox sem rm ", &[&sem, &slash_sem, sems], &[&key_of_sem, &shm, &slash_board]),
        ("sem stat 0x", &[&key_of_sem, &key_of_queue], &[&slash_sem]),
        ("msgq recv ", &[&msg, msgs], &[&shm, &slash_sem]),
        ("shm stat ", &[&shm, &slash_board, bytes], &[&msg, &slash_sem]),
        ("ipcs-lite ", &[&shm, &msg, &sem, bytes], &[]),
        ("ipcrm -Q ", &[&key_of_queue, &key_of_sem], &[&key_of_board, &slash_board]),
        ("ipcrm-lite --sem ", &[&sem, &msg, sems], &[&slash_board, bytes]),
        ("ipcrm-lite --name ", &[&sem, &shm], &[&key_of_sem]),
        ("ipcs-lite -q -i ", &[msgs], &[sems, bytes]),
        ("sem create ", &["private", "ftok:"], &[&sem]),
        ("ipcbox sem op ", &[&sem, &msg, sems], &[&slash_sem]),
        ("ipcbox key ", &[&sem, &shm, "ftok:"], &[&slash_sem, &key_of_sem]),
        ("fifo stat way-", &["way-in", "way-out"], &["way-of-life"]),
        ("sock rm way-", &["way-sock-one", "way-sock-two"], &["way-of-life", "way-in"]),
        (&server, &["one", "two", "stream"], &["way-in"]),
        ("pipe way-", &["way-in", "way-of-life"], &["run"]),
        ("shm memfd way-", &["way-in", "way-of-life"], &[]),
        ("ipcbox key ftok:way-", &["way-in", "way-of-life"], &[]),
        (&some_pid, &[&pid, &other, "sleep 987654"], &[]),
        (&other_pid, &[&pid, &other], &[]),
        ("ipcbox --install bin s", &["shm", "signal"], &["msgq"]),
        ("sem run x -- way-", &["way-one", "way-two"], &["way-in"]),
        ("ipcbox pipe run -- cat ::: way-", &["way-one", "way-two"], &["way-in"]),
        ("sem run x -- cat way-", &["way-in", "way-of-life"], &["way-one"]),
        ("sem run x -- ipcbox sem lock y --", &["--shared", "--foreign"], &["--slots"]),
    ];
    shell.offers(&terminal, table);
    // A single offer is inserted, and the line runs.
    terminal.types("ipcbox si\tli\tTER\t\n");
    terminal.says("15\r\n");
    // A column is offered once.
    terminal.types("ipcbox shm stat --columns removed,re\t");
    terminal.says("removed,resident");
    terminal.types("\u{15}");
    // A word with this text only in its description is not offered.
    terminal.types("ipcbox signal send 0 1:\t\n");
    terminal.says("not '1:'");
    // There is no blank before the path.
    terminal.types("ipcbox key f\t/etc/passwd\n");
    terminal.says("0x01");
    for applet in ["sem", "msgq"] {
        made(&format!("{applet} rm ftok:way-of-life"));
    }
}

#[test]
fn bash_inserts_no_description() {
    let world = World::new();
    if !world.is_own() {
        return skip("the ids of objects are not the test's");
    }
    for applet in ["msgq", "sem"] {
        assert_eq!(world.call(&format!("{applet} create x")).ok(), "0\n");
    }
    world.program("true").ok();
    let rc = format!("{}bind 'set show-all-if-ambiguous on'\n", BASH.rc.1);
    let shell = Shell { rc: (BASH.rc.0, rc.leak()), ..BASH };
    let Some(terminal) = shell.open(&world, COMPLETIONS) else { return };
    // An id of two kinds is one word.
    terminal.types("ipcbox ipcs-lite -i \t\u{1}echo =\u{5}=\n");
    terminal.says("\n=ipcbox ipcs-lite -i 0 =");
}

#[test]
fn other_programs_keep_their_own_completion() {
    let world = World::new();
    world.program("true").ok();
    std::fs::remove_file(world.dir().join("bin/sem")).unwrap();
    for name in ["ipcs", "sem"] {
        world.script(&format!("bin/{name}"), "#!/bin/sh\n");
    }
    // As if bash had asked for the completion of sem.
    let script = "complete -W own ipcs; COMP_WORDS=(bin/sem x); . $COMPLETIONS/ipcbox.bash; complete -p ipcs sem";
    let printed = world.program("bash").args(["-c", script]).env("COMPLETIONS", COMPLETIONS).ok();
    let printed = lines(printed.as_bytes());
    assert!(printed[0] == "complete -W 'own' ipcs" && printed[1].ends_with("_ipcbox sem"), "{printed:?}");
}

#[test]
fn bash_offers_words_and_objects() {
    check(&BASH);
}

#[test]
fn bash_with_its_package_offers_the_same() {
    if !Path::new(PACKAGE).exists() {
        return skip("there is no bash-completion");
    }
    let rc = format!(". {PACKAGE}\n{}", BASH.rc.1);
    check(&Shell { rc: (BASH.rc.0, rc.leak()), ..BASH });
}

#[test]
fn zsh_offers_words_and_objects() {
    check(&ZSH);
}

/// The process that zsh forks to list processes is not offered.
#[test]
fn zsh_offers_its_own_process_once() {
    let world = World::new();
    world.program("true").ok();
    let name: &str = world.name("this-one").leak();
    let words = Vec::leak([ZSH.words, &["-s", name]].concat());
    let Some(terminal) = (Shell { words, ..ZSH }).open(&world, COMPLETIONS) else { return };
    let screen = ZSH.lists(&terminal, "ipcbox signal send TERM ", &[name]);
    assert_eq!(screen.matches(name).count(), 1, "{screen}");
}

#[test]
fn zsh_keeps_the_order_of_verbs() {
    let world = World::new();
    world.program("true").ok();
    let Some(terminal) = ZSH.open(&world, COMPLETIONS) else { return };
    let sem = APPLETS.iter().find(|applet| applet.name == "sem").unwrap();
    let verbs: Vec<&str> = sem.verbs.iter().map(|verb| verb.summary).collect();
    let screen = ZSH.lists(&terminal, "ipcbox sem ", &verbs);
    let places: Vec<Option<usize>> = verbs.iter().map(|summary| screen.find(summary)).collect();
    assert!(places.is_sorted(), "{screen}");
}

#[test]
fn fish_offers_words_and_objects() {
    check(&FISH);
}

#[test]
fn no_completion_takes_long() {
    let world = World::new();
    world.program("true").ok();
    // As many objects as on a busy machine.
    for n in 0..if world.is_own() { 50 } else { 5 } {
        world.call(&format!("sem create @s{n}")).ok();
    }
    let lines = ["ipcbox ", "sem run x --", "signal wait ", "signal join ", "sem rm ", "ipcs-lite "];
    for shell in [BASH, ZSH, FISH] {
        let Some(terminal) = shell.open(&world, COMPLETIONS) else { continue };
        for line in lines {
            let cost = |_| {
                terminal.types(&format!("{}{line}{}", shell.cost.0, shell.cost.1));
                terminal.says("@=");
                terminal.says("=@").trim_end_matches("=@").parse::<u64>().unwrap()
            };
            // Other tests run at the same time: one of several calls has to be undisturbed.
            let quick = (0..20).map(cost).find(|cost| *cost < 50_000);
            assert!(quick.is_some(), "{}: {line:?} takes more than 50 ms", shell.words[0]);
        }
    }
}
