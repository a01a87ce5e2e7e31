//! How options and command lines are written: one notation for help, messages and manual pages.

use clap::{Arg, ArgAction, Command};

/// Returns whether an option takes a value, or may take one.
pub fn has_value(arg: &Arg) -> bool {
    arg.get_action().takes_values() && arg.get_num_args().is_none_or(|count| count.takes_values())
}

/// Returns the name of a value or of a positional argument: `DURATION`, `TARGET`.
pub fn value_name(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    names.first().map_or_else(|| arg.get_id().as_str().to_uppercase(), ToString::to_string)
}

/// Returns what surrounds the value of an option: ` ` and nothing, `[=` and `]`, or ` [` and `]`.
pub fn around_value(arg: &Arg) -> (&'static str, &'static str) {
    let is_optional = arg.get_num_args().is_some_and(|range| range.min_values() == 0);
    match (is_optional, arg.is_require_equals_set()) {
        (true, true) => ("[=", "]"),
        (true, false) => (" [", "]"),
        (false, _) => (" ", ""),
    }
}

/// Returns the value of an option as it follows the name: ` DURATION`, `[=INTERVAL]`, ` [KIND]`; nothing for a flag.
fn value(arg: &Arg) -> String {
    if !has_value(arg) {
        return String::new();
    }
    let (before, after) = around_value(arg);
    format!("{before}{}{after}", value_name(arg))
}

/// Returns an option with its value, the long names below each other: `-w, --timeout DURATION`, `    --slots N`.
pub fn term(arg: &Arg) -> String {
    let short = arg.get_short().map_or("  ".to_owned(), |letter| format!("-{letter}"));
    let long = arg.get_long().map_or_else(String::new, |name| format!("--{name}"));
    let comma = if arg.get_short().is_some() && arg.get_long().is_some() { ", " } else { "  " };
    format!("{short}{comma}{long}").trim_end().to_owned() + &value(arg)
}

/// Returns one option as a synopsis has it: `--slots N`, or with `short` and a letter `-w DURATION`.
pub fn brief(arg: &Arg, short: bool) -> String {
    let name = match (arg.get_short(), arg.get_long()) {
        (Some(letter), None) => format!("-{letter}"),
        (Some(letter), _) if short => format!("-{letter}"),
        (_, long) => format!("--{}", long.unwrap_or_default()),
    };
    name + &value(arg)
}

/// Returns the positional arguments and CMD, each as a synopsis has it: `TARGET`, `[VALUE]...`, `-- CMD [ARG]...`.
pub fn operands(parser: &Command) -> Vec<String> {
    // Stages are CMDs with a word between them.
    let has_stages = parser.get_arguments().any(|arg| arg.get_id() == "sep");
    let written = |arg: &Arg| {
        let name = value_name(arg);
        let required = arg.is_required_set();
        if arg.is_last_set() {
            let stages = match has_stages {
                true if name == "SERVER" => " ::: CMD [ARG]...",
                true => " [::: CMD [ARG]...]...",
                false => "",
            };
            let command = format!("-- {name} [ARG]...{stages}");
            return if required { command } else { format!("[{command}]") };
        }
        let dots = if matches!(arg.get_action(), ArgAction::Append) { "..." } else { "" };
        if required { format!("{name}{dots}") } else { format!("[{name}]{dots}") }
    };
    parser.get_positionals().map(written).collect()
}

/// Returns the line that shows how a verb is called: `ipcbox sem run [OPTION]... TARGET -- CMD [ARG]...`.
pub fn usage(parser: &Command, called: &str) -> String {
    let options = parser.get_arguments().filter(|arg| !arg.is_positional() && !arg.is_hide_set());
    let options: Vec<&Arg> = options.collect();
    let any = if options.is_empty() { Vec::new() } else { vec!["[OPTION]...".to_owned()] };
    let required = options.iter().filter(|arg| arg.is_required_set()).map(|arg| brief(arg, false));
    let words = [called.to_owned()].into_iter().chain(any).chain(required).chain(operands(parser));
    words.collect::<Vec<_>>().join(" ")
}
