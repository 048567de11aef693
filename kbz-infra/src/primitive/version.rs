//! Versions by their numbers: enough to tell a later one from an earlier one.

/// Whether `found` is `least` or later.
pub(super) fn at_least(found: &str, least: &str) -> bool {
    numbers(found) >= numbers(least)
}

/// Whether `found` is later than `than`.
pub(super) fn later(found: &str, than: &str) -> bool {
    numbers(found) > numbers(than)
}

/// The dotted numbers that a version begins with, trailing zeros taken off.
fn numbers(version: &str) -> Vec<u64> {
    let mut numbers = Vec::new();
    for part in version.split('.') {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let Ok(number) = part[..digits].parse() else {
            break;
        };
        numbers.push(number);
        if digits < part.len() {
            break;
        }
    }
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers() {
        assert!(at_least("20.10.24+dfsg1", "20.10"));
        assert!(at_least("27.5.1", "20.10"));
        assert!(at_least("1.0", "1"));
        assert!(!at_least("9.9", "10"));
        assert!(later("0.8.1", "0.8.0"));
        assert!(!later("0.8.0", "0.8"));
    }
}
