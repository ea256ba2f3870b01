//! Message templates: the operator's markdown with `{placeholder}`s. What goes into a placeholder is escaped by the
//! caller; `{{` and `}}` are literal braces.

use std::borrow::Cow;

/// A template whose placeholders are all known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Placeholder(String),
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    #[error("the template is empty")]
    Empty,
    #[error("`{{{name}}}` is no placeholder here{}; there are {}", suggest(name, allowed), list(allowed))]
    UnknownPlaceholder { name: String, allowed: Vec<String> },
    #[error("a `{{` is never closed; write `{{{{` for a literal brace")]
    Unclosed,
    #[error("a `}}` was never opened; write `}}}}` for a literal brace")]
    Unopened,
}

fn suggest(name: &str, allowed: &[String]) -> String {
    let near = allowed.iter().max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)));
    near.filter(|near| strsim::jaro_winkler(name, near) > 0.8)
        .map_or_else(String::new, |near| format!(", did you mean `{{{near}}}`"))
}

fn list(allowed: &[String]) -> String {
    allowed.iter().map(|name| format!("`{{{name}}}`")).collect::<Vec<_>>().join(" ")
}

impl Template {
    /// Reads `source`, whose placeholders must all be in `allowed`; tells everything that is wrong.
    pub(super) fn parse<S: AsRef<str>>(source: &str, allowed: &[S]) -> Result<Self, Vec<TemplateError>> {
        let mut parts = Vec::new();
        let mut problems = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some(at) = rest.find(['{', '}']) {
            text.push_str(&rest[..at]);
            let (brace, behind) = rest[at..].split_at(1);
            if let Some(behind) = behind.strip_prefix(brace) {
                text.push_str(brace);
                rest = behind;
            } else if brace == "}" {
                problems.push(TemplateError::Unopened);
                rest = behind;
            } else if let Some((name, behind)) = behind.split_once('}') {
                flush(&mut parts, &mut text);
                if !allowed.iter().any(|known| known.as_ref() == name) {
                    let allowed = allowed.iter().map(|known| known.as_ref().to_owned()).collect();
                    problems.push(TemplateError::UnknownPlaceholder { name: name.to_owned(), allowed });
                }
                parts.push(Part::Placeholder(name.to_owned()));
                rest = behind;
            } else {
                problems.push(TemplateError::Unclosed);
                rest = "";
            }
        }
        text.push_str(rest);
        parts.extend((!text.is_empty()).then_some(Part::Text(text)));
        if source.trim().is_empty() {
            problems.push(TemplateError::Empty);
        }
        if problems.is_empty() { Ok(Self(parts)) } else { Err(problems) }
    }

    /// Fills the placeholders with what `value` says; one without a value becomes nothing.
    pub(super) fn render<'v>(&self, value: impl Fn(&str) -> Option<Cow<'v, str>>) -> String {
        self.0.iter().fold(String::new(), |mut out, part| {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Placeholder(name) => out.push_str(&value(name).unwrap_or_default()),
            }
            out
        })
    }
}

/// Ends a run of literal text in front of a placeholder. A `<` there is escaped: with the value behind it, it could
/// become a mention (`<{message}>` and a player who says `@123`).
fn flush(parts: &mut Vec<Part>, text: &mut String) {
    if text.ends_with('<') && !text.ends_with("\\<") {
        text.pop();
        text.push_str("\\<");
    }
    if !text.is_empty() {
        parts.push(Part::Text(std::mem::take(text)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 2] = ["player", "message"];

    fn render(source: &str) -> String {
        let template = Template::parse(source, &NAMES).unwrap();
        template.render(|name| (name == "player").then_some("Bob".into()))
    }

    #[test]
    fn placeholders_are_filled_and_doubled_braces_are_braces() {
        assert_eq!(render("**{player}**: {message}!"), "**Bob**: !");
        assert_eq!(render("{{{player}}} {{x}}"), "{Bob} {x}");
    }

    #[test]
    fn a_bracket_before_a_value_cannot_open_a_mention() {
        assert_eq!(render("<{player}> <b> \\<{player}"), "\\<Bob> <b> \\<Bob");
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let problems = Template::parse("{plyer} } {msg} {", &NAMES).unwrap_err();
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(told.join("\n"), @"
        `{plyer}` is no placeholder here, did you mean `{player}`; there are `{player}` `{message}`
        a `}` was never opened; write `}}` for a literal brace
        `{msg}` is no placeholder here; there are `{player}` `{message}`
        a `{` is never closed; write `{{` for a literal brace
        ");
        assert_eq!(Template::parse(" ", &NAMES), Err(vec![TemplateError::Empty]));
    }

    proptest! {
        #[test]
        fn text_without_braces_comes_out_as_it_went_in(text in "[^{}]*[^{}\\s<][^{}]*") {
            prop_assert_eq!(render(&text), text);
        }

        #[test]
        fn no_template_makes_it_panic(text in "[{}a<é ]{0,20}") {
            if let Ok(template) = Template::parse(&text, &["a"]) {
                template.render(|_| None);
            }
        }
    }
}
