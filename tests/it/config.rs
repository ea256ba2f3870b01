//! What an operator sees of the configuration: the built program on files of its own, and [`load`] with environments
//! of its own.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like the tests")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use factorio_isr::config::{Environment, Loaded, load};
use factorio_isr::domain::Route;
use secrecy::ExposeSecret;
use tempfile::TempDir;

pub const GOOD: &str = r#"
[discord]
token = "token-of-the-file"

[servers.prod]
console_log = "logs/console.log"
channels = { default = 111, joins = "112" }
"#;

/// A directory with a configuration in it.
pub struct Place {
    dir: TempDir,
    vars: BTreeMap<String, String>,
}

/// How the program ended and what it said, with the directory's path replaced by `DIR`.
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Place {
    pub fn with(config: &str) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap(), vars: BTreeMap::new() };
        place.file("config.toml", config);
        std::fs::create_dir(place.path("secrets")).unwrap();
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn file(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn var(mut self, name: &str, value: &str) -> Self {
        self.vars.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn load(&self) -> Result<Loaded, String> {
        let env = Environment { vars: self.vars.clone(), secrets_dir: self.path("secrets") };
        load(&self.path("config.toml"), &env).map_err(|errors| self.redact(&errors.to_string()))
    }

    pub fn errors(&self) -> String {
        self.load().unwrap_err()
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_factorio-isr"));
        let command = command.args(arguments).current_dir(self.dir.path()).env_clear().envs(&self.vars);
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| self.redact(&String::from_utf8(bytes).unwrap());
        Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn redact(&self, text: &str) -> String {
        text.replace(self.dir.path().to_str().unwrap(), "DIR")
    }
}

#[test]
fn a_good_configuration_is_summed_up() {
    let shown = GOOD.replace("\"112\"", "112, status = 116, topic = 111");
    let place = Place::with(&format!(
        r#"{shown}
        engine_log = "/nowhere/factorio-current.log"
        timezone = "Europe/Berlin"
        rcon = {{ password = "hush", allow_lua = true }}
        [events.join]
        enabled = false
        [[patterns]]
        id = "trade"
        regex = '^\[TRADE\] (?<who>\w+)'
        template = "{{who}} on {{server}}"
        channel = 115
        examples = ["[TRADE] Bob"]
        [alerts]
        ping = [7, 8]
        channel = 114
        [alerts.low_ups]
        below = 50.5
        [servers.prod.alerts.crash_loop]
        enabled = false
        "#
    ));
    place.file("logs/console.log", "2026-11-30 10:00:00 [CHAT] Bob: hello\n");
    let said = place.run(&["check"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!(said.out, @r#"
    config.toml is valid, with 2 warnings.

    Server prod (prod)
      console log  logs/console.log (readable, 38 bytes)
      engine log   /nowhere/factorio-current.log (not there yet)
      time zone    Europe/Berlin
      channels     default 111, joins 112, status 116, topic 111
      rcon         127.0.0.1:27015, Lua allowed
      alerts       to channel 114, repeated after 1h
        low_ups      below 50.5 of 60 in 3 samples, over at 58; cooldown 5m; pings 7, 8
        rcon_down    no answer for 2m; cooldown 5m; pings 7, 8
        log_silent   no line for 2m of who came or went, or for 6h of who plays; cooldown 5m; pings 7, 8
        autosave     a save failed, or none for 30m of play; cooldown 5m; pings 7, 8
        start_failed an error before the server is ready, when the run ends or after 1m; cooldown 0s; pings 7, 8
        crash        a crash, over when it runs; cooldown 0s; pings 7, 8
        desync       a desync, over after 15m without; cooldown 0s; pings 7, 8
        script_error an error, over after 15m without; cooldown 0s; pings 7, 8
        evolution    a step of 0.1; cooldown 0s; pings nobody
        watchlist    one of 0 names joined; cooldown 5m; pings 7, 8
        join_refused 5 refusals within 10m; cooldown 5m; pings 7, 8
        backlog      something waits for 10m; cooldown 5m; pings nobody
    Pattern trade: event trade, to channel 115, examples that match: 1
    Event join: off
    Discord at https://discord.com
    HTTP on 0.0.0.0, port 8080, metrics on
    Database at factorio-isr.db
    warning: servers.prod.rcon.allow_lua is true: a Lua command disables achievements for the save
    warning: servers.prod.engine_log: /nowhere/factorio-current.log is not there yet; it is read as soon as it appears
    "#);
}

#[test]
fn a_server_without_alerts_is_summed_up_so() {
    let place = Place::with(&format!("{GOOD}\n[alerts]\nenabled = false\n"));
    assert!(place.run(&["check"]).out.contains("\n  alerts       none\n"));
}

#[test]
fn all_mistakes_are_told_at_once() {
    let place = Place::with(
        r#"timezone = "Europe/Berln"

[discord]
token = "Bot abc"
api_base = "https://discord.com/api/v10"

[servers.prod]
consol_log = "/x/console.log"
start_at = "start"
channels = { default = "general", chatt = 5 }

[servers.two]
console_log = "/x/factorio-current.log"
channels = { default = 0 }

[servers.three]
console_log = "/x/../x/factorio-current.log"
engine_log = ""

[servers."bad tag"]
console_log = "/x/four.log"
channels = { default = 1 }

[relay]
poll_interval = "1ms"
max_replay_age = 15
max_backlog_messages = -1

[http]
port = 70000
host = "relay.example"

[events.joined]
enabled = "perhaps"

[events.leave]
template = "{nobody} left"

[[patterns]]
id = "a b"
regex = '(?=x)'

[[patterns]]
id = "trade"
regex = '(?<who>\w+) sold'
template = "{wo} sold {text}"
examples = ["Bob sold", "Bob bought"]
servers = ["prd"]

[[patterns]]
id = "trade"
regex = '('
lane = "fast"

[metrics]
enable = true
"#,
    );
    let said = place.run(&["check"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    insta::assert_snapshot!(said.err, @r#"
    config.toml:1: timezone: expected an IANA time zone as `Europe/Berlin` or `UTC`, found the text "Europe/Berln"
    config.toml:4: discord.token: the token starts with `Bot `; give the token alone
    config.toml:5: discord.api_base: expected `http://host:port` or `https://host`; leave out `/api/v10` and whatever else stands behind the port
    config.toml:7: servers.prod.console_log: missing: expected a path in quotes
    config.toml:8: servers.prod.consol_log: unknown key; did you mean `console_log`?
    config.toml:9: servers.prod.start_at: expected `end` or `beginning`, found the text "start"
    config.toml:10: servers.prod.channels.chatt: unknown key; did you mean `chat`?
    config.toml:10: servers.prod.channels.default: expected a channel id, the number Discord gives by "Copy Channel ID", found the text "general"
    config.toml:13: servers.two.console_log: factorio-current.log never contains chat, joins or leaves; start the game with `--console-log FILE` and name that file here; this one is an `engine_log`
    config.toml:13: servers.two.console_log: the same file as `servers.three.console_log`: its lines would be relayed twice
    config.toml:14: servers.two.channels.default: expected a channel id, the number Discord gives by "Copy Channel ID", found the number 0
    config.toml:16: servers.three.channels.default: missing: expected a channel id, the number Discord gives by "Copy Channel ID"
    config.toml:17: servers.three.console_log: factorio-current.log never contains chat, joins or leaves; start the game with `--console-log FILE` and name that file here; this one is an `engine_log`
    config.toml:18: servers.three.engine_log: expected a path in quotes, found an empty text
    config.toml:20: servers.bad tag: `bad tag` is no server tag: use 1 to 32 letters, digits, `-` or `_`; `name = "..."` may be any text
    config.toml:25: relay.poll_interval: out of range: 10ms to 1m
    config.toml:26: relay.max_replay_age: expected a duration as `250ms`, `15m` or `2h30m`, found the number 15
    config.toml:27: relay.max_backlog_messages: expected a whole number, found the number -1
    config.toml:30: http.port: expected a port from 0 to 65535, found the number 70000
    config.toml:31: http.host: expected an IP address as `0.0.0.0` or `::1`, or `localhost`, found the text "relay.example"
    config.toml:33: events.joined: unknown event; did you mean `join`?
    config.toml:34: events.joined.enabled: expected `true` or `false`, found the text "perhaps"
    config.toml:37: events.leave.template: `{nobody}` is no placeholder here; there are `{player}` `{reason}` `{server}` `{time}` `{text}`
    config.toml:40: patterns[0].id: expected up to 64 letters, digits, `_` or `-`
    config.toml:41: patterns[0].regex: look-around, including look-ahead and look-behind, is not supported; a regex here takes linear time whatever players type, which rules both out
    config.toml:46: patterns[1].template: `{wo}` is no named group of the regex; did you mean `who`?
    config.toml:47: patterns[1].examples[1]: the regex does not match this example; an example is the line's text behind its time, as `[CHAT] Bob: hi`
    config.toml:48: patterns[1].servers[0]: there is no such server; did you mean `prod`?
    config.toml:51: patterns[2].id: another pattern is called `trade` too
    config.toml:52: patterns[2].regex: no valid regex: unclosed group
    config.toml:53: patterns[2].lane: expected `alert` or `chat`, found the text "fast"
    config.toml:56: metrics.enable: unknown key; did you mean `enabled`?
    32 problems in the configuration.
    "#);
    assert_eq!(place.run(&["run"]).err, said.err, "`run` says the same");
}

#[test]
fn a_misspelt_key_gets_a_suggestion() {
    let place = Place::with(&GOOD.replace("console_log", "consol_log"));
    let said = place.run(&["check", "--config", "config.toml"]);
    assert_eq!(said.code, Some(1));
    insta::assert_snapshot!(said.err, @r#"
    config.toml:5: servers.prod.console_log: missing: expected a path in quotes
    config.toml:6: servers.prod.consol_log: unknown key; did you mean `console_log`?
    2 problems in the configuration.
    "#);
}

#[test]
fn a_missing_file_says_what_to_do() {
    let place = Place::with(GOOD);
    let said = place.run(&["run", "--config", "nope.toml"]);
    assert_eq!(said.code, Some(1));
    insta::assert_snapshot!(said.err, @r#"
    nope.toml: there is no such file; copy config.example.toml to it and fill in your channels, or name another with --config
    1 problem in the configuration.
    "#);
    let directory = place.run(&["check", "--config", "."]);
    insta::assert_snapshot!(directory.err, @r#"
    .: this is a directory; Docker makes one where a mounted file does not exist on the host
    1 problem in the configuration.
    "#);
}

#[test]
fn a_syntax_error_names_line_and_column() {
    let place = Place::with("[discord]\ntoken = \"x\"\n[servers.prod\nname = 1\n");
    insta::assert_snapshot!(place.run(&["check"]).err, @r#"
    config.toml:3:14: no valid TOML: invalid table header, expected `.`, `]`
    1 problem in the configuration.
    "#);
}

#[test]
fn the_file_may_be_named_by_a_variable() {
    let place = Place::with(GOOD).var("ISR_CONFIG", "other.toml");
    place.file("other.toml", GOOD);
    std::fs::remove_file(place.path("config.toml")).unwrap();
    let said = place.run(&["check"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.starts_with("other.toml is valid, with "), "{}", said.out);
}

#[test]
fn paths_start_at_the_file_and_keys_have_defaults() {
    let place = Place::with(GOOD);
    let settings = place.load().unwrap().settings;
    let server = &settings.servers[0];
    assert_eq!(server.console_log, place.path("logs/console.log"));
    assert_eq!(settings.database.path, place.path("factorio-isr.db"));
    assert_eq!((server.name.as_str(), server.rcon.is_none()), ("prod", true));
    assert_eq!(server.channels.of(Route::Joins).get(), 112);
    assert_eq!(server.channels.of(Route::Chat).get(), 111);
    assert_eq!(settings.http.host.to_string(), "0.0.0.0");
    assert_eq!((settings.http.port, settings.metrics.enabled), (8080, true));
    assert_eq!(settings.relay.max_replay_age, Duration::from_mins(15));
}

#[test]
fn a_server_without_a_zone_takes_the_one_at_the_top() {
    let zones = |config: &str| {
        let servers = Place::with(config).load().unwrap().settings.servers;
        servers[0].timezone.iana_name().map(ToOwned::to_owned)
    };
    assert_eq!(zones(&format!("timezone = \"Asia/Tokyo\"\n{GOOD}")).as_deref(), Some("Asia/Tokyo"));
    let own = format!("timezone = \"Asia/Tokyo\"\n{GOOD}timezone = \"Europe/Rome\"");
    assert_eq!(zones(&own).as_deref(), Some("Europe/Rome"));
}

#[test]
fn the_environment_wins_over_the_file_and_our_names_over_aliases() {
    let config = format!("{GOOD}\n[http]\nport = 1\nhost = \"10.0.0.1\"\n[metrics]\nenabled = true\n");
    let place = Place::with(&config)
        .var("HEALTH_CHECK_PORT", "2")
        .var("ISR_HTTP__PORT", "3")
        .var("HEALTH_CHECK_HOST", "127.0.0.1")
        .var("METRICS_ENABLED", "False")
        .var("ISR_SERVERS__PROD__CHANNELS__CHAT", "113")
        .var("ISR_EVENTS__SERVER_CHAT__ENABLED", "false")
        .var("TRACES_ENABLED", "true")
        .var("TZ", "UTC");
    let loaded = place.load().unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let settings = loaded.settings;
    assert_eq!((settings.http.port, settings.http.host.to_string()), (3, "127.0.0.1".to_owned()));
    assert!(!settings.metrics.enabled);
    assert_eq!(settings.servers[0].channels.of(Route::Chat).get(), 113);
    assert_eq!(settings.events.overrides.len(), 1);
}

#[test]
fn a_mistake_in_a_variable_names_the_variable() {
    let place = Place::with(GOOD)
        .var("ISR_HTTP__PORT", "eighty")
        .var("ISR_DISCORD__TOKN", "x")
        .var("ISR_SERVERS__PRD__NAME", "x")
        .var("ISR_TIMEZONE", "Mars/Base");
    insta::assert_snapshot!(place.errors(), @r#"
    environment variable ISR_DISCORD__TOKN: discord.tokn: unknown key; did you mean `token`?
    environment variable ISR_HTTP__PORT: http.port: expected a port from 0 to 65535, found another text
    environment variable ISR_SERVERS__PRD__NAME: servers.prd.channels.default: missing: expected a channel id, the number Discord gives by "Copy Channel ID"
    environment variable ISR_SERVERS__PRD__NAME: servers.prd.console_log: missing: expected a path in quotes
    environment variable ISR_TIMEZONE: timezone: expected an IANA time zone as `Europe/Berlin` or `UTC`, found another text
    "#);
}

#[test]
fn a_variable_of_someone_else_is_only_warned_about() {
    let loaded = Place::with(GOOD).var("ISR_SERVICE_HOST", "10.0.0.1").load().unwrap();
    insta::assert_snapshot!(loaded.warnings.join("\n"), @"ISR_SERVICE_HOST names no key and is ignored; a key is named like ISR_HTTP__PORT");
}

fn token(place: &Place) -> String {
    place.load().unwrap().settings.discord.token.expose_secret().to_owned()
}

#[test]
fn a_token_is_found_wherever_it_may_be() {
    let bare = || {
        let place = Place::with(&GOOD.replace("token = \"token-of-the-file\"", ""));
        place.file("a-token", "token-in-a-file\r\n");
        place
    };
    assert_eq!(token(&Place::with(GOOD).var("DISCORD_BOT_TOKEN", "1234567")), "1234567");
    assert_eq!(token(&Place::with(GOOD).var("DISCORD_BOT_TOKEN", "1").var("ISR_DISCORD__TOKEN", "0042")), "0042");
    assert_eq!(token(&bare().var("DISCORD_BOT_TOKEN_FILE", "a-token")), "token-in-a-file");
    assert_eq!(token(&bare().var("ISR_DISCORD__TOKEN_FILE", "a-token")), "token-in-a-file");
    for name in ["discord_token", "DISCORD_BOT_TOKEN"] {
        let place = bare();
        place.file(&format!("secrets/{name}"), "mounted\n");
        assert_eq!(token(&place), "mounted");
    }
    let named = Place::with(&GOOD.replace("token = \"token-of-the-file\"", "token_file = \"a-token\""));
    named.file("a-token", "true");
    assert_eq!(token(&named), "true");
    assert_eq!(token(&named.var("ISR_DISCORD__TOKEN", "stronger")), "stronger");
}

#[test]
fn a_file_named_by_the_environment_wins_over_a_token_in_the_file() {
    let place = Place::with(GOOD).var("ISR_DISCORD__TOKEN_FILE", "a-token");
    place.file("a-token", "from-the-file");
    assert_eq!(token(&place), "from-the-file");
}

#[test]
fn an_rcon_password_is_found_wherever_it_may_be() {
    let password = |place: &Place| {
        let servers = place.load().unwrap().settings.servers;
        servers[0].rcon.as_ref().unwrap().password.expose_secret().to_owned()
    };
    let config = GOOD.replace("servers.prod", "servers.Space-Age") + "rcon.port = 1\n";
    let place = || Place::with(&config);
    assert_eq!(password(&place().var("ISR_SERVERS__SPACE_AGE__RCON__PASSWORD", "007")), "007");
    let by_file = place().var("ISR_SERVERS__SPACE-AGE__RCON__PASSWORD_FILE", "pw");
    by_file.file("pw", "  spaces stay  \n");
    assert_eq!(password(&by_file), "  spaces stay  ");
    for name in ["rcon_password_Space-Age", "RCON_PASSWORD_Space-Age", "RCON_PASSWORD_SPACE-AGE", "RCON_PASSWORD"] {
        let place = place();
        place.file(&format!("secrets/{name}"), "mounted");
        assert_eq!(password(&place), "mounted", "{name}");
    }
}

#[test]
fn a_secret_that_is_missing_unreadable_or_given_twice_is_told() {
    let config = GOOD.replace("token = \"token-of-the-file\"", "");
    insta::assert_snapshot!(Place::with(&(config.clone() + "rcon = {}")).errors(), @r#"
    DIR/config.toml:2: discord.token: missing; set it here, in `discord.token_file`, in the environment variable DISCORD_BOT_TOKEN, or as a secret in /run/secrets/discord_token
    DIR/config.toml:8: servers.prod.rcon.password: missing; set it here, in `servers.prod.rcon.password_file`, in the environment variable ISR_SERVERS__PROD__RCON__PASSWORD, or as a secret in /run/secrets/rcon_password_prod
    "#);
    let unreadable = Place::with(&config).var("ISR_DISCORD__TOKEN_FILE", "nowhere");
    insta::assert_snapshot!(unreadable.errors(), @"environment variable ISR_DISCORD__TOKEN_FILE: discord.token_file: the file it names cannot be read: No such file or directory (os error 2)");
    let twice = Place::with(&GOOD.replace("token =", "token_file = \"x\"\ntoken ="));
    insta::assert_snapshot!(twice.errors(), @"DIR/config.toml:4: discord.token: given twice, here and by `discord.token_file`");
    let empty = Place::with(&config);
    empty.file("secrets/discord_token", "\n");
    insta::assert_snapshot!(empty.errors(), @"DIR/config.toml:2: discord.token: the secret DIR/secrets/discord_token cannot be read: it is empty");
}

#[test]
fn variables_in_texts_are_filled_in() {
    let place = Place::with(&GOOD.replace("token-of-the-file", "${MY_TOKEN}").replace("\"112\"", "\"${JOINS}\""))
        .var("MY_TOKEN", "12345")
        .var("JOINS", "119");
    assert_eq!(token(&place), "12345");
    assert_eq!(place.load().unwrap().settings.servers[0].channels.of(Route::Joins).get(), 119);
    let literal = Place::with(&GOOD.replace("token-of-the-file", "a$${b}"));
    assert_eq!(token(&literal), "a${b}");
    let unset = Place::with(&GOOD.replace("token-of-the-file", "${MY_TOKEN}").replace("console.log", "${"));
    insta::assert_snapshot!(unset.errors(), @r#"
    DIR/config.toml:3: discord.token: the environment variable `MY_TOKEN` is not set; `$${` stands for a literal `${`
    DIR/config.toml:6: servers.prod.console_log: `${` without a variable's name and `}` behind it; `$${` stands for a literal `${`
    "#);
}

#[test]
fn no_secret_is_ever_shown() {
    const SECRET: &str = "918273645";
    let config = format!("{GOOD}rcon = {{ password = \"{SECRET}\" }}\n").replace("token-of-the-file", SECRET);
    let loaded = Place::with(&config).var("ISR_DISCORD__TOKEN", SECRET).load().unwrap();
    assert_eq!(loaded.settings.discord.token.expose_secret(), SECRET);
    let shown = format!("{loaded:?} {loaded:#?} {}", Place::with(&config).run(&["check"]).out);
    assert!(!shown.contains(SECRET), "{shown}");

    let said = format!("\"{SECRET}\"");
    let wrong = [
        Place::with(&config.replace(&said, SECRET)),
        Place::with(&config.replace(&said, &format!("\"Bot {SECRET}\""))),
        Place::with(&config.replace(&said, &format!("\"{SECRET} \""))),
        Place::with(&config.replace(&said, &format!("\"{SECRET}"))),
        Place::with(&config.replace(&said, &format!("[\"{SECRET}\"]"))),
        Place::with(&config.replace("token =", "tokn =")),
        Place::with(&config.replace("token =", "token_file =")),
        Place::with(&config.replace("token =", "api_base =")),
        Place::with(&config.replace("default = 111", "default = \"${S}\"")).var("S", &format!("x{SECRET}")),
        Place::with(&format!("{config}[http]\nhost = \"${{S}}\"\nport = \"${{S}}\"")).var("S", SECRET),
        Place::with(&config).var("ISR_DISCORD__TOKEN_FILE", SECRET),
        Place::with(&config).var("ISR_DISCORD__GUILD_ID", &format!("x{SECRET}")),
        Place::with(&config).var("ISR_SERVERS__PROD__RCON__PORT", SECRET),
        Place::with(&config).var("ISR_SERVERS__PROD__RCON", SECRET),
        Place::with(&config).var("ISR_DISCORD", SECRET).var("ISR_DISCORD__TOKN", SECRET),
    ];
    for place in wrong {
        let said = place.run(&["check"]);
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{}", said.err);
        assert!(!said.err.is_empty() && !said.err.contains(SECRET), "{}", said.err);
        let errors = load(
            &place.path("config.toml"),
            &Environment { vars: place.vars.clone(), secrets_dir: place.path("secrets") },
        );
        assert!(!format!("{errors:?}").contains(SECRET));
    }
}

#[test]
fn no_server_is_a_mistake() {
    insta::assert_snapshot!(Place::with("[discord]\ntoken = \"x\"\n").errors(), @"DIR/config.toml: servers: no server is configured; add a table `[servers.TAG]` with `console_log` and `channels`");
}

#[test]
fn a_server_may_come_from_the_environment_alone() {
    let place = Place::with("")
        .var("DISCORD_BOT_TOKEN", "x")
        .var("ISR_SERVERS__PROD__CONSOLE_LOG", "/x/console.log")
        .var("ISR_SERVERS__PROD__CHANNELS__DEFAULT", "1");
    assert_eq!(place.load().unwrap().settings.servers[0].tag.as_str(), "prod");
}

#[test]
fn a_log_that_looks_wrong_is_warned_about() {
    let place = Place::with(GOOD);
    place.file("logs/console.log", "   0.000 2025-07-20 11:18:47; Factorio 2.0.55 (build 83138, linux64, headless)\n");
    let said = place.run(&["check"]);
    assert_eq!(said.code, Some(0));
    assert!(said.out.contains("warning: servers.prod.console_log: logs/console.log holds only lines of the engine"));
}

#[test]
fn a_level_that_would_silence_the_log_is_refused() {
    let errors = |level: &str| Place::with(&format!("{GOOD}[log]\nlevel = \"{level}\"\n")).load().err();
    for good in ["info", "WARN", "off", "info,factorio_isr::tail=debug", "debug,[task{task=http}]=trace"] {
        assert_eq!(errors(good), None, "{good}");
    }
    insta::assert_snapshot!(errors("info, loud").unwrap(), @"DIR/config.toml:9: log.level: `loud` is no level; there are `error`, `warn`, `info`, `debug`, `trace` and `off`; for one module write `info,module=debug`");
}

#[test]
fn rcon_cannot_be_at_port_0() {
    let errors = Place::with(&format!("{GOOD}[servers.prod.rcon]\nport = 0\npassword = \"p\"\n")).errors();
    assert_eq!(
        errors,
        "DIR/config.toml:9: servers.prod.rcon.port: expected a port from 1 to 65535, found the number 0"
    );
}

#[test]
fn what_would_keep_the_relay_from_starting_or_double_lines_is_warned_about() {
    let two =
        "[servers.two]\nconsole_log = \"link.log\"\nchannels = { default = 1 }\n[database]\npath = \"none/isr.db\"\n";
    let place = Place::with(&format!("{GOOD}{two}"));
    place.file("logs/console.log", "");
    std::os::unix::fs::symlink(place.path("logs/console.log"), place.path("link.log")).unwrap();
    let said = place.run(&["check"]);
    let warnings: Vec<_> = said.out.lines().filter(|line| line.starts_with("warning")).collect();
    insta::assert_snapshot!(warnings.join("\n"), @"
    warning: servers.two.console_log: link.log is the same file as `servers.prod.console_log`: its lines would be relayed twice
    warning: database.path: none/isr.db cannot be made: its directory does not exist
    ");
}

#[test]
fn the_command_line_explains_itself() {
    let place = Place::with(GOOD);
    let help = place.run(&["--help"]);
    assert_eq!(help.code, Some(0));
    for word in ["run", "check", "demo", "healthcheck", "Examples:", "Exit codes:"] {
        assert!(help.out.contains(word), "{word}");
    }
    assert_eq!(place.run(&["--version"]).out, format!("factorio-isr {}\n", env!("CARGO_PKG_VERSION")));
    assert!(place.run(&["check", "--help"]).out.contains("ISR_CONFIG"));
    for wrong in [&[][..], &["walk"], &["run", "--confg", "x"], &["demo", "--port", "70000"]] {
        assert_eq!(place.run(wrong).code, Some(2), "{wrong:?}");
    }
}

/// Answers one request with `status`; where that is empty, never.
fn answering_once(status: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let read = stream.read(&mut request).unwrap();
        assert!(request[..read].starts_with(b"GET /healthz "));
        if status.is_empty() {
            // Holds the connection until the other side gives up.
            return stream.read(&mut request).unwrap();
        }
        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        0
    });
    port
}

#[test]
fn the_health_check_tells_alive_from_dead() {
    let place =
        |port: u16| Place::with(GOOD).var("HEALTH_CHECK_PORT", &port.to_string()).var("HTTP_PROXY", "http://x:1");
    let alive = place(answering_once("200 OK")).run(&["healthcheck"]);
    assert_eq!((alive.code, alive.err.as_str()), (Some(0), ""));

    let port = answering_once("503 Service Unavailable");
    let dead = place(port).run(&["healthcheck"]);
    let sentence = format!("http://127.0.0.1:{port}/healthz answered 503 Service Unavailable.\n");
    assert_eq!((dead.code, dead.err), (Some(1), sentence));

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refused = Place::with(GOOD).run(&["healthcheck", &format!("http://127.0.0.1:{closed}/healthz")]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("Connection refused"), "{}", refused.err);
}

#[test]
fn the_health_check_asks_the_port_of_the_configuration() {
    let port = answering_once("200 OK");
    let http = format!("\n[http]\nhost = \"127.0.0.1\"\nport = {port}\n");
    // The token, which only the relay needs, may be absent.
    let config = GOOD.replace("token = \"token-of-the-file\"", "") + &http;
    let place = Place::with("").var("ISR_CONFIG", "other.toml");
    place.file("other.toml", &config);
    let said = place.run(&["healthcheck"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));

    let (port, variable) = (answering_once("200 OK"), answering_once("200 OK"));
    let http = format!("\n[http]\nport = {port}\n");
    let place = Place::with(&(GOOD.to_owned() + &http)).var("HEALTH_CHECK_PORT", &variable.to_string());
    assert_eq!(place.run(&["healthcheck"]).code, Some(0), "the variable wins, as for `run`");
    let url = format!("http://127.0.0.1:{port}/healthz");
    assert_eq!(place.run(&["healthcheck", &url]).code, Some(0), "the command line wins");
}

#[test]
fn warnings_are_counted_and_strict_refuses_them() {
    let place = Place::with(GOOD);
    let said = place.run(&["check"]);
    assert_eq!(said.code, Some(0));
    assert!(said.out.starts_with("config.toml is valid, with 1 warning.\n"), "{}", said.out);
    let strict = place.run(&["check", "--strict"]);
    assert_eq!(strict.code, Some(1));
    assert!(strict.out.starts_with("config.toml is valid, but --strict refuses its 1 warning.\n"), "{}", strict.out);
    place.file("logs/console.log", "");
    let clean = place.run(&["check", "--strict"]);
    assert_eq!(clean.code, Some(0));
    assert!(clean.out.starts_with("config.toml is valid, with no warnings.\n"), "{}", clean.out);
}

#[test]
fn check_prints_json_for_scripts() {
    let place = Place::with(GOOD);
    let said = place.run(&["check", "--json", "--strict"]);
    assert_eq!((said.code, said.err.as_str()), (Some(1), ""));
    insta::assert_snapshot!(said.out, @r#"
    {
      "config": "config.toml",
      "valid": true,
      "errors": [],
      "warnings": [
        "servers.prod.console_log: logs/console.log is not there yet; it is read as soon as it appears"
      ],
      "notes": []
    }
    "#);
    let place = Place::with(&GOOD.replace("console_log", "consol_log")).var("ISR_HTTP__PORT", "many");
    let said = place.run(&["check", "--json"]);
    assert_eq!((said.code, said.err.as_str()), (Some(1), ""));
    insta::assert_snapshot!(said.out, @r#"
    {
      "config": "config.toml",
      "valid": false,
      "errors": [
        {
          "file": "config.toml",
          "line": 5,
          "key": "servers.prod.console_log",
          "message": "missing: expected a path in quotes"
        },
        {
          "file": "config.toml",
          "line": 6,
          "key": "servers.prod.consol_log",
          "message": "unknown key",
          "hint": "did you mean `console_log`?"
        },
        {
          "variable": "ISR_HTTP__PORT",
          "key": "http.port",
          "message": "expected a port from 0 to 65535, found another text"
        }
      ],
      "warnings": [],
      "notes": []
    }
    "#);
}

#[test]
fn a_health_check_without_an_answer_fails_after_5_seconds() {
    let url = format!("http://127.0.0.1:{}/healthz", answering_once(""));
    let said = Place::with(GOOD).run(&["healthcheck", &url]);
    assert_eq!((said.code, said.err), (Some(1), format!("{url} did not answer within 5 seconds.\n")));
}
