//! What `--install-all` and `--install` report about PATH and the other search paths.

use std::fs;
use std::path::Path;

use super::{binary, install};
use crate::support::{Call, World, lines};

/// Creates a call of the copy with these directories in PATH, whose other search paths lack nothing.
fn call(world: &World, path: &[&Path]) -> Call {
    let call = Call::new(binary(world)).dir(world.dir()).env("SHELL", "").env("MANPATH", "");
    call.env("PATH", std::env::join_paths(path).unwrap()).env("XDG_DATA_DIRS", world.dir().join("usr/share"))
}

/// Returns the messages of a call that succeeds.
fn messages(call: Call) -> Vec<String> {
    let output = call.output();
    assert!(output.status.success(), "{output:?}");
    lines(&output.stderr)
}

#[test]
fn hidden_program_is_reported_before_the_link() {
    let world = World::new();
    let (other, bin) = (world.dir().join("other"), world.dir().join("usr/bin"));
    fs::create_dir(&other).unwrap();
    world.script("other/sem", "#!/bin/sh\n");
    world.file("other/msgq", "not executable");
    let hint = "hint: add --prefix ipc- to choose other names";
    let (theirs, later) = (other.join("sem").display().to_string(), "whose directory comes later in PATH");
    let hides = [format!("ipcbox: usr/bin/sem hides {theirs}, {later}"), hint.to_owned()];
    let hidden = [format!("ipcbox: {theirs} hides usr/bin/sem, {later}"), hint.to_owned()];
    let all =
        |path: &[&Path], options: &[&str]| messages(call(&world, path).arg("--install-all").args(options).arg("usr"));
    assert_eq!(all(&[&bin, &other], &["--dry-run"]), hides);
    assert_eq!(all(&[&bin, &other], &["--dry-run", "--prefix", "ipc-"]), [""; 0]);
    assert_eq!(all(&[&bin, &other], &[]), hides);
    // Links that exist are reported too.
    assert_eq!(all(&[&bin, &other], &[]), hides);
    assert_eq!(all(&[&other, &bin], &[]), hidden);
    let elsewhere = "if you put the directory of usr/bin/sem first in PATH, usr/bin/sem hides";
    assert_eq!(all(&[&other], &[])[0], format!("ipcbox: {elsewhere} {theirs}"));
    fs::remove_dir_all(world.dir().join("usr")).unwrap();
    // The directory does not exist yet.
    assert_eq!(all(&[&other, &bin], &[]), hidden);
    // A link to ipcbox in another directory is no other program.
    let third = world.dir().join("third");
    fs::create_dir(&third).unwrap();
    assert_eq!(messages(call(&world, &[&bin]).args(["--install", "third"])), [""; 0]);
    let links = |path: &[&Path]| messages(call(&world, path).args(["--install", "third", "sem"]));
    let hides = format!("ipcbox: {}/sem hides {theirs}, {later}", third.display());
    assert_eq!(links(&[&third, &other]), [hides, hint.to_owned()]);
}

#[test]
fn search_path_that_lacks_it_is_reported() {
    let world = World::new();
    let root = world.dir().join("usr");
    install(&world, &root);
    let (bin, share) = (root.join("bin"), root.join("share"));
    let lacking = |set: &[(&str, &Path)]| {
        let call = set.iter().fold(call(&world, &[&bin]), |call, (name, value)| call.env(name, value));
        messages(call.arg("--install-all").arg(&root))
    };
    let nowhere = Path::new("/nowhere");
    assert_eq!(lacking(&[("MANPATH", Path::new("/nowhere:"))]), [""; 0]);
    assert_eq!(lacking(&[("XDG_DATA_DIRS", nowhere), ("XDG_DATA_HOME", &share)]), [""; 0]);
    for (variable, dir) in [("PATH", &bin), ("MANPATH", &share.join("man")), ("XDG_DATA_DIRS", &share)] {
        let printed = lacking(&[(variable, nowhere)]);
        let start = format!("ipcbox: {variable} lacks {}: ", dir.display());
        assert!(printed[0].starts_with(&start) && printed[1].ends_with("  # in ~/.profile"), "{printed:?}");
        assert_eq!(printed.len(), 2, "{printed:?}");
        // The hint works as it is printed.
        let script = format!("{}\nprintf %s \"${variable}\"", printed[1].strip_prefix("hint: ").unwrap());
        let set = Call::new("/bin/sh").args(["-c", &script]).env(variable, nowhere).ok();
        assert_eq!(set, format!("{}:/nowhere", dir.display()));
    }
    let printed = lacking(&[("SHELL", Path::new("/bin/zsh"))]);
    let functions = share.join("zsh/site-functions");
    assert_eq!(printed[0], format!("ipcbox: zsh searches {} only if fpath contains it", functions.display()));
    let fish = lacking(&[("SHELL", Path::new("/bin/fish")), ("PATH", nowhere)]);
    assert_eq!(fish[1], format!("hint: fish_add_path {}", bin.display()));
    assert_eq!(lacking(&[("SHELL", Path::new("/bin/zsh")), ("FPATH", &functions)]), [""; 0]);
}
