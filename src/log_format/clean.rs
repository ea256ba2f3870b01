//! Removes what terminals and editors add to a line.

use std::borrow::Cow;

const ESCAPE: char = '\u{1b}';
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Removes a byte order mark at the start, carriage returns at the end and ANSI escape sequences anywhere.
#[must_use]
pub fn clean(line: &str) -> Cow<'_, str> {
    let line = line.trim_start_matches(BYTE_ORDER_MARK).trim_end_matches('\r');
    if line.contains(ESCAPE) { without_escapes(line).into() } else { line.into() }
}

fn without_escapes(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(ESCAPE) {
        plain.push_str(before);
        rest = after_sequence(after);
    }
    plain.push_str(rest);
    plain.trim_start_matches(BYTE_ORDER_MARK).to_owned()
}

/// What follows the escape sequence that begins after an ESC.
fn after_sequence(text: &str) -> &str {
    let mut chars = text.chars();
    match chars.next() {
        // Control sequence: parameters, then a final byte from `@` to `~`.
        Some('[') => match chars.as_str().find(|c: char| ('@'..='~').contains(&c)) {
            Some(end) => &chars.as_str()[end + 1..],
            None => "",
        },
        // Operating system command (a window title, a link): up to BEL or ESC \.
        Some(']') => match chars.as_str().find(['\u{7}', ESCAPE]) {
            Some(end) => chars.as_str()[end..].trim_start_matches(['\u{7}', ESCAPE]).trim_start_matches('\\'),
            None => "",
        },
        // Character set selection has one more byte.
        Some('(' | ')') => {
            chars.next();
            chars.as_str()
        }
        Some(_) => chars.as_str(),
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn colours_marks_and_carriage_returns_are_removed() {
        for (line, plain) in [
            ("\u{feff}2026-11-30 10:00:00 [CHAT] Bob: hi\r", "2026-11-30 10:00:00 [CHAT] Bob: hi"),
            (
                "\u{1b}[32m2026-11-30\u{1b}[0m 10:00:00 \u{1b}[1;33m[CHAT] Bob: hi\u{1b}[K",
                "2026-11-30 10:00:00 [CHAT] Bob: hi",
            ),
            ("\u{1b}]0;title\u{7}text", "text"),
            ("\u{1b}]8;;http://x\u{1b}\\link", "link"),
            ("\u{1b}(Btext\u{1b}=", "text"),
            ("half a sequence \u{1b}[3", "half a sequence "),
            ("nothing to do", "nothing to do"),
        ] {
            assert_eq!(clean(line), plain, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn no_escape_is_left(line in "(\u{1b}|\\[|\\]|[0-9;]|m|\u{7}|\\PC){0,30}") {
            prop_assert!(!clean(&line).contains(ESCAPE));
        }
    }
}
