//! The gateway: one task per WebSocket. JSON only, no compression.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::gateway_faults::{GatewayEnd, Upgrade};
use super::gateway_limits::SendCounter;
use super::gateway_log::{GatewayAddress, GatewaySend};
use super::hub::Hub;
use super::model::Change;
use super::objects;
use super::rate_limit;
use super::routes;
use super::server::Peer;
use super::sessions::{Command, GUILDS, MESSAGE_CONTENT, SOCKET_QUEUE, Socket};
use super::state::SimState;

/// How long a client may take to answer a close frame.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// Turns `GET /gateway` into a gateway connection.
pub(super) async fn connect(
    State(hub): State<Arc<Hub>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(query): Query<HashMap<String, String>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    accept(hub, peer, GatewayAddress::General, query, upgrade).await
}

/// Turns a request for the `resume_gateway_url` into a gateway connection.
pub(super) async fn connect_to_resume(
    State(hub): State<Arc<Hub>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(query): Query<HashMap<String, String>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    accept(hub, peer, GatewayAddress::Resume, query, upgrade).await
}

async fn accept(
    hub: Arc<Hub>,
    peer: Peer,
    address: GatewayAddress,
    query: HashMap<String, String>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let (fault, attempt) = hub.change(|state| {
        let fault = state.gateway_faults.upgrade;
        state.count_attempt(address, query, fault == Upgrade::Accept && upgrade.is_ok());
        (fault, state.gateway_log.attempts.last().cloned())
    });
    if let (Some(check), Some(attempt)) = (hub.check(), attempt)
        && check.gateway_attempt(&attempt).is_err()
    {
        return StatusCode::BAD_REQUEST.into_response();
    }
    match fault {
        Upgrade::Accept => match upgrade {
            Ok(upgrade) => upgrade.on_upgrade(move |web_socket| serve(web_socket, hub, peer, address)),
            Err(rejection) => rejection.into_response(),
        },
        Upgrade::Refuse(status) => refusal(status).into_response(),
        Upgrade::RefuseFor(status, wait) => {
            let seconds = rate_limit::whole_seconds(wait).to_string();
            (refusal(status), [(header::RETRY_AFTER, seconds)]).into_response()
        }
        Upgrade::Stall | Upgrade::StallTcp => std::future::pending().await,
    }
}

fn refusal(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY)
}

async fn serve(mut web_socket: WebSocket, hub: Arc<Hub>, peer: Peer, address: GatewayAddress) {
    let (queue, commands) = mpsc::channel(SOCKET_QUEUE);
    let socket = Socket { queue, peer };
    let (id, fault) = hub.change(|state| (state.sessions.open(socket.clone()), state.gateway_faults.before_hello));
    match fault {
        Some(end) => socket.order(Command::End(end)),
        None => socket.order(frame(10, &json!({ "heartbeat_interval": hub.heartbeat_interval.as_millis() }))),
    }
    let sent = SendCounter::new(hub.gateway_limits, Instant::now());
    let mut connection = Connection { hub: Arc::clone(&hub), socket, id, address, sent, session: None };
    let ended = connection.run(&mut web_socket, commands).await;
    hub.change(|state| {
        state.sessions.close(id, ended);
        state.tell(Change::Status);
    });
}

fn frame(op: u8, data: &Value) -> Command {
    Command::Send(control_payload(op, data))
}

struct Connection {
    hub: Arc<Hub>,
    socket: Socket,
    id: u64,
    address: GatewayAddress,
    sent: SendCounter,
    session: Option<String>,
}

impl Connection {
    /// Until one side ends it. `true` if the client closed with 1000 or 1001, which ends its session.
    async fn run(&mut self, web_socket: &mut WebSocket, mut commands: mpsc::Receiver<Command>) -> bool {
        loop {
            tokio::select! {
                received = web_socket.recv() => match received {
                    Some(Ok(Message::Text(text))) => self.receive(text.as_str()),
                    Some(Ok(Message::Close(close))) => return self.closed_by_client(close.map(|close| close.code)),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return false,
                },
                command = commands.recv() => match command {
                    Some(Command::Send(text)) => if web_socket.send(Message::text(text)).await.is_err() {
                        return false;
                    },
                    Some(Command::End(end)) => if !self.end(web_socket, end).await {
                        return false;
                    },
                    None => return false,
                },
            }
        }
    }

    fn closed_by_client(&self, code: Option<u16>) -> bool {
        self.hub.change(|state| state.gateway_log.closes.push(code));
        matches!(code, Some(1000 | 1001))
    }

    /// Ends the connection, or stops serving it. Whether it stays open.
    async fn end(&self, web_socket: &mut WebSocket, end: GatewayEnd) -> bool {
        let message = match end {
            GatewayEnd::Close(code) => {
                self.close(web_socket, code).await;
                return false;
            }
            GatewayEnd::Fin => return false,
            GatewayEnd::Reset => {
                self.socket.peer.reset_at_end();
                return false;
            }
            GatewayEnd::HalfOpen => {
                self.socket.peer.silence();
                return true;
            }
            GatewayEnd::Garbage => {
                self.socket.peer.garble();
                "garbage".to_owned()
            }
            GatewayEnd::NotJson => "{\"op\":".to_owned(),
            GatewayEnd::Reconnect => control_payload(7, &Value::Null),
            GatewayEnd::InvalidSession(resumable) => control_payload(9, &json!(resumable)),
        };
        web_socket.send(Message::text(message)).await.is_ok()
    }

    /// Sends a close frame and waits for the client's, so that the frame is not lost to a reset.
    async fn close(&self, web_socket: &mut WebSocket, code: Option<u16>) {
        let close = code.map(|code| CloseFrame { code, reason: "".into() });
        if web_socket.send(Message::Close(close)).await.is_ok() {
            let answer = async { while let Some(Ok(_)) = web_socket.recv().await {} };
            // Without an answer in time, the connection ends all the same.
            drop(tokio::time::timeout(CLOSE_LIMIT, answer).await);
        }
    }

    fn receive(&mut self, text: &str) {
        let payload = serde_json::from_str::<Value>(text).unwrap_or_default();
        let (op, data) = (payload["op"].as_u64(), &payload["d"]);
        if let Err(code) = self.sent.admit(text.len(), op, Instant::now()) {
            self.hub.change(|state| state.counts.send_limits_broken += 1);
            return self.order_end(GatewayEnd::Close(Some(code)));
        }
        if !payload.is_object() {
            return self.order_end(GatewayEnd::Close(Some(4002)));
        }
        let send = GatewaySend { at: Instant::now(), connection: self.id, op, data: data.clone() };
        if self.hub.check().is_some_and(|check| check.gateway_send(&send).is_err()) {
            return self.order_end(GatewayEnd::Close(Some(4002)));
        }
        if op != Some(1) {
            self.hub.change(|state| state.gateway_log.sends.push(send));
        }
        match op {
            Some(1) => self.heartbeat(),
            Some(2) => self.identify(data),
            Some(6) => self.resume(data),
            Some(_) if self.session.is_none() => self.order_end(GatewayEnd::Close(Some(4003))),
            Some(3) => self.hub.change(|state| {
                state.presence = data.clone();
                state.counts.presences += 1;
                state.tell(Change::Status);
            }),
            Some(4 | 8) => {}
            _ => self.order_end(GatewayEnd::Close(Some(4001))),
        }
    }

    /// Ends the connection after what is queued for it; its session too, if Discord would forget it.
    fn order_end(&self, end: GatewayEnd) {
        if let Some(session) = self.session.as_ref().filter(|_| end.ends_session()) {
            self.hub.change(|state| state.sessions.forget_one(session));
        }
        self.socket.order(Command::End(end));
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
        if let Some(end) = self.refusal_of_identify(data) {
            self.hub.change(|state| state.counts.identifies_refused += 1);
            return self.order_end(end);
        }
        let (id, intents) = (self.id, data["intents"].as_u64().unwrap_or_default());
        let (session, fault) = self.hub.change(|state| {
            if !data["presence"].is_null() {
                state.presence = data["presence"].clone();
            }
            (begin(state, id, intents, &data["shard"]), state.gateway_faults.after_ready)
        });
        self.session = Some(session);
        if let Some(end) = fault {
            self.order_end(end);
        }
    }

    /// How an IDENTIFY ends that does not begin a session.
    fn refusal_of_identify(&self, data: &Value) -> Option<GatewayEnd> {
        if self.session.is_some() {
            return Some(GatewayEnd::Close(Some(4005)));
        }
        if !self.hub.knows(data["token"].as_str().unwrap_or_default()) {
            return Some(GatewayEnd::Close(Some(4004)));
        }
        let (now, gap) = (Instant::now(), self.hub.gateway_limits.identify_gap);
        self.hub.change(|state| {
            let last = state.last_identify;
            if gap.is_some_and(|gap| last.is_some_and(|last| now.duration_since(last) < gap)) {
                return Some(GatewayEnd::InvalidSession(false));
            }
            state.last_identify = Some(now);
            let faults = &state.gateway_faults;
            let content = data["intents"].as_u64().is_some_and(|intents| intents & MESSAGE_CONTENT != 0);
            let code = faults.reject_identify.or((faults.content_off && content).then_some(4014));
            faults.on_identify.or(code.map(|code| GatewayEnd::Close(Some(code))))
        })
    }

    fn resume(&mut self, data: &Value) {
        if !self.hub.knows(data["token"].as_str().unwrap_or_default()) {
            return self.order_end(GatewayEnd::Close(Some(4004)));
        }
        let session = data["session_id"].as_str().unwrap_or_default();
        let sequence = data["seq"].as_u64().unwrap_or_default();
        let resumed = self.hub.change(|state| resume(state, session, sequence, self.id, self.address));
        match resumed {
            Ok(fault) => {
                self.session = Some(session.to_owned());
                if let Some(end) = fault {
                    self.order_end(end);
                }
            }
            Err(end) => self.order_end(end),
        }
    }
}

/// Resumes a session on a connection. `Ok` has the fault that strikes next, `Err` the refusal.
fn resume(
    state: &mut SimState,
    session: &str,
    sequence: u64,
    socket: u64,
    address: GatewayAddress,
) -> Result<Option<GatewayEnd>, GatewayEnd> {
    if let Some(end) = state.gateway_faults.on_resume {
        state.counts.resumes_refused += 1;
        if end.ends_session() {
            state.sessions.forget_one(session);
        }
        return Err(end);
    }
    if !state.sessions.resume(session, sequence, socket) {
        state.counts.resumes_refused += 1;
        return Err(GatewayEnd::InvalidSession(false));
    }
    state.counts.resumes += 1;
    *state.counts.resumes_at.entry(address).or_default() += 1;
    state.sessions.dispatch_to(session, "RESUMED", &json!({ "_trace": [] }));
    state.tell(Change::Status);
    Ok(state.gateway_faults.after_ready)
}

/// READY, and the guild as if it became available.
fn begin(state: &mut SimState, socket: u64, intents: u64, shard: &Value) -> String {
    state.counts.identifies += 1;
    let session = state.sessions.begin(socket, intents);
    let (bot, guild) = (&state.bot, state.guild.id.to_string());
    let shard = if shard.is_array() { shard.clone() } else { json!([0, 1]) };
    let mut ready = json!({
        "v": 10, "user": objects::current_user(bot), "guilds": [{ "id": guild, "unavailable": true }],
        "session_id": session, "session_type": "normal",
        "shard": shard, "application": { "id": bot.id.to_string(), "flags": 1 << 19 },
        "private_channels": [], "relationships": [], "presences": [], "user_settings": {}, "_trace": [],
    });
    if let Some(url) = routes::resume_url(state) {
        ready["resume_gateway_url"] = json!(url);
    }
    state.sessions.dispatch_to(&session, "READY", &ready);
    if intents & GUILDS != 0 {
        let members: Vec<Value> = state.users().iter().map(|user| state.member_json(user)).collect();
        let created = objects::guild_create(state.guild_json(), &state.channels_json(), &members);
        state.sessions.dispatch_to(&session, "GUILD_CREATE", &created);
    }
    state.tell(Change::Status);
    session
}

/// A payload without a sequence number, as text.
fn control_payload(op: u8, data: &Value) -> String {
    json!({ "op": op, "d": data, "s": null, "t": null }).to_string()
}
