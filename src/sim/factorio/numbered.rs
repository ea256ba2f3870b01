//! Numbered lines: whoever gets them can tell which were lost, doubled or swapped.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::SimServer;

/// Players take turns, so that nothing folds two lines into one.
const PLAYERS: u64 = 17;

static IN_TEXT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"line (\d{6,}) of ([\w\\-]+)").expect("the pattern is constant"));

/// A chat message that carries its number: `line 000123 of prod`, said by `P04`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedLine {
    /// Its place in the sequence.
    pub number: u64,
    /// The sequence: the tag of its server, or any word of letters, digits, `-` and `_`.
    pub tag: String,
}

impl NumberedLine {
    /// Who says it: `P00` to `P16` in turn.
    #[must_use]
    pub fn player(&self) -> String {
        format!("P{:02}", self.number % PLAYERS)
    }

    /// Every numbered line in `text`, in order. Backslashes before `-` and `_`, as markdown needs them, are no part
    /// of the tag.
    pub fn find_all(text: &str) -> impl Iterator<Item = Self> {
        IN_TEXT
            .captures_iter(text)
            .filter_map(|found| Some(Self { number: found[1].parse().ok()?, tag: found[2].replace('\\', "") }))
    }
}

impl fmt::Display for NumberedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {:06} of {}", self.number, self.tag)
    }
}

/// Has players of `server` say the lines of `numbers` in the sequence `tag`, a `write(2)` each.
pub fn numbered_lines(server: &mut SimServer, tag: &str, numbers: Range<u64>) -> io::Result<()> {
    for number in numbers {
        let line = NumberedLine { number, tag: tag.to_owned() };
        server.chat(&line.player(), &line.to_string())?;
    }
    Ok(())
}

/// The first thing wrong with a delivery.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// A line did not come in its turn: it is lost, or late.
    #[error("expected line {expected}, got {got}: lost or out of order")]
    Missing {
        /// The number whose turn it was.
        expected: u64,
        /// The number that came.
        got: u64,
    },
    /// A line came that was already there.
    #[error("line {0} came again")]
    Doubled(u64),
    /// The lines from this number on never came.
    #[error("everything from line {0} on is missing")]
    CutShort(u64),
    /// More came than was written.
    #[error("line {0} was never written")]
    Invented(u64),
}

/// Whether `texts` hold the lines `numbers` of the sequence `tag` once each and in order. Other sequences are not
/// looked at.
///
/// # Errors
/// The first line that is lost, doubled or out of order.
pub fn check_exactly_once<T: AsRef<str>>(
    texts: impl IntoIterator<Item = T>,
    tag: &str,
    numbers: Range<u64>,
) -> Result<(), Loss> {
    let mut expected = numbers.start;
    for text in texts {
        for line in NumberedLine::find_all(text.as_ref()).filter(|line| line.tag == tag) {
            match line.number {
                got if got < expected => return Err(Loss::Doubled(got)),
                got if got >= numbers.end => return Err(Loss::Invented(got)),
                got if got > expected => return Err(Loss::Missing { expected, got }),
                _ => expected += 1,
            }
        }
    }
    if expected < numbers.end { Err(Loss::CutShort(expected)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(numbers: &[u64]) -> Vec<String> {
        numbers.iter().map(|number| NumberedLine { number: *number, tag: "prod".into() }.to_string()).collect()
    }

    #[test]
    fn lines_are_found_in_a_folded_message() {
        let text = "**P01**: line 000001 of space\\-age\n**P02**: line 1000002 of a\\_b\n";
        let found: Vec<String> = NumberedLine::find_all(text).map(|line| line.to_string()).collect();
        assert_eq!(found, ["line 000001 of space-age", "line 1000002 of a_b"]);
    }

    #[test]
    fn whole_sequence_passes_beside_another_one() {
        let mut all = texts(&[3, 4, 5]);
        all.insert(1, "line 000009 of other".to_owned());
        assert_eq!(check_exactly_once(&all, "prod", 3..6), Ok(()));
    }

    #[test]
    fn every_loss_is_told() {
        let check = |numbers: &[u64]| check_exactly_once(texts(numbers), "prod", 0..3);
        assert_eq!(check(&[0, 2]), Err(Loss::Missing { expected: 1, got: 2 }));
        assert_eq!(check(&[0, 1, 1, 2]), Err(Loss::Doubled(1)));
        assert_eq!(check(&[0, 1]), Err(Loss::CutShort(2)));
        assert_eq!(check(&[0, 1, 2, 3]), Err(Loss::Invented(3)));
        assert_eq!(check(&[]), Err(Loss::CutShort(0)));
    }
}
