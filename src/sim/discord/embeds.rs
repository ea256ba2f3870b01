//! Discord's limits of embeds.

use serde_json::Value;

use super::errors::ApiError;

/// Embeds of a message.
const MOST: usize = 10;
/// Fields of an embed.
const MOST_FIELDS: usize = 25;
/// Characters of all embeds of a message together.
const MOST_CHARACTERS: usize = 6000;

/// Refuses what Discord refuses: too many, too long, or empty where something must stand.
pub(super) fn check(embeds: &Value) -> Result<(), ApiError> {
    let embeds = embeds.as_array().map(Vec::as_slice).unwrap_or_default();
    if embeds.len() > MOST {
        return Err(too_long("embeds", MOST));
    }
    let mut characters = 0;
    for embed in embeds {
        characters += of_one(embed)?;
    }
    if characters > MOST_CHARACTERS {
        let message = "Embed size exceeds maximum size of 6000";
        return Err(ApiError::invalid_form("embeds", "MAX_EMBED_SIZE_EXCEEDED", message));
    }
    Ok(())
}

/// The characters of an embed.
fn of_one(embed: &Value) -> Result<usize, ApiError> {
    let fields = embed["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
    if fields.len() > MOST_FIELDS {
        return Err(too_long("embeds.fields", MOST_FIELDS));
    }
    let mut characters = 0;
    for field in fields {
        characters += required(&field["name"], "embeds.fields.name", 256)?;
        characters += required(&field["value"], "embeds.fields.value", 1024)?;
    }
    characters += length(&embed["title"], "embeds.title", 256)?;
    characters += length(&embed["description"], "embeds.description", 4096)?;
    characters += length(&embed["footer"]["text"], "embeds.footer.text", 2048)?;
    Ok(characters + length(&embed["author"]["name"], "embeds.author.name", 256)?)
}

fn required(text: &Value, path: &str, most: usize) -> Result<usize, ApiError> {
    match length(text, path, most)? {
        0 => Err(ApiError::invalid_form(path, "BASE_TYPE_REQUIRED", "This field is required")),
        length => Ok(length),
    }
}

fn length(text: &Value, path: &str, most: usize) -> Result<usize, ApiError> {
    let length = text.as_str().unwrap_or_default().trim().chars().count();
    if length > most { Err(too_long(path, most)) } else { Ok(length) }
}

fn too_long(path: &str, most: usize) -> ApiError {
    ApiError::invalid_form(path, "BASE_TYPE_MAX_LENGTH", &format!("Must be {most} or fewer in length."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_part_and_the_whole_have_a_limit() {
        let field = |name: usize, value: usize| json!({ "name": "n".repeat(name), "value": "v".repeat(value) });
        let embed = |fields: &[Value]| json!([{ "title": "t", "fields": fields }]);
        assert!(check(&embed(&[field(256, 1024)])).is_ok());
        for refused in [field(257, 1), field(1, 1025), field(0, 1), field(1, 0)] {
            assert_eq!(check(&embed(&[refused])).unwrap_err().code, 50035);
        }
        assert!(check(&embed(&vec![field(1, 1); 26])).is_err());
        assert!(check(&embed(&vec![field(1, 1000); 5])).is_ok());
        assert!(check(&embed(&vec![field(1, 1000); 6])).is_err(), "more than 6000 together");
        assert!(check(&json!(vec![json!({ "title": "t" }); 11])).is_err());
    }
}
