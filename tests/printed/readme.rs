//! The examples of the README.

use super::Example;
use crate::support::shellcheck;

const README: &str = include_str!("../../README.md");

/// Returns the blocks of shell, with the directives in the comments before them.
fn examples() -> Vec<Example> {
    let mut examples = Vec::new();
    let mut next = Example::default();
    let mut lines = README.lines();
    while let Some(line) = lines.next() {
        if let Some(directive) = line.strip_prefix("<!-- %") {
            next.direct(&format!("%{}", directive.trim_end_matches(" -->")));
        } else if line.starts_with("```") {
            let inside = lines.by_ref().take_while(|line| *line != "```");
            next.text = inside.collect::<Vec<_>>().join("\n") + "\n";
            if line == "```sh" || line == "```console" {
                examples.push(std::mem::take(&mut next));
            }
        }
    }
    examples
}

#[test]
fn commands_print_what_is_shown() {
    let examples = examples();
    assert!(examples.len() >= 6);
    examples.iter().for_each(Example::run);
}

#[test]
fn examples_are_sound_shell() {
    shellcheck(examples().iter().map(Example::script));
}

#[test]
fn set_up_is_two_commands() {
    let set_up = README.split("## Set-up").nth(1).unwrap().split("\n## ").next().unwrap();
    let commands: Vec<&str> = set_up.split("```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect();
    assert_eq!(commands.len(), 2);
    assert!(commands[0].contains("cargo run") && commands[0].contains("find src"));
    assert_eq!(commands[1], "cargo test");
}
