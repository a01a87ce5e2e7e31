//! Storms on one path, and programs in C at the other end.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::{pattern, serve, stale};
use crate::support::{Call, World, eventually, skip};

/// A random generator with the same numbers in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// The mode of a stale socket: neither that of a server, nor one that bind(2) chooses by the umask.
const STALE: u32 = 0o640;

/// One round: contenders for a path, of which some are killed, stopped and continued.
fn contend(world: &World, dice: &mut Dice, contenders: usize) {
    let path = world.dir().join("s");
    // A killed winner has left one.
    if !path.exists() {
        let aside = world.dir().join("aside");
        stale(&aside);
        fs::set_permissions(&aside, Permissions::from_mode(STALE)).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
    let start = |number: usize| world.call("sock serve ./s --").args(["echo", &number.to_string()]).start();
    let mut servers: Vec<_> = (0..contenders).map(|number| Some(start(number))).collect();
    for _ in 0..contenders {
        std::thread::sleep(Duration::from_micros(dice.below(1500)));
        let at = usize::try_from(dice.below(contenders as u64)).unwrap();
        let Some(server) = &servers[at] else { continue };
        match dice.below(3) {
            // Dropping it kills it.
            0 => servers[at] = None,
            1 => server.signal(Signal::SIGSTOP),
            _ => server.signal(Signal::SIGCONT),
        }
    }
    // A client of a stopped winner would wait.
    servers.iter().flatten().for_each(|server| server.signal(Signal::SIGCONT));
    let mut running = Vec::new();
    for (number, server) in servers.into_iter().enumerate() {
        let Some(mut server) = server else { continue };
        // It serves, or has lost.
        let reached = || world.call("sock connect ./s").output().stdout == format!("{number}\n").into_bytes();
        let mut has_won = false;
        eventually("a contender has won or lost", || {
            has_won = server.runs() && reached();
            has_won || !server.runs()
        });
        if has_won {
            running.push((number, server));
        } else {
            let output = server.end();
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(4), "{text}");
        }
    }
    assert!(running.len() <= 1, "two servers");
    for (number, mut server) in running {
        // It has not been displaced.
        assert!(server.runs());
        world.call("sock connect ./s").stdout(format!("{number}\n")).ok();
        server.signal(Signal::SIGTERM);
        assert_eq!(server.code(), 0);
        assert!(!path.exists());
    }
}

#[test]
fn contenders_for_a_path_have_one_winner() {
    let world = World::new();
    let [path, temporary] = ["s", ".s.new"].map(|name| world.dir().join(name));
    let is_over = AtomicBool::new(false);
    let (rounds, contenders) = if std::env::var_os("IPCBOX_FULL").is_some() { (200, 16) } else { (6, 8) };
    std::thread::scope(|scope| {
        // The mode is right from the first instant.
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for path in [&path, &temporary] {
                    let Ok(found) = fs::symlink_metadata(path) else { continue };
                    assert!(
                        [0o600, STALE].contains(&(found.mode() & 0o7777)),
                        "{}: {:o}",
                        path.display(),
                        found.mode()
                    );
                }
            }
        });
        let mut dice = Dice(0x5eed);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..rounds {
                contend(&world, &mut dice, contenders);
            }
        }));
        is_over.store(true, Ordering::Relaxed);
        outcome.unwrap();
    });
    // The next start and end leaves nothing.
    let next = world.call("sock serve ./s -c 1 -- true").start();
    eventually("it is served", || world.call("sock connect ./s").output().status.success());
    assert_eq!(next.code(), 0);
    let left: Vec<_> = fs::read_dir(world.dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Compiles `echo.c`, if there is a compiler.
fn echo(world: &World) -> Option<PathBuf> {
    let program = world.dir().join("echo");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sock/echo.c");
    let Ok(status) = Command::new("cc").arg("-o").arg(&program).arg(source).status() else {
        skip("there is no C compiler");
        return None;
    };
    assert!(status.success(), "echo.c does not compile");
    Some(program)
}

#[test]
fn servers_in_c_echo_to_connect() {
    let world = World::new();
    let Some(echo) = echo(&world) else { return };
    for mode in ["block", "select", "epoll"] {
        for length in [0, 1, 100_000, 2 << 20] {
            let server = Call::new(&echo).args(["serve", mode, "e"]).dir(world.dir()).start();
            let call = world.call("sock connect ./e --await").input(pattern(length));
            let output = call.output();
            assert!(output.status.success() && output.stdout == pattern(length), "{mode} {length}: {output:?}");
            assert_eq!(server.code(), 0);
        }
    }
}

#[test]
fn clients_in_c_are_served() {
    let world = World::new();
    let Some(echo) = echo(&world) else { return };
    let (_server, _) = serve(&world, "path", "-j 2", &["cat"]);
    for mode in ["block", "select", "epoll"] {
        for length in [0, 1, 100_000, 2 << 20] {
            let client = Call::new(&echo).args(["ask", mode, "s"]).dir(world.dir());
            let output = client.input(pattern(length)).output();
            assert!(output.status.success() && output.stdout == pattern(length), "{mode} {length}");
        }
    }
    // The program that echoes can be CMD too.
    let world = World::new();
    let program = echo.to_str().unwrap().to_owned();
    let (_server, _) = serve(&world, "path", "", &[&program, "copy", "block", "-"]);
    world.call("sock connect ./s").input("hello").stdout("hello").ok();
}
