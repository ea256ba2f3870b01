//! `${VAR}` in string values.

use std::collections::BTreeMap;

/// Why a text cannot be filled in. Names the variable, never a value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InterpolationError {
    #[error("the environment variable `{0}` is not set")]
    Unset(String),
    #[error("`${{` without a variable's name and `}}` behind it")]
    Malformed,
}

/// Replaces each `${VAR}` by the variable's value; `$${` stands for a literal `${`. `None` when there is nothing to do.
pub(super) fn interpolate(text: &str, vars: &BTreeMap<String, String>) -> Result<Option<String>, InterpolationError> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        rest = after;
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            continue;
        }
        let (name, tail) = after.split_once('}').ok_or(InterpolationError::Malformed)?;
        out.push_str(before);
        out.push_str(lookup(name, vars)?);
        rest = tail;
    }
    out.push_str(rest);
    Ok(Some(out))
}

fn lookup<'a>(name: &str, vars: &'a BTreeMap<String, String>) -> Result<&'a str, InterpolationError> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(InterpolationError::Malformed);
    }
    vars.get(name).map(String::as_str).ok_or_else(|| InterpolationError::Unset(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(text: &str) -> Result<Option<String>, InterpolationError> {
        let vars = [("A", "one"), ("B_2", "${A}")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        interpolate(text, &vars.into())
    }

    #[test]
    fn variables_are_filled_in_once() {
        assert_eq!(filled("x${A}y${B_2}z").unwrap().as_deref(), Some("xoney${A}z"));
        assert_eq!(filled("$A costs $5 {A}"), Ok(None));
    }

    #[test]
    fn a_doubled_dollar_is_a_literal_one() {
        assert_eq!(filled("$${A} ${A}").unwrap().as_deref(), Some("${A} one"));
    }

    #[test]
    fn an_unset_variable_is_named() {
        assert_eq!(filled("${NOPE}"), Err(InterpolationError::Unset("NOPE".to_owned())));
        for bad in ["${", "${}", "${A", "${A:-x}", "${1}"] {
            assert_eq!(filled(bad), Err(InterpolationError::Malformed), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_survives_escaping(text in "[a${}]{0,20}") {
            // A `$` before the escape would escape it anew: such texts cannot be written, so they are left out.
            prop_assume!(!text.contains("$${"));
            let written = text.replace("${", "$${");
            prop_assert_eq!(filled(&written).unwrap().unwrap_or(written), text);
        }
    }
}
