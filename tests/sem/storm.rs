//! Storms: many callers, and a killer that sends SIGKILL to random ones at random instants. Afterwards the object is in
//! its initial state.

use std::fs;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::Signal;

use super::barrier::assert_at_rest_for;
use super::lock::assert_at_rest;
use crate::support::{Call, Child, PATIENCE, World, eventually, signal};

/// How many callers are killed, and how many must succeed, however long that takes.
fn events() -> usize {
    if std::env::var_os("IPCBOX_FULL").is_some() { 2000 } else { 200 }
}

/// The job of a holder: checks that no other process that is not exiting holds the same, leaves a file, and works for a
/// while. `$1` is what it holds, the rest is what that excludes.
const JOB: &str = r#"#!/bin/sh
mine=now/$1
shift
for other in "$@"; do
    for file in now/$other; do
        read -r pid start <"$file" && read -r stat <"/proc/$pid/stat" || continue
        set -- ${stat##*) }
        # The kernel releases what a process holds after it has marked it as exiting (4). A process that started at
        # another time has the pid of a killed one.
        [ "${20}" != "$start" ] || [ $(($7 & 4)) -ne 0 ] || echo "$mine: $pid has $file" >>violations
    done
done 2>/dev/null
read -r stat <"/proc/$$/stat" && set -- ${stat##*) }
echo "$$ ${20}" >"$mine.new" && mv "$mine.new" "$mine"
sleep 0.0$(($$ % 5))
rm -f "$mine"
echo >>finished
"#;

/// Random numbers.
pub struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap();
        let seed = u64::from(now.subsec_nanos()) | 1;
        Self(seed)
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % 1_000_003).unwrap() % n
    }
}

pub struct Storm {
    pub world: World,
    dice: Dice,
    /// The object.
    target: &'static str,
    /// Also kills CMDs and other children of the callers.
    kills_children: bool,
    /// How many waiters can be stopped at the same time.
    pub most_frozen: usize,
    frozen: Vec<Child>,
}

impl Storm {
    fn new() -> Self {
        Self::of("@s", false)
    }

    pub fn of(target: &'static str, kills_children: bool) -> Self {
        let world = World::new();
        world.script("job", JOB);
        fs::create_dir(world.dir().join("now")).unwrap();
        Self { world, dice: Dice::new(), target, kills_children, most_frozen: 0, frozen: Vec::new() }
    }

    /// Runs `at_once` callers and kills random ones, until enough were killed and enough succeeded.
    pub fn rage(&mut self, at_once: usize, mut next: impl FnMut(&World, &mut Dice) -> Call) {
        let mut children: Vec<Child> = Vec::new();
        let (mut killed, mut well) = (0, 0);
        let mut last_end = Instant::now();
        let (events, mut frozen) = (events(), 0);
        while killed < events || well < events || (self.most_frozen > 0 && frozen < events / 4) {
            assert!(last_end.elapsed() < PATIENCE, "{killed} killed, {well} ended well");
            while children.len() < at_once {
                let call = next(&self.world, &mut self.dice);
                children.push(call.start());
            }
            for child in &children {
                match self.dice.below(32) {
                    // Also on a slow machine, as many succeed as are killed.
                    0 if killed <= well + at_once => {
                        let children = if self.kills_children { children_of(child.pid()) } else { Vec::new() };
                        let place = self.dice.below(2 + children.len());
                        signal(*children.get(place).unwrap_or(&child.pid()), Signal::SIGKILL);
                        killed += 1;
                    }
                    // A caller is slow at any instruction.
                    1 => child.signal(Signal::SIGSTOP),
                    2..8 => child.signal(Signal::SIGCONT),
                    _ => {}
                }
            }
            if self.freeze(&mut children) {
                frozen += 1;
            }
            if self.frozen.len() > self.most_frozen || self.is_held_up(last_end) {
                children.extend(self.thaw());
            }
            let mut n = 0;
            while n < children.len() {
                if children[n].runs() {
                    n += 1;
                } else {
                    well += usize::from(ends_well(children.swap_remove(n)));
                    last_end = Instant::now();
                }
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        for child in children.into_iter().chain(self.frozen.drain(..)) {
            child.signal(Signal::SIGCONT);
            // A caller that waits for others would wait forever.
            child.signal(Signal::SIGTERM);
            ends_well(child);
        }
        let violations = fs::read_to_string(self.world.dir().join("violations")).unwrap_or_default();
        assert_eq!(violations, "");
        let dir = self.world.dir().to_owned();
        eventually("no process is left", || !is_process_in(&dir));
    }

    /// Stops a waiter for a long time; returns whether it did.
    fn freeze(&mut self, children: &mut Vec<Child>) -> bool {
        let which = self.dice.below(children.len());
        let file = format!("/proc/{}/syscall", children[which].pid());
        let waits = [libc::SYS_semtimedop, libc::SYS_fcntl].map(|call| format!("{call} "));
        if self.most_frozen == 0
            || self.dice.below(4) > 0
            || !fs::read_to_string(file).is_ok_and(|call| waits.iter().any(|waits| call.starts_with(waits)))
        {
            return false;
        }
        let child = children.swap_remove(which);
        child.signal([Signal::SIGSTOP, Signal::SIGTSTP][self.dice.below(2)]);
        self.frozen.push(child);
        true
    }

    /// Whether no call succeeds because a stopped one got what it waited for at the last instant.
    fn is_held_up(&self, last_end: Instant) -> bool {
        !self.frozen.is_empty()
            && last_end.elapsed() > Duration::from_secs(1)
            && self.world.call(&format!("sem stat {} --columns purpose,held --no-header", self.target)).ok()
                != "lock     0\n"
    }

    /// Continues or kills the stopped callers.
    fn thaw(&mut self) -> Vec<Child> {
        for child in &self.frozen {
            let which = [Signal::SIGCONT, Signal::SIGKILL][self.dice.below(2)];
            child.signal(which);
        }
        std::mem::take(&mut self.frozen)
    }

    fn at_rest(&self, values: &str) {
        self.world.call("sem get --all @s").stdout(values).ok();
    }
}

fn children_of(pid: i32) -> Vec<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn ends_well(child: Child) -> bool {
    let output = child.end();
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => true,
        // Killed, or timed out.
        None | Some(124) => false,
        Some(code) => panic!("status {code}: {printed}"),
    }
}

fn is_process_in(dir: &std::path::Path) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut dirs = processes.filter_map(|process| fs::read_link(process.path().join("cwd")).ok());
    dirs.any(|cwd| cwd == dir)
}

fn slots_at_rest(capacity: u16) -> String {
    format!("{capacity} {capacity} 18771{}\n", " 0".repeat(256))
}

#[test]
fn storm_leaves_slots_at_rest() {
    let mut storm = Storm::new();
    storm.rage(40, |world, _| {
        let job = "[ $IPCBOX_SLOT -le 4 ] || echo slot $IPCBOX_SLOT >>violations
                   exec ./job $IPCBOX_SLOT $IPCBOX_SLOT";
        world.call("sem run @s --slots 4 -w 60 -- sh -c").arg(job)
    });
    storm.at_rest(&slots_at_rest(4));
    storm.world.call("sem run @s --take 4 -n -- sh -c").arg("echo $IPCBOX_SLOT").stdout("1,2,3,4\n").ok();
}

#[test]
fn storm_leaves_a_lock_at_rest() {
    let mut storm = Storm::new();
    storm.rage(24, |world, dice| match dice.below(3) {
        0 => world.call("sem lock @s -w 60 -- ./job writer writer reader.*"),
        _ => world.call("sem lock @s -s -w 60 -- sh -c").arg("exec ./job reader.$$ writer"),
    });
    assert_at_rest(&storm.world.call("sem get --all @s").ok());
}

#[test]
fn storm_leaves_a_barrier_at_rest() {
    let mut storm = Storm::new();
    storm.rage(12, |world, dice| {
        let limit = if dice.below(4) == 0 { "0.01" } else { "60" };
        world.call(&format!("sem barrier @s 4 -w {limit}"))
    });
    assert_at_rest_for(4, &storm.world.call("sem get --all @s").ok());
    let last: Vec<Child> = (0..4).map(|_| storm.world.call("sem barrier @s 4 -w 60").start()).collect();
    for child in last {
        assert_eq!(child.code(), 0);
    }
}

#[test]
fn storm_with_stops_leaves_a_lock_at_rest() {
    let mut storm = Storm::new();
    storm.most_frozen = 8;
    storm.rage(20, |world, dice| {
        let limit = ["0.02", "60", "60"][dice.below(3)];
        if dice.below(2) == 0 {
            world.call(&format!("sem lock @s -w {limit} -- ./job writer writer reader.*"))
        } else {
            let call = world.call(&format!("sem lock @s -s -w {limit} -- sh -c"));
            call.arg("exec ./job reader.$$ writer")
        }
    });
    assert_at_rest(&storm.world.call("sem get --all @s").ok());
}

#[test]
fn storm_with_stops_leaves_a_barrier_at_rest() {
    let mut storm = Storm::new();
    storm.most_frozen = 8;
    storm.rage(12, |world, dice| {
        let limit = ["0.01", "60", "60"][dice.below(3)];
        world.call(&format!("sem barrier @s 3 -w {limit}"))
    });
    assert_at_rest_for(3, &storm.world.call("sem get --all @s").ok());
}

#[test]
fn storm_of_resizes_leaves_slots_at_rest() {
    let mut storm = Storm::new();
    storm.rage(30, |world, dice| {
        let capacity = 1 + dice.below(6);
        let job = "exec ./job $IPCBOX_SLOT $IPCBOX_SLOT";
        world.call(&format!("sem run @s --slots {capacity} --resize -w 60 -- sh -c")).arg(job)
    });
    let capacity: u16 = storm.world.call("sem get @s").ok().trim().parse().unwrap();
    assert!((1..=6).contains(&capacity), "{capacity}");
    storm.at_rest(&slots_at_rest(capacity));
}

#[test]
fn storm_of_holds_leaves_slots_at_rest() {
    let mut storm = Storm::new();
    let name = storm.world.name("s");
    storm.rage(16, |world, dice| {
        // The killer kills scripts; here calls and holders are killed as well.
        if dice.below(4) == 0 {
            for pid in calls_with(&name) {
                if dice.below(3) == 0 {
                    signal(pid, Signal::SIGKILL);
                }
            }
        }
        let script = "ipcbox sem hold $NAME-s $$ --slots 4 -w 60 -q || exit 124; sleep 0.0$(($$ % 5))";
        world.program("/bin/sh").args(["-c", script])
    });
    // A holder exits after its process has.
    eventually("all holders have ended", || storm.world.call("sem get @s").ok() == "4\n");
    storm.at_rest(&slots_at_rest(4));
    eventually("no holder is left", || calls_with(&name).is_empty());
}

/// Returns the calls of ipcbox with this argument.
fn calls_with(word: &str) -> Vec<i32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let calls = processes.filter_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let line = fs::read(process.path().join("cmdline")).ok()?;
        line.split(|byte| *byte == 0).any(|arg| arg == word.as_bytes()).then_some(pid)
    });
    calls.collect()
}
