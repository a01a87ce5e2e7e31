//! `ipcrm-lite`: removes IPC objects, by name or by filter, safely.
//!
//! What util-linux's `ipcrm` can be told is done as it does it ([`original`]). A TARGET and a filter are looked at before: what
//! is in use stays, and so does what has changed since.

mod chosen;
mod original;
mod victims;

use std::collections::HashSet;
use std::ffi::OsString;

use anyhow::{Context, Error, Result, bail};
use clap::Args;

use self::chosen::{Chosen, ChosenBy};
use self::original::Original;
use self::victims::{Victims, Word};
use super::{Applet, Entry, Verb};
use crate::args::showing::Showing;
use crate::exit::{Cause, Exit, each};
use crate::inventory::columns::{self, Record};
use crate::inventory::evidence::is_boxes_own;
use crate::inventory::filter::Filters;
use crate::inventory::{KINDS, Object, Place, find};
use crate::output;
use crate::sys::sysv::Kind;
use crate::target::{Form, Target};

/// Its name.
const NAME: &str = "ipcrm-lite";
const SUMMARY: &str = "Remove IPC objects by id, key, name or filter";
const EXAMPLES: &str = "
# What nobody uses any more: look, then remove
ipcbox ipcrm-lite --orphaned --mine --dry-run
ipcbox ipcrm-lite --orphaned --mine --yes
";
/// Those of util-linux; --shm and --sem begin two of them each, and stay what they are here.
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
];

/// The applet.
pub const APPLET: Applet = Applet {
    name: NAME,
    summary: SUMMARY,
    example: "ipcbox ipcrm-lite --orphaned --mine --older-than 1h --dry-run",
    verbs: &[Entry::of::<Remove>(), Entry::of::<AsIpcrm>()],
};

/// The letters, and what is said, are those of util-linux's ipcrm, abbreviated long options and its old form (ipcrm shm 5 6)
/// included: what they name goes, whether it is in use or not. Called as ipcrm, -a is util-linux's too, and removes everything
/// without asking. As ipcrm-lite, and with any filter, --keep, --posix, --shm, --msg or --sem, it is a filter like the others.
///
/// A bare word after -m, -q, -s, -M, -Q or -S is one more object of that kind, so that lists work: ipcrm -m 3 5 8. A number in
/// it is an id after a small letter and a key after a capital one. util-linux refuses such a word.
///
/// Without such an option, a TARGET is looked for among all kinds; if several have that id or key, --shm, --msg or --sem before it says which. Without
/// a TARGET they say of which kinds a filter chooses. POSIX objects want --posix. Neither a TARGET nor what a filter finds is removed without --force where somebody is seen to have it attached, open or
/// held or to wait on it, nor where its mode lets others use it and not all of them can be looked at; what its mode leaves to its
/// owner alone goes, though root may use it out of the owner's sight. What was changed since it
/// was looked at stays too: another object behind the key, another time of creation.
///
/// Beside names a filter leaves those of them that it is true of. Alone it chooses among all objects, asks on a terminal, and
/// elsewhere wants --yes. Semaphore sets that the box made for slots, locks and barriers are removed only when they are named.
#[derive(Args)]
// One for each option that is there or not.
#[allow(clippy::struct_excessive_bools)]
pub struct Remove {
    #[command(flatten)]
    victims: Victims,
    /// All, or all of this kind
    #[arg(
        short = 'a',
        long,
        value_name = "KIND",
        num_args = 0..=1,
        default_missing_value = ANY
    )]
    all: Option<String>,
    /// Say what is being removed
    ///
    /// With --json on standard error.
    #[arg(short = 'v', long)]
    verbose: bool,
    /// Also POSIX objects
    #[arg(long)]
    posix: bool,
    /// Show what would go
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Also what is attached, open, held or waited on
    #[arg(hide_short_help = true, long)]
    force: bool,
    /// What is not there counts as removed
    #[arg(hide_short_help = true, long)]
    missing_ok: bool,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    showing: Showing,
}

/// The kinds that a word after `-a` chooses.
fn kinds(word: &str) -> Result<Vec<Kind>> {
    if word == ANY {
        return Ok(KINDS.to_vec());
    }
    let kind = KINDS.iter().find(|kind| kind.word() == word);
    Ok(vec![*kind.ok_or_else(|| {
        Cause::new(Exit::Usage, format!("unknown argument: {word}"))
            .hint("-a takes shm, msg or sem, or nothing")
    })?])
}

/// What stands for no word after `-a`.
const ANY: &str = "";

// The same under the name `ipcrm`, where `-a` is util-linux's; it has the same help.
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

impl Remove {
    fn remove(self, as_ipcrm: bool) -> Result<Exit> {
        // A column that does not exist is told before anything is removed.
        self.show(&[])?;
        let is_narrowed = self.filters.any();
        let all = self.all.as_deref().map(kinds).transpose()?;
        // With what util-linux does not have it is a filter under that name too.
        let as_original = as_ipcrm && !is_narrowed && !self.posix && self.victims.kinds.is_empty();
        let original_all = all.as_ref().filter(|_| as_original);
        let (is_old_form, words) = self.words()?;
        if original_all.is_some() && words.iter().any(|word| matches!(word, Word::Target(..))) {
            bail!(
                Cause::new(Exit::Usage, "-a removes all objects; it takes no TARGET")
                    .hint("-a takes shm, msg or sem, or nothing")
            );
        }
        if words.is_empty() && all.is_none() && !self.filters.choose() {
            if as_original {
                return Ok(Exit::Done);
            }
            bail!(
                Cause::new(Exit::Usage, "nothing is named to be removed")
                    .hint("name TARGETs, or choose by a filter such as --orphaned")
            );
        }
        let (mut chosen, mut named, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for word in &words {
            let read = match word {
                Word::Id(kind, text) => {
                    original::id(text, is_old_form).map(|id| named.push((*kind, id)))
                }
                Word::Key(kind, text) => original::key(text).map(|key| named.push((*kind, key))),
                Word::Target(kind, text) => {
                    self.find(*kind, text).map(|found| chosen.extend(found))
                }
            };
            failed.extend(read.err());
        }
        // Where a word is none, or can be several objects, nothing is done.
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
        let originals = original_all.map_or(Ok(Exit::Done), |kinds| original.all(kinds));
        if is_old_form && named.is_ok() && original.has_removed && original.found.is_none() {
            output::print(b"resource(s) deleted\n")?;
        }
        let found = original.found.unwrap_or_default().into_iter();
        chosen.extend(found.map(|object| Chosen { object, by: ChosenBy::Letter }));
        let by_filter = words.is_empty() && original_all.is_none();
        if by_filter {
            chosen = self.filtered(all.as_deref())?;
        } else {
            self.narrow(&mut chosen, all.as_deref().filter(|_| original_all.is_none()))?;
        }
        let removed = self.remove_chosen(chosen, by_filter);
        each([each(failed, Err), named, originals, removed], |outcome| outcome.map(drop))
    }

    /// Returns the words, and whether they are in the old form (`shm 5 6`), in which all are ids of one kind.
    fn words(&self) -> Result<(bool, Vec<Word>)> {
        let words = &self.victims.words;
        let keyword = words.split_first().and_then(|(first, rest)| match first {
            Word::Target(None, text) => {
                Some((KINDS.into_iter().find(|kind| text.as_os_str() == kind.word())?, rest))
            }
            _ => None,
        });
        let Some((kind, ids)) = keyword else {
            self.check_kinds()?;
            return Ok((false, words.clone()));
        };
        let word = kind.word();
        let hint = format!(
            "ids come after {word}; a TARGET of this name wants --shm, --msg or --sem before it"
        );
        if ids.is_empty() {
            bail!(Cause::new(Exit::Usage, "not enough arguments").hint(hint));
        }
        let id = |id: &Word| match id {
            Word::Target(None, text) => Ok(Word::Id(kind, text.to_string_lossy().into_owned())),
            _ => bail!(
                Cause::new(Exit::Usage, format!("no option names objects after '{word}'"))
                    .hint(hint.clone())
            ),
        };
        Ok((true, ids.iter().map(id).collect::<Result<_>>()?))
    }

    /// Refuses a number of no certain kind beside options that name kinds: it could be the id of any.
    fn check_kinds(&self) -> Result<()> {
        let words = &self.victims.words;
        let is_by_letter = words.iter().any(|word| !matches!(word, Word::Target(..)));
        let number = words.iter().find_map(|word| match word {
            Word::Target(None, text) => text.to_str()?.parse::<i64>().ok(),
            _ => None,
        });
        if let (true, Some(number)) = (is_by_letter, number) {
            bail!(
                Cause::new(
                    Exit::Usage,
                    format!("'{number}' has no option before it that names its kind")
                )
                .hint("-m, -q or -s before it says which")
            );
        }
        Ok(())
    }

    /// The object that a TARGET names.
    fn find(&self, kind: Option<Kind>, text: &OsString) -> Result<Option<Chosen>> {
        let target = Target::parse(text.clone());
        let target = target.map_err(|malformed| {
            Cause::new(Exit::Usage, format!("TARGET '{}': {malformed}", text.display()))
        })?;
        if *target.form() == Form::Posix && !self.posix {
            bail!(
                Cause::new(Exit::Usage, format!("{target} is the name of a POSIX object"))
                    .hint("--posix removes these too")
            );
        }
        let kinds = kind.map_or(KINDS.to_vec(), |kind| vec![kind]);
        let found = match find::named(&target, &kinds) {
            Err(error) if self.missing_ok && error_is_missing(&error) => return Ok(None),
            found => found.with_context(|| format!("cannot remove {target}"))?,
        };
        let several: Vec<String> = found.iter().map(ToString::to_string).collect();
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some(object), None) => Ok(Some(Chosen { object, by: ChosenBy::Target(target) })),
            _ => bail!(
                Cause::new(
                    Exit::Usage,
                    format!("{target} names several objects: {}", several.join(", "))
                )
                .hint("--shm, --msg or --sem before it says which")
            ),
        }
    }

    /// Leaves those of what is named that are of these kinds and that the filters leave, each once.
    fn narrow(&self, chosen: &mut Vec<Chosen>, kinds: Option<&[Kind]>) -> Result<()> {
        let objects = chosen.iter().map(|one| one.object.clone()).collect();
        let left = self.filters.apply(objects)?;
        let mut left: HashSet<Place> = left.iter().map(Object::place).collect();
        let is_of = |object: &Object| kinds.is_none_or(|kinds| kinds.contains(&object.kind()));
        chosen.retain(|one| is_of(&one.object) && left.remove(&one.object.place()));
        Ok(())
    }

    /// The objects that the filters choose.
    fn filtered(&self, kinds: Option<&[Kind]>) -> Result<Vec<Chosen>> {
        let named = &self.victims.kinds;
        let mut kinds = kinds.unwrap_or(&KINDS).to_vec();
        kinds.retain(|kind| named.is_empty() || named.contains(kind));
        let (found, complete) = find::all(&kinds, self.posix)?;
        if !complete {
            output::tell(&format!("{}: {}\n", NAME, find::NO_QUEUES));
        }
        let mut found = self.filters.apply(found)?;
        found.retain(|object| !is_boxes_own(object));
        let chosen = |object| Chosen { object, by: ChosenBy::Filter };
        Ok(found.into_iter().map(chosen).collect())
    }

    fn show(&self, objects: &[Object]) -> Result<()> {
        let names = columns::names(objects);
        let record = |object| Record { object, names: &names, verdict: None };
        let records: Vec<Record> = objects.iter().map(record).collect();
        output::show(&columns::columns(), &records, &self.showing, false)
    }
}

fn error_is_missing(error: &Error) -> bool {
    Exit::of(error) == Exit::Missing
}
