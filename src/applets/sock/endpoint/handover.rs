//! Passing listeners on to CMD, as systemd does (sd_listen_fds(3)).

use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, Result, bail};

use super::listener::Listener;
use crate::exit::{Cause, Exit};
use crate::supervise::command::Command;
use crate::sys::{fds, process};
use crate::text::is_control;

/// The first descriptor that CMD gets.
pub const FIRST: i32 = 3;
/// The longest name of a descriptor.
const NAME_MAX: usize = 255;

/// Replaces the arguments `{address}` and `{port}` of CMD, and returns the variables with the same values.
///
/// # Errors
/// Wrong usage: CMD wants a port, and no address has one.
pub fn announce(command: Command, listeners: &[Listener]) -> Result<(Command, Vec<(&'static str, String)>)> {
    let mut addresses: Vec<String> = listeners.iter().map(|it| it.shown.to_string_lossy().into_owned()).collect();
    addresses.dedup();
    let mut addresses = addresses.join(" ");
    // A loop that restarts a server hands on what it has inherited.
    if let Some(known) = std::env::var_os("IPCBOX_ADDRESS").filter(|_| listeners.iter().all(|it| it.is_shared)) {
        addresses = known.to_string_lossy().into_owned();
    }
    let port = listeners.iter().find_map(|listener| listener.inet).map(|inet| inet.port());
    fill(command, addresses, port)
}

/// Like [`announce`], for these addresses and this port.
///
/// # Errors
/// As for [`announce`].
pub fn fill(command: Command, addresses: String, port: Option<u16>) -> Result<(Command, Vec<(&'static str, String)>)> {
    if port.is_none() && command.words().iter().skip(1).any(|word| word == "{port}") {
        bail!(Cause::new(Exit::Usage, "{port} needs a TCP or UDP address, such as tcp:localhost:0"));
    }
    let port = port.map_or_else(String::new, |port| port.to_string());
    let command = command.replacing("{address}", addresses.as_ref()).replacing("{port}", port.as_ref());
    Ok((command, vec![("IPCBOX_ADDRESS", addresses), ("IPCBOX_PORT", port)]))
}

/// Makes the listeners descriptors 3, 4 and so on of the program that this process executes next, and returns the
/// variables that announce them.
pub fn pass(listeners: &mut [Listener]) -> Result<Vec<(&'static str, String)>> {
    let end = FIRST + i32::try_from(listeners.len())?;
    for listener in &mut *listeners {
        listener.move_above(end).context("cannot pass the sockets on")?;
    }
    for (listener, number) in listeners.iter().zip(FIRST..) {
        let shown = listener.shown.display();
        fds::pass_as(listener, number).with_context(|| format!("cannot pass {shown} as descriptor {number}"))?;
    }
    let names: Vec<String> = listeners.iter().map(name).collect();
    let own = std::process::id().cast_signed();
    let mut variables = vec![
        ("LISTEN_FDS", listeners.len().to_string()),
        ("LISTEN_PID", own.to_string()),
        ("LISTEN_FDNAMES", names.join(":")),
    ];
    // A program that knows it ignores the descriptors if it is that of another process.
    let inode = process::pidfd(own).and_then(process::inode).ok().flatten();
    variables.extend(inode.map(|inode| ("LISTEN_PIDFDID", inode.to_string())));
    Ok(variables)
}

/// Returns the name of a descriptor for CMD: the last part of an address, a port, or the name that an inherited
/// descriptor has already.
fn name(listener: &Listener) -> String {
    let shown = listener.shown.to_string_lossy();
    if let Some(number) = shown.strip_prefix("fd:") {
        return inherited(number).unwrap_or_else(|| "unknown".into());
    }
    let last = shown.rsplit(['/', ':', '@']).find(|part| !part.is_empty()).unwrap_or_default();
    let last: String = last.chars().map(|letter| if is_control(letter) { '_' } else { letter }).collect();
    let end = (0..=last.len().min(NAME_MAX)).rev().find(|end| last.is_char_boundary(*end)).unwrap_or(0);
    last[..end].to_owned()
}

/// Returns the name of an inherited descriptor. LISTEN_PID can be that of a shell that has inherited it.
fn inherited(number: &str) -> Option<String> {
    let variable = |name| std::env::var_os(name);
    let at = number.parse::<usize>().ok()?.checked_sub(usize::try_from(FIRST).ok()?)?;
    let count: usize = variable("LISTEN_FDS")?.to_str()?.parse().ok()?;
    let names = variable("LISTEN_FDNAMES").filter(|_| at < count)?;
    let name = names.as_bytes().split(|byte| *byte == b':').nth(at)?;
    Some(String::from_utf8_lossy(name).into_owned())
}
