use super::*;

#[test]
fn what_does_not_fit_is_left_out() {
    let (amount, size) = (512 << 20, Some(1 << 30));
    let progress = Progress { amount, size, elapsed: Duration::from_secs(65), rate: 1e6, lines: false };
    let wide = line(Some("é日"), &progress, 79);
    assert!(wide.starts_with("é日: 512MiB 1:05 977KiB/s (7.88MiB/s mean) 50% ETA 1:05 ["), "{wide}");
    assert!(width(&wide) <= 79 && wide.ends_with(']'));
    assert_eq!(line(Some("é日"), &progress, 19), "512MiB 977KiB/s 50%");
    assert_eq!(line(None, &progress, 10), "512MiB 50%");
    assert_eq!(line(None, &progress, 1), "512MiB");
    for columns in 8..120 {
        assert!(width(&line(Some("日本"), &progress, columns)) <= columns);
    }
    let unknown = Progress { size: None, ..progress };
    assert_eq!(line(None, &unknown, 79), "512MiB 1:05 977KiB/s (7.88MiB/s mean)");
    let hostile = line(Some("\x1b[2J\n"), &unknown, 79);
    assert!(!hostile.contains('\x1b') && !hostile.contains('\n'));
}

#[test]
fn amounts_and_times() {
    assert_eq!((bytes(0), bytes(999)), ("0B".into(), "999B".into()));
    assert_eq!((bytes(1000), bytes(1 << 20)), ("0.98KiB".into(), "1.00MiB".into()));
    assert!(bytes(u64::MAX).ends_with("EiB"));
    assert_eq!((clock(Duration::from_secs(59)), clock(Duration::from_secs(3661))), ("0:59".into(), "1:01:01".into()));
}
