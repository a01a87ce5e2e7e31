//! The committed files that are rendered from the tables of the library: compared with them, or written by
//! `BLESS=1 cargo test generated`.

mod completions;
mod demo;
mod man;
mod prose;
mod roff;
mod verb;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

pub use man::prose;
pub use prose::Block;

/// Texts by their path below a directory of the repository.
type Rendered = BTreeMap<String, String>;

/// Compares the rendered texts with the files in `dir` of the repository, and `links` with the targets of its links. If
/// `BLESS` is set, writes them and removes the others.
fn committed(dir: &str, rendered: &Rendered, links: &Rendered) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let bless = std::env::var_os("BLESS").is_some_and(|value| !value.is_empty());
    let mut wrong = Vec::new();
    for (name, text) in rendered {
        let path = dir.join(name);
        let there = fs::read_to_string(&path).unwrap_or_default();
        if there == *text {
            continue;
        }
        if bless {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
        } else {
            let differs = |(a, b): &(&str, &str)| a != b;
            let pairs = there.lines().chain([""]).zip(text.lines().chain([""]));
            let line = pairs.enumerate().find(|(_, pair)| differs(pair));
            wrong.push(format!("{}: the line, and the expected one: {line:?}", path.display()));
        }
    }
    for (name, target) in links {
        let path = dir.join(name);
        if fs::read_link(&path).is_ok_and(|there| there == Path::new(target)) {
            continue;
        }
        if bless {
            let _ = fs::remove_file(&path);
            symlink(target, &path).unwrap();
        } else {
            wrong.push(format!("{}: no link to {target}", path.display()));
        }
    }
    for path in files(&dir) {
        let name = path.strip_prefix(&dir).unwrap().to_str().unwrap();
        if rendered.contains_key(name) || links.contains_key(name) {
            continue;
        }
        if bless {
            fs::remove_file(&path).unwrap();
        } else {
            wrong.push(format!("{}: nothing renders it", path.display()));
        }
    }
    assert!(wrong.is_empty(), "BLESS=1 cargo test generated corrects this:\n{}", wrong.join("\n"));
}

/// Returns the files of a directory, without its subdirectories; none if the directory is missing.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).collect()
}
