//! `/events` and the files of the page, as browsers and their caches see them.

use std::time::{Duration, Instant};

use factorio_isr::health::Component;
use reqwest::{Client, Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Events, HTML, page, seen};
use crate::harness::within;
use crate::http::Served;

/// Who may watch at once.
const VIEWERS: usize = 32;

#[tokio::test]
async fn a_viewer_is_told_what_changes_and_nothing_else() {
    let served = Served::well().await;
    let page = page(&served.base).await;
    let mut events = Events::open(&served.base, &seen(&page)).await;
    let greeting = events.next().await.unwrap();
    assert_eq!(greeting.data["all"], json!(false));
    assert!(greeting.part("s-prod").is_none() && greeting.part("components").is_none(), "{greeting:?}");

    served.health.component(Component::Store).unhealthy("the disk is full");
    let update = events.until(|update| update.part("components").is_some()).await;
    assert!(update.part("components").unwrap().contains("<p class=\"why\">the disk is full</p>"));
    assert!(update.part("s-prod").is_none() && update.part("errors").is_none(), "{:?}", update.parts());
}

#[tokio::test]
async fn a_page_that_another_opens_takes_no_news_from_a_viewer() {
    let served = Served::well().await;
    let mut events = Events::open(&served.base, "").await;
    events.next().await.unwrap();
    for number in 0..3 {
        served.health.component(Component::Store).degraded(format!("reason {number}"));
        assert!(page(&served.base).await.contains(&format!("reason {number}")));
        events.part_with("components", &format!("reason {number}")).await;
    }
}

#[tokio::test]
async fn a_stream_with_nothing_to_tell_has_a_heartbeat() {
    let (served, _page) = Served::still(None).await;
    let mut events = Events::open(&served.base, "").await;
    events.next().await.unwrap();
    let beat = events.response.chunk();
    assert_eq!(&within(beat).await.unwrap().unwrap()[..], b": still here\n\n");
}

#[tokio::test]
async fn a_stream_that_broke_goes_on_where_it_was() {
    let served = Served::well().await;
    let mut events = Events::open(&served.base, "").await;
    let id = events.next().await.unwrap().id;
    drop(events);
    served.health.component(Component::Discord).unhealthy("refused");
    let request = Client::new().get(format!("{}/events?seen=of-long-ago", served.base)).header("last-event-id", &id);
    let mut again = Events::of(request.send().await.unwrap());
    let greeting = again.next().await.unwrap();
    assert!(greeting.part("headline").unwrap().contains("Not ready"));
    assert!(greeting.part("s-prod").is_none() && greeting.data["all"] == json!(false), "{:?}", greeting.parts());
}

#[tokio::test]
async fn a_page_of_another_run_is_told_everything() {
    let served = Served::well().await;
    for seen in ["", "18c0ffee-00000000.7", "nonsense", "%00"] {
        let greeting = Events::open(&served.base, seen).await.next().await.unwrap();
        assert_eq!(greeting.data["all"], json!(true), "{seen}");
        for part in ["headline", "pulse", "components", "servers-summary", "well-summary", "errors", "s-prod"] {
            assert!(greeting.part(part).is_some(), "{part}");
        }
    }
}

#[tokio::test]
async fn the_clock_of_the_server_goes_along() {
    let served = Served::well().await;
    let told = Events::open(&served.base, "").await.next().await.unwrap().data["now"].as_i64().unwrap();
    assert!((jiff::Timestamp::now().as_millisecond() - told).abs() < 60_000, "{told}");
}

#[tokio::test]
async fn a_stream_outlives_the_limits_of_requests() {
    let served = Served::well().await;
    let mut events = Events::open(&served.base, "").await;
    let begun = events.next().await.unwrap().data["now"].as_i64().unwrap();
    // An answer may take 5 s, a connection 10 s to ask.
    events.until(|update| update.data["now"].as_i64().unwrap() - begun > 11_000).await;
}

#[tokio::test]
async fn viewers_beyond_the_limit_are_told_what_changed_each_time_they_come() {
    let served = Served::well().await;
    let mut viewers = Vec::new();
    for _ in 0..VIEWERS {
        viewers.push(Events::open(&served.base, "").await);
    }
    let mut beyond = Events::open(&served.base, "").await;
    assert_eq!(beyond.response.headers()["connection"], "close");
    let first = beyond.next().await.unwrap();
    assert_eq!((first.kind.as_str(), first.data["all"].clone()), ("glance", json!(true)));
    assert!((10_000..=20_000).contains(&first.retry.unwrap()), "{first:?}");
    assert!(beyond.next().await.is_none(), "it is one message");

    served.health.component(Component::Store).degraded("the disk is slow");
    let mut again = Events::open(&served.base, &first.id).await;
    let second = again.next().await.unwrap();
    assert!(second.part("components").unwrap().contains("the disk is slow"));
    assert!(second.part("s-prod").is_none() && second.kind == "glance", "{:?}", second.parts());

    viewers.pop();
    let free = async {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        while Events::open(&served.base, &second.id).await.next().await.unwrap().kind != "update" {
            tick.tick().await;
        }
    };
    within(free).await;
}

#[tokio::test]
async fn who_asks_for_the_head_of_the_stream_takes_no_seat() {
    let served = Served::well().await;
    for _ in 0..=VIEWERS {
        assert_eq!(served.ask(Method::HEAD, "/events", "*/*").await.status(), 200);
    }
    assert_eq!(Events::open(&served.base, "").await.next().await.unwrap().kind, "update");
}

/// Browsers keep connections open, and so many pages would leave none to those who ask whether the program lives.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_open_pages_do_not_starve_the_probes() {
    let served = Served::well().await;
    let open = (0..200).map(|_| {
        let base = served.base.clone();
        tokio::spawn(async move {
            // One client is one browser with its own connections.
            let browser = Client::new();
            for path in ["/", "/status.css", "/status.js", "/favicon.svg"] {
                let answer = browser.get(format!("{base}{path}")).header("accept", HTML).send().await.unwrap();
                assert_eq!(answer.status(), 200);
                answer.bytes().await.unwrap();
            }
            let mut stream = Events::of(browser.get(format!("{base}/events")).send().await.unwrap());
            let kind = stream.next().await.unwrap().kind;
            (browser, stream, kind)
        })
    });
    let open: Vec<_> = open.collect();
    let mut pages = Vec::new();
    for page in open {
        pages.push(within(page).await.unwrap());
    }
    let watching = pages.iter().filter(|(.., kind)| kind == "update").count();
    assert_eq!(watching, VIEWERS);
    for path in ["/healthz", "/ready", "/metrics"] {
        // The supervisor's part.
        served.lifecycle.beat();
        // Whoever probes waits some ten seconds.
        let answer = timeout(Duration::from_secs(10), served.ask(Method::GET, path, "*/*")).await;
        assert_eq!(answer.unwrap_or_else(|_| panic!("{path} is starved")).status(), 200, "{path}");
    }
}

#[tokio::test]
async fn a_viewer_who_never_reads_holds_up_nobody() {
    let served = Served::well().await;
    let mut deaf = TcpStream::connect(served.base.trim_start_matches("http://")).await.unwrap();
    deaf.write_all(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    within(deaf.read_exact(&mut answer)).await.unwrap();
    let mut events = Events::open(&served.base, "").await;
    for number in 0..3 {
        served.health.component(Component::Store).unhealthy(format!("{number}: {}", "long ".repeat(50_000)));
        events.part_with("components", &format!("{number}: long")).await;
    }
    served.cancel.cancel();
    // Nor does it hang the stop.
    within(served.server).await.unwrap().unwrap();
}

/// How long a server with a viewer takes to stop.
async fn stops_within() -> Duration {
    let served = Served::well().await;
    let mut events = Events::open(&served.base, "").await;
    events.next().await.unwrap();
    served.cancel.cancel();
    let begun = Instant::now();
    while events.next().await.is_some() {}
    within(served.server).await.unwrap().unwrap();
    begun.elapsed()
}

#[tokio::test]
async fn streams_end_at_once_when_the_program_stops() {
    let mut stops = Vec::new();
    // Without the end of the streams, the server would wait for them for half a second each time.
    while stops.iter().all(|took| *took >= Duration::from_millis(400)) {
        assert!(stops.len() < 10, "{stops:?}");
        stops.push(stops_within().await);
    }
}

#[tokio::test]
async fn another_sites_page_takes_no_seat() {
    let served = Served::well().await;
    for (site, status) in [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)] {
        let request = Client::new().get(format!("{}/events", served.base)).header("sec-fetch-site", site);
        assert_eq!(request.send().await.unwrap().status(), status, "{site}");
    }
}

#[tokio::test]
async fn every_answer_is_strict() {
    let served = Served::well().await;
    for path in ["/", "/events", "/status.js", "/status.css", "/favicon.svg", "/ready", "/nothing"] {
        let answer = served.ask(Method::GET, path, HTML).await;
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && policy.ends_with("frame-ancestors 'none'"), "{policy}");
        assert_eq!((header("x-content-type-options"), header("x-frame-options")), ("nosniff".into(), "DENY".into()));
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("cross-origin-resource-policy"), "same-origin");
        assert!(answer.headers().get("access-control-allow-origin").is_none(), "{path}");
    }
}

#[tokio::test]
async fn files_are_kept_under_the_name_of_their_content_and_all_else_is_not() {
    let served = Served::well().await;
    let page = page(&served.base).await;
    for (attribute, kind) in [("href=\"/status.css?", "text/css"), ("src=\"/status.js?", "text/javascript")] {
        let start = page.find(attribute).unwrap() + attribute.find('/').unwrap();
        let url = page[start..].split('"').next().unwrap();
        let answer = served.ask(Method::GET, url, "*/*").await;
        assert_eq!(answer.headers()["cache-control"], "public, max-age=31536000, immutable");
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with(kind));
        let tag = answer.headers()["etag"].clone();

        let (path, _) = url.split_once('?').unwrap();
        for old in [path.to_owned(), format!("{path}?v=0123456789abcdef")] {
            assert_eq!(served.ask(Method::GET, &old, "*/*").await.headers()["cache-control"], "no-cache", "{old}");
        }
        let again = Client::new().get(format!("{}{path}", served.base)).header("if-none-match", tag).send().await;
        let again = again.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert!(again.bytes().await.unwrap().is_empty());
    }
    for path in ["/", "/events", "/ready", "/metrics"] {
        let cached = served.ask(Method::GET, path, HTML).await.headers()["cache-control"].clone();
        // Streams say so in their own words.
        assert!(cached == "no-store" || (path == "/events" && cached == "no-cache"), "{path}: {cached:?}");
    }
}
