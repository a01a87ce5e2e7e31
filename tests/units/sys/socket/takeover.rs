use std::fs::{self, Permissions, read_dir};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::super::tests::Dir;
use super::*;
use crate::sys::signal::{Signal, kill};
use crate::sys::socket::{accept, unix};

fn take(path: &Path) -> Taken<Bound> {
    Bound::take(path, Type::Stream, true, 0o600, Deadline::Forever)
}

fn remove(path: &Path, force: bool) -> Taken<()> {
    // A child that another test is starting can hold a copy of the lock for a moment.
    super::remove(path, force, Deadline::Forever, &mut |_| ())
}

fn names(dir: &Dir) -> Vec<OsString> {
    let mut names: Vec<OsString> = read_dir(&dir.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

#[test]
fn free_path_is_taken_and_removed() {
    let dir = Dir::new();
    for kind in [Type::Stream, Type::Dgram, Type::Seqpacket] {
        let bound = Bound::take(&dir.path("s"), kind, true, 0o640, Deadline::Forever).unwrap();
        assert_eq!(names(&dir), ["s"]);
        assert_eq!(fs::symlink_metadata(dir.path("s")).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(SocketFile::open(&dir.path("s")).unwrap().is_live(), Ok(true));
        bound.remove().unwrap();
        assert!(names(&dir).is_empty());
        bound.remove().unwrap();
    }
}

#[test]
fn mode_is_exact_whatever_the_umask() {
    let dir = Dir::new();
    for mode in [0o600, 0o666, 0o777, 0o000, 0o620] {
        let bound = Bound::take(&dir.path("s"), Type::Stream, true, mode, Deadline::Forever).unwrap();
        assert_eq!(fs::symlink_metadata(dir.path("s")).unwrap().mode() & 0o7777, mode);
        bound.remove().unwrap();
    }
}

#[test]
fn stale_path_is_replaced() {
    let dir = Dir::new();
    let path = dir.stale("s");
    let before = fs::symlink_metadata(&path).unwrap().ino();
    let bound = take(&path).unwrap();
    assert_eq!(names(&dir), ["s"]);
    let client = UnixStream::connect(&path).unwrap();
    accept(&bound.socket).unwrap();
    drop((client, bound));
    // The next one, of another type, replaces what this one left. A child that another test is starting can hold a copy
    // of this one for a moment.
    let bound = loop {
        match Bound::take(&path, Type::Dgram, true, 0o600, Deadline::Forever) {
            Err(Refused::InUse) => {}
            bound => break bound.unwrap(),
        }
    };
    UnixDatagram::unbound().unwrap().connect(&path).unwrap();
    assert!(before > 0 && names(&dir) == ["s"]);
    drop(bound);
}

#[test]
fn live_path_is_never_taken_nor_reached() {
    let dir = Dir::new();
    let listener = UnixListener::bind(dir.path("stream")).unwrap();
    let datagrams = UnixDatagram::bind(dir.path("dgram")).unwrap();
    let own = take(&dir.path("own")).unwrap();
    // Bound, not yet listening.
    let early = unix(Type::Stream).unwrap();
    bind(early.as_raw_fd(), &UnixAddr::new(&dir.path("early")).unwrap()).unwrap();
    for name in ["stream", "dgram", "own", "early"] {
        let before = fs::symlink_metadata(dir.path(name)).unwrap().ino();
        assert_eq!(take(&dir.path(name)).unwrap_err(), Refused::InUse, "{name}");
        assert_eq!(fs::symlink_metadata(dir.path(name)).unwrap().ino(), before, "{name}");
    }
    assert_eq!(names(&dir), ["dgram", "early", "own", "stream"]);
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err());
    drop((datagrams, own, early));
}

#[test]
fn other_files_are_refused_and_kept() {
    let dir = Dir::new();
    fs::write(dir.path("file"), "kept").unwrap();
    fs::create_dir(dir.path("dir")).unwrap();
    symlink("nothing", dir.path("dangling")).unwrap();
    dir.stale("stale");
    symlink("stale", dir.path("link")).unwrap();
    nix::unistd::mkfifo(&dir.path("fifo"), Mode::S_IRWXU).unwrap();
    let before = names(&dir);
    for (name, kind) in [
        ("file", Kind::Regular),
        ("dir", Kind::Directory),
        ("dangling", Kind::Link),
        ("link", Kind::Link),
        ("fifo", Kind::Fifo),
    ] {
        assert_eq!(take(&dir.path(name)).unwrap_err(), Refused::NotASocket(kind), "{name}");
        for force in [false, true] {
            assert_eq!(remove(&dir.path(name), force).unwrap_err(), Refused::NotASocket(kind), "{name}");
        }
    }
    assert_eq!(names(&dir), before);
    assert_eq!(fs::read_to_string(dir.path("file")).unwrap(), "kept");
}

#[test]
fn broken_path_is_an_errno() {
    let dir = Dir::new();
    fs::write(dir.path("file"), "").unwrap();
    for (path, errno) in [
        (dir.path("none/s"), Errno::ENOENT),
        (dir.path("file/s"), Errno::ENOTDIR),
        (dir.path(&"x".repeat(256)), Errno::ENAMETOOLONG),
        (PathBuf::from("/"), Errno::EISDIR),
        (dir.path("s/"), Errno::EISDIR),
        (dir.path(".."), Errno::EISDIR),
    ] {
        assert_eq!(take(&path).unwrap_err(), Refused::Failed(errno), "{}", path.display());
    }
    assert_eq!(remove(&dir.path("none"), true).unwrap_err(), Refused::Failed(Errno::ENOENT));
    assert_eq!(names(&dir), ["file"]);
}

#[test]
fn long_name_is_taken() {
    let dir = Dir::new();
    for length in [80, 81, 107, 108, 255] {
        let path = dir.path(&"x".repeat(length));
        let bound = take(&path).unwrap();
        drop(bound);
        take(&path).unwrap().remove().unwrap();
        assert!(names(&dir).is_empty(), "{length}");
    }
}

#[test]
fn leftover_of_a_killed_start_is_removed() {
    let dir = Dir::new();
    dir.stale(".s.new");
    let bound = take(&dir.path("s")).unwrap();
    assert_eq!(names(&dir), ["s"]);
    bound.remove().unwrap();
    fs::write(dir.path(".s.new"), "").unwrap();
    assert_eq!(take(&dir.path("s")).unwrap_err(), Refused::NotASocket(Kind::Regular));
    assert_eq!(names(&dir), [".s.new"]);
}

#[test]
fn path_that_is_not_ours_any_more_stays() {
    let dir = Dir::new();
    let bound = take(&dir.path("s")).unwrap();
    fs::remove_file(dir.path("s")).unwrap();
    let other = UnixListener::bind(dir.path("s")).unwrap();
    bound.remove().unwrap();
    assert_eq!(names(&dir), ["s"]);
    drop(other);
}

#[test]
fn locked_directory_names_the_holder() {
    let dir = Dir::new();
    let holder = open(&dir.0, OFlag::O_RDONLY, Mode::empty()).unwrap();
    lock(&holder, Deadline::Forever).unwrap();
    let refused = Bound::take(&dir.path("s"), Type::Stream, true, 0o600, Deadline::Now).unwrap_err();
    // Overlay file systems have another device there.
    assert!([Refused::Locked(vec![std::process::id().cast_signed()]), Refused::Locked(vec![])].contains(&refused));
    assert!(names(&dir).is_empty());
}

#[test]
fn removal_spares_a_live_socket_without_force() {
    let dir = Dir::new();
    let stale = dir.stale("stale");
    remove(&stale, false).unwrap();
    let listener = UnixListener::bind(dir.path("s")).unwrap();
    assert_eq!(remove(&dir.path("s"), false), Err(Refused::InUse));
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err());
    remove(&dir.path("s"), true).unwrap();
    assert!(names(&dir).is_empty());
}

#[test]
fn leftover_of_a_killed_removal_is_removed() {
    let dir = Dir::new();
    dir.stale(".s.new");
    assert_eq!(remove(&dir.path("s"), false), Err(Refused::Failed(Errno::ENOENT)));
    assert!(names(&dir).is_empty());
    dir.stale(".s.new");
    remove(&dir.stale("s"), false).unwrap();
    assert!(names(&dir).is_empty());
}

#[test]
fn force_needs_no_lock() {
    let dir = Dir::new();
    let holder = open(&dir.0, OFlag::O_RDONLY, Mode::empty()).unwrap();
    lock(&holder, Deadline::Forever).unwrap();
    let path = dir.stale("s");
    let refused = super::remove(&path, false, Deadline::Now, &mut |_| ());
    assert!(matches!(refused, Err(Refused::Locked(_))));
    remove(&path, true).unwrap();
    assert!(names(&dir).is_empty());
}

#[test]
fn directory_without_permission_is_refused() {
    let dir = Dir::new();
    if nix::unistd::geteuid().is_root() {
        return;
    }
    dir.stale("s");
    fs::set_permissions(&dir.0, Permissions::from_mode(0o500)).unwrap();
    assert_eq!(take(&dir.path("s")).unwrap_err(), Refused::Failed(Errno::EACCES));
    fs::set_permissions(&dir.0, Permissions::from_mode(0o700)).unwrap();
}

/// A server of its own: takes the path of the environment, prints what came of it, and serves each client a byte until
/// its standard input is at EOF. Then it removes the path.
#[test]
#[ignore = "the other tests run it in processes of its own"]
fn contender() {
    use crate::sys::fds::{stdin, stdout, write_all};
    let path = PathBuf::from(std::env::var_os("IPCBOX_CONTENDER").unwrap());
    let bound = match take(&path) {
        Ok(bound) => bound,
        Err(refused) => return write_all(stdout(), format!("\n={refused:?}\n").as_bytes()).unwrap(),
    };
    write_all(stdout(), b"\n=taken\n").unwrap();
    super::super::never_block(&bound.socket).unwrap();
    let events = [(stdin(), wait::Want::Readable), (bound.socket.as_fd(), wait::Want::Readable)];
    while !wait::has(stdin(), wait::Want::Readable).unwrap() {
        if let Ok(client) = accept(&bound.socket) {
            // It may be gone.
            let _ = nix::unistd::write(&client, b"x");
        } else {
            wait::any(&events, Deadline::Forever).unwrap();
        }
    }
    bound.remove().unwrap();
}

/// Starts a contender.
fn contend(path: &Path) -> Child {
    let name = "sys::socket::takeover::tests::contender";
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--ignored", "--nocapture"]).env("IPCBOX_CONTENDER", path);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Returns what came of a contender, from its output; nothing if it was killed before.
fn outcome(child: &mut Child) -> String {
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines().map_while(Result::ok);
    lines.find_map(|line| line.strip_prefix('=').map(str::to_owned)).unwrap_or_default()
}

/// Without IPCBOX_FULL, a tenth.
fn rounds(full: usize) -> usize {
    if std::env::var_os("IPCBOX_FULL").is_some() { full } else { full.div_ceil(10) }
}

#[test]
fn one_of_many_contenders_wins_a_stale_path() {
    let dir = Dir::new();
    let path = dir.stale("s");
    for round in 0..rounds(40) {
        let mut contenders: Vec<Child> = (0..8).map(|_| contend(&path)).collect();
        let outcomes: Vec<String> = contenders.iter_mut().map(outcome).collect();
        let won = outcomes.iter().filter(|outcome| *outcome == "taken").count();
        let lost = outcomes.iter().filter(|outcome| *outcome == "InUse").count();
        assert_eq!((won, lost), (1, 7), "round {round}: {outcomes:?}");
        UnixStream::connect(&path).unwrap();
        // SIGKILL leaves a stale path for the next round; otherwise it is gone.
        for (mut contender, outcome) in contenders.into_iter().zip(outcomes) {
            if outcome == "taken" && round % 2 == 0 {
                contender.kill().unwrap();
            }
            drop(contender.stdin.take());
            contender.wait().unwrap();
        }
        assert_eq!(names(&dir), if round % 2 == 0 { vec!["s"] } else { vec![] });
    }
}

/// Servers start, are stopped, continued and killed at any instant. At most one has the path, and no client that was
/// accepted is left without an answer by a server that lives.
#[test]
fn killed_and_stopped_starts_never_take_a_live_path() {
    let dir = Dir::new();
    let path = dir.path("s");
    let starts = rounds(800);
    let mut seed = 1_u32;
    let mut random = move |below: u32| {
        // xorshift: the same sequence in each run.
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        u64::from(seed % below)
    };
    let mut servers: Vec<Child> = Vec::new();
    let mut served = 0;
    for _ in 0..starts {
        servers.push(contend(&path));
        std::thread::sleep(Duration::from_micros(random(6000)));
        let chosen = usize::try_from(random(6)).unwrap().min(servers.len() - 1);
        let pid = servers[chosen].id().cast_signed();
        match random(3) {
            0 => drop(kill(pid, Signal::KILL)),
            1 => {
                let _ = kill(pid, Signal::STOP);
                std::thread::sleep(Duration::from_micros(random(3000)));
                let _ = kill(pid, Signal::CONT);
            }
            _ => {}
        }
        if let Ok(mut client) = UnixStream::connect(&path) {
            served += usize::from(client.read_exact(&mut [0]).is_ok());
        }
        while servers.len() > 6 {
            let mut oldest = servers.remove(0);
            drop(oldest.stdin.take());
            oldest.wait().unwrap();
        }
    }
    assert!(served > 0);
    for mut server in servers {
        drop(server.stdin.take());
        server.wait().unwrap();
    }
    // At most a stale path and a leftover, which the next start and end removes.
    assert!(names(&dir).iter().all(|name| name == "s" || name == ".s.new"), "{:?}", names(&dir));
    let mut last = contend(&path);
    assert_eq!(outcome(&mut last), "taken");
    drop(last.stdin.take());
    last.wait().unwrap();
    assert!(names(&dir).is_empty(), "{:?}", names(&dir));
}

/// A running server keeps its path, whatever others try.
#[test]
fn running_server_keeps_its_path() {
    let dir = Dir::new();
    let path = dir.stale("s");
    let mut server = contend(&path);
    assert_eq!(outcome(&mut server), "taken");
    let inode = fs::symlink_metadata(&path).unwrap().ino();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(300) {
        let mut others: Vec<Child> = (0..4).map(|_| contend(&path)).collect();
        others[0].kill().unwrap();
        for other in &mut others {
            let outcome = outcome(other);
            assert!(["", "InUse"].contains(&outcome.as_str()), "{outcome}");
            other.wait().unwrap();
        }
        assert_eq!(fs::symlink_metadata(&path).unwrap().ino(), inode);
        UnixStream::connect(&path).unwrap().read_exact(&mut [0]).unwrap();
    }
    drop(server.stdin.take());
    server.wait().unwrap();
    assert_eq!(names(&dir), Vec::<OsString>::new());
}
