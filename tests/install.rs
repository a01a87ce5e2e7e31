//! The installation recipe of the README, run as printed in an empty home, and its results.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::completions::{BASH, FISH, PACKAGE, Shell, ZSH};
use crate::support::{BINARY, Call, World, lines, skip};

const README: &str = include_str!("../README.md");

/// The block of the README that installs links, pages and completions.
fn recipe() -> &'static str {
    let section = README.split("\n## Installation\n").nth(1).unwrap();
    let block = section.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(block.contains("completions") && block.contains("man"), "{block}");
    block
}

/// Runs the recipe after `cargo install`, in a home that only its owner may enter.
fn install(world: &World, recipe: &str) {
    let cargo = world.dir().join(".cargo");
    fs::create_dir_all(cargo.join("bin")).unwrap();
    symlink(BINARY, cargo.join("bin/ipcbox")).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o700)).unwrap();
    let call = world.program("sh").dir(env!("CARGO_MANIFEST_DIR")).env("CARGO_HOME", "");
    call.args(["-euc", recipe]).ok();
}

/// A world in which the recipe has run.
fn installed() -> World {
    let world = World::new();
    install(&world, recipe());
    world
}

#[test]
fn every_user_can_use_an_installation_by_root() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let prefix = world.dir().join("usr");
    let (first, rest) = recipe().split_once('\n').unwrap();
    assert_eq!(first, "prefix=$HOME/.local");
    // Twice, as for a new version, and with root's umask at its strictest.
    let recipe = format!("umask 077; prefix={}\n{rest}", prefix.display());
    install(&world, &format!("{recipe}\n{recipe}"));
    let call = |program: &Path| Call::new(program).user(stranger).dir(world.dir());
    for name in lines(world.call("--list").ok().as_bytes()).iter().chain(["ipcbox".to_owned()].iter()) {
        assert!(call(&prefix.join("bin").join(name)).arg("--help").ok().contains("Usage: "), "{name}");
    }
    let unreadable = call(Path::new("find")).arg(&prefix).args(["!", "-readable"]);
    unreadable.stdout("").ok();
}

#[test]
fn installed_links_and_pages_work() {
    let world = installed();
    let home = world.dir().join(".local");
    for applet in lines(world.call("--list").ok().as_bytes()) {
        let link = home.join("bin").join(&applet);
        assert!(Call::new(link).arg("--help").ok().contains("Usage: "), "{applet}");
    }
    if Call::new("sh").args(["-c", "command -v man"]).output().stdout.is_empty() {
        return skip("there is no man");
    }
    let share = home.join("share");
    let man = |words: &[&str]| {
        let call = Call::new("man").dir(&share).env("MANPATH", share.join("man"));
        call.env("MANPAGER", "cat").env("MANWIDTH", "80").args(words).ok()
    };
    let page = man(&["-l", "man/man1/ipcbox-sem.1"]);
    assert!(page.contains("IPCBOX-SEM(1)") && page.contains("barrier"), "{page}");
    // The page named after the link refers to it.
    assert_eq!(man(&["sem"]), page);
    assert!(man(&["7", "ipcbox-cookbook"]).contains("ipcbox"));
}

#[test]
fn shells_find_the_installed_completions() {
    let world = installed();
    let home = world.dir();
    // Otherwise fish parses every manual page of the system at its first start.
    fs::create_dir_all(home.join(".local/share/fish/generated_completions")).unwrap();
    let package = format!(". {PACKAGE}\nPS1='ask> '\n");
    let bash = Shell { rc: ("rc", package.leak()), ..BASH };
    let rc = "function fish_prompt; echo -n 'ask> '; end\nfunction fish_greeting; end\n";
    let words = &["fish", "--init-command", "source rc.fish"];
    let fish = Shell { words, rc: ("rc.fish", rc), ..FISH };
    for shell in [bash, ZSH, fish] {
        if shell.rc.1.contains(PACKAGE) && !Path::new(PACKAGE).exists() {
            skip("there is no bash-completion");
            continue;
        }
        let functions = home.join(".local/share/zsh/site-functions");
        let Some(terminal) = shell.open(&world, functions.to_str().unwrap()) else { continue };
        for (line, expected) in [
            ("sem ", "Wait until N callers have arrived, then return"),
            ("msgq ", "Print messages without taking them"),
            ("ipcs-lite --", "Run CMD, and report the objects it leaves behind"),
        ] {
            shell.lists(&terminal, line, &[expected]);
        }
    }
}
