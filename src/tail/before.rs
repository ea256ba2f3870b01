//! Reads lines before the position where the first reading of a log begins.

use std::fs::File;
use std::io;

use super::fingerprint::read_up_to;

/// How much before the place is read.
const NEAR: u64 = 64 * 1024;
/// How much of a line is read: the header of a run.
const HEAD: usize = 1024;
/// What each run of an engine has in its first line, behind the date.
const HEADER: &[u8] = b"; Factorio ";
/// How far before the place the last such line is looked for.
const FAR: u64 = 64 * 1024 * 1024;

/// Lines before `offset`, where a line begins: the header of the last run and the last lines. The first says when the
/// run of an engine began, the last ones what time it was.
pub(super) fn lines_before(file: &File, offset: u64) -> io::Result<Vec<String>> {
    let start = offset.saturating_sub(NEAR);
    let mut near = read_up_to(file, start, length(start, offset))?;
    let mut lines = Vec::new();
    if start > 0 {
        // The first line may be the rest of one.
        let rest = near.iter().position(|byte| *byte == b'\n').map_or(near.len(), |newline| newline + 1);
        near.drain(..rest);
        if header_in(&near, 0).is_none() {
            let header = read_up_to(file, last_header(file, start + rest as u64)?, HEAD)?;
            lines.extend(text_lines(&header).next());
        }
    }
    lines.extend(text_lines(&near));
    Ok(lines)
}

/// Where the last header before `offset` is, in a capture of several runs; 0 where none is found.
fn last_header(file: &File, offset: u64) -> io::Result<u64> {
    let last = offset.saturating_sub(FAR);
    let mut end = offset;
    while end > last {
        let start = end.saturating_sub(NEAR);
        // The mark may begin in this chunk and end in the next one, and its line may begin in the one before.
        let from = start.saturating_sub(HEAD as u64);
        let chunk = read_up_to(file, from, length(from, end) + HEADER.len())?;
        if let Some(line) = header_in(&chunk, length(from, start)) {
            return Ok(from + line as u64);
        }
        end = start;
    }
    Ok(0)
}

/// Where the last header in `bytes` begins whose mark is at `least` or behind it.
fn header_in(bytes: &[u8], least: usize) -> Option<usize> {
    let mut marks = bytes.windows(HEADER.len()).enumerate().skip(least).rev().filter(|(_, window)| *window == HEADER);
    let line = |(at, _): (usize, &[u8])| {
        let newline = bytes[at.saturating_sub(HEAD)..at].iter().rev().position(|byte| *byte == b'\n');
        // A line without an end for so long is no header.
        let line = newline.map(|back| at - back).or((at < HEAD).then_some(0))?;
        // Seconds, date and time; in a chat line there is more before the mark.
        let words = bytes[line..at].split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        (words.count() == 3).then_some(line)
    };
    marks.find_map(line)
}

fn length(start: u64, end: u64) -> usize {
    usize::try_from(end - start).unwrap_or_default()
}

fn text_lines(bytes: &[u8]) -> impl Iterator<Item = String> {
    bytes.split(|byte| *byte == b'\n').map(|line| String::from_utf8_lossy(line).trim_end_matches('\r').to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn before(text: &str) -> Vec<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let lines = lines_before(&File::open(file.path()).unwrap(), text.len() as u64).unwrap();
        lines.into_iter().filter(|line| !line.is_empty()).collect()
    }

    #[test]
    fn a_short_log_is_read_whole() {
        assert_eq!(before("a\r\nb\n"), ["a", "b"]);
        assert_eq!(before(""), [""; 0]);
    }

    #[test]
    fn of_a_long_log_the_first_line_and_the_last_ones_are_read() {
        let middle = "line after line\n".repeat(20_000);
        let lines = before(&format!("the header\n{middle}the last\n"));
        assert_eq!((lines[0].as_str(), lines.last().unwrap().as_str()), ("the header", "the last"));
        assert!(lines[1].starts_with("line ") && lines.len() < 10_000, "{}", lines[1]);
    }

    #[test]
    fn the_header_of_the_last_run_is_read_however_far_before_the_end() {
        let header = |day: u32| format!("   0.000 2026-11-{day} 10:00:00; Factorio 2.0.77 (build 84539)\n");
        // Every place of the header within a chunk.
        for more in [0, 1, 7, 15, 64, 1000, 4096, 65_480, 65_500, 65_520] {
            let many = "2026-11-20 10:00:00 [CHAT] Bob: x; Factorio 3\n".repeat(3_000);
            let text = format!("{}{many}{}{many}{}\n", header(10), header(20), "x".repeat(more));
            assert!(before(&text)[0].starts_with("   0.000 2026-11-20"), "{more}: {}", before(&text)[0]);
        }
    }
}
