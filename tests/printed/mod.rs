//! Runs every command line of the README, the manual pages and the cookbook as it is printed.

mod pages;
mod readme;

use std::process::Output;

use crate::support::{BINARY, Call, World, skip};

/// The directory of scripts that several examples share, `$WITH` in `%before`.
const WITH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/printed/with");

/// Commands as a user would type them: lines of a script or, if the first one begins with `$ `, a session with commands
/// and their output.
#[derive(Default)]
pub struct Example {
    /// The lines, without their indent.
    pub text: String,
    /// `%needs`: programs without which the example is skipped.
    pub needs: Vec<String>,
    /// `%before`: lines of shell that run first.
    pub before: String,
    /// `%after`: lines of shell that run last and check the result.
    pub after: String,
    /// `%again OLD => NEW`: text to replace for the second run.
    pub again: Vec<(String, String)>,
    /// `%between`: lines of shell that run between the first run and the second.
    pub between: String,
    /// `%alone`: each run is a script of its own.
    pub is_alone: bool,
    /// `%apart`: the second run is in a new world, because servers of the first one keep running.
    pub is_apart: bool,
    /// `%elsewhere`: another test runs it.
    pub is_elsewhere: bool,
}

impl Example {
    /// Reads a directive: a line that begins with `%`, stands before an example and is not printed.
    pub fn direct(&mut self, directive: &str) {
        let (word, rest) = directive.split_once(' ').unwrap_or((directive, ""));
        let line = format!("{rest}\n");
        match word {
            "%needs" => self.needs.extend(rest.split(' ').map(str::to_owned)),
            "%before" => self.before.push_str(&line),
            "%between" => self.between.push_str(&line),
            "%again" => {
                let (old, new) = rest.split_once(" => ").expect("OLD => NEW");
                self.again.push((old.to_owned(), new.to_owned()));
            }
            "%after" => self.after.push_str(&line),
            "%alone" => self.is_alone = true,
            "%apart" => self.is_apart = true,
            "%elsewhere" => self.is_elsewhere = true,
            _ => panic!("no directive {directive}"),
        }
    }

    /// Runs the example twice, the second time with other data.
    pub fn run_twice(mut self) {
        let second = self.again.iter().fold(self.text.clone(), |text, (old, new)| {
            assert!(text.contains(old), "{old} is not in {text}");
            text.replace(old, new)
        });
        if self.is_apart {
            self.run();
            self.text = second;
            return self.run();
        }
        let alone = |text: String| {
            if self.is_alone { format!("sh -eu <<'END'\n{text}END\n") } else { text }
        };
        self.text = [alone(self.text), self.between.clone(), alone(second)].concat();
        self.run();
    }

    /// Returns the commands of a session, continuation lines included, each with the output that is shown.
    fn calls(&self) -> Vec<(String, String)> {
        let joined = self.text.replace("\\\n> ", "\\\n").replace("|\n> ", "|\n");
        let calls = joined.strip_prefix("$ ").unwrap_or_default().split("\n$ ");
        let split = |call: &str| {
            let continues = |line: &&str| line.ends_with('\\') || line.ends_with('|');
            let asked = call.lines().take_while(continues).count() + 1;
            let lines = |lines: Vec<&str>| lines.join("\n");
            (lines(call.lines().take(asked).collect()), lines(call.lines().skip(asked).collect()))
        };
        calls.map(split).collect()
    }

    /// Returns the example as a script.
    fn script(&self) -> String {
        let text = if self.is_session() {
            self.calls().into_iter().map(|(asked, _)| asked + "\n").collect()
        } else {
            self.text.clone()
        };
        [&self.before, &text, &self.after].map(String::as_str).concat()
    }

    fn title(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    fn is_session(&self) -> bool {
        self.text.starts_with("$ ")
    }

    /// Runs the example in a new world and checks its output.
    fn run(&self) {
        if self.is_elsewhere {
            return;
        }
        if !self.is_session() {
            if let Some(output) = self.shell(&format!("set -eu\n{}", self.script())) {
                assert!(output.status.success(), "{}\n{output:#?}", self.text);
            }
            return;
        }
        let Some(printed) = self.session() else { return };
        for ((asked, expected), (_, printed)) in self.calls().iter().zip(&printed) {
            assert_eq!(printed, expected, "$ {asked}\nof\n{}", self.text);
        }
    }

    /// Runs a session and returns its commands, each with its output; `None` if it was skipped.
    pub fn session(&self) -> Option<Vec<(String, String)>> {
        let separator = "\nprintf '\\000'\n";
        let asked: Vec<String> = self.calls().into_iter().map(|(asked, _)| asked).collect();
        let script = [&self.before, &asked.join(separator), &format!("set -e\n{}", self.after)];
        let script = script.map(String::as_str).join(separator);
        let output = self.shell(&format!("exec 2>&1\n{script}"))?;
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}of\n{}{printed}", self.after, self.text);
        let parts = printed.split('\0').skip(1).map(|part| part.trim_end().to_owned());
        Some(asked.into_iter().zip(parts).collect())
    }

    /// Runs a script, and kills every process that it leaves.
    fn shell(&self, script: &str) -> Option<Output> {
        let missing = |program: &&String| {
            let find = Call::new("/bin/sh").args(["-c", "command -v \"$0\""]).arg(program);
            find.output().stdout.is_empty()
        };
        if let Some(program) = self.needs.iter().find(missing) {
            skip(&format!("{program} is missing for: {}", self.title()));
            return None;
        }
        let world = World::new();
        if !world.is_own() {
            skip(&format!("an IPC namespace is needed for its names: {}", self.title()));
            return None;
        }
        let supervised = ["signal", "run", "--kill-tree", "--max-time", "240", "--", "/bin/sh", "-c"];
        Some(world.program(BINARY).env("WITH", WITH).args(supervised).arg(script).output())
    }
}
