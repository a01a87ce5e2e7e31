//! Parity: the same event or object through every verb that should treat it alike.

mod objects;
mod serve;
mod supervise;
