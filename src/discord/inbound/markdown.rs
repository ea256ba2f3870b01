//! Discord's markdown as plain text. Pure.
//!
//! Discord's dialect is not `CommonMark` (`__x__` underlines, `||x||` hides, `-# x` is small print, a line break ends
//! nothing, HTML and reference links do not exist), so a `CommonMark` parser would change text that Discord shows as it
//! was typed. Text without its marks is all that is needed here.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// The replacement for a spoiler.
const SPOILER: &str = "(spoiler)";
/// Marks inside marks: what is nested deeper keeps its marks.
const MAX_DEPTH: usize = 8;
/// Bytes that are looked at; Discord's longest text (an embed's description) has 4,096 characters.
const MAX_BYTES: usize = 32 << 10;

/// Ids, timestamps and links between angle brackets, as clients send them.
pub(super) static TAG: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"^<(?:@!?(?<user>\d{1,20})|@&(?<role>\d{1,20})|#(?<channel>\d{1,20})|a?:(?<emoji>\w{1,32}):\d{1,20}|t:(?<time>-?\d{1,13})(?::[A-Za-z])?|(?<command>/[^:<>\n]{1,100}):\d{1,20}|(?<link>https?://[^\s<>]+)|id:(?<page>[a-z-]{1,20})(?::\d{1,20})?|(?<sound>sound):\d{1,20}:\d{1,20})>";
    Regex::new(pattern).expect("a valid pattern")
});

/// `[text](https://address "title")`, the address also between angle brackets.
static MASKED_LINK: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r#"^\[(?<text>[^\[\]\n]{1,1000})\]\(\s*<?(?<address>https?://[^\s<>()]+(?:\([^\s<>()]*\)[^\s<>()]*)*)>?(?:\s+"[^"\n]*")?\s*\)"#;
    Regex::new(pattern).expect("a valid pattern")
});

static ADDRESS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^https?://[^\s<]*[^\s<.,:;!?'\x22\])*_~|]").expect("a valid pattern"));

/// The first line of a code block, where it names a language.
static LANGUAGE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[A-Za-z0-9_+.#-]{1,32}\n").expect("a valid pattern"));

/// Marks that go, longest first: what is inside stays.
const MARKS: [&str; 7] = ["***", "**", "*", "___", "__", "_", "~~"];

/// `text` without its marks; `tag` returns the replacement for an id or a timestamp.
pub(super) fn plain(text: &str, tag: &dyn Fn(&Captures<'_>) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let end = text.floor_char_boundary(MAX_BYTES);
    Renderer { tag, out: &mut out }.render(&text[..end], true, MAX_DEPTH);
    out
}

struct Renderer<'a> {
    tag: &'a dyn Fn(&Captures<'_>) -> String,
    out: &'a mut String,
}

impl Renderer<'_> {
    /// Renders `text`, which begins a line or does not.
    fn render(&mut self, text: &str, begins_line: bool, depth: usize) {
        let mut rest = text;
        let mut before = if begins_line { None } else { Some(' ') };
        // A mark that is not closed once is not closed later either.
        let mut unclosed = Vec::new();
        while let Some(first) = rest.chars().next() {
            if matches!(before, None | Some('\n')) {
                rest = self.block_start(rest);
            }
            let taken = self.element(rest, before, depth, &mut unclosed);
            let taken = if taken > 0 {
                taken
            } else {
                let Some(plain) = rest.chars().next() else { break };
                self.out.push(plain);
                plain.len_utf8()
            };
            before = rest[..taken].chars().next_back().or(Some(first));
            rest = &rest[taken..];
        }
    }

    /// Drops the marks of a heading or of small print at the start of a line; a quote keeps one `>`.
    fn block_start<'t>(&mut self, line: &'t str) -> &'t str {
        let trimmed = line.trim_start_matches(' ');
        for mark in ["### ", "## ", "# ", "-# "] {
            if let Some(rest) = trimmed.strip_prefix(mark) {
                return rest;
            }
        }
        if let Some(rest) = trimmed.strip_prefix(">>> ").or_else(|| trimmed.strip_prefix("> ")) {
            self.out.push_str("> ");
            return rest;
        }
        line
    }

    /// Renders what begins at the start of `text` with a meaning of its own; returns its length, 0 for plain text.
    fn element(&mut self, text: &str, before: Option<char>, depth: usize, unclosed: &mut Vec<&'static str>) -> usize {
        match text.as_bytes().first() {
            Some(b'\\') => self.escaped(text),
            Some(b'`') => self.code(text),
            Some(b'|') => self.spoiler(text, unclosed),
            Some(b'[') => self.masked_link(text, depth),
            Some(b'<') => self.tagged(text),
            Some(b'h') => self.address(text, before),
            Some(b'*' | b'_' | b'~') => self.marked(text, before, depth, unclosed),
            _ => 0,
        }
    }

    fn escaped(&mut self, text: &str) -> usize {
        match text[1..].chars().next() {
            Some(next) if next.is_ascii_punctuation() => {
                self.out.push(next);
                2
            }
            _ => 0,
        }
    }

    /// A block of code or code in a line, as it was typed.
    fn code(&mut self, text: &str) -> usize {
        if let Some(block) = text.strip_prefix("```")
            && let Some(end) = block.find("```").filter(|end| *end > 0)
        {
            let code = &block[..end];
            let code = LANGUAGE.find(code).map_or(code, |language| &code[language.end()..]);
            let separate = !self.out.is_empty() && !self.out.ends_with('\n');
            self.out.push_str(if separate { "\n" } else { "" });
            self.out.push_str(code.trim_matches('\n'));
            self.out.push('\n');
            return end + 6;
        }
        let ticks = text.bytes().take_while(|byte| *byte == b'`').count();
        let (fence, inside) = text.split_at(ticks);
        match inside.find(fence) {
            Some(end) if ticks <= 2 && end > 0 => {
                self.out.push_str(inside[..end].trim());
                end + 2 * ticks
            }
            _ => {
                self.out.push_str(fence);
                ticks
            }
        }
    }

    fn spoiler(&mut self, text: &str, unclosed: &mut Vec<&'static str>) -> usize {
        let Some(inside) = text.strip_prefix("||").filter(|_| !unclosed.contains(&"||")) else { return 0 };
        match inside.find("||") {
            Some(0) => 0,
            Some(end) => {
                self.out.push_str(SPOILER);
                end + 4
            }
            None => {
                unclosed.push("||");
                0
            }
        }
    }

    /// `text (address)`; the address alone where the text is one: what it says may not be where it leads.
    fn masked_link(&mut self, text: &str, depth: usize) -> usize {
        let Some(found) = MASKED_LINK.captures(text) else { return 0 };
        let (shown, address) = (&found["text"], &found["address"]);
        if shown.contains("://") {
            self.out.push_str(address);
        } else {
            self.render(shown, false, depth.saturating_sub(1));
            self.out.extend([" (", address, ")"]);
        }
        found[0].len()
    }

    fn tagged(&mut self, text: &str) -> usize {
        let Some(found) = TAG.captures(text) else { return 0 };
        let words = (self.tag)(&found);
        self.out.push_str(&words);
        found[0].len()
    }

    /// An address holds no marks.
    fn address(&mut self, text: &str, before: Option<char>) -> usize {
        if before.is_some_and(char::is_alphanumeric) {
            return 0;
        }
        let Some(found) = ADDRESS.find(text) else { return 0 };
        self.out.push_str(found.as_str());
        found.len()
    }

    fn marked(&mut self, text: &str, before: Option<char>, depth: usize, unclosed: &mut Vec<&'static str>) -> usize {
        let inside_word = before.is_some_and(char::is_alphanumeric);
        let marks = MARKS.into_iter().filter(|mark| text.starts_with(mark));
        let marks = marks.filter(|mark| !(inside_word && matches!(*mark, "_" | "___")));
        for mark in marks {
            if depth == 0 || unclosed.contains(&mark) {
                continue;
            }
            let inside = &text[mark.len()..];
            if mark == "*" && inside.starts_with(char::is_whitespace) {
                continue;
            }
            match closing(inside, mark) {
                Some(end) => {
                    self.render(&inside[..end], false, depth - 1);
                    return end + 2 * mark.len();
                }
                None => unclosed.push(mark),
            }
        }
        // Half a mark is not the start of another one.
        let run = text.bytes().take_while(|byte| *byte == text.as_bytes()[0]).count();
        self.out.push_str(&text[..run]);
        run
    }
}

/// Where `mark` closes what it opened before `inside`.
fn closing(inside: &str, mark: &str) -> Option<usize> {
    let own = mark.as_bytes().first().copied()?;
    let bytes = inside.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'\\' {
            at += 2;
            continue;
        }
        if bytes[at] != own {
            at += 1;
            continue;
        }
        let run = bytes[at..].iter().take_while(|byte| **byte == own).count();
        if at > 0 && closes(inside, at, run, mark) {
            // Of a longer run, the last marks close.
            return Some(at + run - mark.len());
        }
        at += run;
    }
    None
}

/// Whether the `run` of mark characters at `at` closes `mark`.
fn closes(inside: &str, at: usize, run: usize, mark: &str) -> bool {
    let behind = inside[at + run..].chars().next();
    let spaced = inside[..at].ends_with(char::is_whitespace);
    match mark {
        "*" => run == 1 && !spaced || run == 3,
        "_" => (run == 1 || run == 3) && !behind.is_some_and(char::is_alphanumeric),
        "~~" => run == 2,
        _ => run >= mark.len(),
    }
}

#[cfg(test)]
#[path = "markdown_tests.rs"]
mod tests;
