use std::fs::File;
use std::os::fd::AsRawFd;

use super::*;

#[test]
fn lines_of_proc_pid_maps() {
    let is_of = |line, object| mapped(line, Wanted::One(object)) == Some(object);
    let file = Object::File { device: libc::makedev(0, 0x1a), inode: 57 };
    assert!(is_of("7f00-7f01 rw-s 00000000 00:1a 57    /dev/shm/a b", file));
    assert!(!is_of("7f00-7f01 rw-s 00000000 00:1b 57    /dev/shm/a b", file));
    assert!(!is_of("7f00-7f01 rw-p 00000000 00:00 0", file));
    let segment = Object::Segment(57);
    assert!(is_of("7f00-7f01 rw-s 00000000 00:01 57    /SYSV00000000 (deleted)", segment));
    assert!(!is_of("7f00-7f01 rw-s 00000000 00:01 58    /SYSV00000000 (deleted)", segment));
    assert!(!is_of("7f00-7f01 rw-s 00000000 00:01 57    /memfd:x (deleted)", segment));
    assert!(!is_of("", segment));
}

#[test]
fn this_process_is_seen_with_its_descriptors() {
    let path = std::env::temp_dir().join(format!("ipcbox-in-use-{}", std::process::id()));
    let write = File::create(&path).unwrap();
    let read = File::open(&path).unwrap();
    let meta = read.metadata().unwrap();
    let users = by(Object::File { device: meta.dev(), inode: meta.ino() }).unwrap();
    fs::remove_file(&path).unwrap();
    let pid = std::process::id().cast_signed();
    let open = vec![
        Open { fd: write.as_raw_fd(), reads: false, writes: true, direct: false },
        Open { fd: read.as_raw_fd(), reads: true, writes: false, direct: false },
    ];
    assert_eq!(users.seen, [User { pid, mappings: 0, open }]);
}
