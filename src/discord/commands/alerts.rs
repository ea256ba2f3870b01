//! `/alerts`: which fire, why, and silence for a while.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::config::parse_duration;
use crate::config::settings::Level;
use crate::delivery::cut;
use crate::domain::AlertKind;
use crate::game::alerts::texts::{self as said, Voice};
use crate::game::alerts::{AlertKey, AlertState, Engine, Phase, Silences};
use crate::game::stored_alerts;
use crate::store::StoreError;

use super::call::Options;
use super::desk::{Failure, Order, Server};
use super::options::{Kind, Names, OptionSpec};
use super::view::Shown;
use super::{Scope, SlashCommand, texts};

/// How long a silence lasts that names no time.
const SILENCE: Duration = Duration::from_hours(1);
/// The longest silence.
const LONGEST: Duration = Duration::from_hours(30 * 24);
/// Characters of all alerts that are listed: with the rest of an answer, less than the 4096 of an embed.
const MOST_LISTED: usize = 2800;
/// Characters of one of several.
const MOST_OF_ONE: usize = 300;

/// `/alerts`
pub(super) struct Alerts;

const ACTION: OptionSpec =
    OptionSpec::required("action", Kind::Choice(&["list", "why", "silence", "unsilence"]), "What to do");
const NAME: OptionSpec =
    OptionSpec::optional("name", Kind::Name(32, Names::Alerts), "Which alert; without it, all of the server's");
const VALUE: OptionSpec = OptionSpec::optional("value", Kind::Text(16), "How long to be silent, as 30m or 2h");

/// What is asked for, checked.
enum Wish {
    List,
    Why(AlertKind),
    Silence(Option<AlertKind>, Duration),
    Unsilence(Option<AlertKind>),
}

impl Wish {
    fn of(order: &Order<'_>) -> Result<Self, Failure> {
        let name = match order.options.text("name") {
            Some(name) => {
                let unknown = || Failure::Input(texts::unknown_alert(name));
                Some(AlertKind::from_key(name).ok_or_else(unknown)?)
            }
            None => None,
        };
        Ok(match order.text("action")? {
            "list" => Self::List,
            "why" => Self::Why(name.ok_or_else(|| Failure::Input(texts::missing_option("name")))?),
            "silence" => Self::Silence(name, duration(order.options)?),
            "unsilence" => Self::Unsilence(name),
            _ => return Err(Failure::Input(texts::missing_option("action"))),
        })
    }
}

fn duration(options: &Options) -> Result<Duration, Failure> {
    let Some(text) = options.text("value") else { return Ok(SILENCE) };
    let fits = |time: &Duration| (Duration::from_secs(1)..=LONGEST).contains(time);
    parse_duration(text).filter(fits).ok_or_else(|| Failure::Input(texts::not_a_silence()))
}

#[async_trait]
impl SlashCommand for Alerts {
    fn name(&self) -> &'static str {
        "alerts"
    }

    fn description(&self) -> &'static str {
        "Which alerts fire, and why; silence them for a while (moderators)"
    }

    fn level_of(&self, options: &Options) -> Level {
        match options.text("action") {
            Some("silence" | "unsilence") => Level::Moderator,
            _ => Level::Everyone,
        }
    }

    fn scope(&self) -> Scope {
        Scope::Server
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[ACTION, NAME, VALUE]
    }

    fn check(&self, order: &Order<'_>) -> Result<(), Failure> {
        Wish::of(order).map(drop)
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        let server = order.server()?;
        let wish = Wish::of(order)?;
        let done = match wish {
            Wish::List => list(order, server).await,
            Wish::Why(kind) => why(order, server, kind).await,
            Wish::Silence(kind, time) => silence(order, server, kind, Some(time)).await,
            Wish::Unsilence(kind) => silence(order, server, kind, None).await,
        };
        done.map_err(|error| {
            tracing::warn!(%error, "The alerts cannot be read or silenced");
            Failure::Store
        })
    }
}

/// What there is of a server's alerts.
struct Present {
    engine: Engine,
    silences: Silences,
    now: Timestamp,
}

impl Present {
    async fn of(order: &Order<'_>, server: &Server) -> Result<Self, StoreError> {
        let now = Timestamp::now();
        let store = &order.desk.store;
        let engine = stored_alerts(server.alerts.clone(), store.alerts(&server.tag).await?.as_ref());
        let silences = Silences::from_keys(&store.silences(&server.tag, now).await?);
        Ok(Self { engine, silences, now })
    }

    fn line(&self, (key, state): (&AlertKey, &AlertState)) -> Option<String> {
        let facts = said::of_facts(Voice::Discord, key.clone(), &state.facts);
        let (title, since) = (said::title(key.0), state.since.as_second());
        let held = match state.phase {
            Phase::Rest => return None,
            Phase::Firing => String::new(),
            Phase::Pending if self.silences.until(key.0, self.now).is_some() => " (silenced)".to_owned(),
            Phase::Pending => " (not told yet)".to_owned(),
        };
        Some(format!("**{title}** `{}`{held}, since <t:{since}:R>: {facts}", key.0))
    }

    fn silenced(&self) -> Vec<String> {
        let line = |name: &str, until: Timestamp| format!("🔕 {name} until <t:{}:f>", until.as_second());
        let all = self.silences.all.map(|until| line("all alerts", until));
        let single = self.silences.single.iter().map(|(kind, until)| line(&format!("`{kind}`"), *until));
        all.into_iter().chain(single).collect()
    }
}

/// As many of the lines as an answer holds, with how many more there are.
fn listed(all: &[String]) -> Vec<String> {
    let most = if all.len() > 1 { MOST_OF_ONE } else { MOST_LISTED };
    let mut room = MOST_LISTED;
    let fits = |line: &String| {
        let rest = room.checked_sub(line.chars().count() + 1);
        room = rest.unwrap_or_default();
        rest.is_some()
    };
    let mut lines: Vec<String> = all.iter().map(|line| shortened(line, most)).take_while(fits).collect();
    if lines.len() < all.len() {
        lines.push(texts::more_alerts(all.len() - lines.len()));
    }
    lines
}

fn shortened(line: &str, most: usize) -> String {
    let head = cut(line, most.saturating_sub(2));
    if head.len() < line.len() { format!("{head}…") } else { line.to_owned() }
}

async fn list(order: &Order<'_>, server: &Server) -> Result<Shown, StoreError> {
    let present = Present::of(order, server).await?;
    let all: Vec<String> = present.engine.states().iter().filter_map(|state| present.line(state)).collect();
    let mut lines = listed(&all);
    if lines.is_empty() {
        lines.push(texts::no_alerts());
    }
    lines.extend(present.silenced());
    Ok(Shown::note("Alerts", lines.join("\n")))
}

async fn why(order: &Order<'_>, server: &Server, kind: AlertKind) -> Result<Shown, StoreError> {
    let present = Present::of(order, server).await?;
    let Some(rule) = server.alerts.rules.get(&kind) else {
        return Ok(Shown::note(said::title(kind), texts::alert_is_off(kind.as_str())));
    };
    let of_kind = present.engine.states().iter().filter(|((other, _), _)| *other == kind);
    let all: Vec<String> = of_kind.filter_map(|state| present.line(state)).collect();
    let mut lines = listed(&all);
    if lines.is_empty() {
        lines.push(texts::does_not_fire());
    }
    if let Some(until) = present.silences.until(kind, present.now) {
        lines.push(texts::silenced_until(until));
    }
    lines.push(said::rule(kind, &server.alerts, rule));
    lines.push(said::recovery(kind, &server.alerts));
    if kind == AlertKind::LowUps && !server.allow_lua {
        lines.push(said::SPEED_IS_ASSUMED.to_owned());
    }
    lines.push(said::advice(kind).to_owned());
    Ok(Shown::note(said::title(kind), lines.join("\n")))
}

async fn silence(
    order: &Order<'_>,
    server: &Server,
    kind: Option<AlertKind>,
    time: Option<Duration>,
) -> Result<Shown, StoreError> {
    let until = time.map(|time| Timestamp::now().saturating_add(time).unwrap_or(Timestamp::MAX));
    let alert = kind.map_or("*", AlertKind::as_str);
    order.desk.store.silence(&server.tag, alert, until).await?;
    let what = kind.map_or_else(|| "All alerts".to_owned(), |kind| format!("`{kind}`"));
    Ok(Shown::note("Alerts", texts::silence_is(&what, until)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_alerts_are_listed_as_fit_and_the_others_counted() {
        let lines: Vec<String> = (0..40).map(|number| format!("alert {number} {}", "words ".repeat(200))).collect();
        let shown = listed(&lines);
        assert!(shown[0].starts_with("alert 0 words") && shown[0].ends_with("words…"), "{}", shown[0]);
        assert_eq!(shown.last().map(String::as_str), Some("… and 31 more"));
        assert!(shown.join("\n").chars().count() < MOST_LISTED + 50, "{}", shown.len());
    }

    #[test]
    fn one_alert_is_shown_whole_as_far_as_an_answer_holds_it() {
        let whole = "x ".repeat(1000).trim_end().to_owned();
        assert_eq!(listed(std::slice::from_ref(&whole)), [whole]);
        let long = listed(&["x ".repeat(5000)]);
        assert_eq!(long.len(), 1);
        assert!(long[0].ends_with('…') && long[0].chars().count() <= MOST_LISTED, "{}", long[0].len());
        assert_eq!(listed(&[]), Vec::<String>::new());
    }
}
