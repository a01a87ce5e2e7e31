//! Files are swapped between check and use.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::sys::stat::Mode;
use nix::unistd::{chown, mkfifo};

use crate::support::World;

/// Swaps two paths continuously until it is dropped.
struct Swapping {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Swapping {
    fn start(one: &Path, other: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (one, other, stopped) = (one.to_owned(), other.to_owned(), stop.clone());
        let swap = move || {
            while !stopped.load(Ordering::Relaxed) {
                // This fails while one of them is missing.
                let _ = renameat2(AT_FDCWD, &one, AT_FDCWD, &other, RenameFlags::RENAME_EXCHANGE);
            }
        };
        Self { stop, thread: Some(std::thread::spawn(swap)) }
    }
}

impl Drop for Swapping {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().unwrap().join();
    }
}

/// Files to remove, even if the test fails.
struct Guard([PathBuf; 2]);

impl Drop for Guard {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

/// A file that only its owner may access.
struct Victim(PathBuf);

const TEXT: &str = "precious";

impl Victim {
    fn new(path: PathBuf) -> Self {
        fs::write(&path, TEXT).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        Self(path)
    }

    fn check(&self, call: &str) {
        assert_eq!(fs::read_to_string(&self.0).expect(call), TEXT, "{call}");
        let meta = fs::metadata(&self.0).unwrap();
        let owner = nix::unistd::geteuid().as_raw();
        assert_eq!((meta.mode() & 0o7777, meta.uid()), (0o600, owner), "{call}");
    }
}

/// Only FIFOs may be removed.
#[test]
fn swapped_directory_loses_no_file() {
    let world = World::new();
    let dir = |name: &str| world.dir().join(name);
    fs::create_dir(dir("evil")).unwrap();
    fs::create_dir(dir("private")).unwrap();
    symlink("private", dir("link")).unwrap();
    let victim = Victim::new(dir("private/f"));
    let fifo = |name: &str| mkfifo(&dir(name), Mode::S_IRWXU);
    fifo("evil/f").unwrap();
    let mut removed = 0;
    for _ in 0..100 {
        let swapping = Swapping::start(&dir("evil"), &dir("link"));
        world.call("fifo rm evil/f").output();
        drop(swapping);
        victim.check("fifo rm");
        let real = if dir("evil").is_symlink() { "link/f" } else { "evil/f" };
        removed += i32::from(fifo(real).is_ok());
    }
    assert!(removed > 0, "nothing was ever removed");
}

/// A link must not be followed to a file that its creator may not access.
#[test]
fn posix_object_swapped_for_link_is_not_followed() {
    let world = World::new();
    let stranger = world.stranger();
    let victim = Victim::new(world.dir().join("victim"));
    let shared = |name: &str| PathBuf::from(format!("/dev/shm/{name}"));
    let own = world.posix("o").split_off(1);
    for (prefix, create, calls) in [
        (
            "",
            "shm create /@o --size 4096 -m 666",
            &[
                "shm write /@o evil",
                "shm write /@o evil --create --foreign",
                "shm read /@o --text",
                "shm set /@o -m 777",
                "shm set /@o --owner 12345",
                "shm set /@o --size 8192",
                "shm set /@o 1",
                "shm add /@o --create --foreign",
                "shm stat /@o --holders",
                "ipcrm-lite --posix --dry-run /@o",
            ][..],
        ),
        (
            "sem.",
            "sem create /@o -m 666",
            &["sem post /@o", "sem wait /@o -n", "sem get /@o", "sem create /@o --foreign"][..],
        ),
    ] {
        let name = format!("{prefix}{own}");
        let link = shared(&format!("{name}-link"));
        let _guard = Guard([shared(&name), link.clone()]);
        symlink(&victim.0, &link).unwrap();
        world.call(create).ok();
        chown(&shared(&name), stranger.map(Into::into), None).unwrap();
        let swapping = Swapping::start(&shared(&name), &link);
        let mut statuses = std::collections::BTreeSet::new();
        for call in calls.iter().cycle().take(160) {
            let output = world.call(call).output();
            assert!(!String::from_utf8_lossy(&output.stdout).contains(TEXT), "{call}");
            victim.check(call);
            statuses.insert(output.status.code());
        }
        drop(swapping);
        // Both the object and the link were opened.
        assert!(statuses.contains(&Some(0)) && statuses.len() > 1, "{statuses:?}");
    }
}

/// Another user's object must not be written to because it took the place of a trusted one.
#[test]
fn object_swapped_for_foreign_one_is_not_written() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let paths = ["/@mine", "/@theirs"].map(|name| {
        world.call(&format!("shm create {name} --size 64 -m 666")).ok();
        PathBuf::from(format!("/dev/shm/{}", &world.posix(&name[2..])[1..]))
    });
    chown(&paths[1], Some(stranger.into()), None).unwrap();
    let swapping = Swapping::start(&paths[0], &paths[1]);
    let mut statuses = std::collections::BTreeSet::new();
    for _ in 0..200 {
        statuses.insert(world.call("shm write /@mine secret --create").output().status.code());
    }
    drop(swapping);
    for path in paths {
        let owner = fs::metadata(&path).unwrap().uid();
        assert!(owner != stranger || fs::read(&path).unwrap() == [0; 64], "it was written to");
    }
    assert_eq!(statuses, [Some(0), Some(5)].into());
}

/// Only FIFOs may be written to or read from.
#[test]
fn swapped_fifo_is_never_mistaken() {
    let world = World::new();
    let dir = |name: &str| world.dir().join(name);
    let victim = Victim::new(dir("victim"));
    for evil in ["file", "link"] {
        world.call("fifo create f -m 666").ok();
        // Kept open, so that writers do not block.
        let _held = fs::File::options().read(true).write(true).open(dir("f")).unwrap();
        let file = Victim::new(dir("file"));
        symlink(&victim.0, dir("link")).unwrap();
        let swapping = Swapping::start(&dir("f"), &dir(evil));
        for call in
            ["fifo write f evil -n", "fifo read f -n -c 1", "fifo read f -n --create", "fifo create f", "fifo stat f"]
                .iter()
                .cycle()
                .take(100)
        {
            let output = world.call(call).output();
            assert!(!String::from_utf8_lossy(&output.stdout).contains(TEXT), "{call}");
            victim.check(call);
        }
        drop(swapping);
        let content = if dir("f").is_file() { &dir("f") } else { &file.0 };
        assert_eq!(fs::read_to_string(content).unwrap(), TEXT);
        for name in ["f", "file", "link"] {
            fs::remove_file(dir(name)).unwrap();
        }
    }
}
