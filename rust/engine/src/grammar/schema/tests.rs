use serde_json::{Map, json};

use super::*;

fn refused(schema: Value) -> String {
    prepared(schema).expect_err("it cannot be expressed")
}

#[test]
fn what_is_not_supported_is_named_with_its_place() {
    let within = |part: Value| json!({"type": "object", "properties": {"a/b": {"items": part}}});
    for keyword in ["not", "if", "contains", "propertyNames", "unevaluatedProperties"] {
        assert_eq!(
            refused(within(json!({keyword: {}}))),
            format!("at /properties/a~1b/items: {keyword} is not supported")
        );
    }
    assert_eq!(
        refused(json!({"uniqueItems": true})),
        "at the schema's root: uniqueItems is not supported"
    );
    assert!(prepared(json!({"uniqueItems": false, "deprecated": true})).is_ok());
    assert_eq!(
        refused(within(json!({"type": "string", "format": "zip"}))),
        "at /properties/a~1b/items: the format \"zip\" is not supported"
    );
    assert_eq!(refused(json!({"properties": []})), "at the schema's root: properties cannot be []");
    assert_eq!(
        refused(json!({"anyOf": [{}, 3]})),
        "at /anyOf/1: a schema is an object or a boolean, not 3"
    );
}

#[test]
fn only_what_is_reached_counts() {
    let defs = json!({"used": {"not": {}}, "unused": {"not": {}}});
    assert!(prepared(json!({"$defs": defs, "type": "null"})).is_ok());
    assert_eq!(
        refused(json!({"$defs": defs, "items": {"$ref": "#/$defs/used"}})),
        "at /$defs/used: not is not supported"
    );
}

#[test]
fn references_stay_within_the_schema() {
    assert_eq!(
        refused(json!({"items": {"$ref": "https://example.com/a.json"}})),
        "at /items: $ref is \"https://example.com/a.json\"; only references within the schema, \
         `#...`, are followed"
    );
    assert_eq!(
        refused(json!({"$ref": "#/$defs/gone"})),
        "at the schema's root: $ref is \"#/$defs/gone\", which is no place in the schema"
    );
    let spelled = json!({
        "$id": "https://example.com/s",
        "$defs": {"a b/c": {"type": "null"}, "x": {"$anchor": "here", "not": {}}},
        "items": {"$ref": "https://example.com/s#/$defs/a%20b~1c"},
    });
    assert!(prepared(spelled.clone()).is_ok());
    let mut anchored = spelled;
    anchored["items"]["$ref"] = json!("#here");
    assert_eq!(refused(anchored), "at /$defs/x: not is not supported");
}

#[test]
fn objects_that_list_their_properties_are_closed_where_nothing_else_has_a_say() {
    let closed = |schema: Value, place: &str| {
        let prepared = prepared(schema).expect("it is fine");
        prepared.pointer(place).and_then(|part| part.get("additionalProperties")).is_some()
    };
    let object = json!({"properties": {"a": {"properties": {"b": {}}}}});
    assert!(closed(object.clone(), "") && closed(object.clone(), "/properties/a"));
    assert!(closed(json!({"anyOf": [object]}), "/anyOf/0"));
    assert!(!closed(json!({"required": ["x"], "properties": {"a": {}}}), ""));
    let both = json!({"allOf": [object, {"properties": {"c": {}}}]});
    assert!(!closed(both.clone(), "/allOf/0") && !closed(both, "/allOf/0/properties/a"));
    let shared = json!({
        "$defs": {"base": object},
        "items": {"$ref": "#/$defs/base"},
        "properties": {"more": {"$ref": "#/$defs/base", "properties": {"d": {}}}},
    });
    assert!(!closed(shared, "/$defs/base"));
}

#[test]
fn options_of_one_of_must_exclude_each_other() {
    let tagged = |kind: &str| {
        json!({
            "type": "object", "properties": {"kind": {"const": kind}}, "required": ["kind"]
        })
    };
    let schema = json!({
        "$defs": {"cat": tagged("cat"), "dog": tagged("dog")},
        "oneOf": [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/dog"}, {"type": "string"}],
    });
    let prepared = prepared(schema).expect("they exclude each other");
    assert_eq!(prepared["anyOf"].as_array().map(Vec::len), Some(3));
    assert!(prepared.get("oneOf").is_none());
    let both = |a: Value, b: Value| refused(json!({"items": {"oneOf": [a, b]}}));
    for (a, b) in [
        (json!({"type": "integer"}), json!({"type": "number"})),
        (json!({"const": 1}), json!({"enum": [1.0, 2]})),
        (json!({"type": "string", "minLength": 2}), json!({"type": "string", "maxLength": 3})),
        // What is made for the first has no `b`, but what is made for the second has an `a`.
        (
            json!({"type": "object", "properties": {"a": {}}}),
            json!({"type": "object", "properties": {"a": {}, "b": {}}, "required": ["b"]}),
        ),
        // Nothing says that they are objects.
        (json!({"required": ["a"]}), json!({"required": ["b"]})),
    ] {
        assert_eq!(
            both(a, b),
            "at /items: options 0 and 1 of oneOf may both be valid, which is not supported; \
             anyOf allows that"
        );
    }
}

#[test]
fn references_that_lead_to_themselves_are_refused() {
    let circle = json!({"a": {"$ref": "#/$defs/b"}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}});
    for schema in [
        json!({"$ref": "#"}),
        json!({"allOf": [{"$ref": "#"}]}),
        json!({"items": {"$ref": "#/$defs/a"}, "$defs": circle}),
    ] {
        assert!(refused(schema).ends_with("it refers to itself, so that nothing is said"));
    }
    assert!(prepared(json!({"items": {"$ref": "#"}})).is_ok());
    let chain: Vec<Value> = (1..200).map(|n| json!({"$ref": format!("#/$defs/{n}")})).collect();
    assert!(refused(json!({"$defs": chain, "$ref": "#/$defs/0"})).contains("no place"));
}

#[test]
fn sizes_are_bounded() {
    let names = |n: usize| (0..n).map(|n| (n.to_string(), json!({}))).collect::<Map<_, _>>();
    assert_eq!(
        refused(json!({"items": {"properties": names(1001)}})),
        "at /items: properties has 1001 entries; at most 1000 are supported"
    );
    let options: Vec<Value> = (0..300).map(|n| json!({"const": n})).collect();
    assert!(refused(json!({"oneOf": options})).contains("oneOf has 300 entries; at most 256"));
    let parts: Vec<Value> = (0..10_001).map(|_| json!({})).collect();
    assert!(refused(json!({"anyOf": parts})).contains("more than 10000 parts"));
}

#[test]
fn minima_of_properties_count_different_keys() {
    let least = |n: u64| json!({"required": ["a"], "minProperties": n});
    assert!(prepared(least(2)).is_ok());
    assert_eq!(
        refused(least(3)),
        "at the schema's root: minProperties is 3, but is supported up to one more than the 1 \
         required"
    );
}

#[test]
fn the_smallest_part_that_is_refused_is_found() {
    let schema = json!({
        "$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}, "x": {"enum": [1]}}}},
        "properties": {"first": {"type": "null"}, "tree": {"$ref": "#/$defs/node"}},
    });
    let refuses = |place: &'static str| {
        move |part: &Value| {
            let reference = part["$ref"].as_str().expect("a part is a reference");
            let tree = ["#/$defs/whole/properties/tree", "#/$defs/whole/$defs/node"];
            tree.contains(&reference) || reference.ends_with(place)
        }
    };
    assert_eq!(locate(&schema, refuses("/first")), "/properties/first");
    assert_eq!(locate(&schema, refuses("/x")), "/$defs/node/properties/x");
    assert_eq!(locate(&schema, refuses("nowhere")), "/$defs/node");
}
