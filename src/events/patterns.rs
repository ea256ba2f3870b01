//! The operator's own patterns. One pass of a set tells which of them match; the first in the order of the file wins.

use std::collections::HashSet;
use std::sync::Arc;

use regex::{Captures, Regex, RegexSet, RegexSetBuilder};

use super::defaults::COMMON;
use super::routing::RuleProblem;
use super::template::Template;
use crate::config::settings::{Destination, PatternSettings};
use crate::domain::{Lane, ServerTag};

/// How much memory the compiled set may take. A single pattern was already compiled under its own limit.
const SET_SIZE_LIMIT: usize = 64 << 20;

/// All patterns.
#[derive(Debug)]
pub(super) struct Patterns {
    set: RegexSet,
    all: Vec<Pattern>,
}

/// One pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    servers: HashSet<ServerTag>,
    /// The event's key.
    pub(super) event: Arc<str>,
    /// `None`: matching lines are not relayed.
    pub(super) content: Option<Template>,
    /// The operator gave no template.
    pub(super) built_in: bool,
    pub(super) destination: Destination,
    pub(super) lane: Lane,
}

impl Patterns {
    /// Compiles `settings`; what is wrong goes into `problems`.
    pub(super) fn new(settings: &[PatternSettings], problems: &mut Vec<RuleProblem>) -> Self {
        let sources = settings.iter().map(|pattern| pattern.regex.as_str());
        let set = RegexSetBuilder::new(sources).size_limit(SET_SIZE_LIMIT).build().unwrap_or_else(|error| {
            problems.push(RuleProblem { key: "patterns".to_owned(), problem: error.to_string() });
            RegexSet::empty()
        });
        Self { set, all: settings.iter().filter_map(|pattern| Pattern::new(pattern, problems)).collect() }
    }

    /// Where the relayed lines of `server` go that match a pattern.
    pub(super) fn destinations(&self, server: &ServerTag) -> impl Iterator<Item = Destination> {
        let relays = |pattern: &&Pattern| pattern.content.is_some() && pattern.applies_to(server);
        self.all.iter().filter(relays).map(|pattern| pattern.destination)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The first pattern that matches `text` on `server`, and what its groups hold.
    pub(super) fn find<'p, 't>(&'p self, server: &ServerTag, text: &'t str) -> Option<(&'p Pattern, Captures<'t>)> {
        let applies = |pattern: &&Pattern| pattern.applies_to(server);
        self.set.matches(text).iter().filter_map(|index| self.all.get(index)).filter(applies).find_map(|pattern| {
            let groups = pattern.regex.captures(text)?;
            Some((pattern, groups))
        })
    }
}

impl Pattern {
    fn applies_to(&self, server: &ServerTag) -> bool {
        self.servers.is_empty() || self.servers.contains(server)
    }

    fn new(settings: &PatternSettings, problems: &mut Vec<RuleProblem>) -> Option<Self> {
        let content = if settings.silence { None } else { Some(content(settings, problems)?) };
        Some(Self {
            regex: settings.regex.clone(),
            servers: settings.servers.clone(),
            event: Arc::clone(&settings.event),
            content,
            built_in: settings.template.is_none(),
            destination: settings.channel,
            lane: settings.lane,
        })
    }
}

/// The pattern's template; its placeholders are the named groups and the common ones.
fn content(settings: &PatternSettings, problems: &mut Vec<RuleProblem>) -> Option<Template> {
    let names: Vec<&str> = settings.regex.capture_names().flatten().chain(COMMON).collect();
    Template::parse(settings.template.as_deref().unwrap_or("{text}"), &names)
        .map_err(|errors| {
            let key = format!("patterns.{}.template", settings.id);
            problems.extend(errors.iter().map(|e| RuleProblem { key: key.clone(), problem: e.to_string() }));
        })
        .ok()
}
