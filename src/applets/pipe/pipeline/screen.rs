//! Standard error as a terminal on which progress is drawn.

use nix::unistd::getpgrp;

use super::progress::{Style, is_utf8};
use crate::output;
use crate::sys::{fds, terminal};

/// Returns what the terminal can show.
pub fn style() -> Style {
    Style { blocks: is_utf8(|name| std::env::var_os(name)), color: output::is_colored(fds::stderr()) }
}

/// Whether standard error is not a terminal with another process group in the foreground.
pub fn is_in_front() -> bool {
    terminal::foreground(fds::stderr()).is_none_or(|group| group == getpgrp().as_raw())
}

/// Returns how many columns of a line can be used. A line that fills the last column wraps on some terminals.
pub fn columns() -> usize {
    terminal::columns(fds::stderr()).unwrap_or(80).saturating_sub(1).max(1)
}
