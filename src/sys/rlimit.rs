//! Limits of the process, getrlimit(2).

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

/// Returns the soft and the hard limit that `ulimit` sets with a letter. `None`: there is none.
pub fn limits(letter: char) -> Option<(u64, u64)> {
    let resource = match letter {
        'l' => Resource::RLIMIT_MEMLOCK,
        'n' => Resource::RLIMIT_NOFILE,
        'q' => Resource::RLIMIT_MSGQUEUE,
        'u' => Resource::RLIMIT_NPROC,
        _ => return None,
    };
    let (soft, hard) = getrlimit(resource).ok()?;
    (soft != RLIM_INFINITY).then_some((soft, hard))
}
