//! Discord's limits of embeds.

use jiff::Timestamp;
use serde_json::Value;

use super::errors::ApiError;

/// Embeds of a message.
const MOST: usize = 10;
/// Fields of an embed.
const MOST_FIELDS: usize = 25;
/// Characters of all embeds of a message together.
const MOST_CHARACTERS: usize = 6000;
/// Characters of an address.
const MOST_URL: usize = 2048;
/// White, the greatest colour.
const MOST_COLOUR: u64 = 0xFF_FFFF;

/// Refuses embeds that Discord refuses: too many, too long, with empty fields, impossible colours, times or addresses.
pub(super) fn check(embeds: &Value) -> Result<(), ApiError> {
    let embeds = embeds.as_array().map(Vec::as_slice).unwrap_or_default();
    if embeds.len() > MOST {
        return Err(ApiError::too_long("embeds", MOST));
    }
    let mut characters = 0;
    for (at, embed) in embeds.iter().enumerate() {
        characters += of_one(embed, &format!("embeds.{at}"))?;
    }
    if characters > MOST_CHARACTERS {
        let message = "Embed size exceeds maximum size of 6000";
        return Err(ApiError::invalid_form("embeds", "MAX_EMBED_SIZE_EXCEEDED", message));
    }
    Ok(())
}

/// The characters of an embed.
fn of_one(embed: &Value, path: &str) -> Result<usize, ApiError> {
    let fields = embed["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
    if fields.len() > MOST_FIELDS {
        return Err(ApiError::too_long(&format!("{path}.fields"), MOST_FIELDS));
    }
    let mut characters = 0;
    for (at, field) in fields.iter().enumerate() {
        characters += required(&field["name"], &format!("{path}.fields.{at}.name"), 256)?;
        characters += required(&field["value"], &format!("{path}.fields.{at}.value"), 1024)?;
    }
    check_colour(&embed["color"], &format!("{path}.color"))?;
    check_timestamp(&embed["timestamp"], &format!("{path}.timestamp"))?;
    check_url(&embed["url"], &format!("{path}.url"))?;
    for image in ["image", "thumbnail"] {
        check_url(&embed[image]["url"], &format!("{path}.{image}.url"))?;
    }
    characters += length(&embed["title"], &format!("{path}.title"), 256)?;
    characters += length(&embed["description"], &format!("{path}.description"), 4096)?;
    characters += length(&embed["footer"]["text"], &format!("{path}.footer.text"), 2048)?;
    Ok(characters + length(&embed["author"]["name"], &format!("{path}.author.name"), 256)?)
}

fn check_colour(colour: &Value, path: &str) -> Result<(), ApiError> {
    if colour.is_null() || colour.as_u64().is_some_and(|colour| colour <= MOST_COLOUR) {
        return Ok(());
    }
    let message = "int value should be less than or equal to 16777215.";
    Err(ApiError::invalid_form(path, "NUMBER_TYPE_MAX", message))
}

fn check_timestamp(timestamp: &Value, path: &str) -> Result<(), ApiError> {
    if timestamp.is_null() || timestamp.as_str().is_some_and(|text| text.parse::<Timestamp>().is_ok()) {
        return Ok(());
    }
    let message = format!("Could not parse {timestamp}. Should be ISO8601.");
    Err(ApiError::invalid_form(path, "DATE_TIME_TYPE_PARSE", &message))
}

fn check_url(url: &Value, path: &str) -> Result<(), ApiError> {
    let Some(url) = url.as_str() else { return Ok(()) };
    if url.chars().count() > MOST_URL {
        return Err(ApiError::too_long(path, MOST_URL));
    }
    if ["http://", "https://", "attachment://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Ok(());
    }
    let message = "Scheme must be one of ('http', 'https').";
    Err(ApiError::invalid_form(path, "URL_TYPE_INVALID_SCHEME", message))
}

fn required(text: &Value, path: &str, most: usize) -> Result<usize, ApiError> {
    match length(text, path, most)? {
        0 => Err(ApiError::required(path)),
        length => Ok(length),
    }
}

fn length(text: &Value, path: &str, most: usize) -> Result<usize, ApiError> {
    let length = text.as_str().unwrap_or_default().trim().chars().count();
    if length > most { Err(ApiError::too_long(path, most)) } else { Ok(length) }
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

    #[test]
    fn refusal_names_the_embed_and_the_field() {
        let refused_at = |embed: Value| check(&json!([{ "title": "t" }, embed])).unwrap_err().field_path();
        assert_eq!(refused_at(json!({ "title": "t".repeat(257) })), "embeds.1.title");
        assert_eq!(refused_at(json!({ "fields": [{ "name": "n" }] })), "embeds.1.fields.0.value");
        assert_eq!(refused_at(json!({ "color": 0x0100_0000 })), "embeds.1.color");
        assert_eq!(refused_at(json!({ "color": -1 })), "embeds.1.color");
        assert_eq!(refused_at(json!({ "timestamp": "yesterday" })), "embeds.1.timestamp");
        assert_eq!(refused_at(json!({ "url": "gopher://x" })), "embeds.1.url");
        assert_eq!(refused_at(json!({ "image": { "url": "x.png" } })), "embeds.1.image.url");
        let right =
            json!({ "color": 0xFF_FFFF, "timestamp": "2026-11-30T10:00:00.000Z", "url": "https://example.com" });
        assert_eq!(check(&json!([right])), Ok(()));
    }
}
