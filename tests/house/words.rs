//! Plain English, measured: words that make a text sound translated, and the length of test names.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use ipcbox::applets::{APPLETS, WORDS};

use super::files;

/// Words and phrases that a plain text does without.
const HUNTED: &[&str] = &[
    "told",
    "tells",
    "tell",
    "said",
    "say",
    "says",
    "somebody",
    "nobody",
    "everybody",
    "meanwhile",
    "the box",
    "is to be",
    "are to be",
    "so many",
    "for ever",
    "anew",
    "who waits",
    "who has",
    "where it is",
    "gives back",
    "give back",
    "becomes CMD",
    "what is not there",
];

/// How often each kind of text may have one of them: a number that may only fall.
const BUDGET: &[(&str, usize)] =
    &[("help", 0), ("man", 0), ("README.md", 0), ("CHANGELOG.md", 0), ("messages", 0), ("comments", 0)];

/// Length of a test's name at most.
const NAME: usize = 50;

/// Returns the hunted words in a text, each as often as it occurs.
fn hunted(text: &str) -> Vec<&'static str> {
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric() && c != '-' && c != '\'')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let spaced = format!(" {} ", words.join("  "));
    let times = |phrase: &&'static str| {
        let phrase_spaced = format!(" {} ", phrase.to_lowercase().replace(' ', "  "));
        vec![*phrase; spaced.matches(&phrase_spaced).count()]
    };
    HUNTED.iter().flat_map(times).collect()
}

/// Splits a Rust source into its comments and its string literals.
fn parts(source: &str) -> (String, String) {
    let (mut comments, mut strings) = (String::new(), String::new());
    let mut rest = source;
    while let Some(at) = rest.find(['/', '"', '\'']) {
        let before = &rest[..at];
        let here = &rest[at..];
        rest = if here.starts_with("//") {
            let (line, after) = here.split_once('\n').unwrap_or((here, ""));
            let _ = write!(comments, "{} ", line.trim_start_matches(['/', '!']));
            after
        } else if let Some(text) = here.strip_prefix('"') {
            let marks = before.len() - before.trim_end_matches('#').len();
            let is_raw = before.trim_end_matches('#').ends_with('r');
            let end = if is_raw { raw_end(text, marks) } else { escaped_end(text) };
            let _ = writeln!(strings, "{}", &text[..end]);
            &text[end + 1..]
        } else if let Some(escaped) = here.strip_prefix("'\\") {
            // An escaped character: it may be a quote itself.
            let end = escaped.char_indices().skip(1).find(|(_, letter)| *letter == '\'').unwrap().0;
            &escaped[end + 1..]
        } else if let Some(quoted) = here.strip_prefix('\'') {
            // A character, or a lifetime.
            let mut letters = quoted.chars();
            let letter = letters.next().unwrap();
            if letters.next() == Some('\'') { &here[2 + letter.len_utf8()..] } else { quoted }
        } else {
            &here[1..]
        };
    }
    (comments, strings)
}

/// Returns the end of a raw string.
fn raw_end(text: &str, marks: usize) -> usize {
    text.find(&format!("\"{}", "#".repeat(marks))).unwrap()
}

/// Returns the end of a string that may contain escapes.
fn escaped_end(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, letter) in text.char_indices() {
        match letter {
            '"' if !is_escaped => return at,
            letter => is_escaped = letter == '\\' && !is_escaped,
        }
    }
    panic!("a string without an end: {text}")
}

fn read(dir: &str) -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    files(&root).into_iter().map(|path| (path.display().to_string(), fs::read_to_string(path).unwrap())).collect()
}

fn rust(dir: &str) -> BTreeMap<String, String> {
    let mut sources = read(dir);
    let is_rust = |name: &str| Path::new(name).extension().is_some_and(|it| it == "rs");
    sources.retain(|name, _| is_rust(name) && !name.ends_with("house/words.rs"));
    sources
}

/// Returns every text with its kind and its name.
fn texts() -> Vec<(&'static str, String, String)> {
    let verbs = APPLETS.iter().flat_map(|applet| applet.verbs.iter().map(|verb| (applet.name, verb)));
    let verbs = verbs.chain(WORDS.iter().map(|word| ("ipcbox", word)));
    let help = verbs.map(|(of, verb)| ("help", format!("{of} {}", verb.name), verb.help("ipcbox", true)));
    let applets = APPLETS.iter().map(|applet| ("help", applet.name.to_owned(), applet.summary.to_owned()));
    let pages = read("man/src").into_iter().map(|(name, text)| ("man", name, text));
    let alone = ["README.md", "CHANGELOG.md"].map(|name| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        (name, name.to_owned(), fs::read_to_string(path).unwrap())
    });
    let (source, tests) = (rust("src"), rust("tests"));
    let messages = source.iter().map(|(name, text)| ("messages", name.clone(), parts(text).1));
    let comments = source.iter().chain(&tests).map(|(name, text)| ("comments", name.clone(), parts(text).0));
    help.chain(applets).chain(pages).chain(alone).chain(messages).chain(comments).collect()
}

#[test]
fn texts_keep_the_word_budget() {
    let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (kind, name, text) in texts() {
        let all = hunted(&text).into_iter().map(|word| format!("{name}: {word}"));
        found.entry(kind).or_default().extend(all);
    }
    for (kind, most) in BUDGET {
        let there = &found[kind];
        assert!(there.len() <= *most, "{kind}: {} of at most {most}: {there:#?}", there.len());
    }
}

#[test]
fn test_names_are_short_and_plain() {
    let mut wrong = Vec::new();
    for (file, text) in &rust("tests") {
        for part in text.split("#[test]\n").skip(1) {
            let name = part.split("fn ").nth(1).and_then(|rest| rest.split('(').next()).unwrap();
            if name.len() > NAME || !hunted(&name.replace('_', " ")).is_empty() {
                wrong.push(format!("{file}: {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn source_is_split_into_comments_and_strings() {
    let source =
        "// one\nlet a = \"two \\\" \\\\\"; // three\nfn b<'a>() { ('\"', '\\'', 'x', r#\"four\"# ) } /// five";
    let (comments, strings) = parts(source);
    assert_eq!(comments.split_whitespace().collect::<Vec<_>>(), ["one", "three", "five"]);
    assert_eq!(strings.lines().collect::<Vec<_>>(), ["two \\\" \\\\", "four"]);
    assert_eq!(hunted("The box, once told, is to be\nSaid; boxes. Retold"), ["told", "said", "the box", "is to be"]);
}
