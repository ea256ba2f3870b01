//! A message as a client sends it: read, then held against Discord's limits.

use bytes::Bytes;
use serde_json::{Value, json};

use super::components;
use super::embeds;
use super::errors::ApiError;
use super::mentions;
use super::model::SimInvocation;

/// Unicode code points of a message.
const MAX_CONTENT: usize = 2000;
/// Characters of a nonce.
const MAX_NONCE: usize = 25;
/// Files of a message.
const MAX_FILES: usize = 10;
/// Bytes of one file.
const MAX_FILE: usize = 10 << 20;
/// Bytes of a request.
pub(super) const MAX_REQUEST: usize = 25 << 20;

/// A file on its way in.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    /// The `n` of the form's `files[n]`.
    pub(super) number: u64,
    pub(super) filename: String,
    pub(super) description: Option<String>,
    pub(super) bytes: Bytes,
}

/// The body of a request: JSON, and files if it came as a form.
#[derive(Debug, Clone, Default)]
pub(super) struct Payload {
    pub(super) json: Value,
    pub(super) files: Vec<Upload>,
}

impl Payload {
    /// The text of a message, if it is one.
    pub(super) fn content(&self) -> &str {
        self.json["content"].as_str().unwrap_or_default()
    }
}

/// A message that keeps the limits.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) content: String,
    pub(super) nonce: Option<Value>,
    pub(super) enforce_nonce: bool,
    pub(super) allowed_mentions: Option<Value>,
    pub(super) flags: u64,
    pub(super) embeds: Value,
    pub(super) components: Value,
    pub(super) reply_to: Option<u64>,
    pub(super) files: Vec<Upload>,
    pub(super) interaction: Option<SimInvocation>,
    pub(super) stickers: Vec<String>,
    pub(super) fields: Value,
}

impl Draft {
    /// A user's plain text.
    pub(super) fn text(content: &str) -> Self {
        Self {
            content: content.to_owned(),
            nonce: None,
            enforce_nonce: false,
            allowed_mentions: None,
            flags: 0,
            embeds: json!([]),
            components: json!([]),
            reply_to: None,
            files: Vec::new(),
            interaction: None,
            stickers: Vec::new(),
            fields: Value::Null,
        }
    }

    /// Reads and checks the body of a message creation.
    pub(super) fn read(payload: Payload) -> Result<Self, ApiError> {
        let json = &payload.json;
        check_attachments(json, &payload.files, &[])?;
        let draft = Self {
            content: content(json)?.unwrap_or_default(),
            nonce: nonce(json)?,
            enforce_nonce: json["enforce_nonce"].as_bool().unwrap_or_default(),
            allowed_mentions: allowed_mentions(json)?,
            flags: json["flags"].as_u64().unwrap_or_default(),
            embeds: array(json, "embeds"),
            components: array(json, "components"),
            reply_to: mentions::snowflake(&json["message_reference"]["message_id"]),
            files: payload.files,
            interaction: None,
            stickers: Vec::new(),
            fields: Value::Null,
        };
        draft.check()?;
        Ok(draft)
    }

    fn check(&self) -> Result<(), ApiError> {
        embeds::check(&self.embeds)?;
        components::check(&self.components, self.flags)?;
        if self.files.len() > MAX_FILES {
            return Err(ApiError::new(400, 30015, "Maximum number of attachments in a message reached (10)"));
        }
        if self.files.iter().any(|file| file.bytes.len() > MAX_FILE) {
            return Err(ApiError::too_large());
        }
        let listed = [&self.embeds, &self.components].iter().any(|list| list.as_array().is_some_and(|l| !l.is_empty()));
        if self.content.trim().is_empty() && self.files.is_empty() && !listed {
            return Err(ApiError::empty_message());
        }
        Ok(())
    }
}

fn array(json: &Value, field: &str) -> Value {
    json.get(field).filter(|list| list.is_array()).cloned().unwrap_or_else(|| json!([]))
}

/// The field `content`, if it is there and fits.
pub(super) fn content(json: &Value) -> Result<Option<String>, ApiError> {
    match &json["content"] {
        Value::Null => Ok(None),
        Value::String(text) if text.chars().count() > MAX_CONTENT => Err(ApiError::too_long("content", MAX_CONTENT)),
        Value::String(text) => Ok(Some(text.clone())),
        _ => Err(ApiError::invalid_form("content", "STRING_TYPE_CONVERT", "Could not interpret as string.")),
    }
}

/// The field `allowed_mentions`, if it is there and does not contradict itself.
pub(super) fn allowed_mentions(json: &Value) -> Result<Option<Value>, ApiError> {
    let allowed = json.get("allowed_mentions").filter(|allowed| !allowed.is_null());
    allowed.map(|allowed| mentions::validate(allowed).map(|()| allowed.clone())).transpose()
}

fn nonce(json: &Value) -> Result<Option<Value>, ApiError> {
    match &json["nonce"] {
        Value::Null => Ok(None),
        Value::String(nonce) if nonce.chars().count() > MAX_NONCE => Err(ApiError::too_long("nonce", MAX_NONCE)),
        nonce if nonce.is_string() || nonce.is_i64() || nonce.is_u64() => Ok(Some(nonce.clone())),
        _ => Err(ApiError::invalid_form("nonce", "NONCE_TYPE_INVALID", "Nonce must be a string or an integer.")),
    }
}

/// Checks what an edit of a message changes; `kept` are the ids of the message's files.
pub(super) fn check_edit(payload: &Payload, kept: &[u64]) -> Result<(), ApiError> {
    embeds::check(&payload.json["embeds"])?;
    components::check(&payload.json["components"], payload.json["flags"].as_u64().unwrap_or_default())?;
    check_attachments(&payload.json, &payload.files, kept)
}

/// Each entry of `attachments` names a file of the form, or one that the message has.
fn check_attachments(json: &Value, files: &[Upload], kept: &[u64]) -> Result<(), ApiError> {
    for entry in json["attachments"].as_array().into_iter().flatten() {
        let id = mentions::snowflake(&entry["id"]);
        let uploaded = files.iter().map(|file| file.number).chain(kept.iter().copied());
        if id.is_none() || !uploaded.map(Some).any(|known| known == id) {
            return Err(ApiError::new(400, 50146, "Uploaded file not found."));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: Value) -> Result<Draft, ApiError> {
        Draft::read(Payload { json, files: Vec::new() })
    }

    #[test]
    fn two_thousand_code_points_fit_whatever_their_bytes() {
        assert!(read(json!({ "content": "🚂".repeat(2000) })).is_ok());
        let refused = read(json!({ "content": "🚂".repeat(2001) })).unwrap_err();
        assert_eq!((refused.status, refused.code), (400, 50035));
        assert_eq!(refused.body()["errors"]["content"]["_errors"][0]["code"], "BASE_TYPE_MAX_LENGTH");
    }

    #[test]
    fn blank_message_is_empty() {
        assert_eq!(read(json!({ "content": " \n" })).unwrap_err().code, 50006);
        assert_eq!(read(json!({})).unwrap_err().code, 50006);
    }

    #[test]
    fn nonce_has_at_most_twenty_five_characters() {
        assert!(read(json!({ "content": "a", "nonce": "n".repeat(25) })).is_ok());
        assert!(read(json!({ "content": "a", "nonce": -5 })).is_ok());
        assert_eq!(read(json!({ "content": "a", "nonce": "n".repeat(26) })).unwrap_err().code, 50035);
    }

    #[test]
    fn attachment_without_its_file_is_refused() {
        let file = Upload { number: 1, filename: "a.txt".into(), description: None, bytes: vec![0].into() };
        let read = |id: u64| {
            let json = json!({ "attachments": [{ "id": id, "filename": "a.txt" }] });
            Draft::read(Payload { json, files: vec![file.clone()] }).map(|_| ())
        };
        assert_eq!(read(1), Ok(()));
        assert_eq!(read(0).unwrap_err().code, 50146);
    }

    #[test]
    fn file_over_ten_mebibytes_is_refused() {
        let upload = |size: usize| Upload {
            number: 0,
            filename: "a.txt".into(),
            description: None,
            bytes: vec![0; size].into(),
        };
        let read = |size| Draft::read(Payload { json: json!({}), files: vec![upload(size)] });
        assert!(read(MAX_FILE).is_ok());
        assert_eq!(read(MAX_FILE + 1).unwrap_err().code, 40005);
    }
}
