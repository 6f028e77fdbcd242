//! `oneOf` as `anyOf`, which is the same where no document is valid by two of the options.

use serde_json::{Map, Value};

use super::keywords::{Visit, at};
use super::pointer::Pointer;

/// References followed one after the other.
const DEEPEST: usize = 16;

/// Writes `oneOf` as `anyOf`. Error: two options that may both be valid, with the place. `original`
/// is the caller's schema, by which documents will be checked; those generated may be fewer.
pub(super) fn replace_one_of(
    schema: &mut Value,
    original: &Value,
    visits: &[Visit],
) -> Result<(), String> {
    for visit in visits {
        let generated = options(&visit.place, schema);
        let checked = options(&visit.place, original);
        for (a, made) in generated.iter().enumerate() {
            for (b, valid) in checked.iter().enumerate() {
                let pair = Pair { made: schema, valid: original };
                if a != b && !pair.is_disjoint(made, valid, 0) {
                    let (a, b) = (a.min(b), a.max(b));
                    let message = format!(
                        "options {a} and {b} of oneOf may both be valid, which is not supported; \
                         anyOf allows that"
                    );
                    return Err(at(&visit.place, &message));
                }
            }
        }
    }
    // From the inside out, so that the places stay right.
    for visit in visits.iter().rev() {
        if let Some(Value::Object(object)) = visit.place.get_mut(schema) {
            rename(object);
        }
    }
    Ok(())
}

fn options<'a>(place: &Pointer, schema: &'a Value) -> &'a [Value] {
    let options = place.get(schema).and_then(|part| part.get("oneOf")).and_then(Value::as_array);
    options.map_or(&[], Vec::as_slice)
}

fn rename(object: &mut Map<String, Value>) {
    if !object.contains_key("anyOf") {
        let entries = std::mem::take(object);
        object.extend(entries.into_iter().map(|(keyword, value)| match keyword.as_str() {
            "oneOf" => ("anyOf".into(), value),
            _ => (keyword, value),
        }));
    } else if let Some(options) = object.remove("oneOf") {
        let any = serde_json::json!({"anyOf": options});
        match object.get_mut("allOf") {
            Some(Value::Array(all)) => all.push(any),
            _ => drop(object.insert("allOf".into(), Value::Array(vec![any]))),
        }
    }
}

/// Two versions of a schema: by the first documents are made, by the second they must be valid.
struct Pair<'a> {
    made: &'a Value,
    valid: &'a Value,
}

impl Pair<'_> {
    /// Whether it is certain that no document made by `a` is valid by `b`.
    fn is_disjoint(&self, a: &Value, b: &Value, depth: usize) -> bool {
        if a == &Value::Bool(false) || b == &Value::Bool(false) {
            return true;
        }
        let (Value::Object(a), Value::Object(b)) = (a, b) else { return false };
        if depth > DEEPEST {
            return false;
        }
        let below = depth + 1;
        let follow_a = |part: &Value| self.is_disjoint(part, &Value::Object(b.clone()), below);
        let follow_b = |part: &Value| self.is_disjoint(&Value::Object(a.clone()), part, below);
        let combined = combined(a, self.made, &follow_a) || combined(b, self.valid, &follow_b);
        combined
            || kinds(a) & kinds(b) == 0
            || values_differ(a, b)
            || (kinds(a) & kinds(b) == OBJECT && self.properties_differ(a, b, below))
    }

    fn properties_differ(
        &self,
        a: &Map<String, Value>,
        b: &Map<String, Value>,
        depth: usize,
    ) -> bool {
        let names = required(a).into_iter().chain(required(b));
        names
            .into_iter()
            .any(|name| self.is_disjoint(&property(a, name), &property(b, name), depth))
    }
}

/// Whether what a schema refers to or combines decides.
fn combined(object: &Map<String, Value>, root: &Value, is_apart: &dyn Fn(&Value) -> bool) -> bool {
    let reference = object.get("$ref").and_then(Value::as_str);
    let target = reference.and_then(|reference| Pointer::of_reference(reference, root).ok());
    let list = |keyword| object.get(keyword).and_then(Value::as_array);
    target.and_then(|place| place.get(root)).is_some_and(is_apart)
        || list("allOf").is_some_and(|all| all.iter().any(is_apart))
        || ["anyOf", "oneOf"]
            .iter()
            .any(|keyword| list(*keyword).is_some_and(|options| options.iter().all(is_apart)))
}

const NUMBER: u8 = 8;
const OBJECT: u8 = 32;
/// Integers are numbers.
const KINDS: [(&str, u8); 7] = [
    ("null", 1),
    ("boolean", 2),
    ("integer", 4),
    ("number", NUMBER | 4),
    ("string", 16),
    ("object", OBJECT),
    ("array", 64),
];

/// The types that values may have, as bits.
fn kinds(object: &Map<String, Value>) -> u8 {
    let bit =
        |name: &Value| KINDS.iter().find(|(kind, _)| name == kind).map_or(u8::MAX, |(_, bit)| *bit);
    match object.get("type") {
        Some(Value::Array(names)) => names.iter().map(bit).fold(0, |all, bit| all | bit),
        Some(name) => bit(name),
        None => u8::MAX,
    }
}

/// The values that are possible, if they are listed.
fn values(object: &Map<String, Value>) -> Option<Vec<&Value>> {
    match (object.get("const"), object.get("enum")) {
        (Some(value), _) => Some(vec![value]),
        (None, Some(Value::Array(values))) => Some(values.iter().collect()),
        _ => None,
    }
}

fn values_differ(a: &Map<String, Value>, b: &Map<String, Value>) -> bool {
    let outside = |values: &[&Value], other: &Map<String, Value>| {
        values.iter().all(|value| kind(value) & kinds(other) == 0)
    };
    match (values(a), values(b)) {
        (Some(a), Some(b)) => !a.iter().any(|value| b.iter().any(|other| same(value, other))),
        (Some(values), None) => outside(&values, b),
        (None, Some(values)) => outside(&values, a),
        (None, None) => false,
    }
}

/// Equal, or numbers that may be.
fn same(a: &Value, b: &Value) -> bool {
    a == b || (a.is_number() && a.as_f64() == b.as_f64()) || a.is_object() || a.is_array()
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 1,
        Value::Bool(_) => 2,
        Value::Number(_) => NUMBER | 4,
        Value::String(_) => 16,
        Value::Object(_) => OBJECT,
        Value::Array(_) => 64,
    }
}

fn required(object: &Map<String, Value>) -> Vec<&str> {
    let names = object.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The schema of a property, as far as it is certain.
fn property(object: &Map<String, Value>, name: &str) -> Value {
    let listed = object.get("properties").and_then(|properties| properties.get(name));
    match (listed, object.get("additionalProperties")) {
        (Some(schema), _) => schema.clone(),
        (None, Some(schema)) if !object.contains_key("patternProperties") => schema.clone(),
        _ => Value::Bool(true),
    }
}
