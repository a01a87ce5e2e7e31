//! `ipcbox key`: the System V key behind a target, for programs that open the same object.

use anyhow::{Context, Result, bail};
use clap::Args;

use super::Verb;
use crate::exit::{Cause, Exit, each};
use crate::output;
use crate::target::{Form, Target};

/// Prints the key of each TARGET as 0x and eight hexadecimal digits, one per line. A program that uses the printed key
/// gets the same object as ipcbox.
///
/// The key of a name is the 32-bit FNV-1a hash of its bytes, with 0 replaced by 1. The key of ftok:PATH:N comes
/// from ftok(3); two files can have the same key.
#[derive(Args)]
pub struct Key {
    /// Names, keys, ftok:PATH or ftok:PATH:N
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<Target>,
}

impl Verb for Key {
    const NAME: &'static str = "key";
    const SUMMARY: &'static str = "Print the System V key of each target";
    const EXAMPLES: &'static str = "
# Print keys that a C program can pass to semget(2)
ipcbox key build-slots ftok:/etc/passwd
";

    fn run(self) -> Result<Exit> {
        each(self.targets, |target| {
            let key = key(&target).with_context(|| format!("cannot print the key of {target}"))?;
            output::print(format!("{key:#010x}\n").as_bytes())
        })
    }
}

fn key(target: &Target) -> Result<crate::sys::sysv::Key> {
    let without = match target.form() {
        Form::Posix => "a POSIX object has no key",
        Form::Private => "a private object has no key",
        Form::Id(_) => "the target is an id; the stat verb of the applet shows the key",
        Form::File => "a file has no key",
        Form::Key(_) | Form::Ftok(..) | Form::Name(_) => "",
    };
    match target.key()? {
        Some(key) => Ok(key),
        None => bail!(Cause::new(Exit::Usage, without)),
    }
}
