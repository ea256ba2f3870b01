//! Two relays in one channel and one game: ours, which is told to hear the other's bot, and one that takes every line
//! for news, whoever said it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use factorio_isr::sim::discord::{Change, SimBot, SimChannel, SimDiscord, SimDiscordConfig, SimMessage, SimPost};
use factorio_isr::sim::rcon::{Game, RconEvent, SimRcon};
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::harness::{DEADLINE, Site, TOKEN, lines_of};

const CHANNEL: u64 = 601;
const OTHER: &str = "Relay B";

fn write_log(log: &Path, line: &str) {
    let mut file = OpenOptions::new().append(true).open(log).unwrap();
    let now = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S");
    // In one piece: two relays write at a time.
    file.write_all(format!("{now} [CHAT] {line}\n").as_bytes()).unwrap();
}

/// Says in the game what is written in the channel, and writes into the channel what is said in the game. Its own
/// words are all it knows.
async fn other_relay(discord: SimDiscord, log: PathBuf, mut said: mpsc::UnboundedReceiver<String>) {
    let mut written = discord.subscribe();
    loop {
        tokio::select! {
            Some(line) = said.recv() => {
                let post = SimPost { text: &line, bot: true, ..SimPost::default() };
                discord.post_as(CHANNEL, OTHER, post).unwrap();
            }
            Ok(change) = written.recv() => {
                let Change::Message(message) = change else { continue };
                if message.author.name != OTHER {
                    let line = |line: &str| write_log(&log, &format!("<server>: {}: {line}", message.author.name));
                    message.content.lines().for_each(line);
                }
            }
            else => return,
        }
    }
}

struct World {
    discord: SimDiscord,
    game: SimRcon,
    site: Site,
    said: mpsc::UnboundedSender<String>,
}

impl World {
    async fn new() -> Self {
        let channels = vec![SimChannel::new(CHANNEL, "factory")];
        let bot = SimBot { name: "Relay A".to_owned(), ..SimDiscordConfig::default().bot };
        let config = SimDiscordConfig { token: TOKEN.to_owned(), channels, bot, ..SimDiscordConfig::default() };
        let discord = crate::discord_sim::start(config).await.unwrap();
        // Whoever writes becomes a member, and has an id from then on.
        let first = SimPost { text: "I am a relay, too", bot: true, ..SimPost::default() };
        discord.post_as(CHANNEL, OTHER, first).unwrap();
        let other = discord.messages(CHANNEL)[0].author.id;

        let site = Site::new(&discord.base_url()).extra(&format!("[chat]\nallowed_bots = [{other}]"));
        let (said, heard) = mpsc::unbounded_channel();
        let (log, tell) = (site.console_log("a"), said.clone());
        let hook = move |event| {
            if let RconEvent::Chat { text } = event {
                write_log(&log, &format!("<server>: {text}"));
                tell.send(format!("Server: {text}")).unwrap();
            }
        };
        let game = SimRcon::start("hush", Game::default(), hook).await.unwrap();
        let rcon = format!("rcon = {{ port = {}, password = \"hush\" }}", game.address().port());
        let site = site.server_with("a", &format!("default = {CHANNEL}"), &rcon);
        tokio::spawn(other_relay(discord.clone(), site.console_log("a"), heard));
        Self { discord, game, site, said }
    }

    /// Ann writes in the channel, and Bob says something in the game.
    fn talk(&self, ann: &str, bob: &str) {
        self.discord.say(CHANNEL, "Ann", ann).unwrap();
        write_log(&self.site.console_log("a"), &format!("Bob: {bob}"));
        self.said.send(format!("Bob: {bob}")).unwrap();
    }

    /// Waits until the game was told this and our bot wrote that, and nothing else.
    async fn settle_on(&self, told: &[String], written: &[String]) {
        let all = |found: &[String], wanted: &[String]| wanted.iter().all(|line| found.contains(line));
        tokio::time::timeout(DEADLINE, self.game.until(|seen| all(&seen.commands, told))).await.unwrap();
        let ours = |messages: &mut dyn Iterator<Item = &SimMessage>| -> Vec<String> {
            messages.filter(|message| message.author.name == "Relay A").flat_map(lines_of).collect()
        };
        let reached = self
            .discord
            .wait_for(DEADLINE, |state| all(&ours(&mut state.messages(CHANNEL).map(AsRef::as_ref)), written));
        assert!(reached.await, "{:?}", ours(&mut self.discord.messages(CHANNEL).iter().map(AsRef::as_ref)));
        let sorted = |mut lines: Vec<String>| {
            lines.sort();
            lines
        };
        assert_eq!(sorted(self.game.seen().chats().into_iter().map(str::to_owned).collect()), sorted(told.to_vec()));
        let messages = self.discord.messages(CHANNEL);
        assert_eq!(sorted(ours(&mut messages.iter().map(AsRef::as_ref))), sorted(written.to_vec()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_relays_tell_each_other_comes_to_rest() {
    let world = World::new().await;
    let mut relay = world.site.start();
    relay.wait_until_ready().await;
    let (mut told, mut written) = (Vec::new(), Vec::new());
    for (ann, bob) in [("hello", "hi"), ("ore?", "at [gps=1,2]"), ("👍", "👍"), ("the end", "bye")] {
        world.talk(ann, bob);
        told.extend([
            format!("[Discord] Ann: {ann}"),
            format!("[Discord] {OTHER}: Bob: {}", bob.replace('[', "［").replace(']', "］")),
        ]);
        let shown = bob.replace("[gps=1,2]", "📍 1, 2");
        written.extend([format!("🖥️ **Server**: Ann: {ann}"), format!("**Bob**: {shown}")]);
        world.settle_on(&told, &written).await;
    }
    relay.terminate().await;
}
