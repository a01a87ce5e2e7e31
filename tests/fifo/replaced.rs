//! A FIFO that is removed or replaced while it is read.

use nix::libc;

use super::{hold, world};
use crate::support::{Child, World, eventually};

const REPLACED: &str = "it was removed or replaced, and has no writers left";
/// The ways to lose a FIFO.
const LOSSES: [&str; 3] = ["rm f", "rm f; mkfifo f", "mkfifo g; mv -f g f"];

fn start(world: &World, verb: &str) -> Child {
    world.call(verb).start().blocked_in(libc::SYS_ppoll)
}

fn fails(child: Child, printed: &str) {
    let output = child.end();
    let shown = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), shown.contains(REPLACED)), (Some(3), true), "{shown}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), printed);
}

#[test]
fn reader_of_a_replaced_fifo_fails() {
    for verb in ["fifo read f --follow", "fifo read f --follow --tag", "fifo serve f -- cat"] {
        for loss in LOSSES {
            let world = world();
            // No writer has opened it.
            let child = start(&world, verb);
            world.shell(loss).ok();
            fails(child, "");
            // A writer has opened and closed it.
            world.shell("rm -f f; ipcbox fifo create f").ok();
            let mut child = start(&world, verb);
            let mut output = child.output();
            world.shell("echo x >f").ok();
            let mut line = [0; 1];
            std::io::Read::read_exact(&mut output, &mut line).unwrap();
            world.shell(loss).ok();
            assert_eq!(child.code(), 3, "{verb}: {loss}");
        }
    }
}

#[test]
fn writers_of_a_replaced_fifo_are_served() {
    for verb in ["fifo read f --follow", "fifo serve f -- cat"] {
        let world = world();
        let child = start(&world, verb);
        let mut held = hold(&world.dir().join("f"));
        world.shell("rm f; mkfifo f").ok();
        std::io::Write::write_all(&mut held, b"late\n").unwrap();
        eventually("it is read", || {
            nix::poll::poll(
                &mut [nix::poll::PollFd::new(std::os::fd::AsFd::as_fd(&held), nix::poll::PollFlags::POLLIN)],
                nix::poll::PollTimeout::ZERO,
            ) == Ok(0)
        });
        drop(held);
        fails(child, "late\n");
    }
}

#[test]
fn changed_mode_or_links_stop_no_reader() {
    let world = world();
    let mut child = start(&world, "fifo read f --follow");
    let mut output = child.output();
    world.shell("ln f g; chmod 640 f; rm g; echo x >f").ok();
    let mut line = [0; 2];
    std::io::Read::read_exact(&mut output, &mut line).unwrap();
    assert_eq!((&line, child.runs()), (b"x\n", true));
}

#[test]
fn one_replaced_fifo_leaves_the_others() {
    let world = world();
    world.shell("ipcbox fifo create g").ok();
    let mut child = start(&world, "fifo read f g --follow");
    let mut output = child.output();
    world.shell("rm f; echo x >g").ok();
    let mut line = [0; 2];
    std::io::Read::read_exact(&mut output, &mut line).unwrap();
    world.shell("rm g").ok();
    assert_eq!((&line, child.code()), (b"x\n", 3));
}
