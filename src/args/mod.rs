//! Floor 3: the option groups that verbs share, and the syntax of their values.

pub mod address;
pub mod creating;
pub mod duration;
pub mod foreign;
pub mod format;
pub mod numbers;
pub mod owner;
pub mod signals;
pub mod size;
pub mod synopsis;
pub mod timeout;
pub mod usage;
