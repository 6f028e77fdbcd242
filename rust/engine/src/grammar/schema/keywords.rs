//! Which keywords there are, and what is in them.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::pointer::Pointer;
use super::shown;

/// Keywords that say something of a document which a grammar cannot, or llguidance does not.
const UNSUPPORTED: [&str; 19] = [
    "$dynamicRef",
    "$recursiveRef",
    "contains",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "disallow",
    "divisibleBy",
    "else",
    "extends",
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

/// Properties of an object: compiling 1000 takes a second or so.
const MOST_PROPERTIES: usize = 1000;
/// Options of which each is compared with each other.
const MOST_OPTIONS: usize = 256;
/// Schemas within a schema.
const MOST_PARTS: usize = 10_000;
/// References that follow each other without a value between.
const DEEPEST: usize = 100;

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
        check_size(part, visits.len()).map_err(|message| at(&visit.place, &message))?;
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

/// Bounds the time for compiling, which grows with the squares of these.
fn check_size(part: &Value, n_parts: usize) -> Result<(), String> {
    let count = |keyword: &str| match part.get(keyword) {
        Some(Value::Object(inner)) => inner.len(),
        Some(Value::Array(inner)) => inner.len(),
        _ => 0,
    };
    for (keyword, most) in [("properties", MOST_PROPERTIES), ("oneOf", MOST_OPTIONS)] {
        let n = count(keyword);
        if n > most {
            return Err(format!("{keyword} has {n} entries; at most {most} are supported"));
        }
    }
    if n_parts >= MOST_PARTS {
        return Err(format!("the schema has more than {MOST_PARTS} parts"));
    }
    Ok(())
}

/// Refuses references that lead to themselves without a value between: no document would be finite.
pub(super) fn check_circles(schema: &Value, visits: &[Visit]) -> Result<(), String> {
    let mut fine = HashSet::new();
    for visit in visits {
        let mut path = Vec::new();
        follow(schema, &visit.place, &mut path, &mut fine)?;
    }
    Ok(())
}

/// Follows what a document must be valid by too.
fn follow(
    schema: &Value,
    place: &Pointer,
    path: &mut Vec<Pointer>,
    fine: &mut HashSet<Pointer>,
) -> Result<(), String> {
    if fine.contains(place) {
        return Ok(());
    }
    if path.contains(place) {
        return Err(at(place, "it refers to itself, so that nothing is said"));
    }
    path.push(place.clone());
    let part = place.get(schema).unwrap_or(&Value::Null);
    let reference = part.get("$ref").and_then(Value::as_str);
    let target = reference.and_then(|text| Pointer::of_reference(text, schema).ok());
    let all = part.get("allOf").and_then(Value::as_array).map_or(0, Vec::len);
    let all = (0..all).map(|n| place.child("allOf").child(&n.to_string()));
    for next in all.chain(target) {
        if path.len() > DEEPEST {
            return Err(at(place, &format!("more than {DEEPEST} references follow each other")));
        }
        follow(schema, &next, path, fine)?;
    }
    path.pop();
    fine.insert(place.clone());
    Ok(())
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
