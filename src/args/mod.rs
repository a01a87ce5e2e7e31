//! Floor 2: option groups that verbs share, and how their values are written.

pub mod command;
pub mod creating;
pub mod duration;
pub mod explain;
pub mod limit;
pub mod notice;
pub mod numbers;
pub mod owner;
pub mod process;
pub mod removing;
pub mod showing;
pub mod signals;
pub mod size;
pub mod usage;
pub mod waiting;
