//! The applet `sem`.

mod bad_input;
mod barrier;
pub mod files;
mod hold;
pub mod interop;
mod lock;
mod released;
mod rm;
mod run;
mod scripts;
mod spoiled;
mod stat;
mod stopped;
pub mod storm;
mod values;
