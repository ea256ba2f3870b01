//! How a game was, as a picture.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tracing::warn;

use crate::discord::chart::{alt_text, chart};

use super::desk::{Failure, Order};
use super::options::{Kind, OptionSpec};
use super::view::{Picture, Shown};
use super::{Scope, SlashCommand, texts};

const DAY: Duration = Duration::from_hours(24);
const SPANS: [(&str, Duration); 2] = [("day", DAY), ("week", DAY.saturating_mul(7))];

const WORDS: &[&str] = &[SPANS[0].0, SPANS[1].0];

const SPAN: OptionSpec = OptionSpec::optional("value", Kind::Choice(WORDS), "How far back; without it, a day");

fn span(order: &Order<'_>) -> Result<(&'static str, Duration), Failure> {
    let asked = order.options.text("value").unwrap_or(SPANS[0].0);
    let known = SPANS.into_iter().find(|(word, _)| *word == asked);
    known.ok_or_else(|| Failure::Input(texts::one_of("value", WORDS)))
}

/// Players and UPS over the last day or week.
pub(super) struct History;

#[async_trait]
impl SlashCommand for History {
    fn name(&self) -> &'static str {
        "history"
    }

    fn description(&self) -> &'static str {
        "Players and UPS over the last day or week, as a picture"
    }

    fn scope(&self) -> Scope {
        Scope::Server
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[SPAN]
    }

    fn check(&self, order: &Order<'_>) -> Result<(), Failure> {
        span(order).map(drop)
    }

    async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
        let server = order.server()?;
        let (word, span) = span(order)?;
        let to = Timestamp::now();
        let from = to.saturating_sub(span).unwrap_or(to);
        let failed = |error: &dyn std::fmt::Display| {
            warn!(%error, "The history cannot be shown");
            Failure::Internal(texts::no_history())
        };
        let points = order.desk.store.history(&server.tag, from, to).await.map_err(|error| failed(&error))?;
        let (alt, zone) = (alt_text(&points), server.timezone.clone());
        let drawn = tokio::task::spawn_blocking(move || chart(&points, from, to, &zone)).await;
        let bytes = drawn.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
        let picture = Picture { filename: "history.png".to_owned(), bytes: bytes.into(), alt };
        Ok(Shown::picture(format!("The last {word}"), picture))
    }
}
