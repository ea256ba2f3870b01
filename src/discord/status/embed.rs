//! An embed, with Discord's limits held where it is made.

use jiff::Timestamp;
use serde::Serialize;

/// Of a field's value; Discord takes 1024.
pub(super) const MOST_IN_FIELD: usize = 1024;

/// An embed as Discord takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Embed {
    /// Its heading.
    pub title: String,
    /// Below the heading.
    pub description: String,
    /// Of its edge, as 0xRRGGBB.
    pub color: u32,
    /// At most 25.
    pub fields: Vec<Field>,
    /// At its end.
    pub footer: Footer,
    /// Beside the footer, in the reader's own time.
    pub timestamp: Timestamp,
}

/// A name and a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// At most 256 characters.
    pub name: String,
    /// At most 1024 characters.
    pub value: String,
    /// Whether others may stand beside it.
    pub inline: bool,
}

/// The line at the end of an embed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Footer {
    /// At most 2048 characters.
    pub text: String,
}

impl Embed {
    /// Whether it says the same, whenever that was.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        *self == Self { timestamp: self.timestamp, ..other.clone() }
    }
}

/// The length as Discord may count it: nobody promises code points, and UTF-16 is never less.
pub(super) fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// As many of `lines` as fit into a field, one below the other; then how many more there are.
pub(super) fn fitting(lines: &[String], separator: &str) -> String {
    let more = |left: usize| if left == 0 { String::new() } else { format!("{separator}+{left} more") };
    let mut shown = String::new();
    for (at, line) in lines.iter().enumerate() {
        let glue = if at == 0 { "" } else { separator };
        let longer = format!("{shown}{glue}{line}");
        if length(&longer) + length(&more(lines.len() - at - 1)) > MOST_IN_FIELD {
            return (shown + &more(lines.len() - at)).trim_start().to_owned();
        }
        shown = longer;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let lines: Vec<String> = (0..300).map(|n| format!("player number {n}")).collect();
        let shown = fitting(&lines, "\n");
        assert!(length(&shown) <= MOST_IN_FIELD && length(&shown) > 950, "{}", length(&shown));
        let listed = shown.lines().count() - 1;
        assert!(shown.ends_with(&format!("\n+{} more", 300 - listed)), "{shown}");
        assert_eq!(fitting(&lines[..3], ", "), "player number 0, player number 1, player number 2");
        assert_eq!(fitting(&["x".repeat(2000)], "\n"), "+1 more");
    }
}
