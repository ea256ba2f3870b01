//! What other programs put around each line of a log: Docker and journald as JSON, compose, syslog and panels as a
//! prefix.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::shape::{after_date, shape};

/// A prefix longer than this is not looked for.
const LONGEST_PREFIX: usize = 160;
/// So many consecutive lines in one wrapper make it the file's.
const LINES_NEEDED: u8 = 3;
/// More wrappers than this at once are no pattern.
const MOST_RUNS: usize = 8;

/// The text that another program puts around every line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Wrapper {
    /// Each line is a JSON object, and this field of it is the game's line.
    Json {
        /// `log` (Docker), `MESSAGE` (journald), ...
        field: String,
        /// The program whose lines count, where the objects name one.
        program: Option<String>,
    },
    /// Each line begins with a prefix of this shape: times and numbers are `#`, months and weekdays `@`, levels `%`.
    Prefix {
        /// As `factorio-1 |` or `@ # # host factorio[#]:`.
        shape: String,
    },
}

/// How one line fits what is known about wrappers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// A line of Factorio as the game writes it.
    Plain,
    /// A line that three of in a row prove this wrapper.
    Candidate(Wrapper),
    /// Perhaps a wrapped line, but of which wrapper cannot be said.
    Unclear,
    /// None of these.
    Other,
}

/// Judges one line.
#[must_use]
pub fn classify(line: &str) -> Fit {
    if shape(line).is_some() {
        return Fit::Plain;
    }
    if line.starts_with('{') {
        return json_fit(line);
    }
    if let Some(prefix) = prefix_of_game_line(line) {
        return Fit::Candidate(Wrapper::Prefix { shape: normalise(prefix.trim_end()) });
    }
    let first = Tokens(line).find(|token| token.trim() != "").map(class).unwrap_or_default();
    let dated = after_date(line).is_some();
    let has_column = line.char_indices().take(LONGEST_PREFIX).any(|(at, c)| c == '|' && line[..at].ends_with(' '));
    if !dated && (first == "#" || first == "@" || has_column) { Fit::Unclear } else { Fit::Other }
}

fn json_fit(line: &str) -> Fit {
    let Some(object) = object(line) else { return Fit::Other };
    let Some((field, text)) = ["log", "MESSAGE", "message", "msg", "line", "text"]
        .into_iter()
        .find_map(|field| Some((field, message(object.get(field)?)?)))
    else {
        return Fit::Other;
    };
    // A file of Docker is of one container, so that any of its lines counts.
    let docker = field == "log" && (object.contains_key("stream") || object.contains_key("time"));
    if docker || shape(text.trim_end()).is_some() {
        Fit::Candidate(Wrapper::Json { field: field.to_owned(), program: program(&object).map(str::to_owned) })
    } else {
        Fit::Unclear
    }
}

fn object(line: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(line.trim_end()).ok()
}

fn program(object: &Map<String, Value>) -> Option<&str> {
    ["SYSLOG_IDENTIFIER", "_COMM"].into_iter().find_map(|key| object.get(key)?.as_str())
}

/// The text of a field. journald writes an array of bytes where a text has control characters.
fn message(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(bytes) => {
            let bytes: Option<Vec<u8>> = bytes.iter().map(|b| u8::try_from(b.as_u64()?).ok()).collect();
            Some(String::from_utf8_lossy(&bytes?).into_owned())
        }
        _ => None,
    }
}

/// What precedes the line of Factorio within `line`.
fn prefix_of_game_line(line: &str) -> Option<&str> {
    let ends_prefix = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b'|' | b']' | b'>');
    let bytes = line.as_bytes();
    for at in 1..bytes.len().min(LONGEST_PREFIX) {
        if ends_prefix(bytes[at - 1]) && shape(&line[at..]).is_some() {
            return Some(&line[..at]);
        }
    }
    None
}

impl Wrapper {
    /// The lines within `line`; `None` where it does not have this wrapper, so that it is not of the game.
    #[must_use]
    pub fn unwrap<'a>(&self, line: &'a str) -> Option<Cow<'a, str>> {
        match self {
            Self::Json { field, program: wanted } => {
                let object = object(line)?;
                if wanted.as_deref() != program(&object) {
                    return None;
                }
                let text = message(object.get(field.as_str())?)?;
                Some(text.trim_end_matches(['\r', '\n']).to_owned().into())
            }
            Self::Prefix { shape } => strip_prefix(shape, line).map(Cow::Borrowed),
        }
    }

    /// A name of the wrapper for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Json { field, .. } if field == "log" => "Docker's json-file format".to_owned(),
            Self::Json { field, .. } if field == "MESSAGE" => "journald's JSON format".to_owned(),
            Self::Json { field, .. } => format!("JSON objects with the line in `{field}`"),
            Self::Prefix { shape } => format!("the prefix `{}`", readable(shape)),
        }
    }
}

/// `@ # # host factorio[#]:` for people: `<time> host factorio[<number>]:`.
fn readable(shape: &str) -> String {
    let mut text = String::new();
    let mut before = "";
    for token in Tokens(shape) {
        let name = match token {
            "#" if before == "[" && text.ends_with('[') && text.len() > 1 => "<number>",
            "#" | "@" => "<time>",
            "%" => "<level>",
            other => other,
        };
        let repeated = name == "<time>" && text.ends_with("<time> ");
        if repeated {
            text.truncate(text.len() - 1);
        } else {
            text.push_str(name);
        }
        before = token;
    }
    text
}

/// What follows a prefix of `shape`, without the one space between them.
fn strip_prefix<'a>(shape: &str, line: &'a str) -> Option<&'a str> {
    let mut tokens = Tokens(line);
    for wanted in Tokens(shape) {
        let token = tokens.next()?;
        if class(token) != wanted {
            return None;
        }
    }
    let rest = tokens.0;
    Some(rest.strip_prefix(' ').unwrap_or(rest))
}

fn normalise(prefix: &str) -> String {
    Tokens(prefix).map(class).collect()
}

/// Splits into words, runs of white space, and single separators.
struct Tokens<'a>(&'a str);

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let first = self.0.chars().next()?;
        let length = if first.is_whitespace() {
            self.0.find(|c: char| !c.is_whitespace())
        } else if is_separator(first) {
            Some(first.len_utf8())
        } else {
            let word = self.0.find(|c: char| c.is_whitespace() || is_separator(c)).unwrap_or(self.0.len());
            // The colon that ends a word is not of it: `INFO:`, `host:`.
            Some(self.0[..word].trim_end_matches(':').len()).filter(|length| *length > 0).or(Some(1))
        };
        let (token, rest) = self.0.split_at(length.unwrap_or(self.0.len()));
        self.0 = rest;
        Some(token)
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, '[' | ']' | '(' | ')' | '<' | '>' | '{' | '}' | '|' | '"' | '\'')
}

/// The kind of a token of a prefix: the token itself, unless it changes from line to line.
fn class(token: &str) -> &str {
    const VARYING: &[u8] = b"0123456789.:,/+-TZ_";
    const NAMES: [&str; 19] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "mon", "tue", "wed", "thu",
        "fri", "sat", "sun",
    ];
    const LEVELS: [&str; 15] = [
        "trace", "debug", "dbg", "info", "inf", "notice", "warn", "wrn", "warning", "error", "err", "fatal",
        "critical", "stdout", "stderr",
    ];
    let any_of = |names: &[&str]| names.iter().any(|name| token.eq_ignore_ascii_case(name));
    if token.starts_with(char::is_whitespace) {
        " "
    } else if token.bytes().any(|b| b.is_ascii_digit()) && token.bytes().all(|b| VARYING.contains(&b)) {
        "#"
    } else if any_of(&NAMES) {
        "@"
    } else if any_of(&LEVELS) {
        "%"
    } else {
        token
    }
}

/// Counts lines in one wrapper that follow each other.
#[derive(Debug, Default)]
pub struct Runs(Vec<(Wrapper, u8)>);

impl Runs {
    /// Counts one line. The wrapper, where this line is the one that proves it.
    pub fn count(&mut self, wrapper: Wrapper) -> Option<Wrapper> {
        let known = self.0.iter().position(|(known, _)| *known == wrapper);
        let index = known.unwrap_or_else(|| {
            if self.0.len() >= MOST_RUNS {
                self.0.clear();
            }
            self.0.push((wrapper, 0));
            self.0.len() - 1
        });
        self.0[index].1 += 1;
        (self.0[index].1 >= LINES_NEEDED).then(|| self.0.swap_remove(index).0)
    }

    /// A line without a wrapper ends all runs.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether no line waits for more of its kind.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHAT: &str = "2026-11-30 10:00:00 [CHAT] Bob: hello";
    const ENGINE: &str = "   0.567 Info AppManager.cpp:287: Saving to _autosave4 (blocking).";

    type Wrap = fn(&str) -> String;

    fn json(text: &str) -> String {
        serde_json::to_string(text).unwrap()
    }

    fn proven(lines: &[String]) -> Option<Wrapper> {
        let mut runs = Runs::default();
        lines.iter().find_map(|line| match classify(line) {
            Fit::Candidate(wrapper) => runs.count(wrapper),
            _ => None,
        })
    }

    #[test]
    fn every_wrapper_met_in_the_wild_is_recognised_and_removed() {
        let wrappers: [(&str, Wrap); 16] = [
            ("Docker's json-file format", |line| {
                format!(r#"{{"log":{},"stream":"stdout","time":"2026-11-30T10:00:00.1Z"}}"#, json(&format!("{line}\n")))
            }),
            ("journald's JSON format", |line| {
                format!(r#"{{"MESSAGE":{},"SYSLOG_IDENTIFIER":"factorio","_PID":"812"}}"#, json(line))
            }),
            ("the prefix `<time>`", |line| format!("2026-11-30T10:00:00.100000000Z {line}")),
            ("the prefix `factorio-1 |`", |line| format!("factorio-1  | {line}")),
            ("the prefix `factorio |`", |line| format!("factorio | {line}")),
            ("the prefix `factorio-1 | <time>`", |line| format!("factorio-1  | 2026-11-30T10:00:00.1Z {line}")),
            ("the prefix `<time> host factorio[<number>]:`", |line| {
                format!("Nov 30 10:00:00 host factorio[812]: {line}")
            }),
            ("the prefix `<time> host start.sh[<number>]:`", |line| {
                format!("Dec  1 10:00:00 host start.sh[812]: {line}")
            }),
            ("the prefix `<time> host factorio[<number>]:`", |line| {
                format!("2026-11-30T10:00:00+0000 host factorio[812]: {line}")
            }),
            ("the prefix `<time> UTC host factorio[<number>]:`", |line| {
                format!("Mon 2026-11-30 10:00:00 UTC host factorio[812]: {line}")
            }),
            ("the prefix `<time> <level> F`", |line| format!("2026-11-30T10:00:00.123456789Z stdout F {line}")),
            ("the prefix `[<time>]`", |line| format!("[10:00:00] {line}")),
            ("the prefix `[<time> <level>]:`", |line| format!("[10:00:00 INFO]: {line}")),
            ("the prefix `<time> |`", |line| format!("10:00:00 | {line}")),
            ("the prefix `<time> [<level>]`", |line| format!("2026-11-30 10:00:00 [INFO] {line}")),
            ("the prefix `[Factorio]`", |line| format!("[Factorio] {line}")),
        ];
        for (name, wrap) in wrappers {
            let lines = [wrap(CHAT), wrap(ENGINE), wrap(CHAT)];
            assert_eq!(proven(&lines[..2]), None, "two lines prove nothing: {name}");
            let wrapper = proven(&lines).unwrap_or_else(|| panic!("{name}: {:?}", classify(&lines[0])));
            assert_eq!(wrapper.describe(), name);
            for text in [CHAT, ENGINE, "  bare: text [with] {all} | kinds", "+ mkdir -p /factorio", ""] {
                assert_eq!(wrapper.unwrap(&wrap(text)).as_deref(), Some(text), "{name}");
            }
        }
    }

    #[test]
    fn lines_of_other_programs_in_the_same_wrapper_do_not_fit() {
        let compose = proven(&vec![format!("factorio-1  | {CHAT}"); 3]).unwrap();
        for other in
            [format!("factorio-2  | {CHAT}"), format!("db-1  | {CHAT}"), "factorio-1 exited with code 0".into()]
        {
            assert_eq!(compose.unwrap(&other), None, "{other}");
        }
        let syslog = proven(&vec![format!("Nov 30 10:00:00 host factorio[812]: {CHAT}"); 3]).unwrap();
        assert_eq!(syslog.unwrap("Nov 30 10:00:00 host systemd[1]: Started Factorio."), None);
        assert_eq!(
            syslog.unwrap("Dec  1 10:00:00 host factorio[9]: x").as_deref(),
            Some("x"),
            "a month and a run later"
        );
        let journal = |program: &str| format!(r#"{{"MESSAGE":"{CHAT}","SYSLOG_IDENTIFIER":"{program}"}}"#);
        let wrapper = proven(&vec![journal("factorio"); 3]).unwrap();
        assert_eq!(wrapper.unwrap(&journal("systemd")), None);
    }

    #[test]
    fn what_the_game_writes_is_in_no_wrapper() {
        for line in [CHAT, ENGINE, "2026-11-30 10:00:00 [CHAT] Bob: 2026-11-30 10:00:00 [CHAT] Eve: hi"] {
            assert_eq!(classify(line), Fit::Plain);
        }
        for line in ["JLOGGER: DIED: Bob biter", "Players (0):", "2026-11-30 10:00:00 [DISCORD] x", "{", ""] {
            assert_eq!(classify(line), Fit::Other, "{line}");
        }
    }

    #[test]
    fn bytes_of_journald_are_text() {
        let bytes: Vec<String> = CHAT.bytes().map(|b| b.to_string()).collect();
        let line = format!(r#"{{"MESSAGE":[{}]}}"#, bytes.join(","));
        assert_eq!(proven(&vec![line.clone(); 3]).unwrap().unwrap(&line).as_deref(), Some(CHAT));
    }

    proptest! {
        #[test]
        fn any_line_is_judged(line in "([0-9:.-]{1,8}|[\\[\\]|{}\" ]|factorio|log|INFO|\\PC){0,30}") {
            if let Fit::Candidate(wrapper) = classify(&line) {
                prop_assert!(wrapper.unwrap(&line).is_some());
            }
        }
    }
}
