//! The snippet in a real Lua 5.2, against the game's API as far as it is used, in both of its dialects. As in the game, a
//! name that an object does not have is an error.

use std::collections::BTreeSet;

use mlua::Lua;
use secrecy::SecretString;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::super::lua::LuaReading;
use super::*;
use crate::config::settings::RconSettings;
use crate::domain::ServerTag;
use crate::health::HealthRegistry;
use crate::rcon::{MAX_COMMAND_BYTES, Priority, RconTarget, RconTimes, connect};
use crate::sim::rcon::{Game, SimRcon};

/// What both versions share: strict objects, an encoder that writes an empty table as `{}`, `rcon.print`.
const COMMON: &str = r#"
    function object(fields) return setmetatable(fields, {__index = function(_, k) error("doesn't contain key " .. k) end}) end
    function optional(fields, names)
      return setmetatable(fields, {__index = function(_, k)
        for _, name in pairs(names) do if name == k then return nil end end
        error("doesn't contain key " .. k) end})
    end
    function json(v)
      if type(v) == "string" then return '"' .. v:gsub('[\\"]', '\\%0'):gsub("\n", "\\n") .. '"' end
      if type(v) ~= "table" then return tostring(v) end
      local parts = {}
      if #v > 0 then for _, x in ipairs(v) do parts[#parts + 1] = json(x) end return "[" .. table.concat(parts, ",") .. "]" end
      for k, x in pairs(v) do parts[#parts + 1] = json(tostring(k)) .. ":" .. json(x) end
      return "{" .. table.concat(parts, ",") .. "}"
    end
    printed = ""
    rcon = object{print = function(text) printed = printed .. text .. "\n" end}
    script = object{active_mods = {base = "1.1.110"}}
    defines = object{space_platform_state = {on_the_path = 3, waiting_at_station = 7}}
    function stats(input, output) return object{input_counts = input, output_counts = output} end
    ann = object{name = 'Ann "the\\best"', online_time = 7200}
    automation = object{name = "automation", level = 1}
    mining = object{name = "mining-productivity-4", level = 17}
    iron = stats({["iron-plate"] = 1000.5, ["copper-plate"] = 900, coal = 12}, {["iron-plate"] = 40})
    water = stats({water = 5e9}, {water = 4.5e9})
    kills = stats({["small-biter"] = 30}, {["stone-wall"] = 2})
    builds = stats({["transport-belt"] = 300}, {})
    smoke = stats({["boiler"] = 77.25}, {["tree-01"] = 3})
    power = stats({["lab"] = 60000}, {["steam-engine"] = 60000})
    nothing = stats({}, {})
    pole = object{electric_network_id = 5, electric_network_statistics = power}
"#;

const V1: &str = r#"
    player = optional({name = "player", players = {ann}, current_research = automation, research_progress = 0.25,
      research_queue = {automation, mining}, rockets_launched = 3, items_launched = {satellite = 2},
      item_production_statistics = iron, fluid_production_statistics = water, kill_count_statistics = kills,
      entity_build_count_statistics = builds, evolution_factor = 0, evolution_factor_by_pollution = 0,
      evolution_factor_by_time = 0, evolution_factor_by_killing_spawners = 0}, {})
    enemy = object{name = "enemy", players = {}, evolution_factor = 0.5, evolution_factor_by_pollution = 0.3,
      evolution_factor_by_time = 0.15, evolution_factor_by_killing_spawners = 0.05}
    nauvis = object{name = "nauvis", map_gen_settings = object{seed = 1234567890},
      find_entities_filtered = function(f) assert(f.type == "electric-pole") return {pole, pole} end}
    game = object{table_to_json = json, tick = 4968001, speed = 1, tick_paused = false, players = {ann, {}},
      connected_players = {ann}, forces = object{player = player, enemy = enemy}, surfaces = {nauvis = nauvis},
      pollution_statistics = smoke}
"#;

const V2: &str = r#"
    script, helpers = nil, object{table_to_json = json, game_version = "2.0.77"}
    function of(surface, there) return function(s) assert(s.name) return s.name == surface and there or nothing end end
    function factor(value) return function(s) return s.name == "gleba" and value or value / 2 end end
    player = optional({name = "player", players = {ann}, research_queue = {}, rockets_launched = 3,
      items_launched = {{name = "satellite", count = 1, quality = "normal"}, {name = "satellite", count = 1, quality = "rare"}},
      get_item_production_statistics = of("nauvis", iron), get_fluid_production_statistics = of("gleba", water),
      get_kill_count_statistics = of("nauvis", kills), get_entity_build_count_statistics = of("nauvis", builds),
      get_evolution_factor = factor(0), get_evolution_factor_by_pollution = factor(0), get_evolution_factor_by_time = factor(0),
      get_evolution_factor_by_killing_spawners = factor(0),
      platforms = {[4] = object{name = "Dora", state = 7, space_location = object{name = "gleba"}},
        [9] = optional({name = "Eve", state = 3}, {"space_location"})}}, {"current_research", "research_progress"})
    enemy = object{name = "enemy", players = {}, get_evolution_factor = factor(0.5),
      get_evolution_factor_by_pollution = factor(0.3), get_evolution_factor_by_time = factor(0.15),
      get_evolution_factor_by_killing_spawners = factor(0.05)}
    function surface(name, seed, platform)
      return optional({name = name, platform = platform, map_gen_settings = object{seed = seed},
        find_entities_filtered = function(f) return name == "nauvis" and {pole, pole} or {} end}, {"platform"})
    end
    game = object{tick = 4968001, speed = 1.5, tick_paused = true, players = {ann, {}}, connected_players = {ann},
      forces = object{player = player, enemy = enemy},
      surfaces = {nauvis = surface("nauvis", 1), gleba = surface("gleba", 2), ["platform-4"] = surface("platform-4", 3, {})},
      get_pollution_statistics = of("nauvis", smoke)}
"#;

fn everything() -> SampleSettings {
    SampleSettings { sections: LuaSection::ALL.to_vec(), ..SampleSettings::default() }
}

/// What the game prints, running this command behind these changes of its state.
fn printed(dialect: &str, change: &str, command: &str) -> String {
    let lua = Lua::new();
    lua.load(format!("{COMMON}{dialect}{change}")).exec().unwrap();
    lua.load(command.strip_prefix("/sc ").unwrap()).exec().unwrap_or_else(|error| panic!("{error}\n{command}"));
    lua.globals().get("printed").unwrap()
}

fn read(dialect: &str, change: &str, settings: &SampleSettings) -> LuaReading {
    let printed = printed(dialect, change, command(settings).unwrap().as_str());
    LuaReading::parse(&printed).unwrap_or_else(|error| panic!("{error}\n{printed}"))
}

fn counts<'a>(flows: impl Iterator<Item = &'a super::super::lua::Flow>) -> Vec<String> {
    flows.map(|flow| format!("{} {:?} {:?} {:?}", flow.force, flow.surface, flow.input, flow.output)).collect()
}

#[test]
fn all_sections_fit_into_one_command() {
    let line = command(&SampleSettings { top_names: 500, max_reply_bytes: 1_048_576, ..everything() }).unwrap();
    assert!(line.as_str().len() <= MAX_COMMAND_BYTES, "{}", line.as_str().len());
    assert!(line.as_str().is_ascii() && !line.as_str().contains('\n'));
}

#[test]
fn a_game_of_1_1_tells_everything() {
    let read = read(V1, "", &everything());
    assert!(read.errors.is_empty(), "{:?}", read.errors);
    assert_eq!((read.tick, read.halted, read.known_players), (4_968_001, false, 2));
    assert_eq!(read.version.as_deref(), Some("1.1.110"));
    let players = read.players.as_ref().unwrap();
    assert_eq!(players[0].name, "Ann \"the\\best\"");
    assert_eq!(players[0].online_time().as_secs(), 120);
    assert_eq!(read.research.as_ref().unwrap().technology, "automation");
    assert_eq!(read.researching[0].queue[1].level, 17);
    assert_eq!((read.rockets[0].launched, read.rockets[0].items["satellite"]), (3, 2.0));
    assert!(read.platforms.is_empty());
    assert_eq!(read.seeds["nauvis"], 1_234_567_890);
    let enemies = &read.enemies()[0];
    assert_eq!((enemies.surface.as_deref(), enemies.factor, enemies.pollution), (None, 0.5, 60));
    let flows = counts(read.flows.values().flatten());
    insta::assert_snapshot!(flows.join("\n"), @r#"
    player None {"coal": 12.0, "copper-plate": 900.0, "iron-plate": 1000.5} {"iron-plate": 40.0}
    player None {"water": 5000000000.0} {"water": 4500000000.0}
    player None {"small-biter": 30.0} {"stone-wall": 2.0}
    player None {"transport-belt": 300.0} {}
    player None {"boiler": 77.25} {"tree-01": 3.0}
    player Some("nauvis") {"lab": 60000.0} {"steam-engine": 60000.0}
    "#);
}

#[test]
fn a_game_of_2_tells_everything_by_surface() {
    let read = read(V2, "", &everything());
    assert!(read.errors.is_empty(), "{:?}", read.errors);
    assert_eq!((read.speed, read.halted), (1.5, true));
    assert_eq!(read.version.as_deref(), Some("2.0.77"));
    assert_eq!(read.research, None);
    assert_eq!((read.rockets[0].launched, read.rockets[0].items["satellite"]), (3, 2.0));
    let stands: Vec<_> =
        read.platforms.iter().map(|at| (at.name.as_str(), at.state.as_deref(), at.location.as_deref())).collect();
    assert_eq!(stands, [("Dora", Some("waiting_at_station"), Some("gleba")), ("Eve", Some("on_the_path"), None)]);
    let mut surfaces: Vec<_> = read.enemies().into_iter().map(|at| (at.surface.unwrap(), at.factor)).collect();
    surfaces.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(surfaces, [("gleba".to_owned(), 0.5), ("nauvis".to_owned(), 0.25)], "a platform has no enemies");
    let flows = counts(read.flows.values().flatten());
    insta::assert_snapshot!(flows.join("\n"), @r#"
    player Some("nauvis") {"coal": 12.0, "copper-plate": 900.0, "iron-plate": 1000.5} {"iron-plate": 40.0}
    player Some("gleba") {"water": 5000000000.0} {"water": 4500000000.0}
    player Some("nauvis") {"small-biter": 30.0} {"stone-wall": 2.0}
    player Some("nauvis") {"transport-belt": 300.0} {}
    player Some("nauvis") {"boiler": 77.25} {"tree-01": 3.0}
    player Some("nauvis") {"lab": 60000.0} {"steam-engine": 60000.0}
    "#);
}

#[test]
fn a_section_that_fails_loses_itself_alone() {
    let broken = "player.get_item_production_statistics = function() error('no such statistics') end";
    let read = read(V2, broken, &everything());
    assert!(read.errors["items"].contains("no such statistics"), "{:?}", read.errors);
    assert_eq!(read.errors.len(), 1);
    assert_eq!(read.flow(LuaSection::Items).count(), 0);
    assert_eq!(read.flow(LuaSection::Fluids).count(), 1);
}

#[test]
fn an_answer_keeps_to_its_size() {
    let many = "for i = 1, 3000 do iron.input_counts['item-' .. i] = i end";
    let read_with = |bytes| {
        let settings = SampleSettings { top_names: 400, max_reply_bytes: bytes, ..everything() };
        let line = command(&settings).unwrap();
        let printed = printed(V2, many, line.as_str());
        (printed.len(), LuaReading::parse(&printed).unwrap())
    };
    let (bytes, read) = read_with(1_000_000);
    let items = read.flow(LuaSection::Items).next().unwrap();
    assert_eq!((items.input.len(), items.input_cut), (400, 2603));
    assert!(items.input.contains_key("item-3000") && !items.input.contains_key("item-1"), "those with the most stay");
    assert!(bytes > 6000);
    let (bytes, read) = read_with(2048);
    assert!(bytes < 2048 + 1000, "{bytes}");
    assert!(read.errors["items"].starts_with("too long: "), "{:?}", read.errors);
    assert_eq!(read.flow(LuaSection::Fluids).count(), 1);
}

#[test]
fn a_map_that_nobody_ever_entered_is_read_too() {
    let read = read(V2, "player.players, game.players, game.connected_players = {}, {}, {}", &everything());
    assert_eq!(read.players.as_deref(), Some(&[][..]));
    assert_eq!(read.rockets[0].force, "player");
}

#[test]
fn the_clock_is_read_in_both_dialects() {
    assert_eq!(printed(V1, "", CLOCK), "4968001 1 false\n");
    assert_eq!(printed(V2, "", CLOCK), "4968001 1.5 true\n");
}

#[test]
fn what_is_no_answer_is_said_in_words() {
    for (text, said) in [
        ("", "it answered nothing"),
        ("Unknown command \"sc\".", "it answered: Unknown command"),
        ("Cannot execute command. Error: x", "it answered: Cannot execute command"),
        ("{\"map\":", "its answer cannot be read: "),
        ("{\"errors\":{\"map\":\"no tick\"}}", "Lua failed: no tick"),
    ] {
        let error = LuaReading::parse(text).unwrap_err();
        assert!(error.starts_with(said), "{text}: {error}");
    }
}

/// What the simulator's game answers to this command, on a save on which Lua ran before.
async fn simulated(game: Game, command: &CommandLine) -> String {
    let sim = SimRcon::start("secret", game, |_| {}).await.unwrap();
    let settings = RconSettings {
        host: sim.address().ip().to_string(),
        port: sim.address().port(),
        password: SecretString::from("secret"),
        allow_lua: true,
    };
    let target = RconTarget::of(&ServerTag::new("prod").unwrap(), &settings);
    let (client, actor) = connect(target, RconTimes::default(), &HealthRegistry::new());
    let cancel = CancellationToken::new();
    let running = tokio::spawn(actor.run(cancel.clone()));
    let mut answer = String::new();
    // The first Lua of a save is only warned of.
    for _ in 0..2 {
        answer = client.command(Priority::Person, command.clone(), None).await.unwrap().text;
    }
    cancel.cancel();
    running.await.unwrap().unwrap();
    answer
}

/// Every field of an answer with its type, as `items[].input_cut: number`. A key that is a name of the game is a `*`; what
/// is empty has neither.
fn fields(answer: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(&serde_json::from_str(answer).unwrap(), "", &mut found);
    found
}

fn collect(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    let of_names = [".input", ".output", "rockets[].items", "seeds"].iter().any(|end| path.ends_with(end));
    let kind = match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                let key = if of_names { "*" } else { key };
                collect(field, &format!("{path}.{key}"), found);
            }
            return;
        }
        Value::Array(elements) => return elements.iter().for_each(|one| collect(one, &format!("{path}[]"), found)),
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Null => "nothing",
    };
    found.insert(format!("{}: {kind}", path.trim_start_matches('.')));
}

#[tokio::test]
async fn the_simulators_answer_has_the_fields_of_the_snippets_own() {
    let busy = "player.current_research, player.research_progress = automation, 0.25
                      player.research_queue = {automation, mining}
                      builds.output_counts = {inserter = 4}";
    let asked = command(&everything()).unwrap();
    for (dialect, version) in [(V1, "1.1.110"), (V2, "2.0.77")] {
        let mut game = Game::default();
        (game.version, game.rockets) = (version.to_owned(), 3);
        game.join("Ann");
        (game.research.queue, game.research.progress) = (vec!["automation".to_owned()], 0.25);
        if version.starts_with('2') {
            game.platforms = vec![("Dora".to_owned(), "gleba".to_owned())];
        }
        let real = fields(&printed(dialect, busy, asked.as_str()));
        assert_eq!(fields(&simulated(game, &asked).await), real, "{version}");
        assert!(real.len() > 40, "{real:?}");
    }
}

#[test]
fn the_commands_that_sample_a_game_are_recognised_in_its_log() {
    let sampling = |command: &str| crate::domain::SAMPLING_LUA.iter().any(|lua| command.contains(lua));
    assert!(sampling(CLOCK));
    assert!(sampling(command(&SampleSettings::default()).unwrap().as_str()));
}
