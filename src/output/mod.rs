//! Floor 4: all writes to standard output, records in each format, and messages.
//!
//! An applet lists the columns of its records in a table, over which each format (table, fields, JSON Lines) loops.

mod cell;
mod data;
mod grid;
mod help;
pub mod in_use;
mod lines;
mod names;
pub mod notice;

use std::fmt::Display;
use std::os::fd::BorrowedFd;
use std::slice;
use std::sync::OnceLock;

use anyhow::Context;
use owo_colors::{AnsiColors, OwoColorize};

use crate::args::format::{Color, Showing, Streaming};
use crate::args::timeout::Quiet;
use crate::exit::{Cause, lines};
use crate::sys::{fds, terminal};
use crate::text::{line, visible};
pub use cell::Cell;
pub use data::json_data;
use grid::Grid;
pub use lines::Lines;
pub use names::{Names, remember};

/// A column of a record type.
pub struct Column<R> {
    /// The JSON key, in lower snake case. In capitals it is the title.
    pub key: &'static str,
    /// Whether a table shows it without `--columns`. JSON and a single record always do.
    pub in_table: bool,
    /// Its value.
    pub get: fn(&R) -> Cell,
}

impl<R> Column<R> {
    /// A column of every format.
    pub const fn new(key: &'static str, get: fn(&R) -> Cell) -> Self {
        let in_table = true;
        Self { key, in_table, get }
    }

    /// A column that a table shows only if it is named.
    pub const fn detail(key: &'static str, get: fn(&R) -> Cell) -> Self {
        let in_table = false;
        Self { key, in_table, get }
    }
}

/// Prints records. If `single` is set, one record is printed with a line per field.
///
/// A table omits columns without any value, unless they are named. Without records nothing is printed.
///
/// # Errors
/// Wrong usage: an unknown column. Those of writing to standard output.
pub fn show<R>(columns: &[Column<R>], records: &[R], how: &Showing, single: bool) -> anyhow::Result<()> {
    let one = single && records.len() == 1 && how.columns.is_none() && !how.no_header;
    let chosen = choose(columns, records, how, one)?;
    if how.json {
        // In chunks: a hundred thousand objects would take as many lines of memory.
        let absent = Absent::of(how.columns.as_deref());
        let mut some = records.chunks(256);
        return some.try_for_each(|some| print(json_lines(&chosen, some, absent).as_bytes()));
    }
    if records.is_empty() {
        return Ok(());
    }
    let keys: Vec<&str> = chosen.iter().map(|column| column.key).collect();
    let mut grid = Grid::new(&keys, Paint::decide(how.color));
    for record in records {
        for column in &chosen {
            grid.add(&(column.get)(record));
        }
    }
    let text = if one { grid.fields() } else { grid.table(how.no_header) };
    print(text.as_bytes())
}

/// Prints help, wrapped to the terminal, in bold if standard output has colour.
///
/// # Errors
/// A failed write.
pub fn help(text: &str) -> anyhow::Result<()> {
    let text = wrap(text);
    let text = if is_colored(fds::stdout()) { help::paint(&text) } else { text };
    print(text.as_bytes())
}

/// Prints text, wrapped to the terminal.
///
/// # Errors
/// A failed write.
pub fn wrapped(text: &str) -> anyhow::Result<()> {
    print(wrap(text).as_bytes())
}

fn wrap(text: &str) -> String {
    help::wrap(text, terminal::columns(fds::stdout()).unwrap_or(help::USUAL))
}

/// Returns records as JSON Lines with all columns.
pub fn json<R>(columns: &[Column<R>], records: &[R]) -> String {
    json_lines(&columns.iter().collect::<Vec<_>>(), records, Absent::Dropped)
}

/// Prints records one by one, without a header.
pub struct Stream<'a, R> {
    columns: Vec<&'a Column<R>>,
    absent: Absent,
    json: bool,
    terminal: bool,
}

impl<'a, R> Stream<'a, R> {
    /// Selects the columns that the user asked for.
    ///
    /// # Errors
    /// Wrong usage: an unknown column.
    pub fn new(columns: &'a [Column<R>], how: &Streaming) -> anyhow::Result<Self> {
        let (json, absent) = (how.json, Absent::of(how.columns.as_deref()));
        let columns = match &how.columns {
            Some(names) => named(columns, names)?,
            None => columns.iter().filter(|column| json || column.in_table).collect(),
        };
        let terminal = fds::is_terminal(fds::stdout());
        Ok(Self { columns, absent, json, terminal })
    }

    /// Prints records in one write, a line each, with two blanks between fields.
    ///
    /// # Errors
    /// A failed write.
    pub fn print(&self, records: &[R]) -> anyhow::Result<()> {
        let text: String = records.iter().map(|record| self.line(record)).collect();
        print(text.as_bytes())
    }

    fn line(&self, record: &R) -> String {
        if self.json {
            return json_lines(&self.columns, slice::from_ref(record), self.absent);
        }
        let cells: Vec<Cell> = self.columns.iter().map(|column| (column.get)(record)).collect();
        let shown = cells.iter().filter(|cell| self.absent == Absent::Shown || **cell != Cell::Absent);
        shown.map(|cell| cell.text(self.terminal)).collect::<Vec<_>>().join("  ") + "\n"
    }
}

fn choose<'a, R>(
    columns: &'a [Column<R>],
    records: &[R],
    how: &Showing,
    one: bool,
) -> anyhow::Result<Vec<&'a Column<R>>> {
    let Some(names) = &how.columns else {
        let has = |column: &Column<R>| {
            (one || column.in_table) && records.iter().any(|record| (column.get)(record) != Cell::Absent)
        };
        let wanted = columns.iter().filter(|column| how.json || has(column));
        return Ok(wanted.collect());
    };
    named(columns, names)
}

fn named<'a, R>(columns: &'a [Column<R>], names: &[String]) -> anyhow::Result<Vec<&'a Column<R>>> {
    names.iter().map(|name| column(columns, name)).collect()
}

/// Returns the column of this name.
///
/// # Errors
/// Wrong usage: there is none.
pub fn column<'a, R>(columns: &'a [Column<R>], name: &str) -> anyhow::Result<&'a Column<R>> {
    let found = columns.iter().find(|column| column.key.eq_ignore_ascii_case(name));
    let unknown = || {
        let known: Vec<&str> = columns.iter().map(|column| column.key).collect();
        Cause::unknown("column", name, &known).hint(format!("choose from {}", known.join(",")))
    };
    Ok(found.ok_or_else(unknown)?)
}

/// How a field is shown that a record does not have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Absent {
    /// It is left out.
    Dropped,
    /// It is empty; in JSON it is `null`, so that each object has every key that the user named.
    Shown,
}

impl Absent {
    const fn of(columns: Option<&[String]>) -> Self {
        if columns.is_some() { Self::Shown } else { Self::Dropped }
    }
}

fn json_lines<R>(columns: &[&Column<R>], records: &[R], absent: Absent) -> String {
    let mut lines = String::new();
    for record in records {
        let cell = |column: &Column<R>| match (column.get)(record) {
            Cell::Absent if absent == Absent::Shown => Cell::Unknown,
            cell => cell,
        };
        let fields = columns.iter().map(|column| (column.key, cell(column)));
        cell::object(&mut lines, fields);
        lines.push('\n');
    }
    lines
}

/// The look of a table, decided once per call.
#[derive(Clone, Copy)]
struct Paint {
    color: bool,
    /// Whether control characters are escaped.
    terminal: bool,
}

/// Whether output to this descriptor is in colour by default.
pub fn is_colored(fd: BorrowedFd) -> bool {
    fds::is_terminal(fd) && !is_color_refused()
}

fn is_color_refused() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Colours the tag of a line by its number.
pub fn tinted(text: &str, number: usize) -> String {
    use AnsiColors::{Blue, Cyan, Green, Magenta, Red, Yellow};
    let colors = [Cyan, Yellow, Green, Magenta, Blue, Red];
    text.color(colors[number % colors.len()]).to_string()
}

impl Paint {
    fn decide(when: Option<Color>) -> Self {
        let terminal = fds::is_terminal(fds::stdout());
        let color = match when {
            Some(Color::Always) => true,
            Some(Color::Never) => false,
            Some(Color::Auto) | None => is_colored(fds::stdout()),
        };
        Self { color, terminal }
    }

    fn title(self, text: &str) -> String {
        if self.color { text.bold().to_string() } else { text.to_owned() }
    }
}

/// Checks that standard output is open for writing, before a verb takes or creates something that it then prints.
///
/// # Errors
/// `EBADF`: it is closed, or open for reading only.
pub fn require() -> anyhow::Result<()> {
    fds::can_write(fds::stdout()).context("cannot write to standard output")
}

/// Writes all bytes to standard output. If the reader has closed it, SIGPIPE kills the process, as any filter.
///
/// # Errors
/// Those of write(2).
pub fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let written = fds::write_all(fds::stdout(), bytes).map_err(Cause::plain);
    written.context("cannot write to standard output")
}

impl Quiet {
    /// Checks that the answer can be printed, before the verb acts.
    ///
    /// # Errors
    /// `EBADF`: standard output is not open for writing.
    pub fn can_answer(self) -> anyhow::Result<()> {
        if self.quiet.is_some() { Ok(()) } else { require() }
    }

    /// Prints the answer of a verb: the id, name or pid of what it created.
    ///
    /// # Errors
    /// Those of writing to standard output.
    pub fn answer(self, answer: &[u8]) -> anyhow::Result<()> {
        if self.quiet.is_some() { Ok(()) } else { print(&[answer, b"\n"].concat()) }
    }
}

/// The name that ipcbox was called by, the prefix of messages.
static CALLED: OnceLock<&'static str> = OnceLock::new();

/// Sets the prefix of messages: `sem`, `ipcs`. Later calls have no effect.
pub fn called(name: &'static str) {
    let _ = CALLED.set(name);
}

fn prefix() -> &'static str {
    CALLED.get().copied().unwrap_or("ipcbox")
}

/// Returns the line of a warning.
pub fn warning(words: impl Display) -> String {
    line(prefix(), words)
}

/// Prints a warning.
pub fn warn(words: impl Display) {
    write(&warning(words), |text| prefixes(text, AnsiColors::Yellow));
}

/// Prints a hint about the warning before it.
pub fn hint(words: impl Display) {
    write(&line("hint", words), |text| prefixes(text, AnsiColors::Yellow));
}

/// Prints a failure.
pub fn report(error: &anyhow::Error) {
    write(&lines(prefix(), error), |text| prefixes(text, AnsiColors::Red));
}

/// Prints lines on standard error. On a terminal, control characters in them are escaped.
pub fn to_stderr(text: &str) {
    write(text, str::to_owned);
}

/// Writes lines to standard error in one call, with `paint` applied on a terminal. A failed write cannot be reported.
fn write(text: &str, paint: impl FnOnce(&str) -> String) {
    let _ = if fds::is_terminal(fds::stderr()) {
        let text = visible(text, &['\n']);
        let text = if is_color_refused() { text } else { paint(&text) };
        fds::write_all(fds::stderr(), text.as_bytes())
    } else {
        fds::write_all(fds::stderr(), text.as_bytes())
    };
}

/// Colours the prefix of each line: `hint:`, or the applet's name.
fn prefixes(text: &str, color: AnsiColors) -> String {
    let painted = text.split_inclusive('\n').map(|line| match line.split_once(": ") {
        Some(("hint", rest)) => format!("{} {rest}", "hint:".cyan()),
        Some((who, rest)) => format!("{} {rest}", format!("{who}:").color(color).bold()),
        None => line.to_owned(),
    });
    painted.collect()
}
