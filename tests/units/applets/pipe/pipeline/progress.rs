use super::*;

const ASCII: Style = Style { blocks: false, color: false };
const BLOCKS: Style = Style { blocks: true, color: false };

fn half() -> Progress {
    let (bytes, size) = (512 << 20, Some(1 << 30));
    Progress { bytes, lines: None, size, elapsed: Duration::from_secs(65), rate: 1e6, done: false }
}

fn text(name: Option<&str>, progress: &Progress, columns: usize) -> String {
    line(name, progress, ASCII, columns).text.trim_end().to_owned()
}

#[test]
fn parts_are_dropped_mean_rate_first() {
    let half = half();
    assert_eq!(
        text(Some("é日"), &half, 79),
        "é日:  512MiB     1:05  977KiB/s (7.88MiB/s mean)  50% [#####     ] ETA 1:05",
    );
    assert_eq!(text(None, &half, 79), " 512MiB     1:05  977KiB/s (7.88MiB/s mean)  50% [#######        ] ETA 1:05");
    assert_eq!(text(None, &half, 59), " 512MiB     1:05  977KiB/s  50% [######      ] ETA 1:05");
    assert_eq!(text(None, &half, 46), " 512MiB  977KiB/s  50% [####    ] ETA 1:05");
    assert_eq!(text(Some("é日"), &half, 42), "é日:  512MiB  50% [####     ] ETA 1:05");
    assert_eq!(text(Some("é日"), &half, 39), " 512MiB  50% [#####      ] ETA 1:05");
    assert_eq!(text(None, &half, 30), " 512MiB  50% [#######        ]");
    assert_eq!(text(None, &half, 19), " 512MiB  50% [##  ]");
    assert_eq!(text(None, &half, 14), " 512MiB  50%");
    assert_eq!(text(None, &half, 10), " 512MiB");
    let unknown = Progress { size: None, ..half };
    assert_eq!(text(None, &unknown, 79), " 512MiB     1:05  977KiB/s (7.88MiB/s mean)");
    assert_eq!(text(None, &unknown, 30), " 512MiB     1:05  977KiB/s");
}

#[test]
fn width_is_that_of_the_text_without_colour() {
    for columns in 8..150 {
        for name in [None, Some("日本"), Some("a name of thirty columns here")] {
            let plain = line(name, &half(), BLOCKS, columns);
            assert_eq!(plain.width, width(&plain.text), "{plain:?}");
            assert!(plain.width <= columns, "{columns} {plain:?}");
            let painted = line(name, &half(), Style { color: true, ..BLOCKS }, columns);
            assert_eq!(painted.width, plain.width);
            let bare = painted.text.replace("\u{1b}[36m", "").replace("\u{1b}[39m", "");
            assert_eq!(bare, plain.text);
        }
    }
}

#[test]
fn bar_starts_at_one_column_whatever_the_numbers() {
    let sizes = [1, 999, 1 << 20, 3 << 40, u64::MAX];
    let times = [0, 59, 3600, 359_999, 360_000, 40_000_000].map(Duration::from_secs);
    for columns in [20, 40, 80, 120, 300] {
        for is_lines in [false, true] {
            let mut places = Vec::new();
            for (size, elapsed) in sizes.into_iter().flat_map(|size| times.map(|time| (size, time))) {
                for (bytes, done) in [(0, false), (size / 3, false), (size, true)] {
                    let lines = is_lines.then_some(bytes);
                    let rate = Duration::from_secs(1).max(elapsed).as_secs_f64().recip() * 1e18;
                    let progress = Progress { bytes, lines, size: Some(size), elapsed, rate, done };
                    let line = line(Some("x"), &progress, BLOCKS, columns - 1);
                    let before = |end| line.text.find(end).map(|at| width(&line.text[..at]));
                    places.push((before('['), before(']')));
                }
            }
            assert!(places.iter().all(|place| *place == places[0]), "{columns} {places:?}");
            assert!(is_lines || places[0].0.is_some());
        }
    }
}

#[test]
fn final_line_has_no_eta() {
    let done = Progress { bytes: 1 << 30, done: true, ..half() };
    assert_eq!((done.eta(), half().eta()), (None, Some(Duration::from_secs(65))));
    assert!(!text(None, &done, 79).contains("ETA"));
    let begun = Progress { bytes: 0, ..half() };
    assert!(text(None, &begun, 79).ends_with(" ETA -"));
}

#[test]
fn blocks_show_eighths_of_a_cell() {
    let shown = |bytes, style| {
        let progress = Progress { bytes, size: Some(32), ..half() };
        bar(&progress, style, 4).unwrap().text
    };
    for (bytes, blocks, ascii) in [
        (0, "[    ]", "[    ]"),
        (1, "[▏   ]", "[    ]"),
        (9, "[█▏  ]", "[#   ]"),
        (23, "[██▉ ]", "[##  ]"),
        (32, "[████]", "[####]"),
        (99, "[████]", "[####]"),
    ] {
        assert_eq!((shown(bytes, BLOCKS), shown(bytes, ASCII)), (blocks.into(), ascii.into()));
    }
    assert_eq!(shown(8, Style { color: true, ..BLOCKS }), "[\u{1b}[36m█\u{1b}[39m   ]");
    assert_eq!(shown(0, Style { color: true, ..BLOCKS }), "[    ]");
}

#[test]
fn locale_is_read_as_setlocale_does() {
    for (all, ctype, lang, expected) in [
        ("", "", "", false),
        ("", "", "en_US.UTF-8", true),
        ("", "C", "en_US.UTF-8", false),
        ("C.utf8", "C", "C", true),
        ("POSIX", "C.UTF-8", "C.UTF-8", false),
        ("de_DE.UTF-8@euro", "", "", true),
        ("de_DE@euro", "", "", false),
        ("en_US", "", "", false),
        ("en_US.ISO-8859-1", "", "", false),
    ] {
        let get = |name: &str| {
            let value = match name {
                "LC_ALL" => all,
                "LC_CTYPE" => ctype,
                _ => lang,
            };
            Some(OsString::from(value))
        };
        assert_eq!(is_utf8(get), expected, "{all} {ctype} {lang}");
    }
    assert!(!is_utf8(|_| None));
}

#[test]
fn name_cannot_drive_the_terminal() {
    let hostile = text(Some("\x1b[2J\n"), &half(), 79);
    assert!(!hostile.contains('\x1b') && !hostile.contains('\n'));
}

#[test]
fn numbers_have_at_most_their_columns() {
    assert_eq!((bytes(0), bytes(999)), ("0B".into(), "999B".into()));
    assert_eq!((bytes(1000), bytes(1 << 20)), ("0.98KiB".into(), "1.00MiB".into()));
    assert_eq!((short(99_999, 5), short(100_000, 5)), ("99999".into(), "100k".into()));
    assert_eq!((short(999_999_999, 9), short(1_000_000_000, 9)), ("999999999".into(), "1.00G".into()));
    assert_eq!(short(999_600, 5), "1.00M");
    for shift in 0..64 {
        let count = u64::MAX >> shift;
        assert!(bytes(count).len() <= 7 && short(count, 5).len() <= 5, "{count}");
    }
    let clock = |seconds| clock(Duration::from_secs(seconds));
    assert_eq!((clock(59), clock(3661), clock(359_999)), ("0:59".into(), "1:01:01".into(), "99:59:59".into()));
    assert_eq!(clock(360_000), "4d04h");
}
