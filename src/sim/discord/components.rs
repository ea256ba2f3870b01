//! Discord's rules of message components: rows, buttons, select menus.

use std::collections::HashSet;

use serde_json::Value;

use super::errors::ApiError;

/// Rows of a message.
const MOST_ROWS: usize = 5;
/// Buttons of a row.
const MOST_IN_ROW: usize = 5;
/// Characters of a button's label.
const MOST_LABEL: usize = 80;
/// Characters of a `custom_id`.
const MOST_CUSTOM_ID: usize = 100;
/// Characters of a link.
const MOST_URL: usize = 512;
/// Options of a select menu.
const MOST_OPTIONS: usize = 25;
/// Flag `IS_COMPONENTS_V2`: other rules, which the simulator does not know.
const COMPONENTS_V2: u64 = 1 << 15;

const ACTION_ROW: u64 = 1;
const BUTTON: u64 = 2;
const STRING_SELECT: u64 = 3;
const LINK: u64 = 5;
const PREMIUM: u64 = 6;

/// Refuses components that Discord refuses.
pub(super) fn check(components: &Value, flags: u64) -> Result<(), ApiError> {
    let rows = list(components);
    if flags & COMPONENTS_V2 != 0 {
        return Ok(());
    }
    if rows.len() > MOST_ROWS {
        return Err(ApiError::too_long("components", MOST_ROWS));
    }
    let mut custom_ids = HashSet::new();
    for (at, row) in rows.iter().enumerate() {
        check_row(row, &format!("components.{at}"), &mut custom_ids)?;
    }
    Ok(())
}

fn check_row<'a>(row: &'a Value, path: &str, custom_ids: &mut HashSet<&'a str>) -> Result<(), ApiError> {
    if row["type"] != ACTION_ROW {
        return Err(ApiError::invalid_form(&format!("{path}.type"), "BASE_TYPE_CHOICES", "Value must be one of {1}."));
    }
    let inner = list(&row["components"]);
    if inner.is_empty() || inner.len() > MOST_IN_ROW {
        let path = format!("{path}.components");
        return Err(ApiError::bad_length(&path, MOST_IN_ROW));
    }
    for (at, component) in inner.iter().enumerate() {
        let path = format!("{path}.components.{at}");
        if component["type"] == BUTTON {
            check_button(component, &path)?;
        } else {
            check_select(component, &path)?;
            if inner.len() > 1 {
                let message = "A row with a select menu has no other component.";
                return Err(ApiError::invalid_form(&path, "COMPONENT_LAYOUT_WIDTH_EXCEEDED", message));
            }
        }
        if let Some(id) = component["custom_id"].as_str()
            && !custom_ids.insert(id)
        {
            let message = "Component custom id cannot be duplicated";
            let path = format!("{path}.custom_id");
            return Err(ApiError::invalid_form(&path, "COMPONENT_CUSTOM_ID_DUPLICATED", message));
        }
    }
    Ok(())
}

fn check_button(button: &Value, path: &str) -> Result<(), ApiError> {
    let style = button["style"].as_u64().unwrap_or_default();
    match style {
        1..=4 => check_custom_id(button, path)?,
        LINK => require(button, path, "url", MOST_URL)?,
        PREMIUM => {}
        _ => {
            let message = "Value must be one of {1, 2, 3, 4, 5, 6}.";
            return Err(ApiError::invalid_form(&format!("{path}.style"), "BASE_TYPE_CHOICES", message));
        }
    }
    let label = button["label"].as_str().unwrap_or_default();
    if label.chars().count() > MOST_LABEL {
        return Err(ApiError::too_long(&format!("{path}.label"), MOST_LABEL));
    }
    if label.is_empty() && button["emoji"].is_null() && style != PREMIUM {
        let message = "A button must have a label or an emoji.";
        return Err(ApiError::invalid_form(path, "BUTTON_COMPONENT_INVALID_LABEL", message));
    }
    Ok(())
}

fn check_select(select: &Value, path: &str) -> Result<(), ApiError> {
    let kind = select["type"].as_u64().unwrap_or_default();
    if !matches!(kind, STRING_SELECT | 5..=8) {
        let message = "Value must be one of {2, 3, 5, 6, 7, 8}.";
        return Err(ApiError::invalid_form(&format!("{path}.type"), "BASE_TYPE_CHOICES", message));
    }
    check_custom_id(select, path)?;
    let options = list(&select["options"]);
    if kind == STRING_SELECT && !(1..=MOST_OPTIONS).contains(&options.len()) {
        return Err(ApiError::bad_length(&format!("{path}.options"), MOST_OPTIONS));
    }
    for (at, option) in options.iter().enumerate() {
        for field in ["label", "value"] {
            require(option, &format!("{path}.options.{at}"), field, 100)?;
        }
    }
    Ok(())
}

fn check_custom_id(component: &Value, path: &str) -> Result<(), ApiError> {
    require(component, path, "custom_id", MOST_CUSTOM_ID)
}

/// A text field that must be there, with 1 to `most` characters.
pub(super) fn require(object: &Value, path: &str, field: &str, most: usize) -> Result<(), ApiError> {
    let path = format!("{path}.{field}");
    let Some(text) = object[field].as_str() else { return Err(ApiError::required(&path)) };
    if (1..=most).contains(&text.chars().count()) { Ok(()) } else { Err(ApiError::bad_length(&path, most)) }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn button(custom_id: &str) -> Value {
        json!({ "type": 2, "style": 1, "label": "Yes", "custom_id": custom_id })
    }

    fn row(components: &[Value]) -> Value {
        json!({ "type": 1, "components": components })
    }

    /// Where the first field error is.
    fn refused_at(components: &Value) -> String {
        check(components, 0).expect_err("refused").field_path()
    }

    #[test]
    fn five_rows_of_five_buttons_fit() {
        let rows: Vec<Value> =
            (0..5).map(|n| row(&(0..5).map(|m| button(&format!("{n}{m}"))).collect::<Vec<_>>())).collect();
        assert_eq!(check(&json!(rows), 0), Ok(()));
        let six: Vec<Value> = (0..6).map(|n| row(&[button(&n.to_string())])).collect();
        assert_eq!(refused_at(&json!(six)), "components");
        assert_eq!(check(&json!(six), COMPONENTS_V2), Ok(()), "other rules");
        let wide: Vec<Value> = (0..6).map(|n| button(&n.to_string())).collect();
        assert_eq!(refused_at(&json!([row(&wide)])), "components.0.components");
    }

    #[test]
    fn buttons_are_refused_where_they_are_wrong() {
        let wrong = |field: &str, value: Value| {
            let mut wrong = button("a");
            wrong[field] = value;
            refused_at(&json!([row(&[wrong])]))
        };
        assert_eq!(wrong("custom_id", Value::Null), "components.0.components.0.custom_id");
        assert_eq!(wrong("custom_id", json!("x".repeat(101))), "components.0.components.0.custom_id");
        assert_eq!(wrong("label", json!("x".repeat(81))), "components.0.components.0.label");
        assert_eq!(wrong("label", Value::Null), "components.0.components.0");
        assert_eq!(wrong("style", json!(9)), "components.0.components.0.style");
        let doubled = json!([row(&[button("a")]), row(&[button("b"), button("a")])]);
        assert_eq!(refused_at(&doubled), "components.1.components.1.custom_id");
        let link = json!({ "type": 2, "style": 5, "label": "Map" });
        assert_eq!(refused_at(&json!([row(&[link])])), "components.0.components.0.url");
        assert_eq!(refused_at(&json!([button("a")])), "components.0.type");
    }

    #[test]
    fn select_menu_is_alone_in_its_row_and_has_at_most_twenty_five_options() {
        let select = |options: usize| {
            let option = json!({ "label": "prod", "value": "prod" });
            json!({ "type": 3, "custom_id": "s", "options": vec![option; options] })
        };
        assert_eq!(check(&json!([row(&[select(25)])]), 0), Ok(()));
        assert_eq!(refused_at(&json!([row(&[select(26)])])), "components.0.components.0.options");
        assert_eq!(refused_at(&json!([row(&[select(1), button("a")])])), "components.0.components.0");
    }
}
