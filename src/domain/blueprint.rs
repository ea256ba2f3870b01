//! Blueprint strings: what a player pastes to share a build, too long to read and worth keeping.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// `0`, then base64 of a zlib stream. The two letters after the `0` are the stream's header (78 DA and 78 9C). Shorter
/// runs are words that look alike by chance.
static BLUEPRINT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b0e[NJ][A-Za-z0-9+/]{60,}={0,2}").expect("a valid pattern"));

/// Where blueprint strings are in `text`, as byte ranges.
pub fn find(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    BLUEPRINT.find_iter(text).map(|found| found.range())
}

/// `text` with `blueprint (60 KB)` for each blueprint string; `None` where it has none.
#[must_use]
pub fn summarize(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut end = 0;
    for range in find(text) {
        out.push_str(&text[end..range.start]);
        out.push_str(&label(range.len()));
        end = range.end;
    }
    (end > 0).then(|| out + &text[end..])
}

/// The replacement for a blueprint string of this many bytes.
#[must_use]
pub fn label(bytes: usize) -> String {
    format!("blueprint ({} KB)", bytes.div_ceil(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(bytes: usize) -> String {
        "0eNq".to_owned() + &"x9+/".repeat(bytes / 4 - 1)
    }

    #[test]
    fn a_blueprint_string_becomes_its_size() {
        assert_eq!(summarize(&string(61_440)).unwrap(), "blueprint (60 KB)");
        let two = format!("try {} or ({}==)!", string(100), string(2000));
        assert_eq!(summarize(&two).unwrap(), "try blueprint (1 KB) or (blueprint (2 KB))!");
    }

    #[test]
    fn other_text_is_no_blueprint() {
        for text in ["", "0eNq", "hello 0eNqabc", &"a".repeat(500), &"0".repeat(500)] {
            assert_eq!(summarize(text), None, "{text}");
        }
    }
}
