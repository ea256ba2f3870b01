//! The page of the running program in a headless Chromium.

use factorio_isr::sim::discord::{Fault, FaultKind};
use serde_json::{Value, json};

use super::Events;
use super::devtools::{Tab, installed};
use super::program::{chat, discord, spoil};
use crate::harness::{Relay, Site};

const CHAT: u64 = 1001;

/// The running program, and a tab that shows its page and is live.
struct Watched {
    discord: factorio_isr::sim::discord::SimDiscord,
    site: Site,
    relay: Relay,
    base: String,
    tab: Tab,
}

impl Watched {
    async fn start(servers: &[&str]) -> Self {
        let program = installed();
        let discord = discord().await;
        let site = servers.iter().fold(Site::new(&discord.base_url()), |site, tag| site.server(tag, CHAT));
        let relay = site.start();
        relay.wait_until_ready().await;
        let base = relay.address().await;
        let mut tab = Tab::open(program).await;
        tab.go(&base).await;
        tab.text_with("#said", "Live").await;
        Self { discord, site, relay, base, tab }
    }

    /// The browser has no complaint: of the policy, a script, or a file that is missing.
    fn assert_clean(&self) {
        let errors: Vec<&Value> =
            self.tab.events("Log.entryAdded").into_iter().filter(|event| event["entry"]["level"] == "error").collect();
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(self.tab.events("Runtime.exceptionThrown"), Vec::<&Value>::new());
        let asked = self.tab.events("Network.requestWillBeSent");
        let urls: Vec<&str> = asked.iter().map(|event| event["request"]["url"].as_str().unwrap()).collect();
        assert!(urls.len() >= 4, "the page, its style, its script and the stream: {urls:?}");
        assert!(urls.iter().all(|url| url.starts_with(&self.base)), "only from here: {urls:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_chromium), ignore = "needs Chromium")]
async fn the_page_counts_on_while_it_is_open() {
    let mut watched = Watched::start(&["prod"]).await;
    watched.site.append("prod", &chat("one"));
    watched.tab.text_with("#pulse", "1 lines, 1 events").await;
    watched.site.append("prod", &(chat("two") + &chat("three")));
    watched.tab.text_with("#pulse", "3 lines, 3 events").await;
    let age = "document.querySelector('#components time').innerText";
    let before = watched.tab.value(age).await;
    watched.tab.until(age, |now| *now != before && now.as_str().unwrap().starts_with("for ")).await;
    assert_eq!(watched.tab.value("document.title").await, json!("All is well · factorio-isr"));
    watched.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_chromium), ignore = "needs Chromium")]
async fn what_the_reader_has_selected_focused_and_unfolded_stays_so() {
    let mut watched = Watched::start(&["prod", "test"]).await;
    let hold = "document.querySelector('a[href=\"/ready\"]').focus();
                window.kept = document.querySelector('#components b');
                getSelection().selectAllChildren(kept);
                document.querySelector('#fold').open = false;
                document.body.style.minHeight = '3000px'; scrollTo(0, 123)";
    watched.tab.value(hold).await;
    spoil(&watched.site.console_log("prod"));
    watched.tab.text_with("#trouble", "prod-console.log").await;
    watched.tab.text_with("#errors", "The log is not read").await;
    watched.tab.text_with("h1", "Not ready").await;
    let kept = "[document.activeElement.getAttribute('href'), String(getSelection()),
                 document.querySelector('#fold').open, scrollY, kept.isConnected]";
    assert_eq!(watched.tab.value(kept).await, json!(["/ready", "Discord", false, 123, true]));
    std::fs::remove_dir(watched.site.console_log("prod")).unwrap();
    watched.site.append("prod", "");
    watched.tab.until("document.querySelectorAll('#trouble > li').length", |count| *count == 0).await;
    let order = "[...document.querySelectorAll('#well > li')].map((card) => card.id)";
    assert_eq!(watched.tab.value(order).await, json!(["s-prod", "s-test"]));
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_chromium), ignore = "needs Chromium")]
async fn the_page_says_since_when_the_relay_is_gone_and_comes_back_with_it() {
    let mut watched = Watched::start(&["prod"]).await;
    let port = watched.base.rsplit(':').next().unwrap().to_owned();
    watched.relay.kill();
    let said = watched.tab.text_with("#said", "Connection lost since ").await;
    assert!(said.as_str().unwrap().ends_with(" UTC"), "{said}");
    watched.tab.text_with("#age", " s)").await;
    assert_eq!(watched.tab.value("document.title").await, json!("Connection lost · factorio-isr"));
    watched.relay = watched.site.start_with(&[("ISR_HTTP__PORT", &port)]);
    watched.tab.text_with("#said", "Live").await;
    watched.tab.text_with("h1", "All is well").await;
    assert_eq!(watched.tab.value("document.querySelector('#age').innerText").await, json!(""));
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_chromium), ignore = "needs Chromium")]
async fn a_tab_that_nobody_looks_at_asks_for_nothing() {
    let mut watched = Watched::start(&["prod"]).await;
    let viewers = |number: u32| {
        move |_: u16, body: &str| body.contains(&format!("\nfactorio_isr_status_page_viewers {number}\n"))
    };
    watched.relay.wait_for("/metrics", viewers(1)).await;
    let hide = |hidden: bool| {
        format!(
            "Object.defineProperty(document, 'hidden', {{ configurable: true, value: {hidden} }});
             document.dispatchEvent(new Event('visibilitychange'))"
        )
    };
    watched.tab.value(&hide(true)).await;
    watched.relay.wait_for("/metrics", viewers(0)).await;
    watched.site.append("prod", &chat("unseen"));
    watched
        .relay
        .wait_for("/metrics", |_, body| body.contains("lines_read_total{server=\"prod\",source=\"console\"} 1\n"))
        .await;
    watched.tab.value(&hide(false)).await;
    watched.tab.text_with("#pulse", "1 lines").await;
    watched.relay.wait_for("/metrics", viewers(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_chromium), ignore = "needs Chromium")]
async fn a_reader_with_a_wrong_clock_sees_right_times() {
    let mut watched = Watched::start(&["prod"]).await;
    let wrong = "{ const right = Date.now; Date.now = () => right() - 3 * 86400000; }";
    watched.tab.call("Page.addScriptToEvaluateOnNewDocument", json!({"source": wrong})).await;
    watched.tab.go(&watched.base.clone()).await;
    watched.tab.text_with("#said", "Live").await;
    let ages = "[...document.querySelectorAll('time')].map((time) => time.innerText)";
    let live = |ages: &Value| ages.as_array().unwrap().iter().all(|age| age.as_str().unwrap().starts_with("for "));
    let ages = watched.tab.until(ages, live).await;
    assert!(!ages.to_string().contains(" d "), "{ages}");
    assert!(ages.to_string().contains(" s"), "none is from the days to come either: {ages}");
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_chromium), ignore = "needs Chromium")]
async fn a_page_that_finds_no_seat_shows_what_changes_all_the_same_and_takes_the_first_that_is_free() {
    let mut watched = Watched::start(&["prod"]).await;
    watched.tab.go("about:blank").await;
    let mut others = Vec::new();
    loop {
        let mut other = Events::open(&watched.base, "").await;
        if other.next().await.unwrap().kind == "glance" {
            break;
        }
        others.push(other);
    }
    watched.tab.go(&watched.base.clone()).await;
    watched.tab.text_with("#said", "Every 15 seconds: many watch").await;
    watched.tab.text_with("h1", "All is well").await;
    watched.site.append("prod", &chat("seen without a seat"));
    watched.tab.text_with("#pulse", "1 lines, 1 events").await;
    assert_eq!(watched.tab.value("document.documentElement.className").await, json!(""), "nothing is lost");
    drop(others);
    watched.tab.text_with("#said", "Live").await;
    assert_eq!(watched.tab.value("document.documentElement.className").await, json!(""));
}

/// True of a page that is not wider than its window.
const FITS: &str = "document.scrollingElement.scrollWidth <= innerWidth";

/// The least contrast (WCAG) of a text with what is behind it, over all elements with text of their own.
const LEAST_CONTRAST: &str = r"(() => {
    const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    const over = (colours) => {
        canvas.clearRect(0, 0, 1, 1);
        for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const luminance = (rgb) => {
        const [r, g, b] = rgb.map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => element ? [...behind(element.parentElement), getComputedStyle(element).backgroundColor] : [];
    let least = [21, ''];
    for (const element of document.querySelectorAll('body *')) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!own || element.closest('svg') || !element.offsetParent) continue;
        const ground = behind(element);
        const [text, back] = [over([...ground, getComputedStyle(element).color]), over(ground)].map(luminance);
        const contrast = (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05);
        if (contrast < least[0]) least = [contrast, element.outerHTML];
    }
    return least;
})()";

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_chromium), ignore = "needs Chromium")]
async fn it_fits_a_phone_and_can_be_read_in_the_dark_and_in_the_light() {
    let mut watched = Watched::start(&["prod", "a-server-with-a-name-as-long-as1"]).await;
    // Long reasons without a space, a warning, an error.
    let long = FaultKind::Answer(factorio_isr::sim::discord::ApiError::new(403, 50001, "x".repeat(300)));
    watched.discord.set_fault(Fault::new(long).channel(CHAT));
    spoil(&watched.site.console_log("prod"));
    watched.site.append("a-server-with-a-name-as-long-as1", &chat("refused"));
    watched.tab.text_with("#components", "xxxxxxxxxx").await;
    watched.tab.text_with("#errors", "The log is not read").await;
    let mut grounds = Vec::new();
    for scheme in ["dark", "light"] {
        for (width, height) in [(360, 740), (768, 1024), (1280, 900)] {
            watched.tab.screen(width, height, scheme).await;
            watched.tab.go(&watched.base.clone()).await;
            watched.tab.text_with("#said", "Live").await;
            let wide =
                "[...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth)
                        .map((e) => e.outerHTML.slice(0, 120))";
            assert_eq!(watched.tab.value(FITS).await, json!(true), "{width}: {}", watched.tab.value(wide).await);
            let contrast = watched.tab.value(LEAST_CONTRAST).await;
            assert!(contrast[0].as_f64().unwrap() >= 4.5, "AA wants 4.5: {scheme}, {width}: {contrast}");
        }
        grounds.push(watched.tab.value("getComputedStyle(document.body).backgroundColor").await);
    }
    assert_ne!(grounds[0], grounds[1], "two colour schemes");
    watched.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_chromium), ignore = "needs Chromium")]
async fn without_its_script_the_page_is_whole_and_comes_anew() {
    let mut watched = Watched::start(&["prod"]).await;
    watched.tab.call("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    watched.tab.forget();
    watched.tab.call("Page.navigate", json!({"url": watched.base})).await;
    let loads = |tab: &Tab| tab.events("Page.loadEventFired").len();
    // Its refresh loads it a second time.
    let deadline = tokio::time::Instant::now() + crate::harness::DEADLINE;
    while loads(&watched.tab) < 2 {
        watched.tab.value("0").await;
        assert!(tokio::time::Instant::now() < deadline, "it never came anew");
    }
    let text = watched.tab.value("document.body.innerText").await;
    let text = text.as_str().unwrap();
    for said in
        ["All is well", "Pulse", "Lines read", "Discord", "prod", "Console log", "No warning", "/ready", "As of"]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_chromium), ignore = "needs Chromium")]
async fn a_reason_in_markup_stays_text_in_a_live_page() {
    let mut watched = Watched::start(&["prod"]).await;
    let words = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";
    let evil = FaultKind::Answer(factorio_isr::sim::discord::ApiError::new(403, 50001, words));
    watched.discord.set_fault(Fault::new(evil).channel(CHAT));
    watched.site.append("prod", &chat("refused"));
    watched.tab.text_with("#components", "<img src=x onerror").await;
    assert_eq!(watched.tab.value("document.querySelectorAll('img, main script').length").await, json!(0));
    assert_ne!(watched.tab.value("document.title").await, json!("owned"));
    watched.assert_clean();
}
