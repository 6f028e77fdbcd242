//! Formats of strings.
//!
//! llguidance knows some; those here are narrower than they might be, never wider.

use serde_json::{Value, json};

use super::keywords::at;
use super::pointer::Pointer;

/// Those of llguidance.
const KNOWN: [&str; 7] = ["duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid"];

/// A format whose every text is also one of another that llguidance knows.
const NARROWED: [(&str, &str); 7] = [
    ("idn-email", "email"),
    ("idn-hostname", "hostname"),
    ("iri", "uri"),
    ("iri-reference", "uri"),
    ("uri-reference", "uri"),
    ("uri-template", "uri"),
    ("url", "uri"),
];

/// Formats that say nothing of the text.
const FREE: [&str; 2] = ["password", "binary"];

/// Years 0001 to 9999, the 29th of February in leap years only.
const DATE: &str = concat!(
    "(?:(?:[0-9]{3}[1-9]|[0-9]{2}[1-9][0-9]|[0-9][1-9][0-9]{2}|[1-9][0-9]{3})-",
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])",
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)",
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))",
    "|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)-02-29)"
);
/// RFC 3339, without leap seconds.
const TIME: &str = concat!(
    r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?",
    "(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
);

fn pattern(format: &str) -> Option<String> {
    Some(match format {
        "date" => format!("^{DATE}$"),
        "time" => format!("^{TIME}$"),
        "date-time" => format!("^{DATE}T{TIME}$"),
        "byte" => "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$".into(),
        "json-pointer" => "^(?:/(?:[^~/]|~[01])*)*$".into(),
        _ => return None,
    })
}

/// Writes a schema's `format` so that llguidance takes it. Error: one that is not known.
pub(super) fn replace(part: &mut Value, place: &Pointer) -> Result<(), String> {
    let Some(object) = part.as_object_mut() else { return Ok(()) };
    let Some(format) = object.get("format") else { return Ok(()) };
    let Some(name) = format.as_str().map(str::to_owned) else {
        return Err(at(place, &format!("format is {format}, but must be a string")));
    };
    let of_strings = match object.get("type") {
        Some(Value::String(kind)) => kind == "string",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "string"),
        _ => true,
    };
    if !of_strings || FREE.contains(&name.as_str()) {
        object.remove("format");
    } else if let Some((_, known)) = NARROWED.iter().find(|(format, _)| *format == name) {
        object.insert("format".into(), json!(known));
    } else if let Some(pattern) = pattern(&name) {
        object.remove("format");
        if object.contains_key("pattern") {
            let all = object.entry("allOf").or_insert_with(|| json!([]));
            if let Value::Array(all) = all {
                all.push(json!({"pattern": pattern}));
            }
        } else {
            object.insert("pattern".into(), json!(pattern));
        }
    } else if !KNOWN.contains(&name.as_str()) {
        return Err(at(place, &format!("the format {name:?} is not supported")));
    }
    Ok(())
}
