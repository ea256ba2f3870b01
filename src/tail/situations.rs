//! One named situation per rule.

use std::fs;
use std::os::unix::fs::symlink;

use super::model::Bench;
use super::step::{Again, Standing};
use crate::config::settings::StartAt;
use crate::domain::{FileId, LogItem, Position};

/// A log of which `first` is read.
fn reading(first: &str) -> Bench {
    let mut bench = Bench::new(StartAt::Beginning);
    bench.append(first);
    bench.drain();
    bench
}

#[test]
fn first_start_at_the_end_delivers_only_what_comes_later() {
    let mut bench = Bench::new(StartAt::End);
    bench.append("old\nhalf of a line");
    let step = bench.follower.poll().unwrap();
    let piece = step.piece.unwrap();
    assert_eq!((piece.start, piece.end.offset), (Position::default(), 4));
    assert_eq!(piece.items, [LogItem::Before("old".to_owned())], "what was before is no line to relay");
    bench.position = piece.end;
    bench.append(" and its rest\nnew\n");
    bench.drain();
    assert_eq!(bench.lines, ["half of a line and its rest", "new"]);
}

#[test]
fn a_log_that_appears_after_the_first_start_is_read_whole_even_after_a_restart() {
    let mut bench = Bench::new(StartAt::End);
    let step = bench.follower.poll().unwrap();
    assert_eq!(step.standing, Standing::Missing);
    bench.position = step.piece.unwrap().end;
    assert_eq!((bench.position.generation, bench.position.file), (1, FileId::default()));
    bench.drain();
    bench.restart();
    bench.append("new\n");
    bench.drain();
    assert_eq!(bench.lines, ["new"]);
}

#[test]
fn rotated_file_is_read_to_its_end() {
    let mut bench = reading("a\n");
    bench.append("b\nhalf");
    bench.rotate();
    bench.append("c\n");
    bench.drain();
    assert_eq!(bench.lines, ["a", "b", "half", "c"]);
    assert!(bench.gaps.is_empty());
}

#[test]
fn what_is_written_to_the_renamed_file_is_read_while_the_new_one_is_empty() {
    let mut bench = reading("a\n");
    bench.rotate();
    bench.append("");
    bench.drain();
    bench.append_to(&bench.rotated(1), b"late\n");
    bench.drain();
    assert_eq!(bench.lines, ["a", "late"]);
    bench.append("new\n");
    bench.drain();
    assert_eq!(bench.lines, ["a", "late", "new"]);
}

#[test]
fn files_rotated_twice_within_one_tick_of_the_clock_are_read_in_order() {
    let mut bench = reading("a\n");
    bench.rotate();
    bench.append("b\n");
    bench.rotate();
    bench.append("c\n");
    for file in [bench.rotated(2), bench.rotated(1), bench.log.clone()] {
        let time = std::time::SystemTime::UNIX_EPOCH;
        fs::File::options().append(true).open(file).unwrap().set_modified(time).unwrap();
    }
    bench.drain();
    assert_eq!(bench.lines, ["a", "b", "c"]);
}

#[test]
fn files_rotated_while_stopped_are_read_in_order() {
    let mut bench = reading("a\n");
    bench.append("b\n");
    bench.rotate();
    bench.append("c\n");
    bench.rotate();
    bench.append("d\n");
    bench.restart();
    bench.drain();
    assert_eq!(bench.lines, ["a", "b", "c", "d"]);
    assert!(bench.gaps.is_empty());
}

#[test]
fn the_rest_of_a_truncated_log_is_read_from_its_copy() {
    for stopped in [false, true] {
        let mut bench = reading("a\n");
        bench.append("b\n");
        bench.copy_and_truncate();
        bench.append("c\n");
        if stopped {
            bench.restart();
        }
        bench.drain();
        assert_eq!(bench.lines, ["a", "b", "c"], "stopped: {stopped}");
        assert!(bench.gaps.is_empty());
    }
}

#[test]
fn a_log_truncated_and_grown_beyond_the_offset_is_noticed() {
    let mut bench = reading("a\n");
    bench.truncate(0);
    bench.append("bbbbbbbb\ncccccccc\n");
    bench.drain();
    assert_eq!(bench.lines, ["a", "bbbbbbbb", "cccccccc"]);
}

#[test]
fn a_log_rewritten_to_the_same_length_is_noticed() {
    let mut bench = reading("aaaa\n");
    bench.truncate(0);
    bench.append("bbbb\n");
    bench.drain();
    assert_eq!(bench.lines, ["aaaa", "bbbb"]);
}

#[test]
fn truncation_at_the_end_loses_nothing_and_says_nothing() {
    let mut bench = reading("a\n");
    bench.truncate(0);
    bench.drain();
    bench.append("b\n");
    bench.drain();
    assert_eq!(bench.lines, ["a", "b"]);
    assert!(bench.gaps.is_empty());
}

#[test]
fn bytes_seen_and_destroyed_before_they_were_read_are_a_gap_of_known_size() {
    let mut bench = reading("a\n");
    bench.append("line\n".repeat(1_500));
    bench.poll();
    assert_eq!(bench.lines.len(), 1_001);
    bench.truncate(0);
    bench.append("b\n");
    bench.drain();
    assert_eq!(bench.lines.last().unwrap(), "b");
    assert_eq!(bench.gaps.iter().map(|gap| gap.bytes).collect::<Vec<_>>(), [Some(2_500)]);
}

#[test]
fn a_copy_that_lacks_the_end_leaves_a_gap_of_the_rest() {
    let mut bench = reading("a\n");
    bench.append("line\n".repeat(1_500));
    bench.poll();
    bench.copy_and_truncate();
    let copy = fs::OpenOptions::new().write(true).open(bench.rotated(1)).unwrap();
    copy.set_len(2 + 5 * 1_200).unwrap();
    bench.append("b\n");
    bench.drain();
    assert_eq!(bench.lines.len(), 1 + 1_200 + 1);
    assert_eq!(bench.gaps.iter().map(|gap| gap.bytes).collect::<Vec<_>>(), [Some(1_500)]);
}

#[test]
fn truncated_while_stopped_without_a_copy_is_a_gap_of_unknown_size() {
    let mut bench = reading("a\n");
    bench.truncate(0);
    bench.append("b\n");
    fs::write(bench.path("console.log.1.gz"), "packed").unwrap();
    bench.restart();
    bench.drain();
    assert_eq!(bench.lines, ["a", "b"]);
    let [gap] = &bench.gaps[..] else { panic!("{:?}", bench.gaps) };
    assert_eq!(gap.bytes, None);
    assert!(
        gap.reason.contains("truncated") && gap.reason.ends_with("; console.log.1.gz may hold it"),
        "{}",
        gap.reason
    );
    assert!(!gap.reason.contains('/'), "Discord shows no path of the host: {}", gap.reason);
}

#[test]
fn a_log_cut_short_is_not_read_again() {
    for stopped in [false, true] {
        let lines: Vec<String> = (0..50).map(|number| format!("line {number:03}")).collect();
        let mut bench = reading(&(lines.join("\n") + "\n"));
        bench.truncate(9 * 40);
        if stopped {
            bench.restart();
        }
        bench.drain();
        bench.append("new\n");
        bench.drain();
        assert_eq!((bench.lines.len(), bench.lines.last().unwrap().as_str()), (51, "new"), "stopped: {stopped}");
        assert_eq!(bench.gaps.len(), 1);
    }
}

#[test]
fn a_log_deleted_and_made_anew_while_stopped_is_a_gap_and_read_from_its_start() {
    let mut bench = reading("a\n");
    fs::remove_file(&bench.log).unwrap();
    bench.restart();
    let step = bench.follower.poll().unwrap();
    assert!(step.standing == Standing::Missing && step.piece.is_none());
    bench.append("b\n");
    bench.drain();
    assert_eq!(bench.lines, ["a", "b"]);
    assert_eq!(bench.gaps.iter().map(|gap| gap.bytes).collect::<Vec<_>>(), [None]);
}

#[test]
fn a_deleted_log_is_read_on_while_its_writer_has_it_open() {
    let mut bench = reading("a\n");
    let mut writer = fs::OpenOptions::new().append(true).open(&bench.log).unwrap();
    fs::remove_file(&bench.log).unwrap();
    std::io::Write::write_all(&mut writer, b"b\n").unwrap();
    bench.drain();
    assert_eq!(bench.lines, ["a", "b"]);
    assert_eq!(bench.follower.poll().unwrap().standing, Standing::Orphaned);
}

#[test]
fn the_same_content_behind_a_swapped_symlink_is_not_read_again() {
    let mut bench = Bench::new(StartAt::Beginning);
    let (old, new) = (bench.path("old"), bench.path("new"));
    bench.append_to(&old, b"a\nb\n");
    bench.swap_symlink_to(&old);
    bench.drain();
    fs::copy(&old, &new).unwrap();
    bench.append_to(&new, b"c\n");
    bench.swap_symlink_to(&new);
    bench.drain();
    assert_eq!(bench.lines, ["a", "b", "c"]);
    assert_eq!(bench.position.generation, 1);
}

#[test]
fn a_log_that_becomes_unreadable_is_gone_on_with_when_it_is_back() {
    let mut bench = reading("a\n");
    fs::rename(&bench.log, bench.path("kept")).unwrap();
    // A link to itself fails like a missing permission, and for the superuser too.
    symlink(&bench.log, &bench.log).unwrap();
    assert!(bench.follower.poll().is_err());
    bench.append_to(&bench.path("kept"), b"b\n");
    fs::rename(bench.path("kept"), &bench.log).unwrap();
    bench.drain();
    assert_eq!(bench.lines, ["a", "b"]);
    assert!(bench.gaps.is_empty());
}

#[test]
fn the_log_of_another_server_beside_it_is_not_read() {
    let mut bench = reading("a\n");
    bench.append_to(&bench.path("console-2.log"), b"of another server\n");
    bench.rotate();
    bench.append_to(&bench.path("console2.log"), b"of a third server\n");
    bench.append("b\n");
    bench.drain();
    assert_eq!(bench.lines, ["a", "b"]);
}

#[test]
fn a_backup_of_a_log_is_not_read_again() {
    let mut bench = reading("a\n");
    bench.append("b\n");
    bench.rotate();
    let backup = bench.path("console.log.backup");
    fs::copy(bench.rotated(1), &backup).unwrap();
    bench.stamp(&backup);
    bench.append("c\n");
    bench.drain();
    assert_eq!(bench.lines, ["a", "b", "c"]);
}

#[test]
fn a_hole_left_by_a_writer_that_kept_its_offset_is_dropped() {
    let mut bench = reading("aaaa\n");
    bench.copy_and_truncate();
    bench.truncate(200_000);
    bench.append("b\n");
    bench.drain();
    assert_eq!(bench.lines, ["aaaa", "b"]);
}

#[test]
fn an_endless_line_is_cut_and_the_next_one_read() {
    let mut bench = reading("a\n");
    for _ in 0..10 {
        bench.append("x".repeat(100_000));
        bench.drain();
    }
    assert_eq!((bench.lines.len(), bench.position.offset), (1, 2));
    bench.append("\nb\n");
    bench.restart();
    bench.drain();
    assert_eq!((bench.lines[1].len(), bench.lines[2].as_str()), (64 * 1024, "b"));
}

#[test]
fn an_idle_log_sends_nothing_and_empty_lines_are_passed_over() {
    let mut bench = reading("a\n");
    let before = bench.position;
    bench.append("\n\r\n");
    bench.drain();
    assert_eq!(bench.poll(), Again::Later);
    assert_eq!(bench.position, before);
    bench.append("b\n");
    bench.drain();
    assert_eq!((bench.lines.len(), bench.position.offset), (2, 7));
}

#[test]
fn a_batch_holds_a_thousand_lines_at_most() {
    let mut bench = Bench::new(StartAt::Beginning);
    bench.append("l\n".repeat(2_500));
    bench.poll();
    let sizes: Vec<usize> = (0..3).map(|_| bench.follower.poll().unwrap().piece.unwrap().items.len()).collect();
    assert_eq!(sizes, [1_000, 1_000, 500]);
}

/// An empty log, opened and at rest.
fn reading_an_empty_log() -> Bench {
    let mut bench = Bench::new(StartAt::End);
    bench.append_to(&bench.rotated(1), b"from before the first start\n");
    bench.append("");
    bench.drain();
    assert_eq!(bench.position.offset, 0);
    bench
}

#[test]
fn lines_that_came_and_went_from_an_empty_log_are_read_from_their_copies() {
    for stopped in [false, true] {
        let mut bench = reading_an_empty_log();
        bench.append("a\n");
        bench.copy_and_truncate();
        bench.append("b\n");
        bench.copy_and_truncate();
        bench.append("c\n");
        bench.rotate();
        bench.append("d\n");
        if stopped {
            bench.restart();
        }
        bench.drain();
        bench.restart();
        bench.drain();
        assert_eq!(bench.lines, ["a", "b", "c", "d"], "stopped: {stopped}");
        assert!(bench.gaps.is_empty(), "stopped: {stopped}");
    }
}

#[test]
fn copies_of_one_tick_with_the_empty_log_are_found_while_running() {
    let mut bench = reading_an_empty_log();
    let time = fs::metadata(&bench.log).unwrap().modified().unwrap();
    bench.append("a\n");
    bench.copy_and_truncate();
    for file in [bench.rotated(1), bench.log.clone()] {
        fs::File::options().append(true).open(file).unwrap().set_modified(time).unwrap();
    }
    bench.drain();
    assert_eq!(bench.lines, ["a"]);
}

#[test]
fn an_old_file_that_its_writer_still_writes_to_is_not_read_after_a_first_start_at_an_empty_log() {
    for stopped in [false, true] {
        let mut bench = Bench::new(StartAt::End);
        bench.append("");
        bench.append_to(&bench.rotated(1), b"from before the first start\n");
        bench.drain();
        if stopped {
            bench.restart();
        } else {
            bench.append_to(&bench.rotated(1), b"late\n");
        }
        bench.append("a\n");
        bench.drain();
        assert_eq!(bench.lines, ["a"], "stopped: {stopped}");
        assert!(bench.gaps.is_empty(), "stopped: {stopped}");
    }
}

#[test]
fn what_was_rotated_after_a_lost_file_is_read_behind_a_gap() {
    let mut bench = reading("a\n");
    bench.append("lost\n");
    bench.rotate();
    bench.append("b\n");
    bench.copy_and_truncate();
    bench.append("c\n");
    bench.rotate();
    bench.append("d\n");
    fs::remove_file(bench.rotated(3)).unwrap();
    bench.restart();
    bench.poll();
    assert_eq!((bench.gaps.len(), bench.lines.len()), (1, 1));
    bench.drain();
    assert_eq!(bench.lines, ["a", "b", "c", "d"]);
    assert_eq!(bench.gaps.iter().map(|gap| gap.bytes).collect::<Vec<_>>(), [None]);
}

#[test]
fn a_backup_taken_halfway_gives_way_to_the_whole_file() {
    let mut bench = reading_an_empty_log();
    bench.append("a\n");
    let backup = bench.path("console.log.backup");
    fs::copy(&bench.log, &backup).unwrap();
    bench.stamp(&backup);
    bench.append("b\n");
    bench.copy_and_truncate();
    let late_backup = bench.path("console.log.late-backup");
    fs::copy(bench.rotated(1), &late_backup).unwrap();
    bench.stamp(&late_backup);
    bench.append("c\n");
    bench.restart();
    bench.drain();
    assert_eq!(bench.lines, ["a", "b", "c"]);
}

#[test]
fn a_short_backup_of_a_lost_file_is_not_read_again() {
    let first = "a".repeat(300);
    let mut bench = reading(&format!("{first}\n"));
    let backup = bench.path("console.log.backup");
    fs::copy(&bench.log, &backup).unwrap();
    bench.append("b\n");
    bench.drain();
    bench.stamp(&backup);
    bench.truncate(0);
    bench.append("c\n");
    bench.restart();
    bench.drain();
    assert_eq!(bench.lines, [first.as_str(), "b", "c"]);
    assert_eq!(bench.gaps.len(), 1);
}

#[test]
fn a_checkpoint_from_the_future_is_a_gap_and_old_files_are_not_read() {
    for first in ["", "a\n"] {
        let mut bench = Bench::new(StartAt::Beginning);
        bench.append(first);
        bench.drain();
        bench.append("b\n");
        bench.copy_and_truncate();
        fs::write(bench.rotated(1), "of another life\n").unwrap();
        bench.append("c\n");
        for file in [bench.rotated(1), bench.log.clone()] {
            let time = std::time::SystemTime::UNIX_EPOCH;
            fs::File::options().append(true).open(file).unwrap().set_modified(time).unwrap();
        }
        bench.restart();
        bench.drain();
        assert_eq!(bench.lines.last().unwrap(), "c");
        assert!(!bench.lines.contains(&"of another life".to_owned()));
        assert_eq!(bench.gaps.iter().map(|gap| gap.bytes).collect::<Vec<_>>(), [None], "{first}");
    }
}

/// A log of many lines, read and edited in place as `sed -i` does it: written to a new file, renamed over the old one.
fn edited(edit: impl Fn(&mut Vec<String>), stopped: bool) -> Bench {
    let mut lines: Vec<String> = (0..100).map(|number| format!("line {number:03}")).collect();
    let mut bench = reading(&(lines.join("\n") + "\n"));
    bench.append("half");
    bench.drain();
    edit(&mut lines);
    bench.replace_by((lines.join("\n") + "\nhalf and whole\nnew\n").as_bytes());
    if stopped {
        bench.restart();
    }
    bench.drain();
    bench
}

#[test]
fn a_log_edited_in_place_is_not_read_again() {
    let same_length = |lines: &mut Vec<String>| lines[50] = "LINE 050".into();
    let shorter = |lines: &mut Vec<String>| drop(lines.drain(50..52));
    let longer = |lines: &mut Vec<String>| lines.insert(50, "a line put in".into());
    for stopped in [false, true] {
        for bench in [edited(same_length, stopped), edited(shorter, stopped), edited(longer, stopped)] {
            assert_eq!(bench.lines[100..], ["half and whole", "new"], "stopped: {stopped}");
            assert!(bench.gaps.is_empty(), "stopped: {stopped}");
        }
    }
}
