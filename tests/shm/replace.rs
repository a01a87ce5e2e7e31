//! `shm write --replace`: the new bytes are the whole content of the same object.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::again::mounting;
use crate::support::World;

#[test]
fn content_is_exactly_the_new_bytes() {
    let world = World::new();
    let name = world.posix("a");
    let file = format!("/dev/shm{name}");
    for lock in ["", "--lock @l"] {
        world.call("shm write --create").args([&name, "four"]).ok();
        let inode = fs::metadata(&file).unwrap().ino();
        let long = "long".repeat(50_000);
        for text in ["two", "longer than before", "", &long, "short"] {
            let call = world.call(&format!("shm write --replace {lock}")).arg(&name);
            call.input(text).ok();
            assert!(fs::read_to_string(&file).unwrap() == text);
            world.call(&format!("shm read {lock}")).arg(&name).stdout(text).ok();
        }
        world.call(&format!("shm write --replace {lock}")).args([&name, "an argument"]).ok();
        assert_eq!(fs::read_to_string(&file).unwrap(), "an argument");
        let input = world.file("input", "a file");
        let script = format!("ipcbox shm write {name} --replace <{}", input.display());
        world.shell(&script).ok();
        assert_eq!(fs::read_to_string(&file).unwrap(), "a file");
        assert_eq!(fs::metadata(&file).unwrap().ino(), inode, "it is another object");
        world.call("shm rm").arg(&name).ok();
        world.call(&format!("shm write --replace {lock}")).args([&name, "x"]).fails(3, "no such object");
        world.call(&format!("shm write --replace --create {lock}")).args([&name, "new"]).ok();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        world.call("shm rm").arg(&name).ok();
    }
}

#[test]
fn segment_is_refused_with_a_posix_name() {
    let world = World::new();
    world.call("shm write @a old --create").ok();
    let words = "--replace needs a POSIX object: the size of a segment is fixed";
    for call in ["shm write @a x --replace", "shm write @b x --replace --create --lock @l"] {
        world.call(call).fails(2, words);
    }
    let output = world.call("shm write @a x --replace").output();
    let hint = format!("hint: write to /{}, a POSIX object\n", world.name("a"));
    assert!(String::from_utf8_lossy(&output.stderr).ends_with(&hint));
    world.call("shm write 0x4242 x --replace").fails(2, words);
    world.call("sem get @l").fails(3, "no such semaphore set");
    world.call("shm read @a").stdout("old").ok();
    for option in ["--offset 1", "--clear"] {
        let call = world.call(&format!("shm write /@a x --replace {option}"));
        call.fails(2, "cannot be used together");
    }
}

#[test]
fn killed_replacement_is_whole_or_absent() {
    let world = World::new();
    let name = world.posix("a");
    if world.injected("none").is_none() {
        return;
    }
    let (old, long) = ("old content".to_owned(), "new".repeat(70_000));
    for new in ["new".to_owned(), long] {
        let mut seen = [0, 0];
        for call in ["pwrite64", "ftruncate", "fallocate", "fstat", "shmctl", "shmat", "shmdt", "semtimedop"] {
            for nth in 1..8 {
                world.call("shm write --replace --create --lock @l").args([&name, &old]).ok();
                let kill = world.injected(&format!("{call}:signal=KILL:when={nth}")).unwrap();
                let kill = kill.args(["shm", "write", &name, "--replace", "--lock"]);
                kill.arg(world.name("l")).input(new.clone()).output();
                let read = || world.call("shm read --lock @l").arg(&name).ok();
                let text = read();
                assert!(text == old || text == new, "{call} {nth}: {} bytes", text.len());
                assert!(read() == text);
                seen[usize::from(text == new)] += 1;
                let part = world.call("shm read --offset 2 --length 5 --lock @l").arg(&name).ok();
                assert_eq!(part, text[2.min(text.len())..7.min(text.len())]);
                // The next writer completes it before its own write.
                world.call("shm write --lock @l").args([&name, "N"]).ok();
                let stored = fs::read_to_string(format!("/dev/shm{name}")).unwrap();
                assert!(stored == format!("N{}", &text[1..]), "{call} {nth}: {} bytes", stored.len());
            }
        }
        assert!(seen.iter().all(|count| *count > 3), "{seen:?}");
    }
}

#[test]
fn failed_replacement_changes_nothing() {
    let world = World::new();
    let name = world.posix("a");
    world.call("shm write --create").args([&name, "old"]).ok();
    for lock in ["", "--lock @l"] {
        let (text, lock) = ("x".repeat(600), lock.replace('@', "$NAME-"));
        let script = format!("ulimit -f 1; ipcbox shm write {name} {text} --replace {lock}");
        world.shell(&script).fails(1, "file too large (EFBIG)");
        world.call("shm read").arg(&name).stdout("old").ok();
    }
    let script = "
        ipcrm --all=shm; umount /dev/shm; mount -t tmpfs -o size=64k shm /dev/shm
        ipcbox shm write /a old --create
        for lock in '' '--lock l'; do
            head -c 100000 /dev/zero | ipcbox shm write /a --replace $lock 2>err || echo $?
            grep -c ENOSPC err; ipcbox shm read /a; echo
        done
        segments
    ";
    if let Some(shown) = mounting(&world, script) {
        assert_eq!(shown, ["1", "1", "old", "1", "1", "old", "0"]);
    }
}

#[test]
fn failed_copy_is_read_and_repeated() {
    let world = World::new();
    let name = world.posix("a");
    for (option, whole) in [("--replace", "new"), ("--clear", "new\0\0\0\0")] {
        world.call("shm write --create --replace --lock @l").args([&name, "content"]).ok();
        let Some(fail) = world.injected("pwrite64:error=EIO:when=1") else { return };
        let fail = fail.args(["shm", "write", &name, "new", option, "--lock", &world.name("l")]);
        fail.fails(1, "repeat the locked write to complete the copy");
        world.call("shm read --lock @l").arg(&name).stdout(whole).ok();
        world.call("shm write --lock @l").args([&name, "N"]).ok();
        world.call("shm read").arg(&name).stdout(whole.replace("new", "New")).ok();
    }
}
