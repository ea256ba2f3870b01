//! The status page: as a stream, as a page in a browser, and what is not on it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

mod browser;
mod devtools;
mod privacy;
mod program;
mod streams;

use std::collections::BTreeMap;

use reqwest::{Client, Response};
use serde_json::Value;

use crate::harness::{DEADLINE, within};

/// What a browser asks for first.
const HTML: &str = "text/html,application/xhtml+xml;q=0.9";

/// The page as a browser gets it.
async fn page(base: &str) -> String {
    let response = Client::new().get(format!("{base}/")).header("accept", HTML).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.text().await.unwrap()
}

/// The state that a page shows, as its script tells the stream.
fn seen(page: &str) -> String {
    page.split_once("data-seen=\"").unwrap().1.split('"').next().unwrap().to_owned()
}

/// Listens to `/events`.
struct Events {
    response: Response,
    unread: String,
    /// The parts as a page would show them now.
    shown: BTreeMap<String, String>,
}

/// One event.
#[derive(Debug)]
struct Update {
    kind: String,
    id: String,
    /// Milliseconds after which a browser whose stream has ended comes again, where the relay says so.
    retry: Option<u64>,
    data: Value,
}

impl Update {
    fn part(&self, id: &str) -> Option<&str> {
        self.data["parts"][id].as_str()
    }

    fn parts(&self) -> Vec<&str> {
        self.data["parts"].as_object().unwrap().keys().map(String::as_str).collect()
    }
}

impl Events {
    async fn ask(base: &str, seen: &str) -> Response {
        within(Client::new().get(format!("{base}/events?seen={seen}")).send()).await.unwrap()
    }

    /// From the state of this id.
    async fn open(base: &str, seen: &str) -> Self {
        let response = Self::ask(base, seen).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self::of(response)
    }

    fn of(response: Response) -> Self {
        Self { response, unread: String::new(), shown: BTreeMap::new() }
    }

    /// The next event; `None` where the stream ends.
    async fn next(&mut self) -> Option<Update> {
        loop {
            if let Some(end) = self.unread.find("\n\n") {
                let event: String = self.unread.drain(..end + 2).collect();
                let lines: Vec<&str> = event.lines().collect();
                let field = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name));
                if let (Some(id), Some(data)) = (field("id: "), field("data: ")) {
                    let update = Update {
                        kind: field("event: ").unwrap().to_owned(),
                        id: id.to_owned(),
                        retry: field("retry: ").map(|wait| wait.parse().unwrap()),
                        data: serde_json::from_str(data).unwrap(),
                    };
                    let parts =
                        update.parts().into_iter().map(|id| (id.to_owned(), update.part(id).unwrap().to_owned()));
                    self.shown.extend(parts);
                    return Some(update);
                }
                continue;
            }
            let chunk = within(self.response.chunk()).await.ok()??;
            self.unread += std::str::from_utf8(&chunk).unwrap();
        }
    }

    /// The first event that suits.
    async fn until(&mut self, suits: impl Fn(&Update) -> bool) -> Update {
        let search = async {
            loop {
                let update = self.next().await.expect("the stream goes on");
                if suits(&update) {
                    return update;
                }
            }
        };
        within(search).await
    }

    /// A part, once it has this text.
    async fn part_with(&mut self, id: &str, text: &str) -> String {
        let search = async {
            loop {
                match self.shown.get(id) {
                    Some(part) if part.contains(text) => return part.clone(),
                    _ => drop(self.next().await.expect("the stream goes on")),
                }
            }
        };
        let found = tokio::time::timeout(DEADLINE, search).await;
        found.unwrap_or_else(|_| panic!("{id} never had {text}: {:?}", self.shown.get(id)))
    }
}
