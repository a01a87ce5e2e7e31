//! Hints after a failure: one line, which works when pasted.

use crate::support::{BINARY, Call, World, lines};

/// Runs a call that fails with this status, and returns its hint.
fn hint(call: Call, status: i32) -> String {
    let output = call.output();
    let text = lines(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{text:?}");
    assert_eq!(text.len(), 2, "{text:?}");
    text[1].strip_prefix("hint: ").unwrap_or_else(|| panic!("{text:?}")).to_owned()
}

#[test]
fn shell_syntax_is_hinted_as_sh_c() {
    let world = World::new();
    for verb in [
        "sem lock @l --",
        "sem run @s --slots 1 --",
        "signal run --reap --",
        "pipe run --",
        "pipe merge --",
        "shm memfd --",
    ] {
        for (words, hinted) in [
            (&["true && echo b"][..], "write CMD as sh -c 'true && echo b'"),
            (&["FOO=1", "printenv", "FOO"], "write CMD as env FOO=1 printenv FOO"),
            (&["FOO=1 printenv FOO"], "write CMD as sh -c 'FOO=1 printenv FOO'"),
            (&["alias", "x=y"], "write the shell builtin as sh -c 'alias x=y'"),
            (&["export", "A", "&&", "true"], "write the shell builtin as sh -c 'export A && true'"),
            (&["source", "./env"], "write the shell builtin as bash -c 'source ./env'"),
            (&["ll", "-a"], "write a shell function as sh -c '. ./FILE; ll -a'"),
        ] {
            assert_eq!(hint(world.call(verb).args(words), 127), hinted, "{verb} {words:?}");
        }
    }
    // A shell reads the quotes of the hint.
    let text = hint(world.call("sem lock @l -- ").args(["nosuch | cat", "it's"]), 127);
    let shown = format!("set -- {}; printf '%s' \"$3\"", text.strip_prefix("write CMD as ").unwrap());
    world.shell(&shown).stdout(r"nosuch | cat 'it'\''s'").ok();
    // They work when pasted.
    world.shell("ipcbox sem lock $NAME-l -- sh -c 'true && echo b'").stdout("b\n").ok();
    world.shell("ipcbox sem lock $NAME-l -- env FOO=1 printenv FOO").stdout("1\n").ok();
    // No hint for a path or a lone assignment.
    for words in ["./nosuch", "/no/such", "A=1"] {
        let output = world.call("sem lock @l --").arg(words).output();
        assert_eq!(lines(&output.stderr).len(), 1, "{words}");
    }
}

#[test]
fn exported_function_of_bash_is_hinted() {
    let world = World::new();
    let call = world.call("sem lock @l -- greet you").env("BASH_FUNC_greet%%", "() {  echo hi $1\n}");
    assert_eq!(hint(call, 127), "write the bash function as bash -c 'greet you'");
}

#[test]
fn script_without_an_interpreter_is_hinted() {
    let world = World::new();
    world.script("plain", "echo \"$1\"\n");
    world.shell("printf '\\177ELF\\0\\0' >binary; chmod 755 binary; : >empty; chmod 755 empty").ok();
    let words = "write CMD as sh ./plain 'a b'";
    for verb in ["sem lock @l --", "signal run --reap --", "pipe run --"] {
        assert_eq!(hint(world.call(verb).args(["./plain", "a b"]), 126), words, "{verb}");
        for other in ["./binary", "./empty"] {
            let output = world.call(verb).arg(other).output();
            assert_eq!(lines(&output.stderr).len(), 1, "{verb} {other}");
        }
    }
    world.shell("ipcbox sem lock $NAME-l -- sh ./plain 'a b'").stdout("a b\n").ok();
}

#[test]
fn negative_pid_is_hinted_as_a_group() {
    let world = World::new();
    for line in ["signal send TERM -4711", "signal send TERM -- -4711"] {
        let text = hint(world.call(line), 2);
        assert_eq!(text, "ipcbox signal send TERM 4711 --group", "{line}");
    }
    let text = hint(world.call("signal send USR1 --value 1 -4711 -12"), 2);
    assert_eq!(text, "ipcbox signal send USR1 --value 1 4711 12 --group");
    // --group would apply to 12 too, -1 is every process, and other verbs have no --group.
    for line in ["signal send TERM -4711 12", "signal send TERM -1", "signal stat -4711", "signal send TERM -x"] {
        let output = world.call(line).output();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && !text.contains("--group"), "{line}: {text}");
    }
}

/// Runs a call that fails with `$T` as its target, and checks its hint, in which TARGET is the quoted target. A shell
/// that reads the hint gets the same target.
fn names_target(world: &World, target: &str, setup: &str, call: Call, hint: &str) {
    world.shell(setup).env("T", target).ok();
    let printed = lines(&call.env("T", target).output().stderr);
    let quoted = format!("'{target}'");
    assert!(printed.last().is_some_and(|line| line.ends_with(&hint.replace("TARGET", &quoted))), "{hint}: {printed:?}");
    let start = hint.find("ipcbox ").unwrap();
    let line = hint[start..].replace("TARGET", &quoted);
    let typed = world.shell(&format!("ipcbox() {{ printf '%s\\n' \"$@\"; }}; {line}")).ok();
    assert!(typed.lines().any(|word| word == target), "{line}: {typed}");
    assert!(!world.dir().join("c").exists(), "{line}");
    world.shell("for applet in sem msgq shm; do ipcbox $applet rm \"$T\" || :; done 2>&-").env("T", target).ok();
}

#[test]
fn hint_names_the_same_target_in_a_shell() {
    let world = World::new();
    // A path and a POSIX name may hold anything.
    world.file("a b;touch c", "");
    let (ftok, posix) = ("ftok:a b;touch c", world.posix("a b;touch c"));
    let limits = std::fs::read_to_string("/proc/sys/kernel/sem").unwrap();
    let many = limits.split_whitespace().nth(2).unwrap().parse::<u32>().unwrap() + 1;
    let create = format!("ipcbox sem create \"$T\" --value 1 --nsems {many}");
    let instead = format!("ipcbox sem create TARGET --nsems {many} && ipcbox sem set TARGET 0..{}=1", many - 1);
    let instead = format!("hint: {instead}");
    for (target, setup, call, hint) in [
        (ftok, "", r#"ipcbox sem wait "$T""#, "hint: create the semaphore set first: ipcbox sem create TARGET"),
        (ftok, r#"ipcbox sem lock "$T" -- true"#, r#"ipcbox sem run "$T" -- true"#, "hint: use ipcbox sem lock TARGET"),
        (
            ftok,
            r#"ipcbox sem run "$T" --slots 2 -- true"#,
            r#"ipcbox sem lock "$T" -- true"#,
            "hint: use ipcbox sem run TARGET",
        ),
        (
            ftok,
            r#"ipcbox sem barrier "$T" 2 -n -E 0"#,
            r#"ipcbox sem lock "$T" -- true"#,
            "hint: ipcbox sem barrier TARGET 2",
        ),
        (ftok, "", &create, &instead),
        (
            ftok,
            r#"ipcbox msgq create "$T" --max-bytes 4"#,
            r#"ipcbox msgq send "$T" hello"#,
            "hint: ipcbox msgq set TARGET --max-bytes 5",
        ),
        (
            ftok,
            r#"ipcbox msgq create "$T" --max-bytes 4; ipcbox msgq send "$T" four"#,
            r#"ipcbox msgq send "$T" x -v -w 10ms 2>&1 | head -1 >&2"#,
            "receive messages at the same time: ipcbox msgq recv TARGET",
        ),
        (&posix, r#"ipcbox msgq create "$T""#, r#"ipcbox msgq peek "$T""#, "hint: count them: ipcbox msgq stat TARGET"),
    ] {
        names_target(&world, target, setup, world.shell(call), hint);
    }
    let Some(stranger) = world.stranger() else { return };
    for (target, setup, call, hint) in [
        (ftok, r#"ipcbox sem create "$T""#, r#"ipcbox sem post "$T""#, "ipcbox sem set TARGET --mode 666"),
        (ftok, r#"ipcbox msgq create "$T""#, r#"ipcbox msgq send "$T" x"#, "ipcbox msgq set TARGET --mode 666"),
        (&posix, r#"ipcbox shm create "$T" --size 4"#, r#"ipcbox shm read "$T""#, "ipcbox shm set TARGET --mode 666"),
    ] {
        names_target(&world, target, setup, world.shell(call).user(stranger), hint);
    }
}

#[test]
fn plain_semaphore_is_not_hinted_to_be_removed() {
    let world = World::new();
    world.call("sem create @s --value 1").ok();
    for words in ["sem run @s -- true", "sem lock @s -- true", "sem run @s --slots 2 -- true"] {
        assert_eq!(hint(world.call(words), 125), "use another name", "{words}");
    }
}

#[test]
fn verb_in_a_hint_is_one_of_ipcbox() {
    let world = World::new();
    world.shell("ipcbox sem run $NAME-s --slots 2 -- true; ipcbox sem lock $NAME-l -- true").ok();
    world.shell("ipcbox sem barrier $NAME-b 2 -n -E 0").ok();
    for (words, hinted) in [
        ("sem post @s", format!("use ipcbox sem run {}", world.name("s"))),
        ("sem post @l", format!("use ipcbox sem lock {}", world.name("l"))),
        ("sem post @b", format!("ipcbox sem barrier {} 2", world.name("b"))),
    ] {
        assert_eq!(hint(world.call(words), 4), hinted, "{words}");
    }
    assert_eq!(hint(world.call("sem run @s --slots 30000 --resize -- true"), 125), "use another name");
}

#[test]
fn descriptor_limit_is_hinted_in_every_applet() {
    let world = World::new();
    for setup in
        ["sem create /@s", "shm create /@m --size 4", "msgq create /@q", "fifo create f", "sem create @s --slots 1"]
    {
        world.call(setup).ok();
    }
    for line in [
        "sem get /@s",
        "sem hold @s PID",
        "shm get /@m",
        "shm memfd -- true",
        "fifo read f -n",
        "fifo write f x -n",
        "pipe run -- true ::: true",
        "pipe merge -- true ::: true",
        "signal send 0 PID",
        "signal stat PID",
        "signal wait USR1 -n",
        "signal run --reap -- true",
        "ipcs-lite --posix",
        "msgq recv /@q -n",
    ] {
        let line = line.replace("PID", &std::process::id().to_string());
        let words = line.split(' ').map(|word| match word.split_once('@') {
            Some(("", rest)) => world.name(rest),
            Some(("/", rest)) => world.posix(rest),
            _ => word.to_owned(),
        });
        let script = "ulimit -n 3; exec \"$0\" \"$@\"";
        let output = Call::new("/bin/sh").args(["-c", script, BINARY]).args(words).dir(world.dir());
        let output = output.output();
        let text = String::from_utf8(output.stderr).unwrap();
        println!("{line}: {:?} {text}", output.status.code());
        assert!(output.status.code() != Some(0) && text.contains("(EMFILE)"), "{line}: {text}");
        assert!(text.contains("ulimit -n"), "{line}: {text}");
    }
}

#[test]
fn unknown_topic_leads_to_the_list() {
    let ask = |word: &str| Call::new(BINARY).args(["help", word]);
    let hint = "hint: list the applets and topics: ipcbox help";
    for (word, words) in
        [("nope", "no applet or topic 'nope'\n"), ("jsn", "no applet or topic 'jsn'; did you mean 'json'?\n")]
    {
        ask(word).fails(2, words);
        ask(word).fails(2, hint);
    }
}
