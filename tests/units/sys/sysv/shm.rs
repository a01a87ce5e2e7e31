use super::{Shm, Table, Words};

#[test]
fn line_of_sysvipc_shm_is_parsed() {
    let line = |text: &str| Shm::line(&mut Words(text.split_ascii_whitespace()));
    let title = "key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap";
    assert_eq!(line(title), None);
    let stat = line("-1 65538 3600 5000 10 11 2 1 2 3 4 100 0 99 8192 4096").unwrap();
    assert_eq!((stat.perm.key, stat.id, stat.perm.mode), (-1, 65538, 0o600));
    assert!(stat.removed && stat.pinned);
    assert_eq!(stat.marked_mode(), 0o3600);
    assert_eq!((stat.size, stat.attached), (5000, 2));
    assert_eq!((stat.resident, stat.swapped), (Some(8192), Some(4096)));
    assert_eq!((stat.perm.creator_uid, stat.perm.creator_gid), (3, 4));
}

#[test]
fn any_line_is_parsed_or_rejected() {
    crate::sys::sysv::try_lines::<Shm>();
}
