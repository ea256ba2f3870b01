//! Bytes to the text of one line, however they arrive.

/// Longest line that is kept, in bytes, without its line end.
pub(super) const LINE_CAP: usize = 64 * 1024;

/// Room kept between lines; a long line must not cost its memory for ever, there may be a thousand logs.
const RESTING_CAPACITY: usize = 4 * 1024;

/// Gathers the bytes of one line. What exceeds the cap is counted, not kept.
///
/// NUL bytes at the start of a line are dropped: they are the hole that a writer leaves which goes on at its old
/// offset after its file was truncated.
#[derive(Debug, Default)]
pub(super) struct LineBuffer {
    /// One byte more than the cap may be kept: it may be the CR of the line end.
    kept: Vec<u8>,
    skipped: u64,
    last_skipped: u8,
}

/// A line's text, and how many of its bytes were cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LineText {
    pub(super) text: String,
    pub(super) skipped_bytes: u64,
}

impl LineBuffer {
    /// Adds bytes that hold no LF.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let bytes = if self.kept.is_empty() { without_leading_nuls(bytes) } else { bytes };
        let room = (LINE_CAP + 1 - self.kept.len()).min(bytes.len());
        let (kept, skipped) = bytes.split_at(room);
        self.kept.extend_from_slice(kept);
        if let Some(last) = skipped.last() {
            self.skipped += skipped.len() as u64;
            self.last_skipped = *last;
        }
    }

    /// Ends the line. `None` for an empty one.
    pub(super) fn finish(&mut self) -> Option<LineText> {
        let line = self.text();
        self.kept.clear();
        self.kept.shrink_to(RESTING_CAPACITY);
        self.skipped = 0;
        line
    }

    fn text(&self) -> Option<LineText> {
        let last = if self.skipped > 0 { self.last_skipped } else { *self.kept.last()? };
        let length = self.kept.len() as u64 + self.skipped - u64::from(last == b'\r');
        let cut = usize::try_from(length).unwrap_or(usize::MAX);
        let cut = if cut <= LINE_CAP { cut } else { character_start(&self.kept, LINE_CAP) };
        let text = decode(&self.kept[..cut]);
        (cut > 0).then_some(LineText { text, skipped_bytes: length - cut as u64 })
    }
}

fn without_leading_nuls(bytes: &[u8]) -> &[u8] {
    let nuls = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[nuls..]
}

/// The start of the UTF-8 character that spans `index`, or `index` where there is none.
fn character_start(bytes: &[u8], index: usize) -> usize {
    let is_continuation = |at: &usize| bytes.get(*at).is_some_and(|byte| byte & 0xC0 == 0x80);
    (index.saturating_sub(3)..=index).rev().find(|at| !is_continuation(at)).unwrap_or(index)
}

fn decode(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if text.contains('\0') { text.replace('\0', "\u{FFFD}") } else { text.into_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(bytes: &[u8]) -> Option<LineText> {
        let mut buffer = LineBuffer::default();
        buffer.extend(bytes);
        buffer.finish()
    }

    fn text(bytes: &[u8]) -> String {
        line(bytes).unwrap().text
    }

    #[test]
    fn a_final_cr_is_removed_and_one_only() {
        assert_eq!(text(b"hello\r"), "hello");
        assert_eq!(text(b"hello\r\r"), "hello\r");
        assert_eq!(text(b"a\rb"), "a\rb");
    }

    #[test]
    fn a_line_of_nothing_is_none() {
        for nothing in [&b""[..], b"\r", b"\0\0\0", b"\0\r"] {
            assert_eq!(line(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn invalid_bytes_and_inner_nuls_are_replaced() {
        assert_eq!(text(b"a\xFFb"), "a\u{FFFD}b");
        assert_eq!(text(b"a\0b"), "a\u{FFFD}b");
    }

    #[test]
    fn a_hole_before_a_line_is_dropped() {
        let mut hole = vec![0; 200_000];
        hole.extend_from_slice(b"after the hole");
        assert_eq!(line(&hole), Some(LineText { text: "after the hole".into(), skipped_bytes: 0 }));
    }

    #[test]
    fn a_line_of_exactly_the_cap_is_whole_with_either_line_end() {
        let whole = "x".repeat(LINE_CAP);
        assert_eq!(line(whole.as_bytes()), Some(LineText { text: whole.clone(), skipped_bytes: 0 }));
        let with_cr = format!("{whole}\r");
        assert_eq!(line(with_cr.as_bytes()), Some(LineText { text: whole, skipped_bytes: 0 }));
    }

    #[test]
    fn what_exceeds_the_cap_is_counted() {
        let long = "x".repeat(LINE_CAP + 10);
        assert_eq!(line(long.as_bytes()).unwrap().skipped_bytes, 10);
        assert_eq!(line(format!("{long}\r").as_bytes()).unwrap().skipped_bytes, 10);
    }

    #[test]
    fn the_cut_does_not_split_a_character() {
        let long = format!("{}€€", "x".repeat(LINE_CAP - 1));
        let cut = line(long.as_bytes()).unwrap();
        assert!(cut.text.ends_with('x'));
        assert_eq!((cut.text.len(), cut.skipped_bytes), (LINE_CAP - 1, 6));
    }

    #[test]
    fn an_endless_line_takes_bounded_memory() {
        let mut buffer = LineBuffer::default();
        for _ in 0..1000 {
            buffer.extend(&[b'x'; 4096]);
            assert!(buffer.kept.capacity() <= 4 * LINE_CAP);
        }
        assert_eq!(buffer.finish().unwrap().skipped_bytes, 4_096_000 - LINE_CAP as u64);
        assert!(buffer.kept.capacity() <= RESTING_CAPACITY);
        buffer.extend(b"next");
        assert_eq!(buffer.finish(), Some(LineText { text: "next".into(), skipped_bytes: 0 }));
    }

    /// Bytes with much of what is special, and now and then a run around the cap.
    fn line_bytes() -> impl Strategy<Value = Vec<u8>> {
        let special = prop_oneof![
            Just(vec![0]),
            Just(vec![b'\r']),
            Just("€😀".as_bytes().to_vec()),
            Just(vec![0xFF]),
            Just(vec![0xE2]),
            prop::collection::vec(32..127_u8, 0..8),
        ];
        let around_the_cap = (LINE_CAP - 6..LINE_CAP + 6).prop_map(|n| vec![b'x'; n]);
        let parts = prop::collection::vec(prop_oneof![30 => special, 1 => around_the_cap], 0..12);
        parts.prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_line(bytes in line_bytes(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut buffer = LineBuffer::default();
            for pair in cuts.windows(2) {
                buffer.extend(&bytes[pair[0]..pair[1]]);
            }
            prop_assert_eq!(buffer.finish(), line(&bytes));
        }

        #[test]
        fn ordinary_text_arrives_unchanged(text in "[^\\x00\r\n]{1,300}") {
            prop_assert_eq!(line(text.as_bytes()), Some(LineText { text, skipped_bytes: 0 }));
        }
    }
}
