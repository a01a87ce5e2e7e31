//! The command lines of the verbs.

/// The output of the script that runs after a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prints {
    /// It is always the same.
    Same,
    /// It is what the line has not consumed. Together with the output of the line it is always the same.
    Rest,
}

/// A call of a verb, in namespaces of its own.
pub struct Line {
    /// The applet, the verb and its arguments, in shell syntax.
    pub words: &'static str,
    /// A script that prepares for it.
    pub setup: &'static str,
    /// A script that runs after it, whatever its status, and always succeeds.
    pub after: &'static str,
    pub prints: Prints,
    /// Whether it leaves a process running when it succeeds.
    pub leaves: bool,
}

pub const fn line(words: &'static str, setup: &'static str) -> Line {
    Line { words, setup, after: "", prints: Prints::Same, leaves: false }
}

impl Line {
    pub const NONE: Self = line("", "");

    /// Adds a next caller, which always succeeds in the same way.
    pub const fn next(self, after: &'static str) -> Self {
        Self { after, prints: Prints::Same, ..self }
    }

    /// Adds a script that prints what the line has not consumed.
    const fn rest(self, after: &'static str) -> Self {
        Self { after, prints: Prints::Rest, ..self }
    }

    pub const fn leaves(self) -> Self {
        Self { leaves: true, ..self }
    }

    /// Returns whether its status is that of its command.
    pub fn has_status_of_command(&self) -> bool {
        let verb = self.verb();
        let verbs = [
            "sem run",
            "sem lock",
            "sem op",
            "shm memfd",
            "signal run",
            "ipcs-lite",
            "sock connect",
            "sock with",
            "sock activate",
        ];
        let has_command = self.words.contains(" -- ");
        ["msgq call", "sock call"].contains(&&*verb)
            || has_command && (verb.starts_with("pipe ") || verbs.contains(&&*verb))
    }

    /// Returns whether it creates a missing object in order to use it.
    fn creates_by_itself(&self) -> bool {
        ["sem run", "sem lock", "sem hold", "sem barrier"].contains(&&*self.verb())
    }

    /// Returns whether it creates a missing object, by itself or because of an option.
    pub fn creates(&self) -> bool {
        let options = ["--create", "--lock", "pipe tee -o", "3>"];
        self.creates_by_itself() || options.iter().any(|words| self.words.contains(words))
    }

    /// Returns whether it only shows things. Without /proc it shows them as unknown, and without /etc/passwd users by
    /// number.
    pub fn is_look(&self) -> bool {
        self.verb().ends_with(" stat") || self.verb() == "ipcs-lite" || self.words.contains("--dry-run")
    }

    /// Returns whether its processes exchange a few bytes through a pipe, which are always transferred whole (pipe(7)).
    pub fn reports_atomically(&self) -> bool {
        self.leaves
    }

    /// Returns whether it works in steps, some of which can be done when it fails. With records, its output and the
    /// rest show which.
    pub fn goes_by_steps(&self) -> bool {
        let several = ["msgq send q --lines", "ipcrm-lite --all"];
        self.verb().ends_with(" set")
            || self.words.ends_with(" --replace")
            || several.iter().any(|words| self.words.starts_with(words))
            || self.prints == Prints::Rest
    }

    /// Returns whether it takes a record before it starts a command for it. A command that cannot be started is
    /// reported.
    pub fn takes_before_it_starts(&self) -> bool {
        self.verb().ends_with(" serve")
    }

    /// Returns the applet and the verb, or only an applet without verbs.
    pub fn verb(&self) -> String {
        let words: Vec<&str> = self.words.split(' ').take(2).collect();
        words.join(" ").split(" -").next().unwrap_or_default().to_owned()
    }
}

/// A FIFO that holds two lines and stays open.
pub const FIFO: &str = "ipcbox fifo create f; sleep 60 <>f & until [ -n \"$(ipcbox fifo stat f --columns readers --no-header)\" ]; do :; done; printf 'a\\nb\\n' >f";
const FIFO_REST: &str = "ipcbox fifo read f -n 2>/dev/null || :";
pub const QUEUE: &str = "ipcbox msgq send q one two --create";
const POSIX_QUEUE: &str = "ipcbox msgq send /q one two --create";
const QUEUE_REST: &str = "while ipcbox msgq recv q -n -E 3; do :; done 2>/dev/null";
const POSIX_QUEUE_REST: &str = "while ipcbox msgq recv /q -n -E 3; do :; done 2>/dev/null";
pub const SEGMENT: &str = "printf '0123456789abcdef' | ipcbox shm write m --create";
const OBJECT: &str = "printf '0123456789abcdef' | ipcbox shm write /m --create";
/// A file of names that the next name makes too long.
pub const LONG_FILE: &str = "ipcbox sem create first -q; yes junk | head -c 65520 >>/dev/shm/.ipcbox-names.$(id -u)";
/// A server that sends back what one client has sent.
const ECHO: &str = "python3 -c 'import os, socket; s = socket.socket(socket.AF_UNIX); s.bind(\"t\"); s.listen(); os.rename(\"t\", \"s\"); f = s.accept()[0].makefile(\"rwb\"); f.write(f.read()); f.flush()' & until [ -S s ]; do :; done";
/// A server that reads what one client sends.
const READER: &str = "python3 -c 'import os, socket; s = socket.socket(socket.AF_UNIX); s.bind(\"t\"); s.listen(); os.rename(\"t\", \"s\"); s.accept()[0].makefile(\"rb\").read()' & until [ -S s ]; do :; done";
/// A socket of datagrams.
const INBOX: &str = "python3 -c 'import socket, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(\"m\"); time.sleep(60)' & until [ -S m ]; do :; done";
/// A client that waits for a server.
const SENDER: &str = "ipcbox sock send ./s one two --await -w 60s &";
/// A port that is reserved, and can be shared.
pub const PORT: &str = "rm -f ../address; ipcbox sock activate tcp:127.0.0.1:0 --reserve -- sh -c 'echo $IPCBOX_ADDRESS >../a; mv ../a ../address; exec sleep 60' & until [ -s ../address ]; do :; done";
/// A process with sockets.
const SOCKETS: &str = "rm -f ../pid; python3 -c 'import os, signal, socket; s = socket.create_server(\"s\", family=socket.AF_UNIX); t = socket.create_server((\"127.0.0.1\", 0)); open(\"../p\", \"w\").write(str(os.getpid())); os.rename(\"../p\", \"../pid\"); signal.pause()' & until [ -s ../pid ]; do :; done";
/// A server that is never connected to.
const LISTENER: &str = "python3 -c 'import os, socket; s = socket.socket(socket.AF_UNIX); s.bind(\"t\"); s.listen(); os.rename(\"t\", \"s\"); s.accept()' & until [ -S s ]; do :; done";
/// A socket that no process has.
pub const STALE: &str = "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"s\")'";
const SLEEPER: &str = "sleep 60 & echo $! >../pid; until grep -qsx sleep /proc/$!/comm; do :; done";

pub const LINES: &[Line] = &[
    line("sem run s --slots 2 -- echo in", "").next("ipcbox sem run s --slots 2 -n -- echo next"),
    line("sem run s -- false", "ipcbox sem create s --slots 2").next("ipcbox sem run s -n -- echo next"),
    line("sem run s --slots 3 --resize -- echo in", "ipcbox sem create s --slots 2")
        .next("ipcbox sem run s -n -- echo next"),
    line("sem lock l -- echo in", "").next("ipcbox sem lock l -n -- echo next"),
    line("sem lock l --shared -w 1s -- echo in", "").next("ipcbox sem lock l -n -- echo next"),
    line("sem hold h 1 --lock", "").leaves(),
    line("sem hold h 1 --slots 2", "").leaves(),
    line("sem run ./f --slots 2 -- echo in", "").next("ipcbox sem run ./f --slots 2 -n -- echo next"),
    line("sem run ./f -- false", "ipcbox sem create ./f --slots 2").next("ipcbox sem run ./f -n -- echo next"),
    line("sem run ./f --slots 3 --take 2 -w 1s -- echo in", "").next("ipcbox sem run ./f --slots 3 -n -- echo next"),
    line("sem lock ./l -- echo in", "").next("ipcbox sem lock ./l -n -- echo next"),
    line("sem lock ./l --shared -w 1s -- echo in", "").next("ipcbox sem lock ./l -n -- echo next"),
    line("sem hold ./h 1 --lock", "").leaves(),
    line("sem hold ./h 1 --slots 2", "").leaves(),
    line("sem create ./c --slots 3 -m 0640", ""),
    line("sem stat ./c --json", "ipcbox sem create ./c --slots 2"),
    line("sem rm ./c", "ipcbox sem create ./c --slots 2"),
    line("sem barrier b 1", "").next("ipcbox sem barrier b 1 -w 1s"),
    line("sem create c --value 3,4", ""),
    line("sem create c --slots 3 -m 0640", ""),
    line("sem create private --nsems 2", ""),
    line("sem create ftok:../lines", LONG_FILE),
    line("sem create /p --value 2", ""),
    line("sem wait a", "ipcbox sem create a --value 5"),
    line("sem wait a -w 1s", "ipcbox sem create a --value 5"),
    line("sem wait /p -w 1s", "ipcbox sem create /p --value 5"),
    line("sem wait a -w 10ms", "ipcbox sem create a"),
    line("sem wait /p -w 10ms", "ipcbox sem create /p"),
    line("sem post a", "ipcbox sem create a --value 5"),
    line("sem post /p", "ipcbox sem create /p --value 5"),
    line("sem op a 0:-1 1:+2", "ipcbox sem create a --value 5,0"),
    line("sem op a 0:-1u -- echo in", "ipcbox sem create a --value 5"),
    line("sem get a --all", "ipcbox sem create a --value 5,6"),
    line("sem get /p", "ipcbox sem create /p --value 5"),
    line("sem set a 7 8", "ipcbox sem create a --value 5,6"),
    line("sem set a -m 0640", "ipcbox sem create a --value 5,6"),
    line("sem set /p -m 0640", "ipcbox sem create /p --value 5"),
    line("sem stat", "ipcbox sem create a --value 5,6; ipcbox sem create s --slots 2; ipcbox sem create /p"),
    line("sem stat s --json", "ipcbox sem create s --slots 2"),
    line(
        "sem stat s --holders",
        "ipcbox sem run s --slots 2 -- sleep 60 & until ipcbox sem stat s --holders 2>/dev/null | grep -q .; do :; done",
    ),
    line("sem rm a", "ipcbox sem create a"),
    line("sem rm /p", "ipcbox sem create /p"),
    line("msgq create q --max-bytes 4096", ""),
    line("msgq create private", ""),
    line("msgq create /q --max-messages 5", ""),
    line("msgq send q one two --create", ""),
    line("msgq send q three -w 1s", QUEUE),
    line("msgq send q --lines <../lines", "ipcbox msgq create q"),
    line("msgq send /q one two --create", ""),
    line("msgq send /q three -w 1s", POSIX_QUEUE),
    line("msgq recv q", QUEUE).rest(QUEUE_REST),
    line("msgq recv q -c 2 -w 1s", QUEUE).rest(QUEUE_REST),
    line("msgq recv q --json -n", QUEUE),
    line("msgq recv q -w 10ms", "ipcbox msgq create q"),
    line("msgq recv /q -c 2", POSIX_QUEUE).rest(POSIX_QUEUE_REST),
    line("msgq recv /q -w 10ms", "ipcbox msgq create /q"),
    line("msgq peek q", QUEUE),
    line("msgq peek q --index 1", QUEUE),
    line("msgq call q hello -w 2s", "ipcbox msgq create q; ipcbox msgq serve q -- tr a-z A-Z &"),
    line("msgq call /q hello -w 2s", "ipcbox msgq create /q; ipcbox msgq serve /q -- tr a-z A-Z &"),
    line("msgq serve q --drain -- sh -c 'cat; echo'", QUEUE).rest(QUEUE_REST),
    line("msgq serve q -c 1 -j 2 -- echo {}", QUEUE).rest(QUEUE_REST),
    line("msgq serve /q --drain -- sh -c 'cat; echo'", POSIX_QUEUE).rest(POSIX_QUEUE_REST),
    line("msgq stat", "ipcbox msgq create q; ipcbox msgq create /q"),
    line("msgq stat q --json", QUEUE),
    line("msgq set q --max-bytes 2048 -m 0640", "ipcbox msgq create q"),
    line("msgq set /q -m 0640", "ipcbox msgq create /q"),
    line("msgq rm q", "ipcbox msgq create q"),
    line("msgq rm /q", "ipcbox msgq create /q"),
    line("shm create m --size 100", ""),
    line("shm create private --size 100", ""),
    line("shm create /m --size 100", ""),
    line("shm write m --create <../lines", ""),
    line("shm write m new", SEGMENT),
    line("shm write m new --lock l", SEGMENT).next("ipcbox shm read m --lock l -n >/dev/null"),
    line("shm write /m new --lock l", OBJECT).next("ipcbox shm read /m --lock l -n >/dev/null"),
    line("shm write /m new --replace", OBJECT),
    line("shm write /m new --replace --lock l", OBJECT).next("ipcbox shm read /m --lock l -n >/dev/null"),
    line("shm write /m --create <../lines", ""),
    line("shm write /m <../lines", "ipcbox shm create /m --size 64"),
    line("shm read m", SEGMENT),
    line("shm read m --lock l", SEGMENT).next("ipcbox shm write m 1 --lock l -n"),
    line("shm read /m", OBJECT),
    line("shm get m", SEGMENT),
    line("shm set m 7", SEGMENT),
    line("shm set /m 7", OBJECT),
    line("shm set /m --size 32 -m 0640", OBJECT),
    line("shm set m -m 0640", SEGMENT),
    line("shm add m", "ipcbox shm add m --create"),
    line("shm add /m --create", ""),
    line("shm add m --create", ""),
    line("shm cas m 1 5", "ipcbox shm add m --create"),
    line("shm wait m 1", "ipcbox shm add m --create"),
    line("shm wait m 2 -w 10ms", "ipcbox shm add m --create"),
    line("shm stat", "ipcbox shm create m --size 10; ipcbox shm create /m --size 10"),
    line("shm stat m --holders", SEGMENT),
    line("shm stat m --json", SEGMENT),
    line("shm memfd ../lines -- cat {}", ""),
    line("shm memfd -- cat {} <../lines", ""),
    line("shm rm m", "ipcbox shm create m --size 10"),
    line("shm rm /m", "ipcbox shm create /m --size 10"),
    line("fifo create f -m 0640", ""),
    line("fifo read f -c 2", FIFO).rest(FIFO_REST),
    line("fifo read f -n", FIFO).rest(FIFO_REST),
    line("fifo read f -c 2 --tag", FIFO),
    line("fifo read f --create --rm -w 20ms", ""),
    line("fifo read f -w 20ms", "ipcbox fifo create f"),
    line("fifo write f c d -w 1s", FIFO),
    line("fifo write f --lines -w 1s <../lines", FIFO),
    line("fifo write f c -w 10ms", "ipcbox fifo create f"),
    line("fifo serve f -- sh -c 'cat; kill $PPID'", FIFO).rest(FIFO_REST),
    line("fifo stat f", FIFO),
    line("fifo rm f", "ipcbox fifo create f"),
    line("signal send 0 $(cat ../pid)", SLEEPER),
    line("signal send TERM $(cat ../pid) --wait 2s", SLEEPER),
    line("signal send USR1 $(cat ../pid) --tree --dry-run", SLEEPER),
    line("signal wait USR1 -w 10ms", ""),
    line("signal wait USR1 --ready ../ready -w 10ms", ""),
    line("signal run --ignore INT -- echo in", ""),
    line("signal run --map USR1= --on 'USR1=: >done' -- sh -c 'kill -USR1 $PPID'", ""),
    line("signal run --map TERM=INT -- sh -c 'echo in; exit 3'", ""),
    line("signal run --kill-tree -- sh -c 'setsid sleep 60 & echo in'", ""),
    line("signal run --kill-tree --max-time 20ms --then TERM:1s --then KILL -- sleep 60", ""),
    line("signal join $(cat ../pid)", "sleep 0.1 & echo $! >../pid"),
    line("signal join 1 -w 10ms", ""),
    line("signal stat 1", ""),
    line("signal list TERM 15", ""),
    line("key ftok:/", ""),
    line("pipe run -- cat ../lines ::: cat", ""),
    line("pipe run --report /dev/fd/3 -- false ::: true 3>report", ""),
    line("pipe run --max-time 20ms -- sleep 60 ::: cat", ""),
    line("pipe tee -o copy -- cat <../lines", ""),
    line("pipe tee -o one -o - <../lines", ""),
    line("pipe merge --tag -- cat ../lines", ""),
    line("pipe merge --keep-order -- echo a ::: echo b", ""),
    line("pipe duplex -- echo a ::: cat >/dev/null", ""),
    line("pipe meter <../lines", ""),
    line("pipe stat 1", ""),
    line("pipe resize 100000 1 -- echo in", ""),
    line("sock connect ./s <../lines", ECHO),
    line("sock connect ./s <../lines | cat", ECHO),
    line("sock connect ./s -w 5s -- sh -c 'echo in >&2'", ECHO),
    line("sock connect ./s -n", ""),
    line("sock connect ./s --await -w 10ms", ""),
    line("sock send ./s one two", READER),
    line("sock send ./s -w 5s <../lines", READER),
    line("sock send dgram:m one two -w 5s", INBOX),
    line("sock send ./s x -n", ""),
    line("sock call ./s hello -w 5s", "ipcbox sock serve ./s -- tr a-z A-Z & until [ -S s ]; do :; done"),
    line("sock call ./s -w 5s -n", ""),
    // CMD takes everything and sends nothing, because its client does not wait for a reply.
    line("sock serve ./s -c 1 -w 2s -- sh -c 'cat >/dev/null'", "ipcbox sock send ./s one --await -w 60s &"),
    line("sock serve ./s -w 10ms -- cat", ""),
    line("sock recv ./s -w 5s", SENDER),
    line("sock recv ./s -c 2 -J -w 5s", SENDER),
    line("sock recv dgram:m -w 5s", "ipcbox sock send dgram:m one --await -w 60s &"),
    line("sock recv ./s -w 10ms", ""),
    line("sock activate ./s -- sh -c 'echo $LISTEN_FDS $LISTEN_FDNAMES'", ""),
    line("sock activate ./s dgram:d -- sh -c 'echo $LISTEN_FDS $LISTEN_FDNAMES'", ""),
    line("sock activate tcp:127.0.0.1:0 --reserve -- echo in", ""),
    line("sock stat ./s", STALE),
    line("sock stat --pid $(cat ../pid)", SOCKETS),
    line("sock wait ./s @none -n", LISTENER),
    line("sock wait ./s -w 5s", LISTENER),
    line("sock wait ./none -w 10ms", ""),
    line("sock wait ./none tcp:127.77.0.5:9 --gone -- echo in", ""),
    line("sock wait ./none --pid $(cat ../pid) -w 20ms", SLEEPER),
    line("sock with ./s --pass -- sleep 60 ::: echo in", ""),
    line("sock with ./s tcp:localhost:0 -w 10ms -- sleep 60 ::: echo in", STALE),
    line("sock with ./s -- false ::: echo in", ""),
    line("sock rm s", STALE),
    line("sock rm s --force", STALE),
    line("ipcs-lite", "ipcbox sem create a; ipcbox msgq create q; ipcbox shm create m --size 10"),
    line("ipcs-lite --json --posix", "ipcbox sem create a; ipcbox sem create /p; ipcbox shm create /m --size 10"),
    line("ipcs-lite -l", ""),
    line("ipcs-lite -u", "ipcbox sem create a"),
    line("ipcs-lite --leaks -- sh -c 'ipcbox sem create a >/dev/null'", ""),
    line("ipcs-lite --leaks --clean -- sh -c 'exec ipcbox sem create a'", ""),
    line("ipcs-lite --posix --sort size", "ipcbox sem create /p; ipcbox shm create /m --size 10"),
    line("ipcs-lite -m --holders", "ipcbox shm create m --size 10"),
    line("ipcrm-lite a", "ipcbox sem create a"),
    line("ipcrm-lite a --dry-run", "ipcbox sem create a"),
    line("ipcrm-lite -a", "ipcbox sem create a; ipcbox msgq create q"),
    line("ipcrm-lite -M 0xaa", "ipcbox shm create 0xaa --size 10"),
    line("ipcrm-lite -S 0xbb", "ipcbox sem create 0xbb"),
    line("ipcrm-lite --all --yes", "ipcbox sem create a; ipcbox msgq create q"),
    line("ipcrm-lite --unused --mine --dry-run", "ipcbox shm create m --size 10"),
];
