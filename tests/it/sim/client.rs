//! A small gateway client: it sends exactly what a test asks for, and reads `d` into serenity's models.

use std::time::Duration;

use factorio_isr::sim::discord::SimDiscord;
use futures_util::{SinkExt as _, StreamExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{SOON, TOKEN};

/// GUILDS, `GUILD_MESSAGES`, `MESSAGE_CONTENT`.
pub const INTENTS: u64 = 33281;

/// What a connection brought next.
#[derive(Debug, PartialEq)]
pub enum Received {
    /// A payload.
    Payload(Value),
    /// A text frame that is not JSON.
    Text(String),
    /// A close frame, with its code if it has one.
    Close(Option<u16>),
    /// The end of the stream without a close frame.
    Fin,
    /// A TCP reset.
    Reset,
    /// Bytes that are not a WebSocket frame.
    NoFrame,
}

pub struct GatewayClient {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl GatewayClient {
    /// Connects to the general address, without reading HELLO.
    pub async fn open(discord: &SimDiscord) -> Self {
        Self::open_at(&general_url(discord)).await
    }

    /// Connects to an address as READY names it.
    pub async fn open_at(url: &str) -> Self {
        Self { socket: connect_async(format!("{url}?v=10&encoding=json")).await.unwrap().0 }
    }

    /// Connects and reads HELLO.
    pub async fn connect(discord: &SimDiscord) -> Self {
        let mut client = Self::open(discord).await;
        assert_eq!(client.payload().await["op"], 10);
        client
    }

    /// Connects and begins a session: past READY and `GUILD_CREATE`.
    pub async fn log_in(discord: &SimDiscord) -> Self {
        let mut client = Self::connect(discord).await;
        client.identify(INTENTS).await;
        client.event("GUILD_CREATE").await;
        client
    }

    pub async fn send(&mut self, payload: &Value) {
        self.socket.send(Message::text(payload.to_string())).await.unwrap();
    }

    pub async fn send_identify(&mut self, intents: u64) {
        self.send(&json!({ "op": 2, "d": { "token": TOKEN, "intents": intents, "properties": {} } })).await;
    }

    /// Begins a session and returns READY.
    pub async fn identify(&mut self, intents: u64) -> Value {
        self.send_identify(intents).await;
        let ready = self.payload().await;
        assert_eq!(ready["t"], "READY", "{ready}");
        ready["d"].clone()
    }

    /// Begins a session and returns its id.
    pub async fn session(&mut self, intents: u64) -> String {
        self.identify(intents).await["session_id"].as_str().unwrap().to_owned()
    }

    pub async fn send_resume(&mut self, session: &str, sequence: u64) {
        self.send(&json!({ "op": 6, "d": { "token": TOKEN, "session_id": session, "seq": sequence } })).await;
    }

    pub async fn send_heartbeat(&mut self) {
        self.send(&json!({ "op": 1, "d": null })).await;
    }

    /// Closes the connection in order, with this code.
    pub async fn close(&mut self, code: u16) {
        let frame = tungstenite::protocol::CloseFrame { code: code.into(), reason: "".into() };
        self.socket.close(Some(frame)).await.unwrap();
    }

    /// The next frame, or how the connection ended.
    pub async fn receive(&mut self) -> Received {
        timeout(SOON, self.receive_any()).await.expect("a frame in time")
    }

    /// Whether nothing arrives for a while.
    pub async fn is_silent_for(&mut self, wait: Duration) -> bool {
        timeout(wait, self.receive_any()).await.is_err()
    }

    async fn receive_any(&mut self) -> Received {
        match self.socket.next().await {
            Some(Ok(Message::Text(text))) => {
                let text: &str = &text;
                serde_json::from_str(text).map_or_else(|_| Received::Text(text.to_owned()), Received::Payload)
            }
            Some(Ok(Message::Close(close))) => Received::Close(close.map(|close| close.code.into())),
            Some(Ok(other)) => panic!("{other:?}"),
            None | Some(Err(tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => {
                Received::Fin
            }
            Some(Err(tungstenite::Error::Protocol(_))) => Received::NoFrame,
            Some(Err(tungstenite::Error::Io(_))) => Received::Reset,
            Some(Err(error)) => panic!("{error:?}"),
        }
    }

    /// The next payload.
    pub async fn payload(&mut self) -> Value {
        match self.receive().await {
            Received::Payload(payload) => payload,
            other => panic!("{other:?}"),
        }
    }

    /// The `d` of the next event with this name; events before it are skipped.
    pub async fn event(&mut self, name: &str) -> Value {
        loop {
            let payload = self.payload().await;
            if payload["t"] == name {
                return payload["d"].clone();
            }
        }
    }

    /// The next event with this name, as serenity reads it.
    pub async fn read_event<T: DeserializeOwned>(&mut self, name: &str) -> T {
        read(self.event(name).await)
    }
}

/// The address that `GET /gateway/bot` answers.
pub fn general_url(discord: &SimDiscord) -> String {
    discord.base_url().replacen("http", "ws", 1) + "/gateway"
}

/// A JSON value as a model of serenity, whose parsing is strict.
pub fn read<T: DeserializeOwned>(value: Value) -> T {
    let shown = value.to_string();
    serde_json::from_value(value).unwrap_or_else(|error| panic!("{error}: {shown}"))
}
