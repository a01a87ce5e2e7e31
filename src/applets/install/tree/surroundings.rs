//! What other programs and shells find: names in PATH that a link hides, and the search paths that lack an installation.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf, absolute};

use super::{BASH, BIN, FISH, PROGRAM, ZSH, is_same_file};
use crate::output;
use crate::sys::exec;
use crate::text::quote;

/// The package without which bash does not search for completions.
const BASH_COMPLETION: [&str; 2] = ["/usr/share/bash-completion/bash_completion", "/etc/bash_completion"];

/// Reports the programs in PATH that have the names of links in `bin`, and which of the two the shell finds.
pub fn report_hidden<'a>(bin: &Path, links: impl Iterator<Item = &'a str>) {
    let dirs = search_path("PATH", "/bin:/usr/bin");
    let whole = absolute(bin).unwrap_or_else(|_| bin.to_owned());
    // The directory may not exist yet.
    let own = dirs.iter().position(|dir| *dir == whole || is_same_file(dir, bin));
    let mut is_first = true;
    for name in links {
        let elsewhere = dirs.iter().enumerate().filter(|(at, _)| Some(*at) != own);
        let mut others = elsewhere.map(|(at, dir)| (at, dir.join(name))).filter(|(_, file)| is_another(file));
        let Some((at, other)) = others.next() else { continue };
        let (link, other) = (bin.join(name), other.display());
        let link = link.display();
        output::warn(match own {
            Some(own) if own < at => format!("{link} hides {other}, whose directory comes later in PATH"),
            Some(_) => format!("{other} hides {link}, whose directory comes later in PATH"),
            None => format!("if you put the directory of {link} first in PATH, {link} hides {other}"),
        });
        if std::mem::take(&mut is_first) {
            output::hint("add --prefix ipc- to choose other names");
        }
    }
}

/// Whether a file is a program, but not ipcbox.
fn is_another(file: &Path) -> bool {
    let is_ipcbox =
        |target: PathBuf| target.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PROGRAM));
    exec::find(file.as_os_str()).is_ok() && !fs::canonicalize(file).is_ok_and(is_ipcbox)
}

/// Reports the search paths that lack the directories of an installation.
pub fn report_lacking(root: &Path) {
    let root = absolute(root).unwrap_or_else(|_| root.to_owned());
    let lacks = |variable: &str, usual: &str, dir: &Path| {
        let dirs = search_path(variable, usual);
        !dirs.iter().any(|there| there == dir || is_same_file(there, dir))
    };
    let shell = env::var_os("SHELL").unwrap_or_default();
    let shell = Path::new(&shell).file_name().and_then(OsStr::to_str).unwrap_or_default();
    let login_file = match shell {
        "zsh" => "~/.zprofile",
        "fish" => "~/.config/fish/config.fish",
        _ => "~/.profile",
    };
    let report = |variable: &str, dir: &Path, usual: &str, effect: &str| {
        output::warn(format!("{variable} lacks {}: {effect}", dir.display()));
        let dir = quote(&dir.to_string_lossy());
        if shell == "fish" && variable == "PATH" {
            return output::hint(format!("fish_add_path {dir}"));
        }
        let is_set = env::var_os(variable).is_some_and(|value| !value.is_empty());
        // fish has no default values.
        let rest = match usual {
            "" => format!("${variable}"),
            _ if shell != "fish" => format!("${{{variable}:-{usual}}}"),
            _ if is_set => format!("${variable}"),
            _ => usual.to_owned(),
        };
        output::hint(format!("export {variable}={dir}:\"{rest}\"  # in {login_file}"));
    };
    let (bin, share) = (root.join(BIN), root.join("share"));
    if lacks("PATH", "/bin:/usr/bin", &bin) {
        report("PATH", &bin, "", "the shell will not find the ipcbox commands");
    }
    // An empty part stands for the directories that man(1) derives from PATH.
    let man = root.join("share/man");
    if lacks("MANPATH", "", &man) && lacks("MANPATH", "", Path::new("")) {
        report("MANPATH", &man, "", "man will not find the ipcbox pages");
    }
    // bash and fish search these for completions. Without the variable, fish searches only below its own prefix.
    let usual = "/usr/local/share:/usr/share";
    let home = env::var_os("HOME").map(|home| Path::new(&home).join(".local/share")).unwrap_or_default();
    let is_of_user = !lacks("XDG_DATA_HOME", &home.to_string_lossy(), &share);
    let fish =
        exec::find("fish".as_ref()).ok().and_then(|fish| fs::canonicalize(OsStr::from_bytes(fish.to_bytes())).ok());
    let is_of_fish = |fish: &PathBuf| fish.ancestors().nth(2) == Some(&root);
    if !is_of_user && lacks("XDG_DATA_DIRS", usual, &share) {
        report("XDG_DATA_DIRS", &share, usual, "bash and fish will not find the ipcbox completions");
    } else if !is_of_user && lacks("XDG_DATA_DIRS", "", &share) && fish.is_some_and(|fish| !is_of_fish(&fish)) {
        let dir = root.join(FISH);
        output::warn(format!("fish searches {} only if fish_complete_path contains it", dir.display()));
        let dir = quote(&dir.to_string_lossy());
        let line = quote(&format!("set -a fish_complete_path {dir}"));
        output::hint(format!("echo {line} >>/etc/fish/config.fish"));
    }
    let is_of_system = ["/usr", "/usr/local"].iter().any(|prefix| root == Path::new(prefix));
    let functions = root.join(ZSH);
    if shell == "zsh" && !is_of_system && lacks("FPATH", "", &functions) {
        output::warn(format!("zsh searches {} only if fpath contains it", functions.display()));
        let dir = quote(&functions.to_string_lossy());
        output::hint(format!("add fpath=({dir} $fpath) to ~/.zshrc, before compinit"));
    }
    if shell == "bash" && !BASH_COMPLETION.iter().any(|file| Path::new(file).exists()) {
        let file = root.join(BASH).join("ipcbox.bash");
        output::warn("bash loads completions only if the package bash-completion is installed");
        let line = quote(&format!(". {}", quote(&file.to_string_lossy())));
        output::hint(format!("echo {line} >>~/.bashrc"));
    }
}

/// Returns the directories in a variable.
fn search_path(variable: &str, usual: &str) -> Vec<PathBuf> {
    let dirs = env::var_os(variable).filter(|dirs| !dirs.is_empty()).unwrap_or_else(|| usual.into());
    env::split_paths(&dirs).collect()
}
