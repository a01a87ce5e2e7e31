//! Judges the outcome of a disturbed system call.

use nix::errno::Errno::{self, *};
use nix::libc::{self, c_long};

use super::lines::{Line, Prints};
use super::supervisor::Report;

/// The line without a disturbance.
pub struct Usual {
    /// The state before it.
    pub before: String,
    /// Its report.
    pub done: Report,
    /// Whether the numbers in its output differ between runs.
    pub varies: bool,
}

/// A disturbance of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbed {
    /// It failed.
    Fails(Errno),
    /// It moved one byte.
    Short,
}

impl std::fmt::Display for Disturbed {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::Fails(errno) => write!(f, "{errno:?}"),
            Self::Short => f.write_str("short"),
        }
    }
}

/// Returns the outcome in a word for the table, or what is wrong with it.
pub fn judge(line: &Line, usual: &Usual, call: c_long, how: Disturbed, report: &Report) -> Result<String, String> {
    let case = Case { line, usual, call, how, report };
    case.judge().map_err(str::to_owned)
}

/// A disturbed call and its outcome.
struct Case<'a> {
    line: &'a Line,
    usual: &'a Usual,
    call: c_long,
    how: Disturbed,
    report: &'a Report,
}

impl Case<'_> {
    fn judge(&self) -> Result<String, &'static str> {
        let Self { line, report, usual: Usual { done, .. }, .. } = *self;
        if report.did.is_none() {
            return Ok("not reached".into());
        }
        if report.status < 0 {
            // A call without input waits for more.
            return if self.is_empty_word() { Ok("waits".into()) } else { Err("hangs") };
        }
        // Libraries assert that a directory can be closed, which cannot fail.
        let asserted = ["unexpected error during closedir", "Closing an invalid file descriptor"];
        if asserted.iter().any(|words| report.err.contains(words)) {
            return Ok("asserted".into());
        }
        if report.err.contains("panicked") || report.err.contains("memory allocation") {
            return Err("panics");
        }
        if report.after.0 != done.after.0 {
            return Err("what comes after it fails");
        }
        // A process that may not be killed stays, and this is reported.
        let is_forbidden = self.how == Disturbed::Fails(EPERM);
        let may_stay = self.call == libc::SYS_pidfd_send_signal && is_forbidden && self.names_cause()
            || line.leaves && report.status == done.status;
        if report.left > 0 && !may_stay {
            return Err("leaves processes");
        }
        if report.status == done.status { self.goes_on() } else { self.fails() }
    }

    /// Judges an unchanged exit status.
    fn goes_on(&self) -> Result<String, &'static str> {
        let Self { line, report, usual: Usual { done, .. }, .. } = *self;
        let is_reported = self.names_cause();
        if self.is_answer() {
            return Ok("answered".into());
        }
        if !self.is_whole() {
            return Err("something is lost or duplicated");
        }
        let is_known = line.is_look() && (is_reported || self.is_seen());
        if self.even(&report.out) != self.even(&done.out) && !is_known {
            return Err("the same status with another output");
        }
        if self.even(&report.state) != self.even(&done.state) && !is_reported {
            return Err("the same status with another outcome");
        }
        match self.even(&report.err) == self.even(&done.err) {
            true => Ok("done".into()),
            false if is_reported => Ok("done, reported".into()),
            false if self.writes_to(2) => Ok("done, mute".into()),
            false => Err("the same status with another message"),
        }
    }

    /// Judges a changed exit status.
    fn fails(&self) -> Result<String, &'static str> {
        let Self { line, report, call, how, usual: Usual { before, done, .. } } = *self;
        let mute = self.writes_to(2);
        let status = report.status;
        if self.is_answer() {
            return Ok(format!("answered, {status}"));
        }
        let Disturbed::Fails(errno) = how else {
            let is_report = line.reports_atomically() && report.did > Some(2);
            let wrong = "a short count is no failure";
            return is_report.then(|| format!("short report, {status}")).ok_or(wrong);
        };
        if !mute && !self.names_cause() {
            return Err("the cause is not named");
        }
        if !mute && !report.err.contains(": cannot ") {
            return Err("the message does not say what could not be done");
        }
        if !self.expected(errno).contains(&status) {
            return Err("the status is not that of the cause");
        }
        if !self.even(&done.out).starts_with(&self.even(&report.out)) && line.prints == Prints::Same {
            return Err("another output");
        }
        // Data that was taken but cannot be written is lost, and this is reported.
        if !self.is_whole() && !self.writes_to(1) && !line.takes_before_it_starts() {
            return Err("something is lost or duplicated");
        }
        let state = self.even(&report.state);
        let is_known = state == self.even(before) || state == self.even(&done.state);
        // An object that could not be removed is reported.
        let is_removal = [libc::SYS_unlink, libc::SYS_unlinkat].contains(&call)
            || call == libc::SYS_shmctl && line.words.contains("--lock");
        // The next server replaces what is left.
        let is_replaced = line.verb() == "sock recv" && [libc::SYS_newfstatat, libc::SYS_flock].contains(&call);
        // A locked write that could not be copied is in its journal, and is read from there.
        let is_kept = self.report.err.contains("repeat the locked write to complete the copy");
        if !is_known && !is_removal && !is_replaced && !is_kept && !self.stays(&state) && !line.goes_by_steps() {
            return Err("leaves something");
        }
        Ok(format!("reported, {status}"))
    }

    fn even(&self, text: &str) -> String {
        if self.usual.varies { without_numbers(text) } else { text.to_owned() }
    }

    fn names_cause(&self) -> bool {
        let Disturbed::Fails(errno) = self.how else { return false };
        let shown = match (self.call, errno) {
            // EAGAIN would read as a timeout.
            (libc::SYS_timer_create | libc::SYS_mmap, EAGAIN) => ENOMEM,
            // It was found, but has been removed since.
            _ if self.report.err.contains("removed by another process") => errno,
            // The name has no object of this kind.
            (
                libc::SYS_msgctl
                | libc::SYS_semctl
                | libc::SYS_shmctl
                | libc::SYS_msgget
                | libc::SYS_semget
                | libc::SYS_shmget,
                EINVAL | EIDRM,
            ) if self.line.words.starts_with("ipcrm-lite") => ENOENT,
            // A failure in ipcbox itself is not reported. If it came first, the next process finds no group to join.
            (libc::SYS_setpgid, _) if self.report.err.contains("(EPERM)") => EPERM,
            // sem_unlink(3) returns the same.
            (libc::SYS_unlink, EPERM) if self.line.words.starts_with("sem ") => EACCES,
            // Without /dev/shm, sem_open(3) returns the same.
            (libc::SYS_statfs, ENOENT) if self.line.words.starts_with("sem ") => ENOSYS,
            _ => errno,
        };
        self.report.err.contains(&format!("({shown:?})"))
    }

    fn writes_to(&self, fd: u64) -> bool {
        let to = match self.call {
            libc::SYS_write | libc::SYS_vmsplice => self.report.did,
            // Its output is the third argument, and is always standard output.
            libc::SYS_splice => Some(1),
            _ => None,
        };
        to == Some(fd)
    }

    /// Returns whether the output of the line and what is left are complete.
    fn is_whole(&self) -> bool {
        let Self { report, usual: Usual { done, .. }, .. } = *self;
        match self.line.prints {
            Prints::Same => report.after.1 == done.after.1,
            Prints::Rest => report.out.clone() + &report.after.1 == done.out.clone() + &done.after.1,
        }
    }

    /// Like [`is_answer`](Self::is_answer), for the answers that only `sock` gets.
    fn is_answer_about_sockets(&self, errno: Errno) -> Option<bool> {
        let verb = self.line.words.strip_prefix("sock ")?.split(' ').next()?;
        let words = |words: &[&str]| Some(words.iter().any(|words| self.report.err.contains(words)));
        match (verb, self.call, errno) {
            // Another process has removed the stale path, and a socket that is there is a new one.
            ("with", _, ENOENT) if self.report.err.contains("./s: still a stale socket after 10ms") => Some(true),
            (_, libc::SYS_flock, EAGAIN) => words(&["the directory is still locked", "the directory is locked"]),
            (_, libc::SYS_renameat2, ENOENT) => words(&["another process has just replaced the socket"]),
            // Another process has removed the path.
            ("recv" | "serve" | "with", libc::SYS_newfstatat, ENOENT) => {
                Some(self.report.status == self.usual.done.status)
            }
            // The kernel reports each change once, so this reader waits for the next one.
            ("recv", libc::SYS_accept4 | libc::SYS_recvfrom | libc::SYS_recvmsg, EAGAIN) => {
                Some(self.report.status == 124)
            }
            // The client is lost, and no other one comes.
            ("serve", _, _) if self.report.status == 124 && self.names_cause() => words(&["cannot accept a client"]),
            // A process has the socket.
            ("rm" | "with", libc::SYS_connect, EPROTOTYPE | EPERM) => words(&["it is in use"]),
            // The peer has closed the connection, and the next read would return EOF.
            ("call", libc::SYS_sendmsg, EPIPE) => words(&["the server closed the connection"]),
            // No server is there.
            ("wait", libc::SYS_openat | libc::SYS_newfstatat, ENOENT)
            | ("wait", libc::SYS_connect, ECONNREFUSED | EPERM) => {
                words(&[": no server", ": a socket that does not listen"])
            }
            _ => None,
        }
    }

    /// Returns whether this is an answer and not a failure: no data, no room, or no such set. Such answers have their
    /// own messages.
    fn is_answer(&self) -> bool {
        let Disturbed::Fails(errno) = self.how else { return false };
        let words = |words: &[&str]| words.iter().any(|words| self.report.err.contains(words));
        let line = self.line.words;
        if let Some(is_answer) = self.is_answer_about_sockets(errno) {
            return is_answer;
        }
        match (self.call, errno) {
            // Only the value for the message of the timeout could not be read.
            _ if line.starts_with("sem wait") && words(&["the value is still unknown"]) => {
                self.report.status == self.usual.done.status
            }
            // EAGAIN reads as a timeout.
            (libc::SYS_pread64, EAGAIN) if line.starts_with("sem wait") => self.report.status == 124,
            (libc::SYS_semtimedop, EFBIG) => words(&["is a plain set"]),
            // The new set is still there, but without values.
            (libc::SYS_semtimedop, EIDRM) if line.starts_with("sem create") => words(&["was never initialised"]),
            (
                libc::SYS_msgrcv
                | libc::SYS_msgsnd
                | libc::SYS_mq_timedsend
                | libc::SYS_mq_timedreceive
                | libc::SYS_futex
                | libc::SYS_flock,
                EAGAIN | ENOMSG | ETIMEDOUT,
            ) => {
                self.report.status == 124
                    && words(&[
                        " after ",
                        " is empty",
                        " is full",
                        " in use",
                        "locked",
                        " received",
                        "the value",
                        "the word",
                        "semaphore ",
                        " arrived",
                    ])
                    || line.contains("--drain")
            }
            // ipcrm behaves the same.
            (
                libc::SYS_shmget | libc::SYS_semget | libc::SYS_shmctl | libc::SYS_semctl,
                EACCES | EPERM | ENOENT | EINVAL | EIDRM,
            ) if words(&["permission denied for key", "invalid key", "already removed key"]) => {
                line.starts_with("ipcrm-lite -")
            }
            // The object to remove is already gone.
            (libc::SYS_semctl | libc::SYS_msgctl | libc::SYS_shmctl, EINVAL | EIDRM)
                if line.starts_with("ipcrm-lite --all") =>
            {
                self.report.status == self.usual.done.status
            }
            // A process that cannot be inspected may use the object.
            (
                libc::SYS_openat | libc::SYS_getdents64 | libc::SYS_read | libc::SYS_readlink | libc::SYS_newfstatat,
                _,
            ) if line.starts_with("ipcrm-lite ") => {
                words(&["cannot inspect every process that may use the object"]) && !self.report.state.is_empty()
            }
            (libc::SYS_write, EPIPE) if line.starts_with("sem hold") => words(&["the holder was killed"]),
            // The object is gone. Its creator is not, or is unknown.
            (libc::SYS_semctl | libc::SYS_kill, _) if line.starts_with("ipcs-lite --leaks") => {
                let has = |words: &[&str]| words.iter().any(|word| self.report.out.contains(word));
                let is_gone = [EIDRM, EINVAL].contains(&errno);
                has(&["unproven", "foreign"]) || is_gone && (has(&["removed"]) || !has(&["sem"]))
            }
            // A process of CMD that cannot be inspected proves nothing, so what it created stays, as the verdict shows.
            (
                libc::SYS_openat | libc::SYS_getdents64 | libc::SYS_read | libc::SYS_readlink | libc::SYS_newfstatat,
                _,
            ) if line.starts_with("ipcs-lite --leaks --clean") => self.report.out.contains("unproven"),
            // CMD could not be waited for, so what had no proof by then has none.
            (libc::SYS_waitid | libc::SYS_ppoll, _) if line.starts_with("ipcs-lite --leaks") => {
                self.names_cause() && ["unproven", "foreign"].iter().any(|word| self.report.out.contains(word))
            }
            // The kernel does not report how the process terminated, like Linux before 6.15.
            (libc::SYS_ioctl, _) if line.starts_with("signal ") => self.report.out.contains("ended  -"),
            // No reader is left, which also terminates ipcbox.
            (libc::SYS_write, EPIPE) if line.starts_with("pipe merge") => self.report.status == 128 + libc::SIGPIPE,
            // One consumer has left; the other one has everything.
            (libc::SYS_splice, EPIPE) if line.starts_with("pipe tee") => {
                let Usual { done, .. } = self.usual;
                self.report.out == done.out || self.report.state == done.state
            }
            // Another process removed the object, and with it the copy of a locked write.
            (libc::SYS_shmctl, EIDRM | EINVAL) if line.contains("--lock") => {
                self.report.status == self.usual.done.status
            }
            (libc::SYS_fcntl, _) => words(&[": not a pipe"]),
            // The object is open, so only /proc, which names it, can be missing.
            (libc::SYS_fchmodat, ENOENT) => words(&["/proc is not mounted"]),
            // A private queue cannot exist already.
            (libc::SYS_msgget, EEXIST) => line.contains("private"),
            // Another process has removed the file first.
            (libc::SYS_openat | libc::SYS_newfstatat | libc::SYS_unlinkat, ENOENT) => {
                line.contains("--rm") && self.report.status == self.usual.done.status
                    || words(&["needs the /proc of this pid namespace"])
            }
            // A process did not get SIGTERM, and exited later than usual.
            (libc::SYS_pidfd_send_signal | libc::SYS_kill, _) if line.contains("--max-time") => {
                self.report.status == self.usual.done.status && words(&[" timed out after 20ms ("])
            }
            // /proc does not have that file.
            (libc::SYS_readlink, ENOENT) => words(&["needs the /proc of this pid namespace"]),
            _ => false,
        }
    }

    /// Returns whether a listing is complete. Objects that are gone or hidden, and files that are not objects, are left
    /// out.
    fn is_seen(&self) -> bool {
        let lines = |report: &Report| report.out.lines().count();
        let is_out = [EACCES, EIDRM, EINVAL, ELOOP, ENOENT, ENXIO].map(Disturbed::Fails).contains(&self.how);
        let (shown, usual) = (lines(self.report), lines(&self.usual.done));
        shown == usual || is_out && shown < usual || self.report.out.contains("UNSEEN")
    }

    /// Returns whether the kernel reported that there is no input, to a reader that is notified of each change once,
    /// epoll(7).
    fn is_empty_word(&self) -> bool {
        if self.line.verb() == "sock recv" {
            let reads = [libc::SYS_accept4, libc::SYS_recvfrom, libc::SYS_recvmsg];
            return reads.contains(&self.call) && self.how == Disturbed::Fails(EAGAIN);
        }
        let waits = ["fifo read", "fifo serve", "pipe merge"].contains(&&*self.line.verb());
        waits && self.call == libc::SYS_read && self.how == Disturbed::Fails(EAGAIN)
    }

    /// Returns the statuses that an errno may cause.
    fn expected(&self, errno: Errno) -> &'static [i32] {
        let is_own = self.report.did > Some(2);
        let lookups = [
            #[cfg(target_arch = "x86_64")]
            libc::SYS_access,
            libc::SYS_faccessat,
        ];
        match errno {
            _ if self.call == libc::SYS_execve && self.line.has_status_of_command() => &[126],
            // The shell is looked up in no other place.
            _ if lookups.contains(&self.call) && self.report.err.contains("cannot run /bin/sh") => &[126, 127],
            // The disposition of SIGXFSZ is set at the start, and restored right before exec.
            _ if self.call == libc::SYS_rt_sigaction && self.line.has_status_of_command() => &[125, 126],
            EAGAIN | ETIMEDOUT if self.line.has_status_of_command() => &[124, 125],
            // A failed stage of another verb has status 1.
            _ if self.line.has_status_of_command() && self.line.words.starts_with("pipe ") => &[1, 125],
            _ if self.line.has_status_of_command() => &[125],
            // The file was found before, so its interpreter is missing. A lack of resources is not the command's fault.
            EAGAIN | ENOMEM | ENFILE | E2BIG if self.call == libc::SYS_execve => &[1, 126],
            _ if self.call == libc::SYS_execve => &[126],
            // The status is 1 if a command failed or could not be started.
            _ if self.line.takes_before_it_starts() && self.report.err.contains("cannot run") => &[1],
            EAGAIN if self.call == libc::SYS_clone => &[1],
            EAGAIN if self.call == libc::SYS_flock => &[1, 124],
            EAGAIN if [libc::SYS_timer_create, libc::SYS_mmap].contains(&self.call) => &[1],
            // A blocking descriptor of ipcbox itself.
            EAGAIN if is_own && [libc::SYS_read, libc::SYS_write].contains(&self.call) => &[1, 124],
            // Something that is gone, or that was never of the right kind.
            EINVAL | EPIPE => &[1, 3],
            EISDIR | ELOOP | ENXIO if self.report.err.contains("the file is not a POSIX semaphore") => &[3],
            ELOOP => &[1, 4],
            ENOENT if self.call == libc::SYS_statfs => &[1],
            ENOENT | ESRCH | EIDRM | ENOMSG | ECONNREFUSED => &[3],
            // An index beyond the set is a usage error.
            EFBIG if self.call == libc::SYS_semtimedop && self.line.words.starts_with("sem ") => &[2],
            EEXIST | EPROTOTYPE => &[4],
            EPERM if self.call == libc::SYS_write => &[1, 5],
            EACCES | EPERM => &[5],
            EAGAIN | ETIMEDOUT => &[124],
            _ => &[1],
        }
    }

    /// Returns whether only objects that the line created for its own use are left. Other processes may already use
    /// them, so they are not removed.
    fn stays(&self, state: &str) -> bool {
        let Usual { before, done, .. } = self.usual;
        let head = |line: &str| line.splitn(4, ' ').take(3).collect::<Vec<_>>().join(" ");
        let heads = |state: &str| state.lines().map(head).collect::<Vec<_>>();
        let (before, done) = (heads(&self.even(before)), heads(&self.even(&done.state)));
        self.line.creates()
            && heads(state).iter().all(|head| before.contains(head) || done.contains(head) || head.starts_with("sem "))
    }
}

/// Replaces each run of digits, and each run of blanks, by one character.
pub fn without_numbers(text: &str) -> String {
    let mut even = String::from(' ');
    for letter in text.chars() {
        let sign = if letter.is_ascii_digit() { '0' } else { letter };
        let is_run = (sign == '0' || sign == ' ') && even.ends_with(sign);
        if !(is_run || sign == ' ' && even.ends_with('\n')) {
            even.push(sign);
        }
    }
    even
}
