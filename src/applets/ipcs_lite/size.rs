//! Sizes as util-linux prints them: powers of 1024, with one decimal unless it is 0.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// As util-linux's ipcs without an option: bytes, but large limits in kilobytes.
    Usual,
    /// Bytes, marked as such.
    Bytes,
    /// The largest unit that fits, with its letter.
    Fitting,
}

const LETTERS: [char; 7] = ['B', 'K', 'M', 'G', 'T', 'P', 'E'];

/// Formats a number of bytes, such as `4.9K`.
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
