//! SIGPIPE inherited as ignored or blocked, as from systemd and many CI agents.

use std::io;

use nix::sys::signal::{SigHandler, SigSet, Signal, signal};

use crate::support::{BINARY, Call, World, lines};

fn ignored() -> io::Result<()> {
    // SAFETY: ignoring calls no code of ours.
    #[allow(unsafe_code)]
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) }?;
    Ok(())
}

fn blocked() -> io::Result<()> {
    Ok(SigSet::from(Signal::SIGPIPE).thread_block()?)
}

const WAYS: [fn() -> io::Result<()>; 2] = [ignored, blocked];

#[test]
fn stage_before_head_is_forgiven() {
    let world = World::new();
    for way in WAYS {
        world.call("pipe run -- yes ::: head -n 1").before(way).stdout("y\n").ok();
        world.call("pipe run -- yes ::: cat ::: head -n 1").before(way).stdout("y\n").ok();
    }
}

#[test]
fn stage_starts_with_sigpipe_at_default() {
    let world = World::new();
    let look = "grep -E '^Sig(Ign|Blk)' /proc/self/status >&2";
    let bits = |call: Call, way| {
        let shown = call.before(way).output().stderr;
        let bit = |line: &String| {
            let (_, set) = line.split_once(":\t").expect("a set of signals");
            u64::from_str_radix(set, 16).unwrap() >> 12 & 1
        };
        lines(&shown).iter().map(bit).collect::<Vec<_>>()
    };
    for way in WAYS {
        for verb in ["run", "tee", "merge", "duplex"] {
            let call = world.call(&format!("pipe {verb} --shell")).args([look, look]);
            assert_eq!(bits(call, way), [0; 4], "{verb}");
        }
    }
    // A command can ask for it.
    let words = format!("pipe run -- {BINARY} signal run --ignore PIPE -- sh -c");
    let asks = world.call(&words).arg(look);
    assert_eq!(bits(asks, ignored), [0, 1]);
}
