//! Text inside Lua: the one way in.

use std::fmt::Write as _;

/// `text` as a Lua string literal, quotes included, that holds exactly the bytes of `text`.
///
/// Every byte but ASCII letters, digits and the blank goes as `\ddd`, always three digits (Lua 5.2), so that no text
/// can close the quotes, begin another line or end a long bracket. All Lua that has foreign text in it goes through here.
#[must_use]
pub fn string_literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() * 2 + 2);
    literal.push('"');
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b' ' {
            literal.push(char::from(byte));
        } else {
            write!(literal, "\\{byte:03}").expect("a String takes every text");
        }
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What Lua 5.2 reads of a literal that has no other escapes than `\ddd`.
    fn read_by_lua(literal: &str) -> Vec<u8> {
        let inner = literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap();
        let mut bytes = inner.bytes();
        let mut read = Vec::new();
        while let Some(byte) = bytes.next() {
            if byte == b'\\' {
                let digits: String = bytes.by_ref().take(3).map(char::from).collect();
                assert_eq!(digits.len(), 3, "{literal}");
                read.push(digits.parse().unwrap());
            } else {
                read.push(byte);
            }
        }
        read
    }

    #[test]
    fn quotes_and_line_ends_are_numbers() {
        assert_eq!(string_literal("a b"), r#""a b""#);
        assert_eq!(string_literal("\")game.x("), r#""\034\041game\046x\040""#);
        assert_eq!(string_literal("]]\r\n\\'é"), r#""\093\093\013\010\092\039\195\169""#);
        assert_eq!(string_literal("\u{1}9"), r#""\0019""#);
    }

    proptest! {
        #[test]
        fn any_text_stays_one_literal_of_plain_characters(text in any::<String>()) {
            let literal = string_literal(&text);
            let inner = &literal[1..literal.len() - 1];
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b' ' || byte == b'\\';
            prop_assert!(inner.bytes().all(plain), "{}", literal);
            prop_assert_eq!(read_by_lua(&literal), text.as_bytes());
        }
    }
}
