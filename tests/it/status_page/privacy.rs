//! What players write and are called is not on the page, whatever fails; nor is any secret.

use factorio_isr::sim::discord::{ApiError, Fault, FaultKind};
use factorio_isr::sim::rcon::{Fault as RconFault, Game, SimRcon};

use super::program::{discord, spoil};
use super::{Events, page};
use crate::harness::{Relay, Site, TOKEN};

/// Part of every text and name that a player or member chose.
const WORD: &str = "psst-unsayable";

const PASSWORD: &str = "rcon-secret-77";

/// Everything that whoever reaches the port can read.
async fn readable(relay: &Relay) -> String {
    let base = relay.address().await;
    let streamed = Events::open(&base, "").await.next().await.unwrap().data.to_string();
    let mut all = page(&base).await + &streamed;
    for path in ["/ready", "/health", "/healthz", "/metrics"] {
        all += &relay.get(path).await.1;
    }
    all
}

/// A game whose answers hold players' words, in a world where everything fails.
struct Unlucky {
    site: Site,
    discord: factorio_isr::sim::discord::SimDiscord,
    game: SimRcon,
}

impl Unlucky {
    async fn new() -> Self {
        let discord = discord().await;
        let mut game = Game::default();
        // With nobody there it would seldom be asked.
        game.join(WORD);
        let game = SimRcon::start(PASSWORD, game, |_| {}).await.unwrap();
        let rcon = format!(
            "rcon = {{ port = {}, password = \"{PASSWORD}\", allow_lua = true }}\nprometheus_file = {{ path = \"{}\" }}",
            game.address().port(),
            "/dev/null/game.prom"
        );
        let site = Site::new(&discord.base_url())
            .server_with("prod", "default = 1001, joins = 1002, chat = 1001", &rcon)
            .extra("[game]\ninterval = \"1s\"");
        Self { site, discord, game }
    }

    fn says(&self, line: &str) {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S").to_string();
        self.site.append("prod", &format!("{now} {line}\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_failure_shows_what_players_write() {
    let world = Unlucky::new().await;
    let relay = world.site.start();
    relay.wait_until_ready().await;
    let base = relay.address().await;
    let mut events = Events::open(&base, "").await;

    // Refused for good, with Discord's own words about the content.
    let automod = ApiError::automod();
    world.discord.set_fault(Fault::new(FaultKind::Answer(automod)).channel(1001).times(1));
    world.discord.set_fault(Fault::new(FaultKind::Answer(ApiError::missing_access())).channel(1002));
    world.says(&format!("[CHAT] {WORD}: {WORD}"));
    world.says(&format!("[JOIN] {WORD} joined the game"));
    events.part_with("errors", "Discord refuses a notice for good").await;
    events.part_with("errors", "Discord refuses a channel").await;
    // What the game answers is nonsense, with a player's words in it.
    let sample = world.game.until(|seen| seen.commands.iter().any(|sent| sent.starts_with("/sc local")));
    sample.await;
    let sent = world.game.seen().commands.iter().find(|text| text.starts_with("/sc local")).unwrap().clone();
    world.game.game().answers.insert(sent, format!("Cannot execute command. Error: {WORD}"));
    events.part_with("errors", "Lua does not tell how the game is").await;
    world.game.set_fault(RconFault::WrongId);
    events.part_with("errors", "RCON is not connected").await;
    // A log that is gone while lines of it wait.
    spoil(&world.site.console_log("prod"));
    events.part_with("errors", "The log is not read").await;

    let all = readable(&relay).await;
    assert!(!all.contains(WORD), "{}", around(&all));
    for secret in [TOKEN, PASSWORD] {
        assert!(!all.contains(secret), "a secret");
    }
    assert!(relay.output().text().contains(WORD), "the operator's log has what the page has not");
}

#[tokio::test(flavor = "multi_thread")]
async fn players_are_counted_and_named_only_where_the_operator_lets_them_be() {
    for named in [false, true] {
        let world = Unlucky::new().await;
        let environment: &[(&str, &str)] = if named { &[("ISR_HTTP__SHOW_PLAYERS", "true")] } else { &[] };
        let relay = world.site.start_with(environment);
        relay.wait_until_ready().await;
        let mut events = Events::open(&relay.address().await, "").await;
        world.says(&format!("[JOIN] {WORD} joined the game"));
        let card = events.part_with("s-prod", ">1</span> player").await;
        assert_eq!(card.contains(WORD), named, "{card}");
    }
}

/// Where the word stands.
fn around(all: &str) -> String {
    let at = all.find(WORD).unwrap_or_default();
    all[..at].chars().rev().take(200).collect::<Vec<_>>().into_iter().rev().collect()
}
