//! JSON schemas, checked and put into the form that llguidance takes.
//!
//! Every document that a prepared schema allows is valid by the caller's; what cannot be said that
//! way is an error that names the keyword and its place. Objects that list `properties` and say
//! nothing of others get no others, as in llama.cpp.

mod closing;
mod disjoint;
mod formats;
mod keywords;
mod pointer;
mod text;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use pointer::Pointer;
pub(super) use text::text;

/// White space between JSON's parts; without a bound, models can go on with it for ever.
const SPACE: &str = r"[ ]|\n[ \t]{0,20}";

/// JSON's escapes but `\u`, with which a key could be written so that it is another one's equal.
const ESCAPES: &str = "nrbtf\\\"";

/// Checks a schema and prepares it; the error says what is wrong and where.
pub(super) fn prepared(schema: Value) -> Result<Value, String> {
    let original = match schema {
        Value::Object(_) => schema,
        Value::Bool(true) => json!({}),
        Value::Bool(false) => return Err("it is `false`, which allows nothing".into()),
        other => return Err(format!("a schema is an object or a boolean, not {}", shown(&other))),
    };
    let mut schema = original.clone();
    let visits = keywords::check(&original)?;
    keywords::check_circles(&original, &visits)?;
    for visit in &visits {
        if let Some(part) = visit.place.get_mut(&mut schema) {
            keywords::simplify(part);
            formats::replace(part, &visit.place)?;
        }
    }
    closing::close(&mut schema, &visits);
    disjoint::replace_one_of(&mut schema, &original, &visits)?;
    Ok(schema)
}

/// The schema with the options for llguidance, which stand in it.
pub(super) fn with_options(mut schema: Value) -> Value {
    if let Some(object) = schema.as_object_mut() {
        let options = json!({"whitespace_pattern": SPACE, "json_allowed_escapes": ESCAPES});
        object.insert("x-guidance".into(), options);
    }
    schema
}

/// For so long the reason of an error is looked for, if one look does not take longer.
const SEARCH: Duration = Duration::from_millis(500);

/// Where in a prepared schema, which is refused, the reason is: the smallest part that is, as far as it
/// is found in time.
pub(super) fn locate(schema: &Value, refuses: impl Fn(&Value) -> bool) -> String {
    let start = Instant::now();
    let refused = |place: &Pointer| {
        let skipped = place.get(schema) == Some(&Value::Bool(false)) || start.elapsed() > SEARCH;
        !skipped && place.as_root(schema).is_some_and(|part| refuses(&part))
    };
    let mut path = vec![Pointer::root()];
    while let Some(place) = path.last() {
        let part = place.get(schema).unwrap_or(&Value::Null);
        let reference = part.get("$ref").and_then(Value::as_str);
        let target = reference.and_then(|text| Pointer::of_reference(text, schema).ok());
        let mut inner = keywords::parts(part, place).into_iter().chain(target);
        match inner.find(|place| !path.contains(place) && refused(place)) {
            Some(place) => path.push(place),
            None => return place.to_string(),
        }
    }
    String::new()
}

/// The beginning of a value's text.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests;
