//! Operators of a shell among the arguments of a command, as in `pipe run -- ls '|' wc`: passed on as they are, and
//! explained if the command fails.

use std::path::Path;

use crate::applets::pipe::pipeline::stage::Stage;
use crate::exit::{Cause, Exit};
use crate::supervise::command::Command;
use crate::sys::process::wait_status::Ended;
use crate::text::quote;

/// Operators with a command after them.
const LINKS: [&str; 5] = ["|", "|&", "&&", "||", ";"];
/// Operators with a file after them.
const REDIRECTIONS: [&str; 6] = [">", ">>", "<", "2>", "2>>", "&>"];

/// Returns the failure of `stage` if it exited with an error and got an operator as an argument.
pub fn explain(verb: &str, stages: &[Stage], stage: &Stage, ended: Ended) -> Option<Cause> {
    let Ended::Exited(status) = ended else { return None };
    let words = words(stage);
    // `grep '|' FILE` is a right call that fails if it finds nothing, also if FILE has the name of a command.
    let is_mistaken = |pair: &&[String]| {
        let is_command = || !Path::new(&pair[1]).exists() && Command::find(vec![(&pair[1]).into()]).is_ok();
        REDIRECTIONS.contains(&&*pair[0]) || LINKS.contains(&&*pair[0]) && is_command()
    };
    let operator = words.windows(2).skip(1).find(is_mistaken)?[0].as_str();
    let line = |stage: &Stage| self::words(stage).iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = stages.iter().map(line).collect();
    let hint = if verb == "run" && operator == "|" {
        format!("ipcbox pipe run -- {}", lines.join(" ::: ").replace(" | ", " ::: "))
    } else {
        let lines = lines.iter().map(|line| quote(line)).collect::<Vec<_>>();
        format!("ipcbox pipe {verb} --shell {}", lines.join(" "))
    };
    let words = format!("{stage} exited with status {status}; '{operator}' was passed to it as an argument");
    Some(Cause::new(Exit::Command(status), words).hint(hint))
}

fn words(stage: &Stage) -> Vec<String> {
    stage.argv().iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

fn shell_word(word: &str) -> String {
    if LINKS.contains(&word) || REDIRECTIONS.contains(&word) { word.to_owned() } else { quote(word) }
}
