//! Lines that no other program writes.

/// What proves that a line comes from a Factorio server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineShape {
    /// `2026-11-23 20:54:41 [CHAT] Bob: hello`
    Console,
    /// `=== Log opened 2026-11-23 20:54:41 ===`: only a file of `--console-log` has it.
    Marker,
    /// `   0.567 Info AppManager.cpp:287: …`, `   0.000 2026-11-23 20:54:41; Factorio 2.0.77 …`, `  16.528 Goodbye`
    Engine,
}

/// Tags of the game. `[WARNING]` is not among them: many programs write it.
const TAGS: [&str; 14] = [
    "JOIN", "LEAVE", "CHAT", "SHOUT", "COMMAND", "KICK", "BAN", "UNBANNED", "PROMOTE", "DEMOTE", "COLOR", "MUTE",
    "UNMUTE", "WHISPER",
];

/// The width to which the engine aligns the seconds since its start.
const SECONDS_WIDTH: usize = 8;

/// The shape of `line`; `None` where another program could have written it.
#[must_use]
pub fn shape(line: &str) -> Option<LineShape> {
    if is_marker(line) {
        return Some(LineShape::Marker);
    }
    if let Some(text) = after_date(line) {
        let (tag, rest) = text.strip_prefix(" [")?.split_once(']')?;
        let ends = rest.is_empty() || rest.starts_with(' ');
        return (ends && TAGS.contains(&tag)).then_some(LineShape::Console);
    }
    is_engine(line).then_some(LineShape::Engine)
}

fn is_marker(line: &str) -> bool {
    let time = line.strip_prefix("=== Log opened ").or_else(|| line.strip_prefix("=== Log closed "));
    time.and_then(after_date).is_some_and(|rest| rest.trim_end() == " ===")
}

/// What follows `2026-11-23 20:54:41` at the start of `text`.
pub(super) fn after_date(text: &str) -> Option<&str> {
    const DATE: &[u8; 19] = b"dddd-dd-dd dd:dd:dd";
    let date = text.as_bytes().get(..DATE.len())?;
    for (byte, wanted) in date.iter().zip(DATE) {
        let fits = if *wanted == b'd' { byte.is_ascii_digit() } else { byte == wanted };
        if !fits {
            return None;
        }
    }
    text.get(DATE.len()..)
}

fn is_engine(line: &str) -> bool {
    let text = line.trim_start_matches(' ');
    let Some((number, rest)) = text.split_once(' ') else { return false };
    if !is_seconds(number) {
        return false;
    }
    if let Some(level) = level_and_source(rest) {
        return level;
    }
    if after_date(rest).is_some_and(|rest| rest.starts_with("; Factorio ")) {
        return true;
    }
    let padding = line.len() - text.len();
    let aligned = padding + number.len() == SECONDS_WIDTH || (padding == 0 && number.len() > SECONDS_WIDTH);
    aligned && rest.starts_with(|c: char| c.is_ascii_uppercase())
}

/// `-140462620.552`
fn is_seconds(number: &str) -> bool {
    let number = number.strip_prefix('-').unwrap_or(number);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    number.split_once('.').is_some_and(|(whole, fraction)| digits(whole) && fraction.len() == 3 && digits(fraction))
}

/// Whether a level is followed by a source, as `Info AppManager.cpp:287: …`. `None` where there is no level.
fn level_and_source(text: &str) -> Option<bool> {
    let (level, rest) = text.split_once(' ')?;
    match level {
        "Info" | "Warning" | "Error" | "Verbose" => {
            let source = rest.split(": ").next().unwrap_or_default();
            Some(source.contains(".cpp:") || source.contains(".hpp:"))
        }
        "Script" => Some(rest.starts_with(['@', '='])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_game_are_known() {
        for line in [
            "2019-01-20 10:30:04 [JOIN] User joined the game",
            "2026-03-23 16:32:14 [CHAT] ",
            "=== Log opened 2026-03-23 16:31:57 ===",
            "=== Log closed 2026-03-23 16:31:57 ===",
            "   0.000 2025-07-20 11:18:47; Factorio 2.0.55 (build 83138, linux64, headless, space-age)",
            "   1.306 Info RemoteCommandProcessor.cpp:131: Starting RCON interface at port 4000",
            "-140462620.552 Info RemoteCommandProcessor.cpp:119: Starting RCON",
            "1343819.675 Warning FileUtil.cpp:527: test not found; using test.zip",
            "   1.277 Script @C:\\My Cluster\\temp\\file.lua:7: Contrived :12: example",
            " 640.910 Quitting: remote-quit.",
            "1641.421 Goodbye",
            "1.5 Info A.cpp:1: x is trimmed to three digits",
            "1.500 Info A.cpp:1: a panel trimmed the padding",
        ] {
            assert_eq!(shape(line).is_some(), !line.starts_with("1.5 "), "{line}");
        }
    }

    #[test]
    fn lines_of_other_programs_are_not() {
        for line in [
            "",
            "Players (0):",
            "2019-01-20 10:30:14 Cannot execute command. Error: x",
            "2026-11-30 10:00:00 [INFO] starting",
            "2026-11-30 10:00:00 [WARNING] disk is full",
            "2026-11-30 10:00:00 UTC [71] LOG:  checkpoint complete",
            "=== Log sold 2026-03-23 16:31:57 ===",
            "[    0.000000] Linux version 6.1",
            "1764496800.123456 host factorio[812]: x",
            "0.123 seconds",
            "12.345 Error Something without a source: text",
            "factorio-1  | 2026-11-30 10:00:00 [CHAT] Bob: hello",
        ] {
            assert_eq!(shape(line), None, "{line}");
        }
    }
}
