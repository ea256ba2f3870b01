//! The game's side of the relay's Lua sample: one JSON of its state.

use serde_json::{Value, json};

use super::game::{Game, Surface};

/// All that can be asked for.
const SECTIONS: [&str; 12] = [
    "players",
    "evolution",
    "research",
    "rockets",
    "platforms",
    "seeds",
    "items",
    "fluids",
    "kills",
    "pollution",
    "builds",
    "electricity",
];

/// What the game prints for the relay's sample: a JSON of the sections that it asks for. In it, as in Lua, an empty list is
/// an empty table.
pub(super) fn sample_of(game: &Game, lua: &str) -> Value {
    let tick = u64::try_from(game.tick()).unwrap_or(u64::MAX);
    let map = json!({ "tick": tick, "speed": game.speed, "paused": game.halted, "known": game.players.len() });
    let mut answer = json!({ "map": map, "version": game.version, "errors": {} });
    for section in SECTIONS {
        if lua.contains(&format!("S('{section}',")) {
            answer[section] = of_section(game, section, tick);
        }
    }
    answer
}

fn of_section(game: &Game, section: &str, tick: u64) -> Value {
    match section {
        "players" => {
            let online = game.players.iter().filter(|(_, player)| player.online);
            list(online.map(|(name, _)| json!({ "name": name, "ticks": tick / 2 })))
        }
        "evolution" => list(game.surfaces.iter().map(|surface| enemies(game, surface))),
        "research" => {
            let progress = game.research.progress;
            let current = game.research.queue.first().map(|name| {
                json!({ "force": "player", "name": name, "level": 1, "progress": progress,
                        "queue": [{ "name": name, "level": 1 }] })
            });
            list(current.or_else(|| Some(json!({ "force": "player", "queue": {} }))))
        }
        "rockets" => {
            let items = json!({ "satellite": game.rockets });
            list([json!({ "force": "player", "launched": game.rockets, "items": items, "cut": 0 })])
        }
        "platforms" => list(game.platforms.iter().map(|(name, location)| {
            json!({ "force": "player", "name": name, "state": "waiting_at_station", "location": location })
        })),
        "seeds" => json!({ "nauvis": game.seed }),
        "items" => flow(game, game.production.iter().map(|(name, a_minute)| (name.as_str(), *a_minute)), tick),
        "kills" => flow(game, [("small-biter", 40.0), ("medium-spitter", 6.0)], tick),
        "pollution" => flow(game, [("boiler", 900.0), ("electric-mining-drill", 4000.0)], tick),
        "builds" => flow(game, [("transport-belt", 25.0), ("inserter", 8.0)], tick),
        "electricity" => networks(flow(game, [("steam-engine", 3_600_000.0)], tick)),
        _ => flow(game, [("water", 72_000.0), ("crude-oil", 9000.0)], tick),
    }
}

/// Made at its rate since the map began, and four fifths of it used.
fn flow<'a>(game: &Game, made: impl IntoIterator<Item = (&'a str, f64)>, tick: u64) -> Value {
    let (mut input, mut output) = (json!({}), json!({}));
    for (name, a_minute) in made {
        let count = (a_minute * tick as f64 / 3600.0).floor();
        input[name] = count.into();
        output[name] = (count * 0.8).floor().into();
    }
    let mut flow = json!({ "force": "player", "input": input, "output": output, "input_cut": 0, "output_cut": 0 });
    if !game.is_before_2() {
        flow["surface"] = "nauvis".into();
    }
    list([flow])
}

/// Of the one network there is. It is told by surface in every version.
fn networks(mut flows: Value) -> Value {
    (flows[0]["network"], flows[0]["surface"]) = (1.into(), "nauvis".into());
    flows
}

fn enemies(game: &Game, surface: &Surface) -> Value {
    let part = |percent: u32| surface.factor * f64::from(percent) / 100.0;
    let mut enemies = json!({
        "force": "enemy", "total": surface.factor, "by_time": part(surface.time),
        "by_pollution": part(surface.pollution), "by_killing_spawners": part(surface.spawner_kills),
    });
    if !game.is_before_2() {
        enemies["surface"] = surface.name.to_lowercase().into();
    }
    enemies
}

fn list(elements: impl IntoIterator<Item = Value>) -> Value {
    let elements: Vec<Value> = elements.into_iter().collect();
    if elements.is_empty() { json!({}) } else { elements.into() }
}
