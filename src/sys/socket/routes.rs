//! Which addresses belong to this machine, rtnetlink(7).
//!
//! Binding a socket does not show it where `net.ipv4.ip_nonlocal_bind` is 1, as for haproxy(1) and keepalived(8).

use std::net::IpAddr;
use std::os::fd::AsRawFd;

use nix::Result;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, socket};

use super::diag::{FOUR, REQUEST, SIX, failure, next, send_request};
use crate::sys::interrupt::retry;

/// Bytes of `struct rtmsg`, and the place of the type of a route in it.
const ROUTE: usize = 12;
const TYPE: usize = 7;

/// Returns whether packets to an address are delivered on this machine.
///
/// # Errors
/// The kernel was not asked.
pub fn is_local(ip: IpAddr) -> Result<bool> {
    let (family, octets) = match ip {
        IpAddr::V4(four) => (FOUR, four.octets().to_vec()),
        IpAddr::V6(six) => (SIX, six.octets().to_vec()),
    };
    let length = octets.len() as u8;
    let mut body = [0; ROUTE].to_vec();
    body[..2].copy_from_slice(&[family, 8 * length]);
    // A `struct rtattr`, and the address.
    body.extend([(4 + u16::from(length)).to_ne_bytes(), libc::RTA_DST.to_ne_bytes()].concat());
    body.extend(octets);
    let flags = SockFlag::SOCK_CLOEXEC;
    let netlink = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
    send_request(&netlink, libc::RTM_GETROUTE, REQUEST, &body)?;
    let mut answer = [0; 4096];
    let length = retry(|| recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty()))?;
    match next(&answer[..length]) {
        Some((libc::NLMSG_ERROR, body, _)) => match failure(body) {
            Err(Errno::EOPNOTSUPP) => Err(Errno::EOPNOTSUPP),
            // No route leads there.
            _ => Ok(false),
        },
        Some((_, body, _)) if body.len() >= ROUTE => Ok(body[TYPE] == libc::RTN_LOCAL),
        _ => Err(Errno::EPROTO),
    }
}
