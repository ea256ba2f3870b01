//! The page of the demo: a Discord channel list and its messages, live, beside the lines the games write.
//!
//! The Discord stand-in serves [`INDEX`] at `/` and the messages under `/sim/state`, `/sim/events` and
//! `/sim/attachments`. [`page_router`] has the rest and is merged into the same server. Nothing is loaded from
//! elsewhere.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Json};
use axum::routing::get;
use axum::{Router, extract::State};
use futures_util::{Stream, StreamExt as _, stream};
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::factorio::{FeedLine, LogFeed};

/// The page itself.
pub const INDEX: &str = include_str!("index.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("page.js");
const MARKDOWN: &str = include_str!("markdown.js");
const DOM: &str = include_str!("dom.js");
const YOU: &str = include_str!("you.js");
const COMPOSE: &str = include_str!("compose.js");
const EMBEDS: &str = include_str!("embeds.js");

/// `/style.css`, `/page.js` and the scripts it imports, `/sim/info`, and `/sim/logs`: the lines of `feed` as server-sent
/// events named `line`, the last ones first.
///
/// `relay` is where the relay's own pages are, as `http://127.0.0.1:8080`; unset until it has started.
pub fn page_router(feed: LogFeed, relay: Arc<OnceLock<String>>) -> Router {
    Router::new()
        .route("/style.css", get(async || asset("text/css; charset=utf-8", STYLE)))
        .route("/page.js", get(async || script(SCRIPT)))
        .route("/markdown.js", get(async || script(MARKDOWN)))
        .route("/dom.js", get(async || script(DOM)))
        .route("/you.js", get(async || script(YOU)))
        .route("/compose.js", get(async || script(COMPOSE)))
        .route("/embeds.js", get(async || script(EMBEDS)))
        .route("/sim/info", get(async move || Json(json!({ "relay": relay.get() }))))
        .route("/sim/logs", get(logs))
        .with_state(feed)
}

fn asset(content_type: &'static str, text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-cache")], text)
}

fn script(text: &'static str) -> impl IntoResponse {
    asset("text/javascript; charset=utf-8", text)
}

async fn logs(State(feed): State<LogFeed>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (history, receiver) = feed.subscribe();
    let lines = stream::iter(history).chain(stream::unfold(receiver, next_line));
    Sse::new(lines.map(|line| Ok(line_event(&line)))).keep_alive(KeepAlive::default())
}

fn line_event(line: &FeedLine) -> Event {
    Event::default().event("line").json_data(line).expect("strings become JSON")
}

/// A page too slow to follow misses lines: it is a show, the relay reads the files.
async fn next_line(mut receiver: Receiver<FeedLine>) -> Option<(FeedLine, Receiver<FeedLine>)> {
    loop {
        match receiver.recv().await {
            Ok(line) => return Some((line, receiver)),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::domain::SystemClock;
    use crate::sim::factorio::{SimServer, SimServerConfig};

    const SCRIPTS: [&str; 6] = [SCRIPT, MARKDOWN, DOM, YOU, COMPOSE, EMBEDS];

    async fn serve(feed: LogFeed) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = page_router(feed, Arc::new("http://127.0.0.1:8080".to_owned().into()));
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    #[tokio::test]
    async fn everything_the_page_asks_for_is_served() {
        let address = serve(LogFeed::new()).await;
        let imports = SCRIPTS.iter().flat_map(|script| script.lines().filter(|line| line.starts_with("import ")));
        let mut paths: Vec<&str> = imports.filter_map(|line| line.split('"').nth(1)).collect();
        assert!(paths.contains(&"/markdown.js") && paths.contains(&"/dom.js"), "{paths:?}");
        for (asker, path) in [(INDEX, "/style.css"), (INDEX, "/page.js"), (SCRIPT, "/sim/info")] {
            assert!(asker.contains(&format!("\"{path}\"")), "{path}");
            paths.push(path);
        }
        for path in paths {
            let answer = reqwest::get(format!("http://{address}{path}")).await.unwrap();
            assert_eq!(answer.status(), 200, "{path}");
        }
        let info = reqwest::get(format!("http://{address}/sim/info")).await.unwrap().text().await.unwrap();
        assert_eq!(info, r#"{"relay":"http://127.0.0.1:8080"}"#);
    }

    #[tokio::test]
    async fn newcomer_sees_old_lines_and_then_new_ones() {
        let dir = tempfile::tempdir().unwrap();
        let feed = LogFeed::new();
        let config = SimServerConfig {
            name: "Nauvis Main".to_owned(),
            console_log: dir.path().join("console.log"),
            engine_log: None,
            timezone: TimeZone::UTC,
            space_age: false,
        };
        let mut server = SimServer::new(config, Arc::new(SystemClock)).shown_by(&feed);
        server.raw_line("old").unwrap();
        let address = serve(feed).await;
        let mut answer = reqwest::get(format!("http://{address}/sim/logs")).await.unwrap();
        server.raw_line("new").unwrap();
        let mut seen = String::new();
        while !seen.contains(r#""text":"new""#) {
            let chunk = tokio::time::timeout(Duration::from_secs(10), answer.chunk()).await.unwrap().unwrap();
            seen.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
        assert_eq!(
            seen,
            "event: line\ndata: {\"server\":\"Nauvis Main\",\"source\":\"console\",\"text\":\"old\"}\n\n\
             event: line\ndata: {\"server\":\"Nauvis Main\",\"source\":\"console\",\"text\":\"new\"}\n\n"
        );
    }

    #[test]
    fn page_never_parses_what_it_shows_as_markup() {
        for script in SCRIPTS {
            for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "srcdoc"] {
                assert!(!script.contains(forbidden), "{forbidden}");
            }
        }
    }

    #[test]
    fn page_loads_nothing_from_elsewhere() {
        for text in [INDEX, STYLE] {
            assert!(!text.contains("http:") && !text.contains("https:") && !text.contains("@import"));
        }
    }
}
