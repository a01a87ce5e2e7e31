//! The completions: a small engine for each shell, and one table, rendered here, of everything they offer.
//!
//! The table has a text for each place on a command line: `.` for ipcbox, the name of an applet, `APPLET_VERB` for a
//! verb, and `APPLET_VERB--holders` for what follows an option that selects other columns. A row of it has three fields:
//! words (`-w,--timeout`; `#1` and `#*` for arguments by place, `--` for a command); the kind of the value; and the
//! description.
//!
//! The kind is empty if there is no value. It begins with `=` if the value is one of these words, with `,` if it is a
//! list of them, with `?` if it is optional, and with `/` if it can also be a file. After `+` it is the kind of the objects that follow, and after `@` the
//! place that follows.

use clap::{Arg, ArgAction};
use ipcbox::applets::topics::TOPICS;
use ipcbox::applets::{APPLETS, Applet, Entry, PRINT_HELP, WORDS};
use ipcbox::args::signals;

use super::verb::columns;
use super::{Rendered, committed};

/// Returns the kind of an argument's value, as the engines name it. `columns` are those of the verb's records.
fn kind(place: &str, parser: &clap::Command, arg: &Arg, columns: &str) -> String {
    let words = arg.get_possible_values();
    if !words.is_empty() {
        let names: Vec<&str> = words.iter().map(clap::builder::PossibleValue::get_name).collect();
        return format!("={}", names.join(","));
    }
    let (applet, verb) = place.split_once('_').unwrap_or((place, ""));
    let object = match applet {
        "msgq" => "msg",
        "sem" | "shm" => applet,
        _ => "ipc",
    };
    let of = match arg.get_id().as_str().split_once('-') {
        Some(("shmem", _)) => "shm",
        Some(("queue", _)) => "msg",
        Some(("semaphore", _)) => "sem",
        _ => "ipc",
    };
    let name = arg.get_value_names().and_then(<[_]>::first).map_or("", |name| name.as_str());
    match name {
        // Objects or files.
        "TARGET" if place == "sem_create" => "/new".into(),
        "TARGET" if verb == "create" => "new".into(),
        "TARGET" if place == "key" => "key".into(),
        "TARGET" => match place {
            "sem_run" => "/sem-slots".into(),
            "sem_lock" => "/sem-lock".into(),
            "sem_rm" | "sem_stat" => "/sem".into(),
            "sem_barrier" => "sem-barrier".into(),
            // No POSIX semaphores.
            "sem_hold" => "/sem-set".into(),
            "sem_op" => "sem-set".into(),
            _ => object.into(),
        },
        "SEM" => "sem".into(),
        "ID" => format!("{of}-id"),
        "KEY" => format!("{of}-key"),
        "GLOB" => format!("{of}-name"),
        "KIND" => "=shm,msg,sem".into(),
        "PATH" if verb == "create" => "file".into(),
        "PATH" if applet == "sock" => "socket".into(),
        "ADDR" => "address".into(),
        "PATH" => "fifo".into(),
        "PIPE" => "pipe".into(),
        "FILE" => "file".into(),
        "DIR" | "PREFIX" => "dir".into(),
        "PID" => "pid".into(),
        "SIG" | "SIG[:D]" | "SIG=CMDLINE" | "L" | "A=B" | "SPEC" => "signal".into(),
        "USER" | "USER[:GROUP]" | "WHO" => "user".into(),
        "APPLET" => "applet".into(),
        "A,B" => format!(",{columns}"),
        "COLUMN" => format!("={columns}"),
        "PAGE" => {
            let applets = APPLETS.iter().map(|applet| applet.name);
            format!("={}", applets.chain(["ipcbox", "cookbook"]).collect::<Vec<_>>().join(","))
        }
        "CMD" | "SERVER" if parser.get_opts().any(|arg| arg.get_long() == Some("sep")) => "stages".into(),
        "CMD" => "command".into(),
        choice if choice.contains('|') => format!("={}", choice.replace('|', ",")),
        // Numbers, durations, sizes and texts, for which there is nothing to offer.
        "CMDLINE" | "COUNT" | "D" | "DURATION" | "F" | "INDEX:DELTA" | "INTERVAL" | "K" | "LABEL" | "MESSAGE"
        | "MODE" | "N" | "NAME" | "NEW" | "OLD" | "P" | "RATE" | "RECORDS" | "SIZE" | "TEXT" | "TYPE" | "V,V"
        | "VALUE" | "WORD" => "-".into(),
        other => panic!("{place}: the kind of {other} is unknown"),
    }
}

/// Returns the kind of the objects after this option, if it selects one.
fn narrows(place: &str, arg: &Arg) -> String {
    match (place, arg.get_long()) {
        ("ipcs-lite" | "ipcrm-lite" | "ipcrm", Some("shm" | "shmems")) => "+shm".into(),
        ("ipcs-lite" | "ipcrm-lite" | "ipcrm", Some("msg" | "queues")) => "+msg".into(),
        ("ipcs-lite" | "ipcrm-lite" | "ipcrm", Some("sem" | "semaphores")) => "+sem".into(),
        _ => String::new(),
    }
}

fn row(words: &str, value: &str, text: &str) -> String {
    format!("{words}\t{value}\t{text}")
}

/// Returns the place of a verb and those after its options, with their rows.
fn of_verb(place: &str, verb: &Entry) -> Vec<(String, Vec<String>)> {
    let mut parser = verb.parser("ipcbox", &[]);
    parser.build();
    let mut lists = columns(&format!("ipcbox {}", place.replacen('_', " ", 1)), &parser);
    if lists.is_empty() {
        lists.push(Default::default());
    }
    if parser.get_arguments().any(|arg| arg.get_id() == "leaks") {
        lists.push((vec!["--leaks"], lists[0].1.clone()));
    }
    let name = |modes: &[&str]| format!("{place}{}", modes.first().unwrap_or(&""));
    let other = |arg: &Arg| {
        let long = format!("--{}", arg.get_long()?);
        let (modes, _) = lists.iter().find(|(modes, _)| modes.contains(&&*long))?;
        Some(format!("@{}", name(modes)))
    };
    let rows = |modes: &[&str], columns| {
        let mut rows = rows(place, &parser, columns, other);
        // It takes no TARGET, so that -- is offered.
        rows.retain(|row| !modes.contains(&"--leaks") || !row.starts_with("#*"));
        rows
    };
    lists.iter().map(|(modes, columns)| (name(modes), rows(modes, columns))).collect()
}

/// Returns the rows of one place. `other` returns the place that follows an option, if it is another one.
fn rows(place: &str, parser: &clap::Command, columns: &str, other: impl Fn(&Arg) -> Option<String>) -> Vec<String> {
    let mut number = 0;
    let rows = parser.get_arguments().filter(|arg| !arg.is_hide_set()).map(|arg| {
        let values = arg.get_num_args().unwrap_or_default();
        let value = match (arg.get_action().takes_values(), values.min_values()) {
            (false, _) => other(arg).unwrap_or_else(|| narrows(place, arg)),
            _ if values.max_values() == 0 => narrows(place, arg),
            (true, 0) if arg.is_require_equals_set() => String::new(),
            (true, 0) if !arg.is_positional() => format!("?{}", kind(place, parser, arg, columns)),
            _ => kind(place, parser, arg, columns),
        };
        let names = if arg.is_last_set() {
            "--".into()
        } else if arg.is_positional() {
            number += 1;
            match arg.get_action() {
                ArgAction::Append => "#*".into(),
                _ => format!("#{number}"),
            }
        } else {
            let short = arg.get_short().map(|short| format!("-{short}"));
            let long = arg.get_long().map(|long| format!("--{long}"));
            short.into_iter().chain(long).collect::<Vec<_>>().join(",")
        };
        let is_help = arg.get_id() == "help";
        let text = if is_help { PRINT_HELP.to_owned() } else { arg.get_help().unwrap().to_string() };
        row(&names, &value, &text)
    });
    rows.collect()
}

/// Returns every place with its rows, or `>` and the name of another place that has the same rows.
fn table() -> Vec<(String, String)> {
    let verbs = |entries: &[Entry]| -> Vec<String> {
        entries.iter().map(|verb| row(verb.name, "verb", verb.summary)).collect()
    };
    let help = row("-h,--help", "", PRINT_HELP);
    let version = row("-V,--version", "", "Print the version");
    let applets = APPLETS.iter().map(|applet| row(applet.name, "verb", applet.summary));
    let mut own: Vec<String> = applets.chain(verbs(WORDS)).collect();
    own.extend([
        row("help", "verb", "Explain an applet, a verb or a topic"),
        row("--list", "verb", "Print the names of the applets"),
        row("--version", "verb", "Print the version"),
        row("-V", "", "Print the version"),
        help.clone(),
    ]);
    let topics = TOPICS.into_iter().map(|(name, text)| row(name, "verb", text));
    let explained = own.iter().cloned().chain(topics).collect();
    let verbose = row("-v,--verbose", "", "Also print kernel features and limits");
    let mut places =
        vec![(".".to_owned(), own), ("help".to_owned(), explained), ("--version".to_owned(), vec![verbose])];
    for applet in APPLETS {
        if applet.alone(applet.name).is_some() {
            for verb in applet.verbs {
                let mut own = of_verb(verb.name, verb);
                for (_, rows) in &mut own {
                    rows.push(version.clone());
                }
                let rows = own[0].1.clone();
                places.extend(own);
                places.extend(verb.aliases.iter().map(|name| ((*name).to_owned(), rows.clone())));
            }
            continue;
        }
        let mut own = verbs(applet.verbs);
        own.extend([row("help", "verb", "Explain a verb"), version.clone(), help.clone()]);
        places.push((applet.name.to_owned(), own.clone()));
        places.push((format!("{}_help", applet.name), own.clone()));
        places.push((format!("help_{}", applet.name), own));
        for verb in applet.verbs {
            places.extend(of_verb(&format!("{}_{}", applet.name, verb.name), verb));
        }
    }
    places.extend(WORDS.iter().flat_map(|word| of_verb(word.name, word)));
    let signals = signals::all().map(|signal| row(&signals::name(signal), "-", signals::meaning(signal)));
    places.push(("signals".into(), signals.collect()));
    let mut table: Vec<(String, String)> = Vec::new();
    for (place, rows) in places {
        let text = rows.join("\n");
        let same = table.iter().find(|(_, other)| *other == text);
        let text = same.map_or(text, |(other, _)| format!(">{other}"));
        table.push((place, text));
    }
    table
}

/// Returns the names by which ipcbox can be called.
fn names() -> String {
    let names = APPLETS
        .iter()
        .flat_map(Applet::names)
        .flat_map(|name| ["", "ipcbox-", "ipc-"].map(|prefix| format!("{prefix}{name}")));
    ["ipcbox".to_owned()].into_iter().chain(names).collect::<Vec<_>>().join(" ")
}

#[test]
fn completions_match_the_tables() {
    let posix = |(place, rows): (String, String)| format!("[{place}]='{}'\n", rows.replace('\'', r"'\''"));
    let fish = |(place, rows): (String, String)| {
        let rows = rows.replace('\\', r"\\").replace('\'', r"\'");
        format!("        case {place}\n            echo '{rows}'\n")
    };
    let fill = |engine: &str, table: String| engine.replace("@NAMES@", &names()).replace("@TABLE@\n", &table);
    let table = table();
    let words: String = table.iter().cloned().map(posix).collect();
    let cases = table.into_iter().map(fish).collect();
    let rendered = [
        ("ipcbox.bash", fill(include_str!("../../completions/src/engine.bash"), words.clone())),
        ("_ipcbox", fill(include_str!("../../completions/src/engine.zsh"), words)),
        ("ipcbox.fish", fill(include_str!("../../completions/src/engine.fish"), cases)),
    ];
    let rendered = rendered.map(|(name, text)| (name.to_owned(), text));
    committed("completions", &Rendered::from(rendered), &Rendered::new());
}
