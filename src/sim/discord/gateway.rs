//! The gateway: one task per WebSocket. JSON only, no compression.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::faults::Upgrade;
use super::hub::Hub;
use super::model::Change;
use super::objects;
use super::routes;
use super::server::Peer;
use super::sessions::{Command, GUILDS, MESSAGE_CONTENT, SOCKET_QUEUE, Socket};
use super::state::SimState;

/// How long a client may take to answer a close frame.
const GOODBYE: Duration = Duration::from_secs(1);

/// Turns `GET /gateway` into a gateway connection.
pub(super) async fn connect(
    State(hub): State<Arc<Hub>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let fault = hub.read(|state| state.gateway_faults.upgrade);
    if fault != Upgrade::Accept {
        hub.change(|state| state.counts.upgrades_refused += 1);
    }
    match fault {
        Upgrade::Accept => match upgrade {
            Ok(upgrade) => upgrade.on_upgrade(move |web_socket| serve(web_socket, hub, peer)),
            Err(rejection) => rejection.into_response(),
        },
        Upgrade::Refuse(status) => StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY).into_response(),
        Upgrade::Stall => std::future::pending().await,
    }
}

async fn serve(mut web_socket: WebSocket, hub: Arc<Hub>, peer: Peer) {
    let (queue, commands) = mpsc::channel(SOCKET_QUEUE);
    let socket = Socket { queue, peer };
    let id = hub.change(|state| state.sessions.open(socket.clone()));
    let hello = json!({ "heartbeat_interval": hub.heartbeat_interval.as_millis() });
    socket.order(frame(10, &hello));
    let mut connection = Connection { hub: Arc::clone(&hub), socket, id, session: None };
    let ended = connection.run(&mut web_socket, commands).await;
    hub.change(|state| {
        state.sessions.close(id, ended);
        state.tell(Change::Status);
    });
}

fn frame(op: u8, data: &Value) -> Command {
    Command::Send(json!({ "op": op, "d": data, "s": null, "t": null }).to_string())
}

struct Connection {
    hub: Arc<Hub>,
    socket: Socket,
    id: u64,
    session: Option<String>,
}

impl Connection {
    /// Until one side ends it. `true` if the client closed with 1000 or 1001, which ends its session.
    async fn run(&mut self, web_socket: &mut WebSocket, mut commands: mpsc::Receiver<Command>) -> bool {
        loop {
            tokio::select! {
                received = web_socket.recv() => match received {
                    Some(Ok(Message::Text(text))) => self.receive(text.as_str()),
                    Some(Ok(Message::Close(close))) => {
                        return close.is_none_or(|close| matches!(close.code, 1000 | 1001));
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return false,
                },
                command = commands.recv() => match command {
                    Some(Command::Send(text)) => if web_socket.send(Message::Text(text.into())).await.is_err() {
                        return false;
                    },
                    Some(Command::Close(code)) => return close(web_socket, code).await,
                    None => return false,
                },
            }
        }
    }

    fn receive(&mut self, text: &str) {
        let Ok(payload) = serde_json::from_str::<Value>(text) else {
            return self.socket.order(Command::Close(Some(4002)));
        };
        let data = &payload["d"];
        match payload["op"].as_u64() {
            Some(1) => self.heartbeat(),
            Some(2) => self.identify(data),
            Some(6) => self.resume(data),
            Some(_) if self.session.is_none() => self.socket.order(Command::Close(Some(4003))),
            Some(3) => self.hub.change(|state| {
                state.presence = data.clone();
                state.counts.presences += 1;
                state.tell(Change::Status);
            }),
            Some(4 | 8) => {}
            _ => self.socket.order(Command::Close(Some(4001))),
        }
    }

    fn heartbeat(&self) {
        let acknowledge = self.hub.change(|state| {
            state.counts.heartbeats += 1;
            state.gateway_faults.acknowledge
        });
        if acknowledge {
            self.socket.order(frame(11, &Value::Null));
        }
    }

    fn identify(&mut self, data: &Value) {
        let known = self.hub.knows(data["token"].as_str().unwrap_or_default());
        let rejected = self.hub.read(|state| {
            let asks = data["intents"].as_u64().is_some_and(|intents| intents & MESSAGE_CONTENT != 0);
            let faults = &state.gateway_faults;
            faults.reject_identify.or((faults.content_off && asks).then_some(4014))
        });
        let refusal = match rejected {
            _ if self.session.is_some() => Some(4005),
            _ if !known => Some(4004),
            rejected => rejected,
        };
        if let Some(code) = refusal {
            return self.socket.order(Command::Close(Some(code)));
        }
        let (id, intents) = (self.id, data["intents"].as_u64().unwrap_or_default());
        self.session = Some(self.hub.change(|state| begin(state, id, intents, &data["shard"])));
    }

    fn resume(&mut self, data: &Value) {
        if !self.hub.knows(data["token"].as_str().unwrap_or_default()) {
            return self.socket.order(Command::Close(Some(4004)));
        }
        let session = data["session_id"].as_str().unwrap_or_default();
        let sequence = data["seq"].as_u64().unwrap_or_default();
        let resumed = self.hub.change(|state| {
            let resumed = state.sessions.resume(session, sequence, self.id);
            if resumed {
                state.counts.resumes += 1;
                state.sessions.dispatch_to(session, "RESUMED", &json!({ "_trace": [] }));
                state.tell(Change::Status);
            }
            resumed
        });
        if resumed {
            self.session = Some(session.to_owned());
        } else {
            self.socket.order(frame(9, &json!(false)));
        }
    }
}

/// READY, and the guild as if it became available.
fn begin(state: &mut SimState, socket: u64, intents: u64, shard: &Value) -> String {
    state.counts.identifies += 1;
    let session = state.sessions.begin(socket, intents);
    let (bot, guild) = (&state.bot, state.guild.id.to_string());
    let shard = if shard.is_array() { shard.clone() } else { json!([0, 1]) };
    let ready = json!({
        "v": 10, "user": objects::current_user(bot), "guilds": [{ "id": guild, "unavailable": true }],
        "session_id": session, "session_type": "normal", "resume_gateway_url": routes::gateway_url(state),
        "shard": shard, "application": { "id": bot.id.to_string(), "flags": 1 << 19 },
        "private_channels": [], "relationships": [], "presences": [], "user_settings": {}, "_trace": [],
    });
    state.sessions.dispatch_to(&session, "READY", &ready);
    if intents & GUILDS != 0 {
        let members: Vec<Value> = state.users().iter().map(|user| state.member_json(user)).collect();
        let created = objects::guild_create(state.guild_json(), &state.channels_json(), &members);
        state.sessions.dispatch_to(&session, "GUILD_CREATE", &created);
    }
    state.tell(Change::Status);
    session
}

/// Says goodbye and waits for the client's, so that the close frame is not lost to a reset.
async fn close(web_socket: &mut WebSocket, code: Option<u16>) -> bool {
    let close = code.map(|code| CloseFrame { code, reason: "".into() });
    if web_socket.send(Message::Close(close)).await.is_ok() {
        let goodbye = async { while let Some(Ok(_)) = web_socket.recv().await {} };
        // A client that does not answer is left: either way the connection ends here.
        drop(tokio::time::timeout(GOODBYE, goodbye).await);
    }
    false
}

/// RECONNECT.
pub(super) fn reconnect() -> Command {
    frame(7, &Value::Null)
}

/// INVALID SESSION.
pub(super) fn invalid_session(resumable: bool) -> Command {
    frame(9, &json!(resumable))
}
