//! Seccomp filters that deny a system call, like an older kernel or a container.

use std::io;

use nix::errno::Errno;
use nix::libc::{self, c_long, sock_filter, sock_fprog};

/// Which calls of a number are denied.
#[derive(Debug, Clone, Copy)]
pub enum Where {
    Always,
    /// Those with this value of the argument at this index.
    Is(u32, u32),
    /// Those with this bit in the argument at this index.
    Has(u32, u32),
}

/// Denies a call from now on. Runs in a process that is about to run ipcbox.
pub fn deny(call: c_long, place: Where, errno: Errno) -> io::Result<()> {
    // The codes are below 256.
    let step =
        |code: u32, k: u32, jt: u8, jf: u8| sock_filter { code: u16::try_from(code).unwrap_or_default(), jt, jf, k };
    let statement = |code: u32, k: u32| step(code, k, 0, 0);
    let jump = |code: u32, k: u32, yes: u8, no: u8| step(libc::BPF_JMP | code, k, yes, no);
    let (load, ret) = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, libc::BPF_RET | libc::BPF_K);
    let number = u32::try_from(call).map_err(io::Error::other)?;
    let argument = match place {
        Where::Always => None,
        Where::Is(place, value) => Some((place, libc::BPF_JEQ, value)),
        Where::Has(place, bit) => Some((place, libc::BPF_JSET, bit)),
    };
    let allow = if argument.is_none() { 1 } else { 3 };
    // The number is at offset 0 of struct seccomp_data, the arguments start at 16, with their low halves first.
    let mut program = vec![statement(load, 0), jump(libc::BPF_JEQ, number, 0, allow)];
    if let Some((place, test, value)) = argument {
        program.push(statement(load, 16 + 8 * place));
        program.push(jump(test, value, 0, 1));
    }
    program.push(statement(ret, libc::SECCOMP_RET_ERRNO | errno as u32));
    program.push(statement(ret, libc::SECCOMP_RET_ALLOW));
    let filter =
        sock_fprog { len: u16::try_from(program.len()).map_err(io::Error::other)?, filter: program.as_mut_ptr() };
    // SAFETY: plain integers.
    #[allow(unsafe_code)]
    Errno::result(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    // SAFETY: the filter and its program live through the call.
    #[allow(unsafe_code)]
    Errno::result(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) })?;
    Ok(())
}
