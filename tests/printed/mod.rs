//! Every command line that is printed anywhere is run, as it stands: README, manual pages, cookbook and help.

mod pages;
mod readme;

use std::process::Output;

use crate::support::{BINARY, Call, World, skip};

/// Where `%before` finds what several examples need, as `$WITH`.
const WITH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/printed/with");

/// Commands as a user would type them: lines of a script, or, where the first one begins with `$ `, what a shell is
/// asked and what it prints.
#[derive(Default)]
pub struct Example {
    /// The lines, without their indent.
    pub text: String,
    /// `%needs`: programs without which it is not run.
    pub needs: Vec<String>,
    /// `%before`: lines of shell that come first.
    pub before: String,
    /// `%after`: lines of shell that come last, and check what was done.
    pub after: String,
    /// `%again OLD => NEW`: what stands there instead when it is run a second time.
    pub again: Vec<(String, String)>,
    /// `%between`: lines of shell that come between the first time and the second.
    pub between: String,
    /// `%alone`: each time it is a script of its own.
    pub is_alone: bool,
    /// `%apart`: its servers stay, and the second time is in a world of its own.
    pub is_apart: bool,
    /// `%elsewhere`: it is run by another test.
    pub is_elsewhere: bool,
}

impl Example {
    /// Takes one of the lines, begun with `%`, that stand before an example and are not printed.
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

    /// Runs it twice, the second time with other data.
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

    /// What is asked, and what is printed; a call that a `>` goes on with is asked as a whole.
    fn calls(&self) -> Vec<(String, String)> {
        let joined = self.text.replace("\\\n> ", "\\\n").replace("|\n> ", "|\n");
        let calls = joined.strip_prefix("$ ").unwrap_or_default().split("\n$ ");
        let split = |call: &str| {
            // The line that is asked ends where no backslash and no pipe goes on with it.
            let goes_on = |line: &&str| line.ends_with('\\') || line.ends_with('|');
            let asked = call.lines().take_while(goes_on).count() + 1;
            let lines = |lines: Vec<&str>| lines.join("\n");
            (lines(call.lines().take(asked).collect()), lines(call.lines().skip(asked).collect()))
        };
        calls.map(split).collect()
    }

    /// All of it as a script.
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

    /// Runs it in a world of its own, and checks what it prints.
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

    /// Asks a shell what stands there, and gives what each call printed; nothing where it could not be run.
    pub fn session(&self) -> Option<Vec<(String, String)>> {
        let mark = "\nprintf '\\000'\n";
        let asked: Vec<String> = self.calls().into_iter().map(|(asked, _)| asked).collect();
        let script = [&self.before, &asked.join(mark), &format!("set -e\n{}", self.after)];
        let script = script.map(String::as_str).join(mark);
        let output = self.shell(&format!("exec 2>&1\n{script}"))?;
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}of\n{}{printed}", self.after, self.text);
        let parts = printed.split('\0').skip(1).map(|part| part.trim_end().to_owned());
        Some(asked.into_iter().zip(parts).collect())
    }

    /// Runs a script; nothing that it leaves running outlives it.
    fn shell(&self, script: &str) -> Option<Output> {
        let missing = |program: &&String| {
            let find = Call::new("/bin/sh").args(["-c", "command -v \"$0\""]).arg(program);
            find.output().stdout.is_empty()
        };
        if let Some(program) = self.needs.iter().find(missing) {
            skip(&format!("{program} is not here for: {}", self.title()));
            return None;
        }
        let world = World::new();
        if !world.is_own() {
            skip(&format!("its names want an IPC namespace: {}", self.title()));
            return None;
        }
        let minded = ["signal", "run", "--kill-tree", "--max-time", "240", "--", "/bin/sh", "-c"];
        Some(world.program(BINARY).env("WITH", WITH).args(minded).arg(script).output())
    }
}
