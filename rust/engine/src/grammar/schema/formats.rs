//! Formats of strings, as regular expressions: narrower than they might be, never wider.

use serde_json::{Value, json};

use super::keywords::at;
use super::pointer::Pointer;

/// A format whose every text is also one of another.
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

/// Labels of up to 59 characters, 239 in all, without the two hyphens by which encoded ones are known.
const HOST: &str =
    concat!("[A-Za-z0-9](?:-?[A-Za-z0-9]){0,29}", r"(?:\.[A-Za-z0-9](?:-?[A-Za-z0-9]){0,29}){0,3}");
/// The part before the @ has up to 64 characters.
const MAILBOX: &str = r"[A-Za-z0-9_+-]{1,32}(?:\.[A-Za-z0-9_+-]{1,15}){0,2}";
const OCTET: &str = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
/// Without those that end in an IPv4 address, or have their gap before more than one group.
const IPV6: &str = concat!(
    "(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}|(?:[0-9A-Fa-f]{1,4}:){1,7}:",
    "|(?:[0-9A-Fa-f]{1,4}:){1,6}:[0-9A-Fa-f]{1,4}|:(?::[0-9A-Fa-f]{1,4}){1,7}|::"
);
const UUID: &str = "[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}";
/// A character of a path in RFC 3986.
const PATH: &str = "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})";
const DURATION: &str = concat!(
    "P(?:[0-9]{1,9}W",
    "|(?:[0-9]{1,9}Y(?:[0-9]{1,9}M(?:[0-9]{1,9}D)?)?|[0-9]{1,9}M(?:[0-9]{1,9}D)?|[0-9]{1,9}D)",
    "(?:T(?:[0-9]{1,9}H(?:[0-9]{1,9}M(?:[0-9]{1,9}S)?)?|[0-9]{1,9}M(?:[0-9]{1,9}S)?",
    "|[0-9]{1,9}S))?",
    "|T(?:[0-9]{1,9}H(?:[0-9]{1,9}M(?:[0-9]{1,9}S)?)?|[0-9]{1,9}M(?:[0-9]{1,9}S)?|[0-9]{1,9}S))"
);

/// An address with a host and a path, or with a path alone, as in `mailto:`.
fn uri() -> String {
    let after = format!(r"(?:/{PATH}*)*(?:\?(?:{PATH}|[/?])*)?(?:#(?:{PATH}|[/?])*)?");
    format!("[A-Za-z][A-Za-z0-9+.-]{{0,15}}:(?://{HOST}(?::[0-9]{{1,5}})?|{PATH}+){after}")
}

/// What a format says of a text, all of which is matched; `None` where that is nothing. Error: a format
/// that is not known.
pub(super) fn regex(format: &str) -> Result<Option<String>, String> {
    let narrowed = NARROWED.iter().find(|(name, _)| *name == format);
    Ok(Some(match narrowed.map_or(format, |(_, narrowed)| narrowed) {
        "date" => DATE.into(),
        "time" => TIME.into(),
        "date-time" => format!("{DATE}T{TIME}"),
        "duration" => DURATION.into(),
        "byte" => "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?".into(),
        "json-pointer" => "(?:/(?:[^~/]|~[01])*)*".into(),
        "email" => format!("{MAILBOX}@{HOST}"),
        "hostname" => HOST.into(),
        "ipv4" => format!(r"{OCTET}(?:\.{OCTET}){{3}}"),
        "ipv6" => IPV6.into(),
        "uri" => uri(),
        "uuid" => UUID.into(),
        free if FREE.contains(&free) => return Ok(None),
        unknown => return Err(format!("the format {unknown:?} is not supported")),
    }))
}

/// Writes a schema's `format` as a pattern. Error: one that is not known.
pub(super) fn replace(part: &mut Value, place: &Pointer) -> Result<(), String> {
    let Some(object) = part.as_object_mut() else { return Ok(()) };
    let Some(format) = object.get("format") else { return Ok(()) };
    let Some(name) = format.as_str().map(str::to_owned) else {
        return Err(at(place, &format!("format is {format}, but must be a string")));
    };
    object.remove("format");
    let of_strings = match object.get("type") {
        Some(Value::String(kind)) => kind == "string",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "string"),
        _ => true,
    };
    let found =
        if of_strings { regex(&name).map_err(|message| at(place, &message))? } else { None };
    let Some(regex) = found else { return Ok(()) };
    let pattern = format!("^(?:{regex})$");
    if object.contains_key("pattern") {
        let all = object.entry("allOf").or_insert_with(|| json!([]));
        if let Value::Array(all) = all {
            all.push(json!({"pattern": pattern}));
        }
    } else {
        object.insert("pattern".into(), json!(pattern));
    }
    Ok(())
}
