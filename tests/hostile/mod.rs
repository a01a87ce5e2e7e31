//! Others who mean ill: what they put in the way, swap between a look and an act, and write into names and messages.
//! Each test says what must not happen.

mod first;
mod swapped;
mod words;
