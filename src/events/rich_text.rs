//! Factorio's rich text to words: `[item=iron-plate]` to `iron-plate`. The result is plain text and still has to be
//! escaped for Discord. A tag this module does not know, or one that is malformed, stays as it was typed.

use std::borrow::Cow;

use crate::domain::blueprint;

/// Replaces every rich text tag of `text` by what a reader sees in the game. Linear in the length of the text: a tag
/// never holds another, so a `[` ends the search for the `]` of the one before.
#[must_use]
pub fn readable(text: &str) -> Cow<'_, str> {
    if !text.contains('[') {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let (before, tag) = rest.split_at(open);
        out.push_str(before);
        let end = tag[1..].find(['[', ']']).map_or(tag.len(), |at| at + 1);
        let replacement = tag[end..].starts_with(']').then(|| words(&tag[1..end])).flatten();
        if let Some(words) = replacement {
            out.push_str(&words);
            rest = &tag[end + 1..];
        } else {
            out.push_str(&tag[..end]);
            rest = &tag[end..];
        }
    }
    out.push_str(rest);
    out.into()
}

/// What the tag with this inside says; `None` when it is no tag.
fn words(inside: &str) -> Option<String> {
    if let "/color" | "/font" | ".color" | ".font" = inside {
        return Some(String::new());
    }
    let (name, value) = inside.split_once('=')?;
    let value = value.trim();
    if value.is_empty() || value.contains('=') && !value.contains(",quality=") {
        return None;
    }
    match name {
        "color" | "font" => Some(String::new()),
        "gps" => gps(value),
        "img" => Some(value.rsplit_once(['/', '.']).map_or(value, |(_, name)| name).to_owned()),
        "train" => Some(format!("🚆 {value}")),
        "train-stop" => Some(format!("🚉 {value}")),
        "armor" => Some(format!("{value}'s armor")),
        "space-platform" => Some(format!("🛰️ {value}")),
        // The game writes an id of its own. Some mods write the string itself.
        "special-item" => Some(blueprint::find(value).next().map_or("blueprint", |range| &value[range]).to_owned()),
        "item" | "entity" | "technology" | "recipe" | "item-group" | "fluid" | "tile" | "virtual-signal"
        | "achievement" | "planet" | "space-location" | "surface" | "quality" | "shortcut" | "asteroid-chunk"
        | "tip" => Some(with_quality(value)),
        _ => None,
    }
}

fn with_quality(value: &str) -> String {
    match value.split_once(",quality=") {
        Some((name, "normal")) => name.to_owned(),
        Some((name, quality)) => format!("{name} ({quality})"),
        None => value.to_owned(),
    }
}

/// `x,y` or `x,y,surface`.
fn gps(value: &str) -> Option<String> {
    let mut parts = value.splitn(3, ',').map(str::trim);
    let (x, y, surface) = (parts.next()?, parts.next()?, parts.next());
    let number = |s: &str| s.len() <= 20 && s.parse::<f64>().is_ok_and(f64::is_finite);
    if !number(x) || !number(y) || surface == Some("") {
        return None;
    }
    Some(match surface {
        Some(surface) => format!("📍 {x}, {y} ({surface})"),
        None => format!("📍 {x}, {y}"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tags_become_what_a_player_sees() {
        let typed = [
            "[gps=1,2]",
            "[gps=-12.5,300,vulcanus] help",
            "[item=iron-plate] [item=iron-plate,quality=rare] [item=iron-plate,quality=normal]",
            "[entity=small-biter] [technology=nuclear-power] [recipe=x] [fluid=steam] [tile=stone-path]",
            "[virtual-signal=signal-A] [planet=nauvis] [space-location=aquilo] [quality=legendary]",
            "[achievement=lazy-bastard] [shortcut=undo] [tip=trains] [asteroid-chunk=carbonic]",
            "[img=item/iron-plate] [img=item.iron-plate] [img=utility]",
            "[color=1,0,0]red[/color] [color=#ff0000]red[.color] [font=default-bold]bold[/font][.font]",
            "[train=12] [train-stop=5] [armor=Bob] [special-item=internal_12] [space-platform=3]",
        ];
        insta::assert_snapshot!(typed.map(readable).join("\n"), @"
        📍 1, 2
        📍 -12.5, 300 (vulcanus) help
        iron-plate iron-plate (rare) iron-plate
        small-biter nuclear-power x steam stone-path
        signal-A nauvis aquilo legendary
        lazy-bastard undo trains carbonic
        iron-plate iron-plate utility
        red red bold
        🚆 12 🚉 5 Bob's armor blueprint 🛰️ 3
        ");
    }

    #[test]
    fn what_is_no_tag_stays_as_it_was_typed() {
        for text in [
            "[gps=]",
            "[gps=1]",
            "[gps=a,b]",
            "[gps=1,2,]",
            "[gps=nan,2]",
            "[item=]",
            "[wat=1]",
            "[item iron-plate]",
            "[",
            "]",
            "[]",
            "[[",
            "][",
            "[item=iron-plate",
            "[x](http://y)",
            "[/b]",
            "a [b c",
        ] {
            assert_eq!(readable(text), text);
        }
    }

    #[test]
    fn an_unfinished_tag_does_not_eat_the_next() {
        assert_eq!(readable("[item=[gps=1,2]]"), "[item=📍 1, 2]");
        assert_eq!(readable("[col[color=red]or=blue]"), "[color=blue]");
        assert_eq!(readable("see [gps=1,2 and [item=coal]"), "see [gps=1,2 and coal");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\[|\\]|=|,|gps|item|color|quality|[0-9]|é|\\PC){0,30}") {
            prop_assert!(readable(&text).len() <= 2 * text.len());
        }

        #[test]
        fn text_without_brackets_is_left_alone(text in "[^\\[\\]]*") {
            prop_assert_eq!(readable(&text), text.as_str());
        }
    }
}
