//! Checks of `[[patterns]]`: the regex compiles, the template names its groups, the examples match.

use std::collections::{BTreeSet, HashSet};

use regex::Regex;

use super::file::PatternSection;
use super::problem::{Problems, suggestion};
use super::settings::PatternSettings;
use crate::domain::ServerTag;

/// Placeholders that need no named group.
const BUILT_IN_PLACEHOLDERS: [&str; 3] = ["server", "time", "text"];

/// All patterns, in order; a bad one is left out and reported.
pub(super) fn resolve(
    sections: Vec<PatternSection>,
    tags: &[ServerTag],
    problems: &mut Problems<'_>,
) -> Vec<PatternSettings> {
    let mut ids = HashSet::new();
    let patterns = sections.into_iter().enumerate().filter_map(|(index, section)| {
        let path = format!("patterns[{index}]");
        if let Some(id) = &section.id
            && !ids.insert(id.clone())
        {
            problems.add(&format!("{path}.id"), format!("another pattern is called `{id}` too"));
        }
        pattern(&path, section, tags, problems)
    });
    patterns.collect()
}

fn pattern(
    path: &str,
    section: PatternSection,
    tags: &[ServerTag],
    problems: &mut Problems<'_>,
) -> Option<PatternSettings> {
    let servers = servers(path, section.servers.unwrap_or_default(), tags, problems);
    let id = section.id.and_then(|id| label(path, "id", id, problems));
    let event = section.event.and_then(|event| label(path, "event", event, problems));
    let regex = compile(path, &section.regex?, problems)?;
    let examples = section.examples.unwrap_or_default();
    check_examples(path, &regex, &examples, problems);
    if let Some(template) = &section.template {
        check_template(path, template, &regex, problems);
    }
    let id = id?;
    Some(PatternSettings {
        event: event.unwrap_or_else(|| id.clone()).into(),
        id,
        regex,
        template: section.template,
        silence: section.silence,
        channel: section.channel,
        lane: section.lane,
        servers,
        examples,
    })
}

/// Ids and events stand in metrics and logs, so they are short words.
fn label(path: &str, key: &str, text: String, problems: &mut Problems<'_>) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if text.len() <= 64 && text.chars().all(allowed) {
        return Some(text);
    }
    problems.add(&format!("{path}.{key}"), "expected up to 64 letters, digits, `_` or `-`");
    None
}

fn servers(path: &str, names: Vec<String>, tags: &[ServerTag], problems: &mut Problems<'_>) -> HashSet<ServerTag> {
    let known: Vec<&str> = tags.iter().map(ServerTag::as_str).collect();
    let mut find = |(index, name): (usize, String)| {
        let tag = tags.iter().find(|tag| tag.as_str() == name).cloned();
        if tag.is_none() {
            let key = format!("{path}.servers[{index}]");
            problems.add_with_hint(&key, "there is no such server", suggestion(&name, &known));
        }
        tag
    };
    names.into_iter().enumerate().filter_map(&mut find).collect()
}

fn compile(path: &str, regex: &str, problems: &mut Problems<'_>) -> Option<Regex> {
    let error = match Regex::new(regex) {
        Ok(regex) => return Some(regex),
        Err(error) => error.to_string(),
    };
    // The lines before the last quote the regex, which is long and may come from a variable.
    let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
    let key = format!("{path}.regex");
    if reason.contains("look-around") || reason.contains("backreference") {
        problems.add_with_hint(
            &key,
            reason,
            "a regex here takes linear time whatever players type, which rules both out",
        );
    } else {
        problems.add(&key, format!("no valid regex: {reason}"));
    }
    None
}

fn check_examples(path: &str, regex: &Regex, examples: &[String], problems: &mut Problems<'_>) {
    for (index, _) in examples.iter().enumerate().filter(|(_, example)| !regex.is_match(example)) {
        problems.add_with_hint(
            &format!("{path}.examples[{index}]"),
            "the regex does not match this example",
            "an example is the line's text behind its time, as `[CHAT] Bob: hi`",
        );
    }
}

/// Only names are checked here; the rest of a template is the concern of who fills it.
fn check_template(path: &str, template: &str, regex: &Regex, problems: &mut Problems<'_>) {
    let known: Vec<&str> = regex.capture_names().flatten().chain(BUILT_IN_PLACEHOLDERS).collect();
    for name in placeholders(template).iter().filter(|name| !known.contains(&name.as_str())) {
        let message = format!("`{{{name}}}` is no named group of the regex");
        problems.add_with_hint(&format!("{path}.template"), message, suggestion(name, &known));
    }
}

/// The words in braces; `{{` and `}}` are literal ones.
fn placeholders(template: &str) -> BTreeSet<String> {
    let is_word = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let template = template.replace("{{", "").replace("}}", "");
    let names = template.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0));
    names.filter(is_word).map(ToOwned::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_words_in_single_braces() {
        let names: Vec<_> =
            placeholders("{who} did {what_2}{who} { x } {} {{no}} {{{yes}}} {open").into_iter().collect();
        assert_eq!(names, ["what_2", "who", "yes"]);
    }
}
