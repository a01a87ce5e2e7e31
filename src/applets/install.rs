//! `ipcbox --install`: creates links named after the applets.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use nix::errno::Errno;

use super::{APPLETS, Verb, named};
use crate::exit::{Cause, Exit, each};
use crate::text::quote;

/// Creates a symbolic link to ipcbox in DIR for each applet. Links named ipcs and ipcrm would hide the system's own
/// programs, so ipcbox creates them only if you list them as APPLET.
///
/// An existing link to ipcbox is left unchanged. Any other file in the way is an error, unless --force is given. If
/// the binary is also in DIR, the links are relative.
#[derive(Args)]
pub struct Install {
    /// Start each name with P, for example ipc-
    #[arg(long, value_name = "P", default_value = "")]
    prefix: String,
    /// Replace existing files that are in the way
    #[arg(long)]
    force: bool,
    /// Directory for the links
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Applets to link (default: all but ipcs and ipcrm)
    #[arg(value_name = "APPLET")]
    applets: Vec<String>,
}

impl Verb for Install {
    const NAME: &'static str = "--install";
    const SUMMARY: &'static str = "Create a link in a directory for each applet";
    const EXAMPLES: &'static str = "
# Create all links, and one named ipc-sem to avoid the sem of GNU parallel
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
            return refused("contains a '/'", "DIR is the directory of the links");
        }
        if !self.prefix.is_empty() && !self.prefix.ends_with('-') {
            let known = "the name of a link ends in '-' and the name of its applet";
            return refused("does not end in '-'", known);
        }
        let program = std::env::current_exe().context("cannot find the binary")?;
        let dir = self.dir.canonicalize();
        let dir = dir.and_then(|dir| if dir.is_dir() { Ok(dir) } else { Err(Errno::ENOTDIR.into()) });
        let dir = dir.map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                let line = format!("mkdir -p {}", quote(&self.dir.to_string_lossy()));
                Cause::plain(Errno::ENOENT).hint(line).into()
            }
            _ => cause(error),
        });
        let dir = dir.with_context(|| format!("cannot install into {}", self.dir.display()))?;
        let to = if program.parent() == Some(&dir) {
            program.file_name().map_or_else(|| program.clone(), PathBuf::from)
        } else {
            program
        };
        each(chosen, |name| {
            let link = dir.join(format!("{}{name}", self.prefix));
            create_link(&to, &link, self.force).with_context(|| format!("cannot create {}", link.display()))
        })
    }
}

fn create_link(to: &Path, link: &Path, force: bool) -> Result<()> {
    match symlink(to, link) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        created => return created.map_err(cause),
    }
    let file = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    if file(link).is_some_and(|there| file(&link.with_file_name(to)) == Some(there)) {
        return Ok(());
    }
    if !force {
        bail!(
            Cause::from_errno(Errno::EEXIST, "another file has this name")
                .hint("--force replaces it; --prefix ipc- chooses other names")
        );
    }
    // rename(2) replaces it in one step.
    let mut beside = link.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = Path::new(&beside);
    symlink(to, beside).map_err(cause)?;
    fs::rename(beside, link).map_err(|error| {
        let _ = fs::remove_file(beside);
        cause(error)
    })
}

/// Returns the errno of a file operation, if it has one.
fn cause(error: std::io::Error) -> anyhow::Error {
    match error.raw_os_error() {
        Some(number) => Errno::from_raw(number).into(),
        None => error.into(),
    }
}
