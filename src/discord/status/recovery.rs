//! The moment at which Discord can be reached again, as delivery and the gateway find it.

use tokio::sync::watch;

use crate::health::{Component, HealthRegistry, States};

/// What fails and recovers together with the requests of the status messages.
const WATCHED: [Component; 2] = [Component::Delivery, Component::Discord];

/// Waits for recoveries.
#[derive(Debug)]
pub(super) struct Recoveries {
    states: watch::Receiver<States>,
    /// Which of [`WATCHED`] worked when last looked at.
    worked: [bool; WATCHED.len()],
}

impl Recoveries {
    pub(super) fn new(health: &HealthRegistry) -> Self {
        let mut states = health.subscribe();
        let worked = working(&states.borrow_and_update());
        Self { states, worked }
    }

    /// Waits until delivery or the gateway works that did not work before. Loses nothing when it is dropped.
    pub(super) async fn next(&mut self) {
        loop {
            if self.states.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            let working = working(&self.states.borrow_and_update());
            let before = std::mem::replace(&mut self.worked, working);
            if working.iter().zip(before).any(|(works, worked)| *works && !worked) {
                return;
            }
        }
    }
}

/// A component that did not report yet counts as working: its first report is no recovery.
fn working(states: &States) -> [bool; WATCHED.len()] {
    WATCHED.map(|component| states.get(&(component, String::new())).is_none_or(|part| part.state.works()))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn only_the_end_of_a_failure_is_a_recovery() {
        let health = HealthRegistry::new();
        let mut recoveries = Recoveries::new(&health);
        let mut recovered = || recoveries.next().now_or_never().is_some();
        let delivery = health.component(Component::Delivery);
        delivery.healthy();
        assert!(!recovered(), "the first report");
        delivery.unhealthy("down");
        assert!(!recovered());
        delivery.unhealthy("still down");
        assert!(!recovered());
        delivery.healthy();
        assert!(recovered());
        delivery.degraded("slow");
        assert!(!recovered(), "a degraded component works");
    }
}
