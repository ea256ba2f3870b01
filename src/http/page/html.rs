//! The small things a page is made of: escaped text, times, numbers, marks, curves.

use std::fmt::{Arguments, Write as _};
use std::time::Duration;

use jiff::Timestamp;

use crate::telemetry::Pulse;

/// How times are written: the script of the page counts on from either.
#[derive(Debug, Clone, Copy)]
pub(super) enum Times {
    /// As moments, so that the same state is the same text for ever.
    Absolute,
    /// As seen from this moment.
    From(Timestamp),
}

impl Times {
    /// Since when something is so: `for 3 min 2 s`.
    pub(super) fn lasting(self, since: Timestamp) -> String {
        self.element("for", since, |age| format!("for {age}"), "since")
    }

    /// When something happened: `3 min 2 s ago`.
    pub(super) fn past(self, at: Timestamp) -> String {
        self.element("ago", at, |age| format!("{age} ago"), "at")
    }

    fn element(self, kind: &str, at: Timestamp, aged: impl Fn(&str) -> String, preposition: &str) -> String {
        let moment = format!("{preposition} {}", at.strftime("%Y-%m-%d %H:%M:%S UTC"));
        let text = match self {
            Self::Absolute => moment.clone(),
            Self::From(now) => aged(&for_people(Duration::try_from(now.duration_since(at)).unwrap_or_default())),
        };
        let at = at.strftime("%Y-%m-%dT%H:%M:%SZ");
        format!("<time data-is=\"{kind}\" datetime=\"{at}\" title=\"{moment}\">{text}</time>")
    }
}

/// Appends to a page.
pub(super) fn put(to: &mut String, text: Arguments<'_>) {
    to.write_fmt(text).expect("a string takes all that is written to it");
}

/// Text as HTML text or attribute: reasons quote what others wrote.
pub(super) fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            // Text that runs from right to left, or over its neighbours, could pass for something else.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => html.push('\u{fffd}'),
            other => html.push(other),
        }
    }
    html
}

/// The shape of a state: told apart without its colour.
pub(super) fn mark(state: &str) -> String {
    format!("<svg class=\"mark\" aria-hidden=\"true\"><use href=\"#is-{state}\"/></svg>")
}

/// The two largest units of a duration: `3 d 4 h`, `12 min 5 s`.
pub(super) fn for_people(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// A short duration: `12 ms`, `1.2 s`, `3 min 2 s`.
pub(super) fn short(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds < 0.9995 => format!("{:.0} ms", seconds * 1000.0),
        seconds if seconds < 9.95 => format!("{seconds:.1} s"),
        _ => for_people(duration),
    }
}

/// A whole number with its thousands set apart: `12 345`, by narrow spaces that do not break.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A number of something per second.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is not negative")]
pub(super) fn rate(per_second: f64) -> String {
    if per_second < 9.95 { format!("{per_second:.1}") } else { grouped(per_second.round() as u64) }
}

/// The width and the height of a curve; the style sheet stretches it.
const CURVE: (f64, f64) = (120.0, 28.0);

/// A curve of the last minutes, its newest point at the right, its highest at the top.
pub(super) fn curve(values: &[f64]) -> String {
    let (width, height) = CURVE;
    let top = values.iter().copied().fold(f64::EPSILON, f64::max);
    let step = width / (Pulse::POINTS - 1) as f64;
    let first = width - step * values.len().saturating_sub(1) as f64;
    let point = |(at, value): (usize, &f64)| {
        format!("{:.1},{:.1}", first + step * at as f64, height - 1.0 - value.max(0.0) / top * (height - 3.0))
    };
    let points = values.iter().enumerate().map(point).collect::<Vec<_>>().join(" ");
    let area = match values {
        [] => String::new(),
        _ => format!("<path d=\"M{first:.1},{height} L{points} V{height} Z\"/>"),
    };
    format!(
        "<svg class=\"curve\" viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         {area}<polyline points=\"{points}\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_their_two_largest_units() {
        let said = |seconds| for_people(Duration::from_secs(seconds));
        assert_eq!([said(0), said(59), said(60), said(3_599)], ["0 s", "59 s", "1 min 0 s", "59 min 59 s"]);
        assert_eq!([said(3_600), said(86_399), said(86_400)], ["1 h 0 min", "23 h 59 min", "1 d 0 h"]);
    }

    #[test]
    fn short_durations_have_the_unit_that_suits() {
        let said = [0.0, 0.0123, 0.9999, 1.25, 9.96, 75.0].map(|seconds| short(Duration::from_secs_f64(seconds)));
        assert_eq!(said, ["0 ms", "12 ms", "1.0 s", "1.2 s", "9 s", "1 min 15 s"]);
    }

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
        assert_eq!([0.04, 9.94, 1234.5].map(rate), ["0.0", "9.9", "1\u{202f}235"]);
    }

    #[test]
    fn a_moment_ahead_of_the_clock_is_now() {
        let now = Timestamp::now();
        let ahead = now + Duration::from_mins(1);
        assert!(Times::From(now).lasting(ahead).contains(">for 0 s<"));
    }

    #[test]
    fn text_cannot_turn_the_page_around() {
        assert_eq!(escape("a\u{202e}b<i>&\"'"), "a\u{fffd}b&lt;i&gt;&amp;&quot;&#39;");
    }

    #[test]
    fn a_curve_ends_at_the_right_and_keeps_within_its_frame() {
        assert!(curve(&[]).contains("points=\"\""));
        let one = curve(&[3.0]);
        assert!(one.contains("points=\"120.0,2.0\""), "{one}");
        let flat = curve(&[0.0; Pulse::POINTS]);
        assert!(flat.contains("points=\"0.0,27.0 ") && flat.contains("120.0,27.0\""), "{flat}");
        assert!(!curve(&[f64::NAN, 1.0]).contains("NaN"));
    }
}
