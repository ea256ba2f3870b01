//! Text of players to Discord markdown in which nothing is live: no formatting, no link behind other words, no
//! mention, no emoji or timestamp by id, no spoiler, no code. Links stay readable and clickable as `<https://…>`,
//! which Discord shows without a preview.

use super::rich_text;
use crate::domain::blueprint;

/// Discord markdown that shows `text` as the game would: rich text as words, the size of a blueprint string in its place,
/// everything else as it was typed.
#[must_use]
pub fn to_discord(text: &str) -> String {
    let text = visible(&rich_text::readable(text));
    escape(blueprint::summarize(&text).as_deref().unwrap_or(&text))
}

/// Whether nothing of `text` can be seen.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    to_plain(text).trim().is_empty()
}

/// The same for a text file: rich text as words, no invisible characters, no escapes.
#[must_use]
pub fn to_plain(text: &str) -> String {
    visible(&rich_text::readable(text))
}

/// Drops control characters, line ends, and invisible ones that reorder or hide text; a tab becomes a space.
/// Joiners stay between two characters beyond ASCII: emoji and some scripts are written with them.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        let joins = || out.chars().next_back().is_some_and(beyond_ascii) && next.is_some_and(beyond_ascii);
        match c {
            '\t' => out.push(' '),
            '\u{200c}' | '\u{200d}' if joins() => out.push(c),
            c if is_hidden(c) => {}
            c => out.push(c),
        }
    }
    out
}

fn beyond_ascii(c: char) -> bool {
    !c.is_ascii() && !is_hidden(c)
}

/// Control and format characters, line and paragraph separators, tag characters.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Escapes `text`, a single line without hidden characters. Its start is taken for the start of a line, whatever the
/// template puts in front of it.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut rest = block_start(text, &mut out);
    while let Some(c) = rest.chars().next() {
        if let Some(link) = link(rest) {
            push_link(link, &mut out);
            rest = &rest[link.len()..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' | '*' | '_' | '~' | '|' | '[' | ']' | '`' | '<' => out.extend(['\\', c]),
            ':' if rest.starts_with("//") => out.push_str("\\:"),
            '@' if names_everyone(rest) => out.push_str("@\u{200b}"),
            c => out.push(c),
        }
    }
    out
}

/// Escapes what would open a heading, subtext, quote or list at the start of `text`; returns the rest.
fn block_start<'a>(text: &'a str, out: &mut String) -> &'a str {
    let trimmed = text.trim_start();
    out.push_str(&text[..text.len() - trimmed.len()]);
    let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
    let (number, behind) = trimmed.split_at(digits);
    if !opens_block(behind, digits > 0) {
        return trimmed;
    }
    out.push_str(number);
    out.extend(behind.chars().take(1).flat_map(|c| ['\\', c]));
    &behind[1..]
}

/// `behind` stands at the start of a line, or behind the number there. An end counts as a space: the template may
/// have one next.
fn opens_block(behind: &str, numbered: bool) -> bool {
    let apart = |rest: &str| rest.is_empty() || rest.starts_with(char::is_whitespace);
    let mut chars = behind.chars();
    match chars.next() {
        Some('.' | ')') => numbered && apart(chars.as_str()),
        _ if numbered => false,
        Some('#') => apart(behind.trim_start_matches('#')),
        Some('-' | '+') => apart(chars.as_str()) || chars.as_str().starts_with('#'),
        Some('>') => true,
        _ => false,
    }
}

/// `rest` follows an `@`. `@everyone` and `@here` do not ping without leave, but look as if they did.
fn names_everyone(rest: &str) -> bool {
    let begins = |word: &str| rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    begins("everyone") || begins("here")
}

/// The web link at the start of `text`, without the punctuation of the sentence around it.
fn link(text: &str) -> Option<&str> {
    let begins = |scheme: &str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    let scheme = ["https://", "http://"].into_iter().find(|scheme| begins(scheme))?;
    if !text[scheme.len()..].starts_with(char::is_alphanumeric) {
        return None;
    }
    let ends = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '`' | '"' | '|' | '\\' | '[' | ']');
    Some(without_punctuation(&text[..text.find(ends).unwrap_or(text.len())]))
}

/// `link` without the characters at its end that belong to the sentence; a `)` does when it closes nothing in the
/// link.
fn without_punctuation(link: &str) -> &str {
    let mut unopened = link.matches(')').count().saturating_sub(link.matches('(').count());
    link.trim_end_matches(|c| match c {
        ')' if unopened > 0 => {
            unopened -= 1;
            true
        }
        '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '_' | '~' => true,
        _ => false,
    })
}

/// Writes the link between angle brackets. What could still be read as formatting is percent-encoded, which changes
/// nothing about where it leads.
fn push_link(link: &str, out: &mut String) {
    out.push('<');
    let mut rest = link;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '*' => out.push_str("%2A"),
            '~' if rest.starts_with('~') || out.ends_with("%7E") => out.push_str("%7E"),
            '_' if rest.starts_with('_') || out.ends_with("%5F") => out.push_str("%5F"),
            '@' if names_everyone(rest) => out.push_str("%40"),
            c => out.push(c),
        }
    }
    out.push('>');
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    #[test]
    fn what_players_type_is_shown_as_typed() {
        let typed = [
            "hello everyone, 2*3*4 = 24 and my_base_1 ~ok~",
            "**bold** __under__ ~~gone~~ ||spoiler|| `code` ```fence```",
            "[click me](http://evil.example) <@123> <@&5> <#7> <:kek:99> <a:kek:99> <t:0:R> </ban:1> <id:customize>",
            "@everyone @here @Everyone @someone mail@here.example",
            "# heading",
            "-# small",
            "> quote",
            ">>> quote",
            "- list",
            "+ list",
            "* list",
            "1. list",
            "12) list",
            "  # indented",
            "#hashtag",
            "1.5 GW",
            "-5",
            "a - b # c > d",
            "see https://wiki.factorio.com/Main_Page_2#a, (http://x.example/a_(b)) and http://y.example/*a*__b~~c.",
            "http:// https://-x steam://run/1 HTTP://UP.example/`x`",
            "\\*not bold\\* \\",
            "zero\u{200b}width \u{202e}evil\u{202c} bell\u{7} tab\there soft\u{ad}hyphen",
            "👨\u{200d}👩\u{200d}👧 ok\u{200d}ok نمی\u{200c}خواهم",
            "[color=red]@[/color]everyone [color=red][/color]",
        ];
        let out = typed.map(to_discord).join("\n").replace('\u{200b}', "(200b)");
        let out = out.replace('\u{200d}', "(200d)").replace('\u{200c}', "(200c)");
        insta::assert_snapshot!(out, @r#"
        hello everyone, 2\*3\*4 = 24 and my\_base\_1 \~ok\~
        \*\*bold\*\* \_\_under\_\_ \~\~gone\~\~ \|\|spoiler\|\| \`code\` \`\`\`fence\`\`\`
        \[click me\](<http://evil.example>) \<@123> \<@&5> \<#7> \<:kek:99> \<a:kek:99> \<t:0:R> \</ban:1> \<id:customize>
        @(200b)everyone @(200b)here @(200b)Everyone @someone mail@(200b)here.example
        \# heading
        \-# small
        \> quote
        \>>> quote
        \- list
        \+ list
        \* list
        1\. list
        12\) list
          \# indented
        #hashtag
        1.5 GW
        -5
        a - b # c > d
        see <https://wiki.factorio.com/Main_Page_2#a>, (<http://x.example/a_(b)>) and <http://y.example/%2Aa%2A%5F%5Fb%7E%7Ec>.
        http\:// https\://-x steam\://run/1 <HTTP://UP.example/>\`x\`
        \\\*not bold\\\* \\
        zerowidth evil bell tab here softhyphen
        👨(200d)👩(200d)👧 okok نمی(200c)خواهم
        @(200b)everyone
        "#);
    }

    #[test]
    fn markup_hidden_behind_rich_text_is_escaped_all_the_same() {
        assert_eq!(to_discord("[color=red]# big[/color]"), "\\# big");
        assert_eq!(to_discord("@[font=x]everyone"), "@\u{200b}everyone");
        assert_eq!(to_discord("*[font=x]*bold**"), "\\*\\*bold\\*\\*");
        assert_eq!(to_discord("[item=**x**] [armor=<@1>]"), "\\*\\*x\\*\\* \\<@1>'s armor");
    }

    /// Says where `markdown` would do anything but show its characters. Written from Discord's rules, not from the
    /// code above: escapes and bracketed links are read first, then every opener that is left is an offence.
    pub(in crate::events) fn live_markup(markdown: &str) -> Option<String> {
        let chars: Vec<char> = markdown.chars().collect();
        let mut at = 0;
        let mut shown = String::new();
        while at < chars.len() {
            let rest: String = chars[at..].iter().collect();
            match chars[at] {
                '\\' if chars.get(at + 1).is_some_and(char::is_ascii_punctuation) => {
                    shown.push('\u{1}');
                    at += 2;
                }
                '<' if rest.to_lowercase().starts_with("<http") => {
                    let Some(end) = rest.find('>') else { return Some(rest) };
                    let inside = &rest[1..end];
                    if inside.contains(['*', ' ', '<', '`', '|', '\\'])
                        || inside.contains("~~")
                        || inside.contains("__")
                    {
                        return Some(inside.to_owned());
                    }
                    at += inside.chars().count() + 2;
                    shown.push('\u{1}');
                }
                '\\' | '*' | '_' | '~' | '`' | '|' | '[' | ']' | '<' => return Some(rest),
                c => {
                    shown.push(c);
                    at += 1;
                }
            }
        }
        let lower = shown.to_lowercase();
        let block = Regex::new(r"^\s*(\d+[.)](\s|$)|[-+](\s|#|$)|#+(\s|$)|>)").unwrap().is_match(&shown);
        let mention =
            lower.contains("@everyone") || lower.contains("@here") || markdown.to_lowercase().contains("@everyone");
        (block || mention || lower.contains("://")).then_some(shown)
    }

    #[test]
    fn the_checker_of_these_tests_sees_live_markup() {
        for live in [
            "**b**",
            "a_b_",
            "~~x~~",
            "||x||",
            "`x`",
            "[x](y)",
            "<@1>",
            "<t:1>",
            "# x",
            "> x",
            "- x",
            "1. x",
            "@here",
            "x http://y",
            "<http://a**b>",
            "\\",
            " -# x",
        ] {
            assert!(live_markup(live).is_some(), "{live}");
        }
        assert_eq!(live_markup("\\*a\\* <https://a_b> 1 # 2"), None);
    }

    /// Texts that are dense in what Discord reacts to.
    pub(in crate::events) fn tricky() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            "*",
            "_",
            "~",
            "|",
            "`",
            "\\",
            "<",
            ">",
            "[",
            "]",
            "(",
            ")",
            "#",
            "-",
            "+",
            "1",
            ".",
            " ",
            "@",
            "everyone",
            "here",
            "http://",
            "https://",
            "x",
            "/",
            ":",
            "t:1:R",
            "@&1",
            "\u{200b}",
            "\u{200d}",
            "\u{202e}",
            "\n",
            "\t",
            "[color=red]",
            "[/color]",
            "[gps=1,2]",
            "[item=",
            "é",
            "👍",
            "\u{0}",
            "\u{2028}",
        ]);
        prop_oneof![prop::collection::vec(pieces, 0..24).prop_map(|v| v.concat()), any::<String>()]
    }

    #[test]
    fn a_very_long_line_is_read_in_one_pass() {
        for piece in ["http://-", "[item=", "[", "http://a(", ")", "1", "*", "@", "_~"] {
            let text = format!("http://x{}", piece.repeat(1 << 18));
            assert!(to_discord(&text).len() >= text.len(), "{piece}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn nothing_a_player_types_is_live(text in tricky()) {
            let markdown = to_discord(&text);
            prop_assert_eq!(live_markup(&markdown), None, "{}", markdown);
        }

        #[test]
        fn hidden_characters_and_line_ends_do_not_pass(text in tricky()) {
            for out in [to_plain(&text), to_discord(&text)] {
                let bad = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{feff}');
                prop_assert!(!out.contains(bad), "{out:?}");
            }
        }

        #[test]
        fn ordinary_words_are_left_alone(text in "[A-Za-z ,!?'()=]{0,40}") {
            prop_assert_eq!(to_discord(&text), text);
        }
    }
}
