//! The server: what happens in the game, as lines in its two logs.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::engine;
use super::feed::{LogFeed, Tap};
use super::log_file::LogFile;
use super::map_clock::{MapClock, MapState};
use super::metrics_file::{GameNumbers, MetricsFile};
use super::mods::{Counts, ModOutput, SimMod, Told};
use crate::domain::{Clock, LogSource};

/// Who acts where it is no player: the server's own console, or RCON.
pub const SERVER_ACTOR: &str = "<server>";
/// The tick of the save a first start loads.
const FIRST_TICK: u64 = 4_968_001;
/// graftorio2 writes its file once in so many ticks, by its usual settings.
const METRICS_EVERY: u64 = 300;
/// The game autosaves into `_autosave1` to this one in turn.
const AUTOSAVE_SLOTS: u32 = 5;

/// What a [`SimServer`] is made of.
#[derive(Debug, Clone)]
pub struct SimServerConfig {
    /// For people; also the name of its save.
    pub name: String,
    /// The file of `--console-log`.
    pub console_log: PathBuf,
    /// `factorio-current.log`; `None` = no engine lines are written.
    pub engine_log: Option<PathBuf>,
    /// The zone of the server process: console lines carry its local time, without saying so.
    pub timezone: TimeZone,
    /// Whether it runs the Space Age expansion.
    pub space_age: bool,
}

/// A running or stopped server. Every method writes what the game would write, at once, one `write(2)` for a line.
///
/// Nothing is checked: a player may chat without having joined, a stopped server may be made to talk.
pub struct SimServer {
    name: Arc<str>,
    save: String,
    space_age: bool,
    timezone: TimeZone,
    clock: Arc<dyn Clock>,
    console: LogFile,
    engine: Option<LogFile>,
    started: Timestamp,
    map: MapClock,
    peers: HashMap<String, u32>,
    next_peer: u32,
    player_indices: HashMap<String, u32>,
    autosave_slot: u32,
    companion: SimMod,
    mod_log: Option<LogFile>,
    counts: Counts,
    metrics_file: Option<MetricsFile>,
    /// graftorio2's `nth-tick`, and the tick of its last writing.
    metrics: (u64, Option<u64>),
}

impl SimServer {
    /// A server that has not been started. No file is touched.
    #[must_use]
    pub fn new(config: SimServerConfig, clock: Arc<dyn Clock>) -> Self {
        let slug: String = config.name.chars().map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect();
        Self {
            name: config.name.into(),
            save: format!("/opt/factorio/saves/{slug}.zip"),
            space_age: config.space_age,
            timezone: config.timezone,
            started: clock.now(),
            map: MapClock::new(Arc::clone(&clock), FIRST_TICK),
            clock,
            console: LogFile::new(config.console_log),
            engine: config.engine_log.map(LogFile::new),
            peers: HashMap::new(),
            next_peer: 1,
            player_indices: HashMap::new(),
            autosave_slot: 0,
            companion: SimMod::default(),
            mod_log: None,
            counts: Counts::default(),
            metrics_file: None,
            metrics: (METRICS_EVERY, None),
        }
    }

    /// Shows every line of both logs to `feed`, too.
    #[must_use]
    pub fn shown_by(mut self, feed: &LogFeed) -> Self {
        self.console.set_tap(Tap::new(feed.clone(), self.name.clone(), LogSource::Console));
        if let Some(engine) = &mut self.engine {
            engine.set_tap(Tap::new(feed.clone(), self.name.clone(), LogSource::Engine));
        }
        self
    }

    /// With this mod, in place of the usual one. The directory of its file must exist.
    #[must_use]
    pub fn with_mod(mut self, companion: SimMod) -> Self {
        self.mod_log = companion.file().cloned().map(LogFile::new);
        self.companion = companion;
        self
    }

    /// With graftorio2, which writes its metrics to `path`.
    #[must_use]
    pub fn with_metrics_file(mut self, path: PathBuf) -> Self {
        self.metrics_file = Some(MetricsFile::new(path));
        self
    }

    /// The same, written once in so many ticks instead of 300.
    #[must_use]
    pub fn with_metrics_every(mut self, ticks: u64) -> Self {
        self.metrics.0 = ticks;
        self
    }

    /// The file of the mod's own, to rotate or truncate it; `None` where the mod has none.
    pub fn mod_log(&mut self) -> Option<&mut LogFile> {
        self.mod_log.as_mut()
    }

    /// graftorio2 writes its file, if it is there, the game runs, and its map has gone on by enough ticks since. `numbers`
    /// are those that nobody but the map knows.
    pub fn write_metrics(&mut self, numbers: GameNumbers) -> io::Result<()> {
        let tick = self.tick();
        let Some(file) = self.metrics_file.as_ref().filter(|_| self.map.state.running) else { return Ok(()) };
        let (every, last) = self.metrics;
        if last.is_some_and(|last| last / every == tick / every) {
            return Ok(());
        }
        self.metrics.1 = Some(tick);
        let produced = [("iron-plate", 11), ("copper-plate", 7), ("rocket-part", 1)];
        let produced = produced.map(|(name, rate)| (name.to_owned(), tick / 60 * rate)).to_vec();
        file.write(&GameNumbers { tick, known: self.player_indices.len(), produced, ..numbers })
    }

    /// The server's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The console log: to rotate, truncate, remove or reopen it.
    pub fn console(&mut self) -> &mut LogFile {
        &mut self.console
    }

    /// Starts the server: opens both logs anew, `factorio-current.log` of the run before becoming
    /// `factorio-previous.log`, and writes from `=== Log opened` and the engine's header to the ready line.
    pub fn start(&mut self) -> io::Result<()> {
        self.forget_peers();
        self.console.reopen()?;
        self.renew_engine_log()?;
        self.started = self.clock.now();
        let first_tick = self.tick();
        self.map.change(|map| map.running = true);
        self.console.write_line(&format!("=== Log opened {} ===", self.date()))?;
        self.engine_lines(&engine::starting(&self.date(), &self.save, self.space_age, first_tick))
    }

    fn renew_engine_log(&mut self) -> io::Result<()> {
        let Some(log) = &mut self.engine else { return Ok(()) };
        if log.path().exists() {
            fs::rename(log.path(), log.path().with_file_name("factorio-previous.log"))?;
        }
        log.reopen()
    }

    /// Stops the server in order, as on SIGTERM, down to `=== Log closed` and `Goodbye`.
    pub fn stop(&mut self) -> io::Result<()> {
        self.close(&engine::stopping(&self.save, self.tick()))
    }

    /// Stops the server in order, as on `/quit` over RCON.
    pub fn quit(&mut self) -> io::Result<()> {
        self.close(&engine::remote_quit(&self.save, self.tick()))
    }

    fn close(&mut self, last_words: &[String]) -> io::Result<()> {
        self.console.write_line(&format!("=== Log closed {} ===", self.date()))?;
        self.engine_lines(last_words)?;
        self.crash();
        Ok(())
    }

    /// Ends the server as `kill -9` does: the logs just end.
    pub fn crash(&mut self) {
        self.map.change(|map| map.running = false);
        self.forget_peers();
        self.console.close();
        if let Some(engine) = &mut self.engine {
            engine.close();
        }
    }

    fn forget_peers(&mut self) {
        self.peers.clear();
        self.map.change(|map| map.peopled = false);
        self.next_peer = 1;
    }

    /// Whether it was started, and not stopped since.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.map.state.running
    }

    /// Whether a player ever joined.
    #[must_use]
    pub fn has_seen(&self, player: &str) -> bool {
        self.player_indices.contains_key(player)
    }

    /// The age of the map, at 60 ticks a second.
    #[must_use]
    pub fn map_age(&self) -> Duration {
        Duration::from_nanos(self.tick() * 1_000_000_000 / 60)
    }

    /// How the map goes on, as it is now.
    #[must_use]
    pub fn map(&self) -> MapState {
        self.map.state
    }

    /// Changes how the map goes on: its speed, what the machine manages, pauses.
    pub fn change_map(&mut self, change: impl FnOnce(&mut MapState)) {
        self.map.change(change);
    }

    /// The map stands in a blocking save, or goes on behind it.
    pub fn stall(&mut self, saving: bool) {
        self.map.change(|map| map.saving = saving);
    }

    /// An older save is loaded. In a real game that takes a restart.
    pub fn roll_back(&mut self, by: Duration) {
        let ticks = u64::try_from(by.as_millis() * 60 / 1000).unwrap_or(u64::MAX);
        self.map.load(self.tick().saturating_sub(ticks));
    }

    /// A command comes: a map that stands because nobody is there goes on a little.
    pub(super) fn nudge(&mut self) {
        self.map.nudge();
    }

    /// RCON listens at `address`.
    pub fn rcon_is_up(&mut self, address: SocketAddr) -> io::Result<()> {
        self.engine_lines(&[engine::rcon_up(address)])
    }

    /// Somebody connects to RCON.
    pub fn rcon_connected(&mut self, from: SocketAddr) -> io::Result<()> {
        self.engine_lines(&[engine::rcon_connected(from)])
    }

    /// A player comes in.
    pub fn join(&mut self, player: &str) -> io::Result<()> {
        let peer = self.next_peer;
        self.next_peer += 1;
        self.peers.insert(player.to_owned(), peer);
        self.map.change(|map| map.peopled = true);
        let known = self.player_indices.len();
        let new = !self.player_indices.contains_key(player);
        let next_index = u32::try_from(known).unwrap_or(u32::MAX);
        let index = *self.player_indices.entry(player.to_owned()).or_insert(next_index);
        self.engine_lines(&engine::joining(self.tick(), peer, index, new))?;
        self.console_line("[JOIN]", format_args!("{player} joined the game"))
    }

    /// A player goes.
    pub fn leave(&mut self, player: &str) -> io::Result<()> {
        self.disconnect(player)?;
        self.console_line("[LEAVE]", format_args!("{player} left the game"))
    }

    fn disconnect(&mut self, player: &str) -> io::Result<()> {
        let peer = self.peers.remove(player);
        let peopled = !self.peers.is_empty();
        self.map.change(|map| map.peopled = peopled);
        match peer {
            Some(peer) => self.engine_lines(&engine::leaving(self.tick(), peer)),
            None => Ok(()),
        }
    }

    /// A player says something.
    pub fn chat(&mut self, player: &str, text: &str) -> io::Result<()> {
        self.console_line("[CHAT]", format_args!("{player}: {text}"))
    }

    /// The server's console or RCON says something.
    pub fn server_chat(&mut self, text: &str) -> io::Result<()> {
        self.chat(SERVER_ACTOR, text)
    }

    /// A player says something to all forces.
    pub fn shout(&mut self, player: &str, text: &str) -> io::Result<()> {
        self.console_line("[SHOUT]", format_args!("{player}: {text}"))
    }

    /// Somebody runs a Lua command with `/c`.
    pub fn command(&mut self, actor: &str, lua: &str) -> io::Result<()> {
        self.console_line("[COMMAND]", format_args!("{actor} (command): {lua}"))
    }

    /// The game warns of a first Lua command on this save.
    pub fn command_warning(&mut self, actor: &str, lua: &str) -> io::Result<()> {
        self.console_line("[WARNING]", format_args!("Player {actor} tried using the command \"{lua}\"."))?;
        self.console_line(
            "[WARNING]",
            format_args!("Using Lua console commands will disable achievements. Please repeat the command to proceed."),
        )
    }

    /// A player is kicked. Without a reason the game says `unspecified`.
    pub fn kick(&mut self, player: &str, actor: &str, reason: Option<&str>) -> io::Result<()> {
        let reason = reason.unwrap_or("unspecified");
        self.disconnect(player)?;
        self.console_line("[KICK]", format_args!("{player} was kicked by {actor}. Reason: {reason}."))
    }

    /// A player is banned, `(not on map)` where absent.
    pub fn ban(&mut self, player: &str, actor: &str, reason: Option<&str>) -> io::Result<()> {
        let reason = reason.unwrap_or("unspecified");
        let absent = if self.peers.contains_key(player) { "" } else { " (not on map)" };
        self.disconnect(player)?;
        self.console_line("[BAN]", format_args!("{player}{absent} was banned by {actor}. Reason: {reason}."))
    }

    /// A ban is lifted.
    pub fn unban(&mut self, player: &str, actor: &str) -> io::Result<()> {
        self.console_line("[UNBANNED]", format_args!("{player} was unbanned by {actor}."))
    }

    /// A player becomes an admin.
    pub fn promote(&mut self, player: &str, actor: &str) -> io::Result<()> {
        self.console_line("[PROMOTE]", format_args!("{player} was promoted to admin by {actor}."))
    }

    /// Somebody who never played here becomes an admin. The tag of this line is not known from a real server.
    pub fn enlist_admin(&mut self, player: &str, actor: &str) -> io::Result<()> {
        let text = "was added to the admin list by";
        self.console_line(
            "[PROMOTE]",
            format_args!("{player} {text} {actor} and will be promoted upon joining the game."),
        )
    }

    /// A player is no longer an admin.
    pub fn demote(&mut self, player: &str, actor: &str) -> io::Result<()> {
        self.console_line("[DEMOTE]", format_args!("{player} was demoted from admin by {actor}."))
    }

    /// An autosave, into the next of five slots.
    pub fn autosave(&mut self) -> io::Result<()> {
        self.autosave_slot = self.autosave_slot % AUTOSAVE_SLOTS + 1;
        self.engine_lines(&engine::autosave(self.autosave_slot))
    }

    /// A save on order, into the server's own file or the one named.
    pub fn save(&mut self, name: Option<&str>) -> io::Result<()> {
        let path = name.map_or_else(|| self.save.clone(), |name| format!("/opt/factorio/saves/{name}.zip"));
        self.engine_lines(&engine::save(&path))
    }

    /// A player's game goes out of step. Nothing is written about a player who is not there.
    pub fn desync(&mut self, player: &str) -> io::Result<()> {
        match self.peers.get(player) {
            Some(peer) => self.engine_lines(&[engine::desync(self.tick(), *peer)]),
            None => Ok(()),
        }
    }

    /// A player dies; `cause` is an entity's name, or nothing. The game itself says nothing: the mod does.
    pub fn companion_died(&mut self, player: &str, cause: &str) -> io::Result<()> {
        self.mod_tells(Told::Died(player, cause))
    }

    /// A technology is begun, as the mod says it.
    pub fn companion_research_started(&mut self, technology: &str, level: u32) -> io::Result<()> {
        self.mod_tells(Told::ResearchStarted(technology, level))
    }

    /// A technology is done, as the mod says it.
    pub fn companion_research_finished(&mut self, technology: &str, level: u32) -> io::Result<()> {
        self.mod_tells(Told::ResearchFinished(technology, level))
    }

    /// A rocket goes up, as the mod says it.
    pub fn companion_rocket_launched(&mut self) -> io::Result<()> {
        self.mod_tells(Told::Rocket)
    }

    fn mod_tells(&mut self, told: Told<'_>) -> io::Result<()> {
        let tick = self.tick();
        for line in self.counts.lines(&self.companion, told, tick) {
            match line {
                ModOutput::Logged(source, text) => self.script_log(source, &text)?,
                ModOutput::Printed(text) => self.raw_line(&text)?,
                ModOutput::Written(text) => {
                    if let Some(log) = &mut self.mod_log {
                        log.write_line(&text)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A mod's `log(text)` at `source`, as `__my-mod__/control.lua:7`.
    pub fn script_log(&mut self, source: &str, text: &str) -> io::Result<()> {
        self.engine_lines(&[engine::script(source, text)])
    }

    /// `text` and a line end in the console log, nothing added: a stack trace, an odd line, the rest of a half one.
    pub fn raw_line(&mut self, text: &str) -> io::Result<()> {
        self.console.write_line(text)
    }

    /// `text` in the console log without a line end, as a reader sees a line that is still being written.
    pub fn half_line(&mut self, text: &str) -> io::Result<()> {
        self.console.write(text.as_bytes())
    }

    fn console_line(&mut self, tag: &str, text: fmt::Arguments<'_>) -> io::Result<()> {
        let line = format!("{} {tag} {text}", self.date());
        self.console.write_line(&line)
    }

    fn engine_lines(&mut self, messages: &[String]) -> io::Result<()> {
        let elapsed = self.elapsed_seconds();
        let Some(log) = &mut self.engine else { return Ok(()) };
        messages.iter().try_for_each(|message| log.write_line(&engine::stamp(elapsed, message)))
    }

    fn elapsed_seconds(&self) -> f64 {
        self.clock.now().duration_since(self.started).as_secs_f64()
    }

    fn tick(&self) -> u64 {
        self.map.tick()
    }

    fn date(&self) -> String {
        self.clock.now().to_zoned_datetime(self.timezone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }
}

impl fmt::Debug for SimServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimServer").field("name", &self.name).field("console", &self.console).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
