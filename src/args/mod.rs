//! Floor 2: option groups that verbs share, and how their values are written.

pub mod command;
pub mod creating;
pub mod duration;
pub mod explain;
pub mod numbers;
pub mod owner;
pub mod showing;
pub mod size;
pub mod usage;
pub mod waiting;
