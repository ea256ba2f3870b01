//! Refusals as Discord words them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An error answer of the API: a status and a JSON body with Discord's own code and message.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// Discord's error code; 0 is "general".
    pub code: u32,
    /// Discord's words.
    pub message: String,
    /// The tree of field errors that comes with code 50035.
    pub errors: Option<Value>,
}

impl ApiError {
    /// An error with any status, code and message.
    pub fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), errors: None }
    }

    /// 401, the token is refused.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(401, 0, "401: Unauthorized")
    }

    /// 403 50001, the bot may not see the channel.
    #[must_use]
    pub fn missing_access() -> Self {
        Self::new(403, 50001, "Missing Access")
    }

    /// 403 50013, the bot may see but not do it.
    #[must_use]
    pub fn missing_permissions() -> Self {
        Self::new(403, 50013, "Missing Permissions")
    }

    /// 404 10003.
    #[must_use]
    pub fn unknown_channel() -> Self {
        Self::new(404, 10003, "Unknown Channel")
    }

    /// 404 10008.
    #[must_use]
    pub fn unknown_message() -> Self {
        Self::new(404, 10008, "Unknown Message")
    }

    /// 404 with code 0: no such route.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(404, 0, "404: Not Found")
    }

    /// 400 50006, nothing in the message.
    #[must_use]
    pub fn empty_message() -> Self {
        Self::new(400, 50006, "Cannot send an empty message")
    }

    /// 400 200000, the server's word filter.
    #[must_use]
    pub fn automod() -> Self {
        Self::new(400, 200_000, "Message was blocked by automatic moderation")
    }

    /// 400 50109.
    #[must_use]
    pub fn invalid_json() -> Self {
        Self::new(400, 50109, "The request body contains invalid JSON.")
    }

    /// 413 40005, a file over 10 MiB or a request over 25 MiB.
    #[must_use]
    pub fn too_large() -> Self {
        Self::new(413, 40005, "Request entity too large")
    }

    /// 400 50035 with one field error. `path` names nested fields and indices, as `embeds.0.title`.
    #[must_use]
    pub fn invalid_form(path: &str, code: &str, message: &str) -> Self {
        let leaf = json!({ "_errors": [{ "code": code, "message": message }] });
        let errors = path.rsplit('.').fold(leaf, |inner, field| json!({ field: inner }));
        Self { errors: Some(errors), ..Self::new(400, 50035, "Invalid Form Body") }
    }

    /// 400 50035: a field is missing.
    #[must_use]
    pub fn required(path: &str) -> Self {
        Self::invalid_form(path, "BASE_TYPE_REQUIRED", "This field is required")
    }

    /// 400 50035: a field has more than `most` characters or items.
    #[must_use]
    pub fn too_long(path: &str, most: usize) -> Self {
        Self::invalid_form(path, "BASE_TYPE_MAX_LENGTH", &format!("Must be {most} or fewer in length."))
    }

    /// 400 50035: a field does not have 1 to `most` characters or items.
    #[must_use]
    pub fn bad_length(path: &str, most: usize) -> Self {
        Self::invalid_form(path, "BASE_TYPE_BAD_LENGTH", &format!("Must be between 1 and {most} in length."))
    }

    /// Where the first field error is, as `embeds.0.title`.
    #[cfg(test)]
    pub(super) fn field_path(&self) -> String {
        let mut fields = Vec::new();
        let mut at = self.errors.as_ref().and_then(Value::as_object);
        while let Some((field, inner)) =
            at.and_then(|object| object.iter().next()).filter(|(field, _)| *field != "_errors")
        {
            fields.push(field.as_str());
            at = inner.as_object();
        }
        fields.join(".")
    }

    /// A server error: 500, 502, 503 and the like.
    #[must_use]
    pub fn server(status: u16) -> Self {
        let reason = StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason()).unwrap_or("Error");
        Self::new(status, 0, format!("{status}: {reason}"))
    }

    /// The JSON body.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut body = json!({ "message": self.message, "code": self.code });
        if let Some(errors) = &self.errors {
            body["errors"] = errors.clone();
        }
        body
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self.body())).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_errors_nest_by_name_and_index() {
        let body = ApiError::too_long("embeds.0.title", 256).body();
        assert_eq!(body["errors"]["embeds"]["0"]["title"]["_errors"][0]["code"], "BASE_TYPE_MAX_LENGTH");
    }
}
