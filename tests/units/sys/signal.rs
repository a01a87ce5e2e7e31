use super::*;

#[test]
fn set_has_kernel_layout() {
    let set: Set = [Signal::INT, Signal::TERM].into_iter().collect();
    assert_eq!(set, Set(0x4002));
    assert_eq!(set.iter().collect::<Vec<_>>(), [Signal::INT, Signal::TERM]);
    assert_eq!(Set::ALL.iter().count(), 64);
    assert_eq!(Set(1 << 63).iter().next().map(Signal::number), Some(64));
    assert!(Signal::new(0).is_none() && Signal::new(65).is_none());
}

#[test]
fn queued_siginfo_matches_c_library() {
    let words = queued(34, -7);
    // SAFETY: a siginfo is 128 bytes of plain integers.
    let info: libc::siginfo_t = unsafe { std::mem::transmute_copy(&words) };
    assert_eq!((info.si_signo, info.si_code), (34, libc::SI_QUEUE));
    // SAFETY: with this code the union has a pid.
    assert_eq!(unsafe { info.si_pid() }, getpid().as_raw());
    // SAFETY: with this code the union has a value.
    assert_eq!(unsafe { info.si_value() }.sival_ptr as i32, -7);
}
