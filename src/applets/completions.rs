//! `ipcbox --completions`: the completions of a shell, from the binary itself.

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use super::{Verb, embedded};
use crate::exit::Exit;
use crate::output;

/// Prints the file that adds completions of ipcbox and its applets to SHELL. The binary contains the completion files,
/// and --install-all installs them.
#[derive(Args)]
pub struct Completions {
    /// Shell: bash, zsh or fish
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    shell: Shell,
}

/// A shell with completions.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    /// bash 4.2 or later.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

impl Verb for Completions {
    const NAME: &'static str = "--completions";
    const SUMMARY: &'static str = "Print the completion file for SHELL";
    const EXAMPLES: &'static str = "
# Keep the completions of bash in a file that ~/.bashrc can read
ipcbox --completions bash >ipcbox.bash
# Load the completions of zsh, in ~/.zshrc after compinit
echo 'source <(ipcbox --completions zsh)'
";

    fn run(self) -> Result<Exit> {
        let name = match self.shell {
            Shell::Bash => "ipcbox.bash",
            Shell::Zsh => "_ipcbox",
            Shell::Fish => "ipcbox.fish",
        };
        let files = embedded::files().context("cannot print the completions")?;
        for (_, text) in files.iter().filter(|(file, _)| file == name) {
            output::print(text.as_bytes())?;
        }
        Ok(Exit::Done)
    }
}
