//! Who may use which slash command. Pure.

use crate::config::settings::{Level, PermissionSettings};

/// The permission bit Administrator, which includes all others.
const ADMINISTRATOR: u64 = 1 << 3;
/// The permission bit Manage Server.
const MANAGE_SERVER: u64 = 1 << 5;

/// A member of the Discord server, as an interaction shows one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The user's id.
    pub id: u64,
    /// The name shown.
    pub name: String,
    /// The ids of the member's roles.
    pub roles: Vec<u64>,
    /// The permission bits.
    pub permissions: u64,
}

impl Caller {
    fn is_among(&self, ids: &[u64]) -> bool {
        ids.iter().any(|id| *id == self.id || self.roles.contains(id))
    }

    fn manages_server(&self) -> bool {
        self.permissions & (ADMINISTRATOR | MANAGE_SERVER) != 0
    }
}

/// The highest level of `caller`, by the lists that apply: those for all servers and those of one.
///
/// Where no list names an admin, members with Manage Server are admins.
#[must_use]
pub fn level_of(caller: &Caller, lists: &[&PermissionSettings]) -> Level {
    let admins_named = lists.iter().any(|list| !list.admin.is_empty());
    let fallback = !admins_named && caller.manages_server();
    if fallback || lists.iter().any(|list| caller.is_among(&list.admin)) {
        return Level::Admin;
    }
    if lists.iter().any(|list| caller.is_among(&list.moderator)) { Level::Moderator } else { Level::Everyone }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(id: u64, roles: &[u64], permissions: u64) -> Caller {
        Caller { id, name: "Ann".to_owned(), roles: roles.to_vec(), permissions }
    }

    fn lists(moderator: &[u64], admin: &[u64]) -> PermissionSettings {
        PermissionSettings { moderator: moderator.to_vec(), admin: admin.to_vec() }
    }

    #[test]
    fn without_admins_those_who_manage_the_server_are() {
        let none = lists(&[], &[]);
        assert_eq!(level_of(&caller(1, &[], 0), &[&none]), Level::Everyone);
        assert_eq!(level_of(&caller(1, &[], 32), &[&none]), Level::Admin);
        assert_eq!(level_of(&caller(1, &[], 8), &[&none]), Level::Admin);
        assert_eq!(level_of(&caller(1, &[], 8), &[&lists(&[7], &[])]), Level::Admin);
        assert_eq!(level_of(&caller(1, &[], 8), &[&none, &lists(&[], &[7])]), Level::Everyone, "a mapping decides");
    }

    #[test]
    fn roles_and_users_are_both_named_by_id() {
        let list = lists(&[5], &[6, 9]);
        assert_eq!(level_of(&caller(1, &[4, 5], 0), &[&list]), Level::Moderator);
        assert_eq!(level_of(&caller(1, &[5, 6], 0), &[&list]), Level::Admin);
        assert_eq!(level_of(&caller(9, &[], 0), &[&list]), Level::Admin);
        assert_eq!(level_of(&caller(5, &[], 0), &[&list]), Level::Moderator);
    }

    #[test]
    fn a_server_adds_to_what_holds_everywhere() {
        let (everywhere, here) = (lists(&[1], &[2]), lists(&[3], &[1]));
        assert_eq!(level_of(&caller(9, &[1], 0), &[&everywhere]), Level::Moderator);
        assert_eq!(level_of(&caller(9, &[1], 0), &[&everywhere, &here]), Level::Admin);
        assert_eq!(level_of(&caller(9, &[3], 0), &[&everywhere, &here]), Level::Moderator);
    }
}
