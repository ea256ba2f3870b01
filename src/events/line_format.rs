//! What stands around the text of a log line: time, tag, level, source. Nothing here knows what a text means.
//!
//! A console log holds dated lines and the two markers of a run; the engine's log holds lines that begin with the
//! seconds since its start; a capture of standard output holds both. The source file and line number of an engine
//! line change with every build, so they are cut off and never looked at.

use std::borrow::Cow;

use jiff::civil::DateTime;

/// One line, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub enum Envelope<'a> {
    /// `2026-11-23 20:54:41 [CHAT] Bob: hello`
    Tagged {
        /// Local time of the server; `None` where the digits are no date (a mod prints `0000-00-00`).
        at: Option<DateTime>,
        /// `CHAT`
        tag: &'a str,
        /// `Bob: hello`
        text: &'a str,
    },
    /// `2026-11-23 20:54:41 Cannot execute command. …`
    Dated {
        /// As above.
        at: Option<DateTime>,
        /// What follows the time.
        text: &'a str,
    },
    /// `=== Log opened 2026-11-23 20:54:41 ===`
    LogOpened(Option<DateTime>),
    /// `=== Log closed 2026-11-23 20:54:41 ===`
    LogClosed(Option<DateTime>),
    /// The first line of an engine's run: `0.000 2026-11-23 20:54:41; Factorio 2.0.77 (build 84539, …)`
    Header {
        /// Milliseconds since the start of the engine.
        millis: i64,
        /// Local time of the server.
        at: Option<DateTime>,
        /// `Factorio 2.0.77 (build 84539, …)`
        text: &'a str,
    },
    /// `14.226 Info ServerRouter.cpp:465: Replying …` or `145.972 Goodbye`
    Engine {
        /// Milliseconds since the start of the engine. Negative after the machine's clock was set back.
        millis: i64,
        /// `None` where the engine wrote none.
        level: Option<Level>,
        /// Level, source and message: all that follows the seconds.
        full: &'a str,
        /// The message alone.
        message: &'a str,
    },
    /// Anything else: the continuation of the line before, a command's reply, what a mod printed.
    Bare(&'a str),
}

/// The level of an engine line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `Info`
    Info,
    /// `Warning`
    Warning,
    /// `Error`
    Error,
    /// `Verbose`
    Verbose,
    /// `Script`: a mod's `log()`. Its text is the mod's, so no event of the engine is read out of it.
    Script,
}

impl<'a> Envelope<'a> {
    /// Takes `line` apart.
    #[must_use]
    pub fn parse(line: &'a str) -> Self {
        let line = line.trim_start_matches('\u{feff}').trim_end();
        marker(line).or_else(|| dated(line)).or_else(|| engine(line)).unwrap_or(Self::Bare(line))
    }

    /// What user patterns are matched against: the line without its time, as `[CHAT] Bob: hello`, `Goodbye`, or
    /// `Script @__mod__/control.lua:7: text`. The markers of a console log are matched whole.
    #[must_use]
    pub fn pattern_text(&self, line: &'a str) -> Cow<'a, str> {
        match self {
            Self::Tagged { tag, text, .. } => format!("[{tag}] {text}").into(),
            Self::Dated { text, .. } | Self::Header { text, .. } => (*text).into(),
            Self::Engine { full, .. } => (*full).into(),
            Self::LogOpened(_) | Self::LogClosed(_) | Self::Bare(_) => line.trim_end().into(),
        }
    }
}

fn marker(line: &str) -> Option<Envelope<'_>> {
    let inner = line.strip_prefix("=== Log ")?.strip_suffix(" ===")?;
    let (word, time) = inner.split_once(' ')?;
    let (at, rest) = date_time(time)?;
    match word {
        "opened" if rest.is_empty() => Some(Envelope::LogOpened(at)),
        "closed" if rest.is_empty() => Some(Envelope::LogClosed(at)),
        _ => None,
    }
}

fn dated(line: &str) -> Option<Envelope<'_>> {
    let (at, rest) = date_time(line)?;
    let text = rest.strip_prefix(' ')?;
    Some(match tag(text) {
        Some((tag, text)) => Envelope::Tagged { at, tag, text },
        None => Envelope::Dated { at, text },
    })
}

/// `[TAG] text`: the tag is one word without lower-case letters, so that a text in brackets is none.
fn tag(text: &str) -> Option<(&str, &str)> {
    let (tag, rest) = text.strip_prefix('[')?.split_once(']')?;
    let word = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    let one_word = tag.len() <= 32 && !tag.is_empty() && tag.bytes().all(word);
    (one_word && (rest.is_empty() || rest.starts_with(' '))).then(|| (tag, rest.strip_prefix(' ').unwrap_or(rest)))
}

/// The time at the start of `text` and what follows it. The outer `None`: there is none. The inner: no such date.
fn date_time(text: &str) -> Option<(Option<DateTime>, &str)> {
    const SHAPE: &[u8; 19] = b"dddd-dd-dd dd:dd:dd";
    let digits = text.as_bytes().get(..SHAPE.len())?;
    let fits = |(b, shape): (&u8, &u8)| if *shape == b'd' { b.is_ascii_digit() } else { b == shape };
    if !digits.iter().zip(SHAPE).all(fits) {
        return None;
    }
    let (time, rest) = text.split_at(SHAPE.len());
    Some((time.replacen(' ', "T", 1).parse().ok(), rest))
}

fn engine(line: &str) -> Option<Envelope<'_>> {
    let (millis, full) = seconds(line.trim_start())?;
    if let Some((at, rest)) = date_time(full)
        && let Some(text) = rest.strip_prefix("; ")
    {
        return Some(Envelope::Header { millis, at, text });
    }
    let Some((level, rest)) = level(full) else {
        return Some(Envelope::Engine { millis, level: None, full, message: full });
    };
    let message = if level == Level::Script { rest } else { behind_source(rest) };
    Some(Envelope::Engine { millis, level: Some(level), full, message })
}

/// `-140462620.552 rest`: milliseconds and the rest. Always three decimals.
fn seconds(text: &str) -> Option<(i64, &str)> {
    let (number, rest) = text.split_once(' ')?;
    let (whole, fraction) = number.split_once('.')?;
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let decimal = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if fraction.len() != 3 || !decimal(fraction) || !decimal(digits) {
        return None;
    }
    let millis = digits.parse::<i64>().ok()?.checked_mul(1000)?.checked_add(fraction.parse().ok()?)?;
    Some((if whole.starts_with('-') { -millis } else { millis }, rest))
}

fn level(text: &str) -> Option<(Level, &str)> {
    let (word, rest) = text.split_once(' ')?;
    let level = match word {
        "Info" => Level::Info,
        "Warning" => Level::Warning,
        "Error" => Level::Error,
        "Verbose" => Level::Verbose,
        "Script" => Level::Script,
        _ => return None,
    };
    Some((level, rest))
}

/// Cuts `File.cpp:123: ` off.
fn behind_source(text: &str) -> &str {
    let Some((source, message)) = text.split_once(": ") else { return text };
    let Some((file, number)) = source.rsplit_once(':') else { return text };
    let is_source = file.contains('.') && !file.contains(' ') && number.bytes().all(|b| b.is_ascii_digit());
    if is_source { message } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(line: &str) -> String {
        match Envelope::parse(line) {
            Envelope::Tagged { at, tag, text } => format!("tagged {} {tag} | {text}", date(at)),
            Envelope::Dated { at, text } => format!("dated {} | {text}", date(at)),
            Envelope::LogOpened(at) => format!("opened {}", date(at)),
            Envelope::LogClosed(at) => format!("closed {}", date(at)),
            Envelope::Header { millis, at, text } => format!("header {millis} {} | {text}", date(at)),
            Envelope::Engine { millis, level, message, .. } => format!("engine {millis} {level:?} | {message}"),
            Envelope::Bare(text) => format!("bare | {text}"),
        }
    }

    fn date(at: Option<DateTime>) -> String {
        at.map_or_else(|| "no date".to_owned(), |at| at.to_string())
    }

    #[test]
    fn every_envelope_the_server_writes_is_known() {
        let lines = [
            "2019-01-20 10:30:04 [JOIN] User joined the game",
            "2019-01-20 10:30:14 Cannot execute command. Error: [string \"blah\"]:1: syntax error near <eof>",
            "2019-01-20 10:30:14 [string \"blah\"]:1: a text in brackets is no tag",
            "2026-03-23 16:32:14 [CHAT] ",
            "0000-00-00 00:00:00 [DISCORD] **x** died.",
            "=== Log opened 2026-03-23 16:31:57 ===",
            "=== Log closed 2026-03-23 16:31:57 ===",
            "=== Log sold 2026-03-23 16:31:57 ===",
            "   0.000 2025-07-20 11:18:47; Factorio 2.0.55 (build 83138, linux64, headless, space-age)",
            "   1.306 Info RemoteCommandProcessor.cpp:131: Starting RCON interface at port 4000",
            "-140462620.552 Info RemoteCommandProcessor.cpp:119: Starting RCON",
            "1343819.675 Warning FileUtil.cpp:527: test not found; using test.zip",
            "   1.277 Script @C:\\My Cluster\\temp\\file.lua:7: Contrived :12: example",
            " 640.910 Quitting: remote-quit.",
            "  12.345 Error Something without a source: text",
            "1641.421 Goodbye",
            "Players (0):",
            "1.5 is a number",
            "",
        ];
        insta::assert_snapshot!(lines.map(shape).join("\n"), @r#"
        tagged 2019-01-20T10:30:04 JOIN | User joined the game
        dated 2019-01-20T10:30:14 | Cannot execute command. Error: [string "blah"]:1: syntax error near <eof>
        dated 2019-01-20T10:30:14 | [string "blah"]:1: a text in brackets is no tag
        tagged 2026-03-23T16:32:14 CHAT | 
        tagged no date DISCORD | **x** died.
        opened 2026-03-23T16:31:57
        closed 2026-03-23T16:31:57
        bare | === Log sold 2026-03-23 16:31:57 ===
        header 0 2025-07-20T11:18:47 | Factorio 2.0.55 (build 83138, linux64, headless, space-age)
        engine 1306 Some(Info) | Starting RCON interface at port 4000
        engine -140462620552 Some(Info) | Starting RCON
        engine 1343819675 Some(Warning) | test not found; using test.zip
        engine 1277 Some(Script) | @C:\My Cluster\temp\file.lua:7: Contrived :12: example
        engine 640910 None | Quitting: remote-quit.
        engine 12345 Some(Error) | Something without a source: text
        engine 1641421 None | Goodbye
        bare | Players (0):
        bare | 1.5 is a number
        bare |
        "#);
    }

    #[test]
    fn a_pattern_sees_the_line_without_its_time() {
        for (line, text) in [
            ("2019-01-20 10:30:07 [CHAT] User: chat message", "[CHAT] User: chat message"),
            ("   1.277 Script @a.lua:7: Example", "Script @a.lua:7: Example"),
            ("=== Log opened 2026-03-23 16:31:57 ===", "=== Log opened 2026-03-23 16:31:57 ==="),
            ("JLOGGER: DIED: Bob biter", "JLOGGER: DIED: Bob biter"),
        ] {
            assert_eq!(Envelope::parse(line).pattern_text(line), text);
        }
    }
}
