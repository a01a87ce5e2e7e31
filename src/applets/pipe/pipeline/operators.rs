//! Operators of a shell among a command's arguments (`pipe run -- ls '|' wc`): passed on, and explained if it fails.

use std::path::Path;

use crate::applets::pipe::pipeline::stage::Stage;
use crate::exit::{Cause, Exit};
use crate::supervise::command::Command;
use crate::sys::process::wait_status::Ended;
use crate::text::quote;

/// Operators with a command after them.
const LINKS: [&str; 5] = ["|", "|&", "&&", "||", ";"];
/// Operators with a file after them, to which a shell writes.
const OUTPUTS: [&str; 5] = [">", ">>", "2>", "2>>", "&>"];

/// Returns the failure of `stage` if it exited with an error and got an operator as an argument.
pub fn explain(verb: &str, stages: &[Stage], stage: &Stage, ended: Ended) -> Option<Cause> {
    let Ended::Exited(status) = ended else { return None };
    let operator = *mistaken(&words(stage)).first()?;
    let commands: Vec<Vec<String>> = stages.iter().map(words).collect();
    let has_only_pipes = commands.iter().all(|words| mistaken(words).iter().all(|operator| *operator == "|"));
    let hint = if verb == "run" && has_only_pipes {
        let lines: Vec<String> = commands.iter().map(|words| line(words, |_| ":::")).collect();
        format!("ipcbox pipe run -- {}", lines.join(" ::: "))
    } else {
        let lines: Vec<String> = commands.iter().map(|words| quote(&line(words, |operator| operator))).collect();
        format!("ipcbox pipe {verb} --shell {}", lines.join(" "))
    };
    let words = format!("{stage} exited with status {status}; '{operator}' was passed to it as an argument");
    Some(Cause::new(Exit::Command(status), words).hint(hint))
}

fn words(stage: &Stage) -> Vec<String> {
    stage.argv().iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

/// Returns the operators among the arguments that were meant for a shell.
fn mistaken(words: &[String]) -> Vec<&'static str> {
    (0..words.len()).filter_map(|place| operator(words, place)).collect()
}

/// Returns a command for a shell, with `shown` instead of each operator that was meant for one.
fn line(words: &[String], shown: impl Fn(&'static str) -> &'static str) -> String {
    let word = |place| operator(words, place).map_or_else(|| quote(&words[place]), |operator| shown(operator).into());
    (0..words.len()).map(word).collect::<Vec<_>>().join(" ")
}

/// Returns the operator at `place` if it was meant for a shell.
fn operator(words: &[String], place: usize) -> Option<&'static str> {
    let (word, next) = (words.get(place).filter(|_| place > 0)?, words.get(place + 1)?);
    let is_in = |operators: &[&'static str]| operators.iter().copied().find(|operator| operator == word);
    // `grep '|' FILE` is a right call that fails if it finds nothing, also if FILE has the name of a command. After a
    // bare `>`, a shell would empty FILE.
    let may_be_file = || Path::new(next).try_exists().unwrap_or(true);
    let is_command = || Command::find(vec![next.into()]).is_ok();
    is_in(&["<"])
        .or_else(|| is_in(&OUTPUTS).filter(|_| !may_be_file()))
        .or_else(|| is_in(&LINKS).filter(|_| !may_be_file() && is_command()))
}
