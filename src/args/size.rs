//! Sizes: `4096`, `64K` = `64KiB`, `64KB` = 64,000, as in util-linux.

/// Parses a size in bytes.
///
/// # Errors
/// The expected syntax.
pub fn parse(text: &str) -> Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    let too_large = || format!("expected a size of at most {}", u64::MAX);
    if digits.is_empty() {
        return Err(WRITTEN.into());
    }
    let number: u64 = digits.parse().map_err(|_| too_large())?;
    let unit = factor(suffix).ok_or(WRITTEN)?;
    number.checked_mul(unit).ok_or_else(too_large)
}

const WRITTEN: &str = "expected a size such as 4096, 64K, 2M, 1G, or 64KB (64,000)";

fn factor(suffix: &str) -> Option<u64> {
    if suffix.is_empty() || suffix == "B" {
        return Some(1);
    }
    let (letter, rest) = suffix.split_at_checked(1)?;
    let letters = (1_u32..).zip("KMGTPE".chars());
    let (power, _) = letters.into_iter().find(|(_, known)| letter.eq_ignore_ascii_case(&known.to_string()))?;
    match rest {
        "" | "iB" => 1024_u64.checked_pow(power),
        "B" => 1000_u64.checked_pow(power),
        _ => None,
    }
}

#[cfg(test)]
#[path = "../../tests/units/args/size.rs"]
mod tests;
