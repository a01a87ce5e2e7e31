//! Tests that cannot run here. Each prints the reason, and the last line of a run counts them, because the runner
//! reports them as passed.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use nix::libc;

use super::Call;

/// The names of skipped tests.
fn skipped() -> MutexGuard<'static, BTreeSet<String>> {
    static SKIPPED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    SKIPPED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints a line in spite of the runner's capture.
fn print(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Reports that the calling test, or a part of it, was skipped, and why.
pub fn skip(why: &str) {
    count_at_exit();
    let mut skipped = skipped();
    // With a single thread the runner calls all tests on its own one.
    let name = std::thread::current().name().filter(|name| *name != "main").map(str::to_owned);
    let name = name.unwrap_or_else(|| format!("test {}", skipped.len()));
    print(&format!("skipped: {name}: {why}"));
    skipped.insert(name);
}

/// Prints the number of skipped tests at exit.
pub fn count_at_exit() {
    static ONCE: Once = Once::new();
    // SAFETY: the function takes nothing and does not unwind.
    #[allow(unsafe_code)]
    ONCE.call_once(|| assert_eq!(unsafe { libc::atexit(print_count) }, 0));
}

extern "C" fn print_count() {
    let count = skipped().len();
    let tests = if count == 1 { "test" } else { "tests" };
    print(&format!("skipped, wholly or in part: {count} {tests}"));
}

#[test]
fn last_line_counts_the_skipped_tests() {
    // Without a PATH no program is found.
    for (test, count) in
        [("help::examples_are_sound_shell", "1 test"), ("dispatch::list_and_version_print_nothing_else", "0 tests")]
    {
        let run = Call::new(std::env::current_exe().unwrap()).env("PATH", "");
        let output = run.args(["--exact", test]).output();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let count = format!("skipped, wholly or in part: {count}");
        assert_eq!(stderr.lines().last(), Some(&*count), "{output:?}");
        assert!(output.status.success());
    }
}
