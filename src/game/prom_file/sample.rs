//! One sample of the Prometheus text format: `name{label="value"} 1.5`.

use std::fmt::Write as _;

/// The label that tells the servers apart.
const SERVER: &str = "server";

/// A sample, its labels sorted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) name: String,
    labels: Vec<(String, String)>,
    value: String,
}

impl Sample {
    /// Reads a line; a timestamp behind the value is left out. `None` where it is no sample.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let at = line.find(|c: char| c == '{' || c.is_whitespace())?;
        let (name, rest) = line.split_at(at);
        let (mut labels, rest) = match rest.trim_start().strip_prefix('{') {
            Some(rest) => labels(rest)?,
            None => (Vec::new(), rest),
        };
        let mut words = rest.split_whitespace();
        let value = number(words.next()?)?;
        let timed = words.next().is_none_or(|time| time.parse::<i64>().is_ok());
        labels.sort();
        let twice = labels.windows(2).any(|pair| pair[0].0 == pair[1].0);
        let good = timed && words.next().is_none() && !twice && valid_name(name, true);
        good.then(|| Self { name: name.to_owned(), labels, value })
    }

    /// The value of a label.
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }

    /// Its number.
    pub(super) fn number(&self) -> f64 {
        self.value.parse().unwrap_or(f64::NAN)
    }

    /// What no two samples of a file may share.
    pub(super) fn identity(&self) -> String {
        format!("{}{}", self.name, self.written_labels(None, None))
    }

    /// The series of `family` it belongs to: its labels, but for the one that tells the samples of a series apart.
    pub(super) fn series(&self, family: &str, inner: Option<&str>) -> String {
        format!("{family}{}", self.written_labels(None, inner))
    }

    /// The line as it is shown. A `server` label of the file's own becomes `exported_server`, as Prometheus does it.
    pub(super) fn shown(&self, server: &str) -> String {
        format!("{}{} {}\n", self.name, self.written_labels(Some(server), None), self.value)
    }

    fn written_labels(&self, server: Option<&str>, without: Option<&str>) -> String {
        let mut out = String::from("{");
        if let Some(server) = server {
            write_label(&mut out, SERVER, server);
        }
        for (name, value) in self.labels.iter().filter(|(name, _)| Some(name.as_str()) != without) {
            let exported = server.is_some() && name == SERVER;
            let name = if exported { self.free_name() } else { name.clone() };
            write_label(&mut out, &name, value);
        }
        out.push('}');
        out
    }

    /// `exported_server`, or that again with as many `exported_` before it as it takes to be no label yet.
    fn free_name(&self) -> String {
        let mut name = format!("exported_{SERVER}");
        while self.label(&name).is_some() {
            name.insert_str(0, "exported_");
        }
        name
    }
}

fn write_label(out: &mut String, name: &str, value: &str) {
    let comma = if out.len() > 1 { "," } else { "" };
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    write!(out, "{comma}{name}=\"{value}\"").expect("a String takes all");
}

/// Reads `label="value",…}` and gives the rest of the line.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, behind) = rest.split_once('=')?;
        let name = name.trim();
        let (value, behind) = quoted(behind.trim_start().strip_prefix('"')?)?;
        if !valid_name(name, false) || name.starts_with("__") {
            return None;
        }
        labels.push((name.to_owned(), value));
        rest = behind.trim_start();
        match rest.strip_prefix(',') {
            Some(behind) => rest = behind,
            None if rest.starts_with('}') => {}
            None => return None,
        }
    }
}

/// The text up to the closing quote, and what follows it. An escape that there is not stands for itself.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => unescape(chars.next()?.1, &mut value),
            c => value.push(c),
        }
    }
    None
}

fn unescape(c: char, out: &mut String) {
    match c {
        'n' => out.push('\n'),
        '\\' | '"' => out.push(c),
        c => out.extend(['\\', c]),
    }
}

/// A help text with no escapes but those there are.
pub(super) fn help(text: &str) -> String {
    let (mut plain, mut chars) = (String::new(), text.chars());
    while let Some(c) = chars.next() {
        if c == '\\' {
            unescape(chars.next().unwrap_or('\\'), &mut plain);
        } else {
            plain.push(c);
        }
    }
    plain.replace('\\', "\\\\").replace('\n', "\\n")
}

/// Whether this is the name of a metric, or without colons that of a label.
pub(super) fn valid_name(name: &str, colons: bool) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || (colons && b == b':');
    name.bytes().next().is_some_and(|first| !first.is_ascii_digit()) && name.bytes().all(allowed)
}

/// A number as the text format writes it. Lua writes `inf` and `-nan`.
fn number(word: &str) -> Option<String> {
    let value: f64 = word.parse().ok()?;
    Some(match value {
        value if value.is_nan() => "NaN".to_owned(),
        value if value.is_infinite() => if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
        _ => word.to_owned(),
    })
}
