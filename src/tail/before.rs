//! What stands before the place where the first reading of a log begins.

use std::fs::File;
use std::io;

use super::fingerprint::read_up_to;

/// How much before the place is read.
const NEAR: u64 = 64 * 1024;
/// How much of the head of the file is read: its first line.
const HEAD: usize = 1024;

/// Lines before `offset`, where a line begins: the first one of the file and the last ones. The first says when the run
/// of an engine began, the last ones what time it was.
pub(super) fn lines_before(file: &File, offset: u64) -> io::Result<Vec<String>> {
    let start = offset.saturating_sub(NEAR);
    let length = usize::try_from(offset - start).unwrap_or_default();
    let near = read_up_to(file, start, length)?;
    let mut lines = Vec::new();
    if start > 0 {
        let head = read_up_to(file, 0, HEAD)?;
        lines.extend(text_lines(&head).next());
    }
    // The first one may be the rest of a line.
    lines.extend(text_lines(&near).skip(usize::from(start > 0)));
    Ok(lines)
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
}
