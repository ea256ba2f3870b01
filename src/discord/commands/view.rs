//! How answers look: an embed, with the game's words in a code block, where nothing is live; long ones as a file.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::delivery::Attachment;
use crate::rcon::refusal;

use super::super::interactions::Message;
use super::texts;

/// Characters of an answer that is still shown in the embed; Discord takes 4096.
const MOST_SHOWN: usize = 3500;
/// Characters of a field; Discord takes 1024.
const MOST_IN_FIELD: usize = 1000;
/// The colours of the embed's edge.
const GREEN: u32 = 0x002e_7d32;
const RED: u32 = 0x00c6_2828;
/// Fields Discord takes.
const MOST_FIELDS: usize = 25;

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Fine,
    Refused,
}

/// An answer to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    title: String,
    /// Our own words, as markdown.
    note: String,
    /// The game's words.
    answer: String,
    fields: Vec<(String, String)>,
    pub(super) tone: Tone,
}

impl Shown {
    /// Our own words.
    pub(super) fn note(title: impl Into<String>, note: impl Into<String>) -> Self {
        let (title, note) = (title.into(), note.into());
        Self { title, note, answer: String::new(), fields: Vec::new(), tone: Tone::Fine }
    }

    /// The game's words as they are; a refusal looks like one.
    pub(super) fn answer(title: impl Into<String>, answer: &str) -> Self {
        let note = if answer.trim().is_empty() { texts::silent() } else { String::new() };
        let tone = if refusal(answer).is_some() { Tone::Refused } else { Tone::Fine };
        Self { answer: answer.trim().to_owned(), tone, ..Self::note(title, note) }
    }

    /// It looks like a refusal where one of the game's answers in it is one.
    pub(super) fn refused_by(self, answers: &[&str]) -> Self {
        let refused = answers.iter().any(|answer| refusal(answer).is_some());
        Self { tone: if refused { Tone::Refused } else { self.tone }, ..self }
    }

    /// A list of our own making: nothing in it is a refusal.
    pub(super) fn list(title: impl Into<String>, lines: &[String]) -> Self {
        Self { answer: lines.join("\n"), ..Self::note(title, "") }
    }

    /// With a value that is shown as it is, as code.
    pub(super) fn field(mut self, name: impl Into<String>, value: &str) -> Self {
        self.fields.push((name.into(), code(value)));
        self
    }

    /// What the audit keeps of it.
    pub(super) fn plain(&self) -> String {
        if self.answer.is_empty() { self.note.clone() } else { self.answer.clone() }
    }

    /// As a message; `place` is the server's name, below.
    pub(super) fn message(&self, place: &str) -> Message {
        let long = self.answer.chars().count() > MOST_SHOWN;
        let block = if self.answer.is_empty() || long { String::new() } else { block(&self.answer) };
        let description = if long { texts::attached() } else { format!("{}{block}", self.note) };
        let colour = if self.tone == Tone::Fine { GREEN } else { RED };
        let mut embed = json!({ "title": self.title, "description": description, "color": colour });
        if !self.fields.is_empty() {
            let field = |(name, value): &(String, String)| json!({ "name": name, "value": value, "inline": true });
            embed["fields"] = self.fields.iter().take(MOST_FIELDS).map(field).collect::<Vec<Value>>().into();
        }
        if !place.is_empty() {
            embed["footer"] = json!({ "text": place });
        }
        let end = self.answer.floor_char_boundary(MOST_IN_FILE);
        let bytes = Bytes::copy_from_slice(&self.answer.as_bytes()[..end]);
        let file = long.then(|| Attachment { filename: "answer.txt".to_owned(), bytes });
        Message { embeds: vec![embed], file, private: self.tone == Tone::Refused, ..Message::default() }
    }
}

/// Bytes of a file: Discord takes 10 MiB.
const MOST_IN_FILE: usize = 8 << 20;

/// A text for the caller alone, as an error or a question.
pub(super) fn private(text: String) -> Message {
    Message { content: text, private: true, ..Message::default() }
}

/// Buttons that confirm or cancel `id`.
pub(super) fn buttons(id: &str) -> Vec<Value> {
    let button = |label: &str, style: u8| json!({ "type": 2, "style": style, "label": label, "custom_id": format!("{}:{id}", label.to_lowercase()) });
    vec![json!({ "type": 1, "components": [button("Confirm", 4), button("Cancel", 2)] })]
}

/// `text` as inline code, of one line: nothing in it is markdown or a mention.
pub(super) fn code(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_IN_FIELD).collect();
    let line = line.replace('`', "ˋ");
    if line.trim().is_empty() { "` `".to_owned() } else { format!("`{line}`") }
}

fn block(text: &str) -> String {
    format!("```\n{}\n```", text.replace('`', "ˋ"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_answer_is_a_file() {
        let message = Shown::answer("Players", &"x".repeat(MOST_SHOWN + 1)).message("Production");
        assert_eq!(message.embeds[0]["description"], texts::attached());
        assert_eq!(message.file.unwrap().bytes.len(), MOST_SHOWN + 1);
        assert!(Shown::answer("Players", &"x".repeat(MOST_SHOWN)).message("").file.is_none());
    }

    proptest! {
        #[test]
        fn nothing_of_the_game_leaves_its_code(text in any::<String>()) {
            let inline = code(&text);
            prop_assert_eq!(inline.matches('`').count(), 2);
            prop_assert!(!inline.contains('\n'));
            let message = Shown::answer("Title", &text).message("");
            let description = message.embeds[0]["description"].as_str().unwrap();
            let ticks = if text.trim().is_empty() { 0 } else { 6 };
            prop_assert!(message.file.is_some() || description.matches('`').count() == ticks, "{}", description);
        }
    }
}
