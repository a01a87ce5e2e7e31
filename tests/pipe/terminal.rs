//! `pipe run` in a terminal of the test's own: who gets what the keys send.

use std::fs::{self, File};
use std::io::Write;
use std::process::{Command, Stdio};

use nix::pty::openpty;

use crate::support::{BINARY, World, eventually, skip};

/// How many stages have left their mark.
fn marked(marks: &std::path::Path) -> usize {
    fs::read_to_string(marks).map_or(0, |text| text.lines().count())
}

#[test]
fn what_the_keys_send_reaches_the_stages_and_the_box_reports() {
    let world = World::new();
    if Command::new("setsid").arg("true").status().is_err() {
        return skip("there is no setsid");
    }
    for (key, code, name) in [(b"\x03", 130, "INT"), (b"\x1c", 131, "QUIT")] {
        let pty = openpty(None, None).unwrap();
        let report = world.dir().join("report");
        let marks = world.dir().join("marks");
        let _ = fs::remove_file(&marks);
        let stage =
            format!("ulimit -c 0; echo $$ >>{}; exec sleep 1000 >/dev/null", marks.display());
        let child = Command::new("setsid")
            .args(["--ctty", "--wait", BINARY, "pipe", "run", "--report"])
            .arg(&report)
            .args(["--shell", &stage, &stage])
            .stdin(pty.slave.try_clone().unwrap())
            .stdout(Stdio::null())
            .stderr(pty.slave.try_clone().unwrap())
            .spawn();
        let mut child = child.unwrap();
        drop(pty.slave);
        eventually("both stages run", || marked(&marks) == 2);
        // They are in the group that the terminal has in front: the box's own.
        let pid = fs::read_to_string(&marks).unwrap().lines().next().unwrap().to_owned();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        assert_eq!(fields[2], fields[5], "its group is not in front");
        eventually("both have become sleep", || {
            fs::read_to_string(&marks).unwrap().lines().all(|pid| {
                fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == "sleep\n")
            })
        });
        File::from(pty.master.try_clone().unwrap()).write_all(key).unwrap();
        eventually("it ends", || child.try_wait().unwrap().is_some());
        assert_eq!(child.wait().unwrap().code(), Some(code), "{name}");
        let told = fs::read_to_string(&report).unwrap();
        assert_eq!(told.matches(&format!("\"signal\":\"{name}\"")).count(), 2, "{told}");
    }
}
