//! `[history]`: how long what is remembered of the games.

use super::duration;
use super::file::HistorySection;
use super::problem::Problems;
use super::settings::HistorySettings;

/// Checks and resolves the section.
pub(super) fn resolve(section: &HistorySection, problems: &mut Problems<'_>) -> HistorySettings {
    let keys = [
        ("raw", section.raw, "1h", "90d"),
        ("five_minutes", section.five_minutes, "1d", "3650d"),
        ("happenings", section.happenings, "1d", "3650d"),
    ];
    for (key, value, least, most) in keys {
        let bound = |text| duration::parse(text).expect("bounds are durations");
        if value < bound(least) || value > bound(most) {
            problems.add(&format!("history.{key}"), format!("out of range: {least} to {most}"));
        }
    }
    HistorySettings { raw: section.raw, five_minutes: section.five_minutes, happenings: section.happenings }
}
