//! The lines of the README for a Dockerfile, GitHub Actions, GitLab and systemd.

use std::fs;

use super::{README, REPOSITORY, VERSION, has, python};
use crate::support::{BINARY, World, shellcheck, skip};

/// Returns the blocks of the README in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let start = format!("\n```{language}\n");
    README.split(&start).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// Prints the commands of a step or of a job.
const COMMANDS: &str = "
import sys, yaml
found = yaml.safe_load(sys.stdin)
print(found[0]['run'] if isinstance(found, list) else '\\n'.join(found['test']['script']))
";

/// Returns the commands of the two YAML lines.
fn commands() -> Option<[String; 2]> {
    let [step, job] = blocks("yaml")[..] else { panic!("two lines of YAML") };
    Some([python(COMMANDS, step)?, python(COMMANDS, job)?])
}

#[test]
fn snippets_are_one_line_each() {
    for (language, count) in [("dockerfile", 1), ("yaml", 2), ("ini", 1)] {
        let blocks = blocks(language);
        assert_eq!(blocks.len(), count, "{language}");
        assert!(blocks.iter().all(|block| block.lines().count() == 1), "{blocks:#?}");
    }
}

#[test]
fn snippets_are_sound_shell() {
    if let Some(commands) = commands() {
        shellcheck(commands.into_iter());
    }
}

/// Runs them as printed, except that curl reads the release from a directory, and the prefix is one of the test.
#[test]
fn snippets_download_and_run_the_binary() {
    let Some([step, job]) = commands() else { return };
    if !has("curl") || !has("make") {
        return skip("needs curl and make");
    }
    let world = World::new();
    let path = format!("releases/download/v{VERSION}");
    fs::create_dir_all(world.dir().join(&path)).unwrap();
    world.copy(BINARY, &format!("{path}/ipcbox-x86_64"));
    let here = world.dir().display().to_string();
    let local = |text: &str| {
        assert!(text.contains(REPOSITORY), "{text}");
        text.replace(REPOSITORY, &format!("file://{here}"))
            .replace("sudo ", "")
            .replace("/usr/local", &format!("{here}/local"))
    };
    fs::create_dir(world.dir().join("local")).unwrap();
    let installed = world.program("sh").args(["-ec", &local(&step)]).output();
    assert!(installed.status.success(), "{installed:?}");
    world.program(world.dir().join("local/bin/sem")).args(["run", "--help"]).ok();
    world.file("Makefile", "test:\n\t@echo tested; setsid sleep 1000 &\n");
    let printed = world.program("sh").args(["-ec", &local(&job)]).output();
    assert_eq!(String::from_utf8_lossy(&printed.stdout), "tested\n", "{printed:?}");
    assert!(printed.status.success(), "{printed:?}");
}

#[test]
fn unit_is_valid_and_its_command_runs() {
    let world = World::new();
    let line = blocks("ini")[0];
    let script = world.script("nightly.sh", "#!/bin/sh\necho ran\n");
    let line = line.replace("/usr/local/bin/nightly.sh", script.to_str().unwrap());
    let line = line
        .replace("/usr/local/bin/ipcbox", BINARY)
        .replace("nightly --slots", &format!("{} --slots", world.name("nightly")));
    let command = line.trim().strip_prefix("ExecStart=").unwrap();
    world.program("sh").args(["-ec", command]).stdout("ran\n").ok();
    // While the task runs, a second call does nothing.
    let nested = command.replace(script.to_str().unwrap(), command);
    world.program("sh").args(["-ec", &nested]).stdout("").ok();
    if !has("systemd-analyze") {
        return skip("needs systemd-analyze");
    }
    let unit = world.file("nightly.service", &format!("[Service]\nType=oneshot\n{line}"));
    world.program("systemd-analyze").args(["verify", "--man=no"]).arg(unit).ok();
}
