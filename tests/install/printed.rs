//! `ipcbox --man` and `ipcbox --completions`.

use std::fs;
use std::path::Path;

use crate::support::{BINARY, Call, PROMPT, Terminal, World, lines, skip};

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// Returns the pages of the repository: the name, its path and its source.
fn pages() -> Vec<(String, String, String)> {
    let entries = fs::read_dir(Path::new(REPOSITORY).join("man")).unwrap().map(|entry| entry.unwrap().path());
    let pages = entries.filter_map(|path| {
        let name = path.file_name()?.to_str()?.to_owned();
        let page = name.strip_suffix(".1").or(name.strip_suffix(".7"))?.to_owned();
        let source = fs::read_to_string(&path).unwrap();
        page.starts_with("ipcbox").then(|| (page, path.display().to_string(), source))
    });
    pages.collect()
}

#[test]
fn page_in_a_pipe_is_plain_text() {
    let world = World::new();
    let pages = pages();
    assert!(pages.len() >= 10);
    for (page, path, _) in pages {
        let printed = world.call(&format!("--man {page}")).ok();
        assert!(printed.starts_with("NAME\n       ipcbox"), "{page}: {printed}");
        let width = printed.lines().map(|line| line.chars().count()).max();
        assert!(width <= Some(80), "{page}: {width:?}");
        let rendered = Call::new("/bin/sh").args(["-c", "mandoc -T ascii \"$0\" | sed 's/.\\x08//g'", &path]).output();
        if rendered.stdout.is_empty() {
            skip("there is no mandoc");
            continue;
        }
        // All words of the page, without its first and last line.
        let rendered = lines(&rendered.stdout);
        let rendered: Vec<&str> =
            rendered[1..rendered.len() - 1].iter().flat_map(|line| line.split_whitespace()).collect();
        let printed: Vec<&str> = printed.split_whitespace().collect();
        for (at, (printed, rendered)) in printed.iter().zip(&rendered).enumerate() {
            assert_eq!(printed, rendered, "{page}: word {at}");
        }
        assert_eq!(printed.len(), rendered.len(), "{page}");
    }
}

#[test]
fn page_has_the_names_of_its_links() {
    let world = World::new();
    let page = world.call("--man sem").ok();
    assert!(page.contains("\nSYNOPSIS\n") && page.contains("barrier"), "{page}");
    for name in ["ipcbox-sem", "ipc-sem"] {
        world.call("--man").arg(name).stdout(page.clone()).ok();
    }
    assert_eq!(world.call("--man ipcs").ok(), world.call("--man ipcs-lite").ok());
    assert_eq!(world.call("--man").ok(), world.call("--man ipcbox").ok());
    assert!(world.call("--man cookbook").ok().contains("ipcbox-cookbook"));
    world.call("--man sme").fails(2, "no page 'sme'; did you mean 'sem'?");
    world.call("--man xyzzy").fails(2, "hint: choose from cookbook,");
}

#[test]
fn man_shows_a_page_on_a_terminal() {
    let world = World::new();
    world.program("true").ok();
    let man = world.script("bin/man", "#!/bin/sh\nprintf 'man %s\\n' \"$*\"\ncat >source\necho en''d\n");
    let path = format!("{}/bin:{}", world.dir().display(), std::env::var("PATH").unwrap());
    let Some(terminal) = Terminal::open(&world, &["sh"], &[("PATH", &path)]) else { return };
    let formatter = world.script("bin/groff", "#!/bin/sh\n");
    terminal.types("ipcbox --man sem\n");
    terminal.says("man -l -\r\n");
    terminal.says("end\r\n");
    // A line that is typed before the prompt would be shown before it.
    terminal.says(PROMPT);
    let (_, _, source) = pages().into_iter().find(|(page, ..)| page == "ipcbox-sem").unwrap();
    assert_eq!(fs::read_to_string(world.dir().join("source")).unwrap(), source);
    // Without man, with one that cannot be run, or without a formatter, the terminal shows the text.
    fs::remove_file(formatter).unwrap();
    terminal.types("PATH=$PWD/bin $PWD/bin/ipcbox --man sem; echo en''d\n");
    terminal.says("\r\nNAME\r\n");
    terminal.says("end\r\n");
    fs::write(&man, "#!/nowhere\n").unwrap();
    terminal.types("ipcbox --man sem | head -n 2; ipcbox --man sem; echo en''d\n");
    terminal.says("\r\nNAME\r\n");
    terminal.says("\r\nNAME\r\n");
    terminal.says("end\r\n");
}

/// A clone has links where an installation has them.
#[test]
fn man_reads_a_link_in_a_clone() {
    let world = World::new();
    if Call::new("/bin/sh").args(["-c", "command -v man"]).output().stdout.is_empty() {
        return skip("there is no man");
    }
    let man = |page: &str| {
        let call = Call::new("man").dir(world.dir()).env("MANPAGER", "cat").env("MANWIDTH", "80");
        call.arg("-l").arg(Path::new(REPOSITORY).join("man").join(page)).ok()
    };
    assert_eq!(man("sem.1"), man("ipcbox-sem.1"));
}

#[test]
fn completions_of_each_shell_are_printed() {
    for (shell, name) in [("bash", "ipcbox.bash"), ("zsh", "_ipcbox"), ("fish", "ipcbox.fish")] {
        let text = fs::read_to_string(Path::new(REPOSITORY).join("completions").join(name)).unwrap();
        Call::new(BINARY).args(["--completions", shell]).stdout(text).ok();
    }
    Call::new(BINARY).args(["--completions", "csh"]).fails(2, "bash");
}
