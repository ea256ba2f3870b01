//! One WebSocket to the gateway: connecting within a limit, writing within a limit, closing within a limit.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Url;
use rustls::ClientConfig;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};
use tracing::debug;

use crate::discord::error_class::answered_retry_after;

use super::GatewayTimings;
use super::disconnect::Disconnect;

/// The longest message that is read, in bytes. A `GUILD_CREATE` of a large guild has a few MiB.
const LONGEST_MESSAGE: usize = 32 << 20;
/// A proxy's `Retry-After` is trusted up to this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);
/// TCP keepalive notices a dead path before the next heartbeat: 15 s of silence, then 3 probes 5 s apart.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_PROBES: u32 = 3;

/// An open WebSocket.
#[derive(Debug)]
pub(super) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    write_limit: Duration,
    close_limit: Duration,
}

impl Socket {
    /// Connects to `base` as Discord's API version 10 in JSON, within [`GatewayTimings::connect`].
    pub(super) async fn connect(
        base: &str,
        tls: Option<Arc<ClientConfig>>,
        timings: &GatewayTimings,
    ) -> Result<Self, Disconnect> {
        let url = gateway_url(base)?;
        let stream = timeout(timings.connect, Box::pin(connect(&url, tls)))
            .await
            .map_err(|_| Disconnect::ConnectTimeout(timings.connect))??;
        Ok(Self { stream, write_limit: timings.write, close_limit: timings.close })
    }

    /// Waits for the next text message. Pings are answered, binary messages skipped. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<tungstenite::Utf8Bytes, Disconnect> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Close(frame))) => return Err(closed_by_peer(frame)),
                Some(Ok(Message::Binary(_))) => debug!("Skipped a binary message of the gateway"),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Err(Disconnect::Eof),
            }
        }
    }

    /// Sends a payload within [`GatewayTimings::write`].
    pub(super) async fn send(&mut self, payload: String) -> Result<(), Disconnect> {
        match timeout(self.write_limit, self.stream.send(Message::text(payload))).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(Disconnect::WriteTimeout(self.write_limit)),
        }
    }

    /// Answers the peer's close frame, which tungstenite has queued; then drops the socket.
    pub(super) async fn confirm_close(mut self) {
        if !matches!(timeout(self.close_limit, self.stream.flush()).await, Ok(Ok(()))) {
            debug!("Failed to answer the gateway's close frame");
        }
    }

    /// Closes with `code` and waits for the peer's close, within [`GatewayTimings::close`]; then drops the socket.
    pub(super) async fn close(mut self, code: u16) {
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        let goodbye = async {
            self.stream.close(Some(frame)).await?;
            while let Some(message) = self.stream.next().await {
                message?;
            }
            Ok::<_, tungstenite::Error>(())
        };
        match timeout(self.close_limit, goodbye).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "The gateway connection ended before it was closed"),
            Err(_) => debug!("The gateway did not answer the close frame in time"),
        }
    }
}

fn closed_by_peer(frame: Option<CloseFrame>) -> Disconnect {
    frame.map_or(Disconnect::ClosedWithoutCode, |frame| Disconnect::Closed { code: frame.code.into() })
}

/// `base` with the version and the encoding; no compression is asked for.
fn gateway_url(base: &str) -> Result<Url, Disconnect> {
    let mut url = Url::parse(base).map_err(|error| Disconnect::BadUrl(error.to_string()))?;
    if !matches!(url.scheme(), "ws" | "wss") || !url.has_host() {
        return Err(Disconnect::BadUrl("it is not a ws:// or wss:// address".to_owned()));
    }
    url.set_query(Some("v=10&encoding=json"));
    Ok(url)
}

async fn connect(
    url: &Url,
    tls: Option<Arc<ClientConfig>>,
) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, Disconnect> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or(443);
    let tcp = TcpStream::connect((host, port)).await.map_err(|error| Disconnect::Unreachable(error.to_string()))?;
    tune(&tcp);
    let connector = tls.map_or(Connector::Plain, Connector::Rustls);
    match client_async_tls_with_config(url.as_str(), tcp, Some(web_socket_config()), Some(connector)).await {
        Ok((stream, _)) => Ok(stream),
        Err(error) => Err(connect_error(error)),
    }
}

/// Sets keepalive and no-delay. A failure is not serious: missing acknowledgements show a dead connection too, only later.
fn tune(tcp: &TcpStream) {
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL).with_retries(KEEPALIVE_PROBES);
    if let Err(error) = SockRef::from(tcp).set_tcp_keepalive(&keepalive).and_then(|()| tcp.set_nodelay(true)) {
        debug!(%error, "Failed to set socket options of the gateway connection");
    }
}

fn web_socket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(16 << 10)
        .write_buffer_size(0)
        .max_message_size(Some(LONGEST_MESSAGE))
        .max_frame_size(Some(LONGEST_MESSAGE))
}

/// The cause of a failed attempt. TLS and HTTP errors have their own.
fn connect_error(error: tungstenite::Error) -> Disconnect {
    match error {
        tungstenite::Error::Http(response) => Disconnect::UpgradeRefused {
            status: response.status().as_u16(),
            retry_after: answered_retry_after(response.headers(), &[]).map(|wait| wait.min(LONGEST_RETRY_AFTER)),
        },
        tungstenite::Error::Io(error) => {
            let is_tls = error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>);
            if is_tls { Disconnect::Tls(error.to_string()) } else { Disconnect::Unreachable(error.to_string()) }
        }
        tungstenite::Error::Tls(error) => Disconnect::Tls(error.to_string()),
        tungstenite::Error::Url(error) => Disconnect::BadUrl(error.to_string()),
        other => Disconnect::from(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_has_version_and_encoding_and_no_compression() {
        for base in ["wss://gateway.discord.gg", "wss://gateway.discord.gg/", "wss://gateway.discord.gg/?compress=zlib"]
        {
            assert_eq!(gateway_url(base).unwrap().as_str(), "wss://gateway.discord.gg/?v=10&encoding=json");
        }
    }

    #[test]
    fn an_address_that_is_no_web_socket_url_is_an_error() {
        for base in ["", "gateway", "https://discord.com", "ws://", "\u{0}"] {
            assert!(matches!(gateway_url(base), Err(Disconnect::BadUrl(_))), "{base}");
        }
    }
}
