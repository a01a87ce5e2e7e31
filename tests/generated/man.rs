//! The manual pages: their prose, and the parts that are generated from the tables of verbs.

use std::path::{Path, PathBuf};
use std::process::Command;

use ipcbox::applets::statuses::{ALL, label, meaning};
use ipcbox::applets::{APPLETS, Applet, Entry, WORDS};

use super::prose::{Block, parse};
use super::roff::{Page, bold, command_line, inline, tied};
use super::verb::{Common, other_name, synopsis, verb};
use super::{Rendered, committed};
use crate::support::skip;

/// The date of the last revision of the texts.
const DATE: &str = "2026-11-30";

/// Returns the written parts of a page, by its name without `ipcbox-`.
pub fn prose(name: &str) -> Vec<Block> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/src");
    parse(&std::fs::read_to_string(path.join(format!("{name}.txt"))).unwrap())
}

#[test]
fn pages_match_the_tables() {
    let (mut pages, mut links) = (Rendered::new(), Rendered::new());
    pages.insert("ipcbox.1".into(), box_page());
    pages.insert("ipcbox-cookbook.7".into(), cookbook());
    for applet in APPLETS {
        pages.insert(format!("ipcbox-{}.1", applet.name), applet_page(applet));
        for name in applet.names() {
            links.insert(format!("{name}.1"), format!("ipcbox-{}.1", applet.name));
        }
    }
    committed("man", &pages, &links);
}

/// Returns the committed pages, except those that are links.
fn pages() -> impl Iterator<Item = PathBuf> {
    let man = Path::new(env!("CARGO_MANIFEST_DIR")).join("man");
    let pages = std::fs::read_dir(man).unwrap().map(|entry| entry.unwrap().path());
    pages.filter(|path| path.is_file() && !path.is_symlink())
}

#[test]
fn mandoc_has_no_warning() {
    for page in pages() {
        let Ok(output) = Command::new("mandoc").args(["-Tlint", "-W", "warning"]).arg(&page).output() else {
            return skip("mandoc is not installed");
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn pages_mention_only_existing_options() {
    let own = ["--complete", "--help", "--list", "--version"].map(str::to_owned);
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
        // Outside of examples, which are run, options are bold: \fB\-\-name.
        let text = std::fs::read_to_string(&page).unwrap().replace("\\-", "-");
        let without_examples = text.split("\n.EX\n").map(|part| part.rsplit("\n.EE\n").next().unwrap());
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
    page.section("SYNOPSIS");
    let words = |text: &str| text.split(' ').map(command_line).collect::<Vec<_>>();
    page.synopsis("ipcbox", words("APPLET VERB [OPTION]... [TARGET] [ARG]..."));
    for word in WORDS {
        page.synopsis(&called("", word), synopsis(word));
    }
    page.synopsis("ipcbox --list", []);
    page.synopsis("ipcbox --version", [tied(&command_line("[--verbose]"))]);
    page.synopsis("ipcbox help", [tied(&command_line("[APPLET [VERB]]"))]);
    page.synopsis("ipcbox help", words("TOPIC"));
    written(&mut page, "ipcbox", &|page, word| match word {
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
        "common" => Common::of(APPLETS.iter().flat_map(|applet| applet.verbs)).describe(page, true),
        "exit" => {
            page.section("EXIT STATUS");
            for exit in ALL {
                page.item(&bold(&label(exit)), [sentence_of(meaning(exit))]);
            }
        }
        _ => panic!("nothing is generated for {word}"),
    });
    page.finish()
}

fn cookbook() -> String {
    let summary = "small tasks in scripts and CI jobs, solved with ipcbox";
    let mut page = Page::new("ipcbox-cookbook", 7, DATE, summary);
    written(&mut page, "cookbook", &|_, word| panic!("nothing is generated for {word}"));
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
    for entry in applet.verbs {
        page.synopsis(&called(entry), synopsis(entry));
    }
    written(&mut page, applet.name, &|page, word| match word {
        "verbs" => {
            let (same, verbs): (Vec<&Entry>, _) =
                applet.verbs.iter().partition(|entry| is_alone && entry.name != applet.name);
            let common = Common::of(applet.verbs);
            for entry in verbs {
                verb(page, entry, &called(entry), &common);
            }
            for entry in same {
                other_name(page, entry, &called(entry));
            }
            if !common.is_empty() {
                page.section(Common::TITLE);
                page.paragraph("See ipcbox(1) for details.");
                common.describe(page, false);
            }
        }
        "exit" => exit_status(page, applet),
        _ => panic!("nothing is generated for {word}"),
    });
    page.finish()
}

/// Returns the start of a verb's command line.
fn called(applet: &str, entry: &Entry) -> String {
    ["ipcbox", applet, entry.name].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Adds the written part of a page, with the generated parts in their places.
fn written(page: &mut Page, name: &str, generate: &dyn Fn(&mut Page, &str)) {
    for block in prose(name) {
        match block {
            Block::Section(title) => page.section(&title),
            Block::Part(title) => page.part(&inline(&title)),
            Block::Paragraph(text) => page.paragraph(&text),
            Block::Item(term, text) => page.item(&inline(&term), text),
            Block::Example(example) => page.example(&example.text),
            // A text of `ipcbox help`.
            Block::Generated(word) if ["targets", "json"].contains(&&*word) => {
                written(page, &format!("topics/{word}"), generate);
            }
            Block::Generated(word) => generate(page, &word),
        }
    }
}

/// Adds the exit statuses that can occur in an applet. A meaning that only some verbs share has their names before it.
fn exit_status(page: &mut Page, applet: &Applet) {
    page.section("EXIT STATUS");
    let verbs: Vec<&Entry> =
        applet.verbs.iter().filter(|verb| applet.alone(verb.name).is_none_or(|it| it.name == applet.name)).collect();
    for exit in ALL {
        let mut meanings: Vec<(String, Vec<&str>)> = Vec::new();
        for verb in &verbs {
            let Some((_, words)) = verb.exit_statuses().into_iter().find(|(own, _)| *own == exit) else { continue };
            match meanings.iter_mut().find(|(known, _)| *known == words) {
                Some((_, names)) => names.push(verb.name),
                None => meanings.push((words, vec![verb.name])),
            }
        }
        meanings.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
        let texts = meanings.iter().enumerate().map(|(n, (words, names))| {
            // The meaning in most verbs needs no list of them, except for the statuses of CMD.
            let is_usual = 2 * names.len() > verbs.len() && !["125", "126", "127", "-"].contains(&&*label(exit));
            if n == 0 && (verbs.len() == 1 || is_usual) {
                sentence_of(words)
            } else {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                format!("{}: {words}.", names.join(", "))
            }
        });
        let texts: Vec<String> = texts.collect();
        if !texts.is_empty() {
            page.item(&bold(&label(exit)), [texts.join(" ")]);
        }
    }
}

fn sentence_of(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().unwrap().to_uppercase();
    first.chain(letters).collect::<String>() + "."
}
