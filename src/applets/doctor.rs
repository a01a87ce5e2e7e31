//! `ipcbox --version --verbose`: the facts of a bug report, and what limits ipcbox on this machine.

use std::fmt::Write as _;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::geteuid;

use crate::sys::features::{self, PROBES};
use crate::sys::mapping::page_size;
use crate::sys::posix::{mq, shm as posix_shm};
use crate::sys::process::{Sight, has_procfs, sight};
use crate::sys::sysv::{msg, sem, shm};
use crate::sys::{fds, file_limit, pipe};

/// The column of the values.
const COLUMN: usize = 26;

/// Returns the lines after the version.
pub fn report() -> String {
    let bounds = bounds().into_iter().map(|bound| (bound.name, bound.words()));
    let mut text = String::new();
    group(&mut text, "Build and machine", build());
    group(&mut text, "File systems", file_systems());
    group(&mut text, "Limits", bounds);
    let verdict = |result: nix::Result<()>| match result {
        Ok(()) => "yes".to_owned(),
        Err(errno) => format!("no ({errno:?})"),
    };
    // The last probe leaves the namespaces of the caller.
    group(&mut text, "Kernel features", PROBES.iter().map(|(name, probe)| (*name, verdict(probe()))));
    text.push_str("\nKERNELS in ipcbox(1) explains each feature.\n");
    text
}

fn group(text: &mut String, title: &str, rows: impl IntoIterator<Item = (&'static str, String)>) {
    let _ = writeln!(text, "\n{title}:");
    for (name, words) in rows {
        let _ = writeln!(text, "  {name:<width$}{words}", width = COLUMN - 2);
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn build() -> [(&'static str, String); 6] {
    let seccomp = match features::status("Seccomp").as_deref() {
        Some("0") => "none".to_owned(),
        Some(_) => "a filter".to_owned(),
        None => unknown(),
    };
    [
        ("commit", env!("IPCBOX_COMMIT").to_owned()),
        ("target", env!("IPCBOX_TARGET").to_owned()),
        ("kernel", features::release().map_or_else(|_| unknown(), |release| format!("Linux {release}"))),
        ("user", geteuid().to_string()),
        ("capabilities", features::status("CapEff").unwrap_or_else(unknown)),
        ("seccomp", seccomp),
    ]
}

fn file_systems() -> [(&'static str, String); 5] {
    let shown = match sight() {
        Sight::None => "missing, or belongs to another PID namespace",
        Sight::Own => "shows only the caller's processes (hidepid)",
        Sight::Inside => "shows the processes of this PID namespace",
        Sight::All => "shows all processes",
    };
    let scope = match features::ptrace_scope() {
        None if !has_procfs() => "unknown",
        None => "none",
        Some(0) => "0",
        Some(1) => "1: waiters are seen only with CAP_SYS_PTRACE",
        Some(2) => "2: waiters are seen only with CAP_SYS_PTRACE",
        Some(_) => "3: waiters are never seen",
    };
    let either = |is: bool, yes: &str, no: &str| if is { yes.to_owned() } else { no.to_owned() };
    [
        ("/proc", shown.to_owned()),
        ("yama.ptrace_scope", scope.to_owned()),
        ("/proc/sysvipc", either(Path::new("/proc/sysvipc/sem").exists(), "present", "missing")),
        ("/dev/shm", either(posix_shm::is_mounted() == Ok(true), "mounted", "not a tmpfs")),
        ("/dev/mqueue", either(mq::is_mounted(), "mounted", "not mounted")),
    ]
}

/// A limit of the kernel, or of this process.
struct Bound {
    name: &'static str,
    unit: &'static str,
    /// `None`: unknown. The highest number: there is no limit.
    value: Option<u64>,
    used: Option<u64>,
    /// The lowest value that is not reported as low: the kernel's default, if it has one.
    usual: u64,
}

impl Bound {
    fn words(&self) -> String {
        let number = |value: u64| if value == u64::MAX { "no limit".to_owned() } else { value.to_string() };
        let Some(value) = self.value else { return unknown() };
        let mut words = number(value);
        if value != u64::MAX {
            let _ = write!(words, " {}", self.unit);
        }
        if let Some(used) = self.used {
            let _ = write!(words, ", {used} in use");
        }
        if value < self.usual {
            let _ = write!(words, ", low (usual: {})", number(self.usual));
        } else if self.used.is_some_and(|used| used >= value - value / 10) {
            words.push_str(", nearly reached");
        }
        words
    }
}

fn bounds() -> Vec<Bound> {
    let bound = |name, value, unit, usual| Bound { name, unit, value, used: None, usual };
    let wide = |count: usize| count as u64;
    let unless_infinite = |limit: Option<u64>| Some(limit.unwrap_or(u64::MAX));
    let (queue, queues) = (msg::limits().ok(), msg::used().ok().map(|(queues, ..)| queues));
    let set = sem::limits().ok();
    let (segment, segments) = (shm::limits().ok(), shm::used().ok());
    let free = match posix_shm::free() {
        // There is no limit.
        Err(Errno::ENODATA) => Some(u64::MAX),
        free => free.ok(),
    };
    vec![
        bound("kernel.msgmax", queue.map(|it| wide(it.message)), "bytes per message", 8192),
        bound("kernel.msgmnb", queue.map(|it| it.bytes), "bytes per queue", 16384),
        Bound { used: queues, ..bound("kernel.msgmni", queue.map(|it| it.queues), "queues", 32000) },
        bound("kernel.sem, SEMMSL", set.map(|it| wide(it.per_set)), "semaphores per set", 32000),
        Bound {
            used: set.map(|it| wide(it.used)),
            ..bound("kernel.sem, SEMMNS", set.map(|it| wide(it.in_all)), "semaphores", 1_024_000_000)
        },
        bound("kernel.sem, SEMOPM", set.map(|it| wide(it.ops)), "operations at once", 500),
        Bound {
            used: set.map(|it| wide(it.sets_used)),
            ..bound("kernel.sem, SEMMNI", set.map(|it| wide(it.sets)), "sets", 32000)
        },
        // The defaults of shmmax and shmall are no limit in practice.
        bound("kernel.shmmax", segment.map(|it| it.size), "bytes per segment", 1 << 30),
        Bound {
            used: segments.map(|it| it.pages),
            ..bound("kernel.shmall", segment.map(|it| it.pages), "pages of segments", (1 << 30) / page_size())
        },
        Bound {
            used: segments.map(|it| it.segments),
            ..bound("kernel.shmmni", segment.map(|it| it.segments), "segments", 4096)
        },
        // The default in a container of Docker is 64 MiB in all.
        bound("/dev/shm", free, "bytes free", 16 << 20),
        bound("fs.mqueue.queues_max", mq::setting("queues_max"), "POSIX queues", 256),
        bound("fs.mqueue.msg_max", mq::setting("msg_max"), "messages per queue", 10),
        bound("fs.mqueue.msgsize_max", mq::setting("msgsize_max"), "bytes per message", 8192),
        bound("fs.pipe-max-size", pipe::limits().max_size, "bytes per pipe", 1 << 20),
        bound("ulimit -n", unless_infinite(fds::limit()), "open files", 1024),
        bound("ulimit -q", unless_infinite(mq::memory_limit()), "bytes in POSIX queues", 819_200),
        bound("ulimit -f", unless_infinite(file_limit::limit()), "bytes per file", u64::MAX),
    ]
}
