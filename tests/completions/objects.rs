//! The objects that the completions offer: their words and descriptions, and the program that lists them.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};

use super::{BASH, COMPLETIONS, FISH, Shell, ZSH};
use crate::support::{BINARY, Call, World, eventually, skip};

fn offered(kind: &str, start: &str) -> Call {
    Call::new(BINARY).args(["--complete", kind, start])
}

/// Checks that a call offers this word with this description.
fn offers(call: Call, word: &str, text: &str) {
    let printed = call.ok();
    assert!(printed.lines().any(|line| line == format!("{word}\t{text}")), "{word}: {text}\n{printed}");
}

#[test]
fn description_is_the_state_of_the_object() {
    let world = World::new();
    let made = |line: &str| world.call(line).ok();
    made("sem create @slots --slots 2");
    made("sem lock @lock -- true");
    world.call("sem barrier @barrier 3 -n").status(124);
    made("sem create @value --value 5");
    made("sem create @values --value 1,2");
    made("msgq send @queue four --create");
    made("shm create @board --size 4096");
    made("sem create /@sem --value 7");
    made("msgq send /@queue four --create");
    made("shm create /@board --size 4096");
    let [slots, lock, queue, board] = ["slots", "lock", "queue", "board"].map(|name| world.name(name));
    for (kind, word, text) in [
        ("sem", &slots, "slots, 2 of 2 free"),
        ("sem", &lock, "lock, free"),
        ("sem", &world.name("barrier"), "barrier, 0 of 3 arrived"),
        ("ipc", &world.name("value"), "semaphore, value 5"),
        ("ipc-name", &world.name("values"), "2 semaphores"),
        ("msg", &queue, "1 message, 4 bytes"),
        ("shm", &board, "4096 bytes, 0 attached"),
        ("sem", &world.posix("sem"), "semaphore, value 7"),
        ("ipc", &world.posix("board"), "4096 bytes"),
    ] {
        offers(offered(kind, word), word, text);
    }
    // Without the privilege to mount their file system, POSIX queues may not be listed.
    if world.is_own() {
        let queue = world.posix("queue");
        offers(offered("msg", &queue), &queue, "1 message");
    }
    for (line, word, text) in [
        ("sem run @slots", &slots, "slots, 1 of 2 free"),
        ("sem lock @lock", &lock, "lock, held"),
        ("sem lock @lock --shared", &lock, "lock, 1 shared"),
    ] {
        offers(world.call(line).args(["--", BINARY, "--complete", "sem", word]), word, text);
    }
}

#[test]
fn object_is_offered_by_name_or_by_number() {
    let world = World::new();
    if !world.is_own() {
        return skip("the ids of objects are not the test's");
    }
    let name = world.name("s");
    let key = world.call("key @s").ok();
    let [id, private] = ["@s --value 5", "private --value 6"].map(|it| world.call(&format!("sem create {it}")).ok());
    let [key, id, private] = [&key, &id, &private].map(|word| word.trim());
    let named = format!("{id}\t{name}: semaphore, value 5\n");
    let keyed = format!("{key}\t{name}: semaphore, value 5\n");
    let unnamed = format!("{private}\tsemaphore, value 6\n");
    for (kind, start, expected) in [
        ("sem-name", &*name, format!("{name}\tsemaphore, value 5\n")),
        ("sem-id", "", format!("{named}{unnamed}")),
        ("sem-key", "", keyed.clone()),
        ("sem", id, format!("{named}{keyed}")),
        ("sem", private, unnamed.clone()),
    ] {
        offered(kind, start).stdout(expected).ok();
    }
    let all = offered("sem", "").ok();
    assert!(!all.contains(key) && all.contains(&name) && all.ends_with(&unnamed), "{all}");
}

#[test]
fn foreign_object_is_offered_with_its_owner() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let id = world.call("sem create @s --value 1,2").ok();
    offers(offered("sem-id", "").user(stranger), id.trim(), "2 semaphores, owner root");
}

#[test]
fn word_of_two_objects_is_offered_once() {
    let world = World::new();
    if !world.is_own() {
        return skip("the ids of objects are not the test's");
    }
    world.call("msgq create @x").stdout("0\n").ok();
    world.call("sem create @x --value 5").stdout("0\n").ok();
    let name = world.name("x");
    offered("ipc", &name).stdout(format!("{name}\t0 messages, 0 bytes; semaphore, value 5\n")).ok();
    offered("ipc-id", "0").stdout(format!("0\t{name}: 0 messages, 0 bytes; {name}: semaphore, value 5\n")).ok();
}

#[test]
fn name_with_control_characters_is_not_offered() {
    let world = World::new();
    for bad in ["\n", "\t", "\u{1b}[2J", "\u{9b}", "\u{202e}"] {
        fs::write(format!("/dev/shm{}", world.posix(&format!("x{bad}"))), "").unwrap();
    }
    offered("shm", &world.posix("x")).stdout("").ok();
}

#[test]
fn address_of_each_server_is_offered() {
    let world = World::new();
    let name = |name: &str| world.name(name);
    let named = |name: &str| SocketAddr::from_abstract_name(name).unwrap();
    let _servers = [
        UnixListener::bind_addr(&named(&format!("ipcbox.{}", name("own")))).unwrap(),
        UnixListener::bind_addr(&named(&name("other"))).unwrap(),
        UnixListener::bind(world.dir().join("path")).unwrap(),
        UnixListener::bind(world.dir().join("removed")).unwrap(),
    ];
    fs::remove_file(world.dir().join("removed")).unwrap();
    let datagrams = UnixDatagram::bind(world.dir().join("datagrams")).unwrap();
    let [four, six] = ["127.0.0.1:0", "[::]:0"].map(|at| TcpListener::bind(at).unwrap());
    let far = TcpListener::bind("127.0.0.2:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = |listener: &TcpListener| listener.local_addr().unwrap();
    let dir = world.dir().display();
    // A path that ipcbox has bound under another name.
    let own = world.call("sock activate ./activated -- sleep 100").start().became("sleep");
    for (word, text) in [
        (name("own"), "stream"),
        (format!("@{}", name("other")), "stream"),
        (format!("{dir}/path"), "stream"),
        (format!("{}/activated", world.dir().canonicalize().unwrap().display()), "stream"),
        (format!("dgram:{dir}/datagrams"), "datagrams"),
        (format!("tcp:localhost:{}", at(&four).port()), "TCP"),
        (format!("tcp:localhost:{}", at(&six).port()), "TCP"),
        (format!("tcp:{}", at(&far)), "TCP"),
        (format!("udp:localhost:{}", udp.local_addr().unwrap().port()), "UDP"),
    ] {
        offers(offered("address", &word), &word, text);
    }
    let all = offered("address", "").ok();
    assert!(!all.contains(&format!("{dir}/removed")), "{all}");
    drop((datagrams, own));
}

#[test]
fn unknown_kind_is_refused() {
    for kind in ["", "semaphores", "sem-names", "pid-id"] {
        offered(kind, "").fails(2, &format!("no kind '{kind}'"));
    }
}

#[test]
fn process_is_offered_with_its_command_line() {
    let sleeper = Call::new("sleep").arg("\n987654").start();
    let pid = sleeper.pid().to_string();
    offers(offered("pid", &pid), &pid, r"sleep \n987654");
}

/// Runs a test in each shell, with a world of its own.
fn in_each_shell(test: impl Fn(&World, &Shell)) {
    for shell in [BASH, ZSH, FISH] {
        let world = World::new();
        world.program("true").ok();
        test(&world, &shell);
    }
}

#[test]
fn name_with_shell_specials_is_quoted() {
    in_each_shell(|world, shell| {
        let name = world.posix("x");
        world.call("shm create").arg(format!("{name} '$(y)\";z")).args(["--size", "1"]).ok();
        let Some(terminal) = shell.open(world, COMPLETIONS) else { return };
        terminal.types(&format!("ipcbox shm rm {name}\t\n"));
        eventually("the object is removed", || offered("shm", &name).ok().is_empty());
    });
}

/// Creates two objects, and returns what a list shows of them.
fn two_objects(world: &World) -> [&'static str; 2] {
    world.call("sem create @five --value 5").ok();
    world.call("sem create @six --value 6").ok();
    ["value 5", "value 6"]
}

#[test]
fn program_that_is_not_ipcbox_is_not_run() {
    in_each_shell(|world, shell| {
        let shown = two_objects(world);
        fs::create_dir(world.dir().join("other")).unwrap();
        for name in ["sem", "ipcbox-sem"] {
            world.script(&format!("other/{name}"), "#!/bin/sh\ntouch ran\n");
        }
        // The real name counts.
        symlink("sem", world.dir().join("other/ipcbox")).unwrap();
        let Some(terminal) = shell.open(world, COMPLETIONS) else { return };
        for line in ["other/sem rm ", "other/ipcbox-sem rm ", "other/ipcbox sem rm "] {
            shell.lists(&terminal, line, &shown);
        }
        assert!(!world.dir().join("ran").exists());
    });
}

#[test]
fn link_in_path_lists_its_objects() {
    in_each_shell(|world, shell| {
        let shown = two_objects(world);
        fs::create_dir(world.dir().join("links")).unwrap();
        for name in ["ipcbox", "links/ipc-sem"] {
            symlink(BINARY, world.dir().join(name)).unwrap();
        }
        let Some(terminal) = shell.open(world, COMPLETIONS) else { return };
        terminal.types("export PATH=$HOME/links:/usr/bin:/bin\n");
        shell.lists(&terminal, "ipc-sem rm ", &shown);
        // A path may be that of any script.
        for line in ["ipcbox sem rm ", "./ipcbox sem rm ", "~/links/ipc-sem rm "] {
            let screen = shell.lists(&terminal, line, &[]);
            assert!(!screen.contains("value 5"), "{screen}");
        }
    });
}

#[test]
fn semaphore_is_offered_where_it_fits() {
    let world = World::new();
    for line in ["sem create @slots --slots 2", "sem lock @lock -- true", "sem create @plain", "sem create /@posix"] {
        world.call(line).ok();
    }
    let names = ["slots", "lock", "plain"].map(|name| world.name(name));
    for (kind, expected) in [
        ("sem-slots", &[0][..]),
        ("sem-lock", &[1]),
        ("sem-set", &[0, 1, 2]),
        ("key", &[0, 1, 2]),
        ("sem-barrier", &[]),
    ] {
        let printed = offered(kind, &world.name("")).ok();
        let words: Vec<&str> = printed.lines().filter_map(|line| line.split('\t').next()).collect();
        let has = |name: &String| words.contains(&name.as_str());
        let found: Vec<usize> = (0..names.len()).filter(|at| has(&names[*at])).collect();
        assert_eq!(found, expected, "{kind}: {printed}");
        assert_eq!(offered(kind, &world.posix("")).ok(), "", "{kind}");
    }
}

#[test]
fn name_with_a_colon_is_completed() {
    in_each_shell(|world, shell| {
        world.file("way", "");
        let name = format!("ftok:{}/way:77", world.dir().display());
        let id = world.call("sem create").arg(&name).ok();
        let Some(terminal) = shell.open(world, COMPLETIONS) else { return };
        terminal.types(&format!("ipcbox sem rm {}\t\n", &name[..name.len() - 2]));
        eventually("the set is removed", || {
            world.call(&format!("sem stat {}", id.trim())).output().status.code() == Some(3)
        });
    });
}

#[test]
fn file_is_offered_after_a_slash() {
    in_each_shell(|world, shell| {
        for name in ["build.slots", "build.lock"] {
            world.file(name, "ipcbox lock\n");
        }
        let Some(terminal) = shell.open(world, COMPLETIONS) else { return };
        for verb in ["create", "hold", "lock", "rm", "run", "stat"] {
            shell.lists(&terminal, &format!("ipcbox sem {verb} ./bu"), &["build.slots", "build.lock"]);
        }
        for line in ["ipcbox sem get ./bu", "ipcbox sem run bu"] {
            let screen = shell.lists(&terminal, line, &[]);
            assert!(!screen.contains("build.slots"), "{screen}");
        }
        terminal.types("ipcbox sem rm ./build.s\t\n");
        eventually("the file is removed", || !world.dir().join("build.slots").exists());
    });
}

#[test]
fn sourced_file_registers_in_zsh() {
    let world = World::new();
    let shown = two_objects(&world);
    world.program("true").ok();
    let sourced = Shell {
        rc: (
            ".zshrc",
            "PS1='ask> '\nLISTMAX=0\nbindkey -e\nunsetopt beep prompt_cr prompt_sp list_ambiguous auto_menu\n\
             autoload -Uz compinit && compinit -u -D\nsource <(cat $COMPLETIONS/_ipcbox)\n",
        ),
        ..ZSH
    };
    let Some(terminal) = sourced.open(&world, COMPLETIONS) else { return };
    let screen = sourced.lists(&terminal, "ipcbox sem rm ", &shown);
    assert!(!screen.contains("not found"), "{screen}");
}
