//! From a line in a log to its message in Discord, and back.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use factorio_isr::sim::discord::{Fault, FaultKind, Scope, SimDiscord};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;

use super::collector::{Collector, Received, ReceivedLink};
use super::{CHAT, discord, to};
use crate::harness::{DEADLINE, Site};

/// A site with one log, whose spans go to `collector`.
async fn site(collector: &Collector, more: &str) -> (SimDiscord, Site) {
    let sim = discord().await;
    let traces = format!("[traces]\nenabled = true\n{}{more}", to(collector, "http"));
    let site = Site::new(&sim.base_url()).server("prod", CHAT).extra(&traces);
    (sim, site)
}

fn line(second: u32, text: &str) -> String {
    let day = jiff::Timestamp::now().strftime("%Y-%m-%d");
    format!("{day} 00:00:{second:02} [CHAT] Bob: {text}\n")
}

/// The line that ends at this offset of a file: what `head -c OFFSET FILE | tail -n 1` shows.
fn line_before(file: &str, end: &str) -> String {
    let bytes = fs::read(file).unwrap();
    let text = String::from_utf8(bytes[..end.parse::<usize>().unwrap()].to_vec()).unwrap();
    text.lines().last().unwrap().to_owned()
}

fn seconds(span: &Received, attribute: &str) -> f64 {
    span.attributes[attribute].parse().unwrap()
}

fn with_a_row(span: &Received) -> bool {
    span.name == "outbox.commit" && span.attributes["rows"] == "1"
}

fn is_delivery(span: &Received) -> bool {
    span.name == "discord.send" && span.attributes["outcome"] == "delivered"
}

/// The spans of the batch that a link leads to: read, parsed, committed; each begun when the one before was.
async fn batch_behind(collector: &Collector, link: &ReceivedLink) -> [Received; 3] {
    let commit = collector.find(|span| span.id == link.id).await;
    let parse = collector.find(|span| span.id == commit.parent).await;
    let read = collector.find(|span| span.id == parse.parent).await;
    assert_eq!([&*read.name, &*parse.name, &*commit.name], ["log.read", "event.parse", "outbox.commit"]);
    assert!([&read, &parse, &commit].iter().all(|span| span.trace == link.trace), "one trace");
    assert_eq!(read.parent, "", "which begins with the reading");
    assert!(read.times.0 <= parse.times.0 && parse.times.1 <= commit.times.1);
    [read, parse, commit]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_leads_back_to_its_line_though_the_relay_was_killed_in_between() {
    let collector = Collector::http().await;
    let (sim, site) = site(&collector, "").await;
    sim.set_fault(Fault::new(FaultKind::server_error(503)));
    let mut relay = site.start();
    relay.wait_until_ready().await;
    site.append("prod", &line(1, "the first"));
    collector.find(|span| span.name == "discord.send" && span.failed).await;
    collector.named("outbox.commit").await;
    relay.kill();
    sim.clear_faults();
    let _relay = site.start();
    assert!(sim.wait_for(DEADLINE, |state| state.messages(CHAT).count() == 1).await);

    let sent = collector.find(is_delivery).await;
    let message = sim.messages(CHAT)[0].clone();
    assert_eq!(sent.attributes["messaging.message.id"], message.id.to_string());
    assert_eq!((sent.parent.as_str(), sent.links.len()), ("", 1));
    let [read, parse, commit] = batch_behind(&collector, &sent.links[0]).await;
    let file = &read.attributes["log.file.path"];
    assert!(line_before(file, &sent.links[0].attributes["line_end.first"]).ends_with("[CHAT] Bob: the first"));
    assert_eq!(read.attributes["offset.start"], "0");
    assert_eq!(read.attributes["offset.end"], sent.links[0].attributes["line_end.last"]);
    assert_eq!((read.attributes["server"].as_str(), read.attributes["source"].as_str()), ("prod", "console"));
    let written = format!("{}T00:00:01Z", jiff::Timestamp::now().strftime("%Y-%m-%d"));
    assert_eq!((&parse.attributes["written.first"], &sent.links[0].attributes["written.first"]), (&written, &written));
    assert_eq!(commit.attributes["rows"], "1");
    assert!(seconds(&commit, "commit_seconds") > 0.0);
    // Attempts of the run before count; what it waited for then is told by its own spans.
    assert!(seconds(&sent, "attempt") >= 2.0, "{sent:?}");
    assert!(seconds(&sent, "waited.earlier_run_seconds") > 0.0);
    assert!(seconds(&sent, "waited.total_seconds") >= seconds(&sent, "waited.earlier_run_seconds"));
    assert_eq!(sent.attributes["http.response.status_code"], "200");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_attempt_is_a_span_of_its_own_and_the_next_says_what_it_waited_for() {
    let collector = Collector::http().await;
    let (sim, site) = site(&collector, "").await;
    let relay = site.start();
    relay.wait_until_ready().await;
    let limit = FaultKind::rate_limited(Duration::from_millis(1500), Scope::User);
    sim.set_fault(Fault::new(limit).times(1));
    site.append("prod", &line(1, "held up"));
    let refused = collector.find(|span| span.name == "discord.send" && span.failed).await;
    assert_eq!(refused.attributes["http.response.status_code"], "429");
    assert_eq!(
        (refused.attributes["outcome"].as_str(), refused.attributes["error.type"].as_str()),
        ("retry", "rate_limited")
    );
    let sent = collector.find(is_delivery).await;
    assert!(seconds(&sent, "waited.rate_limit_seconds") >= 1.0, "{sent:?}");
    assert_eq!((seconds(&sent, "waited.outage_seconds"), sent.attributes["attempt"].as_str()), (0.0, "2"));
    assert_eq!(sent.attributes["http.request.resend_count"], "1");
    assert_eq!(refused.links[0].id, sent.links[0].id, "both carry the same line");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_folded_after_an_outage_leads_to_every_line() {
    let collector = Collector::http().await;
    let (sim, site) = site(&collector, "").await;
    let relay = site.start();
    relay.wait_until_ready().await;
    sim.stop().await;
    for n in 1..=4 {
        site.append("prod", &line(n, &format!("line {n}")));
        let rows = |span: &Received| span.attributes.get("rows")?.parse::<u32>().ok();
        let commits = |span: &&Received| span.name == "outbox.commit";
        let committed = |all: &Vec<Received>| all.iter().filter(commits).filter_map(rows).sum::<u32>() == n;
        crate::harness::within(collector.spans.subscribe().wait_for(committed)).await.unwrap();
    }
    sim.restart().await.unwrap();
    // The first was under way when Discord went; the others are folded.
    assert!(sim.wait_for(DEADLINE, |state| state.messages(CHAT).count() == 2).await);
    let folded = collector.find(|span| is_delivery(span) && span.attributes["rows"] == "3").await;
    assert!(seconds(&folded, "waited.outage_seconds") > 0.0, "{folded:?}");
    assert!(seconds(&folded, "waited.outage_seconds") <= seconds(&folded, "waited.total_seconds"));
    let mut lines = BTreeSet::new();
    for link in &folded.links {
        let [read, ..] = batch_behind(&collector, link).await;
        lines.insert(line_before(&read.attributes["log.file.path"], &link.attributes["line_end.first"]));
    }
    let expected = [2, 3, 4].map(|n| line(n, &format!("line {n}")).trim_end().to_owned());
    assert_eq!(lines, BTreeSet::from(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_the_lines_leaves_with_their_messages_and_no_others() {
    let collector = Collector::http().await;
    let (sim, site) = site(&collector, "sample_ratio = 0.5").await;
    let mut relay = site.start();
    relay.wait_until_ready().await;
    for n in 0..16 {
        site.append("prod", &line(n, &format!("line {n}")));
        assert!(sim.wait_for(DEADLINE, |state| state.messages(CHAT).count() > n as usize).await);
    }
    // Spans leave in their order, and of these half is kept: once one has come, those before have.
    let asked = jiff::Timestamp::now();
    let later =
        |span: &Received| span.name == "health_liveness_check" && i128::from(span.times.0) > asked.as_nanosecond();
    relay.wait_for("/healthz", |_, _| collector.all().iter().any(later)).await;
    assert_eq!(relay.terminate().await.code(), Some(0));
    let all = collector.all();
    let commits: BTreeSet<&str> = all.iter().filter(|span| with_a_row(span)).map(|span| span.trace.as_str()).collect();
    let sends: Vec<&Received> = all.iter().filter(|span| span.name == "discord.send").collect();
    assert_eq!(sends.len(), commits.len(), "a line and its message leave together");
    for send in sends {
        assert!(send.links.iter().any(|link| commits.contains(link.trace.as_str())), "{send:?}");
    }
    assert!(!commits.is_empty() && commits.len() < 16, "{} of 16", commits.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_fails_brings_its_lines_trace_though_nothing_is_sampled() {
    let collector = Collector::http().await;
    let (sim, site) = site(&collector, "sample_ratio = 0.0").await;
    let relay = site.start();
    relay.wait_until_ready().await;
    site.append("prod", &line(1, "goes well"));
    assert!(sim.wait_for(DEADLINE, |state| state.messages(CHAT).count() == 1).await);
    sim.set_fault(Fault::new(FaultKind::server_error(503)).times(1));
    site.append("prod", &line(2, "fails late"));
    let refused = collector.find(|span| span.name == "discord.send" && span.failed).await;
    let sent = collector.find(is_delivery).await;
    assert_eq!(refused.links[0].id, sent.links[0].id, "and how it ended");
    let [read, ..] = batch_behind(&collector, &refused.links[0]).await;
    let line = line_before(&read.attributes["log.file.path"], &refused.links[0].attributes["line_end.first"]);
    assert!(line.ends_with("fails late"), "{line}");
    assert_eq!(collector.all().iter().filter(|span| is_delivery(span)).count(), 1, "what goes well stays away");
}

/// What the database holds of traces, per row.
async fn stored(site: &Site) -> Vec<(Option<String>, Option<i64>)> {
    let options = SqliteConnectOptions::new().filename(site.dir.path().join("isr.db")).read_only(true);
    let database = SqlitePool::connect_with(options).await.unwrap();
    sqlx::query_as("SELECT trace, line_end FROM outbox ORDER BY id").fetch_all(&database).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_hold_their_trace_and_without_tracing_nothing() {
    let collector = Collector::http().await;
    let (sim, traced) = site(&collector, "").await;
    let plain = Site::new(&sim.base_url()).server("prod", CHAT);
    let mut found = Vec::new();
    for (n, site) in [traced, plain].iter().enumerate() {
        let mut relay = site.start();
        relay.wait_until_ready().await;
        site.append("prod", &line(1, "remembered"));
        assert!(sim.wait_for(DEADLINE, |state| state.messages(CHAT).count() > n).await);
        // Before the stop, whose flush has a limit.
        collector.find(with_a_row).await;
        assert_eq!(relay.terminate().await.code(), Some(0));
        found.push(stored(site).await);
    }
    let commit = collector.find(with_a_row).await;
    let end = i64::try_from(line(1, "remembered").len()).unwrap();
    assert_eq!(found[0], [(Some(format!("00-{}-{}-01", commit.trace, commit.id)), Some(end))]);
    assert_eq!(found[1], [(None, None)]);
}
