//! Lines of the console log. The tag decides the kind; the wording is read second, because only joins and leaves
//! are English on every server.

use super::Event;
use crate::domain::{EventKind, RELAY_PREFIXES};
use crate::events::rich_text;

/// Who speaks when the server itself does. No player can have this name.
pub(crate) const SERVER: &str = "<server>";

/// Reads the text behind a tag.
pub(in crate::events) fn tagged<'a>(tag: &'a str, text: &'a str) -> Event<'a> {
    let (kind, known) = match tag {
        "JOIN" => (EventKind::Join, join(text)),
        "LEAVE" => (EventKind::Leave, leave(text)),
        "CHAT" => return chat(EventKind::Chat, text),
        "SHOUT" => return chat(EventKind::Shout, text),
        "COMMAND" => (EventKind::Command, command(text)),
        "WARNING" => (EventKind::Warning, Some(Event::new(EventKind::Warning, text, [("message", text)]))),
        "KICK" => (EventKind::Kick, removal(EventKind::Kick, text, " was kicked by ")),
        "BAN" => (EventKind::Ban, removal(EventKind::Ban, text, " was banned by ")),
        "UNBANNED" => (EventKind::Unban, unban(text)),
        "PROMOTE" => (EventKind::Promote, admin_rights(EventKind::Promote, text)),
        "DEMOTE" => (EventKind::Demote, admin_rights(EventKind::Demote, text)),
        "COLOR" => (EventKind::Color, color(text)),
        _ => return Event::new(EventKind::UnknownTag, text, [("tag", tag), ("message", text)]),
    };
    known.unwrap_or_else(|| Event::raw(kind, text))
}

fn join(text: &str) -> Option<Event<'_>> {
    let player = text.strip_suffix('.').unwrap_or(text).strip_suffix(" joined the game")?;
    Some(Event::new(EventKind::Join, text, [("player", player.trim())]))
}

/// `Bob left the game`, perhaps with ` (reason)` behind it.
fn leave(text: &str) -> Option<Event<'_>> {
    let (player, reason) = text.split_once(" left the game")?;
    Some(Event::new(EventKind::Leave, text, [("player", player.trim()), ("reason", reason.trim_end_matches('.'))]))
}

/// `NAME: message`, `NAME [tag]: message`, `<server>: message`.
fn chat(kind: EventKind, text: &str) -> Event<'_> {
    let Some((player, message)) = speaker(text) else { return Event::raw(kind, text) };
    if player != SERVER {
        return Event::new(kind, text, [("player", player), ("message", message)]);
    }
    // `[CHAT] <server>: [Discord] Bob: hello`: it came from Discord and does not go back there.
    let said = rich_text::readable(message);
    let ours = RELAY_PREFIXES.iter().any(|prefix| said.trim_start().starts_with(prefix));
    let kind = if ours { EventKind::RelayEcho } else { EventKind::ServerChat };
    Event::new(kind, text, [("message", message)])
}

/// Splits at the first `: `, but not inside the tag a player may wear behind the name.
fn speaker(text: &str) -> Option<(&str, &str)> {
    let (name, message) = text.split_once(": ").or_else(|| text.strip_suffix(':').map(|name| (name, "")))?;
    let (name, message) = match name.split_once(" [") {
        Some((_, tag)) if !tag.contains(']') => {
            text.split_once("]: ").map_or((name, message), |(before, message)| (&text[..=before.len()], message))
        }
        _ => (name, message),
    };
    Some((name.trim(), message)).filter(|(name, _)| !name.is_empty())
}

/// `NAME (command): lua`
fn command(text: &str) -> Option<Event<'_>> {
    let (player, message) = text.split_once(" (command): ")?;
    Some(Event::new(EventKind::Command, text, [("player", player), ("message", message)]))
}

/// `NAME's color is now green.`
fn color(text: &str) -> Option<Event<'_>> {
    let (player, color) = text.split_once("'s color is now ")?;
    Some(Event::new(EventKind::Color, text, [("player", player), ("color", color.trim_end_matches('.'))]))
}

/// `NAME was kicked by ACTOR. Reason: R.`
fn removal<'a>(kind: EventKind, text: &'a str, verb: &str) -> Option<Event<'a>> {
    let (player, rest) = text.split_once(verb)?;
    let (actor, reason) = match rest.split_once(". Reason: ") {
        Some((actor, reason)) => (actor, reason.strip_suffix('.').unwrap_or(reason)),
        None => (rest.strip_suffix('.').unwrap_or(rest), "unspecified"),
    };
    let player = player.strip_suffix(" (not on map)").unwrap_or(player);
    let reason = if reason == "unspecified" { "no reason given" } else { reason };
    Some(Event::new(kind, text, [("player", player), ("actor", actor), ("reason", reason)]))
}

fn unban(text: &str) -> Option<Event<'_>> {
    let (player, actor) = text.split_once(" was unbanned by ")?;
    let actor = actor.strip_suffix('.').unwrap_or(actor);
    Some(Event::new(EventKind::Unban, text, [("player", player), ("actor", actor)]))
}

/// Both wordings of a promotion or demotion: of a player on the map, and of one who is not there.
fn admin_rights(kind: EventKind, text: &str) -> Option<Event<'_>> {
    const ACTIONS: [(&str, &str); 4] = [
        (" was promoted to admin by ", ""),
        (" was added to the admin list by ", " and will be promoted"),
        (" was demoted from admin by ", ""),
        (" was removed from the admin list by ", " and will no longer be promoted"),
    ];
    ACTIONS.iter().find_map(|(verb, tail)| {
        let at = text.find(verb)?;
        let (player, rest) = (&text[..at], &text[at + verb.len()..]);
        let actor = if tail.is_empty() { rest.strip_suffix('.').unwrap_or(rest) } else { rest.split_once(tail)?.0 };
        let action = text[at..at + verb.len()].trim().strip_suffix(" by")?;
        Some(Event::new(kind, text, [("player", player), ("actor", actor), ("action", action)]))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(tag: &str, text: &str) -> String {
        let event = tagged(tag, text);
        let fields = event.fields.map(|fields| fields.iter().map(|(n, v)| format!("{n}={v:?}")).collect::<Vec<_>>());
        format!("{} {}", event.kind, fields.map_or_else(|| format!("raw {text:?}"), |fields| fields.join(" ")))
    }

    fn all(lines: &[(&str, &str)]) -> String {
        lines.iter().map(|(tag, text)| told(tag, text)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn comings_and_goings() {
        insta::assert_snapshot!(all(&[
            ("JOIN", "foo-bar joined the game"),
            ("JOIN", "Player 7 joined the game"),
            ("LEAVE", "belt.fan left the game"),
            ("LEAVE", "Bob left the game (connection timed out)"),
            ("LEAVE", "foo-bar joined the game"),
        ]), @r#"
        join player="foo-bar"
        join player="Player 7"
        leave player="belt.fan" reason=""
        leave player="Bob" reason=" (connection timed out)"
        leave raw "foo-bar joined the game"
        "#);
    }

    #[test]
    fn what_is_said() {
        insta::assert_snapshot!(all(&[
            ("CHAT", "Bob: hello: world"),
            ("CHAT", "LAN player one: hi"),
            ("CHAT", "Bob [miner]: hi"),
            ("CHAT", "Bob [a: b]: hi"),
            ("CHAT", "Bob [a: hi"),
            ("CHAT", "Bob: "),
            ("CHAT", "Bob:"),
            ("CHAT", "no colon at all"),
            ("CHAT", ": nobody"),
            ("SHOUT", "Bob: HELLO"),
            ("CHAT", "<server>: sup"),
            ("CHAT", "<server>: [Discord] Ann: hi"),
            ("CHAT", "<server>: [Relay] Ann (Space Age): hi"),
            ("CHAT", "<server>: [color=#7289DA][Discord][Mattie]: test123[/color]"),
            ("CHAT", "Bob: [Discord] I am no echo"),
        ]), @r#"
        chat player="Bob" message="hello: world"
        chat player="LAN player one" message="hi"
        chat player="Bob [miner]" message="hi"
        chat player="Bob [a: b]" message="hi"
        chat player="Bob [a" message="hi"
        chat player="Bob" message=""
        chat player="Bob" message=""
        chat raw "no colon at all"
        chat raw ": nobody"
        shout player="Bob" message="HELLO"
        server_chat message="sup"
        relay_echo message="[Discord] Ann: hi"
        relay_echo message="[Relay] Ann (Space Age): hi"
        relay_echo message="[color=#7289DA][Discord][Mattie]: test123[/color]"
        chat player="Bob" message="[Discord] I am no echo"
        "#);
    }

    #[test]
    fn what_admins_do() {
        insta::assert_snapshot!(all(&[
            ("COMMAND", "<server> (command): rcon.print('asdf')"),
            ("WARNING", "Player Iron-Miner tried using a command \"\""),
            ("KICK", "bsalis was kicked by <server>. Reason: He is a meany."),
            ("KICK", "User was kicked by foo.bar. Reason: unspecified."),
            ("BAN", "User (not on map) was banned by Ann. Reason: was rude. Reason: again."),
            ("BAN", "Игрок Bob забанен"),
            ("UNBANNED", "User was unbanned by <server>."),
            ("PROMOTE", "Bob was promoted to admin by <server>."),
            ("PROMOTE", "Bob was added to the admin list by Ann and will be promoted upon joining the game."),
            ("DEMOTE", "Bob was demoted from admin by Ann."),
            ("DEMOTE", "Bob was removed from the admin list by Ann and will no longer be promoted upon joining the game."),
            ("COLOR", "Bob's color is now red."),
            ("SPEED", "The game runs at 2."),
        ]), @r#"
        command player="<server>" message="rcon.print('asdf')"
        warning message="Player Iron-Miner tried using a command \"\""
        kick player="bsalis" actor="<server>" reason="He is a meany"
        kick player="User" actor="foo.bar" reason="no reason given"
        ban player="User" actor="Ann" reason="was rude. Reason: again"
        ban raw "Игрок Bob забанен"
        unban player="User" actor="<server>"
        promote player="Bob" actor="<server>" action="was promoted to admin"
        promote player="Bob" actor="Ann" action="was added to the admin list"
        demote player="Bob" actor="Ann" action="was demoted from admin"
        demote player="Bob" actor="Ann" action="was removed from the admin list"
        color player="Bob" color="red"
        unknown_tag tag="SPEED" message="The game runs at 2."
        "#);
    }

    proptest! {
        #[test]
        fn any_text_under_any_tag_is_an_event(
            tag in "JOIN|LEAVE|CHAT|SHOUT|COMMAND|KICK|BAN|UNBANNED|PROMOTE|DEMOTE|X",
            text in "(: |\\[|\\]|<server>| was kicked by | left the game| and will be promoted|\\. Reason: |\\PC){0,8}",
        ) {
            prop_assert_eq!(tagged(&tag, &text).text, text.as_str());
        }
    }
}
