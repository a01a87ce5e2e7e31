//! The man(7) macros that the pages need.

use std::fmt::Write as _;

/// A page under construction.
#[derive(Default)]
pub struct Page(String);

impl Page {
    /// Starts a page with its NAME.
    pub fn new(name: &str, section: u8, date: &str, summary: &str) -> Self {
        let (title, version) = (escape(&name.to_uppercase()), env!("CARGO_PKG_VERSION"));
        let mut page = Self(format!(
            ".\\\" Rendered by tests/generated/man.rs; BLESS=1 cargo test generated writes it.\n\
             .TH {title} {section} {date} \"ipcbox {version}\" \"ipcbox manual\"\n.nr HY 0\n.nh\n.ad l\n"
        ));
        page.section("NAME");
        let _ = writeln!(page.0, "{} \\- {}", escape(name), inline(summary));
        page
    }

    /// Adds the title of a section.
    pub fn section(&mut self, title: &str) {
        let _ = writeln!(self.0, ".SH {}", quoted(&escape(title)));
    }

    /// Adds the title of a part of a section, already formatted.
    pub fn part(&mut self, title: &str) {
        let _ = writeln!(self.0, ".SS {}", quoted(title));
    }

    pub fn paragraph(&mut self, text: &str) {
        self.0.push_str(".PP\n");
        self.text(text);
    }

    /// Adds a term, already formatted, and its paragraphs.
    pub fn item(&mut self, term: &str, texts: impl IntoIterator<Item = String>) {
        let _ = writeln!(self.0, ".TP\n{term}");
        for (n, text) in texts.into_iter().enumerate() {
            if n > 0 {
                self.0.push_str(".IP\n");
            }
            self.text(&text);
        }
    }

    /// Adds literal lines, already formatted.
    pub fn lines(&mut self, lines: impl IntoIterator<Item = String>) {
        self.0.push_str(".PP\n.RS 2\n.EX\n");
        lines.into_iter().for_each(|line| self.text_line(&line));
        self.0.push_str(".EE\n.RE\n");
    }

    /// Adds lines of shell, or a session with what the calls print.
    pub fn example(&mut self, text: &str) {
        let is_session = text.starts_with("$ ");
        let is_typed = |line: &str| !is_session || line.starts_with("$ ") || line.starts_with("> ");
        // What is typed fits a page of 60 columns, what is printed one of 80.
        let is_wide = |line: &&str| line.chars().count() > if is_typed(line) { 51 } else { 71 };
        let wide = text.lines().find(is_wide);
        assert!(wide.is_none(), "too wide for a page: {wide:?}");
        self.lines(text.lines().map(escape));
    }

    /// Adds a call to SYNOPSIS: its beginning, and the words that follow, already formatted.
    pub fn synopsis(&mut self, called: &str, words: impl IntoIterator<Item = String>) {
        let _ = writeln!(self.0, ".SY {}", quoted(&escape(called)));
        for word in words {
            // A full stop at the end of a line would end a sentence.
            let guard = if word.ends_with('.') { "\\&" } else { "" };
            self.text_line(&format!("{word}{guard}"));
        }
        self.0.push_str(".YS\n");
    }

    /// Returns the text of the page.
    pub fn finish(self) -> String {
        assert!(self.0.is_ascii(), "not ASCII: {:?}", self.0.lines().find(|line| !line.is_ascii()));
        // A paragraph after a title needs no separation.
        let is_title = |line: &str| line.starts_with(".SH") || line.starts_with(".SS");
        let mut text = String::new();
        let mut after_title = false;
        for line in self.0.lines() {
            if !(after_title && line == ".PP") {
                text.push_str(line);
                text.push('\n');
            }
            after_title = is_title(line);
        }
        text
    }

    /// Adds sentences, one per line.
    fn text(&mut self, text: &str) {
        let text = inline(text);
        let mut rest = text.as_str();
        while let Some(end) = sentence(rest) {
            let (line, after) = rest.split_at(end);
            self.text_line(line);
            rest = after.trim_start();
        }
        self.text_line(rest);
    }

    fn text_line(&mut self, line: &str) {
        let guard = if line.starts_with(['.', '\'']) { "\\&" } else { "" };
        let _ = writeln!(self.0, "{guard}{line}");
    }
}

/// Returns the end of the first sentence, if another one follows.
fn sentence(text: &str) -> Option<usize> {
    let ends = text.match_indices(". ").map(|(at, _)| at + 1);
    ends.into_iter().find(|end| {
        let next = text[end + 1..].trim_start_matches("\\fB").trim_start_matches("\\fI");
        next.starts_with(|c: char| c.is_uppercase() || c == '\\' || c == '(')
    })
}

/// Quotes the argument of a macro if it contains blanks.
fn quoted(text: &str) -> String {
    if text.contains(' ') { format!("\"{text}\"") } else { text.to_owned() }
}

/// Escapes every character that roff would interpret.
pub fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\e"),
            '-' => escaped.push_str("\\-"),
            '\'' => escaped.push_str("\\(aq"),
            '`' => escaped.push_str("\\(ga"),
            '^' => escaped.push_str("\\(ha"),
            '~' => escaped.push_str("\\(ti"),
            '"' => escaped.push_str("\\(dq"),
            '…' => escaped.push_str("..."),
            c => escaped.push(c),
        }
    }
    escaped
}

pub fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", escape(text))
}

pub fn italic(text: &str) -> String {
    format!("\\fI{}\\fR", escape(text))
}

/// Formats a command line: literal words in bold, names of values in italics.
pub fn command_line(text: &str) -> String {
    let mut formatted = String::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let is_sign = |c: char| "[]().,|=~ ".contains(c);
        if is_sign(letter) {
            formatted.push_str(&escape(&rest[..1]));
            rest = &rest[1..];
            continue;
        }
        let (word, after) = rest.split_at(rest.find(is_sign).unwrap_or(rest.len()));
        let stands_for = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == ':';
        let is_value = word.chars().all(stands_for) && word.contains(|c: char| c.is_ascii_alphanumeric());
        formatted.push_str(&if is_value { italic(word) } else { bold(word) });
        rest = after;
    }
    formatted
}

/// Replaces blanks by ones at which no line is broken.
pub fn tied(formatted: &str) -> String {
    formatted.replace(' ', "\\~")
}

/// Formats running text: `code`, options and names of pages in bold, names of values and *emphasis* in italics.
pub fn inline(text: &str) -> String {
    let mut formatted = String::new();
    for (n, part) in text.split('`').enumerate() {
        if n % 2 == 1 {
            formatted.push_str(&bold(part));
            continue;
        }
        for (n, part) in part.split('*').enumerate() {
            if n % 2 == 1 {
                formatted.push_str(&italic(part));
                continue;
            }
            formatted.push_str(&part.split(' ').map(word).collect::<Vec<_>>().join(" "));
        }
    }
    formatted
}

fn word(word: &str) -> String {
    let is_edge = |c: char| "().,;:!?[]\"'".contains(c);
    // name(1) keeps its parenthesis.
    if let Some((name, rest)) = word.split_once('(')
        && rest.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
    {
        let (section, after) = rest.split_once(')').unwrap_or((rest, ""));
        return format!("{}({section}){}", bold(name), escape(after));
    }
    let start = word.len() - word.trim_start_matches(is_edge).len();
    let core = word[start..].trim_end_matches(is_edge);
    let (before, after) = (&word[..start], &word[start + core.len()..]);
    let is_option = core.strip_prefix('-').is_some_and(|rest| {
        let name = rest.trim_start_matches('-');
        name.starts_with(|c: char| c.is_ascii_alphabetic()) && (rest.starts_with('-') || name.len() == 1)
    });
    let is_value = core.len() > 1 && core.chars().all(|c| c.is_ascii_uppercase()) && VALUES.contains(&core)
        || ["N", "K", "D"].contains(&core);
    let core = match (is_option, is_value) {
        (true, _) => bold(core),
        (_, true) => italic(core),
        _ => escape(core),
    };
    format!("{}{core}{}", escape(before), escape(after))
}

/// Names of values in running text.
const VALUES: &[&str] = &[
    "APPLET", "CMD", "CMDLINE", "DELTA", "DIR", "DURATION", "FD", "FILE", "ID", "INDEX", "INODE", "LABEL", "MESSAGE",
    "MODE", "NEW", "OLD", "PAGE", "PATH", "PID", "PIPE", "PREFIX", "RATE", "SHELL", "SIG", "SIZE", "SPEC", "START",
    "TARGET", "TEXT", "TYPE", "USER", "VALUE", "VERB", "WORD",
];
