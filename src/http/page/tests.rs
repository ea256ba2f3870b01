use std::time::Duration;

use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::domain::ServerTag;
use crate::health::{Component, ComponentState, HealthRegistry, Lifecycle};
use crate::telemetry::pulse::PulseView;
use crate::telemetry::{Pulse, RecentErrors};

/// Games that are told to the page.
#[derive(Debug)]
struct Told(GameFacts);

impl Games for Told {
    fn facts(&self, _server: &ServerTag) -> Option<GameFacts> {
        Some(self.0.clone())
    }
}

fn tag(name: &str) -> ServerTag {
    ServerTag::new(name).unwrap()
}

/// A page of these servers.
fn sources(servers: &[&str]) -> PageSources {
    PageSources {
        lifecycle: Lifecycle::new(),
        health: HealthRegistry::new(),
        servers: servers.iter().map(|name| ShownServer { tag: tag(name), name: (*name).to_owned() }).collect(),
        games: Arc::new(Told(GameFacts::default())),
        pulse: Pulse::default(),
        errors: RecentErrors::default(),
        metrics: true,
    }
}

fn page(sources: &PageSources) -> String {
    render(sources, "run.1", Timestamp::now(), Timestamp::now())
}

fn part(sources: &PageSources, id: &str) -> String {
    let found = parts(sources).into_iter().find(|part| part.id == id);
    found.unwrap_or_else(|| panic!("the page has no {id}")).html.to_string()
}

fn console(sources: &PageSources, server: &str) -> crate::health::ComponentHandle {
    sources.health.server_part(Component::LogTailer, &tag(server), "console")
}

#[test]
fn the_headline_says_how_it_is() {
    let sources = sources(&["prod"]);
    let (life, health) = (&sources.lifecycle, &sources.health);
    let headline = || part(&sources, "headline");
    assert!(headline().contains("<h1>Starting</h1>"));
    life.mark_live();
    life.mark_initialised();
    let discord = health.component(Component::Discord);
    console(&sources, "prod").healthy();
    discord.healthy();
    assert!(headline().contains("<h1>All is well</h1>"));
    discord.degraded("slow");
    assert!(headline().contains("<h1>Working, with something to look at</h1><ul><li>Discord (degraded)</li>"));
    discord.unhealthy("refused");
    assert!(headline().contains("<h1>Not ready</h1>"));
    discord.degraded("a channel is parked");
    health.server_part(Component::Rcon, &tag("prod"), "rcon").unhealthy("refused");
    let both = "<li>A server&#39;s RCON console cannot be reached.</li><li>Discord (degraded)</li>";
    assert!(headline().contains(both), "{}", headline());
    life.mark_stopping();
    assert!(headline().contains("<h1>Stopping</h1>"));
    life.mark_fallen("pipeline");
    assert!(headline().contains("<li>the task pipeline fell</li>"));
}

#[test]
fn a_reason_cannot_become_markup() {
    let sources = sources(&["prod"]);
    sources.health.component(Component::Store).unhealthy("<script>alert('x')</script> & \"more\"");
    console(&sources, "prod").unhealthy("<img src=x onerror=alert(1)>");
    let page = page(&sources);
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;more&quot;</p>"), "{page}");
    assert!(!page.contains("<script>") && !page.contains("<img"), "{page}");
}

#[test]
fn what_a_game_says_of_itself_cannot_become_markup() {
    let mut sources = sources(&["prod"]);
    let facts = GameFacts {
        link: GameAnswers::Yes,
        players: Some(1),
        names: vec!["<b>Bob".to_owned()],
        version: Some("<i>2".to_owned()),
        ..GameFacts::default()
    };
    sources.games = Arc::new(Told(facts));
    sources.servers[0].name = "<u>Prod".to_owned();
    let server = part(&sources, "s-prod");
    assert!(server.contains("&lt;b&gt;Bob") && server.contains("&lt;i&gt;2") && server.contains("&lt;u&gt;Prod"));
    assert!(!server.contains("<b>Bob") && !server.contains("<i>2") && !server.contains("<u>"), "{server}");
}

#[test]
fn a_server_stands_with_its_logs_since_when_and_why() {
    let sources = sources(&["prod", "test"]);
    console(&sources, "prod").unhealthy("/factorio/console.log does not exist");
    console(&sources, "test").healthy();
    let prod = part(&sources, "s-prod");
    assert!(prod.contains("class=\"card unhealthy\" data-list=\"trouble\""), "{prod}");
    assert!(prod.contains("<span>Console log</span> <span class=\"state\">unhealthy</span> <time"), "{prod}");
    assert!(prod.contains("<p class=\"why\">/factorio/console.log does not exist</p>"), "{prod}");
    let test = part(&sources, "s-test");
    assert!(
        test.contains("class=\"card healthy\" data-list=\"well\"") && test.contains("Console log · <time"),
        "{test}"
    );
    assert!(part(&sources, "servers-summary").contains(">1 of 2 to look at<"));
}

#[test]
fn a_server_nobody_has_looked_at_is_starting() {
    let server = part(&sources(&["prod"]), "s-prod");
    assert!(server.contains("card starting") && server.contains("the game was not asked yet"), "{server}");
}

#[test]
fn a_game_tells_how_it_is_while_it_answers() {
    let mut sources = sources(&["prod"]);
    let facts = GameFacts {
        link: GameAnswers::Yes,
        players: Some(3),
        ups: Some((59.84, 60.0)),
        version: Some("2.0.76".to_owned()),
        source: Some("lua"),
        sampled_at: Some(Timestamp::now()),
        ..GameFacts::default()
    };
    sources.games = Arc::new(Told(facts.clone()));
    let server = part(&sources, "s-prod");
    for said in [">3</span> players", ">59.8</span> of 60 UPS", "Factorio 2.0.76", "by Lua"] {
        assert!(server.contains(said), "{said}: {server}");
    }
    sources.games = Arc::new(Told(GameFacts { link: GameAnswers::No, ..facts }));
    let server = part(&sources, "s-prod");
    assert!(server.contains("the game cannot be asked") && server.contains("last answer <time"), "{server}");
    assert!(!server.contains("players") && !server.contains("UPS"), "nobody knows now: {server}");
}

#[test]
fn a_game_that_cannot_be_asked_is_told_by_its_file() {
    let mut sources = sources(&["prod"]);
    let facts = GameFacts {
        link: GameAnswers::Never,
        players: Some(3),
        ups: Some((59.84, 60.0)),
        source: Some("files"),
        by_files: true,
        ..GameFacts::default()
    };
    sources.games = Arc::new(Told(facts.clone()));
    let server = part(&sources, "s-prod");
    for said in ["no RCON", ">3</span> players", ">59.8</span> of 60 UPS", "by files that a mod writes"] {
        assert!(server.contains(said), "{said}: {server}");
    }
    assert!(!server.contains("only its log tells"), "{server}");
    sources.games = Arc::new(Told(GameFacts { link: GameAnswers::No, ..facts }));
    let server = part(&sources, "s-prod");
    assert!(server.contains("the game cannot be asked") && server.contains(">3</span> players"), "{server}");
}

#[test]
fn every_part_that_does_not_work_is_named() {
    let sources = sources(&["prod", "test"]);
    for server in ["prod", "test"] {
        console(&sources, server).unhealthy("gone");
    }
    for channel in ["1001", "1002"] {
        sources.health.part(Component::Delivery, channel).degraded("Missing Access");
    }
    let cards = part(&sources, "components");
    assert!(cards.contains("<p class=\"why\">prod: Console log, test: Console log</p>"), "{cards}");
    assert!(cards.contains("Channel 1001: Missing Access</p>"), "{cards}");
    assert!(cards.contains("Channel 1002: Missing Access</p>"), "{cards}");
    sources.health.part(Component::Delivery, "1002").degraded("channel 1002: parked");
    sources.health.part(Component::Discord, "guild 100").degraded("Discord server 100 is unknown");
    let cards = part(&sources, "components");
    assert!(cards.contains("<p class=\"why\">Channel 1002: parked</p>"), "named once: {cards}");
    assert!(cards.contains("<p class=\"why\">Discord server 100 is unknown</p>"), "named once: {cards}");
    let refused = ComponentState::Degraded("reactions in channel 1003 are refused".to_owned());
    sources.health.report(Component::Discord, "reactions 1003", refused);
    let cards = part(&sources, "components");
    assert!(cards.contains("<p class=\"why\">Reactions in channel 1003 are refused</p>"), "named once: {cards}");
}

#[test]
fn alerts_that_fire_are_in_the_headline_of_the_first_servers() {
    let mut sources = sources(&["a", "b", "c", "d", "e"]);
    sources.lifecycle.mark_live();
    sources.lifecycle.mark_initialised();
    sources.health.component(Component::Discord).healthy();
    for server in ["a", "b", "c", "d", "e"] {
        console(&sources, server).healthy();
    }
    let alert = |title, subjects| ShownAlert { title, since: Timestamp::UNIX_EPOCH, subjects };
    let alerts = vec![alert("Desync", 1), alert("Join refused", 3)];
    sources.games = Arc::new(Told(GameFacts { alerts, ..GameFacts::default() }));
    let headline = part(&sources, "headline");
    assert!(
        headline.contains("class=\"degraded\"") && headline.contains("<h1>10 alerts are firing</h1>"),
        "{headline}"
    );
    let named = "<li>a: Desync, Join refused; b: Desync, Join refused; c: Desync, Join refused and 2 more servers</li>";
    assert!(headline.contains(named), "{headline}");
    let card = part(&sources, "s-a");
    assert!(
        card.contains("card degraded\" data-list=\"trouble\"") && card.contains("<span>Join refused (3)</span>"),
        "{card}"
    );
    assert!(part(&sources, "servers-summary").contains(">5 of 5 to look at<"));
}

#[test]
fn the_same_state_is_the_same_text_whenever_it_is_asked() {
    let sources = sources(&["prod"]);
    console(&sources, "prod").unhealthy("gone");
    let all: String = parts(&sources).iter().map(|part| part.html.to_string()).collect();
    assert!(all.contains(">since 20") && !all.contains(">for "), "else every viewer is sent all of it every second");
    assert_eq!(parts(&sources), parts(&sources));
}

#[test]
fn nobody_waits_for_a_page_of_a_thousand_servers() {
    let names: Vec<String> = (0..1000).map(|number| format!("server-{number:04}")).collect();
    let sources = sources(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for name in &names {
        for part in ["console", "engine"] {
            sources.health.server_part(Component::LogTailer, &tag(name), part).healthy();
        }
    }
    console(&sources, "server-0500").unhealthy("gone");
    let begun = std::time::Instant::now();
    let page = page(&sources);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    let (trouble, rest) = page.split_once("<details").unwrap();
    assert!(trouble.contains("id=\"s-server-0500\"") && !trouble.contains("id=\"s-server-0499\""), "first");
    assert!(rest.starts_with(" id=\"fold\"><summary") && !page.contains("class=\"few\""), "folded");
    assert!(trouble.contains(">1 of 1\u{202f}000 to look at<"));
}

#[test]
fn nothing_on_the_page_is_inline_or_from_elsewhere() {
    let page = page(&sources(&["prod"]));
    for forbidden in ["style=", "<style", "onclick", "://", "javascript:"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert_eq!(page.matches("<script").count(), 1);
    assert!(page.contains("<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>"));
}

#[test]
fn an_outage_of_days_is_told_in_days_and_with_every_notice() {
    let pulse = PulseView { depth: 1_234_567.0, oldest: Duration::from_hours(75), ..PulseView::default() };
    let tiles = activity::tiles(&pulse);
    assert!(tiles.contains("<b>1\u{202f}234\u{202f}567</b> notices"), "{tiles}");
    assert!(tiles.contains("the oldest waits 3 d 3 h") && tiles.contains("class=\"tile degraded\""), "{tiles}");
}

#[test]
fn failures_stand_by_kind_each_with_its_number_and_when_the_last_was() {
    let at: Timestamp = "2026-11-23T20:54:41Z".parse().unwrap();
    let of = |component: &str, kind: &str| (component.to_owned(), kind.to_owned());
    let counts = [
        (of("discord", "auth"), (1, at)),
        (of("discord", "network"), (1234, at)),
        (of("supervisor", "panic"), (2, at)),
    ];
    let html = activity::errors(&[], &counts.into_iter().collect(), Times::Absolute);
    let (discord, supervisor) = html.split_once("<li>supervisor ").unwrap();
    assert!(discord.contains("<li>Discord <span><b>1</b> <code>auth</code> <time"), "{html}");
    assert!(discord.contains("<b>1\u{202f}234</b> <code>network</code> <time"), "{html}");
    assert!(supervisor.contains("<b>2</b> <code>panic</code>") && supervisor.contains(">at 2026-11-23 20:54:41 UTC<"));
}

#[test]
fn the_last_failures_stand_with_their_place_reason_and_count() {
    let sources = sources(&[]);
    let subscriber = tracing_subscriber::registry().with(sources.errors.layer());
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..3 {
            tracing::error!(target: "factorio_isr::delivery", channel = 1001, reason = "<b>no", "Discord refuses");
        }
    });
    let errors = part(&sources, "errors");
    for said in [
        "<li class=\"unhealthy\">",
        "<span class=\"state\">error</span> <b>Delivery</b> Discord refuses <code>channel 1001</code>",
        "<p class=\"why\">&lt;b&gt;no</p>",
        ">3 times</span>",
    ] {
        assert!(errors.contains(said), "{said}: {errors}");
    }
}
