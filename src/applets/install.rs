//! `ipcbox --install`: links named after the applets.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::{APPLETS, Verb, named};
use crate::exit::{Cause, Exit, each};

/// Links that would hide the system's own ipcs and ipcrm are made only where these are named as APPLET.
///
/// A link is relative where the binary lies in DIR too. What is there already is left alone without --force, and a link
/// to the box that is there counts as made.
#[derive(Args)]
pub struct Install {
    /// Put this before each link's name, as in ipc-sem
    #[arg(long, value_name = "P", default_value = "")]
    prefix: String,
    /// Replace files and links that are in the way
    #[arg(long)]
    force: bool,
    /// The directory for the links
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// These applets only
    #[arg(value_name = "APPLET")]
    applets: Vec<String>,
}

impl Verb for Install {
    const NAME: &'static str = "--install";
    const SUMMARY: &'static str = "Make links named after the applets in a directory";
    const EXAMPLES: &'static str = "
# All applets, and sem under a name that GNU parallel has not
mkdir -p bin
ipcbox --install bin
ipcbox --install --prefix ipc- bin sem
";
    const STATUSES: &'static [(Exit, &'static str)] = &[(Exit::Exists, "another file is in the way (see --force)")];

    fn run(self) -> Result<Exit> {
        let known: Vec<&str> = APPLETS.iter().map(|applet| applet.name).collect();
        let chosen = if self.applets.is_empty() {
            known
        } else {
            let find = |name: &String| match named(name) {
                Some((_, name)) => Ok(name),
                None => Err(Cause::unknown("applet", name, &known)),
            };
            self.applets.iter().map(find).collect::<Result<_, _>>()?
        };
        let refused = |what: &str, hint: &str| {
            bail!(Cause::new(Exit::Usage, format!("the prefix '{}' {what}", self.prefix)).hint(hint))
        };
        if self.prefix.contains('/') {
            return refused("has a '/' in it", "DIR says where the links are made");
        }
        if !self.prefix.is_empty() && !self.prefix.ends_with('-') {
            let known = "a link is known as an applet by its name or by '-' and its name at the end";
            return refused("does not end in '-'", known);
        }
        let program = std::env::current_exe().context("cannot tell where the binary lies")?;
        let dir = self.dir.canonicalize();
        let dir = dir.map_err(cause).with_context(|| format!("cannot install into {}", self.dir.display()))?;
        let to = if program.parent() == Some(&dir) {
            program.file_name().map_or_else(|| program.clone(), PathBuf::from)
        } else {
            program
        };
        each(chosen, |name| {
            let link = dir.join(format!("{}{name}", self.prefix));
            make(&to, &link, self.force).with_context(|| format!("cannot make {}", link.display()))
        })
    }
}

fn make(to: &Path, link: &Path, force: bool) -> Result<()> {
    match symlink(to, link) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        made => return made.map_err(cause),
    }
    let file = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    if file(link).is_some_and(|there| file(&link.with_file_name(to)) == Some(there)) {
        return Ok(());
    }
    if !force {
        bail!(
            Cause::from_errno(nix::errno::Errno::EEXIST, "something else is there")
                .hint("--force replaces it; --prefix ipc- gives the links other names")
        );
    }
    // A new link beside it takes its place in one step.
    let mut beside = link.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = Path::new(&beside);
    symlink(to, beside).map_err(cause)?;
    fs::rename(beside, link).map_err(|error| {
        let _ = fs::remove_file(beside);
        cause(error)
    })
}

/// The errno of a file operation, where there is one.
fn cause(error: std::io::Error) -> anyhow::Error {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).into(),
        None => error.into(),
    }
}
