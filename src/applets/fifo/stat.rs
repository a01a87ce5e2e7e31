//! `fifo stat`.

use anyhow::Result;
use clap::Args;

use super::context;
use super::stream::path::Fifo;
use crate::applets::Verb;
use crate::args::format::Showing;
use crate::exit::{Exit, each};
use crate::objects::users::{User, at_fifo};
use crate::output::{self, Cell, Column, Names};
use crate::sys::fifo::{self, Seen};
use crate::sys::{pipe, process};

/// Permission of users other than the owner to read or write.
const OTHERS: u32 = 0o066;

/// Shows how many bytes each FIFO holds, and which processes have it open. The state of a process is "open", or
/// "opening" if it is blocked in open(2).
///
/// Changes nothing. If no process has a FIFO open, the FIFO holds no data and has no capacity. Processes of other users
/// are visible only with privilege, so some values may be unknown.
#[derive(Args)]
pub struct Stat {
    /// Paths of the FIFOs
    #[arg(value_name = "PATH", required = true)]
    fifos: Vec<Fifo>,
    #[command(flatten)]
    showing: Showing,
}

impl Verb for Stat {
    const NAME: &'static str = "stat";
    const SUMMARY: &'static str = "Show the fill level, readers and writers of FIFOs";
    const EXAMPLES: &'static str = "
# Show the readers and writers of a FIFO
ipcbox fifo create log
ipcbox fifo stat log
";
    const STATUSES: &'static [(Exit, &'static str)] = &[(Exit::Exists, "the path is not a FIFO")];

    fn run(self) -> Result<Exit> {
        let mut found = Vec::new();
        let exit = each(&self.fifos, |fifo| {
            found.push(context("show", fifo, look(fifo))?);
            Ok(())
        });
        let names = Names::of(found.iter().map(|state: &FifoState| (state.seen.uid, state.seen.gid)));
        let records: Vec<(FifoState, &Names)> = found.into_iter().map(|state| (state, &names)).collect();
        output::show(&columns(), &records, &self.showing, self.fifos.len() == 1)?;
        exit
    }
}

struct FifoState<'a> {
    fifo: &'a Fifo,
    seen: Seen,
    users: Vec<User>,
    filling: Filling,
}

/// The pipe of a FIFO.
enum Filling {
    /// There is none: no process has the FIFO open.
    None,
    /// Its capacity, and the bytes in it.
    Known(usize, usize),
    /// It could not be inspected.
    Unknown,
}

fn look(fifo: &Fifo) -> Result<FifoState<'_>> {
    let seen = fifo.look()?;
    let (users, unseen) = at_fifo(&seen);
    let filling = filling(fifo, &seen, &users, unseen);
    Ok(FifoState { fifo, seen, users, filling })
}

/// Inspects the pipe by a copy of another process's descriptor, because opening the FIFO would unblock processes that
/// wait in open(2). If there already is a reader, the FIFO is opened for reading.
fn filling(fifo: &Fifo, seen: &Seen, users: &[User], unseen: usize) -> Filling {
    let fds = users.iter().flat_map(|user| user.open().iter().map(|open| (user.pid().unwrap_or(0), open.fd)));
    let copy = fds.clone().find_map(|(pid, fd)| process::descriptor(pid, fd).ok());
    let is_read = || users.iter().any(|user| user.open().iter().any(|open| open.reads));
    if let Some(fd) = copy.or_else(|| is_read().then(|| fifo.open_to_read(true).ok()).flatten().map(|(fd, _)| fd))
        && fifo::behind(&fd).is_ok_and(|behind| behind.is(seen))
        && let (Ok(capacity), Ok(bytes)) = (pipe::capacity(&fd), pipe::unread(&fd))
    {
        return Filling::Known(capacity, bytes);
    }
    let is_private = seen.uid == nix::unistd::geteuid().as_raw() && seen.mode & OTHERS == 0;
    let all_seen = unseen == 0 || is_private;
    if fds.count() == 0 && all_seen { Filling::None } else { Filling::Unknown }
}

impl FifoState<'_> {
    fn capacity(&self) -> Cell {
        match self.filling {
            Filling::Known(capacity, _) => Cell::count(capacity),
            Filling::None | Filling::Unknown => Cell::Unknown,
        }
    }

    fn bytes(&self) -> Cell {
        match self.filling {
            Filling::Known(_, bytes) => Cell::count(bytes),
            Filling::None => Cell::count(0),
            Filling::Unknown => Cell::Unknown,
        }
    }

    fn count(&self, wanted: fn(&User) -> bool) -> Cell {
        Cell::count(self.users.iter().filter(|user| wanted(user)).count())
    }

    fn list(&self, wanted: fn(&User) -> bool) -> Cell {
        let record = |user: &User| {
            vec![
                ("pid", Cell::known(user.pid(), Cell::from)),
                ("state", Cell::word(if user.open().is_empty() { "opening" } else { "open" })),
                ("command", Cell::known(user.command.clone(), Cell::Text)),
            ]
        };
        Cell::Records(self.users.iter().filter(|user| wanted(user)).map(record).collect())
    }
}

const fn columns<'a>() -> [Column<(FifoState<'a>, &'a Names)>; 13] {
    [
        Column::detail("kind", |_| Cell::word("fifo")),
        Column::new("path", |(state, _)| Cell::name(state.fifo.path().as_os_str())),
        Column::new("mode", |(state, _)| Cell::mode(state.seen.mode)),
        Column::new("owner", |(state, names)| names.user(state.seen.uid)),
        Column::detail("uid", |(state, _)| state.seen.uid.into()),
        Column::detail("group", |(state, names)| names.group(state.seen.gid)),
        Column::detail("gid", |(state, _)| state.seen.gid.into()),
        Column::new("capacity", |(state, _)| state.capacity()),
        Column::new("bytes", |(state, _)| state.bytes()),
        Column::new("readers", |(state, _)| state.count(User::reads)),
        Column::new("writers", |(state, _)| state.count(User::writes)),
        Column::new("reading", |(state, _)| state.list(User::reads)),
        Column::new("writing", |(state, _)| state.list(User::writes)),
    ]
}
