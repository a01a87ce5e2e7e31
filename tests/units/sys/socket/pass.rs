use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use super::*;
use crate::sys::fds;

#[test]
fn bytes_and_descriptors_arrive_together() {
    let (one, other) = UnixStream::pair().unwrap();
    assert_eq!(receive(&other, &mut [0; 8]).unwrap_err(), Errno::EAGAIN);
    let file = File::open("/dev/null").unwrap();
    assert_eq!(send(&one, b"abc", &[file.as_fd(); 3]), Ok(3));
    let mut bytes = [0; 8];
    let (count, files) = receive(&other, &mut bytes).unwrap();
    assert_eq!((&bytes[..count], files.0.len()), (&b"abc"[..], 3));
    assert!(files.0.iter().all(|file| fds::can_read(file).is_ok()));
    send(&one, b"x", &[]).unwrap();
    assert_eq!(receive(&other, &mut bytes).unwrap().1.0.len(), 0);
    // The most that the kernel passes at once.
    send(&one, b"x", &[file.as_fd(); 253]).unwrap();
    assert_eq!(receive(&other, &mut bytes).unwrap().1.0.len(), 253);
    drop(one);
    assert_eq!(receive(&other, &mut bytes).unwrap().0, 0);
}

#[test]
fn message_without_room_is_short() {
    let (one, other) = std::os::unix::net::UnixDatagram::pair().unwrap();
    for (length, is_short) in [(8, false), (9, true)] {
        one.send(&vec![7; length]).unwrap();
        let came = message(other.as_fd(), &mut [0; 8]).unwrap();
        assert_eq!((came.length, came.is_short), (8, is_short));
    }
}

#[test]
fn only_pipes_without_a_path_are_pipes() {
    let (one, _other) = UnixStream::pair().unwrap();
    let (reader, _writer) = nix::unistd::pipe().unwrap();
    let file = File::open("/dev/null").unwrap();
    let path = nix::fcntl::open("/proc/self/fd", OFlag::O_PATH, nix::sys::stat::Mode::empty()).unwrap();
    let by_path = format!("/proc/self/fd/{}", reader.as_raw_fd());
    let pipe_path = nix::fcntl::open(&*by_path, OFlag::O_PATH, nix::sys::stat::Mode::empty()).unwrap();
    assert!(is_pipe(&reader).unwrap() && !is_pipe(&one).unwrap());
    assert!(!is_pipe(&file).unwrap() && !is_pipe(&path).unwrap() && !is_pipe(&pipe_path).unwrap());
}
