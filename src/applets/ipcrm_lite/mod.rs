//! `ipcrm-lite`: removes IPC objects, by name or by filter, safely.
//!
//! What util-linux's `ipcrm` can be told is done as it does it ([`original`]). A TARGET and a filter are looked at before: what
//! is in use stays, and so does what has changed since.

mod original;
mod victims;

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, stdin};

use anyhow::{Context, Result, bail};
use clap::Args;
use nix::errno::Errno;

use self::original::Original;
use self::victims::{Victims, Word};
use super::{Applet, Entry, Verb};
use crate::args::explain::denied;
use crate::args::showing::Showing;
use crate::exit::{Cause, Exit, each};
use crate::inventory::columns::{self, Record};
use crate::inventory::evidence::{Evidence, Use, is_boxes_own};
use crate::inventory::filter::Filters;
use crate::inventory::{KINDS, Object, Place, find};
use crate::output;
use crate::sys::fds;
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

/// The applet.
pub const APPLET: Applet = Applet {
    name: NAME,
    summary: SUMMARY,
    example: "ipcbox ipcrm-lite --orphaned --mine --older-than 1h --dry-run",
    verbs: &[Entry::of::<Remove>(), Entry::of::<AsIpcrm>()],
};

/// The letters, and what is said, are those of util-linux's ipcrm, its old form (ipcrm shm 5 6) included; called as
/// ipcrm, -a is too, and removes everything without asking. As ipcrm-lite it is a filter like the others.
///
/// A TARGET is looked for among all kinds; where several have that id or key, --shm, --msg or --sem before it says which. POSIX
/// objects want --posix. What is attached, open, held or waited on stays without --force, and so does what was changed since it
/// was looked at: another object behind the key, another time of creation.
///
/// A filter asks on a terminal, and elsewhere wants --yes. Semaphore sets that the box made for slots, locks and barriers are
/// removed only when they are named.
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

/// The same under the name `ipcrm`, where `-a` is util-linux's.
#[derive(Args)]
pub struct AsIpcrm {
    #[command(flatten)]
    remove: Remove,
}

impl Verb for Remove {
    const NAME: &'static str = NAME;
    const SUMMARY: &'static str = SUMMARY;
    const EXAMPLES: &'static str = EXAMPLES;

    fn run(self) -> Result<Exit> {
        self.remove(false)
    }
}

impl Verb for AsIpcrm {
    const NAME: &'static str = "ipcrm";
    const SUMMARY: &'static str = SUMMARY;
    const EXAMPLES: &'static str = EXAMPLES;

    fn run(self) -> Result<Exit> {
        self.remove.remove(true)
    }
}

/// An object that is to go.
struct Chosen {
    object: Object,
    /// It was named, and not found by a filter.
    named: bool,
    /// It goes although it is in use, as with util-linux's letters.
    anyway: bool,
}

impl Remove {
    fn remove(self, as_ipcrm: bool) -> Result<Exit> {
        // A column that does not exist is told before anything is removed.
        self.show(&[])?;
        let mut original = Original {
            verbose: self.verbose,
            missing_ok: self.missing_ok,
            dry_run: self.dry_run.then(Vec::new),
        };
        if let Some((kind, ids)) = self.old_form() {
            original.verbose = false;
            let removed = original.old_form(kind, &ids);
            self.show(&original.dry_run.unwrap_or_default())?;
            return removed;
        }
        let all = self.all.as_deref().map(kinds).transpose()?;
        let is_filter = self.filters.choose() || (self.all.is_some() && !as_ipcrm);
        if self.victims.words.is_empty() && !is_filter && self.all.is_none() {
            if as_ipcrm {
                return Ok(Exit::Done);
            }
            bail!(
                Cause::new(Exit::Usage, "nothing is named to be removed")
                    .hint("name TARGETs, or choose by a filter such as --orphaned")
            );
        }
        let mut chosen: Vec<Chosen> = Vec::new();
        let found = each(&self.victims.words, |word| {
            if let Word::Target(kind, text) = word {
                chosen.extend(self.find(*kind, text)?);
            }
            Ok(())
        });
        // Where a TARGET is none, or can be several objects, nothing is done.
        if found.as_ref().is_err_and(|error| Exit::of(error) == Exit::Usage) {
            return found;
        }
        let named = each(&self.victims.words, |word| match word {
            Word::Id(kind, id) => original.by_id(*kind, id),
            Word::Key(kind, key) => original.by_key(*kind, key),
            Word::Target(..) => Ok(()),
        });
        let all = match &all {
            Some(kinds) if as_ipcrm => original.all(kinds),
            _ => Ok(Exit::Done),
        };
        let would_go = original.dry_run.unwrap_or_default().into_iter();
        chosen.extend(would_go.map(|object| Chosen { object, named: true, anyway: true }));
        if is_filter {
            let named: Vec<Place> = chosen.iter().map(|one| one.object.place()).collect();
            let filtered = self.filtered()?.into_iter();
            chosen.extend(filtered.filter(|one| !named.contains(&one.object.place())));
        }
        let removed = self.remove_chosen(chosen, is_filter);
        each([found, named, all, removed], |outcome| outcome.map(drop))
    }

    /// `shm 5 6`: kind and ids, where the line is so.
    fn old_form(&self) -> Option<(Kind, Vec<&OsStr>)> {
        let words = self.victims.words.iter().map(|word| match word {
            Word::Target(None, text) => Some(text.as_os_str()),
            _ => None,
        });
        let words: Vec<&OsStr> = words.collect::<Option<_>>()?;
        let (first, ids) = words.split_first()?;
        let kind = match first.to_str()? {
            "shm" => Kind::Shm,
            "msg" => Kind::Msg,
            "sem" => Kind::Sem,
            _ => return None,
        };
        Some((kind, ids.to_vec()))
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
            (Some(object), None) => Ok(Some(Chosen { object, named: true, anyway: false })),
            _ => bail!(
                Cause::new(
                    Exit::Usage,
                    format!("{target} names several objects: {}", several.join(", "))
                )
                .hint("--shm, --msg or --sem before it says which")
            ),
        }
    }

    /// The objects that the filters choose.
    fn filtered(&self) -> Result<Vec<Chosen>> {
        let is_target = |word: &Word| matches!(word, Word::Target(..));
        let kinds = match &self.all {
            Some(word) => kinds(word)?,
            None if self.victims.kinds.is_empty() || self.victims.words.iter().any(is_target) => {
                KINDS.to_vec()
            }
            None => self.victims.kinds.clone(),
        };
        let (found, complete) = find::all(&kinds, self.posix)?;
        if !complete {
            output::tell(&format!("{}: {}\n", NAME, find::NO_QUEUES));
        }
        let mut found = self.filters.apply(found)?;
        found.retain(|object| !is_boxes_own(object));
        let chosen = |object| Chosen { object, named: false, anyway: false };
        Ok(found.into_iter().map(chosen).collect())
    }

    fn remove_chosen(&self, chosen: Vec<Chosen>, is_filter: bool) -> Result<Exit> {
        if chosen.is_empty() {
            return Ok(Exit::Done);
        }
        let objects: Vec<Object> = chosen.iter().map(|one| one.object.clone()).collect();
        let evidence = if self.force { None } else { Some(Evidence::gather(&objects)) };
        let (free, used): (Vec<Chosen>, Vec<Chosen>) = chosen.into_iter().partition(|one| {
            one.anyway || !matches!(evidence.as_ref().map(|e| e.of(&one.object)), Some(Use::By(_)))
        });
        let skipped = each(used, |one| {
            let people = evidence.as_ref().map(|evidence| evidence.people(&one.object));
            let people: Vec<String> =
                people.unwrap_or_default().iter().map(ToString::to_string).collect();
            let cause = Cause::new(Exit::Failed, format!("it is in use: {}", people.join(", ")));
            Err(cause.hint("--force removes it all the same"))
                .with_context(|| format!("cannot remove {}", one.object))
        });
        if self.dry_run {
            self.show(&free.iter().map(|one| one.object.clone()).collect::<Vec<_>>())?;
            return skipped;
        }
        let by_filter = free.iter().filter(|one| !one.named).count();
        if is_filter && by_filter > 0 && !self.yes {
            confirm(by_filter)?;
        }
        let mut gone = Vec::new();
        let removed = each(free, |one| {
            if self.verbose {
                output::print(format!("removing {}\n", one.object).as_bytes())?;
            }
            let outcome = self.remove_one(&one);
            outcome.with_context(|| format!("cannot remove {}", one.object))?;
            gone.push(one.object);
            Ok(())
        });
        if self.showing.json {
            self.show(&gone)?;
        }
        each([skipped, removed], |outcome| outcome.map(drop))
    }

    fn remove_one(&self, one: &Chosen) -> Result<()> {
        let removed = find::again(&one.object).and_then(|object| find::remove(&object));
        match removed {
            Ok(()) => Ok(()),
            // What a filter chose was to go; that it went by itself is no failure.
            Err(Errno::EINVAL | Errno::ENOENT) if self.missing_ok || !one.named => Ok(()),
            Err(errno @ (Errno::EINVAL | Errno::ENOENT)) => {
                bail!(Cause::told(errno, "it was removed meanwhile").exit(Exit::Missing))
            }
            Err(Errno::EIDRM) => {
                bail!(Cause::new(Exit::Failed, "it has changed since it was looked at"))
            }
            Err(errno @ (Errno::EPERM | Errno::EACCES)) => {
                bail!(denied(errno, one.object.owned().map(|(uid, _, _)| uid)))
            }
            Err(errno) => Err(errno.into()),
        }
    }

    fn show(&self, objects: &[Object]) -> Result<()> {
        let names = columns::names(objects);
        let record = |object| Record { object, names: &names, verdict: None };
        let records: Vec<Record> = objects.iter().map(record).collect();
        output::show(&columns::columns(), &records, &self.showing, false)
    }
}

fn error_is_missing(error: &anyhow::Error) -> bool {
    Exit::of(error) == Exit::Missing
}

/// Asks on a terminal whether so many objects shall go.
fn confirm(count: usize) -> Result<()> {
    let refused =
        |words: &str| Cause::new(Exit::Usage, format!("cannot remove {count} objects: {words}"));
    if !fds::is_terminal(fds::stdin()) || !fds::is_terminal(fds::stderr()) {
        bail!(
            refused("a filter removes without asking only with --yes")
                .hint("--dry-run shows what would go")
        );
    }
    output::tell(&format!("{NAME}: remove {count} objects? [y/N] "));
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
    if !["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
        bail!(refused("it was not confirmed").exit(Exit::Failed));
    }
    Ok(())
}
