//! Sizes as util-linux's tools write them: powers of 1024, with one digit after the point where it is not 0.

/// How sizes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// As util-linux's ipcs does without an option: bytes, but large limits in kilobytes.
    Usual,
    /// Bytes, and it is said so.
    Bytes,
    /// The unit that fits, with its letter.
    Fitting,
}

const LETTERS: [char; 7] = ['B', 'K', 'M', 'G', 'T', 'P', 'E'];

/// A number of bytes, such as `4.9K`.
pub fn human(bytes: u64) -> String {
    let power = (1..LETTERS.len()).take_while(|power| bytes >> (10 * power) > 0).count();
    let unit = 1_u128 << (10 * power);
    let tenths = (u128::from(bytes) * 10 + unit / 2) / unit;
    match (tenths / 10, tenths % 10, LETTERS[power]) {
        (whole, 0, letter) => format!("{whole}{letter}"),
        (whole, tenth, letter) => format!("{whole}.{tenth}{letter}"),
    }
}

#[cfg(test)]
#[path = "../../../tests/units/applets/ipcs_lite/size.rs"]
mod tests;
