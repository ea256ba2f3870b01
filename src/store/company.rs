//! Who was in a game at the same time as somebody, and how long. Pure. Each session is looked at once: where one in ten
//! of 100,000 sessions is the player's own, SQL that joins them takes minutes.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use super::records::PlayTime;
use crate::domain::sessions::player_key;

/// A session's begin and end in milliseconds.
pub(super) type Stay = (i64, i64);

/// The time others spent with one player.
#[derive(Debug, Default)]
pub(super) struct Company {
    /// The player's own sessions by server, in order: on one server they never overlap.
    own: HashMap<String, Vec<Stay>>,
    /// By the name without its case: the name as it was written last, when that was, and the time together.
    others: HashMap<String, (String, i64, i64)>,
}

impl Company {
    /// Of a player with these sessions.
    pub(super) fn of(own: impl IntoIterator<Item = (String, Stay)>) -> Self {
        let mut company = Self::default();
        for (server, stay) in own {
            company.own.entry(server).or_default().push(stay);
        }
        company.own.values_mut().for_each(|stays| stays.sort_unstable());
        company
    }

    /// Takes in a session of somebody else.
    pub(super) fn meet(&mut self, server: &str, player: &str, (begin, finish): Stay) {
        let Some(own) = self.own.get(server) else { return };
        let first = own.partition_point(|stay| stay.1 <= begin);
        let near = own.iter().skip(first).take_while(|stay| stay.0 < finish);
        let time: i64 = near.map(|stay| stay.1.min(finish) - stay.0.max(begin)).filter(|time| *time > 0).sum();
        if time == 0 {
            return;
        }
        let (name, last, together) = self.others.entry(player_key(player)).or_default();
        if name.is_empty() || finish > *last {
            player.clone_into(name);
            *last = finish;
        }
        *together += time;
    }

    /// Those with the most time, the longest first.
    pub(super) fn longest(self, most: usize) -> Vec<PlayTime> {
        let mut others: Vec<_> = self.others.into_iter().collect();
        others.sort_unstable_by(|(a, (.., time_a)), (b, (.., time_b))| (Reverse(time_a), a).cmp(&(Reverse(time_b), b)));
        let play_time = |(name, _, time): (String, i64, i64)| PlayTime {
            player: name,
            time: Duration::from_millis(time.unsigned_abs()),
        };
        others.into_iter().take(most).map(|(_, other)| play_time(other)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Sessions that do not overlap, from the lengths of absences and presences.
    fn stays(lengths: &[(u8, u8)]) -> Vec<Stay> {
        let mut at = 0;
        let stay = |(away, there): &(u8, u8)| {
            let begin = at + i64::from(*away);
            at = begin + i64::from(*there);
            (begin, at)
        };
        lengths.iter().map(stay).collect()
    }

    proptest! {
        #[test]
        fn every_pair_of_sessions_counts_with_the_time_they_share(
            own in proptest::collection::vec(any::<(u8, u8)>(), 0..20),
            other in proptest::collection::vec((0_i64..3000, 0_i64..900), 0..20),
        ) {
            let (own, other) = (stays(&own), other.into_iter().map(|(begin, length)| (begin, begin + length)));
            let shared = |a: Stay, b: Stay| (a.1.min(b.1) - a.0.max(b.0)).max(0);
            let mut company = Company::of(own.iter().map(|stay| ("prod".to_owned(), *stay)));
            let mut expected = 0;
            for stay in other {
                expected += own.iter().map(|mine| shared(*mine, stay)).sum::<i64>();
                company.meet("prod", "Bob", stay);
                company.meet("elsewhere", "Bob", stay);
            }
            let told = company.longest(5).first().map_or(0, |one| i64::try_from(one.time.as_millis()).unwrap());
            prop_assert_eq!(told, expected);
        }
    }

    #[test]
    fn a_name_is_told_as_it_was_written_last() {
        let mut company = Company::of([("prod".to_owned(), (0, 100))]);
        for (name, stay) in [("bob", (0, 10)), ("BOB", (20, 40)), ("Ann", (0, 30)), ("Bob", (12, 15))] {
            company.meet("prod", name, stay);
        }
        let told: Vec<_> = company.longest(5).into_iter().map(|one| (one.player, one.time.as_millis())).collect();
        assert_eq!(told, [("BOB".to_owned(), 33), ("Ann".to_owned(), 30)]);
    }
}
