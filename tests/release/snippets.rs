//! The lines of the README for a Dockerfile, GitHub Actions, GitLab and systemd.

use super::{README, has, python};
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
