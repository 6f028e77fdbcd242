//! Which keywords there are, and what is in them.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::pointer::Pointer;
use super::shown;

/// Keywords that say something of a document which a grammar cannot, or llguidance does not.
const UNSUPPORTED: [&str; 16] = [
    "$dynamicRef",
    "$recursiveRef",
    "contains",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "maxContains",
    "minContains",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
];

/// Keywords that hold schemas.
const ONE: [&str; 3] = ["items", "additionalItems", "additionalProperties"];
const LISTS: [&str; 5] = ["allOf", "anyOf", "oneOf", "prefixItems", "items"];
const MAPS: [&str; 2] = ["properties", "patternProperties"];

/// Keywords that say nothing of a document.
const ANNOTATIONS: [&str; 19] = [
    "$anchor",
    "$comment",
    "$defs",
    "$dynamicAnchor",
    "$id",
    "$recursiveAnchor",
    "$schema",
    "$vocabulary",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "default",
    "definitions",
    "deprecated",
    "description",
    "examples",
    "readOnly",
    "title",
    "writeOnly",
];

/// Whether a keyword says nothing of a document.
pub(super) fn is_annotation(keyword: &str) -> bool {
    ANNOTATIONS.contains(&keyword)
}

/// Those that combine schemas.
const COMBINERS: [&str; 4] = ["allOf", "anyOf", "oneOf", "$ref"];

/// A part of the schema that counts: it is reached from the root.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Visit {
    pub place: Pointer,
    /// Whether a document must be valid by this part and by another one beside it.
    pub merged: bool,
}

/// Checks all parts that count and lists them. The error names the place.
pub(super) fn check(schema: &Value) -> Result<Vec<Visit>, String> {
    let mut visits = Vec::new();
    let mut seen = HashSet::new();
    let mut next = vec![Visit { place: Pointer::root(), merged: false }];
    while let Some(visit) = next.pop() {
        if !seen.insert(visit.clone()) {
            continue;
        }
        let part = visit.place.get(schema).unwrap_or(&Value::Null);
        check_part(part).map_err(|message| at(&visit.place, &message))?;
        if let Value::Object(object) = part {
            let merged = visit.merged || is_merged(object);
            let mut inner = parts(part, &visit.place);
            if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
                let found = Pointer::of_reference(reference, schema);
                inner.push(found.map_err(|message| at(&visit.place, &message))?);
            }
            next.extend(inner.into_iter().rev().map(|place| Visit { place, merged }));
        }
        visits.push(visit);
    }
    Ok(visits)
}

/// A message with the place that it is about.
pub(super) fn at(place: &Pointer, message: &str) -> String {
    format!("at {place}: {message}")
}

/// The places of the schemas within a schema.
pub(super) fn parts(part: &Value, place: &Pointer) -> Vec<Pointer> {
    let mut found = Vec::new();
    for (keyword, value) in part.as_object().into_iter().flatten() {
        let inside = place.child(keyword);
        let keyword = keyword.as_str();
        match value {
            Value::Object(schemas) if MAPS.contains(&keyword) => {
                found.extend(schemas.keys().map(|name| inside.child(name)));
            }
            Value::Array(schemas) if LISTS.contains(&keyword) => {
                found.extend((0..schemas.len()).map(|n| inside.child(&n.to_string())));
            }
            Value::Object(_) | Value::Bool(_) if ONE.contains(&keyword) => found.push(inside),
            _ => {}
        }
    }
    found
}

/// Leaves out what says nothing and what llguidance does not know.
pub(super) fn simplify(part: &mut Value) {
    if let Value::Object(object) = part {
        let kept = ["$anchor", "$defs", "$id", "$schema", "definitions"];
        object.retain(|keyword, _| {
            kept.contains(&keyword.as_str())
                || !ANNOTATIONS.contains(&keyword.as_str()) && keyword != "uniqueItems"
        });
    }
}

fn check_part(part: &Value) -> Result<(), String> {
    let object = match part {
        Value::Object(object) => object,
        Value::Bool(_) => return Ok(()),
        other => {
            return Err(format!("a schema is an object or a boolean, not {}", shown(other)));
        }
    };
    for (keyword, value) in object {
        let keyword = keyword.as_str();
        if UNSUPPORTED.contains(&keyword)
            && (keyword, value) != ("uniqueItems", &Value::Bool(false))
        {
            return Err(format!("{keyword} is not supported"));
        }
        let fits = match value {
            Value::Object(_) => !LISTS.contains(&keyword) || ONE.contains(&keyword),
            Value::Array(_) => {
                !MAPS.contains(&keyword) && (!ONE.contains(&keyword) || LISTS.contains(&keyword))
            }
            Value::Bool(_) => {
                !MAPS.contains(&keyword) && (!LISTS.contains(&keyword) || ONE.contains(&keyword))
            }
            _ => ![&ONE[..], &LISTS, &MAPS].concat().contains(&keyword),
        };
        if !fits {
            return Err(format!("{keyword} cannot be {}", shown(value)));
        }
    }
    check_min_properties(object)
}

/// Keys that a grammar does not know beforehand may be equal, and then they count once.
fn check_min_properties(object: &Map<String, Value>) -> Result<(), String> {
    let least = object.get("minProperties").and_then(Value::as_u64).unwrap_or(0);
    let required = object.get("required").and_then(Value::as_array).map_or(0, Vec::len) as u64;
    let closed = object.get("additionalProperties") == Some(&Value::Bool(false))
        && !object.contains_key("patternProperties");
    if least > required + 1 && !closed {
        return Err(format!(
            "minProperties is {least}, but is supported up to one more than the {required} required"
        ));
    }
    Ok(())
}

/// Whether documents must be valid by more than one part of this schema.
fn is_merged(object: &Map<String, Value>) -> bool {
    let counting =
        |keyword: &&String| !ANNOTATIONS.contains(&keyword.as_str()) && keyword.as_str() != "type";
    let combines = object.keys().any(|keyword| COMBINERS.contains(&keyword.as_str()));
    let several = object.get("allOf").and_then(Value::as_array).is_some_and(|all| all.len() > 1);
    combines && (several || object.keys().filter(counting).count() > 1)
}
