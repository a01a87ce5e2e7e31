//! `write` and `read`.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::libc;

use super::{both, missing};
use crate::support::{BINARY, Call, World, eventually, skip};

/// Returns bytes of every value, in an order that does not repeat with the page.
fn noise(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n.wrapping_mul(2_654_435_761) >> 11).to_le_bytes()[0]).collect()
}

/// Runs `shm` with a file as standard input.
fn from_file(words: &[&str], path: &Path) -> Output {
    let mut command = Command::new(BINARY);
    command.arg("shm").args(words).stdin(File::open(path).unwrap()).output().unwrap()
}

#[test]
fn text_is_written_byte_for_byte() {
    let world = World::new();
    for name in both(&world, "a") {
        world.call("shm create --size 16").arg(&name).ok();
        world.call("shm write").arg(&name).arg("two words\n").ok();
        world.call("shm read --text").arg(&name).stdout("two words\n").ok();
        world.call("shm write").arg(&name).arg("one").ok();
        world.call("shm read --text").arg(&name).stdout("one words\n").ok();
        world.call("shm write --clear").arg(&name).arg("one").ok();
        world.call("shm read").arg(&name).stdout("one\0\0\0\0\0\0\0\0\0\0\0\0\0").ok();
        world.call("shm write --offset 14").arg(&name).arg("xy").ok();
        world.call("shm read --offset 13 --length 2").arg(&name).stdout("\0x").ok();
        // A length may exceed the end, an offset may not.
        world.call("shm read --offset 15 --length 99").arg(&name).stdout("y").ok();
        world.call("shm read --offset 16").arg(&name).stdout("").ok();
        world.call("shm read --offset 17").arg(&name).fails(1, "offset 17 is beyond the end: the object has 16 bytes");
        world.call("shm write --").arg(&name).arg("-x").ok();
        world.call("shm read --length 2").arg(&name).stdout("-x").ok();
        world.call("shm write").arg(&name).arg("").ok();
    }
}

#[test]
fn every_byte_passes_from_pipe_and_file() {
    let world = World::new();
    let bytes = noise(1_000_003);
    let path = world.dir().join("noise");
    std::fs::write(&path, &bytes).unwrap();
    for name in both(&world, "a") {
        world.call("shm create --size 1M").arg(&name).ok();
        world.call("shm write").arg(&name).input(bytes.clone()).ok();
        let read = world.call("shm read --length 1000003").arg(&name).output().stdout;
        assert!(read == bytes, "through a pipe, {name}");
        world.call("shm set").arg(&name).arg("0").ok();
        let output = from_file(&["write", "--offset", "5", &name], &path);
        assert!(output.status.success(), "{output:?}");
        let to = File::create(world.dir().join("out")).unwrap();
        let status = Command::new(BINARY)
            .args(["shm", "read", "--offset", "5", "--length", "1000003", &name])
            .stdout(Stdio::from(to))
            .status();
        assert!(status.unwrap().success());
        assert!(std::fs::read(world.dir().join("out")).unwrap() == bytes, "to a file, {name}");
    }
}

#[test]
fn appending_standard_output_gets_the_bytes() {
    let world = World::new();
    for name in ["@a", "/@a"] {
        world.call(&format!("shm write {name} abc --create")).ok();
    }
    world.shell("printf x >f; ipcbox shm read $NAME-a >>f; ipcbox shm read /$NAME-a >>f; cat f").stdout("xabcabc").ok();
}

#[test]
fn known_excess_is_refused_before_the_first_byte() {
    let world = World::new();
    let path = world.file("long", "123456789");
    for name in both(&world, "a") {
        world.call("shm create --size 8").arg(&name).ok();
        let words = "9 bytes at offset 0 are beyond the end: the object has 8 bytes";
        world.call("shm write").arg(&name).arg("123456789").fails(1, words);
        let output = from_file(&["write", &name], &path);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains(words), "{output:?}");
        let words = "8 bytes at offset 1 are beyond the end: the object has 8 bytes";
        world.call("shm write --offset 1").arg(&name).arg("12345678").fails(1, words);
        world.call("shm read --text").arg(&name).stdout("").ok();
        // The length of a stream is not known.
        let words = ": input truncated after 6 bytes, at the end of the object\n";
        world.call("shm write --offset 2").arg(&name).input("123456789").fails(1, words);
        for (offset, words) in [("7", "truncated after 1 byte, at"), ("8", "truncated after 0 bytes, at")] {
            let call = world.call("shm write --offset").arg(offset).arg(&name);
            call.input("67").fails(1, words);
        }
        world.call("shm read").arg(&name).stdout("\0\u{0}123456").ok();
        world.call("shm write --offset 2").arg(&name).input("abcdef").ok();
    }
}

#[test]
fn write_creates_object_as_large_as_the_data() {
    let world = World::new();
    let path = world.file("data", "0123456789");
    let proc = Path::new("/proc/self/status");
    for kind in ["", "/"] {
        let name = |n| format!("{kind}{}", world.name(n));
        world.posix("t");
        for n in ["t", "p", "f", "q", "o"] {
            world.posix(n);
        }
        let size = |n| world.call("shm stat --no-header --columns size").arg(name(n)).ok();
        world.call("shm write --create").arg(name("t")).arg("text").ok();
        assert_eq!(size("t"), "4\n");
        world.call("shm write --create --offset 3").arg(name("p")).input(noise(100_000)).ok();
        assert_eq!(size("p"), "100003\n");
        assert!(from_file(&["write", "--create", &name("f")], &path).status.success());
        assert_eq!(size("f"), "10\n");
        // A file whose length is not known.
        assert!(from_file(&["write", "--create", &name("q")], proc).status.success());
        assert!(world.call("shm read").arg(name("q")).ok().starts_with("Name:"));
        // An existing object keeps its size.
        world.call("shm write --create").arg(name("t")).arg("12345").fails(1, "the object has 4 bytes");
        world.call("shm write --create").arg(name("t")).input("12345").fails(1, "truncated after 4 bytes");
        world.call("shm write --create -m 0640").arg(name("o")).arg("x").ok();
        world.call("shm stat --no-header --columns mode").arg(name("o")).stdout("0640\n").ok();
    }
    world.call("shm write @none --create").fails(1, "at least 1 byte");
    world.call("shm write /@none --create").ok();
    world.call("shm read /@none").stdout("").ok();
    world.call("shm write @missing x").fails(
        3,
        "no such shared memory segment (ENOENT)\nhint: add --create to create an object as large as the data\n",
    );
    world.call("shm write /@missing x").fails(3, "no such object (ENOENT)");
}

#[test]
fn mode_without_write_is_set_after_the_data() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    for (n, name) in both(&world, "a").into_iter().chain(both(&world, "b")).enumerate() {
        let create = |verb: &str| world.call(verb).args([&name, "--create", "-m", "0444"]);
        let call = if n < 2 { create("shm write").arg("hello") } else { create("shm add") };
        call.user(stranger).ok();
        world.call("shm stat --no-header --columns mode").arg(&name).stdout("0444\n").ok();
        let text = if n < 2 { "hello" } else { "\u{1}" };
        world.call("shm read --text").arg(&name).user(stranger).stdout(text).ok();
        world.call("shm set").args([&name, "1"]).user(stranger).fails(5, "by the mode, although you own the object");
    }
}

#[test]
fn file_with_wrong_size_is_read_as_a_stream() {
    let world = World::new();
    let path = Path::new("/sys/kernel/mm/transparent_hugepage/enabled");
    let Ok(text) = std::fs::read_to_string(path) else {
        return skip("/sys has no such file");
    };
    for (n, name) in both(&world, "a").into_iter().chain(both(&world, "b")).enumerate() {
        let mut words = vec!["write", &name];
        if n < 2 {
            world.call("shm create --size 64").arg(&name).ok();
        } else {
            words.push("--create");
        }
        let lock = world.name("lock");
        for more in [&[][..], &["--lock", &lock]] {
            let output = from_file(&[&words, more].concat(), path);
            assert!(output.status.success(), "{output:?}");
        }
        world.call("shm read --text").arg(&name).stdout(&text).ok();
    }
    // A sparse file has its real size.
    let holes = world.file("holes", "");
    std::fs::OpenOptions::new().write(true).open(&holes).unwrap().set_len(100_000).unwrap();
    let output = from_file(&["write", &world.name("a")], &holes);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("100000 bytes at offset 0 are"));
}

#[test]
fn concurrent_creators_share_one_object() {
    let world = World::new();
    for name in both(&world, "a") {
        let script =
            format!("for n in 1 2 3 4 5 6 7 8; do printf %4096s $n | ipcbox shm write {name} --create & done; wait");
        world.shell(&script).ok();
        let text = world.call("shm read").arg(&name).ok();
        assert_eq!(text.len(), 4096);
        assert!("12345678".contains(text.trim_start()), "{text:?}");
    }
}

#[test]
fn posix_object_appears_whole_or_not_at_all() {
    let world = World::new();
    let name = world.posix("a");
    let mut command = Command::new(BINARY);
    command.args(["shm", "write", "--create", &name]).stdin(Stdio::piped());
    let mut writer = command.spawn().unwrap();
    let mut pipe = writer.stdin.take().unwrap();
    std::io::Write::write_all(&mut pipe, &noise(200_000)).unwrap();
    world.call("shm stat").arg(&name).fails(3, "no such object");
    writer.kill().unwrap();
    writer.wait().unwrap();
    drop(pipe);
    world.call("shm stat").arg(&name).fails(3, "no such object");
}

#[test]
fn full_tmpfs_is_an_error_and_leaves_nothing() {
    let world = World::new();
    let script = "mount -t tmpfs -o size=64k,mode=1777 shm /dev/shm
        ipcbox shm create /a --size 100K 2>err && exit 1
        grep -q '102400 bytes exceed the 65536 bytes free in /dev/shm (ENOSPC)' err
        head -c 100000 /dev/zero | ipcbox shm write /a --create 2>err && exit 1
        grep -q 'no space left in /dev/shm; nothing was created (ENOSPC)' err
        ipcbox shm write /a --create </bin/ls 2>err && exit 1
        grep -q 'free in /dev/shm (ENOSPC)' err
        test -z \"$(ls -A /dev/shm)\"
        ipcbox shm create /a --size 64K
        ipcbox shm add /b --create 2>err && exit 1
        grep -q 'exceed the 0 bytes free' err
        ipcbox shm set /a --size 68K 2>err && exit 1
        ipcbox shm stat /a --no-header --columns size,resident
        truncate -s 32K /dev/shm/a
        truncate -s 1M /dev/shm/hole
        head -c 40000 /dev/zero | ipcbox shm write /hole 2>err && exit 1
        grep -q 'no space left in /dev/shm (ENOSPC)' err";
    let call = world.program("unshare").args(["-m", "/bin/sh", "-euc", script]);
    if missing("mount namespace", !may_mount()) {
        return;
    }
    call.stdout("/a\n65536  65536\n").ok();
}

fn may_mount() -> bool {
    Call::new("unshare").args(["-m", "mount", "-t", "tmpfs", "x", "/mnt"]).output().status.success()
}

#[test]
fn missing_tmpfs_is_named() {
    let world = World::new();
    if missing("mount namespace", !may_mount()) {
        return;
    }
    let script = "mount --bind /proc /dev/shm
        for line in 'create /a --size 1' 'read /a' 'write /a x --create' 'add /a --create' 'rm /a'; do
            ipcbox shm $line 2>err && exit 1
            grep -q 'no tmpfs is mounted at /dev/shm (ENOENT)' err || { cat err; exit 1; }
        done
        ipcbox shm rm --missing-ok /a";
    world.program("unshare").args(["-m", "/bin/sh", "-euc", script]).ok();
}

#[test]
fn full_disk_and_closed_output_are_errors() {
    let world = World::new();
    for name in both(&world, "a") {
        world.call("shm create --size 1M").arg(&name).ok();
        let script = format!("ipcbox shm read {name} >/dev/full");
        world.shell(&script).fails(1, "cannot write to standard output: no space left on device");
        let script = format!("ipcbox shm read {name} >&-");
        world.shell(&script).fails(1, "standard output: bad file descriptor (EBADF)");
        // A reader that exits ends it by SIGPIPE.
        let script = format!("{{ ipcbox shm read {name} || echo $? >status; }} | true; cat status");
        world.shell(&script).stdout("141\n").ok();
    }
}

#[test]
fn unreadable_standard_input_is_an_error() {
    let world = World::new();
    world.call("shm create @a --size 1M").ok();
    let write = |redirection: &str| world.shell(&format!("ipcbox shm write $NAME-a {redirection}"));
    write("</tmp").fails(1, "standard input: is a directory (EISDIR)");
    write("<&-").fails(1, "standard input: not open for reading (EBADF)");
}

#[test]
fn object_that_shrinks_during_a_copy_is_an_error() {
    let world = World::new();
    let name = world.posix("a");
    world.call("shm create --size 1M").arg(&name).ok();
    let mut command = Command::new(BINARY);
    command.args(["shm", "read", &name]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let reader = command.spawn().unwrap();
    // It has filled the pipe.
    blocks_in(reader.id(), libc::SYS_write);
    let file = File::options().write(true).open(format!("/dev/shm{name}")).unwrap();
    file.set_len(4096).unwrap();
    let output = reader.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("truncated by another process: ") && stderr.contains("EFAULT"), "{stderr}");

    file.set_len(1 << 20).unwrap();
    let mut command = Command::new(BINARY);
    command.args(["shm", "write", &name]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut writer = command.spawn().unwrap();
    let mut pipe = writer.stdin.take().unwrap();
    std::io::Write::write_all(&mut pipe, b"x").unwrap();
    eventually("the writer writes", || world.call("shm read --length 1").arg(&name).output().stdout == b"x");
    file.set_len(0).unwrap();
    let _ = std::io::Write::write_all(&mut pipe, &noise(300_000));
    drop(pipe);
    let output = writer.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("truncated by another process (EFAULT)"), "{stderr}");
}

/// Returns a number of `/proc/PID/status`, in KiB.
fn status(pid: u32, title: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(title)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Waits until a process is blocked in this system call.
fn blocks_in(pid: u32, call: i64) {
    let number = format!("{call} ");
    eventually("it blocks", || {
        std::fs::read_to_string(format!("/proc/{pid}/syscall")).is_ok_and(|line| line.starts_with(&number))
    });
}

/// Returns the private memory of a process in bytes, without the code of a debug build.
fn own_memory(pid: u32) -> u64 {
    let code = if cfg!(debug_assertions) { 0 } else { status(pid, "RssFile:") };
    (status(pid, "RssAnon:") + code) << 10
}

#[test]
fn copying_needs_little_memory_and_few_faults() {
    let world = World::new();
    let name = world.name("a");
    world.call("shm create --size 64M").arg(&name).ok();
    let mut command = Command::new(BINARY);
    command.args(["shm", "write", &name]).stdin(Stdio::piped());
    let mut writer = command.spawn().unwrap();
    let mut pipe = writer.stdin.take().unwrap();
    let half = noise(32 << 20);
    std::io::Write::write_all(&mut pipe, &half).unwrap();
    let pid = writer.id();
    eventually("the pipe is empty", || {
        // Before Linux 6.2 up to 64 pages of each thread are not counted yet.
        let taken = (status(pid, "RssShmem:") << 10) + (64 << 12);
        taken >= half.len() as u64
    });
    blocks_in(pid, libc::SYS_read);
    assert!(own_memory(pid) <= 3 << 20, "{}", own_memory(pid));
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let faults: usize = stat.rsplit(')').next().unwrap().split(' ').nth(8).unwrap().parse().unwrap();
    assert!(faults < (32 << 20) / 4096 + 1000, "{faults} page faults");
    drop(pipe);
    assert!(writer.wait().unwrap().success());
    for name in [name, world.posix("a")] {
        world.call("shm create --size 64M").arg(&name).ok();
        let mut command = Command::new(BINARY);
        let mut reader = command.args(["shm", "read", &name]).stdout(Stdio::piped()).spawn().unwrap();
        let mut pipe = reader.stdout.take().unwrap();
        std::io::Read::read_exact(&mut pipe, &mut vec![0; 32 << 20]).unwrap();
        blocks_in(reader.id(), libc::SYS_write);
        assert!(own_memory(reader.id()) <= 3 << 20, "{}", own_memory(reader.id()));
        reader.kill().unwrap();
        reader.wait().unwrap();
    }
}
