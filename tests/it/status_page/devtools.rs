//! A headless Chromium, driven over the protocol of its developer tools.

use std::io::BufReader;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::harness::within;

const PROGRAMS: [&str; 2] = ["chromium", "google-chrome"];

/// Nothing of its own goes to the network, and nothing is left of it.
const FLAGS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--no-default-browser-check",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
];

/// The browser that is installed.
pub(super) fn installed() -> &'static str {
    let runs = |program: &&str| {
        let silent = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        silent.is_ok_and(|status| status.success())
    };
    PROGRAMS.into_iter().find(runs).expect("the build found Chromium; touch build.rs after removing it")
}

/// One tab. The browser ends with it.
pub(super) struct Tab {
    browser: Child,
    socket: WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>,
    session: Value,
    calls: u64,
    heard: Vec<Value>,
    _profile: tempfile::TempDir,
}

impl Drop for Tab {
    fn drop(&mut self) {
        drop(self.browser.kill());
        drop(self.browser.wait());
    }
}

impl Tab {
    pub(super) async fn open(program: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Command::new(program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors = BufReader::new(browser.stderr.take().unwrap());
        let address = within(tokio::task::spawn_blocking(move || address_in(errors))).await.unwrap();
        let (socket, _) = within(Box::pin(connect_async(address))).await.unwrap();
        let mut tab = Self { browser, socket, session: Value::Null, calls: 0, heard: Vec::new(), _profile: profile };
        let target = tab.call("Target.createTarget", json!({"url": "about:blank"})).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        tab.session = tab.call("Target.attachToTarget", attach).await["sessionId"].clone();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            tab.call(&format!("{domain}.enable"), json!({})).await;
        }
        tab
    }

    /// Calls a method of the protocol; events that come meanwhile are kept.
    pub(super) async fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let mut call = json!({"id": id, "method": method, "params": params});
        if !self.session.is_null() {
            call["sessionId"] = self.session.clone();
        }
        within(self.socket.send(Message::text(call.to_string()))).await.unwrap();
        loop {
            let heard = within(self.socket.next()).await.unwrap().unwrap();
            let Message::Text(text) = heard else { continue };
            let heard: Value = serde_json::from_str(&text).unwrap();
            if heard["id"] == id {
                assert!(heard["error"].is_null(), "{method}: {}", heard["error"]);
                return heard["result"].clone();
            }
            self.heard.push(heard);
        }
    }

    pub(super) async fn go(&mut self, url: &str) {
        self.call("Page.navigate", json!({"url": url})).await;
        self.until("document.readyState === 'complete'", |ready| ready == true).await;
    }

    /// The value of an expression in the page.
    pub(super) async fn value(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", params).await;
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// The value, once it suits.
    pub(super) async fn until(&mut self, expression: &str, suits: impl Fn(&Value) -> bool) -> Value {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        let deadline = tokio::time::Instant::now() + crate::harness::DEADLINE;
        loop {
            tick.tick().await;
            let value = self.value(expression).await;
            if suits(&value) {
                return value;
            }
            assert!(tokio::time::Instant::now() < deadline, "{expression} never suited: {value}");
        }
    }

    /// Until the text of an element has this in it.
    pub(super) async fn text_with(&mut self, selector: &str, text: &str) -> Value {
        let expression = format!("document.querySelector({})?.innerText ?? ''", json!(selector));
        self.until(&expression, |value| value.as_str().unwrap().contains(text)).await
    }

    /// A screen of this size that prefers this colour scheme.
    pub(super) async fn screen(&mut self, width: u32, height: u32, scheme: &str) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
        self.call("Emulation.setDeviceMetricsOverride", metrics).await;
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", features).await;
    }

    /// Events of this name so far.
    pub(super) fn events(&self, name: &str) -> Vec<&Value> {
        self.heard.iter().filter(|event| event["method"] == name).map(|event| &event["params"]).collect()
    }

    /// Forgets the events so far.
    pub(super) fn forget(&mut self) {
        self.heard.clear();
    }
}

/// The address the browser says it listens on. What it says later is read as well, or it would stop to say it.
fn address_in(errors: impl std::io::BufRead + Send + 'static) -> String {
    let mut lines = errors.lines().map_while(Result::ok);
    let found = lines.find_map(|line| line.strip_prefix("DevTools listening on ").map(str::to_owned));
    std::thread::spawn(move || lines.for_each(drop));
    found.expect("the browser says where it listens")
}
