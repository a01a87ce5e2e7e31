//! Floor 4: the one writer to standard output, the ways to show a record, and warnings.
//!
//! An applet gathers records and lists their columns in a table; what is printed, a table, a field a line or JSON
//! Lines, is a loop over that table.

mod cell;
mod data;
mod help;
mod lines;
mod names;
pub mod notice;

use std::fmt::Display;
use std::os::fd::BorrowedFd;
use std::slice;
use std::sync::OnceLock;

use anyhow::Context;

use crate::args::format::{Color, Showing, Streaming};
use crate::args::timeout::Quiet;
use crate::exit::{Cause, lines};
use crate::sys::{fds, terminal};
use crate::text::{line, pad, pad_left, visible, width};
pub use cell::Cell;
pub use data::json_data;
pub use lines::Lines;
pub use names::Names;

/// One column of a kind of record.
pub struct Column<R> {
    /// Its key in JSON, in lower snake case; in capitals it is the title.
    pub key: &'static str,
    /// Whether a table has it without `--columns`. JSON and a single record always have it.
    pub in_table: bool,
    /// Its value.
    pub get: fn(&R) -> Cell,
}

impl<R> Column<R> {
    /// A column that every form has.
    pub const fn new(key: &'static str, get: fn(&R) -> Cell) -> Self {
        let in_table = true;
        Self { key, in_table, get }
    }

    /// A column that a table has only when it is named.
    pub const fn detail(key: &'static str, get: fn(&R) -> Cell) -> Self {
        let in_table = false;
        Self { key, in_table, get }
    }
}

/// Prints records. `single` is whether the user asked for one thing, which is shown a field a line.
///
/// Columns for which no record has a value are left out, unless they are named. Nothing to tell is no line.
///
/// # Errors
/// A column that the records do not have is wrong usage; a failed write is told with its cause.
pub fn show<R>(columns: &[Column<R>], records: &[R], how: &Showing, single: bool) -> anyhow::Result<()> {
    let one = single && records.len() == 1 && how.columns.is_none() && !how.no_header;
    let chosen = choose(columns, records, how, one)?;
    if how.json {
        // Some at a time: there can be very many.
        let mut some = records.chunks(256);
        return some.try_for_each(|some| print(json_lines(&chosen, some).as_bytes()));
    }
    let rows: Vec<Vec<Cell>> =
        records.iter().map(|record| chosen.iter().map(|column| (column.get)(record)).collect()).collect();
    let keys: Vec<&str> = chosen.iter().map(|column| column.key).collect();
    let paint = Paint::decide(how.color);
    let text = match &rows[..] {
        [] => return Ok(()),
        [row] if one => fields(&keys, row, paint),
        rows => table(&keys, rows, how.no_header, paint),
    };
    print(text.as_bytes())
}

/// Prints help: lines that fit the terminal, in bold where standard output has colour.
///
/// # Errors
/// A failed write.
pub fn help(text: &str) -> anyhow::Result<()> {
    let text = help::wrap(text, terminal::columns(fds::stdout()).unwrap_or(help::USUAL));
    let text = if is_colored(fds::stdout()) { help::paint(&text) } else { text };
    print(text.as_bytes())
}

/// Records as JSON Lines, with all their columns.
pub fn json<R>(columns: &[Column<R>], records: &[R]) -> String {
    json_lines(&columns.iter().collect::<Vec<_>>(), records)
}

/// The columns of records that come one after the other.
pub struct Stream<'a, R> {
    columns: Vec<&'a Column<R>>,
    /// Fields that a record does not have are left out.
    drop_absent: bool,
    json: bool,
    terminal: bool,
}

impl<'a, R> Stream<'a, R> {
    /// Those of `columns` that are asked for.
    ///
    /// # Errors
    /// A column that the records do not have is wrong usage.
    pub fn new(columns: &'a [Column<R>], how: &Streaming) -> anyhow::Result<Self> {
        let (json, drop_absent) = (how.json, how.columns.is_none());
        let columns = match &how.columns {
            Some(names) => named(columns, names)?,
            None => columns.iter().filter(|column| json || column.in_table).collect(),
        };
        let terminal = fds::is_terminal(fds::stdout());
        Ok(Self { columns, drop_absent, json, terminal })
    }

    /// Prints these records in one write, a line each; a table's fields are two blanks apart.
    ///
    /// # Errors
    /// A failed write.
    pub fn print(&self, records: &[R]) -> anyhow::Result<()> {
        let text: String = records.iter().map(|record| self.line(record)).collect();
        print(text.as_bytes())
    }

    fn line(&self, record: &R) -> String {
        if self.json {
            return json_lines(&self.columns, slice::from_ref(record));
        }
        let cells: Vec<Cell> = self.columns.iter().map(|column| (column.get)(record)).collect();
        let told = cells.iter().filter(|cell| !self.drop_absent || **cell != Cell::Absent);
        told.map(|cell| cell.text(self.terminal)).collect::<Vec<_>>().join("  ") + "\n"
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

/// The column of this name.
///
/// # Errors
/// There is none; those that there are is the hint.
pub fn column<'a, R>(columns: &'a [Column<R>], name: &str) -> anyhow::Result<&'a Column<R>> {
    let found = columns.iter().find(|column| column.key.eq_ignore_ascii_case(name));
    let unknown = || {
        let known: Vec<&str> = columns.iter().map(|column| column.key).collect();
        Cause::unknown("column", name, &known).hint(format!("there are {}", known.join(",")))
    };
    Ok(found.ok_or_else(unknown)?)
}

fn json_lines<R>(columns: &[&Column<R>], records: &[R]) -> String {
    let mut lines = String::new();
    for record in records {
        let fields = columns.iter().map(|column| (column.key, (column.get)(record)));
        cell::object(&mut lines, fields);
        lines.push('\n');
    }
    lines
}

fn fields(keys: &[&str], row: &[Cell], paint: Paint) -> String {
    let width = keys.iter().map(|key| key.len()).max().unwrap_or(0);
    let line = |(key, cell): (&&str, &Cell)| {
        let title = paint.title(&format!("{:width$}", key.to_uppercase()));
        format!("{title}  {}\n", cell.text(paint.terminal))
    };
    keys.iter().zip(row).map(line).collect()
}

fn table(keys: &[&str], rows: &[Vec<Cell>], no_header: bool, paint: Paint) -> String {
    let texts = |row: &Vec<Cell>| row.iter().map(|cell| cell.text(paint.terminal)).collect();
    let body: Vec<Vec<String>> = rows.iter().map(texts).collect();
    let titles: Vec<String> = keys.iter().map(|key| key.to_uppercase()).collect();
    let header = (!no_header).then_some(&titles);
    let lines = || header.into_iter().chain(&body);
    let column = |n: usize| {
        let width = lines().map(|line| width(&line[n])).max();
        let is_number = rows.iter().any(|row| row[n].is_number());
        (width.unwrap_or(0), is_number)
    };
    let columns: Vec<(usize, bool)> = (0..keys.len()).map(column).collect();
    let padded = |line: &Vec<String>| {
        let cells = line.iter().zip(&columns);
        let cells =
            cells.map(|(cell, (width, is_number))| if *is_number { pad_left(cell, *width) } else { pad(cell, *width) });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let header = header.map(|titles| paint.title(&padded(titles)));
    let lines = header.into_iter().chain(body.iter().map(padded));
    lines.map(|line| line + "\n").collect()
}

/// Whether there is colour and whether control characters are to be shown, decided once a call.
#[derive(Clone, Copy)]
struct Paint {
    color: bool,
    terminal: bool,
}

/// Whether there is colour on this descriptor, where the user said nothing.
pub fn is_colored(fd: BorrowedFd) -> bool {
    let refused = || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    fds::is_terminal(fd) && !refused()
}

/// A name before a line, in one of some colours.
pub fn tinted(text: &str, number: usize) -> String {
    use owo_colors::AnsiColors::{Blue, Cyan, Green, Magenta, Red, Yellow};
    let colors = [Cyan, Yellow, Green, Magenta, Blue, Red];
    owo_colors::OwoColorize::color(&text, colors[number % colors.len()]).to_string()
}

impl Paint {
    fn decide(when: Color) -> Self {
        let terminal = fds::is_terminal(fds::stdout());
        let color = match when {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_colored(fds::stdout()),
        };
        Self { color, terminal }
    }

    fn title(self, text: &str) -> String {
        if self.color { owo_colors::OwoColorize::bold(&text).to_string() } else { text.to_owned() }
    }
}

/// Checks that standard output is open for writing, before a verb takes or creates something that it must then print.
///
/// # Errors
/// `EBADF`: it is closed, or open for reading alone.
pub fn require() -> anyhow::Result<()> {
    fds::can_write(fds::stdout()).context("cannot write to standard output")
}

/// Writes to standard output, whole.
///
/// # Errors
/// The write's, with its cause; where standard output was closed early the process ends by SIGPIPE instead, as any
/// filter does.
pub fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let written = fds::write_all(fds::stdout(), bytes).map_err(Cause::plain);
    written.context("cannot write to standard output")
}

impl Quiet {
    /// Checks that the answer can be printed, before there is anything to answer.
    ///
    /// # Errors
    /// `EBADF`: standard output is not open for writing.
    pub fn can_answer(self) -> anyhow::Result<()> {
        if self.quiet { Ok(()) } else { require() }
    }

    /// Prints the answer of a verb that did its work: the id, name or pid of what it made.
    ///
    /// # Errors
    /// Those of writing to standard output.
    pub fn answer(self, answer: &[u8]) -> anyhow::Result<()> {
        if self.quiet { Ok(()) } else { print(&[answer, b"\n"].concat()) }
    }
}

/// The name that ipcbox was called by.
static CALLED: OnceLock<&'static str> = OnceLock::new();

/// Has messages begin with `name`, the name that ipcbox was called by: `sem`, `ipcs`. The first call counts.
pub fn called(name: &'static str) {
    let _ = CALLED.set(name);
}

/// The line that warns of this.
pub fn warning(words: impl Display) -> String {
    line(CALLED.get().copied().unwrap_or("ipcbox"), words)
}

/// Prints a warning.
pub fn warn(words: impl Display) {
    tell(&warning(words));
}

/// Prints what failed.
pub fn report(error: &anyhow::Error) {
    tell(&lines(CALLED.get().copied().unwrap_or("ipcbox"), error));
}

/// Writes lines to standard error, whole, in one call; what they tell of others cannot drive a terminal. That it
/// fails cannot be told anywhere.
pub fn tell(text: &str) {
    let _ = if fds::is_terminal(fds::stderr()) {
        fds::write_all(fds::stderr(), visible(text, &['\n']).as_bytes())
    } else {
        fds::write_all(fds::stderr(), text.as_bytes())
    };
}
