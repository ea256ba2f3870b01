//! The Discord simulator, tested with a plain HTTP client, a small gateway client and serenity's models, whose parsing is
//! strict.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod answers;
mod client;
mod ends;
mod faults;
mod gateway;
mod page;
mod protocol;
mod refusals;
mod rest;
mod user;

use std::time::Duration;

use factorio_isr::sim::discord::{RateLimits, SimChannel, SimDiscord, SimDiscordConfig};
use reqwest::Response;
use serde_json::Value;

const TOKEN: &str = "simulated-token";
const SOON: Duration = Duration::from_secs(20);
const CHANNEL: u64 = 111;

fn two_channels() -> SimDiscordConfig {
    SimDiscordConfig {
        channels: vec![SimChannel::new(CHANNEL, "factory"), SimChannel::new(222, "alerts")],
        limits: RateLimits::none(),
        ..SimDiscordConfig::default()
    }
}

async fn unlimited() -> SimDiscord {
    SimDiscord::start(two_channels()).await.unwrap()
}

async fn limited() -> SimDiscord {
    SimDiscord::start(SimDiscordConfig { limits: RateLimits::discord(), ..two_channels() }).await.unwrap()
}

/// A client of the REST API that knows nothing of Discord.
struct Rest<'a> {
    discord: &'a SimDiscord,
    client: reqwest::Client,
}

impl<'a> Rest<'a> {
    fn new(discord: &'a SimDiscord) -> Self {
        let client = reqwest::Client::builder().no_proxy().timeout(SOON).build().unwrap();
        Self { discord, client }
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}/api/v10{path}", self.discord.base_url());
        self.client.request(method.parse().unwrap(), url).header("authorization", format!("Bot {TOKEN}"))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request("GET", path).send().await.unwrap()).await
    }

    async fn post(&self, body: Value) -> reqwest::Result<Response> {
        self.request("POST", &format!("/channels/{CHANNEL}/messages")).json(&body).send().await
    }

    async fn say(&self, body: Value) -> (u16, Value) {
        answer(self.post(body).await.unwrap()).await
    }
}

async fn answer(response: Response) -> (u16, Value) {
    (response.status().as_u16(), response.json().await.unwrap_or(Value::Null))
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn contents(discord: &SimDiscord) -> Vec<String> {
    discord.messages(CHANNEL).iter().map(|message| message.content.clone()).collect()
}
