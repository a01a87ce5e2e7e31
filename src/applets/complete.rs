//! `ipcbox --complete KIND START`: the processes and objects that the completions of the shells offer.
//!
//! The help does not list it: only the completions call it, and its output may change with them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result, bail};
use nix::unistd::geteuid;

use crate::exit::Cause;
use crate::objects::sockets::Sockets;
use crate::objects::{KINDS, Object, State, find};
use crate::semset::Purpose;
use crate::sys::process::{self, procfs};
use crate::sys::socket::Type;
use crate::sys::socket::listed::{Ends, Listed};
use crate::sys::sysv::Kind;
use crate::sys::sysv::sem::Set;
use crate::sys::users::Database;
use crate::target::remembered::Remembered;
use crate::text::{counted, is_control, visible};

/// How many characters of a command line are shown.
const COMMAND: usize = 120;

/// Words in the order of a list, each with its descriptions: names, then numbers, then keys.
#[derive(Default)]
struct Offers(BTreeMap<(bool, usize, String), String>);

impl Offers {
    /// Adds a description of a word: an id, a key or a name can stand for several objects.
    fn add(&mut self, word: String, text: &str) {
        let rank = if is_numeric(&word) { (true, word.len(), word) } else { (false, 0, word) };
        let texts = self.0.entry(rank).or_default();
        texts.push_str(if texts.is_empty() { "" } else { "; " });
        texts.push_str(text);
    }
}

/// Whether a word is an id or a key, or the start of one.
fn is_numeric(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
}

/// Returns the words that start with `start`, one per line, each with a description after a tab. `kind` is `pid` for
/// processes, `address` for sockets of servers, or `msg`, `shm`, `sem` or `ipc` for objects. With `-id`, `-key` or
/// `-name`, only their ids, keys or names are returned. Otherwise an object has its names as words, or id and key if it
/// has no name or `start` is numeric. `sem-slots`, `sem-lock` and `sem-barrier` are those semaphore sets, `sem-set` are
/// all sets, without POSIX semaphores. `key` are the names of System V objects.
///
/// # Errors
/// Wrong usage: `kind` is none of them. The lists of the kernel cannot be read.
pub fn words(kind: &str, start: &str) -> Result<String> {
    let offers = match kind {
        "pid" => processes(start)?,
        "address" => addresses(start),
        kind => objects(kind, start)?,
    };
    let line = |((_, _, word), text): (&(_, _, String), &String)| format!("{word}\t{}\n", visible(text, &[]));
    Ok(offers.0.iter().map(line).collect())
}

/// Kernel threads and zombies have no command line and are left out.
fn processes(start: &str) -> Result<Offers> {
    let mut offers = Offers::default();
    let own = std::process::id().cast_signed();
    for pid in procfs::all().context("cannot list processes")?.into_iter().filter(|pid| *pid != own) {
        let word = pid.to_string();
        let command = if word.starts_with(start) { process::command(pid) } else { None };
        if let Some(command) = command.filter(|command| !command.starts_with('[')) {
            offers.add(word, &command.chars().take(COMMAND).collect::<String>());
        }
    }
    Ok(offers)
}

/// Without sock_diag(7) there are none.
fn addresses(start: &str) -> Offers {
    let mut offers = Offers::default();
    let Ok((sockets, _)) = Sockets::all() else { return offers };
    let servers = sockets.iter().filter(|socket| socket.is_server());
    let found: BTreeSet<(String, &str)> = servers.filter_map(|socket| server(&sockets, socket)).collect();
    for (word, text) in found {
        if word.starts_with(start) && !word.contains(is_control) {
            offers.add(word, text);
        }
    }
    offers
}

/// Returns the address of a server that can be reached at it, and what the server takes.
fn server(sockets: &Sockets, socket: &Listed) -> Option<(String, &'static str)> {
    if let Ends::Inet { own, .. } = socket.ends {
        let (prefix, text) = if socket.kind == Type::Dgram { ("udp", "UDP") } else { ("tcp", "TCP") };
        let localhost = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
        return if own.ip().is_unspecified() || localhost.contains(&own.ip()) {
            Some((format!("{prefix}:localhost:{}", own.port()), text))
        } else {
            Some((sockets.address(socket)?, text))
        };
    }
    if socket.has_file() {
        sockets.file(socket)?;
    }
    let text = match socket.kind {
        Type::Stream => "stream",
        Type::Dgram => "datagrams",
        Type::Seqpacket => "messages",
    };
    Some((sockets.address(socket)?, text))
}

fn objects(kind: &str, start: &str) -> Result<Offers> {
    let (of, part) = kind.split_once('-').unwrap_or((kind, ""));
    let is_key = kind == "key";
    let kinds: Vec<Kind> = KINDS.into_iter().filter(|kind| is_key || of == "ipc" || of == kind.word()).collect();
    let is_set = of == "sem" && ["slots", "lock", "barrier", "set"].contains(&part);
    if kinds.is_empty() || !is_set && !["", "id", "key", "name"].contains(&part) {
        bail!(Cause::unknown("kind", kind, &[]));
    }
    let own = geteuid().as_raw();
    let other = |object: &Object| object.owned().map(|(uid, _, _)| uid).filter(|uid| *uid != own);
    let (found, _) = find::all(&kinds, !is_key && ["", "name"].contains(&part))?;
    let others: BTreeSet<u32> = found.iter().filter_map(other).collect();
    let users = Database::Passwd.names(&others.into_iter().collect::<Vec<_>>());
    let remembered = Remembered::default();
    let mut offers = Offers::default();
    for object in found.iter().filter(|object| !is_set || part == "set" || serves(object, part)) {
        let names: Vec<String> =
            object.names(&remembered).iter().filter_map(|name| name.to_str()).map(Into::into).collect();
        let by_name =
            is_key || part == "name" || (part.is_empty() || is_set) && !names.is_empty() && !is_numeric(start);
        let mut text = if by_name || names.is_empty() { String::new() } else { names.join(",") + ": " };
        let is_offered = |word: &String| word.starts_with(start) && !word.contains(is_control);
        let words = if by_name { names } else { numbers(object, part) };
        let words: Vec<String> = words.into_iter().filter(is_offered).collect();
        if words.is_empty() {
            continue;
        }
        text += &describe(object);
        if let Some(uid) = other(object) {
            text += ", owner ";
            text += &users.get(&uid).cloned().unwrap_or_else(|| uid.to_string());
        }
        for word in words {
            offers.add(word, &text);
        }
    }
    Ok(offers)
}

fn serves(object: &Object, purpose: &str) -> bool {
    let values = object.id().and_then(|id| Set::from_id(id).values().ok());
    values.and_then(|(_, values)| Purpose::of(&values)).is_some_and(|is| is.name() == purpose)
}

/// Returns the id and the key of an object, or one of them.
fn numbers(object: &Object, part: &str) -> Vec<String> {
    let id = object.id().filter(|_| part != "key").map(|id| id.to_string());
    let key = object.perm().map(|perm| perm.key).filter(|key| *key != 0 && part != "id");
    id.into_iter().chain(key.map(|key| format!("{key:#010x}"))).collect()
}

/// Describes the state of an object: `slots, 1 of 2 free`.
fn describe(object: &Object) -> String {
    let many = |count: u64, what| counted(usize::try_from(count).unwrap_or(usize::MAX), what);
    match &object.state {
        State::Queue(stat) => format!("{}, {}", many(stat.messages, "message"), many(stat.bytes, "byte")),
        State::PosixQueue(Ok(stat)) => many(stat.messages, "message"),
        State::PosixQueue(Err(_)) => "queue".into(),
        State::Set(stat) => match Set::from_id(stat.id).values() {
            Ok((_, values)) => describe_set(&values),
            Err(_) => counted(stat.len, "semaphore"),
        },
        State::PosixSemaphore(_, Ok(stat)) => format!("semaphore, value {}", stat.value),
        State::PosixSemaphore(_, Err(_)) => "semaphore".into(),
        State::Segment(stat) => format!("{}, {} attached", many(stat.size, "byte"), stat.attached),
        State::Memory(file) => many(file.size, "byte"),
        State::SlotFile(state) => state.kept.to_string(),
    }
}

fn describe_set(values: &[u16]) -> String {
    match (Purpose::of(values), values) {
        (Some(Purpose::Slots { capacity, free }), _) => format!("slots, {free} of {capacity} free"),
        (Some(Purpose::Lock { exclusive: true, .. }), _) => "lock, held".into(),
        (Some(Purpose::Lock { readers: 0, .. }), _) => "lock, free".into(),
        (Some(Purpose::Lock { readers, .. }), _) => format!("lock, {readers} shared"),
        (Some(Purpose::Barrier { parties, arrived }), _) => format!("barrier, {arrived} of {parties} arrived"),
        (None, [value]) => format!("semaphore, value {value}"),
        (None, _) => counted(values.len(), "semaphore"),
    }
}
