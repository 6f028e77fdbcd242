//! Objects that list their properties get no others.

use serde_json::{Map, Value};

use super::keywords::Visit;

/// Keywords by which an object says that there may be others, or that other schemas have a say.
const OPENING: [&str; 8] = [
    "additionalProperties",
    "patternProperties",
    "minProperties",
    "maxProperties",
    "allOf",
    "anyOf",
    "oneOf",
    "$ref",
];

/// Closes the objects of a schema that say nothing of other properties. One that must be valid by
/// several schemas stays open, as each may list a part of its properties.
pub(super) fn close(schema: &mut Value, visits: &[Visit]) {
    for visit in visits {
        let merged = visits.iter().any(|other| other.merged && other.place == visit.place);
        if let Some(Value::Object(object)) = visit.place.get_mut(schema)
            && !merged
            && closes(object)
        {
            object.insert("additionalProperties".into(), Value::Bool(false));
        }
    }
}

fn closes(object: &Map<String, Value>) -> bool {
    let Some(Value::Object(properties)) = object.get("properties") else { return false };
    let required = object.get("required").and_then(Value::as_array);
    let listed = |name: &Value| name.as_str().is_some_and(|name| properties.contains_key(name));
    !OPENING.iter().any(|keyword| object.contains_key(*keyword))
        && required.is_none_or(|names| names.iter().all(listed))
}
