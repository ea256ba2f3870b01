//! The plan, and the files it leads to: rules one by one, then over any rows.

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::file::{FileDraft, FileKind, MAX_FILE_BYTES, append_line};
use super::plan::{Draft, MAX_CHARS, Plan, Rules, plan};
use crate::domain::{Lane, Mentions};
use crate::store::OutboxRow;

const NOW: i64 = 1_800_000_000;

fn rules(lane: Lane) -> Rules {
    let now = Timestamp::from_second(NOW).unwrap();
    Rules { lane, now, max_replay_age: Duration::from_mins(15), max_backlog_messages: 5 }
}

fn row(id: i64, content: &str) -> OutboxRow {
    OutboxRow {
        id,
        server: "prod".into(),
        event: "chat".into(),
        content: content.into(),
        plain: content.into(),
        mentions: Mentions::default(),
        occurred_at: Timestamp::from_second(NOW).unwrap(),
        group_limit: None,
        edits: None,
    }
}

fn old(id: i64, content: &str, age: i64) -> OutboxRow {
    OutboxRow { occurred_at: Timestamp::from_second(NOW - age).unwrap(), ..row(id, content) }
}

fn rows(contents: &[&str]) -> Vec<OutboxRow> {
    (1..).zip(contents).map(|(id, content)| row(id, content)).collect()
}

fn draft(rows: &[OutboxRow], rules: &Rules) -> Draft {
    let kind = match plan(rows, rules).unwrap() {
        Plan::Message(draft) => return draft,
        Plan::Digest => FileKind::Digest,
        Plan::Backlog => FileKind::Backlog,
    };
    let mut file = FileDraft::new(kind, *rules);
    assert!(rows.iter().take_while(|row| file.take(row)).count() > 0);
    file.finish().unwrap()
}

#[test]
fn what_piled_up_is_folded_and_repeats_are_counted() {
    let mut rows = rows(&["a", "b", "b", "b", "a", "a"]);
    rows.push(OutboxRow { server: "test".into(), ..row(7, "a") });
    let draft = draft(&rows, &rules(Lane::Chat));
    assert_eq!(draft.content, "a\nb ×3\na ×2\na");
    assert_eq!((draft.rows, draft.last_row, draft.filename), (7, 7, None));
}

#[test]
fn a_message_ends_before_it_is_too_long() {
    let long = "é".repeat(999);
    let draft = draft(&rows(&[&long, &long.replace('é', "ü"), "x"]), &rules(Lane::Chat));
    assert_eq!((draft.rows, draft.content.chars().count()), (2, 1999));
}

#[test]
fn a_row_longer_than_a_message_goes_with_the_whole_text_attached() {
    let long = format!("```{}", "word ".repeat(600));
    let draft = draft(&rows(&["x", &long])[1..], &rules(Lane::Chat));
    assert!(draft.content.ends_with("word…\n``` (the whole text is attached)"), "{}", draft.content);
    assert!(draft.content.chars().count() <= MAX_CHARS);
    assert_eq!((draft.rows, draft.filename.as_deref()), (1, Some("prod-2027-01-15.txt")));
}

#[test]
fn an_edit_longer_than_a_message_is_cut_and_stays_an_edit() {
    let row = OutboxRow {
        edits: Some(7),
        group_limit: Some(1),
        ..old(9, &format!("✅ over: ```{}", "word ".repeat(600)), 7200)
    };
    let draft = draft(&[row], &rules(Lane::Alert));
    assert_eq!((draft.edits, draft.filename.as_deref()), (Some(7), None));
    assert!(draft.content.ends_with("word…\n``` (<t:1799992800:R>)"), "{}", draft.content);
    assert!(draft.content.chars().count() <= MAX_CHARS);
}

#[test]
fn old_lines_go_as_one_digest_and_new_ones_after_it() {
    let rows = [old(1, "a", 7200), old(2, "b", 3600), row(3, "now"), old(4, "c", 3600)];
    let digest = draft(&rows, &rules(Lane::Chat));
    assert_eq!(
        digest.content,
        "🕰️ 2 lines from <t:1799992800:t> to <t:1799996400:t>, too late to post one by one, attached"
    );
    assert_eq!((digest.rows, digest.filename.as_deref()), (2, Some("prod-2027-01-15.txt")));
    let rest = draft(&rows[2..], &rules(Lane::Chat));
    assert_eq!((rest.content.as_str(), rest.rows), ("now", 1));
}

#[test]
fn old_alerts_are_said_with_their_time() {
    let rows = [old(1, "crashed", 7200), row(2, "online")];
    let draft = draft(&rows, &rules(Lane::Alert));
    assert_eq!(draft.content, "crashed (<t:1799992800:R>)\nonline");
}

#[test]
fn a_backlog_of_too_many_messages_goes_as_a_file() {
    let text = "x".repeat(1500);
    let mut rows: Vec<_> = (1..=5).map(|id| row(id, &format!("{id} {text}"))).collect();
    assert_eq!(draft(&rows, &rules(Lane::Chat)).rows, 1);
    rows.push(old(6, "at last", 60));
    rows.push(row(7, &text));
    rows.push(OutboxRow { server: "test".into(), ..row(8, &text) });
    let draft = draft(&rows, &rules(Lane::Chat));
    assert_eq!(draft.content, "📜 8 lines from <t:1799999940:t> to <t:1800000000:t>, attached");
    assert_eq!((draft.rows, draft.filename.as_deref()), (8, Some("servers-2027-01-15.txt")));
}

#[test]
fn rows_of_a_refused_message_go_in_smaller_ones_and_at_last_alone() {
    let mut rows = rows(&["a", "b", "c", "d"]);
    rows[1].group_limit = Some(2);
    assert_eq!(draft(&rows, &rules(Lane::Chat)).rows, 2);
    rows[0].group_limit = Some(1);
    rows[0].occurred_at -= Duration::from_hours(3);
    let alone = draft(&rows, &rules(Lane::Chat));
    assert_eq!((alone.rows, alone.filename), (1, None), "not as a file, which may be what is refused");
}

#[test]
fn a_file_ends_before_it_is_too_large() {
    let big = "x".repeat(MAX_FILE_BYTES / 3);
    let mut file = FileDraft::new(FileKind::Backlog, rules(Lane::Chat));
    let taken = (1..9).map(|id| row(id, &big)).take_while(|row| file.take(row)).count();
    assert_eq!(taken, 2);
    assert!(file.finish().unwrap().content.starts_with("📜 2 lines"));
}

#[test]
fn a_line_larger_than_a_file_is_cut() {
    let mut file = Vec::new();
    append_line(&mut file, &"é".repeat(MAX_FILE_BYTES));
    assert!(file.len() <= MAX_FILE_BYTES);
    assert!(String::from_utf8(file).unwrap().ends_with("é\n"));
}

/// Rows as a lane may hold: short and long, old and new, with repeats and remains of refused messages.
fn any_rows() -> impl Strategy<Value = Vec<OutboxRow>> {
    let long = ("[a-zéü\\\\]{1,9}", prop_oneof![2 => 200_usize..900, 1 => 1970_usize..2100])
        .prop_map(|(word, length)| word.chars().cycle().take(length).collect());
    let content = prop_oneof![4 => "[a-c]{1,2}", 3 => long];
    let limit = prop_oneof![8 => Just(None), 1 => (1_u32..4).prop_map(Some)];
    let one = (content, prop_oneof![3 => 0_i64..800, 1 => 1000_i64..9000], limit);
    prop::collection::vec(one, 1..60).prop_map(|all| {
        let number = |(id, (content, age, limit)): (i64, (String, i64, Option<u32>))| OutboxRow {
            group_limit: limit,
            ..old(id, &content, age)
        };
        (1..).zip(all).map(number).collect()
    })
}

/// What a reader of the message sees, a line per row.
fn unfolded(content: &str) -> Vec<String> {
    let lines = content.split('\n').flat_map(|line| {
        let (text, repeats) = line.rsplit_once(" ×").map_or((line, 1), |(text, n)| (text, n.parse().unwrap()));
        std::iter::repeat_n(text.to_owned(), repeats)
    });
    lines.collect()
}

proptest! {
    #[test]
    fn every_row_is_said_once_and_in_order(rows in any_rows(), alert: bool) {
        let rules = rules(if alert { Lane::Alert } else { Lane::Chat });
        let mut rest = &rows[..];
        while !rest.is_empty() {
            let draft = draft(rest, &rules);
            prop_assert!((1..=rest.len()).contains(&draft.rows));
            let (said, after) = rest.split_at(draft.rows);
            prop_assert_eq!(said.last().map(|row| row.id), Some(draft.last_row));
            prop_assert!(!draft.content.is_empty() && draft.content.chars().count() <= MAX_CHARS);
            let limit = said.iter().filter_map(|row| row.group_limit).min().unwrap_or(u32::MAX);
            prop_assert!(said.len() <= limit as usize);
            if draft.filename.is_none() {
                let expected: Vec<String> = said.iter().map(|row| {
                    let late = if rules.is_stale(row) { format!(" (<t:{}:R>)", row.occurred_at.as_second()) } else { String::new() };
                    format!("{}{late}", row.content)
                }).collect();
                prop_assert_eq!(unfolded(&draft.content), expected);
            }
            rest = after;
        }
    }

    #[test]
    fn no_backlog_takes_more_messages_than_allowed(rows in any_rows(), most in 1_usize..8) {
        let rows: Vec<_> = rows.into_iter().map(|row| OutboxRow { group_limit: None, ..row }).collect();
        let rules = Rules { max_backlog_messages: most, ..rules(Lane::Chat) };
        let (mut rest, mut messages) = (&rows[..], 0);
        while !rest.is_empty() {
            rest = &rest[draft(rest, &rules).rows..];
            messages += 1;
        }
        prop_assert!(messages <= most, "{messages} messages");
    }
}

#[test]
fn a_row_with_a_blueprint_goes_alone_with_its_text() {
    let blueprint = OutboxRow { plain: format!("Bob: 0eNq{}", "x9+/".repeat(50)), ..row(2, "Bob: blueprint (1 KB)") };
    let rows = [row(1, "a"), blueprint, row(3, "b")];
    let first = draft(&rows, &rules(Lane::Chat));
    assert_eq!((first.content.as_str(), first.rows, first.filename), ("a", 1, None));
    let second = draft(&rows[1..], &rules(Lane::Chat));
    assert_eq!((second.content.as_str(), second.rows), ("Bob: blueprint (1 KB)", 1));
    assert!(second.filename.is_some());
    let edit = OutboxRow { edits: Some(1), ..rows[1].clone() };
    assert_eq!(draft(&[edit], &rules(Lane::Chat)).filename, None, "an edit brings no file");
}
