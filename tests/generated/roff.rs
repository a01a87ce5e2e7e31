//! The man(7) macros, as far as the pages need them.

use std::fmt::Write as _;

/// A page that is being written.
#[derive(Default)]
pub struct Page(String);

impl Page {
    /// A page with its NAME.
    pub fn new(name: &str, section: u8, date: &str, summary: &str) -> Self {
        let (title, version) = (escape(&name.to_uppercase()), env!("CARGO_PKG_VERSION"));
        let mut page = Self(format!(
            ".\\\" Rendered by tests/generated/man.rs; BLESS=1 cargo test generated writes it.\n\
             .TH {title} {section} {date} \"ipcbox {version}\" \"ipcbox manual\"\n.nh\n.ad l\n"
        ));
        page.section("NAME");
        let _ = writeln!(page.0, "{} \\- {}", escape(name), inline(summary));
        page
    }

    /// A title.
    pub fn section(&mut self, title: &str) {
        let _ = writeln!(self.0, ".SH {}", quoted(&escape(title)));
    }

    /// The title of a part of a section, formatted already.
    pub fn part(&mut self, title: &str) {
        let _ = writeln!(self.0, ".SS {}", quoted(title));
    }

    pub fn paragraph(&mut self, text: &str) {
        self.0.push_str(".PP\n");
        self.text(text);
    }

    /// A term, formatted already, and the paragraphs about it.
    pub fn item(&mut self, term: &str, said: impl IntoIterator<Item = String>) {
        let _ = writeln!(self.0, ".TP\n{term}");
        for (n, text) in said.into_iter().enumerate() {
            if n > 0 {
                self.0.push_str(".IP\n");
            }
            self.text(&text);
        }
    }

    /// Lines that stand as they are, formatted already.
    pub fn lines(&mut self, lines: impl IntoIterator<Item = String>) {
        self.0.push_str(".PP\n.RS 2\n.EX\n");
        lines.into_iter().for_each(|line| self.text_line(&line));
        self.0.push_str(".EE\n.RE\n");
    }

    /// Lines of shell.
    pub fn example(&mut self, text: &str) {
        let wide = text.lines().find(|line| line.chars().count() > 51);
        assert!(wide.is_none(), "wider than a page of 60 columns: {wide:?}");
        self.lines(text.lines().map(escape));
    }

    /// A call of SYNOPSIS: what it begins with, and the words that follow, formatted already.
    pub fn synopsis(&mut self, called: &str, words: impl IntoIterator<Item = String>) {
        let _ = writeln!(self.0, ".SY {}", quoted(&escape(called)));
        words.into_iter().for_each(|word| self.text_line(&word));
        self.0.push_str(".YS\n");
    }

    /// The text of the page.
    pub fn finish(self) -> String {
        assert!(self.0.is_ascii(), "not ASCII: {:?}", self.0.lines().find(|line| !line.is_ascii()));
        // After a title there is nothing to be separated from.
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

    /// Sentences, a line each.
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

/// Where the first sentence ends, if another one follows.
fn sentence(text: &str) -> Option<usize> {
    let ends = text.match_indices(". ").map(|(at, _)| at + 1);
    ends.into_iter().find(|end| {
        let next = text[end + 1..].trim_start_matches("\\fB").trim_start_matches("\\fI");
        next.starts_with(|c: char| c.is_uppercase() || c == '\\' || c == '(')
    })
}

/// A macro's argument with blanks in it.
fn quoted(text: &str) -> String {
    if text.contains(' ') { format!("\"{text}\"") } else { text.to_owned() }
}

/// Every character as itself.
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

/// A command line: what is typed as it stands in bold, what stands for something in italics.
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

/// The same with blanks at which no line is broken.
pub fn tied(formatted: &str) -> String {
    formatted.replace(' ', "\\~")
}

/// Running text: `code` and options are bold, names of values and *emphasis* are italic, pages of the manual bold.
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
    "MODE", "NEW", "OLD", "PATH", "PID", "PIPE", "RATE", "SIG", "SIZE", "SPEC", "START", "TARGET", "TEXT", "TYPE",
    "USER", "VALUE", "VERB", "WORD",
];
