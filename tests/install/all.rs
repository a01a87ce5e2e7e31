//! `ipcbox --install-all`: what it installs, what it leaves alone, and what it leaves behind when it fails.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;

use super::{applets, binary, install, quiet, shape, tree};
use crate::support::{Call, World, skip};

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// Sets the strictest umask in the process that will run ipcbox.
fn strict(call: Call) -> Call {
    call.before(|| {
        umask(Mode::from_bits_truncate(0o077));
        Ok(())
    })
}

#[test]
fn everything_is_installed_below_a_missing_prefix() {
    let world = World::new();
    let root = world.dir().join("new dir/my prefix");
    let printed = strict(quiet(&world, &root)).arg("--install-all").arg(&root).ok();
    assert!(printed.contains(&format!("created {}/bin/sem -> ipcbox\n", root.display())), "{printed}");
    assert_eq!(fs::read(root.join("bin/ipcbox")).unwrap(), fs::read(binary(&world)).unwrap());
    for (from, to) in [
        ("man/ipcbox-sem.1", "share/man/man1/ipcbox-sem.1"),
        ("man/ipcbox.1", "share/man/man1/ipcbox.1"),
        ("man/ipcbox-cookbook.7", "share/man/man7/ipcbox-cookbook.7"),
        ("completions/ipcbox.bash", "share/bash-completion/completions/ipcbox.bash"),
        ("completions/ipcbox.fish", "share/fish/vendor_completions.d/ipcbox.fish"),
        ("completions/_ipcbox", "share/zsh/site-functions/_ipcbox"),
    ] {
        assert_eq!(fs::read(root.join(to)).unwrap(), fs::read(Path::new(REPOSITORY).join(from)).unwrap(), "{to}");
    }
    for applet in applets(&world) {
        assert!(Call::new(root.join("bin").join(&applet)).arg("--help").ok().contains("Usage: "), "{applet}");
        for link in [
            format!("share/man/man1/{applet}.1"),
            format!("share/bash-completion/completions/{applet}"),
            format!("share/fish/vendor_completions.d/{applet}.fish"),
        ] {
            assert!(root.join(&link).exists() && fs::read_link(root.join(&link)).unwrap().is_relative(), "{link}");
        }
    }
    // Whatever the umask, other users can use it.
    let closed = Call::new("find").arg(&root).args(["!", "-type", "l", "!", "-perm", "-444"]);
    closed.stdout("").ok();
    let closed =
        Call::new("find").arg(&root).args(["(", "-type", "d", "-o", "-name", "ipcbox", ")", "!", "-perm", "-555"]);
    closed.stdout("").ok();
}

#[test]
fn second_run_changes_nothing() {
    let world = World::new();
    let root = world.dir().join("usr");
    install(&world, &root);
    let before = tree(&root);
    let has_all = format!("{} already contains every file of ipcbox {}", root.display(), env!("CARGO_PKG_VERSION"));
    assert_eq!(install(&world, &root), [has_all]);
    assert_eq!(tree(&root), before);
    // Nor does a run that could not write.
    quiet(&world, &root).args(["--install-all", "--force"]).arg(&root).ok();
    assert_eq!(tree(&root), before);
}

#[test]
fn dry_run_lists_what_a_run_does() {
    let world = World::new();
    let root = world.dir().join("usr");
    let listed = quiet(&world, &root).args(["--install-all", "--dry-run"]).arg(&root).ok();
    assert!(!root.exists());
    let done = install(&world, &root).join("\n") + "\n";
    assert_eq!(listed.replace("would create", "created"), done);
}

#[test]
fn relative_prefix_is_that_of_the_caller() {
    let world = World::new();
    for prefix in ["here", "."] {
        let printed = quiet(&world, world.dir()).args(["--install-all", prefix]).output();
        assert!(printed.status.success(), "{printed:?}");
        let call = Call::new(world.dir().join(prefix).join("bin/sem")).arg("--help");
        assert!(call.ok().contains("Usage: "));
    }
}

#[test]
fn differing_file_prevents_the_installation() {
    let world = World::new();
    let root = world.dir().join("usr");
    fs::create_dir_all(root.join("bin")).unwrap();
    world.file("usr/bin/sem", "mine");
    let before = tree(&root);
    let call = |options: &[&str]| quiet(&world, &root).arg("--install-all").args(options).arg(&root);
    call(&[]).fails(4, "/bin/sem does not belong to ipcbox (EEXIST)");
    call(&["--dry-run"]).stdout("").fails(4, "/bin/sem does not belong to ipcbox (EEXIST)");
    assert_eq!(tree(&root), before);
    call(&["--prefix", "ipc-"]).ok();
    assert_eq!(fs::read_to_string(root.join("bin/sem")).unwrap(), "mine");
    assert!(Call::new(root.join("bin/ipc-sem")).arg("--help").ok().contains("Usage: "));
    let printed = call(&["--force"]).ok();
    assert!(printed.contains(&format!("replaced {}/bin/sem -> ipcbox\n", root.display())), "{printed}");
    assert_eq!(fs::read_link(root.join("bin/sem")).unwrap(), Path::new("ipcbox"));
}

#[test]
fn another_version_is_replaced_only_by_force() {
    let world = World::new();
    let root = world.dir().join("usr");
    install(&world, &root);
    let page = root.join("share/man/man1/ipcbox-sem.1");
    let text = fs::read_to_string(&page).unwrap();
    fs::write(&page, text.replacen(".TH", ".\\\" An older page\n.TH", 1)).unwrap();
    Call::new("/bin/sh").args(["-c", "echo older >>\"$0\""]).arg(root.join("bin/ipcbox")).ok();
    let before = tree(&root);
    let call = || quiet(&world, &root).arg("--install-all");
    let (both, one) = ("bin/ipcbox, share/man/man1/ipcbox-sem.1", "share/man/man1/ipcbox.1");
    call().arg(&root).fails(4, &format!("2 files belong to a different build of ipcbox: {both} (EEXIST)"));
    assert_eq!(tree(&root), before);
    call().arg("--force").arg(&root).ok();
    assert_eq!(fs::read_to_string(&page).unwrap(), text);
    let page = root.join(one);
    let text = fs::read_to_string(&page).unwrap();
    fs::write(&page, text.replacen(concat!("ipcbox ", env!("CARGO_PKG_VERSION")), "ipcbox 0.0.9", 1)).unwrap();
    let message = String::from_utf8(call().arg(&root).output().stderr).unwrap();
    assert!(message.contains(&format!(": 1 file belongs to ipcbox 0.0.9: {one} (EEXIST)\nhint: ")), "{message}");
    // The hint works as it is printed.
    let again = Call::new("/bin/sh").args(["-c", message.split_once("hint: ").unwrap().1]).output();
    assert!(again.status.success(), "{again:?}");
    assert_eq!(fs::read_to_string(&page).unwrap(), text);
}

#[test]
fn running_binary_is_replaced() {
    let world = World::new();
    let root = world.dir().join("usr");
    fs::create_dir_all(root.join("bin")).unwrap();
    let older = world.copy(binary(&world), "usr/bin/ipcbox");
    // Another process appends: a descriptor here could be inherited by a child that another test starts.
    Call::new("/bin/sh").args(["-c", "echo older >>\"$0\""]).arg(&older).ok();
    world.call("fifo create f").ok();
    let mut running = Call::new(&older).args(["fifo", "read", "f"]).dir(world.dir()).start();
    let running_path = format!("/proc/{}/exe", running.pid());
    crate::support::eventually("it runs", || fs::read_link(&running_path).is_ok_and(|path| path == older));
    quiet(&world, &root).args(["--install-all", "--force"]).arg(&root).ok();
    assert!(running.runs());
    assert_eq!(fs::read(&older).unwrap(), fs::read(binary(&world)).unwrap());
    // The one that runs installs itself too, although its file is gone.
    world.call("fifo write f x").ok();
    assert_eq!(running.code(), 0);
}

#[test]
fn binary_in_its_place_is_opened_to_others() {
    let world = World::new();
    let root = world.dir().join("usr");
    fs::create_dir_all(root.join("bin")).unwrap();
    let here = world.copy(binary(&world), "usr/bin/ipcbox");
    fs::set_permissions(&here, Permissions::from_mode(0o700)).unwrap();
    let call = || {
        let call = Call::new(&here).env("PATH", root.join("bin")).env("XDG_DATA_DIRS", root.join("share"));
        call.env("SHELL", "").env("MANPATH", "").arg("--install-all").arg(&root)
    };
    let printed = call().ok();
    assert!(printed.contains(&format!("added permissions: {}\n", here.display())), "{printed}");
    assert_eq!(here.metadata().unwrap().permissions().mode() & 0o777, 0o755);
    let before = tree(&root);
    call().ok();
    assert_eq!(tree(&root), before);
}

#[test]
fn wrong_kind_of_file_is_named() {
    let world = World::new();
    let root = world.dir().join("usr");
    let call = |path: &Path| quiet(&world, path).args(["--install-all", "--force"]).arg(path);
    let file = world.file("file", "");
    call(&file).fails(1, "file is not a directory (ENOTDIR)");
    call(&file.join("below")).fails(1, "file is not a directory (ENOTDIR)");
    fs::create_dir(&root).unwrap();
    world.file("usr/share", "");
    call(&root).fails(1, "usr/share is not a directory (ENOTDIR)");
    fs::remove_file(root.join("share")).unwrap();
    symlink("nowhere", root.join("share")).unwrap();
    call(&root).fails(1, "usr/share is not a directory (ENOTDIR)");
    fs::remove_file(root.join("share")).unwrap();
    fs::create_dir_all(root.join("bin/sem/x")).unwrap();
    call(&root).fails(1, "usr/bin/sem: is a directory (EISDIR)");
    assert_eq!(shape(&root).len(), 4, "{:?}", shape(&root));
}

#[test]
fn dangling_link_is_another_file() {
    let world = World::new();
    let root = world.dir().join("usr");
    fs::create_dir_all(root.join("bin")).unwrap();
    symlink("/nowhere/sem", root.join("bin/sem")).unwrap();
    quiet(&world, &root).arg("--install-all").arg(&root).fails(4, "bin/sem does not belong to ipcbox (EEXIST)");
    // One that leads to the binary that is about to be there.
    fs::remove_file(root.join("bin/sem")).unwrap();
    symlink("ipcbox", root.join("bin/sem")).unwrap();
    install(&world, &root);
}

#[test]
fn failed_installation_leaves_nothing() {
    let world = World::new();
    let root = world.dir().join("a/b");
    let limited = "ulimit -f 100; exec \"$0\" --install-all \"$1\"";
    let call = Call::new("/bin/sh").env("PATH", "").args(["-c", limited]).arg(binary(&world)).arg(&root);
    call.fails(1, "a/b/bin/ipcbox: file too large (EFBIG)");
    assert!(!world.dir().join("a").exists());
}

#[test]
fn temporary_file_of_an_ended_call_is_removed() {
    let world = World::new();
    let root = world.dir().join("usr");
    fs::create_dir_all(root.join("bin")).unwrap();
    let script =
        "start=$(cut -d' ' -f22 /proc/$$/stat); cd usr/bin; echo x >.ipcbox-$$-$start-99; echo x >.ipcbox-$$-1-0
        ln -s x .ipcbox-999999999-1-0; cd ../..; exec \"$0\" --install-all usr";
    let call = Call::new("/bin/sh").dir(world.dir()).args(["-c", script]).arg(binary(&world));
    let output = call.output();
    assert!(output.status.success(), "{output:?}");
    let hidden = || shape(&root).into_iter().filter(|file| file.starts_with("bin/.")).collect::<Vec<_>>();
    assert!(hidden().len() == 1 && hidden()[0].contains("-99 "), "{:?}", hidden());
    quiet(&world, &root).arg("--uninstall").arg(&root).ok();
    assert_eq!(hidden(), [""; 0]);
}

/// The binary that it leads to is about to be replaced.
#[test]
fn hard_link_is_replaced_by_force() {
    let world = World::new();
    let root = world.dir().join("usr");
    install(&world, &root);
    let sem = root.join("bin/sem");
    let link = || {
        fs::remove_file(&sem).unwrap();
        fs::hard_link(root.join("bin/ipcbox"), &sem).unwrap();
    };
    link();
    let call = || quiet(&world, &root).arg("--install-all").arg(&root);
    call().fails(4, "1 file belongs to a different build of ipcbox: bin/sem (EEXIST)");
    call().arg("--force").ok();
    assert_eq!(fs::read_link(&sem).unwrap(), Path::new("ipcbox"));
    link();
    quiet(&world, &root).arg("--uninstall").arg(&root).ok();
    assert!(!root.exists(), "{:?}", shape(&root));
}

#[test]
fn wrong_prefix_is_explained() {
    let world = World::new();
    for option in ["--install-all", "--uninstall", "--install"] {
        let call = |dir: &str| quiet(&world, world.dir()).args([option, dir]);
        let message = String::from_utf8(call("~/.local").output().stderr).unwrap();
        assert!(message.contains("the shell did not expand ~ in '~/.local'\nhint: "), "{message}");
        assert!(message.ends_with(&format!(" {option} \"$HOME\"/.local\n")), "{message}");
        call("~/.local").fails(2, "did not expand");
        call("~ann").fails(2, "did not expand ~ in '~ann'");
        call("").fails(2, " is empty (an unset variable?)");
    }
    assert_eq!(shape(world.dir()).iter().filter(|file| file.starts_with('~')).count(), 0);
}

/// The file that it leads to may be removed, as a download is.
#[test]
fn link_in_place_of_a_file_is_replaced_by_force() {
    let world = World::new();
    let root = world.dir().join("usr");
    fs::create_dir_all(root.join("bin")).unwrap();
    symlink(binary(&world), root.join("bin/ipcbox")).unwrap();
    let call = || quiet(&world, &root).arg("--install-all");
    call().arg(&root).fails(4, "usr/bin/ipcbox does not belong to ipcbox");
    call().arg("--force").arg(&root).ok();
    assert!(root.join("bin/ipcbox").symlink_metadata().unwrap().is_file());
    assert!(binary(&world).exists());
}

/// A path could lead to another file by now, if another user owns the directory.
#[test]
fn modes_are_changed_by_descriptor() {
    let world = World::new();
    let root = world.dir().join("usr");
    let install = || {
        let script =
            "umask 077; exec strace -o log -e trace=?chmod,?fchmod,?fchmodat,?fchmodat2 \"$0\" --install-all usr";
        let output = Call::new("/bin/sh").dir(world.dir()).args(["-c", script]).arg(binary(&world)).output();
        output.status.success().then(|| fs::read_to_string(world.dir().join("log")).unwrap())
    };
    for _ in 0..2 {
        let Some(log) = install() else { return skip("needs strace and permission to trace") };
        assert!(log.contains("fchmod(") && !log.contains("chmodat"), "{log}");
        assert!(log.lines().all(|line| !line.starts_with("chmod(")), "{log}");
        fs::set_permissions(root.join("bin/ipcbox"), Permissions::from_mode(0o700)).unwrap();
    }
    let modes = shape(&root);
    assert!(modes.iter().filter(|file| file.contains(" d ")).all(|file| file.contains(" 755 ")), "{modes:?}");
}

#[test]
fn killed_installation_is_completed() {
    let world = World::new();
    let root = world.dir().join("usr");
    // The first rename puts the record of new directories into its place.
    for when in [2, 5, 30] {
        let kill = format!("inject=?rename,?renameat,?renameat2:signal=KILL:when={when}");
        let trace = world.program("strace").args(["-D", "-o", "/dev/null", "-e", &kill]).arg(binary(&world));
        if !Call::new("strace").arg("true").output().status.success() {
            return skip("needs strace and permission to trace");
        }
        assert!(!trace.arg("--install-all").arg(&root).output().status.success());
    }
    install(&world, &root);
    assert!(Call::new(root.join("bin/sem")).arg("--help").ok().contains("Usage: "));
    quiet(&world, &root).arg("--uninstall").arg(&root).ok();
    assert!(!root.exists(), "{:?}", shape(&root));
}

/// Whichever call is its last one.
#[test]
fn killed_call_can_be_undone() {
    let world = World::new();
    if !Call::new("strace").arg("true").output().status.success() {
        return skip("needs strace and permission to trace");
    }
    let above = world.dir().join("above");
    fs::create_dir(&above).unwrap();
    let root = above.join("a/usr");
    let killed = |option: &str, calls: &str, when: usize| {
        let (trace, kill) = (format!("trace={calls}"), format!("inject={calls}:signal=KILL:when={when}"));
        let call = world.program("strace").args(["-D", "-o", "/dev/null", "-e", &trace, "-e", &kill]);
        !call.arg(binary(&world)).arg(option).arg(&root).output().status.success()
    };
    let undone = |calls: &str, when: usize| {
        quiet(&world, &root).arg("--uninstall").arg(&root).output();
        assert_eq!(shape(&above).len(), 1, "{calls} {when}: {:?}", shape(&above));
    };
    for (calls, most) in [("?mkdir,?mkdirat", 14), ("?rename,?renameat,?renameat2", 4), ("?fchmod", 3), ("?symlink", 1)]
    {
        for when in 1..=most {
            assert!(killed("--install-all", calls, when), "{calls} {when}");
            undone(calls, when);
        }
    }
    for (calls, most) in [("?rmdir,?unlinkat", 15), ("?rename,?renameat,?renameat2", 1), ("?unlink", 2)] {
        for when in 1..=most {
            install(&world, &root);
            killed("--uninstall", calls, when);
            undone(calls, when);
        }
    }
}

#[test]
fn read_only_prefix_is_reported() {
    let world = World::new();
    let root = world.dir().join("usr");
    fs::create_dir(&root).unwrap();
    let user = if geteuid().is_root() { world.stranger() } else { None };
    fs::set_permissions(&root, Permissions::from_mode(0o555)).unwrap();
    let call = || {
        let call = quiet(&world, &root).arg("--install-all").arg(&root);
        if let Some(user) = user { call.user(user) } else { call }
    };
    let message = String::from_utf8(call().output().stderr).unwrap();
    let hint = format!("hint: sudo {} --install-all {}\n", binary(&world).display(), root.display());
    assert!(message.ends_with(&format!("usr/share: permission denied (EACCES)\n{hint}")), "{message}");
    call().status(5);
    assert_eq!(shape(&root).len(), 1);
    fs::set_permissions(&root, Permissions::from_mode(0o755)).unwrap();
    install(&world, &root);
    fs::set_permissions(&root, Permissions::from_mode(0o555)).unwrap();
    // Everything is in its place.
    call().ok();
    fs::set_permissions(&root, Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn prefix_of_the_links_is_in_every_name() {
    let world = World::new();
    for prefix in ["ipc-", "ipcbox-"] {
        let root = world.dir().join(prefix);
        quiet(&world, &root).args(["--install-all", "--prefix", prefix]).arg(&root).ok();
        assert!(Call::new(root.join("bin").join(format!("{prefix}sem"))).arg("--help").ok().contains("Usage: "));
        let page = fs::read_to_string(root.join(format!("share/man/man1/{prefix}sem.1"))).unwrap();
        assert!(page.contains("IPCBOX"), "{page}");
        for (dir, name) in [("bash-completion/completions", "sem"), ("fish/vendor_completions.d", "sem.fish")] {
            assert!(root.join("share").join(dir).join(format!("{prefix}{name}")).exists(), "{prefix}{name}");
            assert!(!root.join("share").join(dir).join(name).exists(), "{name}");
        }
        assert!(!root.join("bin/sem").exists() && !root.join("share/man/man1/sem.1").exists());
    }
    quiet(&world, world.dir()).args(["--install-all", "--prefix", "x", "y"]).fails(2, "'x' does not end in '-'");
}
