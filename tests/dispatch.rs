//! Calls by word and by link, help, and the commands of ipcbox itself.

use std::os::unix::fs::symlink;

use crate::support::{BINARY, Call, World, skip};

#[test]
fn call_without_words_lists_the_applets() {
    let world = World::new();
    let help = world.call("").ok();
    assert!(help.contains("\n  sem "), "{help}");
    assert_eq!(world.call("--help").ok(), help);
    assert_eq!(world.call("help").ok(), help);
    for own in ["help", "--list", "-V"] {
        assert_eq!(world.call(&format!("help {own}")).ok(), help);
    }
    assert!(!help.contains("  ipcbox"), "{help}");
}

#[test]
fn list_and_version_print_nothing_else() {
    let world = World::new();
    let list = world.call("--list").ok();
    assert!(list.lines().any(|line| line == "sem"), "{list}");
    world.call("--version").stdout(format!("ipcbox {}\n", env!("CARGO_PKG_VERSION"))).ok();
}

#[test]
fn applet_without_a_verb_lists_the_verbs() {
    let world = World::new();
    let output = world.call("sem").output();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    for word in ["\n  run ", "\n  barrier ", "Example: ipcbox sem run"] {
        assert!(text.contains(word), "{text}");
    }
    assert_eq!(world.call("sem --help").ok(), text);
    assert_eq!(world.call("help sem").ok(), text);
}

#[test]
fn every_way_to_ask_for_help_works() {
    let world = World::new();
    let long = world.call("sem run --help").ok();
    assert!(long.contains("IPCBOX_SLOT") && long.contains("--slots N "), "{long}");
    assert_eq!(world.call("help sem run").ok(), long);
    assert_eq!(world.call("sem help run").ok(), long);
}

#[test]
fn link_calls_the_applet_in_its_name() {
    let world = World::new();
    for name in ["sem", "ipcbox-sem", "ipc-sem", "./sem", "/usr/bin/sem"] {
        let call = Call::new(BINARY).called(name).arg("run").arg("--help");
        assert!(call.ok().contains("--slots"), "{name}");
    }
    let hard = world.dir().join("ipc-sem");
    if std::fs::hard_link(BINARY, &hard).is_err() {
        Call::new("cp").arg(BINARY).arg(&hard).ok();
    }
    Call::new(&hard).arg("get").fails(2, "TARGET");
}

#[test]
fn warning_begins_with_the_name_called_by() {
    let world = World::new();
    if !world.is_own() {
        return skip("it needs an IPC namespace of its own");
    }
    world.call("sem run @slots --slots 2 -- true").ok();
    let unproven = format!("--leaks --clean -q -- {BINARY} msgq create @q");
    for (link, line, code, warning) in [
        ("ipcrm", "--unused --yes", 0, "ipcrm: left 1 set of slots alone"),
        ("my-ipcrm-lite", "--unused --yes", 0, "ipcrm-lite: left 1 set of slots alone"),
        ("ipcs", &unproven, 1, "ipcs: kept 1 unproven object, "),
        ("ipcs-lite", &unproven, 1, "ipcs-lite: kept 1 unproven object, "),
        ("ipc-pipe", "tee -o /dev/full", 1, "pipe: cannot write to /dev/full: "),
    ] {
        let output = world.call(line).called(link).input("x\n").output();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.starts_with(warning), "{link} {line}: {text}");
        assert_eq!(output.status.code(), Some(code), "{link} {line}: {text}");
        let _ = world.call("msgq rm @q --missing-ok").output();
    }
}

#[test]
fn renamed_binary_is_still_ipcbox() {
    Call::new(BINARY).called("ipcbox-x86_64").args(["sem", "run", "--help"]).ok();
}

#[test]
fn misspelt_word_gets_the_nearest() {
    let world = World::new();
    for (line, nearest) in [
        ("sme", "'sem'"),
        ("--instal", "'--install'"),
        ("sem rnu", "'run'"),
        ("help sem rnu", "'run'"),
        ("fifo raed", "'read'"),
        ("fifo send", "'write'"),
        ("fifo recv", "'read'"),
    ] {
        world.call(line).fails(2, nearest);
    }
    world.call("xyzzy").fails(2, "no applet 'xyzzy'");
}

#[test]
fn wrong_usage_in_a_verb_is_one_line() {
    let world = World::new();
    for (line, code, words) in [
        ("--list x", 2, "unexpected argument 'x'"),
        ("sem get", 2, "TARGET is missing"),
        ("help sem run x", 2, "unexpected argument 'x'"),
        ("sem get a b", 2, "unexpected argument 'b'"),
        ("sem get a --al", 2, "did you mean '--all'"),
        ("sem get a --index", 2, "--index needs a value"),
        ("sem get a --index x", 2, "--index: expected an index"),
        ("sem get a --all -i 1", 2, "--all and --index cannot be used together"),
        ("shm get ./a", 2, "TARGET: expected a name without '/', not './a'"),
        ("ipcs-lite --older-than -1", 2, "--older-than: expected a duration"),
        ("sem stat --color blue", 2, "auto, always or never"),
        ("sem run a", 125, "CMD is missing"),
        ("sem run a --", 125, "CMD is missing"),
        ("sem run a b c", 125, "the command goes after '--'"),
        ("sem run --resize a -- true", 125, "--slots"),
    ] {
        world.call(line).fails(code, words);
    }
    let twice = world.call("sem run cc cc -c x").output();
    assert!(String::from_utf8_lossy(&twice.stderr).ends_with("\nhint: ipcbox sem run cc -- cc -c x\n"));
    let hint = world.call("sem run build --slots 2 cc -c x.c").output();
    let hint = String::from_utf8(hint.stderr).unwrap();
    assert!(hint.ends_with("\nhint: ipcbox sem run build --slots 2 -- cc -c x.c\n"), "{hint}");
}

#[test]
fn install_creates_links_and_overwrites_nothing() {
    let world = World::new();
    let dir = world.dir().join("links");
    std::fs::create_dir(&dir).unwrap();
    let install = |words: &[&str]| Call::new(BINARY).arg("--install").args(words).arg(&dir).arg("sem");
    install(&[]).stdout("").ok();
    install(&[]).ok();
    install(&["--prefix", "ipc-"]).ok();
    for name in ["sem", "ipc-sem"] {
        let text = Call::new(dir.join(name)).args(["run", "--help"]).ok();
        assert!(text.contains("Usage: "), "{name}: {text}");
    }
    std::fs::remove_file(dir.join("sem")).unwrap();
    // A link to a link counts, too.
    symlink(dir.join("ipc-sem"), dir.join("sem")).unwrap();
    for way in [&[][..], &["--force"]] {
        install(way).ok();
        assert_eq!(std::fs::read_link(dir.join("sem")).unwrap(), dir.join("ipc-sem"));
    }
    std::fs::remove_file(dir.join("sem")).unwrap();
    std::fs::write(dir.join("sem"), "mine").unwrap();
    install(&[]).fails(4, "another file has this name (EEXIST)");
    assert_eq!(std::fs::read_to_string(dir.join("sem")).unwrap(), "mine");
    install(&["--force"]).ok();
    assert_eq!(std::fs::read_link(dir.join("sem")).unwrap(), std::path::Path::new(BINARY));
    install(&["--prefix", "ipc"]).fails(2, "'ipc' does not end in '-'");
    install(&["--prefix", "a/b-"]).fails(2, "'a/b-' contains a '/'");
    let missing = "ipcbox: cannot install into no/such dir: no such file or directory (ENOENT)\n\
        hint: mkdir -p 'no/such dir'\n";
    world.call("--install").arg("no/such dir").stderr(missing).status(3);
    world.shell(missing.split_once("hint: ").unwrap().1).ok();
    world.call("--install").arg("no/such dir").stdout("").ok();
    // One line, not one for each applet.
    let file = "ipcbox: cannot install into /etc/passwd: not a directory (ENOTDIR)\n";
    world.call("--install /etc/passwd").stderr(file).status(1);
    world.call("--install . msx").fails(2, "no applet 'msx'");
}

#[test]
fn install_beside_the_binary_is_relative() {
    let world = World::new();
    let here = world.copy(BINARY, "ipcbox");
    Call::new(&here).arg("--install").arg(world.dir()).ok();
    assert_eq!(std::fs::read_link(world.dir().join("sem")).unwrap(), std::path::Path::new("ipcbox"));
    // The binary is not replaced by a link to itself.
    let here = world.copy(BINARY, "ipc-msgq");
    let call = Call::new(&here).called("ipcbox").args(["--install", "--force", "--prefix", "ipc-"]);
    call.arg(world.dir()).arg("msgq").ok();
    assert!(here.symlink_metadata().unwrap().is_file());
}

#[test]
fn key_matches_that_of_other_programs() {
    let world = World::new();
    world.file("f", "");
    let ftok = world.shell("printf '0x%02x%02x%04x\\n' 7 $(($(stat -c %d f) & 255)) $(($(stat -c %i f) & 65535))").ok();
    world.call("key build-slots 0x1badc0de a").stdout("0x2ae0a6e7\n0x1badc0de\n0xe40c292c\n").ok();
    world.call("key ftok:f:7").stdout(ftok).ok();
    world.call("key ftok:nope").fails(3, "cannot compute the ftok key of nope");
    world.call("key ftok:~/x").fails(3, "ENOENT");
    world.call("key /posix").fails(2, "a POSIX object has no key");
    world.call("key private").fails(2, "a private object has no key");
    world.call("key 5").fails(2, "the target is an id");
    // All targets are tried, and the first failure sets the status.
    world.call("key ftok:nope a /x").stdout("0xe40c292c\n").status(3);
}

#[test]
fn malformed_target_is_refused() {
    let world = World::new();
    symlink("nowhere", world.dir().join("link")).unwrap();
    for (target, words) in [
        ("./lock", "a file can hold only slots or a lock: give a name"),
        ("redis://a/b", "redis:// is not supported"),
        ("12a", "ci-12a"),
        ("0x123456789", "1 to 8 hexadecimal digits"),
        ("0x0", "private objects share key 0"),
        ("~/b", "a file can hold only slots or a lock: give a name"),
        ("99999999999999999999", "at most 2147483647"),
    ] {
        world.call("sem get").arg(target).fails(2, words);
    }
    world.call("sem get").arg("").fails(2, "TARGET is empty");
    world.call("sem get ftok:link").fails(3, "ENOENT");
}
