use super::*;

use crate::target::name_key;

fn line(name: &str) -> String {
    format!("{:08x} {name}", name_key(name.as_bytes()))
}

fn read(text: &str) -> Vec<String> {
    let texts = Texts::of(text.into());
    let counts = |key: &Key| texts.of_key(*key).filter(|text| stands_for(text, *key)).collect::<Vec<_>>();
    let mut found: Vec<String> =
        texts.places.keys().flat_map(counts).map(|text| text.to_string_lossy().into_owned()).collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn only_names_of_their_key_count() {
    let build = line("build");
    for (text, names) in [
        (format!("{build}\n{}\n", line("test")), vec!["build", "test"]),
        (format!("{build}\n{build}\n"), vec!["build"]),
        // Without the last newline, and after torn lines.
        (build.clone(), vec!["build"]),
        (format!("{}{build}\n", line("test").split_at(11).0), vec!["build"]),
        (format!("{}{build}\n", &build[..5]), vec!["build"]),
        (format!("\0\n\n \n{build}\n\u{fffd}"), vec!["build"]),
        (build.replace("build", "bui\u{1b}"), vec![]),
        (build.replace("build", "builds"), vec![]),
        (build.to_uppercase().replace("BUILD", "build"), vec!["build"]),
        (format!("+{}", &build[1..]), vec![]),
        ("0badc0de 0x0badc0de".into(), vec![]),
        ("0badc0de private".into(), vec![]),
        ("0badc0de /build".into(), vec![]),
        ("0badc0de ftok:/nowhere".into(), vec![]),
        (String::new(), vec![]),
    ] {
        assert_eq!(read(&text), names, "{text:?}");
    }
}

#[test]
fn ftok_counts_while_it_gives_the_key() {
    let key = |text: &str| Target::parse(text.into()).unwrap().key().unwrap().unwrap();
    for text in ["ftok:/", "ftok:/:7", "ftok:/etc/passwd"] {
        assert_eq!(read(&format!("{:08x} {text}", key(text))), [text]);
        assert_eq!(read(&format!("{:08x} {text}", key(text) ^ 1)), Vec::<String>::new());
    }
    // A relative path would depend on the reader.
    assert_eq!(read(&format!("{:08x} ftok:.", key("ftok:."))), Vec::<String>::new());
}

#[test]
fn recorded_target_is_absolute() {
    let recorded = |text: &str| {
        let target = Target::parse(text.into()).unwrap();
        recorded(&target).map(|(key, name)| {
            assert_eq!(Some(key), target.key().unwrap());
            name.to_string_lossy().into_owned()
        })
    };
    assert_eq!(recorded("build"), Some("build".into()));
    assert_eq!(recorded("ftok:/"), Some("ftok:/".into()));
    assert_eq!(recorded("ftok:/:1"), Some("ftok:/".into()));
    assert_eq!(recorded("ftok:/:9"), Some("ftok:/:9".into()));
    let here = std::env::current_dir().unwrap();
    assert_eq!(recorded("ftok:."), Some(format!("ftok:{}", here.display())));
    for none in ["5", "0xab", "/build", "private", "ftok:/nowhere"] {
        assert_eq!(recorded(none), None, "{none}");
    }
}

/// No object has these keys, so the last lines are kept as far as there is room.
#[test]
fn compaction_keeps_the_last_names_once() {
    let names: Vec<String> = (0..2000).map(|n| line(&format!("unused-{}-{n}", std::process::id()))).collect();
    let text = format!("junk\n{}\n{}\n{}\n", names.join("\n"), names[1999], "0badc0de torn");
    let kept = compacted(text.as_bytes());
    let kept = String::from_utf8(kept).unwrap();
    let lines: Vec<&str> = kept.lines().collect();
    assert!(kept.len() <= KEPT && kept.len() > KEPT - 100, "{}", kept.len());
    assert_eq!(lines, names[2000 - lines.len()..]);
}

/// Bytes of any kind cause no panic, and names after them are found.
#[test]
fn any_bytes_are_read() {
    use proptest::prelude::*;
    let part = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..20),
        "[0-9a-f]{8} [a-z:/ ]{0,8}".prop_map(String::into_bytes),
        Just(b"\n".to_vec()),
    ];
    crate::fuzz::fuzz(2000, &proptest::collection::vec(part, 0..9), |parts| {
        let text = [parts.concat(), b"\n".to_vec(), line("build").into_bytes()].concat();
        let texts = Texts::of(text.clone());
        prop_assert!(texts.of_key(name_key(b"build")).any(|text| text == "build"));
        compacted(&text);
        Ok(())
    });
}
