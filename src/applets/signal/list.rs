//! `signal list`: the table of signals, and a lookup by name, number, exit status or mask.

use anyhow::Result;
use clap::Args;

use crate::applets::Verb;
use crate::args::format::Showing;
use crate::args::signals::{action, all, mask, meaning, name, parse};
use crate::exit::{Cause, Exit, each};
use crate::output::{self, Cell, Column};
use crate::sys::signal::{Set, Signal};

/// Without SPEC, lists every signal with its number, default action and meaning. Translates each SPEC to one line: a
/// number or an exit status above 128 to a signal name, and a signal name to a number. For a mask, prints the names of
/// all signals in it. With --json or --columns, SPEC selects rows of the table.
#[derive(Args)]
pub struct List {
    /// Name, number, exit status above 128, or mask (0x4002)
    ///
    /// Separate several SPECs with commas: INT,TERM. A mask is hexadecimal, as in /proc/PID/status and ps -s.
    #[arg(value_name = "SPEC", value_delimiter = ',', allow_negative_numbers = true)]
    specs: Vec<String>,
    #[command(flatten)]
    showing: Showing,
}

impl Verb for List {
    const NAME: &'static str = "list";
    const SUMMARY: &'static str = "Show signals, or look up a name, number, status or mask";
    const EXAMPLES: &'static str = "
# Look up a signal name, an exit status and a mask from /proc
ipcbox signal list TERM 137 0x4002
";

    fn run(self) -> Result<Exit> {
        if self.specs.is_empty() {
            let all: Vec<Signal> = all().collect();
            output::show(&COLUMNS, &all, &self.showing, false)?;
            return Ok(Exit::Done);
        }
        let rows = self.showing.json || self.showing.columns.is_some();
        let mut answers = Vec::new();
        let mut found = Vec::new();
        let exit = each(&self.specs, |spec| {
            let (answer, set) = read(spec).map_err(|words| Cause::new(Exit::Usage, words))?;
            answers.push(answer + "\n");
            found.extend(set.iter());
            Ok(())
        });
        if rows {
            output::show(&COLUMNS, &found, &self.showing, false)?;
        } else {
            output::print(answers.concat().as_bytes())?;
        }
        exit
    }
}

const COLUMNS: [Column<Signal>; 4] = [
    Column::new("number", |signal| signal.number().into()),
    Column::new("signal", |signal| Cell::Text(name(*signal))),
    Column::new("action", |signal| Cell::word(action(*signal).name())),
    Column::new("meaning", |signal| Cell::word(meaning(*signal))),
];

/// Returns the bare answer, and the signals in it.
fn read(spec: &str) -> Result<(String, Set), String> {
    if spec.starts_with("0x") || spec.starts_with("0X") {
        let set = mask(spec)?;
        return Ok((crate::args::signals::names(set), set));
    }
    let number: Option<i32> = spec.parse().ok();
    let is_status = number.is_some_and(|number| (129..=192).contains(&number));
    let signal = match number {
        Some(status) if is_status => parse(&(status - 128).to_string())?,
        Some(other) if other > Signal::MAX => {
            return Err(format!(
                "{spec} is neither a signal (1 to 64) nor the status of a killed process (129 to 192)"
            ));
        }
        _ => parse(spec)?,
    };
    let answer = if number.is_some() { name(signal) } else { signal.number().to_string() };
    Ok((answer, Set::from_iter([signal])))
}
