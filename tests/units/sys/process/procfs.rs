use super::*;

#[test]
fn any_process_name_is_parsed() {
    // Fields 3 to 9, 10 to 21, the start, 23 to 51, and the status.
    let tail = format!("S 7 8 9 0 -1 2097152{} 4711{} 10752", " 0".repeat(12), " 0".repeat(29));
    let stat = parse_stat(&format!("12 (a) R (b) {tail}\n")).unwrap();
    assert_eq!((&*stat.name, stat.state, stat.parent, stat.group), ("a) R (b", 'S', 7, 8));
    assert_eq!((stat.start, stat.exit_status), (4711, 42 << 8));
    assert!(stat.is_kernels());
    for short in ["", "12", "12 (a", "12 (a) S 7"] {
        assert_eq!(parse_stat(short), None, "{short}");
    }
}

#[test]
fn status_masks_are_hexadecimal() {
    let text = "Name:\tx\nTgid:\t5\nUid:\t1\t2\t3\t4\nSigQ:\t3/96365\nSigBlk:\t0000000000004002\n";
    let status = parse_status(text);
    assert_eq!((status.process, status.uid, status.blocked), (5, 1, Set(0x4002)));
    assert_eq!((status.queued, status.queue_limit), (3, 96365));
}
