//! Lines known again when another program repeats them: behind other names, in other markdown, with other escapes.

/// Words of a key: what is longer may be cut by who repeats it.
const KEY_WORDS: usize = 8;
/// Letters of a word of a key.
const KEY_LETTERS: usize = 24;
/// A word cut short is known again by so many letters.
const CUT_LETTERS: usize = 16;
/// So many words tell a line from others, also without a name in front.
const TELLING_WORDS: usize = 6;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    letters: String,
    /// More than blanks stand between it and the word before, as behind `Bob: `.
    apart: bool,
}

/// The words of a line, in lower case, without punctuation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(Vec<Word>);

impl Words {
    /// The words of `line`. Markdown, escapes and what nobody sees make no difference.
    #[must_use]
    pub fn of(line: &str) -> Self {
        let mut words = Vec::new();
        let mut word = Word { letters: String::new(), apart: false };
        for c in line.chars().filter(|c| !is_decoration(*c)) {
            if is_letter(c) {
                word.letters.extend(c.to_lowercase());
                continue;
            }
            if !word.letters.is_empty() {
                words.push(std::mem::replace(&mut word, Word { letters: String::new(), apart: false }));
            }
            word.apart |= !c.is_whitespace();
        }
        if !word.letters.is_empty() {
            words.push(word);
        }
        Self(words)
    }

    /// The beginning of `line`, to know it again by. `None` where others say the same by chance: it must name somebody
    /// and say something, as `Bob: hi`, or have six words.
    #[must_use]
    pub fn key(line: &str) -> Option<Self> {
        let mut words = Self::of(line);
        words.0.truncate(KEY_WORDS);
        let names_somebody = words.0.iter().skip(1).any(|word| word.apart);
        for word in &mut words.0 {
            if let Some((end, _)) = word.letters.char_indices().nth(KEY_LETTERS) {
                word.letters.truncate(end);
            }
        }
        (names_somebody || words.0.len() >= TELLING_WORDS).then_some(words)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `other` stands in this line, whole and in order.
    #[must_use]
    pub fn hold(&self, other: &Self) -> bool {
        self.places(other).next().is_some()
    }

    /// Whether this line says `other` once more with a name in front, as `Server: Bob: hi` does `Bob: hi`.
    #[must_use]
    pub fn repeat(&self, other: &Self) -> bool {
        self.places(other).any(|at| at > 0 && self.0.get(at).is_some_and(|word| word.apart))
    }

    /// Whether this line is something in front of all of `other`; its beginning will do where that tells it.
    #[must_use]
    pub fn grew_from(&self, other: &Self) -> bool {
        let beginning = Self(other.0.iter().take(KEY_WORDS).cloned().collect());
        let all = |at: usize| at + other.len() == self.len() || other.len() >= KEY_WORDS;
        other.len() > 1 && self.places(&beginning).any(|at| at > 0 && all(at))
    }

    fn places(&self, other: &Self) -> impl Iterator<Item = usize> {
        let runs = self.0.windows(other.len().max(1)).enumerate();
        runs.filter(|(_, run)| !other.is_empty() && same(run, &other.0)).map(|(at, _)| at)
    }
}

fn same(run: &[Word], key: &[Word]) -> bool {
    run.iter().zip(key).enumerate().all(|(at, (word, known))| {
        let apart = at == 0 || word.apart || !known.apart;
        apart && is_same(&word.letters, &known.letters)
    })
}

fn is_same(word: &str, known: &str) -> bool {
    let (short, long) = if word.len() < known.len() { (word, known) } else { (known, word) };
    short == long || (long.starts_with(short) && short.chars().count() >= CUT_LETTERS)
}

/// Emoji are letters here: they are all that some messages say.
fn is_letter(c: char) -> bool {
    let wide_punctuation = matches!(c, '\u{3000}'..='\u{303f}' | '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{ff3b}'..='\u{ff40}');
    let dash_or_quote = matches!(c, '\u{a0}'..='\u{bf}' | '\u{2010}'..='\u{205e}');
    c.is_alphanumeric() || !(c.is_ascii() || c.is_whitespace() || wide_punctuation || dash_or_quote)
}

/// Markdown, and what nobody sees.
fn is_decoration(c: char) -> bool {
    let hidden = matches!(c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}');
    matches!(c, '\\' | '*' | '_' | '~' | '`') || hidden || (c.is_control() && !c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(line: &str, key: &str) -> bool {
        Words::of(line).hold(&Words::key(key).unwrap())
    }

    #[test]
    fn a_line_is_known_again_in_other_clothes() {
        let key = "Ann: my_base is **big**, 👍 [really]";
        for line in [
            key,
            "🖥️ **Server**: ［chat］ **Ann**: my\\_base is \\*\\*big\\*\\*, 👍 \\[really\\]",
            "<ANN> my_base is big, 👍 (really) (via B)",
            "Ann » my\u{200b}_base is big; 👍️ [really]!!",
        ] {
            assert!(holds(line, key), "{line}");
        }
        assert!(holds("x: 漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢", "x: 漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢…"), "cut");
    }

    #[test]
    fn the_same_words_of_another_or_to_another_are_other_lines() {
        for line in ["Bob: gg", "Joann: gg", "Bob: ann gg", "Bob: gg ann", "gg"] {
            assert!(!holds(line, "Ann: gg"), "{line}");
        }
        assert_eq!(Words::key("good morning"), None);
        assert_eq!(Words::key("Ann: ?!"), None);
        assert!(Words::key("six words are a telling line").is_some());
    }

    #[test]
    fn a_repetition_has_a_name_in_front() {
        let repeats = |line: &str, key: &str| Words::of(line).repeat(&Words::key(key).unwrap());
        assert!(repeats("A: Server: Bob: hi there", "Bob: hi"));
        assert!(!repeats("Bob: hi", "Bob: hi"));
        assert!(!repeats("Urgent reminder: restart", "Reminder: restart"));
        assert!(Words::of("Eve: Bob: hi").grew_from(&Words::of("bob: hi")));
        assert!(!Words::of("Bob: hi you").grew_from(&Words::of("Bob: hi")));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(line in any::<String>(), key in any::<String>()) {
            let line = Words::of(&line);
            if let Some(key) = Words::key(&key) {
                prop_assert!(!line.repeat(&key) || line.hold(&key));
            }
        }
    }
}
