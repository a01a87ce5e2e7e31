//! Attacks by other users: objects created first, files swapped between check and use, and hostile names and messages.
//! Each test states what must not happen.

mod first;
mod swapped;
mod words;
