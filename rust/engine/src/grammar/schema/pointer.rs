//! Places in a schema: JSON pointers (RFC 6901).

use std::fmt;

use serde_json::{Value, json};

/// A place; the root is the empty text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pointer(String);

impl Pointer {
    pub fn root() -> Pointer {
        Pointer(String::new())
    }

    /// The place of a `$ref`, which must be within the schema.
    pub fn of_reference(reference: &str, schema: &Value) -> Result<Pointer, String> {
        let id = schema.get("$id").and_then(Value::as_str).unwrap_or_default();
        let local = reference.strip_prefix(id).unwrap_or(reference);
        let Some(fragment) = local.strip_prefix('#') else {
            return Err(format!(
                "$ref is {reference:?}; only references within the schema, `#...`, are followed"
            ));
        };
        let fragment = percent_decoded(fragment);
        let place = match fragment.is_empty() || fragment.starts_with('/') {
            true => Some(Pointer(fragment)),
            false => anchored(schema, &fragment, &Pointer::root()),
        };
        place
            .filter(|place| place.get(schema).is_some())
            .ok_or_else(|| format!("$ref is {reference:?}, which is no place in the schema"))
    }

    /// A place within this one.
    pub fn child(&self, name: &str) -> Pointer {
        Pointer(format!("{}/{}", self.0, name.replace('~', "~0").replace('/', "~1")))
    }

    pub fn get<'a>(&self, schema: &'a Value) -> Option<&'a Value> {
        schema.pointer(&self.0)
    }

    pub fn get_mut<'a>(&self, schema: &'a mut Value) -> Option<&'a mut Value> {
        schema.pointer_mut(&self.0)
    }

    /// A schema that is only the part at this place, its references still leading to the whole.
    pub fn as_root(&self, schema: &Value) -> Option<Value> {
        const WHOLE: &str = "#/$defs/whole";
        self.get(schema)?;
        let mut whole = schema.clone();
        move_references(&mut whole, WHOLE);
        Some(json!({"$defs": {"whole": whole}, "$ref": format!("{WHOLE}{}", self.0)}))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return formatter.write_str("the schema's root");
        }
        formatter.write_str(&self.0)
    }
}

fn move_references(value: &mut Value, to: &str) {
    match value {
        Value::Object(object) => {
            object.remove("$id");
            for (key, inner) in object {
                match inner {
                    Value::String(reference) if key == "$ref" => {
                        let local = reference.find('#').map_or("", |place| &reference[place + 1..]);
                        *reference = format!("{to}{local}");
                    }
                    inner => move_references(inner, to),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| move_references(item, to)),
        _ => {}
    }
}

/// The place with this `$anchor`.
fn anchored(value: &Value, anchor: &str, place: &Pointer) -> Option<Pointer> {
    match value {
        Value::Object(object) => {
            if object.get("$anchor").and_then(Value::as_str) == Some(anchor) {
                return Some(place.clone());
            }
            object.iter().find_map(|(key, inner)| anchored(inner, anchor, &place.child(key)))
        }
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(n, item)| anchored(item, anchor, &place.child(&n.to_string())))
        }
        _ => None,
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        let code = others.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match code.filter(|_| *first == b'%').and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &others[2..];
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
