//! The plan of the house (see the crate's documentation), kept by reading the source.

use std::fs;
use std::path::{Path, PathBuf};

/// The files that may hold `unsafe`, each with the reason that its module documentation argues.
const MAY_BE_UNSAFE: &[&str] = &[
    "main.rs",
    "sys/interrupt.rs",
    "sys/child/mod.rs",
    "sys/child/reaper.rs",
    "sys/exec.rs",
    "sys/fds.rs",
    "sys/fifo.rs",
    "sys/futex.rs",
    "sys/holder/mod.rs",
    "sys/init.rs",
    "sys/local.rs",
    "sys/reply_pipe.rs",
    "sys/mapping.rs",
    "sys/pipe.rs",
    "sys/posix/mq.rs",
    "sys/posix/sem.rs",
    "sys/posix/shm.rs",
    "sys/process/mod.rs",
    "sys/process/wait_status.rs",
    "sys/signal/mod.rs",
    "sys/signal/signalfd.rs",
    "sys/sysv/msg.rs",
    "sys/sysv/sem/mod.rs",
    "sys/sysv/sem/stops.rs",
    "sys/sysv/shm.rs",
    "sys/terminal.rs",
    "sys/written.rs",
];

/// Modules of the crate and their floors.
const FLOORS: &[(&str, u8)] = &[
    ("dispatch", 4),
    ("applets", 3),
    ("args", 2),
    ("exit", 2),
    ("objects", 2),
    ("output", 2),
    ("semset", 2),
    ("supervise", 2),
    ("target", 2),
    ("text", 2),
    ("sys", 1),
];

fn sources() -> Vec<(String, String)> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    let name = |path: &PathBuf| path.strip_prefix(&root).unwrap().display().to_string();
    paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// The lines that are code: no comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.starts_with("//"))
}

fn floor(name: &str) -> Option<u8> {
    FLOORS.iter().find(|(module, _)| *module == name).map(|(_, floor)| *floor)
}

#[test]
fn nobody_uses_a_floor_above() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let own = file.split(['/', '.']).next().unwrap();
        let Some(own_floor) = floor(own) else { continue };
        for line in code(&text) {
            for used in line.split("crate::").skip(1) {
                let module = used.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
                if floor(module).is_some_and(|floor| floor > own_floor) {
                    wrong.push(format!("{file}: {line}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn applets_do_not_import_each_other() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let Some(own) = file.strip_prefix("applets/") else { continue };
        let own = own.split(['/', '.']).next().unwrap();
        for line in code(&text).filter(|_| own != "mod") {
            for used in line.split("crate::applets::").skip(1) {
                let module = used.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
                // Capitals are the shape that all share.
                let is_applet = module.starts_with(|c: char| c.is_lowercase());
                if is_applet && module != own {
                    wrong.push(format!("{file}: {line}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn unsafe_is_where_it_may_be() {
    let marks = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "#[unsafe(", "allow(unsafe_code)"];
    let files: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| code(text).any(|line| marks.iter().any(|mark| line.contains(mark))))
        .map(|(file, _)| file)
        .filter(|file| !MAY_BE_UNSAFE.contains(&file.as_str()))
        .collect();
    assert!(files.is_empty(), "unsafe in {files:?}");
}

#[test]
fn libc_and_standard_streams_stay_below() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let low = file.starts_with("sys/") || file == "main.rs";
        for line in code(&text) {
            let libc = line.contains("libc::") && !low;
            let prints = ["println!", "print!(", "eprint", "process::exit"];
            if libc || prints.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{file}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A flag for one linker or one LLVM breaks the build of whoever has another.
#[test]
fn build_flags_suit_every_linker() {
    let config = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.cargo/config.toml")).unwrap();
    let flags = config.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<String>();
    assert!(flags.contains("+crt-static") && flags.contains("relocation-model=static"), "{flags}");
    for word in ["link-arg", "llvm-args", "linker", "-Z"] {
        assert!(!flags.contains(word), "{word}: {flags}");
    }
}
