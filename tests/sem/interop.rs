//! C programs and ipcbox on the same objects.

use std::path::{Path, PathBuf};

use nix::libc;

use crate::support::{Call, World, skip};

/// A C program of `tests/interop`, compiled for this world; `None`, reported as a skip, without a compiler.
pub fn compiled(world: &World, source: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(source);
    let program = world.dir().join(path.file_stem().unwrap());
    if std::process::Command::new("cc").arg("--version").output().is_err() {
        skip("there is no cc here");
        return None;
    }
    Call::new("cc").args(["-Wall", "-Wextra", "-Werror", "-o"]).arg(&program).arg(path).ok();
    Some(program)
}

#[test]
fn c_program_and_ipcbox_share_sets() {
    let world = World::new();
    let Some(program) = compiled(&world, "sysv.c") else { return };
    world.file("f", "");
    let c = |words: &str| world.program(&program).args(words.split_whitespace());
    let name = world.name("a");
    // By name, by key, and by ftok: each side creates it once.
    let keys = [name.clone(), "0x4242".into(), "ftok:f".into()];
    for key in &keys {
        let target = if key.starts_with("0x") { key.clone() } else { key.replace(&name, "@a") };
        world.call(&format!("sem create {target} --value 3,4")).ok();
        c(&format!("get {key} 1")).stdout("4\n").ok();
        c(&format!("op {key} 0 -2")).ok();
        world.call(&format!("sem get {target} --all")).stdout("1 4\n").ok();
        let waiting = c(&format!("op {key} 0 -2")).start().blocked_in(libc::SYS_semtimedop);
        world.call(&format!("sem post {target}")).ok();
        assert_eq!(waiting.code(), 0);
        world.call(&format!("sem rm {target}")).ok();

        c(&format!("create {key} 2")).ok();
        c(&format!("set {key} 1 7")).ok();
        world.call(&format!("sem wait {target} -i 1 --by 6")).ok();
        c(&format!("get {key} 1")).stdout("1\n").ok();
        // sem_otime of the other program does not matter.
        let waiting = world.call(&format!("sem wait {target}")).start().blocked_in(libc::SYS_semtimedop);
        c(&format!("op {key} 0 1")).ok();
        assert_eq!(waiting.code(), 0);
        world.call(&format!("sem rm {target}")).ok();
    }
}

#[test]
fn c_program_and_ipcbox_share_posix_semaphores() {
    let world = World::new();
    let Some(program) = compiled(&world, "posix_sem.c") else { return };
    let name = world.posix("p");
    let c = |verb: &str| world.program(&program).args([verb, &name]);
    world.call("sem create /@p --value 2").ok();
    c("wait").ok();
    c("get").stdout("1\n").ok();
    world.call("sem wait /@p").ok();
    let waiting = c("wait").start().blocked_in(libc::SYS_futex);
    world.call("sem stat /@p --columns value,waiters --no-header").stdout("0  1\n").ok();
    world.call("sem post /@p").ok();
    assert_eq!(waiting.code(), 0);
    world.call("sem rm /@p").ok();

    c("create").arg("1").ok();
    world.call("sem get /@p").stdout("1\n").ok();
    world.call("sem wait /@p").ok();
    let waiting = world.call("sem wait /@p").start().blocked_in(libc::SYS_futex);
    c("post").ok();
    assert_eq!(waiting.code(), 0);
}
