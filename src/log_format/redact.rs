//! Replaces what must not leave the host: passwords on the command line, IP addresses.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const OPTION: &str = "--rcon-password";
const PRIVATE: &str = "<private>";
const ADDRESS: &str = "<address>";
/// Longer than any written IP address.
const LONGEST_ADDRESS: usize = 48;

/// Replaces the value of `--rcon-password` by `<private>` and each IP address by `<address>`.
///
/// Servers before 1.0 print the password in clear, shells that trace commands do so with every version, and the engine
/// logs the address of each player. Addresses that name no host (`0.0.0.0`, `127.0.0.1`, `::1`) stay readable.
#[must_use]
pub fn redact(line: &str) -> Cow<'_, str> {
    let safe = if line.contains(OPTION) { without_passwords(line).into() } else { Cow::Borrowed(line) };
    match without_addresses(&safe) {
        Some(safe) => safe.into(),
        None => safe,
    }
}

fn without_passwords(line: &str) -> String {
    let mut safe = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(OPTION) {
        let (before, after) = rest.split_at(at + OPTION.len());
        let value = after.trim_start_matches(['"', '\'', '\\', '=', ' ', '\t', ',', ':']);
        let separator = &after[..after.len() - value.len()];
        safe.push_str(before);
        safe.push_str(separator);
        rest = value;
        if !value.is_empty() && !separator.is_empty() {
            safe.push_str(PRIVATE);
            rest = &value[end_of_value(separator, value)..];
        }
    }
    safe.push_str(rest);
    safe
}

/// Where the value after `separator` ends. In doubt, rather too late than too early.
fn end_of_value(separator: &str, value: &str) -> usize {
    let quoted = separator.len() - separator.trim_end_matches(['"', '\'', '\\']).len();
    let closing = &separator[separator.len() - quoted..];
    // `\"--rcon-password\" \"x\"`: only what directly precedes the value is its opening quote.
    let closing = closing.rsplit_once(char::is_whitespace).map_or(closing, |(_, quote)| quote);
    if let Some(quote) = closing.chars().last() {
        // Backslashes before the closing quote belong to the quote.
        return value[..end_of_word(value, |c| c == quote)].trim_end_matches('\\').len();
    }
    let end = value.find(char::is_whitespace).unwrap_or(value.len());
    let quoted = value[..end].contains(['"', '\'']);
    // A quote within the value may enclose white space: `$'a b'`, `a"b c"`.
    if quoted { end_of_word(value, |c| matches!(c, '"' | '\'')) } else { end }
}

/// Where the first quote is that ends a word. A shell writes a quote within a value as `'\''`, so that other quotes
/// are part of it. The end of `value` where there is none.
fn end_of_word(value: &str, is_quote: impl Fn(char) -> bool) -> usize {
    let mut from = 0;
    while let Some(start) = value[from..].find(&is_quote).map(|at| from + at) {
        let end = value[start..].find(|c| !matches!(c, '"' | '\'' | '\\')).map_or(value.len(), |at| start + at);
        let next = value[end..].chars().next();
        if next.is_none_or(|c| c.is_whitespace() || matches!(c, ',' | ']' | '}')) {
            return start;
        }
        from = end;
    }
    value.len()
}

/// `None` where there is none.
fn without_addresses(line: &str) -> Option<String> {
    let bytes = line.as_bytes();
    let mut safe = String::new();
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        let begins_word = at == 0 || !is_word(bytes[at - 1]) || ends_escape(&bytes[..at]);
        let after_dot = at > 1 && bytes[at - 1] == b'.' && bytes[at - 2].is_ascii_alphanumeric();
        let possible = bytes[at].is_ascii_hexdigit() || bytes[at] == b':';
        let length = if begins_word && !after_dot && possible { address(&bytes[at..]) } else { None };
        let Some(length) = length else {
            at += 1;
            continue;
        };
        safe.push_str(&line[copied..at]);
        safe.push_str(ADDRESS);
        at += length;
        copied = at;
    }
    (copied > 0).then(|| safe + &line[copied..])
}

/// The length of the address that `bytes` begins with.
fn address(bytes: &[u8]) -> Option<usize> {
    let longest = &bytes[..bytes.len().min(LONGEST_ADDRESS)];
    let run = run_of(longest, |b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
    if is_ipv6_prefix(run) {
        let run = run.trim_end_matches(['.', ':']);
        let named = run.parse().is_ok_and(|ip: Ipv6Addr| names_a_host(ip.into()));
        if named && !bytes.get(run.len()).copied().is_some_and(is_word) {
            return Some(run.len());
        }
    }
    let run = run_of(longest, |b| b.is_ascii_digit() || b == b'.').trim_end_matches('.');
    let named = run.parse().is_ok_and(|ip: Ipv4Addr| names_a_host(ip.into()));
    (named && !bytes.get(run.len()).copied().is_some_and(is_word)).then_some(run.len())
}

/// Whether `text` begins like an address that a host has: of `2000::/3`, `fc00::/7` or `fe80::/10`, or a mapped
/// IPv4 one. Mods write `name::1:15`, which is none.
fn is_ipv6_prefix(text: &str) -> bool {
    let group = text.split(':').next().unwrap_or_default();
    let in_use = group.len() == 4 && group.starts_with(['2', '3', 'f', 'F']);
    in_use || text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("::ffff:"))
}

fn run_of(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> &str {
    let length = bytes.iter().position(|b| !belongs(*b)).unwrap_or(bytes.len());
    // Only ASCII belongs.
    std::str::from_utf8(&bytes[..length]).unwrap_or_default()
}

/// Other alphabets end a word: Chinese is written without spaces.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether `before` ends with an escape of JSON, as `\n` or `\u003c`.
fn ends_escape(before: &[u8]) -> bool {
    match before {
        [.., b'\\', b'n' | b't' | b'r' | b'b' | b'f'] => true,
        [.., b'\\', b'u', a, b, c, d] => [a, b, c, d].into_iter().all(u8::is_ascii_hexdigit),
        _ => false,
    }
}

fn names_a_host(ip: IpAddr) -> bool {
    !ip.is_unspecified() && !ip.is_loopback()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn passwords_are_hidden_in_any_quoting() {
        for (line, safe) in [
            ("--rcon-port 1 --rcon-password hunter2 --x", "--rcon-port 1 --rcon-password <private> --x"),
            (r#""--rcon-password" "hunter 2" "--x""#, r#""--rcon-password" "<private>" "--x""#),
            (r#"\"--rcon-password\" \"hunter 2\" \"--x\""#, r#"\"--rcon-password\" \"<private>\" \"--x\""#),
            (r#"\\\"--rcon-password\\\" \\\"x\\\" y"#, r#"\\\"--rcon-password\\\" \\\"<private>\\\" y"#),
            (r#"["--rcon-password","hunter2","--x"]"#, r#"["--rcon-password","<private>","--x"]"#),
            ("--rcon-password=hunter2", "--rcon-password=<private>"),
            ("--rcon-password='hunter 2' --x", "--rcon-password='<private>' --x"),
            (r"+ exec --rcon-password 'it'\''s' --x", "+ exec --rcon-password '<private>' --x"),
            (
                r#"{"log":"\"--rcon-password\" \"x\"\n","a":1}"#,
                r#"{"log":"\"--rcon-password\" \"<private>\"\n","a":1}"#,
            ),
            (r"--rcon-password 'it'\''s hunter 2' --x", "--rcon-password '<private>' --x"),
            ("--rcon-password $'hun\\ter hunter' --x", "--rcon-password <private>' --x"),
            ("--rcon-password a'hunter 2' --x", "--rcon-password <private>' --x"),
            (r#""sh -c 'x --rcon-password hunter2'" y"#, r#""sh -c 'x --rcon-password <private>'" y"#),
            ("--rcon-password", "--rcon-password"),
            (r#""--rcon-password" <private> "#, r#""--rcon-password" <private> "#),
            ("nothing to hide", "nothing to hide"),
        ] {
            assert!(!redact(line).contains("hunter"), "{}", redact(line));
            if !line.starts_with('{') {
                assert_eq!(redact(line), safe);
            }
        }
        assert!(!redact(r#"{"log":"\"--rcon-password\" \"secret\"\n","a":1}"#).contains("secret"));
    }

    #[test]
    fn addresses_are_hidden_and_versions_times_and_paths_are_not() {
        for (line, safe) in [
            (
                "for address (IP ADDR:({203.0.113.9:61310})), username (a)",
                "for address (IP ADDR:({<address>:61310})), username (a)",
            ),
            ("IP ADDR:({[2001:db8::1]:34197})", "IP ADDR:({[<address>]:34197})"),
            ("from 203.0.113.9.", "from <address>."),
            ("::ffff:203.0.113.9 came", "<address> came"),
            ("fe80::1%eth0", "<address>%eth0"),
            ("来自203.0.113.9的玩家", "来自<address>的玩家"),
            ("→2001:db8::1…", "→<address>…"),
            (r"\u003c203.0.113.9\u003e\n198.51.100.7\n", r"\u003c<address>\u003e\n<address>\n"),
            ("a 203.0.113.9, b 198.51.100.7", "a <address>, b <address>"),
            ("Hosting game at IP ADDR:({0.0.0.0:34197})", "Hosting game at IP ADDR:({0.0.0.0:34197})"),
            (
                "New RCON connection from IP ADDR:({127.0.0.1:60184})",
                "New RCON connection from IP ADDR:({127.0.0.1:60184})",
            ),
            (
                "   0.567 Info X.cpp:808: Factorio 2.0.77 v1.2.3.4 at 10:00:00",
                "   0.567 Info X.cpp:808: Factorio 2.0.77 v1.2.3.4 at 10:00:00",
            ),
            ("[PLAYER_DIED:*Ann*::1:15]", "[PLAYER_DIED:*Ann*::1:15]"),
            ("level::on_nth_tick std::string a::b ::", "level::on_nth_tick std::string a::b ::"),
            ("1.2.3.4.5 and 999.1.1.1", "1.2.3.4.5 and 999.1.1.1"),
            ("seconds 203.0.113", "seconds 203.0.113"),
        ] {
            assert_eq!(redact(line), safe);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_redacted_without_a_panic(line in "(--rcon-password|[\"'= \\\\]|[0-9a-f]{1,4}|[:.]|\\PC){0,40}") {
            prop_assert!(redact(&redact(&line)).len() < 20 * line.len() + 20);
        }

        #[test]
        fn every_public_address_is_hidden(ip in any::<Ipv4Addr>(), six in any::<Ipv6Addr>()) {
            for ip in [IpAddr::from(ip), IpAddr::from(six)].into_iter().filter(|ip| names_a_host(*ip)) {
                let text = ip.to_string();
                let line = format!("from ({text}) {text}, {text}");
                if ip.is_ipv4() || is_ipv6_prefix(&text) {
                    prop_assert!(!redact(&line).contains(&text), "{}", redact(&line));
                }
            }
        }
    }
}
