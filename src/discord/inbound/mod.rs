//! Chat from Discord into the games: heard at the gateway, kept in the store, said over RCON, answered by reactions.
//!
//! A message is stored with one row for each game it is said in, together with that it was seen; so a restart or an
//! absence of the gateway or of a game loses none of it within `relay.inbound_ttl`. Words reach a game as plain server
//! chat, never as a command: the only door is [`ChatText`](crate::rcon::ChatText).

mod catch_up;
pub mod clean;
mod deliver;
mod directory;
mod echoes;
pub mod format;
pub mod heard;
mod intake;
mod markdown;
mod marks;
pub mod routes;
mod traced;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use jiff::SignedDuration;
use serenity::all::GatewayIntents;
use tokio::sync::{Mutex, mpsc};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub(in crate::discord) use self::directory::Directory;
use super::GatewayEvent;
use super::rest::Rest;
use crate::config::settings::{ChatSettings, DiscordSettings};
use crate::domain::Clock;
use crate::health::{Component, HealthRegistry};
use crate::rcon::RconClient;
use crate::store::Store;
use crate::telemetry::metrics::count_error;

/// How long chat that was finished is remembered, so that a repeated event changes nothing. At least the longest
/// `relay.inbound_ttl`.
const KEEP_FINISHED: SignedDuration = SignedDuration::from_hours(2);
/// How often old rows are deleted.
const HOUSEKEEPING: Duration = Duration::from_mins(10);
/// For questions to Discord that hold the chat up.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the parts of the room share.
struct Shared {
    chat: ChatSettings,
    store: Store,
    rest: Arc<Rest>,
    clock: Arc<dyn Clock>,
    health: HealthRegistry,
}

/// The chat into the games. Clones are the same, for a supervisor that starts it anew; run one at a time.
#[derive(Clone)]
pub struct Inbound {
    shared: Arc<Shared>,
    games: Vec<RconClient>,
    events: Arc<Mutex<mpsc::Receiver<GatewayEvent>>>,
}

impl Inbound {
    /// What the gateway must ask for, for [`Dispatches::messages`](super::Dispatches::messages).
    pub const INTENTS: GatewayIntents = GatewayIntents::GUILD_MESSAGES.union(GatewayIntents::MESSAGE_CONTENT);

    /// Connects nothing yet. `games` are the servers that have RCON.
    ///
    /// # Errors
    /// When the token or `api_base` cannot be used in a request at all.
    pub fn new(
        (chat, discord): (ChatSettings, &DiscordSettings),
        store: Store,
        games: Vec<RconClient>,
        events: mpsc::Receiver<GatewayEvent>,
        (clock, health): (Arc<dyn Clock>, HealthRegistry),
    ) -> anyhow::Result<Self> {
        let rest = Arc::new(Rest::new(discord)?.with_patience(PATIENCE));
        let shared = Shared { chat, store, rest, clock, health };
        Ok(Self { shared: Arc::new(shared), games, events: Arc::new(Mutex::new(events)) })
    }

    /// Hears, says and marks until `cancel`. A line that is being said is finished before.
    ///
    /// # Errors
    /// When the database fails. Discord and the games may fail as they like.
    pub async fn run(self, cancel: CancellationToken) -> anyhow::Result<()> {
        let shared = &self.shared;
        let sayers = self.games.iter().map(|game| deliver::say_all(shared, game, &cancel));
        let hear = async {
            let mut events = self.events.lock().await;
            let directory = Directory::new(Arc::clone(&shared.rest));
            intake::Intake::new(Arc::clone(shared), directory).run(&mut events, &cancel).await
        };
        tokio::try_join!(hear, try_join_all(sayers), marks::react(shared, &cancel), keep_tidy(shared, &cancel))?;
        Ok(())
    }
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound").field("games", &self.games).finish_non_exhaustive()
    }
}

async fn keep_tidy(shared: &Shared, cancel: &CancellationToken) -> anyhow::Result<()> {
    while !cancel.is_cancelled() {
        let before = shared.clock.now() - KEEP_FINISHED;
        if let Err(error) = shared.store.prune_inbound(before).await {
            count_error(Component::Store.as_str(), error.error_type());
            warn!(%error, "Old chat cannot be deleted");
        }
        let _stopped = cancel.run_until_cancelled(sleep(HOUSEKEEPING)).await;
    }
    Ok(())
}
