use std::sync::Arc;

use super::*;
use crate::config::settings::{NamePattern, SampleSettings};
use crate::game::{GameLink, OnlinePlayer, SampleSource, Ups};
use crate::rcon::Evolution;
use crate::telemetry::exposition::render;

fn prod() -> ServerTag {
    ServerTag::new("prod").unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// What a game said natively at second 0.
fn natively() -> GameView {
    GameView {
        link: GameLink::Up,
        sampled_at: Some(at(0)),
        source: Some(SampleSource::Native),
        players: Some(vec![OnlinePlayer { name: "Ann".to_owned(), since: None }]),
        ups: Some(Ups { ups: 59.5, target: 60.0, window: Duration::from_mins(1), error: 1.0 }),
        paused: Some(false),
        age: Some(Duration::from_secs(100)),
        evolution: vec![Evolution {
            surface: Some("Nauvis".to_owned()),
            factor: 0.5,
            time: 1,
            pollution: 2,
            spawner_kills: 3,
        }],
        known_players: Some(7),
        cost: Some((Duration::from_millis(250), 321)),
        ..GameView::default()
    }
}

fn by_lua(answer: &str) -> GameView {
    let lua = Some(Arc::new(LuaReading::parse(answer).unwrap()));
    GameView { source: Some(SampleSource::Lua), lua, evolution: Vec::new(), ..natively() }
}

#[derive(Debug)]
struct Then(BoardSeries, i64);

impl GameSeries for Then {
    fn families(&self) -> Vec<Family> {
        self.0.families_at(at(self.1))
    }
}

fn shown(view: GameView, second: i64, series: SeriesSettings) -> String {
    let board = GameBoard::new([prod()]);
    board.handle(&prod()).unwrap().update(|now| *now = view);
    let settings = GameSettings { series, general: SampleSettings::default(), ..GameSettings::default() };
    let text = render(&[Arc::new(Then(BoardSeries::new(board, settings), second))]);
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_game_that_answers_natively_has_these_series() {
    insta::assert_snapshot!(shown(natively(), 12, SeriesSettings::default()), @r#"
    factorio_connected_player_count{server="prod"} 1
    factorio_evolution{server="prod",force="enemy",type="total",surface="nauvis"} 0.5
    factorio_isr_game_age_seconds{server="prod"} 100
    factorio_isr_game_paused{server="prod"} 0
    factorio_isr_game_sample_age_seconds{server="prod"} 12
    factorio_isr_game_sample_bytes{server="prod"} 321
    factorio_isr_game_sample_duration_seconds{server="prod"} 0.25
    factorio_isr_game_source{server="prod",source="native"} 1
    factorio_isr_game_up{server="prod"} 1
    factorio_isr_game_ups{server="prod"} 59.5
    factorio_isr_game_ups_error{server="prod"} 1
    factorio_isr_game_ups_target{server="prod"} 60
    factorio_tick{server="prod"} 6000
    factorio_total_player_count{server="prod"} 7
    "#);
}

#[test]
fn a_game_that_is_down_has_none_but_up() {
    let down = GameView { link: GameLink::Down("refused".to_owned()), ..natively() };
    assert_eq!(shown(down, 1, SeriesSettings::default()), "factorio_isr_game_up{server=\"prod\"} 0");
    assert_eq!(shown(GameView::default(), 1, SeriesSettings::default()), "factorio_isr_game_up{server=\"prod\"} 0");
}

#[test]
fn a_game_of_which_a_file_tells_has_what_the_file_does_not_show_by_itself() {
    let by_file =
        GameView { files_tell: true, source: Some(SampleSource::Files), unnamed: 2, cost: None, ..natively() };
    let without_rcon = GameView { link: GameLink::None, ..by_file.clone() };
    insta::assert_snapshot!(shown(without_rcon, 110, SeriesSettings::default()), @r#"
    factorio_connected_player_count{server="prod"} 3
    factorio_isr_game_age_seconds{server="prod"} 100
    factorio_isr_game_paused{server="prod"} 0
    factorio_isr_game_sample_age_seconds{server="prod"} 110
    factorio_isr_game_source{server="prod",source="files"} 1
    factorio_isr_game_ups{server="prod"} 59.5
    factorio_isr_game_ups_error{server="prod"} 1
    factorio_isr_game_ups_target{server="prod"} 60
    "#);
    let down = GameView { link: GameLink::Down("refused".to_owned()), ..by_file };
    let text = shown(down, 12, SeriesSettings::default());
    assert!(text.contains("factorio_isr_game_up{server=\"prod\"} 0"), "RCON is down all the same: {text}");
    assert!(text.contains("factorio_isr_game_source{server=\"prod\",source=\"files\"} 1"), "{text}");
}

#[test]
fn a_game_without_rcon_has_none_at_all() {
    assert_eq!(shown(GameView { link: GameLink::None, ..GameView::default() }, 1, SeriesSettings::default()), "");
}

#[test]
fn numbers_that_are_too_old_are_not_shown() {
    let silent = GameView { link: GameLink::Silent("it saves".to_owned()), ..natively() };
    let text = shown(silent.clone(), 60, SeriesSettings::default());
    assert!(text.contains("factorio_tick{"), "{text}");
    for moment in ["factorio_isr_game_ups", "factorio_isr_game_paused", "factorio_connected_player_count"] {
        assert!(!text.contains(moment), "a game that hangs: {text}");
    }
    assert_eq!(shown(silent, 61, SeriesSettings::default()), "factorio_isr_game_up{server=\"prod\"} 0");
    assert_eq!(shown(natively(), 61, SeriesSettings::default()), "factorio_isr_game_up{server=\"prod\"} 1");
}

#[test]
fn an_idle_game_is_asked_seldom_and_its_numbers_stay() {
    let idle = GameView { players: Some(Vec::new()), paused: Some(true), ups: None, ..natively() };
    assert!(shown(idle.clone(), 240, SeriesSettings::default()).contains("factorio_isr_game_paused{"));
    assert_eq!(shown(idle, 241, SeriesSettings::default()), "factorio_isr_game_up{server=\"prod\"} 1");
}

const ANSWER: &str = r#"{"map":{"tick":6000,"speed":1,"paused":false,"known":7},"seeds":{"nauvis":42},
    "evolution":[{"force":"enemy","surface":"nauvis","total":0.5,"by_pollution":0.3,"by_time":0.1,"by_killing_spawners":0.1}],
    "research":[{"force":"player","name":"automation","level":1,"progress":0.25,"queue":[{"name":"automation","level":1},
      {"name":"mining","level":4}]}],
    "rockets":[{"force":"player","launched":3,"items":{"satellite":2},"cut":0}],
    "platforms":[{"force":"player","name":"Ann's","state":"on_the_path"},{"force":"player","name":"B","state":"on_the_path"}],
    "items":[{"force":"player","surface":"nauvis","input":{"iron-plate":1000.5,"coal":12,"automation-science-pack":5},
      "output":{"coal":3},"input_cut":40,"output_cut":0}],
    "electricity":[{"force":"player","surface":"nauvis","network":5,"input":{"lab":60},"output":{}}],
    "fluids":{},"errors":{}}"#;

#[test]
fn a_game_that_answers_by_lua_has_graftorio2s_series() {
    let shown = shown(by_lua(ANSWER), 12, SeriesSettings::default());
    let theirs: Vec<&str> =
        shown.lines().filter(|line| !line.contains("_isr_game_") || line.contains("force")).collect();
    insta::assert_snapshot!(theirs.join("\n"), @r#"
    factorio_connected_player_count{server="prod"} 1
    factorio_evolution{server="prod",force="enemy",type="total",surface="nauvis"} 0.5
    factorio_evolution{server="prod",force="enemy",type="by_pollution",surface="nauvis"} 0.3
    factorio_evolution{server="prod",force="enemy",type="by_time",surface="nauvis"} 0.1
    factorio_evolution{server="prod",force="enemy",type="by_killing_spawners",surface="nauvis"} 0.1
    factorio_isr_game_platforms{server="prod",force="player",state="on_the_path"} 2
    factorio_isr_game_rockets_launched{server="prod",force="player"} 3
    factorio_item_production_input{server="prod",force="player",name="automation-science-pack",surface="nauvis"} 5
    factorio_item_production_input{server="prod",force="player",name="coal",surface="nauvis"} 12
    factorio_item_production_input{server="prod",force="player",name="iron-plate",surface="nauvis"} 1000.5
    factorio_item_production_output{server="prod",force="player",name="coal",surface="nauvis"} 3
    factorio_items_launched_total{server="prod",force="player",name="satellite"} 2
    factorio_power_production_input{server="prod",force="player",name="lab",network="5",surface="nauvis"} 60
    factorio_research_queue{server="prod",force="player",name="automation",level="1",index="1"} 0.25
    factorio_research_queue{server="prod",force="player",name="mining",level="4",index="2"} 0
    factorio_seed{server="prod",surface="nauvis"} 42
    factorio_tick{server="prod"} 6000
    factorio_total_player_count{server="prod"} 7
    "#);
    assert!(!shown.contains("Ann"), "no names of people or platforms: {shown}");
}

#[test]
fn names_are_chosen_by_lists() {
    let patterns = |texts: &[&str]| texts.iter().map(|text| NamePattern::new(text)).collect::<Vec<_>>();
    let allow = SeriesSettings { allow: patterns(&["*-science-pack", "coal"]), ..SeriesSettings::default() };
    let shown_with = |series| {
        let shown = shown(by_lua(ANSWER), 12, series);
        shown.lines().filter(|line| line.contains("item_production")).map(str::to_owned).collect::<Vec<_>>()
    };
    let allowed = shown_with(allow.clone());
    assert_eq!(allowed.len(), 3, "{allowed:?}");
    assert!(allowed.iter().all(|line| line.contains("coal") || line.contains("science-pack")));
    let denied = shown_with(SeriesSettings { deny: patterns(&["coal"]), ..allow });
    assert_eq!(denied.len(), 1, "{denied:?}");
}

#[test]
fn what_the_cap_cuts_is_counted_and_the_highest_stay() {
    let exporter = crate::telemetry::MetricsExporter::detached();
    let capped = SeriesSettings { cap: 2, ..SeriesSettings::default() };
    let shown = exporter.record(|| shown(by_lua(ANSWER), 12, capped));
    let inputs: Vec<&str> = shown.lines().filter(|line| line.starts_with("factorio_item_production_input")).collect();
    assert_eq!(inputs.len(), 2);
    assert!(inputs.iter().all(|line| !line.contains("automation-science-pack")), "{inputs:?}");
    let life = crate::health::Lifecycle::new();
    let counted = exporter.scrape(&life.facts(), &crate::health::HealthRegistry::new().snapshot(), String::new());
    // One by the cap, forty that Lua did not send.
    let series = "factorio_isr_game_series_cut_total{server=\"prod\",family=\"factorio_item_production_input\"} 41";
    assert!(counted.lines().any(|line| line == series), "{counted}");
}

#[test]
fn every_metric_of_the_table_has_a_series_of_some_source() {
    let mut answer: serde_json::Value = serde_json::from_str(ANSWER).unwrap();
    for flow in ["fluids", "kills", "builds", "pollution", "electricity"] {
        let both = serde_json::json!({ "force": "player", "network": 1, "input": { "a": 1 }, "output": { "b": 1 } });
        answer[flow] = serde_json::json!([both]);
    }
    let shown = shown(by_lua(&answer.to_string()), 12, SeriesSettings::default());
    for metric in table::GAME_METRICS {
        assert!(shown.contains(&format!("{}{{", metric.name)), "{}\n{shown}", metric.name);
    }
}
