use super::*;

#[test]
fn line_of_the_table_is_read() {
    let listed = |waits, mode, pid, first| Listed { waits, mode, pid, first };
    for (line, file, expected) in [
        ("1: POSIX  ADVISORY  WRITE 812 08:01:77 16 17", "08:01:77", listed(false, Mode::Exclusive, Some(812), 16)),
        ("2: OFDLCK ADVISORY  READ -1 00:1b:9 4 EOF", "00:1b:9", listed(false, Mode::Shared, None, 4)),
        ("2:    -> OFDLCK ADVISORY  WRITE -1 00:1b:9 4 5", "00:1b:9", listed(true, Mode::Exclusive, None, 4)),
        ("3: POSIX  ADVISORY  WRITE 0 00:1b:9 4 5", "00:1b:9", listed(false, Mode::Exclusive, None, 4)),
    ] {
        assert_eq!(listed_in(line), Some((file, expected)), "{line}");
    }
    for line in ["", "1:", "1: FLOCK  ADVISORY  WRITE 812 08:01:77 0 EOF", "1: POSIX ADVISORY WRITE 8 08:01:77 x 5"] {
        assert_eq!(listed_in(line), None, "{line}");
    }
}
