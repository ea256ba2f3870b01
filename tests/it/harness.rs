//! Runs the real program as an operator would: a configuration, a folder of logs, a process. Waits on states, with
//! deadlines.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it is")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use factorio_isr::sim::discord::{SimChannel, SimDiscord, SimDiscordConfig, SimMessage};
use metrics_exporter_prometheus::PrometheusBuilder;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Client;
use tokio::sync::watch;

/// Long enough for any machine, short enough to end a hanging test.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// What `future` becomes, before the deadline.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it never happened")
}

/// Runs `test` on this thread alone and returns what `/metrics` would show afterwards.
pub fn metrics_of(test: impl Future<Output = ()>) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(test));
    recorder.handle().render()
}

/// The token the stand-in expects, unlike any other text in a log.
pub const TOKEN: &str = "sim-token.secret-7f3a91";

/// A Discord with these channels, by id and name.
pub async fn discord_with(channels: &[(u64, &str)]) -> SimDiscord {
    let channels = channels.iter().map(|(id, name)| SimChannel::new(*id, *name)).collect();
    let config = SimDiscordConfig { token: TOKEN.to_owned(), channels, ..SimDiscordConfig::default() };
    crate::discord_sim::start(config).await.unwrap()
}

/// A folder with a configuration, logs and a database; the program runs in it.
pub struct Site {
    pub dir: tempfile::TempDir,
    servers: String,
    discord: String,
    extra: String,
}

impl Site {
    pub fn new(api_base: &str) -> Self {
        let discord = format!("[discord]\napi_base = \"{api_base}\"\n");
        Self { dir: tempfile::tempdir().unwrap(), servers: String::new(), discord, extra: String::new() }
    }

    /// The same folder with its logs and its database, and a configuration that is begun anew.
    pub fn reconfigured(self, api_base: &str) -> Self {
        Self { dir: self.dir, ..Self::new(api_base) }
    }

    /// Adds `[servers.TAG]` with a console log in the site's folder and everything in one channel.
    pub fn server(self, tag: &str, channel: u64) -> Self {
        self.server_with(tag, &format!("default = {channel}"), "")
    }

    pub fn server_with(mut self, tag: &str, channels: &str, keys: &str) -> Self {
        let log = self.console_log(tag);
        fs::write(&log, "").unwrap();
        let table = format!(
            "[servers.{tag}]\nconsole_log = \"{}\"\nstart_at = \"beginning\"\ntimezone = \"UTC\"\n{keys}\n\
             channels = {{ {channels} }}\n",
            log.display()
        );
        self.servers.push_str(&table);
        self
    }

    /// Adds a line to `[discord]`.
    pub fn discord_key(mut self, line: &str) -> Self {
        self.discord.push_str(line);
        self.discord.push('\n');
        self
    }

    /// Adds any TOML.
    pub fn extra(mut self, toml: &str) -> Self {
        self.extra += toml;
        self.extra += "\n";
        self
    }

    pub fn console_log(&self, tag: &str) -> PathBuf {
        self.dir.path().join(format!("{tag}-console.log"))
    }

    pub fn append(&self, tag: &str, text: &str) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(self.console_log(tag)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// Writes the configuration.
    pub fn config(&self) -> PathBuf {
        let path = self.dir.path().join("config.toml");
        let database = self.dir.path().join("isr.db");
        let text = format!(
            "{}{}[http]\nhost = \"127.0.0.1\"\nport = 0\n[database]\npath = \"{}\"\n{}",
            self.discord,
            self.servers,
            database.display(),
            self.extra
        );
        fs::write(&path, text).unwrap();
        path
    }

    /// What `check` prints about the same configuration.
    pub fn check_with(&self, environment: &[(&str, &str)]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_factorio-isr"));
        command.args(["check", "--config"]).arg(self.config()).env("DISCORD_BOT_TOKEN", TOKEN);
        let output = command.envs(environment.iter().copied()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same, on both streams, with `DIR` for the site's folder.
    pub fn check(&self) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_factorio-isr"));
        command.args(["check", "--config"]).arg(self.config()).env("DISCORD_BOT_TOKEN", TOKEN);
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).replace(&self.dir.path().display().to_string(), "DIR")
    }

    /// Starts the program; returns at once.
    pub fn start(&self) -> Relay {
        self.start_with(&[])
    }

    pub fn start_with(&self, environment: &[(&str, &str)]) -> Relay {
        let mut command = Command::new(env!("CARGO_BIN_EXE_factorio-isr"));
        command
            .args(["run", "--config"])
            .arg(self.config())
            .env("DISCORD_BOT_TOKEN", TOKEN)
            .env("RUST_LOG", "info,factorio_isr=debug")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Relay::spawn(&mut command)
    }
}

/// The running program. Killed when dropped.
pub struct Relay {
    child: Child,
    output: Output,
    client: Client,
}

/// What the program printed so far, on both streams.
#[derive(Clone)]
pub struct Output {
    lines: Arc<Mutex<Vec<String>>>,
    count: watch::Receiver<usize>,
}

impl Output {
    pub fn text(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// The first line that `pick` takes, now or later.
    pub async fn find<T>(&self, pick: impl Fn(&str) -> Option<T>) -> T {
        let mut count = self.count.clone();
        let mut seen = 0;
        let search = async {
            loop {
                let lines: Vec<String> = self.lines.lock().unwrap()[seen..].to_vec();
                seen += lines.len();
                if let Some(found) = lines.iter().find_map(|line| pick(line)) {
                    return Some(found);
                }
                if count.changed().await.is_err() {
                    return None;
                }
            }
        };
        let found = tokio::time::timeout(DEADLINE, search).await;
        found.ok().flatten().unwrap_or_else(|| panic!("the program never said it; it said:\n{}", self.text()))
    }
}

impl Relay {
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (sender, count) = watch::channel(0);
        let sender = Arc::new(sender);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let (lines, sender) = (Arc::clone(&lines), Arc::clone(&sender));
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    lines.lock().unwrap().push(line);
                    sender.send_modify(|count| *count += 1);
                }
            });
        }
        // Each request has its own connection, as one of another program would.
        let client = Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        Self { child, output: Output { lines, count }, client }
    }

    pub fn output(&self) -> &Output {
        &self.output
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its endpoints are; waits until it listens.
    pub async fn address(&self) -> String {
        self.output.find(|line| address_in(line, "Listening")).await
    }

    /// Status and body of an endpoint.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let response = self.client.get(format!("{}{path}", self.address().await)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The status page.
    pub async fn page(&self) -> String {
        let asked = self.client.get(self.address().await).header("accept", "text/html");
        asked.send().await.unwrap().text().await.unwrap()
    }

    /// Waits until an endpoint's answer suits.
    pub async fn wait_for(&self, path: &str, suits: impl Fn(u16, &str) -> bool) -> String {
        self.wait_within(DEADLINE, path, suits).await
    }

    /// The same for so long.
    pub async fn wait_within(&self, limit: Duration, path: &str, suits: impl Fn(u16, &str) -> bool) -> String {
        let deadline = Instant::now() + limit;
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        loop {
            tick.tick().await;
            let (status, body) = self.get(path).await;
            if suits(status, &body) {
                return body;
            }
            assert!(Instant::now() < deadline, "{path} never suited: {status} {body}\n{}", self.output.text());
        }
    }

    pub async fn wait_until_ready(&self) {
        self.wait_for("/ready", |status, _| status == 200).await;
    }

    /// Whether it has not ended by itself.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// SIGTERM, and what the program exits with.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.exit().await
    }

    /// What the program exits with.
    pub async fn exit(&mut self) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        loop {
            tick.tick().await;
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the program does not stop; it said:\n{}", self.output.text());
        }
    }

    /// Resident memory in bytes, as the kernel counts it.
    pub fn resident_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The `http://127.0.0.1:PORT` in a line that has `word`.
pub fn address_in(line: &str, word: &str) -> Option<String> {
    let start = line.contains(word).then(|| line.find("http://127.0.0.1:"))??;
    let rest = &line[start..];
    let end = rest.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(rest.len());
    Some(rest[..end].trim_end_matches('/').to_owned())
}

/// The relayed lines of a message, in order: those of its file where it has one, else its text.
pub fn lines_of(message: &SimMessage) -> Vec<String> {
    if message.attachments.is_empty() {
        return message.content.lines().map(str::to_owned).collect();
    }
    message.attachments.iter().flat_map(|file| file.text().lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// The relayed lines in a channel's messages, in order.
pub fn relayed_lines(messages: &[Arc<SimMessage>]) -> Vec<String> {
    messages.iter().flat_map(|message| lines_of(message)).collect()
}
