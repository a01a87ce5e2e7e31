//! Numbers, and ranges of them, on the command line.

use std::ops::RangeInclusive;

/// Parses a count, 1 to 32767.
///
/// # Errors
/// The expected number.
pub fn count(text: &str) -> Result<u16, String> {
    let number = digits(text).and_then(|number| u16::try_from(number).ok());
    number.filter(|number| (1..=32767).contains(number)).ok_or_else(|| "expected a number from 1 to 32767".into())
}

/// Parses a count that the kernel does not limit.
///
/// # Errors
/// The expected number.
pub fn many(text: &str) -> Result<u64, String> {
    digits(text).filter(|number| *number > 0).ok_or_else(|| "expected a number of at least 1".into())
}

/// Parses a process id.
///
/// # Errors
/// The expected number.
pub fn pid(text: &str) -> Result<i32, String> {
    let number = digits(text).and_then(|number| i32::try_from(number).ok());
    number.filter(|number| *number > 0).ok_or_else(|| "expected a process id".into())
}

/// Parses the number of a semaphore in its set, 0 to 65535.
///
/// # Errors
/// The expected number.
pub fn index(text: &str) -> Result<u16, String> {
    let number = digits(text).and_then(|number| u16::try_from(number).ok());
    number.ok_or_else(|| "expected an index from 0 to 65535".into())
}

/// Parses an index, or a range `A..B` that includes both ends.
///
/// # Errors
/// The expected number.
pub fn indexes(text: &str) -> Result<RangeInclusive<u16>, String> {
    let Some((first, last)) = text.split_once("..") else {
        let index = index(text)?;
        return Ok(index..=index);
    };
    let range = index(first)?..=index(last)?;
    if range.is_empty() {
        return Err("expected a range that starts with its lower number".into());
    }
    Ok(range)
}

/// Parses a number that is only digits: no sign, no blank.
pub fn digits(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

#[cfg(test)]
#[path = "../../tests/units/args/numbers.rs"]
mod tests;
