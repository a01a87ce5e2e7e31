use super::*;

const ADDRESS: Address = Address { pid: 7, fd: 3, inode: 99 };

#[test]
fn request_is_read_back() {
    let bytes = request(ADDRESS, b"a\nb");
    assert_eq!(bytes, b"ipcbox-call-1 7 3 99\na\nb");
    let call = Request::Call(ADDRESS, &b"a\nb"[..]);
    assert_eq!(read(kind(ADDRESS), false, &bytes), call);
    assert_eq!(read(32767, true, &bytes), call);
    assert_eq!(read_head(head(42, 1 << 40)), (42, 1 << 40));
}

#[test]
fn plain_message_is_not_a_call() {
    let bytes = request(ADDRESS, b"x");
    for (number, is_posix) in [(1, false), (KIND - 1, false), (0, true), (32766, true)] {
        assert_eq!(read(number, is_posix, &bytes), Request::Plain);
    }
    for bytes in [
        &b""[..],
        b"x",
        b"ipcbox-call-1 7 3\n",
        b"ipcbox-call-1 7 3 9 9\n",
        b"ipcbox-call-1 -7 3 9\n",
        b"ipcbox-call-1 7 3 9",
    ] {
        assert_eq!(read(KIND, false, bytes), Request::Plain, "{bytes:?}");
    }
    assert!(is_reserved(32767, &bytes) && !is_reserved(32766, &bytes) && !is_reserved(32767, b"x"));
}

#[test]
fn any_message_is_plain_or_its_own_call() {
    use proptest::prelude::*;
    let payload = || proptest::collection::vec(any::<u8>(), 0..60);
    let address = (1..=i32::MAX, 0..=i32::MAX, any::<u64>());
    crate::fuzz::fuzz(2000, &(address, payload()), |((pid, fd, inode), payload)| {
        let address = Address { pid, fd, inode };
        let bytes = request(address, &payload);
        prop_assert_eq!(read(kind(address), false, &bytes), Request::Call(address, &payload));
        prop_assert!(kind(address) >= KIND);
        Ok(())
    });
    let near = ("(ipcbox-call-1 )?[-0-9 ]{0,30}\n?", payload(), any::<(i64, bool)>());
    crate::fuzz::fuzz(2000, &near, |(start, end, (number, is_posix))| {
        let bytes = [start.as_bytes(), &end].concat();
        if let Request::Call(address, payload) = read(number, is_posix, &bytes) {
            prop_assert!(address.pid > 0 && address.fd >= 0 && bytes.ends_with(payload));
        }
        Ok(())
    });
    crate::fuzz::fuzz(2000, &any::<(u8, u64)>(), |(status, length)| {
        prop_assert_eq!(read_head(head(status, length)), (status, length));
        Ok(())
    });
}
