//! Every fault, as the client that meets it sees it.

use std::time::{Duration, Instant};

use factorio_isr::sim::discord::{
    ApiError, Chaos, ChaosRates, Fault, FaultKind, RetryAfter, Scope, SimDiscord, SimDiscordConfig,
};
use serde_json::json;

use super::{CHANNEL, Rest, SOON, answer, contents, header, two_channels, unlimited};

const HELLO: &str = "hello";

#[tokio::test]
async fn server_error_strikes_so_often_and_is_over() {
    let discord = unlimited().await;
    discord.set_fault(Fault::new(FaultKind::server_error(503)).times(2));
    let rest = Rest::new(&discord);
    let body = json!({ "message": "503: Service Unavailable", "code": 0 });
    assert_eq!(rest.say(json!({ "content": HELLO })).await, (503, body.clone()));
    assert_eq!(rest.say(json!({ "content": HELLO })).await, (503, body));
    assert_eq!(rest.say(json!({ "content": HELLO })).await.0, 200);
    assert_eq!((contents(&discord).len(), discord.stats().answered(503)), (1, 2));
}

#[tokio::test]
async fn proxy_page_is_not_json() {
    let discord = unlimited().await;
    discord.set_fault(Fault::new(FaultKind::Page(429)));
    let page = Rest::new(&discord).post(json!({ "content": HELLO })).await.unwrap();
    assert_eq!((page.status().as_u16(), header(&page, "content-type")), (429, "text/html; charset=UTF-8"));
    assert!(page.text().await.unwrap().starts_with("<!DOCTYPE html>"));
    assert_eq!(discord.stats().invalid_requests, 1);
}

#[tokio::test]
async fn global_limit_says_so() {
    let discord = unlimited().await;
    discord.set_fault(Fault::new(FaultKind::rate_limited(Duration::from_millis(1500), Scope::Global)));
    let limited = Rest::new(&discord).post(json!({ "content": HELLO })).await.unwrap();
    assert_eq!((header(&limited, "x-ratelimit-global"), header(&limited, "retry-after")), ("true", "2"));
    let (status, body) = answer(limited).await;
    assert_eq!((status, &body["retry_after"], &body["global"]), (429, &json!(1.5), &json!(true)));
}

#[tokio::test]
async fn shared_limit_is_not_an_invalid_request() {
    let discord = unlimited().await;
    discord.set_fault(Fault::new(FaultKind::rate_limited(Duration::from_secs(1), Scope::Shared)));
    let limited = Rest::new(&discord).post(json!({ "content": HELLO })).await.unwrap();
    assert_eq!(header(&limited, "x-ratelimit-scope"), "shared");
    assert_eq!((discord.stats().limited(Scope::Shared), discord.stats().invalid_requests), (1, 0));
}

#[tokio::test]
async fn limit_can_name_a_date_or_no_time_at_all() {
    let discord = unlimited().await;
    for header in [RetryAfter::HttpDate, RetryAfter::Absent] {
        let kind = FaultKind::RateLimited { retry_after: Duration::from_secs(1), scope: Scope::User, header };
        discord.set_fault(Fault::new(kind).times(1));
    }
    let rest = Rest::new(&discord);
    let dated = rest.post(json!({ "content": HELLO })).await.unwrap();
    assert!(header(&dated, "retry-after").ends_with(" GMT"), "{}", header(&dated, "retry-after"));
    let silent = rest.post(json!({ "content": HELLO })).await.unwrap();
    assert_eq!((silent.status().as_u16(), header(&silent, "retry-after")), (429, ""));
}

#[tokio::test]
async fn hung_request_may_have_been_carried_out() {
    let discord = unlimited().await;
    let mut rest = Rest::new(&discord);
    rest.client = reqwest::Client::builder().no_proxy().timeout(Duration::from_millis(200)).build().unwrap();
    for processed in [false, true] {
        discord.set_fault(Fault::new(FaultKind::Hang { processed }).times(1));
        assert!(rest.post(json!({ "content": format!("{processed}") })).await.unwrap_err().is_timeout());
    }
    assert_eq!((contents(&discord), discord.stats().unanswered), (vec!["true".to_owned()], 2));
}

#[tokio::test]
async fn cut_request_may_have_been_carried_out() {
    let discord = unlimited().await;
    let rest = Rest::new(&discord);
    for processed in [false, true] {
        discord.set_fault(Fault::new(FaultKind::Cut { processed }).times(1));
        let error = rest.post(json!({ "content": format!("{processed}") })).await.unwrap_err();
        assert!(error.is_request() && !error.is_timeout(), "{error:?}");
    }
    assert_eq!((contents(&discord), discord.stats().unanswered), (vec!["true".to_owned()], 2));
    assert_eq!(rest.say(json!({ "content": "after" })).await.0, 200);
}

#[tokio::test]
async fn slow_answer_is_the_right_one() {
    let discord = unlimited().await;
    discord.set_fault(Fault::new(FaultKind::Slow(Duration::from_millis(150))));
    let begun = Instant::now();
    assert_eq!(Rest::new(&discord).say(json!({ "content": HELLO })).await.0, 200);
    assert!(begun.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn fault_keeps_to_its_channel_and_to_its_text() {
    let discord = unlimited().await;
    discord.set_fault(Fault::new(FaultKind::Answer(ApiError::missing_access())).channel(222));
    discord.set_fault(Fault::new(FaultKind::Answer(ApiError::automod())).containing("rude"));
    let rest = Rest::new(&discord);
    let say = async |channel: u64, content: &str| {
        let path = format!("/channels/{channel}/messages");
        let sent = rest.request("POST", &path).json(&json!({ "content": content })).send().await.unwrap();
        answer(sent).await.1["code"].clone()
    };
    assert_eq!(say(222, HELLO).await, 50001);
    assert_eq!(say(CHANNEL, "a rude word").await, 200_000);
    assert_eq!(say(CHANNEL, HELLO).await, json!(null));
    discord.clear_faults();
    assert_eq!(say(222, "rude").await, json!(null));
}

#[tokio::test]
async fn fault_everywhere_spares_the_address_of_the_gateway() {
    let discord = unlimited().await;
    discord.set_fault(Fault::new(FaultKind::Answer(ApiError::unauthorized())).everywhere());
    let rest = Rest::new(&discord);
    assert_eq!(rest.get("/users/@me").await.0, 401);
    assert_eq!(rest.get("/gateway").await.0, 200);
}

#[tokio::test]
async fn outage_refuses_connections_and_ends_on_the_same_port() {
    let discord = unlimited().await;
    let rest = Rest::new(&discord);
    rest.say(json!({ "content": "before" })).await;
    discord.stop().await;
    assert!(rest.post(json!({ "content": "meanwhile" })).await.unwrap_err().is_connect());
    discord.restart().await.unwrap();
    assert_eq!(rest.say(json!({ "content": "after" })).await.0, 200);
    assert_eq!(contents(&discord), ["before", "after"]);
}

#[tokio::test]
async fn outage_breaks_requests_that_are_under_way() {
    let discord = unlimited().await;
    discord.set_fault(Fault::new(FaultKind::Hang { processed: false }));
    let rest = Rest::new(&discord);
    let (error, ()) = tokio::join!(rest.post(json!({ "content": HELLO })), async {
        assert!(discord.wait_for(SOON, |state| state.stats().unanswered == 1).await);
        discord.stop().await;
    });
    assert!(!error.unwrap_err().is_timeout());
}

#[tokio::test]
async fn posts_at_once_are_counted_per_channel() {
    let discord = unlimited().await;
    discord.set_fault(Fault::new(FaultKind::Slow(Duration::from_millis(200))).channel(CHANNEL));
    let rest = Rest::new(&discord);
    let body = || json!({ "content": HELLO });
    tokio::join!(rest.say(body()), rest.say(body()), rest.say(body()));
    discord.clear_faults();
    rest.say(body()).await;
    assert_eq!(discord.stats().most_posts_at_once[&CHANNEL], 3);
}

#[tokio::test]
async fn same_seed_gives_the_same_chaos() {
    let rates =
        ChaosRates { server_error: 0.3, rate_limited: 0.2, cut: 0.1, cut_processed: 0.1, ..ChaosRates::default() };
    let play = async || {
        let discord: SimDiscord = unlimited().await;
        discord.set_chaos(Some(Chaos::new(42, rates)));
        let rest = Rest::new(&discord);
        let mut seen = Vec::new();
        for _ in 0..40 {
            seen.push(rest.post(json!({ "content": HELLO })).await.map_or(0, |response| response.status().as_u16()));
        }
        seen
    };
    let (first, second) = (play().await, play().await);
    assert_eq!(first, second);
    for status in [0, 200, 429] {
        assert!(first.contains(&status), "{first:?}");
    }
}

#[tokio::test]
async fn only_the_last_messages_are_kept_if_so_wanted() {
    let discord = SimDiscord::start(SimDiscordConfig { keep_messages: Some(2), ..two_channels() }).await.unwrap();
    for n in 0..5 {
        discord.say(CHANNEL, "alice", &n.to_string()).unwrap();
    }
    assert_eq!(contents(&discord), ["3", "4"]);
    assert_eq!(discord.read(|state| state.posted(CHANNEL)), 5);
}
