//! The plan of the crate (see its documentation), checked in the source.

mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

/// The files that may contain `unsafe`. The module documentation of each has the reason.
const MAY_BE_UNSAFE: &[&str] = &[
    "main.rs",
    "sys/child/mod.rs",
    "sys/child/reaper.rs",
    "sys/exec.rs",
    "sys/fds.rs",
    "sys/fifo.rs",
    "sys/futex.rs",
    "sys/glob.rs",
    "sys/holder/mod.rs",
    "sys/init.rs",
    "sys/interrupt.rs",
    "sys/local.rs",
    "sys/mapping.rs",
    "sys/pipe.rs",
    "sys/posix/mq.rs",
    "sys/posix/sem.rs",
    "sys/posix/shm.rs",
    "sys/process/mod.rs",
    "sys/process/wait_status.rs",
    "sys/regular.rs",
    "sys/signal/mod.rs",
    "sys/signal/signalfd.rs",
    "sys/socket/mod.rs",
    "sys/socket/owners.rs",
    "sys/socket/pass.rs",
    "sys/sysv/mod.rs",
    "sys/sysv/msg.rs",
    "sys/sysv/sem/mod.rs",
    "sys/sysv/sem/stops.rs",
    "sys/sysv/shm.rs",
    "sys/terminal.rs",
    "sys/written.rs",
];

/// Modules of the crate and their floors: each uses only lower floors, or itself.
const FLOORS: &[(&str, u8)] = &[
    ("main", 10),
    ("lib", 10),
    ("build", 10),
    ("dispatch", 9),
    ("applets", 8),
    ("supervise", 7),
    ("objects", 6),
    ("semset", 5),
    ("fileset", 5),
    ("output", 4),
    ("args", 3),
    ("target", 3),
    ("exit", 2),
    ("text", 1),
    ("sys", 0),
];

/// Returns the files below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
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
    let mut found = Vec::new();
    walk(dir, &mut found);
    found
}

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let name = |path: &PathBuf| path.strip_prefix(&root).unwrap().display().to_string();
    files(&root).iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// Returns the lines that are not comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.starts_with("//"))
}

fn floor(name: &str) -> Option<u8> {
    FLOORS.iter().find(|(module, _)| *module == name).map(|(_, floor)| *floor)
}

#[test]
fn import_goes_down_the_floors() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let own = file.split(['/', '.']).next().unwrap();
        let own_floor = floor(own).unwrap_or_else(|| panic!("{file} has no floor"));
        for line in code(&text) {
            for used in line.split("crate::").skip(1) {
                let module = used.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
                if module != own && floor(module).is_some_and(|floor| floor >= own_floor) {
                    wrong.push(format!("{file}: {line}"));
                }
            }
        }
        let head = text.lines().next().unwrap_or_default();
        let given = head.strip_prefix("//! Floor ").and_then(|rest| rest.split(':').next()?.parse().ok());
        let is_head = Path::new(&file).components().count() == 1 || file == format!("{own}/mod.rs");
        if own_floor < 10 && is_head && given != Some(own_floor) {
            wrong.push(format!("{file} begins with no \"//! Floor {own_floor}:\""));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The path of a module, without `::`.
type Names = Vec<String>;

/// Returns the module of a file: `sys::signal` for `sys/signal/mod.rs`.
fn module(file: &str) -> Names {
    let mut names: Names = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    names.pop_if(|last| ["mod", "lib", "main"].contains(&last.as_str()));
    names
}

/// Splits a text into words and signs; `::` is one sign.
fn tokens(text: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            first if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            _ if rest.starts_with("::") => 2,
            first => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        found.push(token);
        rest = after.trim_start();
    }
    found
}

/// Adds the paths that start with `path` and continue with these tokens: one, or one for each in braces.
fn paths(tokens: &mut Peekable<IntoIter<&str>>, mut path: Names, found: &mut BTreeSet<Names>) {
    while let Some(token) = tokens.next_if(|token| !["}", ","].contains(token)) {
        match token {
            "{" => {
                while tokens.next_if_eq(&"}").is_none() && tokens.peek().is_some() {
                    paths(tokens, path.clone(), found);
                    tokens.next_if_eq(&",");
                }
                return;
            }
            "super" => drop(path.pop()),
            "self" => {}
            name => path.push(name.to_owned()),
        }
        if tokens.next_if_eq(&"::").is_none() {
            break;
        }
    }
    found.insert(path);
}

/// Returns what a file imports by `crate::` and `super::`, except in its tests.
fn imports(file: &str, text: &str) -> BTreeSet<Names> {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let text = code(text).collect::<Vec<_>>().join("\n");
    let mut tokens = tokens(&text).into_iter().peekable();
    let mut above = module(file);
    above.pop();
    let mut found = BTreeSet::new();
    while let Some(token) = tokens.next() {
        let base = match token {
            "crate" => Vec::new(),
            "super" => above.clone(),
            _ => continue,
        };
        if tokens.next_if_eq(&"::").is_some() {
            paths(&mut tokens, base, &mut found);
        }
    }
    found
}

/// Two files are compared at the first difference of their paths: if `sys/wait.rs` imports `sys/signal/mod.rs`, the
/// edge is from `sys::wait` to `sys::signal`. The `mod.rs` of a folder and its other files may therefore use each
/// other, but the parts of a folder must be in an order, and so must folders beside each other.
#[test]
fn imports_make_no_circle() {
    let sources = sources();
    let modules: BTreeSet<Names> = sources.iter().map(|(file, _)| module(file)).collect();
    let mut edges: BTreeMap<(Names, Names), Vec<String>> = BTreeMap::new();
    for (file, text) in &sources {
        let own = module(file);
        for mut used in imports(file, text) {
            while !modules.contains(&used) {
                used.pop();
            }
            let common = own.iter().zip(&used).take_while(|(own, used)| own == used).count();
            if common < own.len().min(used.len()) {
                let [from, to] = [&own, &used].map(|path| path[..=common].to_vec());
                edges.entry((from, to)).or_default().push(format!("{file} uses {}", used.join("::")));
            }
        }
    }
    assert!(edges.len() > 100, "imports are found");
    // A module that uses nothing, or is used by nothing, is in no circle.
    loop {
        let ends: [BTreeSet<Names>; 2] =
            [edges.keys().map(|(from, _)| from.clone()).collect(), edges.keys().map(|(_, to)| to.clone()).collect()];
        let before = edges.len();
        edges.retain(|(from, to), _| ends[0].contains(to) && ends[1].contains(from));
        if edges.len() == before {
            break;
        }
    }
    assert!(edges.is_empty(), "{:#?}", edges.values().collect::<Vec<_>>());
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
                // Capitals are the types that all applets share.
                let is_applet = module.starts_with(|c: char| c.is_lowercase());
                if is_applet && module != own {
                    wrong.push(format!("{file}: {line}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// `sem get` is `Get` in `applets/sem/get.rs`. An applet without verbs is its `mod.rs`.
#[test]
fn file_struct_and_verb_share_one_name() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let &["applets", applet, verb] = &file.trim_end_matches(".rs").split('/').collect::<Vec<_>>()[..] else {
            if file.split('/').count() > 3 && text.contains("\nimpl Verb for ") {
                wrong.push(format!("{file} is beneath its applet's folder"));
            }
            continue;
        };
        if applet.ends_with("_lite") || verb == "mod" {
            continue;
        }
        let name = verb[..1].to_uppercase() + &verb[1..];
        if !text.contains(&format!("\nimpl Verb for {name} {{\n    const NAME: &'static str = \"{verb}\";\n")) {
            wrong.push(format!("{file} is no verb {verb} whose struct is {name}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Above `sys`; the struct of a verb has the same name in each applet.
#[test]
fn one_word_names_one_type() {
    let mut types: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, text) in sources().iter().filter(|(file, _)| !file.starts_with("sys/")) {
        for line in text.split("#[cfg(test)]\nmod tests").next().unwrap().lines() {
            let line = line.trim_start_matches("pub ").trim_start_matches("pub(super) ");
            let kinds = ["struct ", "enum ", "trait ", "type "];
            let Some(rest) = kinds.iter().find_map(|kind| line.strip_prefix(kind)) else { continue };
            let name = tokens(rest)[0];
            let is_verb = text.contains(&format!("\nimpl Verb for {name} {{"));
            types.entry(name.to_owned()).or_default().insert(if is_verb { "a verb".into() } else { file.clone() });
        }
    }
    types.retain(|_, places| places.len() > 1);
    assert!(types.is_empty(), "{types:#?}");
}

/// There is one way to start a child, to reap it, to wait and to move bytes.
#[test]
fn machine_is_built_once() {
    for (mark, place) in [
        ("unistd::fork()", "sys/child/mod.rs"),
        ("libc::waitid(", "sys/child/reaper.rs"),
        ("libc::wait4(", "sys/child/reaper.rs"),
        ("ppoll(", "sys/wait.rs"),
        ("fn retry", "sys/interrupt.rs"),
        (" splice(", "sys/transfer.rs"),
        ("struct Supervisor", "supervise/mod.rs"),
    ] {
        let has = |(file, text): (String, String)| vec![file; code(&text).filter(|line| line.contains(mark)).count()];
        let found: Vec<String> = sources().into_iter().flat_map(has).collect();
        assert_eq!(found, [place], "{mark}");
    }
}

#[test]
fn unsafe_is_only_in_listed_files() {
    let marks = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "#[unsafe(", "allow(unsafe_code)"];
    let mut files: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| code(text).any(|line| marks.iter().any(|mark| line.contains(mark))))
        .map(|(file, _)| file)
        .collect();
    files.sort();
    assert_eq!(files, MAY_BE_UNSAFE);
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

/// A flag for one linker or one LLVM breaks the build with another.
#[test]
fn build_flags_suit_every_linker() {
    let config = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.cargo/config.toml")).unwrap();
    let flags = config.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<String>();
    assert!(flags.contains("+crt-static") && flags.contains("relocation-model=static"), "{flags}");
    for word in ["link-arg", "llvm-args", "linker", "-Z"] {
        assert!(!flags.contains(word), "{word}: {flags}");
    }
}
