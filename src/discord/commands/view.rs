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
/// Characters of all fields: Discord takes 6000 of all texts of an embed.
const MOST_IN_FIELDS: usize = 2000;
/// Characters of a message's text.
const MOST_CONTENT: usize = 2000;

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
    /// What it is about, where that is not the server of the call.
    place: String,
    /// Who gave the command, where everybody is to know.
    by: String,
    picture: Option<Picture>,
    pub(super) tone: Tone,
}

/// A PNG that goes with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) filename: String,
    pub(super) bytes: Bytes,
    /// What stands for it where it cannot be seen.
    pub(super) alt: String,
}

impl Shown {
    /// Our own words.
    pub(super) fn note(title: impl Into<String>, note: impl Into<String>) -> Self {
        let (title, note) = (title.into(), note.into());
        let (answer, fields, place) = (String::new(), Vec::new(), String::new());
        Self { title, note, answer, fields, place, by: String::new(), picture: None, tone: Tone::Fine }
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

    /// A picture below a heading.
    pub(super) fn picture(title: impl Into<String>, picture: Picture) -> Self {
        Self { picture: Some(picture), ..Self::note(title, "") }
    }

    /// With a value that is shown as it is, as code. The name is ours.
    pub(super) fn field(mut self, name: impl Into<String>, value: &str) -> Self {
        self.fields.push((name.into(), value.to_owned()));
        self
    }

    /// Says below what it is about.
    pub(super) fn at(self, place: String) -> Self {
        Self { place, ..self }
    }

    /// Says below who gave the command.
    pub(super) fn by(self, name: &str) -> Self {
        let name: String = name.chars().filter(|c| !c.is_control()).collect();
        Self { by: format!("by {name}"), ..self }
    }

    /// What the audit keeps of it.
    pub(super) fn plain(&self) -> String {
        let answer = self.answer_with(&self.fields);
        if answer.is_empty() { self.note.clone() } else { answer }
    }

    /// The game's words, with values that are not shown as fields behind them.
    fn answer_with(&self, fields: &[(String, String)]) -> String {
        let lines = fields.iter().map(|(name, value)| format!("{name}: {value}"));
        let answer = Some(self.answer.clone()).filter(|answer| !answer.is_empty());
        answer.into_iter().chain(lines).collect::<Vec<_>>().join("\n")
    }

    /// The values as fields, where Discord takes so many and so long ones.
    fn fields(&self) -> Option<Vec<Value>> {
        let shown = |(name, value): &(String, String)| json!({ "name": name, "value": code(value), "inline": true });
        let lengths = || self.fields.iter().map(|(_, value)| value.chars().count());
        let fits = lengths().all(|length| length <= MOST_IN_FIELD) && lengths().sum::<usize>() <= MOST_IN_FIELDS;
        (fits && (1..=MOST_FIELDS).contains(&self.fields.len())).then(|| self.fields.iter().map(shown).collect())
    }

    /// As a message; `place` is the server's name, below.
    pub(super) fn message(&self, place: &str) -> Message {
        let fields = self.fields();
        let answer = self.answer_with(if fields.is_some() { &[] } else { &self.fields });
        let long = answer.chars().count() > MOST_SHOWN;
        let block = if answer.is_empty() || long { String::new() } else { block(&answer) };
        let description = if long { texts::attached() } else { format!("{}{block}", self.note) };
        let colour = if self.tone == Tone::Fine { GREEN } else { RED };
        let mut embed = json!({ "title": self.title, "description": description, "color": colour });
        if let Some(fields) = fields {
            embed["fields"] = fields.into();
        }
        let place = if self.place.is_empty() { place } else { &self.place };
        let by = if self.tone == Tone::Fine { self.by.as_str() } else { "" };
        let footer: Vec<&str> = [place, by].into_iter().filter(|part| !part.is_empty()).collect();
        if !footer.is_empty() {
            embed["footer"] = json!({ "text": footer.join(" · ") });
        }
        let end = answer.floor_char_boundary(MOST_IN_FILE);
        let bytes = Bytes::copy_from_slice(&answer.as_bytes()[..end]);
        let mut file = long.then(|| Attachment { filename: "answer.txt".to_owned(), bytes });
        let mut alt = String::new();
        if let Some(picture) = &self.picture {
            embed["image"] = json!({ "url": format!("attachment://{}", picture.filename) });
            file = Some(Attachment { filename: picture.filename.clone(), bytes: picture.bytes.clone() });
            alt.clone_from(&picture.alt);
        }
        Message { embeds: vec![embed], file, alt, private: self.tone == Tone::Refused, ..Message::default() }
    }
}

/// Bytes of a file: Discord takes 10 MiB.
const MOST_IN_FILE: usize = 8 << 20;

/// A text for the caller alone, as an error or a question.
pub(super) fn private(text: String) -> Message {
    let content = match text.char_indices().nth(MOST_CONTENT) {
        None => text,
        Some(_) => text.chars().take(MOST_CONTENT - 1).chain(['…']).collect(),
    };
    Message { content, private: true, ..Message::default() }
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
    fn no_text_is_longer_than_discord_takes() {
        let content = private("ä".repeat(MOST_CONTENT + 1)).content;
        assert_eq!(content.chars().count(), MOST_CONTENT);
        assert!(content.ends_with('…'));
    }

    #[test]
    fn more_values_than_discord_takes_are_a_list() {
        let of = |count: usize| {
            (0..count).fold(Shown::note("Evolution", ""), |shown, n| shown.field(format!("No. {n}"), "x"))
        };
        assert_eq!(of(MOST_FIELDS).message("").embeds[0]["fields"].as_array().unwrap().len(), MOST_FIELDS);
        let embed = of(MOST_FIELDS + 1).message("").embeds.remove(0);
        assert!(embed.get("fields").is_none(), "{embed}");
        assert!(embed["description"].as_str().unwrap().contains("No. 25: x"), "{embed}");
        let long =
            (0..20).fold(Shown::note("Status", ""), |shown, n| shown.field(format!("No. {n}"), &"x".repeat(400)));
        assert!(long.message("").file.is_some(), "longer than all of an embed may be");
    }

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
