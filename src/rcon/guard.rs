//! The achievement guard: which commands disable achievements for the save. Pure.
//!
//! The game decides by the first word behind a slash. The guard reads more generously than the game does, so that
//! what the game might read as a Lua command, by any trick of case, blanks or look-alikes, is one here.

/// The commands that disable achievements, without their slash.
const LUA_COMMANDS: [&str; 8] = ["c", "command", "sc", "silent-command", "mc", "measured-command", "editor", "cheat"];

/// A command that disables achievements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LuaCommand {
    /// Its name, without the slash.
    pub name: &'static str,
}

/// Which command that disables achievements this line is, if it is one.
#[must_use]
pub fn lua_command(line: &str) -> Option<LuaCommand> {
    let mut visible = line.chars().filter(|c| !is_ignorable(*c)).map(narrow).peekable();
    let mut slash = false;
    while let Some(c) = visible.next_if(|c| *c == '/' || c.is_whitespace()) {
        slash |= c == '/';
    }
    let word: String = visible.take_while(|c| is_name(*c)).flat_map(char::to_lowercase).collect();
    let name = LUA_COMMANDS.into_iter().find(|name| slash && *name == word)?;
    Some(LuaCommand { name })
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '-' || c == '_'
}

/// Full-width forms as their ASCII twins; the dashes as the hyphen.
fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => u32::from(c).checked_sub(0xfee0).and_then(char::from_u32).unwrap_or(c),
        '\u{2044}' | '\u{2215}' | '\u{29f8}' => '/',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        _ => c,
    }
}

/// Characters nobody sees, which a reader may skip: controls, and what Unicode calls default-ignorable.
/// Blanks are not among them, but for those that are controls and cannot be part of a word.
pub(super) fn is_ignorable(c: char) -> bool {
    let blank = c.is_whitespace();
    let hidden = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}');
    hidden || (c.is_control() && !blank)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(line: &str) -> Option<&'static str> {
        lua_command(line).map(|command| command.name)
    }

    #[test]
    fn lua_is_known_in_every_dress() {
        let table = [
            ("/c game.print(1)", "c"),
            ("/C game.print(1)", "c"),
            ("/command x", "command"),
            ("/Silent-Command x", "silent-command"),
            ("/sc", "sc"),
            ("/mc\tx", "mc"),
            ("/measured-command x", "measured-command"),
            ("/editor", "editor"),
            ("/CHEAT all", "cheat"),
            ("   /c x", "c"),
            ("\t\r\n/sc x", "sc"),
            ("\u{a0}\u{3000}/c x", "c"),
            ("\u{feff}/c x", "c"),
            ("\u{200b}\u{2066}/c x", "c"),
            ("\0\u{1b}/c x", "c"),
            ("//c x", "c"),
            ("/ / c x", "c"),
            ("/\u{200d}s\u{ad}c x", "sc"),
            ("/s\0c x", "sc"),
            ("/c\u{a0}x", "c"),
            ("/c(x)", "c"),
            ("/c;x", "c"),
            ("／ｓｃ x", "sc"),
            ("/silent\u{2011}command x", "silent-command"),
            ("\u{2215}c x", "c"),
        ];
        for (line, command) in table {
            assert_eq!(name(line), Some(command), "{line:?}");
        }
    }

    #[test]
    fn what_keeps_achievements_may_pass() {
        let harmless = [
            "",
            " ",
            "/",
            "/players online",
            "/p o",
            "/time",
            "/color red",
            "/clear",
            "/config get allow-commands",
            "/commands",
            "/cheats-of-a-mod",
            "/c-mod x",
            "/server-save",
            "/whisper Bob /c x",
            "/shout /sc x",
            "c game.print(1)",
            "say /c",
            "sc",
            "command /c",
            "editor",
        ];
        for line in harmless {
            assert_eq!(lua_command(line), None, "{line:?}");
        }
    }

    fn invisible() -> impl Strategy<Value = String> {
        let hidden = ['\u{200b}', '\u{feff}', '\0', '\u{7f}', '\u{2060}', '\u{ad}', '\u{e0041}'];
        prop::collection::vec(prop::sample::select(hidden.to_vec()), 0..4).prop_map(|found| found.into_iter().collect())
    }

    fn blanks() -> impl Strategy<Value = String> {
        let blank = [' ', '\t', '\n', '\u{b}', '\u{a0}', '\u{2003}', '\u{3000}', '\u{2028}', '\u{200b}', '\u{1}'];
        prop::collection::vec(prop::sample::select(blank.to_vec()), 0..6).prop_map(|found| found.into_iter().collect())
    }

    fn shouted(word: &str, upper: &[bool]) -> String {
        let letter = |(c, up): (char, &bool)| if *up { c.to_ascii_uppercase() } else { c };
        word.chars().zip(upper.iter().cycle()).map(letter).collect()
    }

    proptest! {
        #[test]
        fn no_disguise_passes(
            command in prop::sample::select(LUA_COMMANDS.to_vec()),
            upper in prop::collection::vec(any::<bool>(), 1..8),
            before in blanks(), after_slash in invisible(), inside in invisible(), rest in "( .*)?",
        ) {
            let word = shouted(command, &upper);
            let (head, tail) = word.split_at(word.len() / 2);
            let line = format!("{before}/{after_slash}{head}{inside}{tail}{rest}");
            prop_assert_eq!(name(&line), Some(command), "{:?}", line);
        }

        #[test]
        fn text_without_a_slash_in_front_is_never_lua(text in "[^/\u{2044}\u{2215}\u{29f8}\u{ff0f}]*", rest in any::<String>()) {
            prop_assume!(text.chars().any(is_name));
            let line = format!("{text}{rest}");
            prop_assert_eq!(lua_command(&line), None);
        }
    }
}
