//! Every verb while a resource is short, missing or forbidden: it works, or names what is missing.
//!
//! The table of resource, verb and outcome is written to `target/tmp/scarcity.txt`.

mod kernels;
mod verbs;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Output;

use nix::unistd::geteuid;

use crate::support::{BINARY, Call, World, code, skip};
use verbs::VERBS;

/// A missing resource. In private namespaces a shell runs the set-up, removes the resource, and runs the call.
struct Scarcity {
    name: &'static str,
    /// The options of the private `/dev/shm`, and of the file system of the working directory.
    mounts: [&'static str; 2],
    /// Whether an ordinary user runs everything, not root.
    user: bool,
    /// The shell's commands after the set-up. The call is appended.
    then: &'static str,
    /// Calls of which the last one must fail with this status and these words. This proves that the resource is
    /// missing.
    proof: Proof,
}

type Proof = (&'static str, i32, &'static str);

const PLAIN: [&str; 2] = ["size=1m", "size=1m"];

const fn scarcity(name: &'static str, then: &'static str, proof: Proof) -> Scarcity {
    Scarcity { name, mounts: PLAIN, user: false, then, proof }
}

const SCARCITIES: &[Scarcity] = &[
    scarcity("ulimit -n 8", "exec prlimit --nofile=8", ("pipe tee -o a -o b -o c -o d -o e -o f -o g", 1, "(EMFILE)")),
    scarcity("ulimit -n 3", "exec prlimit --nofile=3", ("pipe run -- true ::: true", 125, "(EMFILE)")),
    Scarcity {
        user: true,
        ..scarcity(
            "ulimit -u",
            "exec prlimit --nproc=1",
            ("pipe run -- true ::: true", 125, "the process limit is reached (EAGAIN)"),
        )
    },
    scarcity("ulimit -v", "exec prlimit --as=100000000", ("shm create @big --size 1G; shm get @big", 1, "(ENOMEM)")),
    scarcity("ulimit -q 0", "exec prlimit --msgqueue=0", ("msgq create /@new", 1, "ulimit -q")),
    scarcity("ulimit -i 0", "exec prlimit --sigpending=0", ("signal send RTMIN PID --value 1", 1, "--sigpending=64")),
    Scarcity {
        user: true,
        ..scarcity(
            "ulimit -l 0",
            "exec prlimit --memlock=0",
            ("shm create @m --size 4K; shm set @m --pin", 5, "ulimit -l"),
        )
    },
    scarcity(
        "a full /dev/shm",
        "{ cat /dev/zero >/dev/shm/full || :; } 2>/dev/null; exec",
        ("shm create /@new --size 64K", 1, "(ENOSPC)"),
    ),
    Scarcity {
        mounts: ["nr_inodes=4", "size=1m"],
        ..scarcity(
            "no file can be created in /dev/shm",
            "for n in 1 2 3; do touch /dev/shm/full$n || :; done 2>/dev/null; exec",
            ("sem create /@new", 1, "(ENOSPC)"),
        )
    },
    Scarcity {
        mounts: ["size=1m", "nr_inodes=4"],
        ..scarcity(
            "no file can be created here",
            "for n in 1 2 3; do touch full$n || :; done 2>/dev/null; exec",
            ("fifo create new", 1, "(ENOSPC)"),
        )
    },
    scarcity(
        "a full disk",
        "exec 3>out; { cat /dev/zero >full || :; } 2>/dev/null; exec 1>&3 3>&-; exec",
        ("signal list", 1, "cannot write to standard output: no space left on device (ENOSPC)"),
    ),
    scarcity("a read-only /dev/shm", "mount -o remount,ro /dev/shm; exec", ("shm create /@new --size 1", 1, "(EROFS)")),
    scarcity("a read-only directory", "mount -o remount,ro .; exec", ("fifo create new", 1, "(EROFS)")),
    scarcity(
        "no /dev/shm",
        "mount -t tmpfs tmpfs /dev; mknod -m 666 /dev/null c 1 3; exec",
        ("shm create /@new --size 1", 1, "/dev/shm"),
    ),
    scarcity("an empty /dev", "mount -t tmpfs tmpfs /dev; exec", ("shm memfd -- true", 125, "cannot open /dev/null")),
    scarcity("no /proc", "mount -t tmpfs tmpfs /proc; exec", ("signal stat 1", 1, "/proc")),
    scarcity(
        "no /dev/mqueue",
        "umount -A /dev/mqueue 2>/dev/null || :; exec setpriv --bounding-set=-all --inh-caps=-all",
        ("ipcs-lite -P", 0, "mqueue is not mounted"),
    ),
    scarcity(
        "msgmni, semmni and shmmni reached",
        "(cd /proc/sys/kernel; echo 0 >msgmni; echo '250 32000 100 0' >sem; echo 0 >shmmni); exec",
        ("sem create @new", 1, "(ENOSPC)"),
    ),
    scarcity(
        "queues_max reached",
        "echo 0 >/proc/sys/fs/mqueue/queues_max; exec setpriv --bounding-set=-all --inh-caps=-all",
        ("msgq create /@new", 1, "(ENOSPC)"),
    ),
    scarcity(
        "another user's objects",
        "exec setpriv --reuid=54398 --regid=54398 --clear-groups",
        ("sem create @a; sem set @a 5", 5, "permission denied; owned by root (EACCES)"),
    ),
    scarcity(
        "a user namespace without users",
        "exec unshare --user",
        ("sem create @a; sem set @a -m 640", 1, "the user or group has no mapping in this user namespace"),
    ),
    scarcity(
        "a user and an IPC namespace of its own",
        "exec unshare --user --map-root-user --ipc",
        ("sem create @a; sem get @a", 3, "no such semaphore set"),
    ),
    scarcity(
        "the /proc of another pid namespace",
        "exec unshare --pid --fork --kill-child",
        ("signal run --kill-tree -- true", 125, "/proc"),
    ),
];

impl Scarcity {
    /// Runs calls, separated by semicolons, and then the last one without the resource.
    fn run(&self, world: &World, setup: &str, call: &str) -> Output {
        let setup = setup.split("; ").filter(|call| !call.is_empty());
        let setup: String = setup.fold(String::new(), |mut text, call| {
            let _ = writeln!(text, "\"$BOX\" {call} >/dev/null");
            text
        });
        let [shm, here] = self.mounts;
        let mounts = format!(
            "mount -t tmpfs -o mode=1777,{shm} tmpfs /dev/shm
             mount -t tmpfs -o mode=1777,{here} tmpfs here; cd here; exec \"$@\""
        );
        let user: &[&str] =
            if self.user { &["setpriv", "--reuid=54398", "--regid=54398", "--clear-groups"] } else { &[] };
        let script = format!("{setup}\n{} \"$BOX\" {call}", self.then);
        let script = script.replace('@', "").replace("PID", "$$");
        Call::new("unshare")
            .args(["--mount", "--ipc", "timeout", "-s", "KILL", "240"])
            .args(["sh", "-euc", &mounts, "sh"])
            .args(user)
            .args(["sh", "-euc", &script])
            .env("BOX", BINARY)
            .dir(world.dir())
            .input("x")
            .output()
    }
}

/// Returns the outcome in a few words, or what is wrong with it.
fn judge(call: &str, output: &Output) -> Result<String, String> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let status = code(output.status);
    let wrong = |what: &str| Err(format!("{what}: {status}: {stderr}"));
    if stderr.contains("panicked") || status == 134 {
        return wrong("a panic");
    }
    if status == 137 {
        return wrong("it does not exit");
    }
    let names_limit = |line: &str| line.starts_with("hint: ") && line.contains("ulimit -");
    if stderr.contains("(EMFILE)") && !stderr.lines().any(names_limit) {
        return wrong("no hint of the limit");
    }
    let runs = call.contains(" -- ") || call.contains("--install");
    if status == 0 {
        return Ok("works".into());
    }
    if !matches!(status, 1 | 3 | 4 | 5 | 124..=127) {
        return wrong("a status without a meaning");
    }
    let lines: Vec<&str> = stderr.lines().filter(|line| !line.starts_with("hint: ")).collect();
    let applet = call.split(' ').next().unwrap_or_default();
    let own = |line: &&str| line.starts_with(applet) || line.starts_with("ipcbox:");
    match &lines[..] {
        // A failure to read and a failure to clean up can both be reported.
        [first, ..] if lines.iter().all(own) => Ok(format!("{status}: {first}")),
        [first, ..] if runs && lines.iter().any(own) => Ok(format!("{status}: {first}")),
        // A resource that CMD itself needs is missing.
        [..] if runs => Ok(format!("{status}: CMD's")),
        _ => wrong("a line without a reason"),
    }
}

/// Without IPCBOX_FULL, one in this many pairs of resource and verb is run.
const SAMPLE: usize = 4;

#[test]
fn verb_without_a_resource_works_or_names_it() {
    let world = World::new();
    std::fs::create_dir(world.dir().join("here")).unwrap();
    if !geteuid().is_root() || !world.is_own() {
        return skip("needs root and permission to create namespaces");
    }
    let step = if std::env::var_os("IPCBOX_FULL").is_some() { 1 } else { SAMPLE };
    let mut wrong = Vec::new();
    let mut table: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
    let mut count = 0;
    for (n, scarcity) in SCARCITIES.iter().enumerate() {
        let (calls, status, words) = scarcity.proof;
        let (setup, call) = calls.rsplit_once("; ").unwrap_or(("", calls));
        let output = scarcity.run(&world, setup, call);
        let stderr = String::from_utf8_lossy(&output.stderr);
        if code(output.status) != status || !stderr.contains(words) {
            wrong.push(format!("{}: {calls}: {} {stderr}", scarcity.name, output.status));
        }
        for (setup, call) in VERBS.iter().skip(n % step).step_by(step) {
            count += 1;
            match judge(call, &scarcity.run(&world, setup, call)) {
                Ok(outcome) => table.entry((scarcity.name, outcome)).or_default().push(call),
                Err(why) => wrong.push(format!("{}: {call}: {why}", scarcity.name)),
            }
        }
    }
    let mut text = String::new();
    for ((scarcity, outcome), calls) in table {
        let _ = writeln!(text, "{scarcity} | {outcome} | {}", calls.join(", "));
    }
    std::fs::write(concat!(env!("CARGO_TARGET_TMPDIR"), "/scarcity.txt"), text).unwrap();
    println!("{count} cases");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn verb_with_all_resources_works() {
    let world = World::new();
    std::fs::create_dir(world.dir().join("here")).unwrap();
    if !geteuid().is_root() || !world.is_own() {
        return skip("needs root and permission to create namespaces");
    }
    let plenty = scarcity("nothing", "exec", ("", 0, ""));
    for (setup, call) in VERBS {
        let output = plenty.run(&world, setup, call);
        assert_eq!(code(output.status), 0, "{call}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
