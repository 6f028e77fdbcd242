"""Documents by the schemas of tests/schemas, checked with the package jsonschema.

    python benches/schemas.py [--model demo] [--documents 1000] [--temperature 1.5] [NAME ...]

A document that `max_tokens` cut off does not count; as many more are made. One that is not valid is
printed with its seed, and the program then fails.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema

from farthing import Completion, Model

SCHEMAS = Path(__file__).parents[1] / "tests" / "schemas"
TOGETHER = 50
"""Documents asked for at a time."""
MOST_CUT = 3
"""As many times the documents wanted may be cut off."""


def answers(model: Model, schema: Any, options: dict[str, Any]) -> Iterator[tuple[int, Completion]]:
    """Answers with their seeds, for ever."""
    seed = 0
    while True:
        first = model.generate("JSON:", n=TOGETHER, seed=seed, json_schema=schema, **options)
        yield from enumerate((first, *first.others), start=seed)
        seed += TOGETHER


def problem(validator: Any, text: str) -> str | None:
    """What is wrong with a document, if anything."""
    try:
        document = json.loads(text)
    except ValueError as error:
        return f"no JSON: {error}"
    error = jsonschema.exceptions.best_match(validator.iter_errors(document))
    return None if error is None else error.message


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="of schemas; all by default")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--temperature", type=float, default=1.5)
    parser.add_argument("--max-tokens", type=int, default=600)
    asked = parser.parse_args()
    names = asked.names or sorted(path.stem for path in SCHEMAS.glob("*.json"))
    # No sampler that leaves out what is improbable.
    wild = {"top_k": 0, "top_p": 1.0, "min_p": 0.0}
    options = {"temperature": asked.temperature, "max_tokens": asked.max_tokens, **wild}
    n_valid = n_invalid = n_cut = 0
    with Model(asked.model, n_ctx=asked.max_tokens + 64, max_sequences=16) as model:
        for name in names:
            schema = json.loads((SCHEMAS / f"{name}.json").read_text())
            kind = jsonschema.validators.validator_for(schema)
            validator = kind(schema, format_checker=kind.FORMAT_CHECKER)
            valid, cut, tokens, distinct = 0, 0, 0, set()
            start = time.perf_counter()
            for seed, answer in answers(model, schema, options):
                if valid >= asked.documents or cut > MOST_CUT * asked.documents:
                    break
                tokens += answer.usage.completion_tokens
                if answer.finish_reason != "stop":
                    cut += 1
                elif (wrong := problem(validator, answer.text)) is not None:
                    n_invalid += 1
                    print(f"{name}, seed {seed}: {wrong}\n  {answer.text}")
                    break
                else:
                    valid += 1
                    distinct.add(answer.text)
            seconds = time.perf_counter() - start
            print(
                f"{name:20} {valid:5} valid, {len(distinct):5} distinct, {cut:4} cut off,"
                f" {tokens / (valid + cut or 1):4.0f} tokens each, {seconds:5.1f} s",
                flush=True,
            )
            n_valid, n_cut = n_valid + valid, n_cut + cut
    print(f"{len(names)} schemas: {n_valid} valid, {n_invalid} invalid, {n_cut} cut off")
    sys.exit(n_invalid > 0 or n_valid < asked.documents * len(names))


if __name__ == "__main__":
    main()
