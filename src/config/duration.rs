//! Durations as operators write them: `250ms`, `15m`, `2h30m`.

use std::time::Duration;

/// The units, the longer names first where one begins like another.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Numbers with units, added up; `None` for anything else, also for what overflows.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = 0_u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let (unit, millis) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
        total = total.checked_add(number.checked_mul(*millis)?)?;
        rest = rest[unit.len()..].trim_start();
    }
    Some(Duration::from_millis(total))
}

/// The same duration in the fewest words that [`parse`] reads; what is less than a millisecond is left out.
#[must_use]
pub fn shown(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, millis) in UNITS.iter().rev() {
        if left >= *millis {
            text.extend([&(left / millis).to_string(), *unit]);
            left %= millis;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, millis) in
            [("250ms", 250), ("15m", 900_000), ("2h30m", 9_000_000), ("1d 2 s", 86_402_000), ("0s", 0)]
        {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for bad in
            ["", " ", "15", "m", "-1s", "1.5h", "15 minutes", "1w", "99999999999999999999s", "18446744073709551615d"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_parsed_has_numbers_and_units(text in "[0-9msh d]{0,12}") {
            let shape = regex::Regex::new("^ *([0-9]+ *(ms|s|m|h|d) *)+$").unwrap();
            prop_assert_eq!(parse(&text).is_some(), shape.is_match(&text));
        }

        #[test]
        fn what_is_shown_reads_the_same(millis in prop_oneof![0_u64..200_000, any::<u64>()]) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&shown(duration)), Some(duration), "{}", shown(duration));
        }

        #[test]
        fn parts_add_up(hours in 0_u64..10_000, minutes in 0_u64..10_000, millis in 0_u64..10_000) {
            let expected = Duration::from_millis(hours * 3_600_000 + minutes * 60_000 + millis);
            prop_assert_eq!(parse(&format!("{hours}h{minutes}m{millis}ms")), Some(expected));
        }
    }
}
