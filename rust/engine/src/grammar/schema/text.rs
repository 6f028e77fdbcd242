//! Strings of a schema as plain text, where a format writes them without quotes.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::formats;
use super::keywords::is_annotation;
use super::shown;

/// A terminal of Lark's: texts that a string's schema allows, without the text `without` unless that is
/// empty. Error: what else a schema says.
pub(in super::super) fn text(schema: &Value, without: &str) -> Result<String, String> {
    let mut all = vec!["/(?s:.*)/".to_owned()];
    if let Value::Object(object) = schema {
        for (keyword, value) in object {
            if let Some(terminal) = terminal(keyword, value)? {
                all.push(terminal);
            }
        }
        all.extend(length(object)?);
    } else if schema != &Value::Bool(true) {
        return Err(format!("a string's schema is an object, not {}", shown(schema)));
    }
    if !without.is_empty() {
        all.push(format!("~/(?s:.*){}(?s:.*)/", escaped(without)));
    }
    Ok(all.join(" & "))
}

fn terminal(keyword: &str, value: &Value) -> Result<Option<String>, String> {
    match (keyword, value) {
        ("type", Value::String(kind)) if kind == "string" => Ok(None),
        ("minLength" | "maxLength" | "$defs" | "definitions", _) => Ok(None),
        ("const", value) => choice(std::slice::from_ref(value)).map(Some),
        ("enum", Value::Array(values)) => choice(values).map(Some),
        ("pattern", Value::String(pattern)) => Ok(Some(format!("/{}/", whole(pattern)))),
        ("format", Value::String(format)) => {
            Ok(formats::regex(format)?.map(|regex| format!("/{}/", slashed(&regex))))
        }
        ("type" | "enum" | "pattern" | "format", _) => {
            Err(format!("{keyword} cannot be {}", shown(value)))
        }
        _ if is_annotation(keyword) => Ok(None),
        _ => Err(format!("{keyword} is not supported for strings that are written as plain text")),
    }
}

/// Strings of a list; what is none is none of the texts.
fn choice(values: &[Value]) -> Result<String, String> {
    let texts: Vec<String> = values.iter().filter_map(Value::as_str).map(escaped).collect();
    if texts.is_empty() {
        return Err(format!("there is no string among {}", shown(&Value::from(values.to_vec()))));
    }
    Ok(format!("/(?:{})/", texts.join("|")))
}

fn length(object: &Map<String, Value>) -> Result<Option<String>, String> {
    let bound = |keyword: &str| match object.get(keyword) {
        None => Ok(None),
        Some(value) => value
            .as_u64()
            .filter(|bound| *bound <= u64::from(u32::MAX))
            .map(Some)
            .ok_or_else(|| format!("{keyword} cannot be {}", shown(value))),
    };
    let (least, most) = (bound("minLength")?, bound("maxLength")?);
    Ok(match (least, most) {
        (None, None) => None,
        (least, most) => {
            let most = most.map(|most| most.to_string()).unwrap_or_default();
            Some(format!("/(?s:.{{{},{most}}})/", least.unwrap_or(0)))
        }
    })
}

/// A regular expression for all of a text in which `pattern` is found. Anchors may stand at the ends of
/// its choices.
fn whole(pattern: &str) -> String {
    let choices = choices(pattern).into_iter().map(|choice| {
        let start = choice.strip_prefix('^');
        let inner = start.unwrap_or(choice);
        let end = inner.strip_suffix('$').filter(|rest| {
            let escapes = rest.len() - rest.trim_end_matches('\\').len();
            escapes % 2 == 0
        });
        let (before, after) = (start.map_or("(?s:.*)", |_| ""), end.map_or("(?s:.*)", |_| ""));
        format!("{before}(?:{}){after}", slashed(end.unwrap_or(inner)))
    });
    let choices: Vec<String> = choices.collect();
    choices.join("|")
}

/// The parts between bars that stand in no group.
fn choices(pattern: &str) -> Vec<&str> {
    let (mut depth, mut class, mut escaped, mut start) = (0usize, false, false, 0);
    let mut choices = Vec::new();
    for (place, c) in pattern.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ']' => class = false,
            _ if class => {}
            '[' => class = true,
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => {
                choices.push(&pattern[start..place]);
                start = place + 1;
            }
            _ => {}
        }
    }
    choices.push(&pattern[start..]);
    choices
}

/// A regular expression so that it can stand between slashes.
fn slashed(regex: &str) -> String {
    let mut text = String::with_capacity(regex.len());
    let mut chars = regex.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('/') => text.push_str("\\x2f"),
                Some(next) => text.extend(['\\', next]),
                None => text.push('\\'),
            },
            '/' => text.push_str("\\x2f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            c => text.push(c),
        }
    }
    text
}

/// A regular expression that is this text.
fn escaped(text: &str) -> String {
    let mut regex = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || !c.is_ascii() {
            regex.push(c);
        } else {
            // Writing to a string does not fail.
            let _ = write!(regex, "\\x{:02x}", u32::from(c));
        }
    }
    regex
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patterns_are_found_in_a_text_unless_they_are_anchored() {
        assert_eq!(whole("^a/b$"), "(?:a\\x2fb)");
        assert_eq!(whole("a"), "(?s:.*)(?:a)(?s:.*)");
        assert_eq!(whole(r"^(a|b)|[|]c\$"), r"(?:(a|b))(?s:.*)|(?s:.*)(?:[|]c\$)(?s:.*)");
    }

    #[test]
    fn what_a_schema_says_is_said_or_refused() {
        let schema =
            json!({"type": "string", "maxLength": 3, "title": "t", "enum": ["a", 1, "b/"]});
        assert_eq!(
            text(&schema, "</p>"),
            Ok("/(?s:.*)/ & /(?:a|b\\x2f)/ & /(?s:.{0,3})/ & ~/(?s:.*)\\x3c\\x2fp\\x3e(?s:.*)/"
                .into())
        );
        for (keyword, value) in [("not", json!({})), ("anyOf", json!([])), ("$ref", json!("#"))] {
            let message = text(&json!({keyword: value}), "").expect_err("not supported");
            assert!(message.starts_with(keyword), "{message}");
        }
        assert_eq!(text(&json!({"maxLength": -1}), ""), Err("maxLength cannot be -1".into()));
    }
}
