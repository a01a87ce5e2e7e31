//! `ipcbox --version --verbose`.

use std::collections::BTreeMap;
use std::fs;

use ipcbox::sys::features::PROBES;
use nix::errno::Errno;
use nix::libc;
use nix::unistd::geteuid;

use crate::support::Where::{Always, Has};
use crate::support::{BINARY, Call, World, deny, skip};

/// Returns the rows of a report by their names.
fn rows(report: &str) -> BTreeMap<String, String> {
    let row =
        |line: &str| Some(line.strip_prefix("  ")?.split_once("  ")?).map(|(a, b)| (a.to_owned(), b.trim().to_owned()));
    report.lines().filter_map(row).collect()
}

#[test]
fn report_has_the_facts_of_a_bug_report() {
    let world = World::new();
    let report = world.call("--version --verbose").ok();
    let version = world.call("--version").ok();
    assert!(report.starts_with(&format!("{version}\n")), "{report}");
    let rows = rows(&report);
    let commit = &rows["commit"];
    let is_hash = commit.len() >= 7 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(is_hash || commit == "unknown", "{report}");
    assert!(rows["target"].starts_with(std::env::consts::ARCH), "{report}");
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(rows["kernel"], format!("Linux {}", release.trim()));
    assert_eq!(rows["user"], geteuid().to_string());
    for (name, _) in PROBES {
        let verdict = &rows[*name];
        assert!(verdict == "yes" || verdict.starts_with("no (E"), "{name}: {report}");
    }
    assert!(report.lines().all(|line| line.len() <= 80), "{report}");
    for short in ["-V -v", "-V --verbose", "--version -v"] {
        assert!(world.call(short).ok().starts_with(&version), "{short}");
    }
    world.call("--version --verbos").fails(2, "no option '--verbos'; did you mean '--verbose'?");
    world.call("--version --verbose extra").fails(2, "unexpected argument 'extra'");
    world.call("--verbose --version").fails(2, "hint: ipcbox --version --verbose");
    assert!(world.call("--version --help").ok().starts_with("Usage: "));
}

#[test]
fn features_are_those_of_the_manual_page() {
    let page = include_str!("../man/src/ipcbox.txt");
    let section = page.split("\n# KERNELS\n").nth(1).unwrap().split("\n# ").next().unwrap().to_lowercase();
    let mut rest = &*section;
    for (name, _) in PROBES {
        let at = rest.find(&name.to_lowercase());
        rest = &rest[at.unwrap_or_else(|| panic!("{name} is missing, or not in this order"))..];
    }
}

#[test]
fn forbidden_call_is_the_only_change() {
    let world = World::new();
    let report = |call, place, errno| rows(&world.call("-V -v").before(move || deny(call, place, errno)).ok());
    // ipcbox does not use this call.
    let before = report(libc::SYS_acct, Always, Errno::ENOSYS);
    assert_eq!(before["seccomp"], "a filter");
    for (name, call, place) in [
        ("MSG_COPY", libc::SYS_msgrcv, Has(4, 0o40000)),
        ("pidfd_send_signal", libc::SYS_pidfd_send_signal, Always),
        ("fsopen", libc::SYS_fsopen, Always),
        ("pidfd_getfd", libc::SYS_pidfd_getfd, Always),
        ("setns", libc::SYS_setns, Always),
        ("close_range", libc::SYS_close_range, Always),
        ("name_to_handle_at", libc::SYS_name_to_handle_at, Always),
        ("MFD_NOEXEC_SEAL", libc::SYS_memfd_create, Always),
        ("linkat", libc::SYS_linkat, Always),
        ("PIDFD_INFO_EXIT", libc::SYS_ioctl, Always),
        ("unshare", libc::SYS_unshare, Always),
    ] {
        for errno in [Errno::ENOSYS, Errno::EPERM] {
            let now = report(call, place, errno);
            assert!(
                now[name] == format!("no ({errno:?})") || name == "name_to_handle_at" && now[name].starts_with("no")
            );
            for (other, _) in PROBES.iter().filter(|(other, _)| *other != name) {
                assert_eq!(now[*other], before[*other], "{other}, without {name}");
            }
        }
    }
}

#[test]
fn low_limit_is_marked() {
    let world = World::new();
    let script = "ulimit -n 64; ulimit -f 8; exec \"$0\" --version --verbose";
    let report = Call::new("sh").args(["-c", script, BINARY]).ok();
    let rows = rows(&report);
    assert_eq!(rows["ulimit -n"], "64 open files, low (usual: 1024)");
    // A shell counts blocks of 512 bytes.
    assert_eq!(rows["ulimit -f"], "4096 bytes per file, low (usual: no limit)");
    // The settings of an IPC namespace are its own.
    if !geteuid().is_root() || !world.is_own() {
        return skip("needs root and an IPC namespace of its own to change kernel.msgmnb");
    }
    let script = "cd /proc/sys/kernel; echo 1000 >msgmnb; echo 10 >msgmni; echo '32000 1024000000 500 3' >sem; \
                  for name in a b c; do \"$0\" sem create $name >/dev/null; done; exec \"$0\" --version --verbose";
    let report = Call::new("sh").args(["-ec", script, BINARY]).ok();
    let rows = self::rows(&report);
    assert_eq!(rows["kernel.msgmnb"], "1000 bytes per queue, low (usual: 16384)");
    assert_eq!(rows["kernel.msgmni"], "10 queues, 0 in use, low (usual: 32000)");
    assert_eq!(rows["kernel.sem, SEMMNI"], "3 sets, 3 in use, low (usual: 32000)");
}

#[test]
fn probes_leave_nothing() {
    let world = World::new();
    let objects = || world.call("ipcs-lite --posix --json").ok();
    let before = objects();
    world.call("--version --verbose").ok();
    if world.is_own() {
        assert_eq!(objects(), before);
    }
    let Some(trace) = world.traced("%ipc,%file,mq_open,kill,tkill,tgkill") else { return };
    trace.args(["--version", "--verbose"]).ok();
    let log = fs::read_to_string(world.dir().join("trace")).unwrap();
    for word in ["IPC_CREAT", "O_CREAT", "IPC_SET", "kill(", "mkdir", "rename", "unlink"] {
        assert!(!log.contains(word), "{word}: {log}");
    }
    assert!(log.contains("MSG_COPY"), "{log}");
}

#[test]
fn stranger_without_privileges_gets_a_report() {
    let world = World::new();
    let Some(user) = world.stranger() else { return };
    let rows = rows(&world.call("--version --verbose").user(user).ok());
    assert_eq!(rows["user"], user.to_string());
    assert_eq!(rows["setns"], "no (EPERM)");
    assert_eq!(rows["capabilities"], "0000000000000000");
}

#[test]
fn fact_without_its_source_is_unknown() {
    let world = World::new();
    if !geteuid().is_root() || !world.is_own() {
        return skip("needs root and permission to create namespaces");
    }
    let hide = "mount -t tmpfs none /proc; mount -t tmpfs none /dev; exec \"$0\" --version --verbose";
    let rows = rows(&Call::new("unshare").args(["--mount", "sh", "-ec", hide, BINARY]).ok());
    for name in ["capabilities", "seccomp", "yama.ptrace_scope", "fs.pipe-max-size", "/dev/shm"] {
        assert_eq!(rows[name], "unknown", "{name}");
    }
    assert_eq!(rows["birth times"], "no (ENOENT)");
    assert_eq!(rows["pidfd_open"], "yes");
}
