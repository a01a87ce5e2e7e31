//! POSIX IPC: objects that are files of a file system of the kernel's.

pub mod mq;
pub mod sem;
pub mod shm;
