//! What a request asks for.

use axum::http::Method;

use super::rate_limit::Bucket;

/// A method and the path below `/api/v10`.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) method: Method,
    segments: Vec<String>,
}

impl Route {
    /// Leaves out `/api/v10`; `None` if the path does not begin with it.
    pub(super) fn of(method: &Method, path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/api/v10/")?;
        let segments = rest.split('/').map(str::to_owned).collect();
        Some(Self { method: method.clone(), segments })
    }

    /// The parts of the path.
    pub(super) fn segments(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// For counts: ids and tokens replaced, as `POST /channels/{id}/messages`.
    pub(super) fn label(&self) -> String {
        let secret = |at: usize| at == 2 && matches!(self.segments[0].as_str(), "webhooks" | "interactions");
        let shown = self.segments.iter().enumerate().map(|(at, segment)| match segment.parse::<u64>() {
            _ if secret(at) => "{token}",
            Ok(_) => "{id}",
            Err(_) => segment,
        });
        format!("{} /{}", self.method, shown.collect::<Vec<_>>().join("/"))
    }

    /// The channel it is about.
    pub(super) fn channel(&self) -> Option<u64> {
        (self.segments.first()? == "channels").then(|| self.segments.get(1)?.parse().ok()).flatten()
    }

    /// `POST /channels/{id}/messages`.
    pub(super) fn creates_message(&self) -> bool {
        self.method == Method::POST && matches!(self.segments()[..], ["channels", _, "messages"])
    }

    /// Channel and message of `PATCH /channels/{id}/messages/{id}`.
    pub(super) fn edited_message(&self) -> Option<(u64, u64)> {
        match self.segments()[..] {
            ["channels", channel, "messages", message] if self.method == Method::PATCH => {
                Some((channel.parse().ok()?, message.parse().ok()?))
            }
            _ => None,
        }
    }

    /// `GET /gateway` and `/gateway/bot`.
    pub(super) fn is_gateway_address(&self) -> bool {
        self.segments[0] == "gateway"
    }

    /// Answers to interactions: the token in the path is the credential, and the global limit does not count them.
    pub(super) fn carries_token(&self) -> bool {
        matches!(self.segments()[..], ["interactions" | "webhooks", _, _, ..])
    }

    /// Whether the bot's token must be shown.
    pub(super) fn needs_authorization(&self) -> bool {
        !self.carries_token() && !matches!(self.segments()[..], ["gateway"])
    }

    /// The bucket it draws from. Creating and editing messages share one; `edits_name` is whether a channel's name or
    /// topic changes.
    pub(super) fn bucket(&self, edits_name: bool) -> Option<Bucket> {
        let channel = self.channel()?;
        match (self.method.as_str(), &self.segments()[2..]) {
            ("POST", ["messages"]) | ("PATCH", ["messages", _]) => Some(Bucket::Messages(channel)),
            ("PUT" | "DELETE", ["messages", _, "reactions", ..]) => Some(Bucket::Reactions(channel)),
            ("PATCH", []) if edits_name => Some(Bucket::ChannelEdits(channel)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_hold_no_ids_and_no_tokens() {
        let label = |method, path| Route::of(&method, path).unwrap().label();
        assert_eq!(label(Method::POST, "/api/v10/channels/12/messages"), "POST /channels/{id}/messages");
        let path = "/api/v10/webhooks/12/secret/messages/@original";
        assert_eq!(label(Method::PATCH, path), "PATCH /webhooks/{id}/{token}/messages/@original");
    }

    #[test]
    fn creation_and_edit_share_a_bucket_per_channel() {
        let bucket = |method, path| Route::of(&method, path).unwrap().bucket(true);
        let created = bucket(Method::POST, "/api/v10/channels/1/messages");
        assert_eq!(created, bucket(Method::PATCH, "/api/v10/channels/1/messages/5"));
        assert_ne!(created, bucket(Method::POST, "/api/v10/channels/2/messages"));
        assert_eq!(bucket(Method::PATCH, "/api/v10/channels/1"), Some(Bucket::ChannelEdits(1)));
        assert_eq!(bucket(Method::GET, "/api/v10/channels/1/messages"), None);
    }

    #[test]
    fn other_versions_of_the_api_are_not_here() {
        assert!(Route::of(&Method::GET, "/api/v9/gateway").is_none());
    }
}
