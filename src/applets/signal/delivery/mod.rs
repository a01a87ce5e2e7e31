//! What the verbs share: whom a signal reaches, and what became of it.

pub mod outcome;
pub mod target;
pub mod translate;
