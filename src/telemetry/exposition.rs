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
    pub name: &'static str,
    /// Counter or gauge.
    pub kind: Kind,
    /// One sentence.
    pub help: &'static str,
    /// In any order.
    pub series: Vec<Series>,
}

/// One series' value.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Names and values, in the order in which they are written; a label without a value is left out.
    pub labels: Vec<(&'static str, String)>,
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
    let mut families = BTreeMap::<&'static str, Family>::new();
    for family in sources.iter().flat_map(|source| source.families()) {
        match families.get_mut(family.name) {
            Some(known) => known.series.extend(family.series),
            None => drop(families.insert(family.name, family)),
        }
    }
    let mut text = String::new();
    for family in families.values().filter(|family| !family.series.is_empty()) {
        write_family(&mut text, family);
    }
    text
}

/// Adds one family to `text`.
pub(super) fn write_family(text: &mut String, family: &Family) {
    let kind = if family.kind == Kind::Counter { "counter" } else { "gauge" };
    write_help_line(text, family.name, None, None, family.help);
    write_type_line(text, family.name, None, None, kind);
    let mut written = HashSet::with_capacity(family.series.len());
    for series in family.series.iter().filter(|series| written.insert(&series.labels)) {
        text.push_str(family.name);
        push_labels(text, &series.labels);
        text.push(' ');
        push_value(text, series.value);
        text.push('\n');
    }
    text.push('\n');
}

fn push_labels(text: &mut String, labels: &[(&'static str, String)]) {
    let mut before = "{";
    for (name, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
        text.extend([before, name, "=\"", &escaped(value), "\""]);
        before = ",";
    }
    text.push_str(if before == "," { "}" } else { "" });
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
    // Most values are integers, and written as such they look the same in a fraction of the time.
    if let Some(integer) = small_integer(value) {
        return text.push_str(itoa::Buffer::new().format(integer));
    }
    match value {
        f64::INFINITY => text.push_str("+Inf"),
        f64::NEG_INFINITY => text.push_str("-Inf"),
        _ => write!(text, "{value}").expect("a String takes every text"),
    }
}

/// The value as an integer, where it is one that a float has exactly; not the negative zero, which is written with its sign.
fn small_integer(value: f64) -> Option<i64> {
    const EXACT: u64 = 1 << 53;
    #[expect(clippy::cast_possible_truncation, reason = "what does not fit is another number afterwards")]
    let integer = value as i64;
    (integer.unsigned_abs() < EXACT && (integer as f64).to_bits() == value.to_bits()).then_some(integer)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug)]
    struct Fixed(Vec<Family>);

    impl GameSeries for Fixed {
        fn families(&self) -> Vec<Family> {
            self.0.clone()
        }
    }

    type Written = (&'static [(&'static str, &'static str)], f64);

    fn family(name: &'static str, help: &'static str, series: &[Written]) -> Family {
        let series = series.iter().map(|(labels, value)| Series {
            labels: labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
            value: *value,
        });
        Family { name, kind: Kind::Gauge, help, series: series.collect() }
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

    proptest! {
        #[test]
        fn a_value_is_written_as_rust_writes_it(value in prop_oneof![
            any::<f64>().prop_filter("it has names of its own", |value| value.is_finite()),
            any::<i64>().prop_map(|value| value as f64),
            (-1000..1000_i32).prop_map(|value| f64::from(value) / 4.0),
            Just(-0.0),
        ]) {
            let mut text = String::new();
            push_value(&mut text, value);
            prop_assert_eq!(text, value.to_string());
        }
    }
}
