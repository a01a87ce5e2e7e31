//! `ipcbox --uninstall`: what it recognises, and what it leaves alone.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{binary, install, quiet, shape, tree};
use crate::support::{BINARY, Call, World, lines};

/// Removes what is installed below `root`, and returns the lines about it.
fn uninstall(world: &World, root: &Path) -> String {
    quiet(world, root).arg("--uninstall").arg(root).ok()
}

/// Creates files of other programs in the directories of an installation.
fn others(root: &Path) {
    for (dir, name) in [
        ("bin", "mine"),
        ("share/man/man1", "ipcbox-other.1"),
        ("share/bash-completion/completions", "mine"),
        ("share/zsh/site-functions", "_mine"),
    ] {
        fs::create_dir_all(root.join(dir)).unwrap();
        fs::write(root.join(dir).join(name), "other text\nwith ipcbox in it\n").unwrap();
    }
    fs::create_dir(root.join("share/empty")).unwrap();
}

#[test]
fn prefix_is_as_it_was_before() {
    let world = World::new();
    let root = world.dir().join("deep/down/usr");
    install(&world, &root);
    uninstall(&world, &root);
    assert!(!world.dir().join("deep").exists());
    others(&root);
    let before = shape(&root);
    install(&world, &root);
    // A new version finds other directories missing.
    fs::remove_dir_all(root.join("share/man/man7")).unwrap();
    install(&world, &root);
    assert!(shape(&root).len() > before.len());
    let listed = quiet(&world, &root).args(["--uninstall", "--dry-run"]).arg(&root).ok();
    let printed = uninstall(&world, &root);
    assert_eq!(listed.replace("would remove", "removed"), printed);
    assert_eq!(shape(&root), before);
}

#[test]
fn installed_binary_uninstalls_itself() {
    let world = World::new();
    let root = world.dir().join("usr");
    install(&world, &root);
    let call = Call::new(root.join("bin/ipcbox")).args(["--uninstall", "."]).dir(&root);
    assert!(call.ok().contains("removed ./bin/ipcbox\n"));
    assert!(!root.exists());
}

#[test]
fn relative_prefix_is_shown_as_it_was_given() {
    let world = World::new();
    let call = |words: [&str; 2]| quiet(&world, world.dir()).args(words).output().stdout;
    for root in ["a/usr", "./b"] {
        let mut created = lines(&call(["--install-all", root]));
        for line in &mut created {
            *line = line.split_once(" -> ").map_or(&**line, |(path, _)| path).into();
        }
        let removed = String::from_utf8(call(["--uninstall", root])).unwrap().replace("removed ", "created ");
        let mut removed = lines(removed.as_bytes());
        created.sort();
        removed.sort();
        assert_eq!(created, removed);
    }
}

/// A link with the name of an applet leads to a binary with any name.
#[test]
fn link_to_a_renamed_binary_is_removed() {
    let world = World::new();
    let root = world.dir().join("usr");
    install(&world, &root);
    symlink(binary(&world), root.join("bin/old-sem")).unwrap();
    uninstall(&world, &root);
    assert!(!root.exists() && binary(&world).exists(), "{:?}", shape(&root));
}

#[test]
fn every_version_is_recognised() {
    let world = World::new();
    let root = world.dir().join("usr");
    install(&world, &root);
    // Files and links that this version would not install.
    let page = root.join("share/man/man1");
    let text = fs::read_to_string(page.join("ipcbox-sem.1")).unwrap();
    let version = format!("\"ipcbox {}\"", env!("CARGO_PKG_VERSION"));
    fs::write(page.join("ipcbox-tube.1"), text.replace(&version, "\"ipcbox 9.8.7\"")).unwrap();
    fs::write(page.join("tube.1"), ".so man1/ipcbox-tube.1\n").unwrap();
    symlink("ipcbox", root.join("bin/tube")).unwrap();
    symlink(BINARY, root.join("bin/my-sem")).unwrap();
    Call::new("/bin/sh").args(["-c", "echo older >>\"$0\""]).arg(root.join("bin/ipcbox")).ok();
    let printed = uninstall(&world, &root);
    assert!(!root.exists(), "{printed}\n{:?}", shape(&root));
    assert!(Path::new(BINARY).exists());
}

#[test]
fn nothing_else_is_removed() {
    let world = World::new();
    let root = world.dir().join("usr");
    others(&root);
    let bin = root.join("bin");
    // A copy with another name, a script with the name of the binary, and links to other programs.
    Call::new("cp").arg(binary(&world)).arg(bin.join("ipcbox-old")).ok();
    fs::write(bin.join("ipcbox"), "#!/bin/sh\n").unwrap();
    symlink("mine", bin.join("sem")).unwrap();
    symlink("ipcbox", bin.join("msgq")).unwrap();
    symlink("/nowhere/ipcbox", bin.join("shm")).unwrap();
    symlink("ipcbox-tools", bin.join("mytool")).unwrap();
    // A script that quotes the mark, and a link to it.
    fs::write(bin.join("ipcbox-notes"), "#!/bin/sh\n# Completion of ipcbox and its applets\n").unwrap();
    symlink("ipcbox-notes", bin.join("notes")).unwrap();
    symlink("../../bin/ipcbox-notes", root.join("share/man/man1/notes.1")).unwrap();
    Call::new("mkfifo").arg(bin.join("pipe")).ok();
    let before = tree(&root);
    for _ in 0..2 {
        let words = uninstall(&world, &root);
        assert_eq!(words, format!("{} contains no file of ipcbox\n", root.display()));
    }
    assert_eq!(tree(&root), before);
    let missing = root.join("missing");
    quiet(&world, &root).arg("--uninstall").arg(&missing).fails(3, "no such file or directory (ENOENT)");
    quiet(&world, &root).arg("--uninstall").arg(bin.join("mine")).fails(1, "not a directory (ENOTDIR)");
}

#[test]
fn forged_record_removes_no_other_directory() {
    let world = World::new();
    let root = world.dir().join("usr");
    install(&world, &root);
    let record = root.join("share/ipcbox/installed");
    let away = world.dir().join("away");
    for dir in [&away, &root.join("lib"), &root.join("share/other")] {
        fs::create_dir(dir).unwrap();
    }
    let text = fs::read_to_string(&record).unwrap();
    let forged = format!("{text}../away\n{}\nlib\nshare/other\nbin/../lib\n..\n", away.display());
    fs::write(&record, forged).unwrap();
    uninstall(&world, &root);
    assert!(away.exists() && root.join("lib").exists());
    assert_eq!(shape(&root).len(), 4, "{:?}", shape(&root));
}

#[test]
fn refused_removal_keeps_the_record() {
    let world = World::new();
    let Some(user) = world.stranger() else { return };
    let root = world.dir().join("usr");
    install(&world, &root);
    let before = shape(&root);
    let output = quiet(&world, &root).user(user).arg("--uninstall").arg(&root).output();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("bin/sem: permission denied (EACCES)\n"), "{stderr}");
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(shape(&root), before);
}
