//! The README's console blocks, run as they stand and compared.

use crate::support::{World, skip};

const README: &str = include_str!("../README.md");

/// The text of each block of this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    README.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn console_blocks_print_what_they_say() {
    let world = World::new();
    if !world.is_own() {
        return skip("the README's names want an IPC namespace");
    }
    let blocks = blocks("console");
    assert!(blocks.len() >= 6);
    for block in blocks {
        let calls: Vec<(&str, &str)> = block
            .split("\n$ ")
            .map(|call| call.trim_start_matches("$ "))
            .map(|call| call.split_once('\n').unwrap_or((call, "")))
            .collect();
        // One shell for the block; what each line prints is ended by a NUL.
        let lines: Vec<&str> = calls.iter().map(|(line, _)| *line).collect();
        let script = format!("{}\nprintf '\\000'\n", lines.join("\nprintf '\\000'\n"));
        let printed = world.program("/bin/sh").args(["-c", &format!("exec 2>&1\n{script}")]).ok();
        let printed: Vec<&str> = printed.split_terminator('\0').collect();
        assert_eq!(printed.len(), calls.len(), "{block}");
        for ((line, expected), printed) in calls.iter().zip(printed) {
            assert_eq!(printed.trim_end(), expected.trim_end(), "$ {line}");
        }
    }
}

#[test]
fn the_set_up_is_two_commands_and_the_second_is_the_tests() {
    let set_up = README.split("## Set-up").nth(1).unwrap().split("\n## ").next().unwrap();
    let commands: Vec<&str> =
        set_up.split("```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect();
    assert_eq!(commands.len(), 2);
    assert!(commands[0].contains("cargo run") && commands[0].contains("find src"));
    assert_eq!(commands[1], "cargo test");
}

#[test]
fn shell_blocks_are_sound() {
    let world = World::new();
    for block in blocks("sh") {
        world.program("/bin/sh").args(["-n", "-c", block]).ok();
    }
    // The example of one instance holds in a script, as it stands.
    let script = format!(
        "#!/bin/sh\n{}\necho ran\n",
        blocks("sh").iter().find(|b| b.contains("hold nightly")).unwrap()
    );
    if world.is_own() {
        let path = world.script("nightly", &script);
        let printed = world.program(&path).ok();
        assert!(printed.ends_with("ran\n"), "{printed}");
    }
}
