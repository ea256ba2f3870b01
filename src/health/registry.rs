//! The states of all components, shared by clones.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::domain::ServerTag;

/// The parts of the program an operator is told about. Names are fixed: dashboards and probes rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Component {
    /// The gateway connection and the token.
    Discord,
    /// The reading of the logs; its parts are the logs.
    LogTailer,
    /// Lines to outbox rows.
    Pipeline,
    /// Outbox rows to Discord.
    Delivery,
    /// The database.
    Store,
    /// The servers' consoles; its parts are the servers.
    Rcon,
}

impl Component {
    /// All components.
    pub const ALL: [Self; 6] =
        [Self::Discord, Self::LogTailer, Self::Pipeline, Self::Delivery, Self::Store, Self::Rcon];

    /// The component's name in answers and metric labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Discord => "discord",
            Self::LogTailer => "log_tailer",
            Self::Pipeline => "pipeline",
            Self::Delivery => "delivery",
            Self::Store => "store",
            Self::Rcon => "rcon",
        }
    }
}

/// How a component or a part of one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ComponentState {
    /// Not known yet.
    Starting,
    /// Does its work.
    Healthy,
    /// Does its work, but an operator should know this.
    Degraded(String),
    /// Does not do its work, for this reason.
    Unhealthy(String),
}

impl ComponentState {
    /// The state's name in answers.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Degraded(_) => "degraded",
            Self::Unhealthy(_) => "unhealthy",
        }
    }

    /// Why it is not healthy.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Degraded(reason) | Self::Unhealthy(reason) => Some(reason),
            Self::Starting | Self::Healthy => None,
        }
    }

    /// Whether the work is done: healthy or degraded.
    #[must_use]
    pub fn works(&self) -> bool {
        matches!(self, Self::Healthy | Self::Degraded(_))
    }
}

/// One part's state and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartStatus {
    /// The state.
    pub state: ComponentState,
    /// When it took this state (a new reason is a new state).
    pub since: Timestamp,
    /// The state without the notes.
    reported: ComponentState,
    /// What else an operator should know, by topic.
    notes: BTreeMap<&'static str, String>,
}

impl PartStatus {
    fn new() -> Self {
        let state = ComponentState::Starting;
        Self { state: state.clone(), since: Timestamp::now(), reported: state, notes: BTreeMap::new() }
    }

    /// The reported state; with notes, a part that does its work is degraded.
    fn effective(&self) -> ComponentState {
        let notes = self.notes.values().map(String::as_str);
        match &self.reported {
            state if self.notes.is_empty() => state.clone(),
            ComponentState::Healthy => ComponentState::Degraded(notes.collect::<Vec<_>>().join("; ")),
            ComponentState::Degraded(reason) => {
                let all: Vec<&str> = std::iter::once(reason.as_str()).chain(notes).collect();
                ComponentState::Degraded(all.join("; "))
            }
            state => state.clone(),
        }
    }

    /// Takes the effective state. False when that is the one it has.
    fn update(&mut self) -> bool {
        let state = self.effective();
        let changed = state != self.state;
        if changed {
            (self.state, self.since) = (state, Timestamp::now());
        }
        changed
    }
}

/// Every part's state, by component and part name.
pub type States = BTreeMap<Key, PartStatus>;

/// `(component, part)`; the part is empty for a component that has none, else `TAG/console`, `TAG/engine`, a channel id.
pub type Key = (Component, String);

/// All states. Clones share them.
#[derive(Debug, Clone)]
pub struct HealthRegistry {
    states: Arc<watch::Sender<States>>,
}

/// Reports for one part. Clones report for the same.
#[derive(Debug, Clone)]
pub struct ComponentHandle {
    registry: HealthRegistry,
    key: Key,
}

/// A component is as well as the worst of its parts (`Unhealthy`, then `Starting`, then `Degraded`): that one.
/// `None` when nobody reports for it.
#[must_use]
pub fn worst_part(states: &States, component: Component) -> Option<&PartStatus> {
    let severity = |status: &&PartStatus| match status.state {
        ComponentState::Unhealthy(_) => 3,
        ComponentState::Starting => 2,
        ComponentState::Degraded(_) => 1,
        ComponentState::Healthy => 0,
    };
    let parts = states.iter().filter(|((of, _), _)| *of == component);
    parts.map(|(_, status)| status).max_by_key(severity)
}

impl Default for HealthRegistry {
    fn default() -> Self {
        Self::new()
    }
}

impl HealthRegistry {
    /// A registry in which nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self { states: Arc::new(watch::Sender::new(BTreeMap::new())) }
    }

    /// A handle for a component as a whole. It begins as [`ComponentState::Starting`].
    #[must_use]
    pub fn component(&self, component: Component) -> ComponentHandle {
        self.part(component, "")
    }

    /// A handle for a server's part of a component, as `TAG/console`.
    #[must_use]
    pub fn server_part(&self, component: Component, server: &ServerTag, part: &str) -> ComponentHandle {
        self.part(component, &format!("{server}/{part}"))
    }

    /// A handle for any part of a component.
    #[must_use]
    pub fn part(&self, component: Component, part: &str) -> ComponentHandle {
        let handle = ComponentHandle { registry: self.clone(), key: (component, part.to_owned()) };
        self.states.send_if_modified(|states| {
            let before = states.len();
            states.entry(handle.key.clone()).or_insert_with(PartStatus::new);
            states.len() != before
        });
        handle
    }

    /// Reports the state of a part. Unlike a new handle, this never shows the part as [`ComponentState::Starting`].
    pub fn report(&self, component: Component, part: &str, state: ComponentState) {
        let handle = ComponentHandle { registry: self.clone(), key: (component, part.to_owned()) };
        handle.set(state);
    }

    /// The component's state: the worst of its parts (`Unhealthy`, then `Starting`, then `Degraded`).
    /// `None` when nobody reports for it.
    #[must_use]
    pub fn state(&self, component: Component) -> Option<ComponentState> {
        worst_part(&self.states.borrow(), component).map(|status| status.state.clone())
    }

    /// Every part's state, by component and part name.
    #[must_use]
    pub fn snapshot(&self) -> States {
        self.states.borrow().clone()
    }

    /// Changes as they come, for pages that watch and tests that wait.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<States> {
        self.states.subscribe()
    }
}

impl ComponentHandle {
    /// Which component this reports for.
    #[must_use]
    pub fn component(&self) -> Component {
        self.key.0
    }

    /// Reports [`ComponentState::Healthy`].
    pub fn healthy(&self) {
        self.set(ComponentState::Healthy);
    }

    /// Reports [`ComponentState::Degraded`].
    pub fn degraded(&self, reason: impl Into<String>) {
        self.set(ComponentState::Degraded(reason.into()));
    }

    /// Reports [`ComponentState::Unhealthy`].
    pub fn unhealthy(&self, reason: impl Into<String>) {
        self.set(ComponentState::Unhealthy(reason.into()));
    }

    /// Reports any state; the same state again keeps its `since`.
    pub fn set(&self, state: ComponentState) {
        self.change(|status| status.reported = state);
    }

    /// Notes what an operator should know beside the reported state; `None` removes the note. While there is one, a part
    /// that is reported healthy is degraded.
    pub fn note(&self, topic: &'static str, text: Option<String>) {
        self.change(|status| match text {
            Some(text) => drop(status.notes.insert(topic, text)),
            None => drop(status.notes.remove(topic)),
        });
    }

    fn change(&self, change: impl FnOnce(&mut PartStatus)) {
        self.registry.states.send_if_modified(|states| {
            let status = states.entry(self.key.clone()).or_insert_with(PartStatus::new);
            change(status);
            status.update()
        });
    }

    /// Forgets the part, as a parked channel that is free again.
    pub fn remove(&self) {
        self.registry.states.send_if_modified(|states| states.remove(&self.key).is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_as_well_as_its_worst_part() {
        let health = HealthRegistry::new();
        assert_eq!(health.state(Component::LogTailer), None);
        let a = health.part(Component::LogTailer, "a/console");
        let b = health.part(Component::LogTailer, "b/console");
        a.healthy();
        assert_eq!(health.state(Component::LogTailer), Some(ComponentState::Starting));
        b.unhealthy("no such file");
        assert_eq!(health.state(Component::LogTailer), Some(ComponentState::Unhealthy("no such file".into())));
        b.remove();
        assert_eq!(health.state(Component::LogTailer), Some(ComponentState::Healthy));
    }

    #[test]
    fn a_note_degrades_a_part_that_works_until_it_is_removed() {
        let health = HealthRegistry::new();
        let (tail, pipeline) =
            (health.part(Component::LogTailer, "a/console"), health.part(Component::LogTailer, "a/console"));
        let state = || health.state(Component::LogTailer).unwrap();
        pipeline.note("content", Some("it is compressed".to_owned()));
        assert_eq!(state(), ComponentState::Starting);
        tail.healthy();
        tail.healthy();
        assert_eq!(state(), ComponentState::Degraded("it is compressed".into()));
        tail.degraded("it is gone");
        assert_eq!(state(), ComponentState::Degraded("it is gone; it is compressed".into()));
        tail.unhealthy("no such file");
        assert_eq!(state(), ComponentState::Unhealthy("no such file".into()));
        tail.healthy();
        pipeline.note("content", None);
        assert_eq!(state(), ComponentState::Healthy);
    }

    #[test]
    fn the_same_report_again_keeps_its_time() {
        let health = HealthRegistry::new();
        let discord = health.component(Component::Discord);
        discord.unhealthy("refused");
        let before = health.snapshot();
        discord.unhealthy("refused");
        assert_eq!(health.snapshot(), before);
    }
}
