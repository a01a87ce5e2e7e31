//! Every command line that is printed anywhere is run, as it stands: README, manual pages, cookbook and help.

mod pages;
mod readme;

use crate::support::{BINARY, Call, World, skip};

/// Where `%before` finds what several examples need, as `$WITH`.
const WITH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/printed/with");

/// Commands as a user would type them: lines of a script, or, where the first one begins with `$ `, what a shell is asked
/// and what it prints.
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
            "%after" => self.after.push_str(&line),
            "%elsewhere" => self.is_elsewhere = true,
            _ => panic!("no directive {directive}"),
        }
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

    /// Runs it in a world of its own.
    fn run(&self) {
        if self.is_elsewhere {
            return;
        }
        let missing = |program: &&String| {
            Call::new("/bin/sh")
                .args(["-c", "command -v \"$0\""])
                .arg(program)
                .output()
                .stdout
                .is_empty()
        };
        if let Some(program) = self.needs.iter().find(missing) {
            return skip(&format!("{program} is not here for:\n{}", self.text));
        }
        let world = World::new();
        if !world.is_own() {
            return skip(&format!("its names want an IPC namespace:\n{}", self.text));
        }
        // Nothing that an example leaves running outlives it.
        let run = |script: &str| {
            let minded =
                ["signal", "run", "--kill-tree", "--max-time", "60", "--", "/bin/sh", "-c", script];
            world.program(BINARY).env("WITH", WITH).args(minded).output()
        };
        let (before, after) = (&self.before, &self.after);
        if !self.text.starts_with("$ ") {
            let output = run(&format!("set -eu\n{before}{}{after}", self.text));
            assert!(output.status.success(), "{}\n{output:#?}", self.text);
            return;
        }
        let calls = self.calls();
        // What each call prints is ended by a NUL.
        let mark = "printf '\\000'\n";
        let asked: Vec<&str> = calls.iter().map(|(asked, _)| asked.as_str()).collect();
        let asked = asked.join(&format!("\n{mark}"));
        let output = run(&format!("exec 2>&1\n{before}{mark}{asked}\n{mark}set -e\n{after}"));
        let printed = String::from_utf8(output.stdout).unwrap();
        let mut parts = printed.split('\0').skip(1);
        for (asked, expected) in calls {
            let printed = parts.next().unwrap_or_default();
            assert_eq!(printed.trim_end(), expected.trim_end(), "$ {asked}\nof\n{}", self.text);
        }
        assert!(output.status.success(), "{after}of\n{}{:?}", self.text, parts.next());
    }
}
