//! The manual pages: the prose, and between it what the tables of verbs say.

use std::path::{Path, PathBuf};
use std::process::Command;

use ipcbox::applets::{APPLETS, Applet, Entry, Runs, WORDS};
use ipcbox::exit::Exit;

use super::prose::{Block, parse};
use super::roff::{Page, bold, inline};
use super::verb::{Common, other_name, synopsis, usage, verb};
use super::{Rendered, committed};
use crate::support::skip;

/// When the texts were last gone through.
const DATE: &str = "2026-11-26";

/// The written parts of a page, by its name without `ipcbox-`.
pub fn prose(name: &str) -> Vec<Block> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/src");
    parse(&std::fs::read_to_string(path.join(format!("{name}.txt"))).unwrap())
}

#[test]
fn pages_are_those_of_the_tables() {
    let mut pages = Rendered::new();
    pages.insert("ipcbox.1".into(), box_page());
    pages.insert("ipcbox-cookbook.7".into(), cookbook());
    for applet in APPLETS {
        pages.insert(format!("ipcbox-{}.1", applet.name), applet_page(applet));
        for name in applet.names() {
            pages.insert(format!("{name}.1"), format!(".so man1/ipcbox-{}.1\n", applet.name));
        }
    }
    committed("man", &pages);
}

/// The committed pages, but those that are links.
fn pages() -> impl Iterator<Item = PathBuf> {
    let man = Path::new(env!("CARGO_MANIFEST_DIR")).join("man");
    let pages = std::fs::read_dir(man).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.is_file());
    pages.filter(|path| !std::fs::read_to_string(path).unwrap().starts_with(".so "))
}

#[test]
fn mandoc_warns_of_nothing() {
    for page in pages() {
        let Ok(output) = Command::new("mandoc").args(["-Tlint", "-W", "warning"]).arg(&page).output() else {
            return skip("mandoc is not here to lint the manual pages");
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn pages_speak_of_options_that_exist() {
    let own = ["--help", "--list", "--version"].map(str::to_owned);
    let entries = APPLETS.iter().flat_map(|applet| applet.verbs).chain(WORDS);
    let known = entries.flat_map(|entry| {
        let parser = entry.parser("", &[]);
        let names = parser.get_arguments().flat_map(|arg| {
            let aliases = arg.get_all_aliases().unwrap_or_default();
            arg.get_long().into_iter().chain(aliases)
        });
        let names = names.map(|name| format!("--{name}"));
        names.chain([entry.name.to_owned()]).collect::<Vec<_>>()
    });
    let known: Vec<String> = known.chain(own).collect();
    for page in pages() {
        // Between examples, which are run, options are in bold: \fB\-\-name.
        let text = std::fs::read_to_string(&page).unwrap().replace("\\-", "-");
        let without_examples = text.split("\n.nf\n").map(|part| part.rsplit("\n.fi\n").next().unwrap());
        let words = without_examples.flat_map(|part| part.split(|c: char| !c.is_ascii_alphanumeric() && c != '-'));
        for word in
            words.map(|word| word.trim_start_matches("fB")).filter(|word| word.len() > 2 && word.starts_with("--"))
        {
            assert!(known.iter().any(|option| option == word), "{}: {word}", page.display());
        }
    }
}

fn box_page() -> String {
    let mut page = Page::new("ipcbox", 1, DATE, "every Linux IPC mechanism for the shell, in one binary");
    let own = ["--list", "--version", "help [APPLET [VERB]]"];
    let lines = [synopsis("ipcbox", "APPLET VERB [OPTION]... [TARGET] [ARG]...")]
        .into_iter()
        .chain(WORDS.iter().map(|word| usage(word, &called("", word))))
        .chain(own.map(|line| synopsis("ipcbox", line)));
    page.section("SYNOPSIS");
    page.synopsis(lines);
    written(&mut page, "ipcbox", |page, word| match word {
        "applets" => {
            for applet in APPLETS {
                let names: Vec<String> = applet.names().map(bold).collect();
                let text = format!("{}. See ipcbox-{}(1).", applet.summary, applet.name);
                page.item(&names.join(", "), [text]);
            }
        }
        "words" => {
            for word in WORDS {
                verb(page, word, &called("", word), &Common::default());
            }
        }
        "common" => Common::of(APPLETS.iter().map(|applet| applet.verbs)).describe(page),
        "exit" => exit_status(page, APPLETS),
        _ => panic!("nothing is generated for {word}"),
    });
    page.finish()
}

fn cookbook() -> String {
    let summary = "small tasks of scripts and CI jobs, solved with ipcbox";
    let mut page = Page::new("ipcbox-cookbook", 7, DATE, summary);
    written(&mut page, "cookbook", |_, word| panic!("nothing is generated for {word}"));
    page.finish()
}

fn applet_page(applet: &Applet) -> String {
    let mut letters = applet.summary.chars();
    let first = letters.next().unwrap().to_lowercase();
    let summary = first.chain(letters).collect::<String>();
    let mut page = Page::new(&format!("ipcbox-{}", applet.name), 1, DATE, &summary);
    let is_alone = applet.alone(applet.name).is_some();
    let called = |entry| called(if is_alone { "" } else { applet.name }, entry);
    page.section("SYNOPSIS");
    page.synopsis(applet.verbs.iter().map(|entry| usage(entry, &called(entry))));
    let common = if is_alone { Common::default() } else { Common::of(applet.verbs.chunks(1)) };
    written(&mut page, applet.name, |page, word| match word {
        "verbs" => {
            let (same, verbs): (Vec<&Entry>, _) =
                applet.verbs.iter().partition(|entry| is_alone && entry.name != applet.name);
            for entry in verbs {
                verb(page, entry, &called(entry), &common);
            }
            for entry in same {
                other_name(page, entry, &called(entry));
            }
            if !is_alone {
                page.section(Common::TITLE);
                common.describe(page);
            }
        }
        "exit" => exit_status(page, std::slice::from_ref(applet)),
        _ => panic!("nothing is generated for {word}"),
    });
    page.finish()
}

/// A verb's line as far as its own name.
fn called(applet: &str, entry: &Entry) -> String {
    ["ipcbox", applet, entry.name].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The written part of a page, with what is generated in its places.
fn written(page: &mut Page, name: &str, generate: impl Fn(&mut Page, &str)) {
    for block in prose(name) {
        match block {
            Block::Section(title) => page.section(&title),
            Block::Part(title) => page.part(&inline(&title)),
            Block::Paragraph(text) => page.paragraph(&text),
            Block::Item(term, said) => page.item(&inline(&term), said),
            Block::Example(example) => page.example(&example.text),
            Block::Generated(word) => generate(page, &word),
        }
    }
}

/// What each status means.
fn exit_status(page: &mut Page, applets: &[Applet]) {
    // One line for each; the compiler asks for that of a new one.
    let meaning = |exit| match exit {
        Exit::Done => "Done.",
        Exit::Failed => "Failed, for a cause not listed here.",
        Exit::Usage => "Wrong usage; nothing was tried.",
        Exit::Missing => "No such object, process or reader.",
        Exit::Exists => "It exists already, or not as asked.",
        Exit::Denied => "Permission denied.",
        Exit::NotInTime(_) => {
            "Not in time: `--timeout` ran out, `--nonblock` would have had to wait, or `--max-time` \
             was over. `--timeout-status` puts another number in its place."
        }
        Exit::BeforeCommand => "",
        Exit::NotExecutable => "CMD could not be executed.",
        Exit::NotFound => "CMD was not found.",
        Exit::Command(_) => "Signal N ended CMD, and the box was its parent.",
    };
    let verbs = |wanted: fn(Runs) -> bool| {
        let verbs = applets.iter().flat_map(|applet| {
            let entries = applet.verbs.iter().filter(move |entry| wanted(entry.runs));
            let shared = applets.len() > 1;
            entries.map(move |entry| match applet.alone(entry.name) {
                None if shared => format!("`{} {}`", applet.name, entry.name),
                _ => format!("`{}`", entry.name),
            })
        });
        verbs.collect::<Vec<_>>().join(", ")
    };
    let mut parsers = applets.iter().flat_map(|applet| applet.verbs).map(|it| it.parser("", &[]));
    let has_limit =
        parsers.any(|parser| parser.get_arguments().any(|arg| matches!(arg.get_long(), Some("timeout" | "max-time"))));
    let late = has_limit.then_some(Exit::NotInTime(Exit::TIMED_OUT));
    let always = verbs(|runs| matches!(runs, Runs::Command | Runs::ByServer));
    let optionally = verbs(|runs| matches!(runs, Runs::Optionally | Runs::With(_)));
    page.section("EXIT STATUS");
    let own = [Exit::Done, Exit::Failed, Exit::Usage, Exit::Missing, Exit::Exists, Exit::Denied];
    for exit in own.into_iter().chain(late) {
        page.item(&bold(&exit.code().to_string()), [meaning(exit).to_owned()]);
    }
    let with_command = [(always, ""), (optionally, " with a CMD")];
    let with_command = with_command.iter().filter(|(verbs, _)| !verbs.is_empty());
    let with_command: Vec<String> = with_command.map(|(verbs, when)| format!("{verbs}{when}")).collect();
    if with_command.is_empty() {
        return;
    }
    let before = format!(
        "In a verb whose status is that of CMD ({}): what failed before CMD started or answered, wrong usage, \
         a missing object and missing permission included. What is listed above from 1 to 5 is then CMD's own.",
        with_command.join("; ")
    );
    page.item(&bold(&Exit::BeforeCommand.code().to_string()), [before]);
    for exit in [Exit::NotExecutable, Exit::NotFound] {
        page.item(&bold(&exit.code().to_string()), [meaning(exit).to_owned()]);
    }
    page.item("128+\\fIN\\fR", [meaning(Exit::Command(0)).to_owned()]);
}
