//! The applet `sem`.

mod bad_input;
mod barrier;
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
mod storm;
mod values;
