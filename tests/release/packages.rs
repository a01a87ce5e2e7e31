//! The packages, built from the binary under test and installed below a directory.

use std::fs;
use std::path::PathBuf;

use ipcbox::applets::APPLETS;
use nix::unistd::geteuid;

use super::{VERSION, has};
use crate::support::{BINARY, Call, World, skip};

/// Returns a directory with the layout of `target` that has the binary under test as release.
fn target(world: &World) -> PathBuf {
    let target = world.dir().join("target");
    fs::create_dir_all(target.join("release")).unwrap();
    world.copy(BINARY, "target/release/ipcbox");
    target
}

/// Runs a program that reports on standard error what it does.
fn run(call: Call) -> String {
    let output = call.output();
    assert!(output.status.success(), "{output:#?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Checks what a package has installed below a directory.
fn check(world: &World, root: &str) {
    let at = |path: &str| world.dir().join(root).join(path);
    assert_eq!(Call::new(at("usr/bin/ipcbox")).arg("--version").ok(), format!("ipcbox {VERSION}\n"));
    for applet in APPLETS {
        let name = format!("ipcbox-{}", applet.name);
        let help = Call::new(at("usr/bin").join(&name)).arg("--help").ok();
        assert!(help.contains("Usage: "), "{name}: {help}");
        let page = format!("usr/share/man/man1/{name}.1");
        assert!(at(&page).exists() || at(&format!("{page}.gz")).exists(), "{page}");
        let script = fs::read_to_string(at("usr/share/bash-completion/completions").join(&name)).unwrap();
        assert!(script.contains("complete "), "{name}");
        let script = fs::read_to_string(at("usr/share/fish/vendor_completions.d").join(name + ".fish")).unwrap();
        assert!(script.contains("complete "), "{script}");
    }
    Call::new("find").arg(at("usr")).args(["-xtype", "l"]).stdout("").ok();
    Call::new("find").arg(at("usr")).args(["!", "-type", "l", "!", "-perm", "-a=r"]).stdout("").ok();
}

#[test]
fn deb_installs_and_removes_ipcbox() {
    let world = World::new();
    if !has("cargo-deb") || !has("dpkg") || !geteuid().is_root() {
        return skip("needs cargo-deb, dpkg and root");
    }
    let deb = world.dir().join("ipcbox.deb");
    let pack = Call::new("cargo").args(["deb", "--no-build", "--fast", "--output"]).arg(&deb);
    run(pack.dir(env!("CARGO_MANIFEST_DIR")).env("CARGO_TARGET_DIR", target(&world)));
    let root = world.dir().join("root");
    fs::create_dir_all(root.join("var/lib/dpkg/updates")).unwrap();
    fs::create_dir_all(root.join("var/lib/dpkg/info")).unwrap();
    fs::write(root.join("var/lib/dpkg/status"), "").unwrap();
    let dpkg = || Call::new("dpkg").args(["--root", root.to_str().unwrap()]);
    run(dpkg().arg("--install").arg(&deb));
    check(&world, "root");
    assert_eq!(run(dpkg().args(["--verify", "ipcbox"])), "");
    let status = run(dpkg().args(["--status", "ipcbox"]));
    assert!(status.contains(&format!("\nVersion: {VERSION}-1\n")), "{status}");
    assert!(!status.contains("\nDepends:"), "the binary is static: {status}");
    run(dpkg().args(["--purge", "ipcbox"]));
    assert!(!root.join("usr").exists());
}

/// The scripts of the package run below the directory, with the shell of busybox.
#[test]
fn rpm_installs_and_removes_ipcbox() {
    let world = World::new();
    let missing = ["cargo-generate-rpm", "rpm", "busybox"].into_iter().find(|program| !has(program));
    if missing.is_some() || !geteuid().is_root() {
        return skip("needs cargo-generate-rpm, rpm, busybox and root");
    }
    let rpm = world.dir().join("ipcbox.rpm");
    let pack = Call::new("cargo").args(["generate-rpm", "--payload-compress", "none", "--target-dir"]);
    let pack = pack.arg(target(&world)).arg("--output").arg(&rpm);
    run(pack.dir(env!("CARGO_MANIFEST_DIR")));
    let root = world.dir().join("root");
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::create_dir_all(root.join("var/lib/rpm")).unwrap();
    world
        .shell("cp -L \"$(command -v busybox)\" root/bin/sh; for name in ln rm rmdir; do ln -s sh root/bin/$name; done")
        .ok();
    let rpm_in = || Call::new("rpm").args(["--root", root.to_str().unwrap()]);
    run(rpm_in().args(["--install", "--nodeps"]).arg(&rpm));
    check(&world, "root");
    assert_eq!(run(rpm_in().args(["--query", "ipcbox"])), format!("ipcbox-{VERSION}-1.{}\n", std::env::consts::ARCH));
    run(rpm_in().args(["--erase", "ipcbox"]));
    Call::new("find").arg(root.join("usr")).args(["-name", "*ipcbox*"]).stdout("").ok();
}
