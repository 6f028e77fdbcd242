"""Documents by JSON schemas are valid by them, as the package jsonschema says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from farthing import Model, RequestError

SCHEMAS = sorted((Path(__file__).parents[1] / "schemas").glob("*.json"))
WILD = {"temperature": 2.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "max_tokens": 600}

ENFORCED: dict[str, dict[str, Any]] = {
    "$anchor": {"$ref": "#here", "$defs": {"a": {"$anchor": "here", "type": "boolean"}}},
    "$defs": {"$ref": "#/$defs/a", "$defs": {"a": {"const": "a"}}},
    "$id": {"$id": "https://example.com/a", "$ref": "https://example.com/a#/$defs/a"}
    | {"$defs": {"a": {"type": "null"}}},
    "$ref": {"type": "array", "items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"type": "null"}}},
    "additionalItems": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "array",
        "items": [{"type": "null"}],
        "additionalItems": False,
    },
    "additionalProperties": {
        "type": "object",
        "additionalProperties": {"type": "boolean"},
        "maxProperties": 2,
    },
    "allOf": {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 5}]},
    "anyOf": {"anyOf": [{"const": 1}, {"const": "a"}]},
    "const": {"const": {"a": [1, None]}},
    "definitions": {"$ref": "#/definitions/a", "definitions": {"a": {"const": 2}}},
    "enum": {"enum": ["a", 1, None, [True], {"b": 2}]},
    "exclusiveMaximum": {"type": "number", "minimum": 0, "exclusiveMaximum": 0.3},
    "exclusiveMinimum": {"type": "integer", "exclusiveMinimum": 7, "maximum": 9},
    "format": {"type": "string", "format": "date"},
    "items": {"type": "array", "items": {"enum": [1, 2]}, "maxItems": 3},
    "maxItems": {"type": "array", "items": {"type": "null"}, "maxItems": 1},
    "maxLength": {"type": "string", "maxLength": 2},
    "maxProperties": {
        "type": "object",
        "additionalProperties": {"type": "null"},
        "maxProperties": 1,
    },
    "maximum": {"type": "number", "minimum": -0.5, "maximum": 0.25},
    "minItems": {"type": "array", "items": {"type": "null"}, "minItems": 2, "maxItems": 3},
    "minLength": {"type": "string", "minLength": 5, "maxLength": 7},
    "minProperties": {"type": "object", "additionalProperties": {"type": "null"}}
    | {"minProperties": 1, "maxProperties": 2},
    "minimum": {"type": "integer", "minimum": -3, "maximum": 100},
    "multipleOf": {"type": "integer", "multipleOf": 6, "minimum": 0, "maximum": 500},
    "oneOf": {"oneOf": [{"type": "string", "maxLength": 3}, {"type": "boolean"}]},
    "pattern": {"type": "string", "pattern": "^a.c|x$", "maxLength": 9},
    "patternProperties": {
        "type": "object",
        "patternProperties": {"^a+$": {"type": "integer", "maximum": 5, "minimum": 0}},
        "additionalProperties": False,
        "maxProperties": 2,
    },
    "prefixItems": {
        "type": "array",
        "prefixItems": [{"type": "null"}, {"type": "boolean"}],
        "items": False,
    },
    "properties": {"type": "object", "properties": {"a": {"type": "null"}}},
    "required": {
        "type": "object",
        "properties": {"a": {"type": "null"}, "b": {"const": 1}},
        "required": ["b"],
    },
    "type": {"type": ["boolean", "null"]},
}
"""Schemas for which free JSON would hardly be valid."""

REFUSED: dict[str, Any] = {
    "$dynamicRef": "#a",
    "$recursiveRef": "#",
    "contains": {},
    "dependencies": {"a": ["b"]},
    "dependentRequired": {"a": ["b"]},
    "dependentSchemas": {"a": {}},
    "disallow": "string",
    "divisibleBy": 2,
    "else": {},
    "extends": {},
    "if": {},
    "maxContains": 1,
    "minContains": 1,
    "not": {},
    "propertyNames": {},
    "then": {},
    "unevaluatedItems": False,
    "unevaluatedProperties": False,
    "uniqueItems": True,
}

ANNOTATIONS: dict[str, Any] = {
    "$comment": "a",
    "$dynamicAnchor": "a",
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$vocabulary": {},
    "contentEncoding": "base64",
    "contentMediaType": "text/plain",
    "contentSchema": {},
    "default": 1,
    "deprecated": True,
    "description": "a",
    "examples": [1],
    "readOnly": True,
    "title": "a",
    "writeOnly": True,
}
"""Keywords that say nothing of a document."""

FORMATS = (
    *("byte", "date", "date-time", "duration", "email", "hostname", "idn-email", "idn-hostname"),
    *("ipv4", "ipv6", "iri", "iri-reference", "json-pointer", "time", "uri", "uri-reference"),
    *("uri-template", "url", "uuid"),
)


@pytest.fixture(scope="module")
def demo() -> Iterator[Model]:
    with Model("demo", n_ctx=700) as model:
        yield model


def check(model: Model, schema: dict[str, Any], n: int) -> int:
    """The number of documents that were made to their end, which are all valid."""
    kind = jsonschema.validators.validator_for(schema)
    validator = kind(schema, format_checker=kind.FORMAT_CHECKER)
    first = model.generate("JSON:", n=n, seed=1, json_schema=schema, **WILD)
    whole = [a for a in (first, *first.others) if a.finish_reason == "stop"]
    for answer in whole:
        validator.validate(json.loads(answer.text))
    return len(whole)


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.stem)
def test_documents_of_real_schemas_are_valid(demo: Model, path: Path) -> None:
    assert check(demo, json.loads(path.read_text()), 5) >= 3


@pytest.mark.parametrize("name", FORMATS)
def test_texts_of_formats_are_valid(demo: Model, name: str) -> None:
    assert check(demo, {"type": "string", "format": name, "maxLength": 60}, 5) == 5


@pytest.mark.parametrize("keyword", ENFORCED)
def test_keywords_are_enforced(demo: Model, keyword: str) -> None:
    assert keyword in json.dumps(ENFORCED[keyword])
    assert check(demo, ENFORCED[keyword], 10) >= 8


@pytest.mark.parametrize("keyword", REFUSED)
def test_keywords_are_refused(demo: Model, keyword: str) -> None:
    with pytest.raises(RequestError, match=re.escape(f"at /items: {keyword} is not supported")):
        demo.generate("JSON:", json_schema={"items": {keyword: REFUSED[keyword]}})


@pytest.mark.parametrize("keyword", ANNOTATIONS)
def test_annotations_change_nothing(demo: Model, keyword: str) -> None:
    assert check(demo, {keyword: ANNOTATIONS[keyword], "type": "boolean"}, 1) == 1
