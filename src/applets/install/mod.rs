//! `--install`: links named after the applets in a directory; `--install-all`, `--uninstall`: all below a PREFIX.

mod tree;

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use nix::errno::Errno;
use nix::unistd::geteuid;

use self::tree::surroundings::{report_hidden, report_lacking};
use self::tree::{BIN, Installation, Removal, is_same_file};
use super::{APPLETS, Verb, named};
use crate::exit::{Cause, Exit, each};
use crate::output;
use crate::sys::{errno, exec};
use crate::text::quote;

/// Creates a symbolic link to ipcbox in DIR for each applet. Links named ipcs and ipcrm would hide the system's own
/// programs, so ipcbox creates them only if you list them as APPLET.
///
/// An existing link to ipcbox is left unchanged. If another file has the name of a link, the call fails, unless --force
/// is given. If the binary is also in DIR, the links are relative.
#[derive(Args)]
pub struct Install {
    /// Start each name with P, for example ipc-
    #[arg(long, value_name = "P", default_value = "")]
    prefix: String,
    /// Replace existing files that are in the way
    #[arg(long)]
    force: bool,
    /// Directory for the links
    #[arg(value_name = "DIR", value_parser = OsStringValueParser::new().try_map(directory))]
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
        check_prefix(&self.prefix)?;
        check_expanded(Self::NAME, &self.dir)?;
        let program = std::env::current_exe().context("cannot find the binary")?;
        let dir = self.dir.canonicalize();
        let dir = dir.and_then(|dir| if dir.is_dir() { Ok(dir) } else { Err(Errno::ENOTDIR.into()) });
        let dir = dir.map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                let line = format!("mkdir -p {}", quote(&self.dir.to_string_lossy()));
                Cause::plain(Errno::ENOENT).hint(line).into()
            }
            _ => anyhow::Error::from(errno(error)),
        });
        let dir = dir.with_context(|| format!("cannot install into {}", self.dir.display()))?;
        let to = if program.parent() == Some(&dir) {
            program.file_name().map_or_else(|| program.clone(), PathBuf::from)
        } else {
            program
        };
        let links: Vec<String> = chosen.iter().map(|name| format!("{}{name}", self.prefix)).collect();
        report_hidden(&dir, links.iter().map(String::as_str));
        each(&links, |link| {
            let link = dir.join(link);
            create_link(&to, &link, self.force).with_context(|| format!("cannot create {}", link.display()))
        })
    }
}

/// Installs this binary below PREFIX: the binary and its links in bin; manual pages and completions for bash, zsh and
/// fish in share. Missing directories are created.
///
/// Without --force, nothing is installed if any file differs. A file that is up to date is left unchanged. If the call
/// fails, PREFIX is left unchanged.
#[derive(Args)]
pub struct InstallAll {
    /// Start the name of each link with P, for example ipc-
    #[arg(long, value_name = "P", default_value = "")]
    prefix: String,
    /// Replace files that differ
    #[arg(long)]
    force: bool,
    /// List what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Directory, for example ~/.local or /usr/local
    #[arg(value_name = "PREFIX", value_parser = OsStringValueParser::new().try_map(directory))]
    root: PathBuf,
}

impl Verb for InstallAll {
    const NAME: &'static str = "--install-all";
    const SUMMARY: &'static str = "Install the binary, links, manual pages and completions";
    const EXAMPLES: &'static str = "
# List what would be installed for all users, then install for one
ipcbox --install-all --dry-run /usr/local
ipcbox --install-all ~/.local
";
    const STATUSES: &'static [(Exit, &'static str)] = &[
        (Exit::Missing, "no directory can be created at this path, as in /proc"),
        (Exit::Exists, "an existing file differs (see --force)"),
        (Exit::Denied, "permission denied"),
    ];

    fn run(self) -> Result<Exit> {
        check_prefix(&self.prefix)?;
        check_expanded(Self::NAME, &self.root)?;
        let context = || format!("cannot install into {}", self.root.display());
        let installation = Installation::new(&self.root, &self.prefix, self.force).with_context(context)?;
        let again = format!("{} --force", self.line(&called()));
        installation.check(&self.root, &again).with_context(context)?;
        let links: Vec<String> = APPLETS.iter().map(|applet| format!("{}{}", self.prefix, applet.name)).collect();
        report_hidden(&self.root.join(BIN), links.iter().map(String::as_str));
        if self.dry_run {
            output::print(installation.lines(false).as_bytes())?;
        } else {
            installation.carry_out().map_err(|error| self.explained(error)).with_context(context)?;
            output::print(installation.lines(true).as_bytes())?;
        }
        if installation.is_empty() {
            let version = env!("CARGO_PKG_VERSION");
            output::print(
                format!("{} already contains every file of ipcbox {version}\n", self.root.display()).as_bytes(),
            )?;
        }
        report_lacking(&self.root);
        Ok(Exit::Done)
    }
}

impl InstallAll {
    /// Returns the command line of this call of a program.
    fn line(&self, program: &str) -> String {
        let prefix = if self.prefix.is_empty() { String::new() } else { format!(" --prefix {}", quote(&self.prefix)) };
        format!("{program} {}{prefix} {}", Self::NAME, quote(&self.root.to_string_lossy()))
    }

    /// Adds the call as root to a failure for want of permission.
    fn explained(&self, error: anyhow::Error) -> anyhow::Error {
        let Some(&errno) = error.downcast_ref::<Errno>() else { return error };
        if geteuid().is_root() || Exit::from(errno) != Exit::Denied {
            return error;
        }
        let contexts: Vec<String> = error.chain().filter(|link| !link.is::<Errno>()).map(ToString::to_string).collect();
        let force = if self.force { " --force" } else { "" };
        // sudo searches other directories.
        let hint = format!("sudo {}{force}", self.line(&running()));
        contexts.into_iter().rev().fold(Cause::plain(errno).hint(hint).into(), anyhow::Error::context)
    }
}

/// Returns the path of the running binary, for a shell.
fn running() -> String {
    std::env::current_exe().map_or_else(|_| "ipcbox".into(), |program| quote(&program.to_string_lossy()))
}

/// Returns the name by which a shell finds the running binary.
fn called() -> String {
    let found = exec::find("ipcbox".as_ref()).ok().and_then(|path| path.into_string().ok());
    match found {
        Some(path) if is_same_file(Path::new(&path), Path::new("/proc/self/exe")) => "ipcbox".into(),
        _ => running(),
    }
}

/// Removes what --install-all of any version has installed below PREFIX: links to ipcbox, and files with the mark of
/// ipcbox. Directories that --install-all created are removed if they are empty.
#[derive(Args)]
pub struct Uninstall {
    /// List what would be removed, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Directory that was given to --install-all
    #[arg(value_name = "PREFIX", value_parser = OsStringValueParser::new().try_map(directory))]
    root: PathBuf,
}

impl Verb for Uninstall {
    const NAME: &'static str = "--uninstall";
    const SUMMARY: &'static str = "Remove what --install-all has installed";
    const EXAMPLES: &'static str = "
# Install, list what would be removed, and remove it
ipcbox --install-all ./root
ipcbox --uninstall --dry-run ./root
ipcbox --uninstall ./root
";
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::Missing, "no such directory"), (Exit::Denied, "permission denied")];

    fn run(self) -> Result<Exit> {
        check_expanded(Self::NAME, &self.root)?;
        let removal = Removal::new(&self.root);
        let removal = removal.with_context(|| format!("cannot uninstall from {}", self.root.display()))?;
        if removal.is_empty() {
            output::print(format!("{} contains no file of ipcbox\n", self.root.display()).as_bytes())?;
        }
        if self.dry_run {
            output::print(removal.lines().as_bytes())?;
            return Ok(Exit::Done);
        }
        let (done, outcome) = removal.carry_out();
        output::print(done.as_bytes())?;
        outcome
    }
}

fn directory(value: OsString) -> Result<PathBuf, &'static str> {
    if value.is_empty() { Err("empty") } else { Ok(value.into()) }
}

/// Refuses a path that the shell was meant to expand.
fn check_expanded(option: &str, dir: &Path) -> Result<()> {
    let text = dir.to_string_lossy();
    let Some(rest) = text.strip_prefix('~') else { return Ok(()) };
    let hint = match rest.strip_prefix('/') {
        _ if rest.is_empty() => format!("{} {option} \"$HOME\"", called()),
        Some(below) => {
            format!("{} {option} \"$HOME\"/{}", called(), if below.is_empty() { String::new() } else { quote(below) })
        }
        None => format!("write ./{text} for a directory with this name"),
    };
    bail!(Cause::new(Exit::Usage, format!("the shell did not expand ~ in '{text}'")).hint(hint))
}

fn check_prefix(prefix: &str) -> Result<()> {
    let refused =
        |what: &str, hint: &str| bail!(Cause::new(Exit::Usage, format!("the prefix '{prefix}' {what}")).hint(hint));
    if prefix.contains('/') {
        return refused("contains a '/'", "pass the directory as DIR, not in --prefix");
    }
    if !prefix.is_empty() && !prefix.ends_with('-') {
        return refused("does not end in '-'", &format!("write --prefix {}", quote(&format!("{prefix}-"))));
    }
    Ok(())
}

fn create_link(to: &Path, link: &Path, force: bool) -> Result<()> {
    match symlink(to, link) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        created => return Ok(created.map_err(errno)?),
    }
    if is_same_file(link, &link.with_file_name(to)) {
        return Ok(());
    }
    if !force {
        bail!(
            Cause::from_errno(Errno::EEXIST, "another file has this name")
                .hint("add --prefix ipc- to choose other names")
        );
    }
    // rename(2) replaces it in one step.
    let mut beside = link.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = Path::new(&beside);
    symlink(to, beside).map_err(errno)?;
    let renamed = fs::rename(beside, link);
    if renamed.is_err() {
        let _ = fs::remove_file(beside);
    }
    Ok(renamed.map_err(errno)?)
}
