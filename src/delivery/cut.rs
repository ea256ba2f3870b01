//! Where a long text may be cut.

/// How far back a cut goes to find the space between two words, in bytes.
const WORD_SEARCH: usize = 200;

/// Discord's angle constructs, as `<t:1700000000:R>`, are shorter than this many bytes.
const CONSTRUCT: usize = 64;

/// The first part of `text`, at most `limit` characters: between words where it can be, never inside a backslash
/// escape, a `<...>` construct or a character that is joined of several.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    let Some((end, _)) = text.char_indices().nth(limit) else { return text };
    let head = between_words(whole_characters(text, end));
    whole_escapes(whole_constructs(head))
}

fn whole_characters(text: &str, end: usize) -> &str {
    let joins = |c: char| matches!(c, '\u{200d}' | '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{300}'..='\u{36f}');
    let mut head = &text[..end];
    for _ in 0..16 {
        let next = text[head.len()..].chars().next();
        let Some(last) = head.chars().next_back() else { break };
        if last != '\u{200d}' && !next.is_some_and(joins) {
            return head;
        }
        head = &head[..head.len() - last.len_utf8()];
    }
    &text[..end]
}

fn between_words(head: &str) -> &str {
    match head.rfind(char::is_whitespace) {
        Some(space) if space > 0 && head.len() - space <= WORD_SEARCH => head[..space].trim_end(),
        _ => head,
    }
}

fn whole_constructs(head: &str) -> &str {
    match head.rfind('<') {
        Some(open) if open > 0 && head.len() - open < CONSTRUCT && !head[open..].contains('>') => &head[..open],
        _ => head,
    }
}

fn whole_escapes(head: &str) -> &str {
    let backslashes = head.len() - head.trim_end_matches('\\').len();
    &head[..head.len() - backslashes % 2]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cuts_are_made_where_nothing_breaks() {
        assert_eq!(cut("short", 10), "short");
        assert_eq!(cut("two words", 7), "two");
        assert_eq!(cut(r"abc\*def", 4), "abc");
        assert_eq!(cut(r"abc\\def", 5), r"abc\\");
        assert_eq!(cut("at<t:1700000000:R>", 9), "at");
        assert_eq!(cut("ab👩‍🚀c", 4), "ab");
        assert_eq!(cut("ab👩‍🚀c", 5), "ab👩‍🚀");
    }

    proptest! {
        #[test]
        fn any_cut_is_a_short_prefix_with_whole_escapes(text in r"[a\\ <>👩‍é*]{1,80}", limit in 20_usize..60) {
            let head = cut(&text, limit);
            prop_assert!(text.starts_with(head));
            prop_assert!(head.chars().count() <= limit);
            if head.len() < text.len() {
                let backslashes = head.chars().rev().take_while(|c| *c == '\\').count();
                prop_assert_eq!(backslashes % 2, 0);
            }
        }
    }
}
