//! Answers to interactions: the first answer, for which Discord waits 3 s, and those that follow.

use std::future::Future;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::config::settings::DiscordSettings;
use crate::delivery::Attachment;
use crate::health::Component;
use crate::telemetry::metrics::{ErrorType, count_error};

use super::error_class::answered_retry_after;
use super::rest::{Answer, Rest, Unanswered};

/// Flag EPHEMERAL: only the caller sees it.
const EPHEMERAL: u64 = 64;

/// Discord's code for a second answer to an interaction.
const ALREADY_ACKNOWLEDGED: u64 = 40060;
/// How long the first answer may take: Discord waits 3 s for it, and a second try must fit in.
const FIRST_ANSWER_PATIENCE: Duration = Duration::from_secs(1);
/// The same for an answer with a file.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(10);
/// The waits before a request is made again.
const WAITS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];
/// The longest that Discord is believed to want us to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What an interaction is answered with. Its token is a secret for 15 minutes: `Debug` hides it.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: u64,
    pub(super) application: u64,
    pub(super) token: String,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What is said: embeds and components as Discord takes them, and a text file where the answer is long.
#[derive(Debug, Clone, Default)]
pub(super) struct Message {
    pub(super) content: String,
    pub(super) embeds: Vec<Value>,
    pub(super) components: Vec<Value>,
    pub(super) file: Option<Attachment>,
    /// What stands for the file where it cannot be seen; empty where it is a text.
    pub(super) alt: String,
    /// Whether only the caller sees it.
    pub(super) private: bool,
}

impl Message {
    fn json(&self) -> Value {
        let mut json = json!({
            "content": self.content,
            "embeds": self.embeds,
            "components": self.components,
            "allowed_mentions": { "parse": [] },
            "flags": if self.private { EPHEMERAL } else { 0 },
        });
        if let Some(file) = self.file.as_ref().filter(|_| !self.alt.is_empty()) {
            json["attachments"] = json!([{ "id": 0, "filename": file.filename, "description": self.alt }]);
        }
        json
    }

    /// As an edit: flags are fixed from the first answer on.
    fn edit(&self) -> Value {
        let mut json = self.json();
        if let Some(fields) = json.as_object_mut() {
            fields.remove("flags");
        }
        json
    }
}

/// Answers interactions. Failures are logged and counted: nobody could do more about them.
#[derive(Debug)]
pub(super) struct Interactions {
    rest: Rest,
}

impl Interactions {
    pub(super) fn new(settings: &DiscordSettings) -> anyhow::Result<Self> {
        Ok(Self { rest: Rest::new(settings)? })
    }

    pub(super) fn rest(&self) -> &Rest {
        &self.rest
    }

    /// The answer, at once.
    pub(super) async fn answer(&self, key: &Key, message: &Message) {
        self.callback(key, 4, message.json(), message.file.as_ref()).await;
    }

    /// "thinks", for everybody to see, or for the caller alone where it is `private`: the answer follows by
    /// [`Self::settle`], or by [`Self::edit`] where it is private already.
    pub(super) async fn defer(&self, key: &Key, private: bool) {
        self.callback(key, 5, json!({ "flags": if private { EPHEMERAL } else { 0 } }), None).await;
    }

    /// The answer that was deferred.
    ///
    /// Discord fixes with the deferral who sees the answer, and the first message after it takes its place. So where
    /// only the caller shall see the answer, the deferral is deleted, and the answer follows as a message of its own.
    pub(super) async fn settle(&self, key: &Key, message: &Message) {
        if !message.private {
            return self.edit(key, message).await;
        }
        let original = original(key);
        // Where this fails, everybody reads the answer: better than that nobody does.
        insist(Repeat::Freely, || self.rest.delete(&original)).await;
        let (path, json) = (format!("/webhooks/{}/{}", key.application, key.token), message.json());
        insist(Repeat::Unheard, || self.rest.post(&path, &json, message.file.as_ref())).await;
    }

    /// Changes the message whose button was pressed.
    pub(super) async fn update(&self, key: &Key, message: &Message) {
        self.callback(key, 7, message.edit(), message.file.as_ref()).await;
    }

    /// What may be chosen for the option being typed: names that are their own values.
    pub(super) async fn suggest(&self, key: &Key, names: &[String]) {
        let choices: Vec<Value> = names.iter().map(|name| json!({ "name": name, "value": name })).collect();
        self.callback(key, 8, json!({ "choices": choices }), None).await;
    }

    /// Replaces the first answer.
    pub(super) async fn edit(&self, key: &Key, message: &Message) {
        let (path, json) = (original(key), message.edit());
        insist(Repeat::Freely, || self.rest.patch(&path, &json, message.file.as_ref())).await;
    }

    /// The first answer, once more where it failed: Discord takes one, and says of a second that it has one (40060).
    async fn callback(&self, key: &Key, kind: u8, data: Value, file: Option<&Attachment>) {
        let path = format!("/interactions/{}/{}/callback", key.id, key.token);
        let payload = json!({ "type": kind, "data": data });
        let post = || self.rest.post(&path, &payload, file);
        // A file may take long on its way; a few words do not.
        let patience = if file.is_some() { UPLOAD_PATIENCE } else { FIRST_ANSWER_PATIENCE };
        match timeout(patience, post()).await {
            Ok(Ok(answer)) if !answer.status.is_server_error() => return note(Ok(answer)),
            Ok(Ok(answer)) => {
                debug!(status = answer.status.as_u16(), "First answer to a slash command failed; repeating");
            }
            Ok(Err(error)) => debug!(%error, "First answer to a slash command failed; repeating"),
            Err(_) => debug!("First answer to a slash command takes long; repeating"),
        }
        match post().await {
            Ok(answer) if is_acknowledged(&answer) => {}
            answer => note(answer),
        }
    }
}

/// Whether Discord has an answer to this interaction already.
fn is_acknowledged(answer: &Answer) -> bool {
    answer.json::<Value>().is_some_and(|body| body["code"] == ALREADY_ACKNOWLEDGED)
}

fn original(key: &Key) -> String {
    format!("/webhooks/{}/{}/messages/@original", key.application, key.token)
}

/// Which requests may be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// Those that change nothing when they are repeated.
    Freely,
    /// Those that Discord did certainly not carry out.
    Unheard,
}

/// Makes a request, and again where Discord is busy or away: nobody waits 3 s for it any more, but somebody waits.
async fn insist<R: Future<Output = Result<Answer, Unanswered>>>(repeat: Repeat, request: impl Fn() -> R) {
    for wait in WAITS {
        let answer = request().await;
        let Some(wait) = wait_before_repeating(&answer, repeat, wait) else { return note(answer) };
        sleep(wait).await;
    }
    note(request().await);
}

fn wait_before_repeating(answer: &Result<Answer, Unanswered>, repeat: Repeat, wait: Duration) -> Option<Duration> {
    let freely = repeat == Repeat::Freely;
    match answer {
        Ok(answer) if answer.status == StatusCode::TOO_MANY_REQUESTS => {
            Some(answered_retry_after(&answer.headers, &answer.body).unwrap_or(wait).min(LONGEST_WAIT))
        }
        Ok(answer) => (freely && answer.status.is_server_error()).then_some(wait),
        Err(error) => (freely || !error.uncertain()).then_some(wait),
    }
}

fn note(answer: Result<Answer, Unanswered>) {
    let kind = match answer {
        Ok(answer) if answer.status.is_success() => return,
        Ok(answer) => {
            let code = answer.json::<Value>().and_then(|body| body["code"].as_u64());
            warn!(status = answer.status.as_u16(), code, "Discord refuses the answer to a slash command");
            if answer.status.is_server_error() { ErrorType::ServerError } else { ErrorType::Payload }
        }
        Err(error) => {
            debug!(%error, "The answer to a slash command may not have arrived");
            ErrorType::Network
        }
    };
    count_error(Component::Discord.as_str(), kind);
}
