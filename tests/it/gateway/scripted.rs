//! A gateway that follows a script: what the simulator never does, because it keeps to the protocol.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::refusals::api_that_names;
use super::*;

/// The gateway's end of one connection.
struct Peer(WebSocketStream<TcpStream>);

impl Peer {
    async fn send(&mut self, payload: Value) {
        self.0.send(Message::text(payload.to_string())).await.unwrap();
    }

    /// HELLO with an interval so long that the client sends no heartbeat of its own during a test; then its answer.
    async fn greet(&mut self) -> Value {
        self.send(json!({ "op": 10, "d": { "heartbeat_interval": 3_600_000 } })).await;
        self.receive().await
    }

    async fn ready(&mut self) {
        self.send(json!({ "op": 0, "s": 1, "t": "READY", "d": { "session_id": "s1" } })).await;
    }

    async fn receive(&mut self) -> Value {
        let message = self.0.next().await.unwrap().unwrap();
        serde_json::from_str(message.to_text().unwrap()).unwrap()
    }

    /// Reads until the client ends the connection.
    async fn until_closed(&mut self) {
        while let Some(Ok(message)) = self.0.next().await {
            if message.is_close() {
                return;
            }
        }
    }
}

/// Starts an API whose gateway plays `script` with each connection; the first has number 0. Returns its address.
async fn scripted<F: Future<Output = ()> + Send>(script: impl Fn(u32, Peer) -> F + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (connection, _) = listener.accept().await.unwrap();
            script(number, Peer(tokio_tungstenite::accept_async(connection).await.unwrap())).await;
        }
    });
    api_that_names(format!("ws://{address}")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resumed_in_answer_to_identify_is_no_session() {
    let api = scripted(async |number, mut peer| {
        peer.greet().await;
        if number == 0 {
            peer.send(json!({ "op": 0, "s": 1, "t": "RESUMED", "d": {} })).await;
        } else {
            peer.ready().await;
        }
        peer.until_closed().await;
    })
    .await;
    let sim = patient_sim().await;
    let gateway = Gateway::start_with(&sim, settings(api), quick(), Dispatches::default());
    gateway.shows("RESUMED without a session").await;
    gateway.is_healthy().await;
    assert_eq!(gateway.events_until("READY").await, ["READY"]);
    gateway.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heartbeat_that_the_send_limit_forbids_does_not_count_as_unanswered() {
    let (done, mut outcome) = watch::channel(None);
    let api = scripted(move |_, mut peer| {
        let done = done.clone();
        async move {
            peer.greet().await;
            peer.ready().await;
            let mut heartbeats = 0;
            loop {
                peer.send(json!({ "op": 1, "d": null })).await;
                if timeout(millis(500), peer.receive()).await.is_err() {
                    break;
                }
                heartbeats += 1;
                peer.send(json!({ "op": 11 })).await;
            }
            // The time for an acknowledgement is 2 s here.
            let is_open = timeout(millis(2500), peer.until_closed()).await.is_err();
            done.send_replace(Some((heartbeats, is_open)));
            peer.until_closed().await;
        }
    })
    .await;
    let sim = patient_sim().await;
    let gateway = Gateway::start_with(&sim, settings(api), quick(), Dispatches::default());
    let (heartbeats, is_open) = timeout(DEADLINE, outcome.wait_for(Option::is_some)).await.unwrap().unwrap().unwrap();
    assert!((115..=119).contains(&heartbeats), "IDENTIFY and {heartbeats} heartbeats within a minute");
    assert!(is_open, "the connection was ended");
    gateway.stops().await;
}
