use std::fs::File;
use std::os::fd::AsRawFd;

use super::*;

#[test]
fn line_of_proc_maps_is_parsed() {
    let file = |minor, inode| Some(Mapped::File((libc::makedev(0, minor), inode)));
    assert_eq!(mapped("7f00-7f01 rw-s 00000000 00:1a 57    /dev/shm/a b"), file(0x1a, 57));
    assert_eq!(mapped("7f00-7f01 rw-p 00000000 00:00 0"), file(0, 0));
    let segment = "7f00-7f01 rw-s 00000000 00:01 57    /SYSV00000000 (deleted)";
    assert_eq!(mapped(segment), Some(Mapped::Segment(57)));
    assert_eq!(mapped("7f00-7f01 rw-s 00000000 00:01 57    /SYSV00000000"), file(1, 57));
    assert_eq!(mapped("7f00-7f01 rw-s 00000000 00:01 57    /memfd:x (deleted)"), file(1, 57));
    assert_eq!(mapped(""), None);
}

#[test]
fn own_descriptors_are_found() {
    let path = std::env::temp_dir().join(format!("ipcbox-in-use-{}", std::process::id()));
    let write = File::create(&path).unwrap();
    let read = File::open(&path).unwrap();
    let meta = read.metadata().unwrap();
    let holders = of((meta.dev(), meta.ino())).unwrap();
    fs::remove_file(&path).unwrap();
    let pid = std::process::id().cast_signed();
    let open = vec![
        Open { fd: write.as_raw_fd(), reads: false, writes: true, direct: false },
        Open { fd: read.as_raw_fd(), reads: true, writes: false, direct: false },
    ];
    assert_eq!(holders.seen, [Holder { pid, mappings: 0, open }]);
}
