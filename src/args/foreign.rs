//! Words of other tools (flock, timeout, GNU sem, pv, kill, Redis) and their counterparts.

/// Words instead of an applet, each with the applet or verb.
pub const APPLETS: &[(&str, &str)] = &[
    ("flock", "sem lock"),
    ("run", "sem run"),
    ("semaphore", "sem"),
    ("timeout", "signal run"),
    ("kill", "signal send"),
    ("waitpid", "signal join"),
    ("queue", "msgq"),
    ("ls", "ipcs-lite"),
    ("ps", "ipcs-lite"),
    ("list", "ipcs-lite"),
    ("mkfifo", "fifo create"),
    ("pv", "pipe meter"),
];

/// Words instead of a verb: the applet (empty: any), the word, and the verb, the first one that the applet has.
pub const VERBS: &[(&str, &str, &[&str])] = &[
    ("", "ls", &["list", "stat"]),
    ("", "list", &["stat"]),
    ("", "show", &["stat"]),
    ("", "info", &["stat"]),
    ("", "delete", &["rm"]),
    ("", "remove", &["rm"]),
    ("", "chmod", &["set"]),
    ("", "chown", &["set"]),
    ("sem", "take", &["run"]),
    ("sem", "exec", &["run"]),
    ("sem", "down", &["wait"]),
    ("sem", "up", &["post"]),
    ("msgq", "push", &["send"]),
    ("msgq", "write", &["send"]),
    ("msgq", "pop", &["recv"]),
    ("msgq", "get", &["recv"]),
    ("msgq", "read", &["recv"]),
    ("msgq", "receive", &["recv"]),
    ("shm", "inc", &["add"]),
    ("shm", "incr", &["add"]),
    ("fifo", "cat", &["read"]),
    ("fifo", "recv", &["read"]),
    ("fifo", "receive", &["read"]),
    ("fifo", "send", &["write"]),
    ("pipe", "pv", &["meter"]),
    ("pipe", "progress", &["meter"]),
    ("sock", "write", &["send"]),
    ("sock", "read", &["recv"]),
    ("sock", "receive", &["recv"]),
    ("sock", "listen", &["recv"]),
    ("signal", "kill", &["send"]),
    ("signal", "timeout", &["run"]),
    ("signal", "waitpid", &["join"]),
];

/// Words without a counterpart: the applet, the words, an explanation, and the line to use. `{}` is the operand.
pub const EXPLAINED: &[(&str, &[&str], &str, &str)] = &[
    ("sem", &["acquire"], "'sem run' holds a slot while CMD runs, and 'sem hold' until a process exits", "hold {} $$"),
    (
        "sem",
        &["release", "unlock"],
        "a slot or lock is released when CMD exits, or by 'sem hold --release'",
        "hold {} $$ --release",
    ),
];

/// Options of other tools: the verbs (empty: any), the options, and the counterpart.
pub const OPTIONS: &[(&[&str], &[&str], Ours)] = &[
    (&["sem lock"], &["-c", "--command"], Ours::Words("-- sh -c {}")),
    (&["sem lock"], &["-x", "-e", "--exclusive"], Ours::Default("locks are exclusive by default")),
    (&["sem run"], &["-j", "--jobs"], Ours::Words("--slots {}")),
    (&["sem run", "sem lock"], &["--fg"], Ours::Default("CMD runs in the foreground")),
    (&["signal run"], &["-k", "--kill-after"], Ours::Words("--then TERM:{} --then KILL")),
    (&["signal run"], &["-s", "--signal"], Ours::Words("--then {}")),
    (&["signal run", "pipe run", "pipe merge", "pipe duplex"], &["-w", "--timeout"], Ours::Words("--max-time {}")),
    (&["signal send"], &["-s", "--signal"], Ours::Words("{}")),
    (&["signal send"], &["-w", "--timeout"], Ours::Words("--wait {}")),
    (&["pipe meter"], &["-s"], Ours::Words("--size {}")),
    (&["pipe meter"], &["-L"], Ours::Words("--rate-limit {}")),
    (&["pipe meter"], &["-N"], Ours::Words("--name {}")),
    (&["pipe meter"], &["-i"], Ours::Words("--interval {}")),
    (&["pipe meter"], &["-l"], Ours::Words("--lines")),
    (&[""], &["--wait"], Ours::Words("--timeout {}")),
    (&[""], &["--nb", "--nonblocking"], Ours::Words("--nonblock")),
    (&[""], &["--conflict-exit-code"], Ours::Words("--timeout-status {}")),
];

/// The counterpart of an option.
#[derive(Clone, Copy)]
pub enum Ours {
    /// Words separated by blanks. `{}` is the value.
    Words(&'static str),
    /// None, because it is the default.
    Default(&'static str),
}

/// The option that is probably missing before a number, by verb.
pub const BARE: &[(&str, &str)] = &[
    ("sem create", "--slots"),
    ("sem run", "--slots"),
    ("shm create", "--size"),
    ("msgq create", "--max-bytes"),
    ("signal run", "--max-time"),
];

/// Whether the words after a word of another tool mean the same in its counterpart.
pub fn keeps_operands(theirs: &str, next: &str) -> bool {
    match theirs {
        // A mode or an owner would be a value.
        "chmod" | "chown" => false,
        // kill(1) sends TERM to the processes 9 and 1234 of `kill 9 1234`.
        "kill" => next.starts_with('-'),
        _ => true,
    }
}

/// Returns the verb for a word of another tool.
pub fn verb(applet: &str, word: &str, has: impl Fn(&str) -> bool) -> Option<&'static str> {
    let rows = VERBS.iter().filter(|(of, theirs, _)| ["", applet].contains(of) && *theirs == word);
    rows.flat_map(|(.., ours)| *ours).copied().find(|ours| has(ours))
}

/// Returns the counterpart of an option in the verb whose line starts with `called`.
pub fn option(called: &str, word: &str) -> Option<Ours> {
    let is_meant =
        |verbs: &[&str], theirs: &[&str]| theirs.contains(&word) && verbs.iter().any(|verb| called.ends_with(verb));
    OPTIONS.iter().find(|(verbs, theirs, _)| is_meant(verbs, theirs)).map(|(.., ours)| *ours)
}
