//! Rows of cells as a table, or one row with a line per field.

use super::{Cell, Paint};
use crate::text::width;

/// The texts of all cells, one after another: a listing can have hundreds of thousands.
pub(super) struct Grid<'a> {
    keys: &'a [&'a str],
    paint: Paint,
    text: String,
    /// Where each cell ends in the text, and its width in columns.
    cells: Vec<(usize, usize)>,
    /// The width of each column, and whether it is aligned to the right.
    columns: Vec<(usize, bool)>,
}

impl<'a> Grid<'a> {
    pub(super) fn new(keys: &'a [&'a str], paint: Paint) -> Self {
        Self { keys, paint, text: String::new(), cells: Vec::new(), columns: vec![(0, false); keys.len()] }
    }

    /// Appends the next cell of a row.
    pub(super) fn add(&mut self, cell: &Cell) {
        let start = self.text.len();
        cell.write(&mut self.text, self.paint.terminal);
        let width = width(&self.text[start..]);
        let (widest, is_number) = &mut self.columns[self.cells.len() % self.keys.len()];
        *widest = width.max(*widest);
        *is_number |= cell.is_number();
        self.cells.push((self.text.len(), width));
    }

    /// Returns the only row, a line per field.
    pub(super) fn fields(&self) -> String {
        let width = self.keys.iter().map(|key| key.len()).max().unwrap_or(0);
        let line = |(key, text): (&&str, &str)| {
            let title = self.paint.title(&format!("{:width$}", key.to_uppercase()));
            format!("{title}  {text}\n")
        };
        self.keys.iter().zip(self.texts().map(|(text, _)| text)).map(line).collect()
    }

    pub(super) fn table(mut self, no_header: bool) -> String {
        let mut lines = String::with_capacity(self.text.len() * 3);
        if !no_header {
            let titles: Vec<String> = self.keys.iter().map(|key| key.to_uppercase()).collect();
            for ((widest, _), title) in self.columns.iter_mut().zip(&titles) {
                *widest = title.len().max(*widest);
            }
            let mut header = String::new();
            self.line(&mut header, titles.iter().map(|title| (&**title, title.len())));
            lines.push_str(&self.paint.title(&header));
            lines.push('\n');
        }
        let mut texts = self.texts().peekable();
        while texts.peek().is_some() {
            self.line(&mut lines, texts.by_ref().take(self.keys.len()));
            lines.push('\n');
        }
        lines
    }

    /// Returns the text of each cell, and its width.
    fn texts(&self) -> impl Iterator<Item = (&str, usize)> {
        let mut start = 0;
        self.cells.iter().map(move |(end, width)| (&self.text[std::mem::replace(&mut start, *end)..*end], *width))
    }

    /// Appends a line without its end.
    fn line<'b>(&self, lines: &mut String, texts: impl Iterator<Item = (&'b str, usize)>) {
        let start = lines.len();
        for ((text, width), (widest, is_number)) in texts.zip(&self.columns) {
            let (before, after) = if *is_number { (widest - width, 0) } else { (0, widest - width) };
            blanks(lines, before);
            lines.push_str(text);
            blanks(lines, after + 2);
        }
        lines.truncate(start + lines[start..].trim_end().len());
    }
}

fn blanks(lines: &mut String, mut count: usize) {
    const MANY: &str = "                                ";
    while count > 0 {
        let some = count.min(MANY.len());
        lines.push_str(&MANY[..some]);
        count -= some;
    }
}
