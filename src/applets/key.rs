//! `ipcbox key`: the System V key behind a target, for programs that open the same object.

use anyhow::{Context, Result, bail};
use clap::Args;

use super::Verb;
use crate::exit::{Cause, Exit, each};
use crate::output;
use crate::target::{Form, Target};

/// A line for each target, as 0x and eight hexadecimal digits, in the order in which they were given. The key of a name
/// is the 32-bit FNV-1a hash of its bytes, where 0 becomes 1; that of ftok:PATH:N is the one ftok(3) computes, which
/// two files can have in common.
#[derive(Args)]
pub struct Key {
    /// Names, keys, ftok:PATH and ftok:PATH:N
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<Target>,
}

impl Verb for Key {
    const NAME: &'static str = "key";
    const SUMMARY: &'static str = "Print the System V key behind each target";
    const EXAMPLES: &'static str = "
# The key that a C program gives to semget(2)
ipcbox key build-slots ftok:/etc/passwd
";

    fn run(self) -> Result<Exit> {
        each(self.targets, |target| {
            let key = key(&target).with_context(|| format!("cannot tell the key of {target}"))?;
            output::print(format!("{key:#010x}\n").as_bytes())
        })
    }
}

fn key(target: &Target) -> Result<crate::sys::sysv::Key> {
    let without = match target.form() {
        Form::Posix => "a POSIX object has none",
        Form::Private => "a private object has none",
        Form::Id(_) => "it is an id, which each kind of object has of its own; stat shows its key",
        Form::Key(_) | Form::Ftok(..) | Form::Name(_) => "",
    };
    match target.key()? {
        Some(key) => Ok(key),
        None => bail!(Cause::new(Exit::Usage, without)),
    }
}
