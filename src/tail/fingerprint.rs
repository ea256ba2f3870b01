//! Recognises a file by its bytes: an inode number is reused, and a truncated file grows again.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

use crate::domain::{Fingerprint, Position};

/// How many bytes at the head of a file, and how many before an offset, are hashed.
pub(super) const SAMPLE: usize = 256;

/// FNV-1a, 64 bit. Its values stand in databases, so it never changes.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The fingerprint of a file whose first bytes are `head` and whose bytes before the offset are `tail`; both at
/// most [`SAMPLE`] long.
pub(super) fn fingerprint(head: &[u8], tail: &[u8]) -> Fingerprint {
    Fingerprint {
        head_len: u32::try_from(head.len()).expect("a sample is short"),
        head_hash: fnv1a(head),
        tail_len: u32::try_from(tail.len()).expect("a sample is short"),
        tail_hash: fnv1a(tail),
    }
}

/// Whether the file holds what was read up to `position`: same head, same bytes before the offset.
/// At offset 0 nothing has been read, so every file does.
pub(super) fn holds(file: &File, position: &Position) -> io::Result<bool> {
    let Fingerprint { head_len, head_hash, tail_len, tail_hash } = position.fingerprint;
    let Some(tail_start) = position.offset.checked_sub(u64::from(tail_len)) else { return Ok(false) };
    if head_len == 0 && tail_len == 0 {
        return Ok(true);
    }
    Ok(hash_at(file, 0, head_len)? == Some(head_hash) && hash_at(file, tail_start, tail_len)? == Some(tail_hash))
}

/// Whether the file begins as the one did that was read up to `position`.
pub(super) fn head_holds(file: &File, position: &Position) -> io::Result<bool> {
    Ok(hash_at(file, 0, position.fingerprint.head_len)? == Some(position.fingerprint.head_hash))
}

/// The last line end of a file before which the bytes stand that `wanted` knows from before its offset.
pub(super) fn last_match(file: &File, wanted: &Fingerprint) -> io::Result<Option<u64>> {
    const CHUNK: usize = 64 * 1024;
    let tail_len = usize::try_from(wanted.tail_len).expect("a sample is short");
    let (mut start, mut found) = (0_u64, None);
    loop {
        let window = read_up_to(file, start, tail_len + CHUNK)?;
        for end in tail_len..=window.len() {
            if end > 0 && window[end - 1] == b'\n' && fnv1a(&window[end - tail_len..end]) == wanted.tail_hash {
                found = Some(start + end as u64);
            }
        }
        if window.len() < tail_len + CHUNK {
            return Ok(found);
        }
        start += CHUNK as u64;
    }
}

/// The hash of `len` bytes at `offset`; `None` where the file ends before.
fn hash_at(file: &File, offset: u64, len: u32) -> io::Result<Option<u64>> {
    let wanted = usize::try_from(len).expect("a sample is short");
    let bytes = read_up_to(file, offset, wanted)?;
    Ok((bytes.len() == wanted).then(|| fnv1a(&bytes)))
}

/// At most `len` bytes at `offset`; fewer where the file ends.
pub(super) fn read_up_to(file: &File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut filled = 0;
    while filled < len {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file_with(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn read_to(bytes: &[u8], offset: usize) -> Position {
        let before = &bytes[..offset];
        let tail = &before[offset.saturating_sub(SAMPLE)..];
        Position {
            generation: 1,
            offset: offset as u64,
            fingerprint: fingerprint(&before[..offset.min(SAMPLE)], tail),
            ..Position::default()
        }
    }

    #[test]
    fn hash_is_the_published_fnv1a() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_file_that_grew_is_recognised() {
        let old: Vec<u8> = (0..1000_u32).flat_map(u32::to_le_bytes).collect();
        let mut grown = old.clone();
        grown.extend_from_slice(b"more");
        for offset in [0, 1, 100, 256, 257, 4000] {
            assert!(holds(&file_with(&grown), &read_to(&old, offset)).unwrap(), "offset {offset}");
        }
    }

    #[test]
    fn a_file_with_another_head_or_tail_or_too_short_is_refused() {
        let old: Vec<u8> = (0..1000_u32).flat_map(u32::to_le_bytes).collect();
        let position = read_to(&old, 3000);
        let mut other_head = old.clone();
        other_head[5] ^= 1;
        let mut other_tail = old.clone();
        other_tail[2999] ^= 1;
        assert!(!holds(&file_with(&other_head), &position).unwrap());
        assert!(!holds(&file_with(&other_tail), &position).unwrap());
        assert!(!holds(&file_with(&old[..2999]), &position).unwrap());
        assert!(head_holds(&file_with(&old[..2999]), &position).unwrap());
    }

    #[test]
    fn a_position_nobody_could_have_written_is_refused() {
        let absurd = Position {
            offset: 3,
            fingerprint: Fingerprint { tail_len: 200, ..Fingerprint::default() },
            ..Position::default()
        };
        assert!(!holds(&file_with(b"abcdef"), &absurd).unwrap());
    }
}
