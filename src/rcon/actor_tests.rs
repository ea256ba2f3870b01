use std::time::Duration;

use secrecy::SecretString;
use tokio::time::timeout;

use super::*;
use crate::domain::ServerTag;
use crate::health::HealthRegistry;
use crate::rcon::{Command, Priority, RconTarget, RconTimes, connect};
use crate::sim::rcon::{Fault, Game, SimRcon};

#[tokio::test]
async fn a_panic_of_the_protocols_code_is_a_reconnect() {
    let sim = SimRcon::start("secret", Game::default(), |_| {}).await.unwrap();
    let target = RconTarget {
        server: ServerTag::new("prod").unwrap(),
        host: sim.address().ip().to_string(),
        port: sim.address().port(),
        password: SecretString::from("secret"),
        allow_lua: false,
    };
    let backoff = Backoff { first: Duration::from_millis(5), max: Duration::from_millis(20), ..Backoff::default() };
    let (client, mut actor) = connect(target, RconTimes { backoff, ..RconTimes::default() }, &HealthRegistry::new());
    actor.guard = |stream| Box::new(stream);
    let cancel = CancellationToken::new();
    let running = tokio::spawn(actor.run(cancel.clone()));

    sim.set_fault(Fault::Length(3));
    assert_eq!(client.command(Priority::Person, Command::Time, None).await, Err(RconError::Crashed));
    sim.set_fault(Fault::None);
    let version = client.command(Priority::Person, Command::Version, None).await.unwrap();
    assert_eq!(version.text, "2.0.77");
    assert_eq!(sim.seen().connects, 2);
    cancel.cancel();
    timeout(Duration::from_secs(10), running).await.unwrap().unwrap().unwrap();
}

#[test]
fn waits_grow_and_are_spread_also_with_a_wrong_password() {
    let seconds =
        |error: &RconError, failures, chance| wait_after(error, failures, Backoff::default(), chance).as_secs();
    let refused = [1, 2, 3, 4, 9, u32::MAX].map(|failures| seconds(&RconError::Refused, failures, 1.0));
    assert_eq!(refused, [1, 2, 4, 8, 60, 60]);
    assert_eq!(seconds(&RconError::Refused, 4, 0.0), 4);
    let wrong = [(1, 0.0), (1, 0.5), (1, 1.0), (9, 0.0)];
    assert_eq!(wrong.map(|(failures, chance)| seconds(&RconError::WrongPassword, failures, chance)), [30, 45, 60, 30]);
}
