//! The demo, as somebody tries it: the program, and the page it prints the address of.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Relay, address_in, within};

/// The chat of the first server, as the page opens with it.
const CHAT: &str = "1001";

/// The demo, and its page's address.
struct Demo {
    program: Relay,
    page: String,
    http: reqwest::Client,
}

impl Demo {
    async fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_factorio-isr"));
        command.args(["demo", "--port", "0"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let program = Relay::spawn(&mut command);
        let page = program.output().find(|line| address_in(line, "what players see")).await;
        let demo = Self { program, page, http: reqwest::Client::new() };
        // Before, nobody hears a call.
        demo.until("/sim/state", |state| (state["bot"]["online"] == true).then_some(())).await;
        demo.until("/sim/commands", |commands| commands.as_array().is_some_and(|all| !all.is_empty()).then_some(()))
            .await;
        demo
    }

    /// What `pick` takes of an answer of the page, now or later.
    async fn until<T>(&self, path: &str, pick: impl Fn(&Value) -> Option<T>) -> T {
        let look = async {
            let mut tick = tokio::time::interval(Duration::from_millis(50));
            loop {
                tick.tick().await;
                let answer = self.http.get(format!("{}{path}", self.page)).send().await.unwrap();
                if let Some(found) = pick(&answer.json().await.unwrap()) {
                    return found;
                }
            }
        };
        within(look).await
    }

    /// The bot's answer to a command, once its embed has `part`.
    async fn call(&self, command: &str, options: [(&str, &str); 2], part: &str) -> Value {
        let options = options.map(|(name, value)| json!({ "name": name, "type": 3, "value": value }));
        let body = json!({ "channel": CHAT, "author": "Visitor", "command": command, "options": options });
        let called = self.http.post(format!("{}/sim/interact", self.page)).json(&body).send().await.unwrap();
        let call = called.json::<Value>().await.unwrap()["id"].clone();
        let answer = |state: &Value| {
            let messages = state["messages"][CHAT].as_array()?;
            let to_it =
                |message: &&Value| message["interaction"]["id"] == call && !message["embeds"][0][part].is_null();
            messages.iter().find(to_it).cloned()
        };
        self.until("/sim/state", answer).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_has_a_past_to_look_back_on_and_says_that_it_is_made_up() {
    let demo = Demo::start().await;
    demo.program.output().find(|line| line.contains("is made up").then_some(())).await;
    for span in ["day", "week"] {
        let answer = demo.call("history", [("value", span), ("server", "nauvis")], "image").await;
        let file = &answer["attachments"][0];
        let alt = file["alt"].as_str().unwrap();
        assert!(alt.contains("players at once") && !alt.contains("unknown"), "{alt}");
        let picture = demo.http.get(format!("{}{}", demo.page, file["url"].as_str().unwrap())).send().await.unwrap();
        assert!(picture.bytes().await.unwrap().starts_with(b"\x89PNG"), "{file}");
    }
    let top = demo.call("top", [("value", "week"), ("server", "space-age")], "description").await;
    let places = top["embeds"][0]["description"].as_str().unwrap();
    assert!(places.contains("Juno") && places.contains("voidhauler"), "{places}");
}
