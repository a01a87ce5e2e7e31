//! `ipcbox --man`: a manual page, from the binary itself.

use std::convert::Infallible;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use clap::Args;

use super::{Verb, embedded, linked};
use crate::exit::{Cause, Exit};
use crate::output;
use crate::sys::{exec, fds};

/// Shows a manual page that the binary contains. On a terminal, man(1) shows the page. If man(1) is not installed, or
/// standard output is not a terminal, the page is printed as plain text.
#[derive(Args)]
pub struct Man {
    /// Page: an applet, ipcbox or cookbook (default: ipcbox)
    #[arg(value_name = "PAGE", default_value = "ipcbox")]
    page: String,
}

impl Verb for Man {
    const NAME: &'static str = "--man";
    const SUMMARY: &'static str = "Show a manual page";
    const EXAMPLES: &'static str = "
# Find an option in the page of an applet
ipcbox --man sem | grep -e --slots
";

    fn run(self) -> Result<Exit> {
        let page = find(&self.page)?;
        if fds::is_terminal(fds::stdout()) {
            // Returns only without man, and the page is printed instead.
            let _ = through_man(&page);
        }
        output::wrapped(&plain(&page))?;
        Ok(Exit::Done)
    }
}

/// Returns the source of the page with this name, which may be that of a link.
fn find(word: &str) -> Result<String> {
    let name = linked(word).map_or(word, |(applet, _)| applet.name);
    let files = embedded::files().with_context(|| format!("cannot show the page of {word}"))?;
    let pages = files.into_iter().filter_map(|(file, text)| {
        let page = file.strip_suffix(".1").or_else(|| file.strip_suffix(".7"))?;
        Some((page.strip_prefix("ipcbox-").unwrap_or(page).to_owned(), text))
    });
    let pages: Vec<(String, String)> = pages.collect();
    let asked = name.strip_prefix("ipcbox-").unwrap_or(name);
    let known: Vec<&str> = pages.iter().map(|(page, _)| page.as_str()).collect();
    let found = pages.iter().find(|(page, _)| page == asked).map(|(_, text)| text.clone());
    Ok(found.ok_or_else(|| Cause::unknown("page", word, &known).hint(format!("choose from {}", known.join(","))))?)
}

/// Runs man(1) in place of ipcbox, with the page on its standard input. Returns only on failure.
fn through_man(page: &str) -> nix::Result<Infallible> {
    let man = exec::find("man".as_ref())?;
    // In the image of Ubuntu, man(1) is a script that shows no page. There is none of these, one of which man needs.
    exec::find("groff".as_ref()).or_else(|_| exec::find("mandoc".as_ref()))?;
    fds::set_stdin(fds::in_memory(page.as_bytes())?)?;
    Err(exec::replace(&man, &["man".into(), "-l".into(), "-".into()], &[]))
}

/// What a line of a page is, if it is not a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PageLine {
    /// A part of a paragraph.
    Filled,
    /// A term. The text about it follows.
    Term,
    /// A line that is printed as it is.
    Literal,
}

/// The indentation of a text, as in man(1).
const TEXT: usize = 7;
/// That of the text about a term.
const ABOUT: usize = 14;

/// Returns the text of a page, a line for each paragraph. It knows the requests in `tests/generated/roff.rs`.
fn plain(page: &str) -> String {
    let mut text = String::new();
    let (mut kind, mut indent) = (PageLine::Filled, TEXT);
    // Whether the paragraph in the last line may continue.
    let mut is_open = false;
    for line in page.lines() {
        let Some(request) = line.strip_prefix('.') else {
            let _ = if is_open {
                write!(text, " {}", unescaped(line))
            } else {
                write!(text, "{:indent$}{}", "", unescaped(line))
            };
            is_open = kind == PageLine::Filled;
            if !is_open {
                text.push('\n');
            }
            if kind == PageLine::Term {
                (kind, indent) = (PageLine::Filled, ABOUT);
            }
            continue;
        };
        if std::mem::take(&mut is_open) {
            text.push('\n');
        }
        let (request, title) = request.split_once(' ').unwrap_or((request, ""));
        let title = unescaped(title.trim_matches('"'));
        let _ = match request {
            "SH" => write!(text, "\n{title}\n"),
            "SS" => write!(text, "\n   {title}\n"),
            // The blanks align the lines of a long call with its second word.
            "SY" => write!(text, "\n{:TEXT$}{title} ", ""),
            "PP" | "TP" | "IP" => writeln!(text),
            _ => Ok(()),
        };
        is_open = request == "SY";
        (kind, indent) = match request {
            "SH" | "SS" | "PP" | "EE" => (PageLine::Filled, TEXT),
            "TP" => (PageLine::Term, TEXT),
            "EX" => (PageLine::Literal, TEXT + 2),
            _ => (kind, indent),
        };
    }
    text.trim_start().to_owned()
}

/// Replaces the escape sequences of a line.
fn unescaped(line: &str) -> String {
    let mut parts = line.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let known = ESCAPES.iter().find_map(|(escape, sign)| Some((part.strip_prefix(escape)?, sign)));
        let (rest, sign) = known.unwrap_or((part, &"\\"));
        text.push_str(sign);
        text.push_str(rest);
    }
    text
}

/// The escape sequences of the pages, without the backslash.
const ESCAPES: [(&str, &str); 12] = [
    ("fB", ""),
    ("fI", ""),
    ("fR", ""),
    ("&", ""),
    ("-", "-"),
    ("e", "\\"),
    // A blank at which no line is broken.
    ("~", "\u{a0}"),
    ("(aq", "'"),
    ("(dq", "\""),
    ("(ga", "`"),
    ("(ha", "^"),
    ("(ti", "~"),
];
