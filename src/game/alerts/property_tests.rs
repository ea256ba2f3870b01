//! What holds of any alerts, whatever is seen and whenever the program is started anew.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::engine_tests::{Seen, down, evolution, evolution_of, happening, players, settings, time, ups};
use super::low_ups_tests::rough;
use super::*;
use crate::domain::{AlertKind, EventKind, Happening};

/// One thing seen, the seconds before it, and whether a silence begins or ends with it.
type Step = (Seen, u64, Option<bool>);

fn seen() -> impl Strategy<Value = Seen> {
    use EventKind as E;
    let kinds = vec![
        E::Crash,
        E::ServerCrashed,
        E::ServerOnline,
        E::ServerOffline,
        E::Ready,
        E::ScriptCrash,
        E::Desync,
        E::SaveFailed,
        E::SaveFinished,
        E::Stopped,
    ];
    let about = vec![E::Join, E::Leave, E::JoinRefused, E::Kick];
    let names = prop::sample::select(vec!["Griefer", "Bob", "Eve"]);
    prop_oneof![
        3 => (30.0..70.0_f64).prop_map(|measured| ups(measured, 60.0)),
        2 => prop::sample::select(vec![vec![], vec!["Bob"], vec!["Bob", "Griefer"]]).prop_map(|names| players(&names)),
        1 => (0.0..1.0_f64).prop_map(evolution),
        2 => Just(down()),
        4 => prop::sample::select(kinds).prop_map(|kind| Seen::Happening(kind, None)),
        3 => (prop::sample::select(about), names).prop_map(|(kind, name)| Seen::Happening(kind, Some(name))),
        4 => (0_u64..10_000, prop::option::of(0_u64..2000)).prop_map(|(read, waits)| Seen::Tick(read, waits)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let silence = prop_oneof![6 => Just(None), 1 => any::<bool>().prop_map(Some)];
    prop::collection::vec((seen(), 0_u64..1500, silence), 1..120)
}

/// As a restart leaves it: out of JSON.
fn restarted(engine: &Engine) -> Engine {
    let memory = serde_json::from_str(&serde_json::to_string(engine.memory()).unwrap()).unwrap();
    let state = |(key, state): (&AlertKey, &AlertState)| {
        (key.clone(), serde_json::from_str(&serde_json::to_string(state).unwrap()).unwrap())
    };
    Engine::new(settings(), memory, engine.states().iter().map(state).collect())
}

/// What is told, each with whether the alert was silenced.
fn run(steps: &[Step], restarts: &[bool]) -> (Vec<(Changed, bool)>, Engine) {
    let mut engine = Engine::new(settings(), Memory::default(), BTreeMap::new());
    let (mut now, mut silences, mut told) = (0, Silences::default(), Vec::new());
    for (at, (seen, seconds, silence)) in steps.iter().enumerate() {
        now += seconds;
        if let Some(begins) = silence {
            silences.all = begins.then(|| time(now + 2000));
        }
        if restarts.get(at) == Some(&true) {
            engine = restarted(&engine);
        }
        let changes = seen.show(&mut engine, &silences, time(now));
        told.extend(changes.into_iter().map(|changed| {
            let silent = silences.until(changed.key.0, time(now)).is_some();
            (changed, silent)
        }));
    }
    (told, engine)
}

proptest! {
    #[test]
    fn no_alert_fires_twice_without_a_recovery_between(steps in steps()) {
        let mut firing = BTreeMap::<AlertKey, bool>::new();
        for (changed, _) in run(&steps, &[]).0 {
            let fires = firing.entry(changed.key.clone()).or_default();
            prop_assert_eq!(*fires, changed.change != Change::Fired, "{:?}", changed);
            *fires = changed.change != Change::Recovered;
        }
    }

    #[test]
    fn no_alert_fires_twice_within_its_cooldown(steps in steps()) {
        let mut last = BTreeMap::new();
        for (changed, _) in run(&steps, &[]).0.into_iter().filter(|(changed, _)| changed.change == Change::Fired) {
            if let Some(before) = last.insert(changed.key.clone(), changed.at) {
                prop_assert!(changed.at.duration_since(before).as_secs() >= 1000, "{:?} after {before}", changed);
            }
        }
    }

    /// However much happens, a message is edited at most once in 15 s.
    #[test]
    fn no_message_is_edited_faster_than_its_floor(gaps in prop::collection::vec(0_u64..20, 1..200)) {
        let mut engine = Engine::new(settings(), Memory::default(), BTreeMap::new());
        let (mut now, mut last) = (0, None);
        for gap in gaps {
            now += gap;
            for seen in [Seen::Happening(EventKind::Desync, None), Seen::Happening(EventKind::JoinRefused, Some("Eve"))] {
                for changed in seen.show(&mut engine, &Silences::default(), time(now)) {
                    if changed.key.0 == AlertKind::Desync && changed.change != Change::Reminded {
                        let before = last.replace(now);
                        prop_assert!(before.is_none_or(|before| now - before >= 15), "{before:?}, {now}");
                    }
                }
            }
        }
    }

    /// Of a save with any number of surfaces, the most evolved are followed, and no alert stays behind.
    #[test]
    fn evolution_is_followed_on_a_bounded_number_of_surfaces(
        samples in prop::collection::vec(prop::collection::btree_map("[a-z]{1,3}", 0.0..1.0_f64, 0..250), 1..4),
    ) {
        let mut engine = Engine::new(settings(), Memory::default(), BTreeMap::new());
        for (sample, surfaces) in (0..).zip(&samples) {
            let seen: Vec<_> = surfaces.clone().into_iter().collect();
            evolution_of(&seen).show(&mut engine, &Silences::default(), time(sample * 30));
            let kept = &engine.memory().evolution;
            prop_assert!(kept.len() <= 100, "{}", kept.len());
            let least = kept.iter().filter(|(name, _)| surfaces.contains_key(*name)).map(|(_, step)| step.factor);
            let least = least.fold(1.0, f64::min);
            let better = surfaces.iter().filter(|(name, factor)| **factor > least && !kept.contains_key(*name)).count();
            prop_assert_eq!(better, 0, "what is dropped is less evolved than what is kept");
        }
        evolution_of(&[]).show(&mut engine, &Silences::default(), time(1000));
        prop_assert_eq!(engine.firing(AlertKind::Evolution), 0);
    }

    #[test]
    fn what_is_silenced_neither_fires_nor_reminds(steps in steps()) {
        for (changed, silent) in run(&steps, &[]).0 {
            prop_assert!(!silent || changed.change == Change::Recovered, "{:?}", changed);
        }
    }

    /// Whatever is read within the error that is stated: a map at `below` or more never makes it fire, and one at
    /// `recovered` or more always ends it.
    #[test]
    fn low_ups_believes_no_reading_beyond_its_error(
        truth in 55.0..60.0_f64, offs in prop::collection::vec((-1.0..1.0_f64, 0.01..8.0_f64), 3..30),
    ) {
        let mut engine = Engine::new(settings(), Memory::default(), BTreeMap::new());
        let readings = offs.iter().map(|(off, error)| rough(truth + off * error, *error));
        for (second, reading) in (0..).zip(readings.clone()) {
            let changes = reading.show(&mut engine, &Silences::default(), time(second));
            prop_assert_eq!(changes, vec![], "{:?}", reading);
        }
        let mut slow = Engine::new(settings(), Memory::default(), BTreeMap::new());
        (0..3).for_each(|second| drop(ups(40.0, 60.0).show(&mut slow, &Silences::default(), time(second))));
        prop_assert_eq!(slow.firing(AlertKind::LowUps), 1);
        if truth >= 58.0 {
            let first = readings.clone().next().unwrap();
            prop_assert_eq!(first.show(&mut slow, &Silences::default(), time(10)).len(), 1, "{:?}", first);
        }
    }

    #[test]
    fn restarts_change_nothing(steps in steps(), restarts in prop::collection::vec(any::<bool>(), 120)) {
        let (told, engine) = run(&steps, &[]);
        let (told_anew, anew) = run(&steps, &restarts);
        prop_assert_eq!(told, told_anew);
        prop_assert_eq!(engine.memory(), anew.memory());
        prop_assert_eq!(engine.states(), anew.states());
    }

    #[test]
    fn what_is_remembered_is_bounded(names in prop::collection::vec("[a-z]{1,12}", 200..400)) {
        let mut engine = Engine::new(settings(), Memory::default(), BTreeMap::new());
        for (second, name) in (0..).zip(&names) {
            let happening = Happening { player: Some(name.clone()), ..happening(EventKind::JoinRefused, second) };
            engine.take(&Input::Happening(&happening), &Silences::default(), time(second));
        }
        prop_assert!(engine.memory().refused.len() <= 64);
        prop_assert!(engine.firing(AlertKind::JoinRefused) <= names.len() / 3);
    }
}
