//! Series that exist only while something knows them, in the Prometheus text format 0.0.4. The exporter keeps a gauge for
//! ever; what is written here is asked for at each scrape.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt::{self, Write as _};
use std::sync::Arc;

use metrics_exporter_prometheus::formatting::{write_help_line, write_type_line};

use super::metrics::Kind;

/// A metric and its series as they are now.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Its full name.
    pub name: String,
    /// Counter or gauge.
    pub kind: Kind,
    /// One sentence.
    pub help: String,
    /// In any order.
    pub series: Vec<Series>,
}

/// One series' value.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Names and values, in the order in which they are written; a label without a value is left out.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: f64,
}

/// Somebody who knows series of games: the [board](crate) of the games, or a file of a mod.
pub trait GameSeries: fmt::Debug + Send + Sync {
    /// What is known now, and nothing that is not: a game that does not answer has no series.
    fn families(&self) -> Vec<Family>;
}

/// All sources as one text. Families of one name are one family, with the kind and the help of the first source; of two
/// series with the same labels, the first source's stays.
#[must_use]
pub fn render(sources: &[Arc<dyn GameSeries>]) -> String {
    let mut families = BTreeMap::<String, Family>::new();
    for family in sources.iter().flat_map(|source| source.families()) {
        match families.get_mut(&family.name) {
            Some(known) => known.series.extend(family.series),
            None => drop(families.insert(family.name.clone(), family)),
        }
    }
    families.values().filter(|family| !family.series.is_empty()).map(written).collect()
}

/// One family as text.
pub(super) fn written(family: &Family) -> String {
    let mut text = String::new();
    write_family(&mut text, family).expect("a String takes every text");
    text
}

fn write_family(text: &mut String, family: &Family) -> fmt::Result {
    let kind = if family.kind == Kind::Counter { "counter" } else { "gauge" };
    write_help_line(text, &family.name, None, None, &family.help);
    write_type_line(text, &family.name, None, None, kind);
    let mut written = HashSet::with_capacity(family.series.len());
    for series in &family.series {
        let labels = labels(series);
        if written.contains(&labels) {
            continue;
        }
        write!(text, "{}{labels} ", family.name)?;
        push_value(text, series.value);
        text.write_char('\n')?;
        written.insert(labels);
    }
    text.write_char('\n')
}

fn labels(series: &Series) -> String {
    let mut labels = String::new();
    for (name, value) in series.labels.iter().filter(|(_, value)| !value.is_empty()) {
        labels.push_str(if labels.is_empty() { "{" } else { "," });
        labels.extend([name, "=\"", &escaped(value), "\""]);
    }
    labels.push_str(if labels.is_empty() { "" } else { "}" });
    labels
}

/// A label's value as it stands between the quotes.
pub(super) fn escaped(value: &str) -> Cow<'_, str> {
    // One character at a time is looked for by words of the machine; several are by characters, and a scrape is large.
    if !['\\', '"', '\n'].iter().any(|special| value.contains(*special)) {
        return value.into();
    }
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n").into()
}

/// Writes a value as the text format has it.
pub(super) fn push_value(text: &mut String, value: f64) {
    match value {
        f64::INFINITY => text.push_str("+Inf"),
        f64::NEG_INFINITY => text.push_str("-Inf"),
        _ => write!(text, "{value}").expect("a String takes every text"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed(Vec<Family>);

    impl GameSeries for Fixed {
        fn families(&self) -> Vec<Family> {
            self.0.clone()
        }
    }

    fn family(name: &str, help: &str, series: &[(&[(&str, &str)], f64)]) -> Family {
        let series = series.iter().map(|(labels, value)| Series {
            labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            value: *value,
        });
        Family { name: name.to_owned(), kind: Kind::Gauge, help: help.to_owned(), series: series.collect() }
    }

    #[test]
    fn text_is_escaped_and_absent_labels_are_left_out() {
        let odd = family("factorio_x", "One\\two\nthree.", &[(&[("server", "a\"b\\c\nd"), ("surface", "")], 1.5)]);
        let bare = family("factorio_y", "Bare.", &[(&[], f64::INFINITY), (&[("server", "é")], 1e21)]);
        let none = family("factorio_z", "None.", &[]);
        insta::assert_snapshot!(render(&[Arc::new(Fixed(vec![odd, bare, none]))]), @r#"
        # HELP factorio_x One\\two\nthree.
        # TYPE factorio_x gauge
        factorio_x{server="a\"b\\c\nd"} 1.5

        # HELP factorio_y Bare.
        # TYPE factorio_y gauge
        factorio_y +Inf
        factorio_y{server="é"} 1000000000000000000000
        "#);
    }

    #[test]
    fn two_sources_of_one_metric_are_one_family() {
        let ours = family("factorio_tick", "Ours.", &[(&[("server", "a")], 1.0)]);
        let theirs = family("factorio_tick", "Theirs.", &[(&[("server", "a")], 2.0), (&[("server", "b")], 3.0)]);
        let sources: [Arc<dyn GameSeries>; 2] = [Arc::new(Fixed(vec![ours])), Arc::new(Fixed(vec![theirs]))];
        insta::assert_snapshot!(render(&sources), @r#"
        # HELP factorio_tick Ours.
        # TYPE factorio_tick gauge
        factorio_tick{server="a"} 1
        factorio_tick{server="b"} 3
        "#);
    }
}
