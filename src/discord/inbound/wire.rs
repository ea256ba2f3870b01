//! A message as Discord's JSON has it, as far as a game can show it. A field of an unknown shape counts as absent: one
//! new kind of attachment must not cost the message.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Flag: the application that answers a slash command is still thinking.
const LOADING: u64 = 1 << 7;

/// A number that JSON carries as a string.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Id(pub(super) u64);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let id = value.as_str().and_then(|text| text.parse().ok()).or_else(|| value.as_u64());
        id.map(Self).ok_or_else(|| serde::de::Error::custom("not an id"))
    }
}

fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).unwrap_or_default())
}

/// A list without the elements that cannot be read.
fn list<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let Value::Array(elements) = Value::deserialize(deserializer)? else { return Ok(Vec::new()) };
    Ok(elements.into_iter().filter_map(|element| serde_json::from_value(element).ok()).collect())
}

/// `MESSAGE_CREATE`, `MESSAGE_UPDATE`, an element of `GET messages`, a quoted message or a forwarded one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireMessage {
    #[serde(deserialize_with = "lenient")]
    pub(super) id: Id,
    #[serde(deserialize_with = "lenient")]
    pub(super) channel_id: Id,
    #[serde(deserialize_with = "lenient")]
    pub(super) guild_id: Option<Id>,
    /// Absent = 0, a plain message.
    #[serde(rename = "type", deserialize_with = "lenient")]
    pub(super) kind: Option<u8>,
    #[serde(deserialize_with = "lenient")]
    pub(super) flags: u64,
    #[serde(deserialize_with = "lenient")]
    pub(super) author: Option<WireUser>,
    #[serde(deserialize_with = "lenient")]
    pub(super) member: Option<WireMember>,
    #[serde(deserialize_with = "lenient")]
    pub(super) webhook_id: Option<Id>,
    #[serde(deserialize_with = "lenient")]
    pub(super) application_id: Option<Id>,
    #[serde(deserialize_with = "lenient")]
    pub(super) content: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) edited_timestamp: Option<String>,
    #[serde(deserialize_with = "list")]
    pub(super) mentions: Vec<WireUser>,
    #[serde(deserialize_with = "list")]
    pub(super) attachments: Vec<WireFile>,
    #[serde(deserialize_with = "list")]
    pub(super) sticker_items: Vec<WireSticker>,
    #[serde(deserialize_with = "list")]
    pub(super) embeds: Vec<WireEmbed>,
    #[serde(deserialize_with = "list")]
    pub(super) components: Vec<WireComponent>,
    #[serde(deserialize_with = "lenient")]
    pub(super) poll: Option<WirePoll>,
    #[serde(deserialize_with = "list")]
    pub(super) message_snapshots: Vec<WireSnapshot>,
    #[serde(deserialize_with = "lenient")]
    pub(super) referenced_message: Option<Box<WireMessage>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct WireUser {
    pub(super) id: Id,
    #[serde(default)]
    username: String,
    #[serde(default, deserialize_with = "lenient")]
    global_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) bot: bool,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) system: bool,
    /// Only in the mentions of a gateway event.
    #[serde(default, deserialize_with = "lenient")]
    member: Option<WireMember>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireMember {
    #[serde(deserialize_with = "lenient")]
    pub(super) nick: Option<String>,
    /// `None` where they are not listed or cannot be read.
    #[serde(deserialize_with = "lenient")]
    pub(super) roles: Option<Vec<Id>>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct WireFile {
    pub(super) filename: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct WireSticker {
    pub(super) name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireEmbed {
    #[serde(rename = "type", deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) title: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) description: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) author: Option<Named>,
    #[serde(deserialize_with = "list")]
    pub(super) fields: Vec<WireField>,
    #[serde(deserialize_with = "lenient")]
    pub(super) image: Option<Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Named {
    #[serde(deserialize_with = "lenient")]
    pub(super) name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireField {
    #[serde(deserialize_with = "lenient")]
    pub(super) name: String,
    #[serde(deserialize_with = "lenient")]
    pub(super) value: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct WirePoll {
    #[serde(deserialize_with = "lenient")]
    pub(super) question: PollMedia,
    #[serde(deserialize_with = "list")]
    pub(super) answers: Vec<PollAnswer>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct PollMedia {
    #[serde(deserialize_with = "lenient")]
    pub(super) text: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct PollAnswer {
    #[serde(deserialize_with = "lenient")]
    pub(super) poll_media: PollMedia,
}

/// `{"message": {…}}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum WireSnapshot {
    Wrapped {
        message: Box<WireMessage>,
    },
    /// As serenity writes it.
    Bare(Box<WireMessage>),
}

/// Components with text, of Components V2: the others are buttons and menus.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireComponent {
    #[serde(rename = "type", deserialize_with = "lenient")]
    kind: u8,
    #[serde(deserialize_with = "lenient")]
    content: Option<String>,
    #[serde(deserialize_with = "list")]
    components: Vec<WireComponent>,
    #[serde(deserialize_with = "list")]
    items: Vec<WireGalleryItem>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct WireGalleryItem {
    #[serde(deserialize_with = "lenient")]
    description: Option<String>,
}

impl WireMessage {
    /// `None` where it is no message at all.
    pub(super) fn read(json: &Value) -> Option<Self> {
        Self::deserialize(json).ok().filter(|message| message.id.0 > 0 && message.channel_id.0 > 0)
    }

    /// Whether an application only announces an answer here.
    pub(super) fn is_loading(&self) -> bool {
        self.flags & LOADING != 0
    }

    /// The display names of the users it mentions.
    pub(super) fn mentioned_names(&self) -> BTreeMap<u64, String> {
        self.mentions.iter().map(|user| (user.id.0, user.display_name())).collect()
    }
}

impl WireUser {
    /// The nickname where it is known, the account's display name otherwise.
    pub(super) fn display_name(&self) -> String {
        let nick = self.member.as_ref().and_then(|member| member.nick.clone());
        nick.or_else(|| self.global_name.clone()).unwrap_or_else(|| self.username.clone())
    }
}

impl WireSnapshot {
    pub(super) fn message(&self) -> &WireMessage {
        match self {
            Self::Wrapped { message } | Self::Bare(message) => message,
        }
    }
}

impl WireEmbed {
    /// Whether its author composed it; the others are previews that Discord makes of links in the text.
    pub(super) fn is_composed(&self) -> bool {
        self.kind.as_deref().is_none_or(|kind| kind == "rich")
    }

    pub(super) fn is_poll_result(&self) -> bool {
        self.kind.as_deref() == Some("poll_result")
    }
}

impl WireComponent {
    const SECTION: u8 = 9;
    const TEXT: u8 = 10;
    const GALLERY: u8 = 12;
    const CONTAINER: u8 = 17;
    /// Containers hold sections, sections hold texts.
    const MAX_DEPTH: usize = 4;

    /// The texts in it, in their order.
    pub(super) fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        self.collect_texts(&mut texts, Self::MAX_DEPTH);
        texts
    }

    fn collect_texts(&self, texts: &mut Vec<String>, depth: usize) {
        match self.kind {
            Self::TEXT => texts.extend(self.content.clone()),
            Self::GALLERY => {
                texts.extend(self.items.iter().map(|item| item.description.clone().unwrap_or("(image)".to_owned())));
            }
            Self::SECTION | Self::CONTAINER if depth > 0 => {
                self.components.iter().for_each(|component| component.collect_texts(texts, depth - 1));
            }
            _ => {}
        }
    }
}
