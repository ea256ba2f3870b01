use proptest::prelude::*;

use super::*;

fn shown(text: &str) -> String {
    plain(text, &|found| found.name("page").or(found.name("link")).map_or("TAG", |text| text.as_str()).to_owned())
}

#[test]
fn marks_are_stripped() {
    insta::assert_snapshot!([
        "**bold** *it* _it_ __under__ ~~gone~~ ***both*** ___both___",
        "**bold *and it* again** and __**two**__",
        "`code *stays*` ``with ` tick``",
        "||the boss|| and || spaced || here",
        "# Title", "### Small", "-# fine print", "> said **before**", ">>> all of it",
        "[docs](https://a.b/c_d_e) and [x](<https://a.b> \"t\")",
        "[https://good.example](https://bad.example)",
        "<https://a.b/c_d> https://a.b/*c*_d_ **https://a.b/x**",
        "\\*not bold\\* \\<@1> \\\\",
    ].map(shown).join("\n"), @r"
    bold it it under gone both both
    bold and it again and two
    code *stays* with ` tick
    (spoiler) and (spoiler) here
    Title
    Small
    fine print
    > said before
    > all of it
    docs (https://a.b/c_d_e) and x (https://a.b)
    https://bad.example
    https://a.b/c_d https://a.b/*c*_d_ https://a.b/x
    *not bold* <@1> \
    ");
}

#[test]
fn what_is_no_mark_stays_as_it_was_typed() {
    for text in [
        "snake_case_name and __init",
        "2 * 3 * 4 = 24",
        "a ** b",
        "#channel -#x >x",
        "2 * 3 *",
        "[x] (y) [a](b) [c](ftp://d)",
        "*",
        "**",
        "***",
        "____",
        "||",
        "||||",
        "``",
        "5 ~ 6 ~~",
        "(*) -_-",
    ] {
        assert_eq!(shown(text), text);
    }
}

#[test]
fn code_fences_are_dropped_and_code_is_not_read() {
    assert_eq!(shown("look:\n```lua\nlocal x = a*b*c\n```\ndone"), "look:\nlocal x = a*b*c\n\ndone");
    assert_eq!(shown("```one```"), "one\n");
    assert_eq!(shown("```lua```"), "lua\n");
    assert_eq!(shown("```never closed"), "```never closed");
}

#[test]
fn a_spoiler_over_lines_is_covered_whole() {
    assert_eq!(shown("a ||b\n<@1> **c**\nd|| e"), "a (spoiler) e");
}

#[test]
fn tags_are_replaced() {
    assert_eq!(shown("<@1><#2> <id:customize> <id:linked-roles:5> <sound:1:2>"), "TAGTAG customize linked-roles TAG");
}

#[test]
fn hostile_text_is_read_in_no_time() {
    let begin = std::time::Instant::now();
    for piece in ["*", "**a", "_", "__", "~~", "||", "`", "[", "<", "\\", "*a _b ~~c ", "[a](https://b", "***a**b*"] {
        let text = piece.repeat(MAX_BYTES / piece.len());
        assert!(shown(&text).len() <= text.len() + 1);
    }
    assert!(begin.elapsed().as_secs() < 10, "{:?}", begin.elapsed());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(\\*|_|~~|\\|\\||`|```|\\[|\\]|\\(|\\)|https://a|<@1>|<|>|# |> |\\\\|\n| |a|é|\\PC){0,40}") {
        let out = shown(&text);
        prop_assert!(out.len() <= 3 * text.len() + 3);
    }

    #[test]
    fn words_without_marks_are_left_alone(text in "[a-z0-9 ,.?!é]{0,60}") {
        prop_assert_eq!(shown(&text), text);
    }
}
