//! The demo: two simulated servers with a made-up past, a stand-in for Discord, and the real relay between them.

mod past;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

use crate::app::{self, Relay};
use crate::config::{self, Environment};
use crate::domain::SystemClock;
use crate::sim::discord::{SimChannel, SimDiscord, SimDiscordConfig, SimGuild, SimRole};
use crate::sim::factorio::{LogFeed, SimGame, SimMod, SimServer, SimServerConfig};
use crate::sim::page::page_router;
use crate::sim::rcon::{Game, Surface};
use crate::sim::story::{DEMO_PATTERNS, Place, Story, play};
use crate::store::Store;
use crate::supervisor::signals;

/// The token the stand-in expects: any text would do.
const TOKEN: &str = "demo-token";

/// Runs the demo with its page on 127.0.0.1:`port` (0 = any free port) until a signal stops it.
pub async fn run(port: u16) -> ExitCode {
    match show(port).await {
        Ok(code) => code,
        Err(failure) => {
            // Where standard error is closed, the exit code alone must tell.
            writeln!(std::io::stderr(), "The demo cannot run: {failure:#}").ok();
            ExitCode::FAILURE
        }
    }
}

async fn show(port: u16) -> anyhow::Result<ExitCode> {
    let folder = folder().context("No temporary folder")?;
    let feed = LogFeed::new();
    let relay_address = Arc::new(OnceLock::new());
    let page = page_router(feed.clone(), Arc::clone(&relay_address));
    let discord = SimDiscord::start_with(stand_in(port), page)
        .await
        .with_context(|| format!("Cannot listen on 127.0.0.1:{port}; choose another port with --port"))?;
    // Its mod writes it in a while; that it is missing until then is nothing to warn of.
    std::fs::write(metrics_file(folder.path()), "").context("Cannot write to the temporary folder")?;
    let games = games(folder.path(), &feed).await.context("No port for a simulated RCON")?;

    let rcon = games.each_ref().map(|game| game.rcon().address().port());
    let settings = settings(folder.path(), &discord.base_url(), rcon, tracing_variables())?;
    let traces = app::observe(&settings)?;
    let signals = signals::listen().context("Cannot listen for signals")?;
    remember(&settings).await?;
    let curtain = CancellationToken::new();
    // Before the relay, which would warn of logs that are not there yet.
    let telling = tokio::spawn(play(Story::new(fastrand::u64(..)), games, curtain.clone()));
    let relay = Relay::assemble(&settings).await?;
    let address = format!("http://{}", relay.address());
    announce(&discord.base_url(), &address);
    relay_address.get_or_init(|| address);
    let code = relay.run(signals).await;
    curtain.cancel();
    telling.await.context("The story broke off")?.context("A simulated server cannot go on")?;
    discord.stop().await;
    app::flush(traces).await;
    Ok(code)
}

/// A folder of the demo's own, whose name is short where no other demo has it: it is seen in messages.
fn folder() -> std::io::Result<tempfile::TempDir> {
    let named = tempfile::Builder::new().prefix("factorio-isr-demo").rand_bytes(0).tempdir();
    named.or_else(|_| tempfile::Builder::new().prefix("factorio-isr-demo-").tempdir())
}

/// Gives the database of the demo a past, and leaves it to the relay.
async fn remember(settings: &config::Settings) -> anyhow::Result<()> {
    let store = Store::open(&settings.database.path).await?;
    past::store(&store, tag, jiff::Timestamp::now()).await?;
    store.close().await;
    Ok(())
}

fn announce(page: &str, relay: &str) {
    let text = format!(
        "\n  factorio-isr demo: two simulated Factorio servers, a stand-in for Discord, the real relay between them\n\n  \
         what players see    {page}\n  relay, status       {relay}/\n  readiness           {relay}/ready\n  \
         metrics             {relay}/metrics\n\n  On the page, write into a chat channel, or press / for the slash commands. \
         Ctrl-C stops it.\n  \
         The week before now, as /history, /top and /player tell it, is made up.\n\n"
    );
    // Where standard output is closed, the log still has the addresses.
    std::io::stdout().write_all(text.as_bytes()).ok();
}

/// The channels of a server: the chat of a place first, as the page opens with the first channel.
const CHANNELS: [(&str, &str); 5] = [
    ("chat", "What players say"),
    ("joins", "Who comes and goes"),
    ("game", "Deaths, research, rockets"),
    ("alerts", "Crashes, desyncs, moderation"),
    ("status", "How the game is, always"),
];

fn channel_id(place: Place, channel: usize) -> u64 {
    let server = Place::ALL.iter().position(|other| *other == place).unwrap_or_default();
    (1000 * (server + 1) + channel + 1) as u64
}

/// The roles the page's user may take on: id, name, permissions (32 = Manage Server).
const ROLES: [(u64, &str, u64); 2] = [(MODERATOR, "moderator", 0), (ADMIN, "admin", 32)];
const GUILD: u64 = 100;
const MODERATOR: u64 = 201;
const ADMIN: u64 = 202;

fn stand_in(port: u16) -> SimDiscordConfig {
    let channel = |place: Place, at: usize| SimChannel {
        topic: Some(CHANNELS[at].1.to_owned()),
        category: Some(place.name().to_owned()),
        ..SimChannel::new(channel_id(place, at), CHANNELS[at].0)
    };
    let all = Place::ALL.into_iter().flat_map(|place| (0..CHANNELS.len()).map(move |at| channel(place, at)));
    SimDiscordConfig {
        port,
        token: TOKEN.to_owned(),
        guild: SimGuild { id: GUILD, name: "The Factory".to_owned() },
        channels: all.collect(),
        roles: ROLES.map(|(id, name, permissions)| SimRole { id, name: name.to_owned(), permissions }).to_vec(),
        keep_messages: Some(500),
        ..SimDiscordConfig::default()
    }
}

fn tag(place: Place) -> &'static str {
    match place {
        Place::Nauvis => "nauvis",
        Place::SpaceAge => "space-age",
    }
}

fn server(place: Place, folder: &Path) -> SimServer {
    let config = SimServerConfig {
        name: place.name().to_owned(),
        console_log: folder.join(format!("{}-console.log", tag(place))),
        engine_log: Some(folder.join(format!("{}-current.log", tag(place)))),
        timezone: TimeZone::system(),
        space_age: place == Place::SpaceAge,
    };
    let server = SimServer::new(config, Arc::new(SystemClock));
    // The other one has the mod that `log()`s: it needs no configuration.
    match place {
        Place::Nauvis => server,
        Place::SpaceAge => server.with_mod(SimMod::FactoriGo(mod_log(folder))).with_metrics_file(metrics_file(folder)),
    }
}

fn mod_log(folder: &Path) -> PathBuf {
    folder.join("factorigo-chat-bot.log")
}

fn metrics_file(folder: &Path) -> PathBuf {
    folder.join("game.prom")
}

/// The files that the mods of Space Age write.
fn mod_tables(folder: &Path) -> String {
    let tag = tag(Place::SpaceAge);
    format!(
        "[servers.{tag}.mod_logs]\nfactorigo = {}\n[servers.{tag}.prometheus_file]\npath = {}\n",
        quoted(&mod_log(folder)),
        quoted(&metrics_file(folder))
    )
}

/// What RCON asks for: any text would do.
const RCON_PASSWORD: &str = "demo-rcon-password";

async fn games(folder: &Path, feed: &LogFeed) -> std::io::Result<[SimGame; 2]> {
    let start = async |place| SimGame::new(server(place, folder).shown_by(feed), RCON_PASSWORD, game(place)).await;
    let [nauvis, space_age] = Place::ALL;
    Ok([start(nauvis).await?, start(space_age).await?])
}

/// What the map of a place has seen before the story begins.
fn game(place: Place) -> Game {
    let surface = |name: &str, factor, [time, pollution, spawner_kills]: [u32; 3]| Surface {
        name: name.to_owned(),
        factor,
        time,
        pollution,
        spawner_kills,
        daytime: 0.0,
    };
    let nauvis = surface("Nauvis", 0.9485, [7, 82, 12]);
    let (admin, surfaces) = match place {
        Place::Nauvis => ("Marit.K", vec![nauvis]),
        Place::SpaceAge => ("Juno", vec![nauvis, surface("Gleba", 0.6161, [28, 53, 19])]),
    };
    let mut game = Game::default();
    game.admins.insert(admin.to_owned());
    game.surfaces = surfaces;
    if place == Place::SpaceAge {
        (game.research.queue, game.research.progress) = (vec!["space-science-pack".to_owned()], 0.37);
        game.rockets = 12;
        game.platforms = vec![("Dora".to_owned(), "gleba".to_owned())];
    }
    game
}

/// The configuration an operator would write for these two servers, whose RCON listens on these ports.
fn configuration(folder: &Path, api_base: &str, rcon: [u16; 2]) -> String {
    let database = quoted(&folder.join("factorio-isr.db"));
    let general = format!(
        "[discord]\ntoken = \"{TOKEN}\"\napi_base = \"{api_base}\"\nguild_id = {GUILD}\n\n\
         [permissions]\nmoderator = [{MODERATOR}]\nadmin = [{ADMIN}]\n\n\
         [http]\nhost = \"127.0.0.1\"\nport = 0\n\n[log]\nlevel = \"warn,factorio_isr=info\"\n\n\
         [database]\npath = {database}\n"
    );
    let [nauvis, space_age] = rcon;
    let servers = [(Place::Nauvis, nauvis), (Place::SpaceAge, space_age)];
    let tables: String = servers.into_iter().map(|(place, rcon)| server_table(place, folder, rcon)).collect();
    format!("{general}{tables}{}{DEMO_PATTERNS}", mod_tables(folder))
}

/// One server keeps its achievements, as by default; of the other, Lua tells more.
fn server_table(place: Place, folder: &Path, rcon: u16) -> String {
    let [chat, joins, game, alerts, status] = [0, 1, 2, 3, 4].map(|at| channel_id(place, at));
    format!(
        "\n[servers.{}]\nname = \"{}\"\nconsole_log = {}\nengine_log = {}\nstart_at = \"beginning\"\n\
         channels = {{ default = {chat}, joins = {joins}, server = {joins}, game = {game}, admin = {alerts}, \
         alerts = {alerts}, status = {status}, topic = {chat} }}\n\
         [servers.{}.rcon]\nhost = \"127.0.0.1\"\nport = {rcon}\npassword = \"{RCON_PASSWORD}\"\n\
         allow_lua = {}\n",
        tag(place),
        place.name(),
        quoted(&folder.join(format!("{}-console.log", tag(place)))),
        quoted(&folder.join(format!("{}-current.log", tag(place)))),
        tag(place),
        place == Place::SpaceAge,
    )
}

fn quoted(path: &Path) -> String {
    toml_edit::Value::from(path.display().to_string()).to_string()
}

/// What of the environment the demo listens to: whether traces go out, and where to. It has no need of secrets.
fn tracing_variables() -> BTreeMap<String, String> {
    let is_one = |name: &str| name.starts_with("OTEL_") || ["TRACES_ENABLED", "JAEGER_AGENT_HOST"].contains(&name);
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text).filter(|(name, _)| is_one(name)).collect()
}

fn settings(
    folder: &Path,
    api_base: &str,
    rcon: [u16; 2],
    vars: BTreeMap<String, String>,
) -> anyhow::Result<config::Settings> {
    let path = folder.join("config.toml");
    std::fs::write(&path, configuration(folder, api_base, rcon)).context("Cannot write the configuration")?;
    let env = Environment { vars, secrets_dir: folder.join("no-secrets") };
    Ok(config::load(&path, &env)?.settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_demos_have_two_folders() {
        let [one, two] = [folder().unwrap(), folder().unwrap()];
        assert_ne!(one.path(), two.path());
        let name = two.path().file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("factorio-isr-demo"), "{name}");
    }

    #[test]
    fn the_configuration_of_the_demo_is_valid() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path(), "http://127.0.0.1:8090", [27_015, 27_016], BTreeMap::new()).unwrap();
        let ports: Vec<u16> = settings.servers.iter().filter_map(|server| Some(server.rcon.as_ref()?.port)).collect();
        assert_eq!(ports, [27_015, 27_016]);
        assert!(crate::events::EventRules::new(&settings.events).is_ok());
    }
}
