//! Fresh login shells find the programs, pages and completions of an installation, in a home directory and in
//! `/usr/local`.

use std::fs;
use std::path::Path;

use super::{applets, binary, install};
use crate::completions::{BASH, FISH, PACKAGE, Shell, ZSH};
use crate::support::{Call, PROMPT, Terminal, World, skip};

const README: &str = include_str!("../../README.md");

/// The search path of a fresh user.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The line that fish needs for `/usr/local`.
const FISH_LINE: &str = "set -a fish_complete_path /usr/local/share/fish/vendor_completions.d";

/// Login shells: how each is started, and the file that it reads.
const SHELLS: [(Shell, &[&str], &str, &str); 3] = [
    (
        BASH,
        &["bash", "-l", "-i"],
        ".bash_profile",
        "PS1='ask> '
bind 'set bell-style none' 'set completion-query-items 0' 'set page-completions off'
",
    ),
    (
        ZSH,
        &["zsh", "-l", "-i"],
        ".zshrc",
        "PS1='ask> '
LISTMAX=0
bindkey -e
unsetopt beep prompt_cr prompt_sp list_ambiguous auto_menu
autoload -Uz compinit && compinit -u -D
",
    ),
    (
        FISH,
        &["fish", "-l", "-i"],
        ".config/fish/config.fish",
        "function fish_prompt; echo -n 'ask> '; end
function fish_greeting; end
set -g fish_autosuggestion_enabled 0
",
    ),
];

/// Writes the start-up file of each shell, with `first` lines before it, into the home of the world.
fn home(world: &World, first: impl Fn(&str) -> String) {
    // Otherwise fish parses every manual page of the system at its first start.
    for dir in [".local/share/fish/generated_completions", ".config/fish"] {
        fs::create_dir_all(world.dir().join(dir)).unwrap();
    }
    for (_, words, file, rest) in SHELLS {
        world.file(file, &format!("{}{rest}", first(words[0])));
    }
}

/// Starts a login shell by these words, and checks what it finds below `root`.
fn check(world: &World, shell: &Shell, words: &[&str], root: &Path) {
    if words.contains(&"bash") && !Path::new(PACKAGE).exists() {
        return skip("there is no bash-completion");
    }
    let home = world.dir().to_str().unwrap();
    let term = if shell.tab == "\t" { "xterm" } else { "dumb" };
    let env = [("PATH", PATH), ("ZDOTDIR", home), ("TERM", term), ("MANPAGER", "cat"), ("MANWIDTH", "80")];
    let Some(terminal) = Terminal::open(world, words, &env) else { return };
    for applet in applets(world) {
        terminal.types(&format!("command -v {applet}; {applet} --help | grep Usage; echo en''d\n"));
        terminal.says(&format!("{}/bin/{applet}\r\n", root.display()));
        terminal.says("Usage: ");
        terminal.says("end\r\n");
        terminal.says(PROMPT);
    }
    if !Call::new("sh").args(["-c", "command -v man"]).output().stdout.is_empty() {
        terminal.types("man sem; man 7 ipcbox-cookbook | head -n 1; echo en''d\n");
        terminal.says("IPCBOX-SEM(1)");
        terminal.says("IPCBOX-COOKBOOK(7)");
        terminal.says("end\r\n");
        terminal.says(PROMPT);
    }
    for (line, expected) in [
        ("sem ", "Wait until N callers have arrived, then return"),
        ("msgq ", "Print messages without taking them"),
        ("ipcs-lite --", "Run CMD, and report the objects it leaves behind"),
        ("ipcbox --", "Remove what --install-all has installed"),
    ] {
        shell.lists(&terminal, line, &[expected]);
    }
}

#[test]
fn login_shells_find_it_in_the_home_directory() {
    let world = World::new();
    let root = world.dir().join(".local");
    install(&world, &root);
    // The file that was downloaded is no longer needed.
    fs::remove_file(binary(&world)).unwrap();
    home(&world, |shell| match shell {
        "bash" => format!("PATH=~/.local/bin:$PATH\n[ ! -r {PACKAGE} ] || . {PACKAGE}\n"),
        "zsh" => "PATH=~/.local/bin:$PATH\nfpath=(~/.local/share/zsh/site-functions $fpath)\n".into(),
        _ => "set -x PATH ~/.local/bin $PATH\n".into(),
    });
    for (shell, words, ..) in SHELLS {
        check(&world, &shell, words, &root);
    }
}

#[test]
fn another_user_finds_it_in_usr_local() {
    let world = World::new();
    let Some(user) = world.stranger() else { return };
    home(&world, |shell| match shell {
        "bash" => format!("[ ! -r {PACKAGE} ] || . {PACKAGE}\n"),
        "fish" => format!("{FISH_LINE}\n"),
        _ => String::new(),
    });
    let user = user.to_string();
    Call::new("chown").arg("-R").arg(format!("{user}:{user}")).arg(world.dir()).ok();
    let script = "mount -t tmpfs -o mode=755 tmpfs /usr/local
        (umask 077; PATH=$PATH:/usr/local/bin XDG_DATA_DIRS= SHELL= \"$0\" --install-all /usr/local >/dev/null 2>messages)
        exec setpriv --reuid=\"$1\" --regid=\"$1\" --clear-groups \"$2\" \"$3\" \"$4\"";
    let program = binary(&world);
    let start = ["unshare", "--mount", "/bin/sh", "-euc", script, program.to_str().unwrap(), &user];
    if !Call::new("unshare").args(["--mount", "setpriv", "--clear-groups", "true"]).output().status.success() {
        return skip("needs setpriv and permission to create a mount namespace");
    }
    for (shell, words, ..) in SHELLS {
        check(&world, &shell, &[&start[..], words].concat(), Path::new("/usr/local"));
    }
    let messages = fs::read_to_string(world.dir().join("messages")).unwrap();
    if Path::new("/usr/bin/fish").exists() {
        assert!(messages.contains(&format!("hint: echo '{FISH_LINE}' >>/etc/fish/config.fish\n")), "{messages}");
    }
}

#[test]
fn line_of_the_readme_installs_everything() {
    let section = README.split("\n## Installation\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let block = section.split("```sh\n").nth(1).unwrap().split("\n```").next().unwrap();
    let options = block.strip_prefix("cargo run --release -- ").unwrap();
    assert!(!options.contains('\n'), "{options}");
    let world = World::new();
    let call = Call::new("/bin/sh").args(["-c", &format!("\"$0\" {options}")]).arg(binary(&world));
    let output = call.env("HOME", world.dir()).output();
    assert!(output.status.success(), "{output:?}");
    assert!(Call::new(world.dir().join(".local/bin/sem")).arg("--help").ok().contains("Usage: "));
}
