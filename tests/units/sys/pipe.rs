use nix::unistd::{read, write};

use super::*;

#[test]
fn teed_bytes_stay_in_the_pipe() {
    let (from, there) = new().unwrap();
    let (read_copy, copy) = new().unwrap();
    assert_eq!(tee(&from, &copy, 10), Err(Errno::EAGAIN));
    write(&there, b"abc").unwrap();
    assert_eq!(tee(&from, &copy, 10), Ok(3));
    assert_eq!((unread(&from), unread(&there)), (Ok(3), Ok(3)));
    let mut bytes = [0; 9];
    assert_eq!(read(&read_copy, &mut bytes), Ok(3));
    assert_eq!(&bytes[..3], b"abc");
    assert_eq!((is_left(&from), has_bytes(&from)), (Ok(false), Ok(true)));
    drop(there);
    assert_eq!((is_left(&from), has_bytes(&from)), (Ok(true), Ok(true)));
    assert_eq!(read(&from, &mut bytes), Ok(3));
    assert_eq!((is_left(&from), has_bytes(&from)), (Ok(true), Ok(false)));
}

#[test]
fn pipe_grows_in_powers_of_two_until_full() {
    let (_read, there) = new().unwrap();
    assert_eq!(set_capacity(&there, 5000), Ok(8192));
    assert_eq!(capacity(&there), Ok(8192));
    assert_eq!(is_full(&there), Ok(false));
    assert_eq!(write(&there, &[0; 9000]), Ok(8192));
    assert_eq!(is_full(&there), Ok(true));
    assert_eq!(set_capacity(&there, 4096), Err(Errno::EBUSY));
}
