//! `ipcrm-lite`: removes IPC objects, by name or by filter.
//!
//! The options of util-linux's `ipcrm` work as there ([`compat`]). An object chosen by a TARGET or a filter is
//! inspected first, and kept if it is in use or has changed since.

mod all;
mod compat;
mod remove;
mod selection;

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};

use anyhow::{Context, Error, Result, bail};
use clap::Args;
use nix::errno::Errno;

use self::all::{ANY, All, report_kept};
use self::compat::Original;
use self::remove::{Chosen, ChosenBy, may_remove};
use self::selection::{Choice, Victims};
use super::{Applet, Entry, Verb};
use crate::args::format::Showing;
use crate::args::usage::refused;
use crate::exit::{Cause, Exit, each};
use crate::objects::filter::Filters;
use crate::objects::{Identity, KINDS, Object, columns, find, posix};
use crate::output;
use crate::sys::sysv::{Kind, kinds_of};
use crate::target::{Form, Target};

const NAME: &str = "ipcrm-lite";
const SUMMARY: &str = "Remove IPC objects by id, key, name or filter";
const EXAMPLES: &str = "
# List your orphaned objects, then remove them
ipcbox ipcrm-lite --orphaned --mine --dry-run
ipcbox ipcrm-lite --orphaned --mine --yes
";
/// The options of util-linux. --shm and --sem are prefixes of two each, but options of their own here.
const ABBREVIABLE: &[&str] = &[
    "help",
    "version",
    "all",
    "verbose",
    "shmem-id",
    "shmem-key",
    "queue-id",
    "queue-key",
    "semaphore-id",
    "semaphore-key",
    "posix-shmem",
    "posix-mqueue",
    "posix-semaphore",
];

pub const APPLET: Applet = Applet {
    name: NAME,
    summary: SUMMARY,
    example: "ipcbox ipcrm-lite --orphaned --mine --older-than 1h --dry-run",
    verbs: &[Entry::of::<Remove>(), Entry::of::<AsIpcrm>()],
};

/// The options of ipcrm(1) from util-linux 2.38 work unchanged, and remove an object even if it is in use. `ipcrm -a`
/// removes all objects without asking. Without --force, a TARGET or a filter does not remove an object that is in use.
/// A filter asks for confirmation; without a terminal, --yes is required. A filter skips slots, locks, barriers and
/// objects of other users. With TARGETs, a filter removes only the TARGETs that match.
#[derive(Args)]
#[allow(clippy::struct_excessive_bools)]
pub struct Remove {
    #[command(flatten)]
    victims: Victims,
    /// Select all objects, or all objects of KIND
    ///
    /// KIND is shm, msg or sem; for POSIX objects, pshm, pmsg or psem.
    #[arg(
        short = 'a',
        long,
        value_name = "KIND",
        num_args = 0..=1,
        default_missing_value = ANY
    )]
    all: Option<String>,
    /// Print each object before it is removed
    ///
    /// With --json, --verbose prints to standard error.
    #[arg(short = 'v', long)]
    verbose: bool,
    /// Include POSIX objects
    #[arg(long)]
    posix: bool,
    /// Show what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    /// Remove the object even if it is in use
    ///
    /// An object is in use if it is attached, open, held or waited on.
    #[arg(long)]
    force: bool,
    /// Do not fail if the object does not exist
    #[arg(long)]
    missing_ok: bool,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    showing: Showing,
}

// Under the name `ipcrm`, `-a` is util-linux's. The help is the same.
#[derive(Args)]
pub struct AsIpcrm {
    #[command(flatten)]
    remove: Remove,
}

impl Verb for Remove {
    const NAME: &'static str = NAME;
    const SUMMARY: &'static str = SUMMARY;
    const EXAMPLES: &'static str = EXAMPLES;
    const ABBREVIABLE: &'static [&'static str] = ABBREVIABLE;
    const STATUSES: &'static [(Exit, &'static str)] =
        &[(Exit::Failed, "the object is in use (see --force), or any other failure")];

    fn run(self) -> Result<Exit> {
        self.remove(false)
    }
}

impl Verb for AsIpcrm {
    const NAME: &'static str = "ipcrm";
    const SUMMARY: &'static str = SUMMARY;
    const EXAMPLES: &'static str = EXAMPLES;
    const ABBREVIABLE: &'static [&'static str] = ABBREVIABLE;

    fn run(self) -> Result<Exit> {
        self.remove.remove(true)
    }
}

/// Returns the hint for an id whose kind is not given.
fn kind_of(id: i64) -> String {
    match i32::try_from(id).map(kinds_of).as_deref() {
        Ok([Kind::Shm]) => "put -m before the id".into(),
        Ok([Kind::Msg]) => "put -q before the id".into(),
        Ok([Kind::Sem]) => "put -s before the id".into(),
        _ => "list the objects: ipcbox ipcs-lite".into(),
    }
}

impl Remove {
    fn remove(self, as_ipcrm: bool) -> Result<Exit> {
        // An unknown column is reported before an object is removed.
        self.show(&[])?;
        if self.filters.is_posix() && !self.posix {
            bail!(
                Cause::new(Exit::Usage, "a name that starts with '/' names a POSIX object")
                    .hint("add --posix to remove POSIX objects")
            );
        }
        let is_narrowed = self.filters.any();
        let all = self.all.as_deref().map(All::parse).transpose()?;
        // With an option that util-linux lacks, -a is a filter under that name too.
        let as_original = as_ipcrm && !is_narrowed && !self.posix && self.victims.kinds.is_empty();
        let original_all = all.as_ref().filter(|_| as_original);
        let (is_old_form, words) = self.words()?;
        if original_all.is_some() && words.iter().any(|word| matches!(word, Choice::Target(..))) {
            bail!(
                Cause::new(Exit::Usage, "-a removes all objects and takes no TARGET")
                    .hint("omit -a to remove only what TARGET names")
            );
        }
        if words.is_empty() && all.is_none() && !self.filters.choose() {
            if as_original {
                return Ok(Exit::Done);
            }
            bail!(
                Cause::new(Exit::Usage, "nothing to remove: no TARGET and no filter was given")
                    .hint("list the objects: ipcbox ipcs-lite")
            );
        }
        let (mut chosen, mut named, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for word in &words {
            let read = match word {
                Choice::Id(kind, text) => compat::id(text, is_old_form).map(|id| named.push((*kind, id))),
                Choice::Key(kind, text) => compat::key(text).map(|key| named.push((*kind, key))),
                Choice::Target(kind, text) => self.find(*kind, text).map(|found| chosen.extend(found)),
                Choice::Posix(kind, text) => self.find_posix(*kind, text).map(|object| {
                    chosen.extend(object.map(|object| Chosen { object, by: ChosenBy::Letter }));
                }),
            };
            failed.extend(read.err());
        }
        // A malformed or ambiguous word: nothing is removed.
        let (wrong, failed): (Vec<Error>, Vec<Error>) =
            failed.into_iter().partition(|error| Exit::of(error) == Exit::Usage);
        each(wrong, Err)?;
        let mut original = Original {
            verbose: self.verbose && !is_old_form,
            missing_ok: self.missing_ok,
            found: (self.dry_run || self.showing.json || is_narrowed).then(Vec::new),
            has_removed: false,
        };
        let named = each(named, |(kind, named)| original.remove(kind, named));
        let originals = match original_all {
            Some(All::SystemV(kinds)) => original.all(kinds),
            Some(All::Posix(kind)) => posix(*kind).map(|found| {
                let found = found.unwrap_or_default().into_iter();
                let found = found.filter(|it| may_remove(it) || it.owned().is_some_and(|(.., mode)| mode & 0o004 != 0));
                chosen.extend(found.map(|object| Chosen { object, by: ChosenBy::Letter }));
                Exit::Done
            }),
            None => Ok(Exit::Done),
        };
        if is_old_form && named.is_ok() && original.has_removed && original.found.is_none() {
            output::print(b"resource(s) deleted\n")?;
        }
        let found = original.found.unwrap_or_default().into_iter();
        chosen.extend(found.map(|object| Chosen { object, by: ChosenBy::Letter }));
        let by_filter = words.is_empty() && original_all.is_none();
        if by_filter {
            chosen = self.filtered(all.as_ref())?;
        } else {
            self.narrow(&mut chosen, all.as_ref().filter(|_| original_all.is_none()))?;
        }
        let removed = self.remove_chosen(chosen, by_filter);
        each([each(failed, Err), named, originals, removed], |outcome| outcome.map(drop))
    }

    /// Returns the words, and whether they have the old form (`shm 5 6`): ids of one kind.
    fn words(&self) -> Result<(bool, Vec<Choice>)> {
        let words = &self.victims.words;
        let keyword = words.split_first().and_then(|(first, rest)| match first {
            Choice::Target(None, text) => Some((KINDS.into_iter().find(|kind| text.as_os_str() == kind.word())?, rest)),
            _ => None,
        });
        let Some((kind, ids)) = keyword else {
            self.check_kinds()?;
            return Ok((false, words.clone()));
        };
        let word = kind.word();
        let hint = format!("write only ids after {word}");
        if ids.is_empty() {
            bail!(Cause::new(Exit::Usage, "not enough arguments").hint(hint));
        }
        let id = |id: &Choice| match id {
            Choice::Target(None, text) => Ok(Choice::Id(kind, text.to_string_lossy().into_owned())),
            _ => {
                bail!(Cause::new(Exit::Usage, format!("no option can name objects after '{word}'")).hint(hint.clone()))
            }
        };
        Ok((true, ids.iter().map(id).collect::<Result<_>>()?))
    }

    /// Refuses a number without a kind beside options that have one, since it could be the id of any kind.
    fn check_kinds(&self) -> Result<()> {
        let words = &self.victims.words;
        let is_by_letter = words.iter().any(|word| !matches!(word, Choice::Target(..)));
        let number = words.iter().find_map(|word| match word {
            Choice::Target(None, text) => text.to_str()?.parse::<i64>().ok(),
            _ => None,
        });
        if let (true, Some(number)) = (is_by_letter, number) {
            bail!(Cause::new(Exit::Usage, format!("'{number}' could be the id of any kind")).hint(kind_of(number)));
        }
        Ok(())
    }

    /// Returns the object that a TARGET names.
    fn find(&self, kind: Option<Kind>, text: &OsString) -> Result<Option<Chosen>> {
        let target = Target::parse(text.clone());
        let target = target.map_err(|malformed| {
            Cause::new(Exit::Usage, refused("TARGET", &text.to_string_lossy(), &malformed.to_string()))
        })?;
        if *target.form() == Form::Posix && !self.posix {
            bail!(
                Cause::new(Exit::Usage, format!("{target} is the name of a POSIX object"))
                    .hint("add --posix to remove POSIX objects")
            );
        }
        let kinds = kind.map_or(KINDS.to_vec(), |kind| vec![kind]);
        let found = match find::named(&target, &kinds) {
            Err(error) if self.missing_ok && error_is_missing(&error) => return Ok(None),
            found => found.with_context(|| format!("cannot remove {target}"))?,
        };
        let several: Vec<String> = found.iter().map(ToString::to_string).collect();
        let first = found.first().map_or("sem", |object| object.kind().word());
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some(object), None) => Ok(Some(Chosen { object, by: ChosenBy::Target(target) })),
            _ => bail!(
                Cause::new(Exit::Usage, format!("{target} names several objects: {}", several.join(", ")))
                    .hint(format!("put the kind before the target, such as --{first}"))
            ),
        }
    }

    /// Returns the POSIX object that an option of util-linux 2.41 names, with or without the slash.
    fn find_posix(&self, kind: Kind, text: &OsString) -> Result<Option<Object>> {
        let mut name = OsString::from("/");
        name.push(text.to_str().and_then(|text| text.strip_prefix('/')).map_or(text.as_os_str(), OsStr::new));
        let is_posix = Target::parse(name.clone()).is_ok_and(|it| *it.form() == Form::Posix);
        if !is_posix {
            let words = format!("'{}' is not the name of a POSIX object", text.display());
            bail!(Cause::new(Exit::Usage, words).hint("write the name with one slash, at the start"));
        }
        match Object::posix(kind, name) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::ENOENT | Errno::EINVAL) if self.missing_ok => Ok(None),
            Err(Errno::ENOENT | Errno::EINVAL) => {
                bail!(Cause::new(Exit::Missing, format!("invalid name ({})", text.display())))
            }
            Err(errno) => bail!(Cause::plain(errno)),
        }
    }

    /// Retains the named objects that `-a` and the filters select, each once.
    fn narrow(&self, chosen: &mut Vec<Chosen>, all: Option<&All>) -> Result<()> {
        let objects = chosen.iter().map(|one| one.object.clone()).collect();
        let (left, unproved) = self.filters.sift(objects)?;
        unproved.as_deref().map(report_kept);
        let mut left: HashSet<Identity> = left.iter().map(Object::identity).collect();
        let is_of = |object: &Object| match all {
            Some(All::Posix(kind)) => object.is_posix() && object.kind() == *kind,
            Some(All::SystemV(kinds)) => kinds.contains(&object.kind()),
            None => true,
        };
        chosen.retain(|one| is_of(&one.object) && left.remove(&one.object.identity()));
        Ok(())
    }

    fn show(&self, objects: &[Object]) -> Result<()> {
        columns::show(columns::OBJECT, objects, &self.showing, false)
    }
}

fn error_is_missing(error: &Error) -> bool {
    Exit::of(error) == Exit::Missing
}
