//! The families of the files among those that are shown already: a family appears once.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::{Exposition, Family, Kind, write_head};
use crate::domain::ServerTag;

/// A server's file.
pub(in crate::game) type Shown = (ServerTag, Arc<Exposition>);

/// `own` with the families of `files` added. Where a family is there already, as when the relay asked the game for the
/// same number, it gets the series of those servers it does not tell of. A family is of one kind: who says another is
/// not shown, and named beside the text, once for each such family.
pub(in crate::game) fn weave(own: &str, files: &[Shown]) -> (String, Vec<ServerTag>) {
    let mut wanted: BTreeMap<&str, Vec<(&ServerTag, &Family)>> = BTreeMap::new();
    for (server, file) in files {
        for (name, family) in &file.families {
            wanted.entry(name).or_default().push((server, family));
        }
    }
    let (mut out, mut refused) = (String::with_capacity(own.len()), Vec::new());
    for block in blocks(own) {
        out.push_str(block.trim_end_matches('\n'));
        out.push('\n');
        if let Some((name, kind)) = head(block)
            && let Some(families) = wanted.remove(name)
        {
            let told_of = servers_of(block);
            let absent = families.into_iter().filter(|(server, _)| !told_of.contains(server.as_str()));
            refused.extend(add(&mut out, kind, absent));
        }
        out.push('\n');
    }
    for (name, families) in wanted {
        let Some((_, first)) = families.first() else { continue };
        write_head(&mut out, name, first);
        refused.extend(add(&mut out, Some(first.kind), families.iter().copied()));
        out.push('\n');
    }
    (out, refused)
}

/// Adds the samples of the families of this kind and names the servers of the others.
fn add<'a>(
    out: &mut String,
    kind: Option<Kind>,
    families: impl Iterator<Item = (&'a ServerTag, &'a Family)>,
) -> Vec<ServerTag> {
    let mut refused = Vec::new();
    for (server, family) in families {
        if Some(family.kind) == kind {
            out.push_str(&family.samples);
        } else {
            refused.push(server.clone());
        }
    }
    refused
}

/// A text cut before each `# HELP`; what stands before the first one is a block, too.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let starts = text.match_indices("# HELP ").map(|(at, _)| at);
    let mut cuts: Vec<usize> = starts.filter(|at| *at == 0 || text.as_bytes()[at - 1] == b'\n').collect();
    cuts.push(text.len());
    if cuts[0] != 0 {
        cuts.insert(0, 0);
    }
    (1..cuts.len()).map(move |end| &text[cuts[end - 1]..cuts[end]])
}

/// The name of a block's family, and its kind.
fn head(block: &str) -> Option<(&str, Option<Kind>)> {
    let name = block.strip_prefix("# HELP ")?.split_whitespace().next()?;
    let kind = block.lines().find_map(|line| line.strip_prefix("# TYPE ")?.strip_prefix(name));
    Some((name, kind.map_or(Some(Kind::Untyped), |kind| Kind::parse(kind.trim()))))
}

/// The servers a block has samples of, in one pass: there may be a thousand.
fn servers_of(block: &str) -> HashSet<&str> {
    let samples = block.lines().filter(|line| !line.starts_with('#'));
    let label = |line| ["{server=\"", ",server=\""].iter().find_map(|mark| str::split_once(line, mark));
    samples.filter_map(|line| label(line)?.1.split('"').next()).collect()
}
