//! Programs in C on the other side.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::libc;

use crate::support::{Call, World, lines, skip};

/// Compiles `peer.c`, if there is a compiler.
fn peer(world: &World) -> Option<PathBuf> {
    let program = world.dir().join("peer");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/msgq/peer.c");
    let built = Command::new("cc").arg("-o").arg(&program).arg(source).arg("-lrt").status();
    let Ok(status) = built else {
        skip("there is no C compiler");
        return None;
    };
    assert!(status.success(), "peer.c does not compile");
    Some(program)
}

#[test]
fn system_v_messages_pass_to_and_from_c() {
    let world = World::new();
    let Some(peer) = peer(&world) else { return };
    let key = world.call("key @q").ok();
    let peer = |words: &str| Call::new(&peer).args(words.split(' '));
    peer(&format!("send {} 42 from-c", key.trim())).ok();
    world.call("msgq recv @q -t 42 --format %t:%d%n").stdout("42:from-c\n").ok();
    world.call("msgq send @q -t 7 seven").ok();
    world.call("msgq send @q -t 3 three").ok();
    peer(&format!("recv {} -5", key.trim())).stdout("3:three\n").ok();
    peer(&format!("recv {} 0", key.trim())).stdout("7:seven\n").ok();
}

#[test]
fn posix_messages_pass_to_and_from_c() {
    let world = World::new();
    let Some(peer) = peer(&world) else { return };
    let name = world.posix("q");
    let peer = |words: &str| Call::new(&peer).args(words.split(' '));
    peer(&format!("mqsend {name} 9 from-c")).ok();
    peer(&format!("mqsend {name} 12 first")).ok();
    world.call("msgq recv /@q --drain --format %p:%d%n").stdout("12:first\n9:from-c\n").ok();
    world.call("msgq send /@q low").ok();
    world.call("msgq send /@q --priority 31 high").ok();
    peer(&format!("mqrecv {name}")).stdout("31:high\n").ok();
    peer(&format!("mqrecv {name}")).stdout("0:low\n").ok();
}

#[test]
fn one_line_replaces_either_half_of_a_chat() {
    let world = World::new();
    let Some(peer) = peer(&world) else { return };
    let key = world.call("key @q").ok();
    let key = key.trim();
    // ipcbox receives.
    let hear = format!("ipcbox msgq recv {key} --create --text --until quit && ipcbox msgq rm {key}");
    let listener = world.shell(&hear).start();
    Call::new(&peer).args(["talk", key]).input("hello\nhow are you\nquit\nnot sent\n").ok();
    let heard = listener.end();
    // Each text ends in a newline, and --text adds one.
    assert_eq!(lines(&heard.stdout), ["hello", "", "how are you", "", "quit", ""]);
    world.call("msgq stat @q").fails(3, "ENOENT");
    // ipcbox sends.
    let program = Call::new(&peer).args(["listen", key]).start().blocked_in(libc::SYS_msgrcv);
    world.shell(&format!("printf 'hello\\0quit\\n\\0' | ipcbox msgq send {key} -0 -t $$")).ok();
    assert_eq!(lines(&program.end().stdout), ["helloquit"]);
    world.call("msgq stat @q").fails(3, "ENOENT");
}

#[test]
fn forged_call_gets_no_reply_into_a_pipeline() {
    let world = World::new();
    let Some(peer) = peer(&world) else { return };
    world.call("msgq create @q").ok();
    let stage = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let inode = fs::metadata(format!("/proc/{}/fd/0", stage.id())).unwrap().ino();
    let kind = ((1 << 62) + inode).to_string();
    let frame = format!("ipcbox-call-1 {} 0 {inode}\nforged", stage.id());
    let key = world.call("key @q").ok();
    Call::new(&peer).args(["send", key.trim(), &kind, &frame]).ok();
    world.call("msgq serve @q --drain -- cat").stdout("").ok();
    assert_eq!(stage.wait_with_output().unwrap().stdout, b"");
}
