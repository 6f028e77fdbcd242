"""`farthing show`: what a model file holds, or what the CPU offers."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farthing.cli import flags

if TYPE_CHECKING:
    from rich.console import Console

    from farthing._native import Gguf

_MANY = 8
"""Longer arrays are cut."""

_LONG = 200
"""Longer texts are cut, where people read them."""


def command(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help='A GGUF file, or "demo" for the built-in model.'),
    ] = None,
    cpu: Annotated[
        bool, typer.Option("--cpu", help="Show the instruction sets and threads in use, and why.")
    ] = False,
    tensors: Annotated[bool, typer.Option("--tensors", help="List every tensor.")] = False,
    ctx_size: flags.Context = None,
    kv_type: flags.KvType = "f16",
    as_json: flags.Json = False,
) -> None:
    """Show a model file: metadata, tensors, types and the memory needed; or the CPU."""
    from farthing import _native
    from farthing.api.locate import locate

    if name is None and not cpu:
        raise typer.BadParameter("MODEL or --cpu is needed")
    facts: dict[str, Any] = {}
    if cpu:
        facts["cpu"] = _native.cpu_info()
    if name is not None:
        path = locate(name)
        gguf = _native.Gguf(path)
        facts |= _facts(path, gguf, ctx_size, kv_type)
        facts["metadata"] = {key: _shown(value) for key, value in gguf.metadata.items()}
        if tensors:
            facts["tensors"] = gguf.tensors
    if as_json:
        print(json.dumps(facts, ensure_ascii=False, indent=2))
    else:
        _print(facts)


def _facts(path: Path, gguf: Gguf, n_ctx: int | None, kv_type: str) -> dict[str, Any]:
    from farthing.errors import ModelFileError, UnsupportedModelError

    tensors = gguf.tensors
    facts: dict[str, Any] = {
        "file": str(path),
        "parts": len(gguf.parts),
        "gguf_version": gguf.version,
        "architecture": gguf.metadata.get("general.architecture"),
        "n_parameters": sum(math.prod(tensor["shape"]) for tensor in tensors),
        "n_tensors": len(tensors),
        "types": dict(Counter(tensor["type"] for tensor in tensors).most_common()),
        "weights_bytes": sum(tensor["n_bytes"] for tensor in tensors),
    }
    try:
        facts["kv_bytes"] = gguf.kv_bytes(n_ctx, kv_type)
    except (ModelFileError, UnsupportedModelError) as error:
        facts["cannot_run"] = str(error)
        return facts
    facts["memory_bytes"] = facts["weights_bytes"] + facts["kv_bytes"]
    return facts


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list):
        first = [_shown(item) for item in value[:_MANY]]
        return {"length": len(value), "first": first} if len(value) > _MANY else first
    return value


def _print(facts: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    cpu = facts.pop("cpu", None)
    metadata = facts.pop("metadata", None)
    tensors = facts.pop("tensors", [])
    for title, rows in (("CPU", cpu), ("Model", facts), ("Metadata", metadata)):
        if rows:
            _section(console, title, ([key, _cell(key, value)] for key, value in rows.items()))
    if tensors:
        _section(
            console,
            "Tensors",
            (
                [tensor["name"], tensor["type"], str(tensor["shape"]), size(tensor["n_bytes"])]
                for tensor in tensors
            ),
        )


def _section(console: Console, title: str, rows: Iterable[list[str]]) -> None:
    from rich.text import Text

    cells = list(rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    console.print(Text(title, style="bold"))
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        console.print(Text("  " + "  ".join(padded).rstrip()))


def _cell(key: str, value: Any) -> str:
    if key.endswith("_bytes"):
        return size(value)
    if isinstance(value, dict) and "first" in value:
        return f"{_list(value['first'])} and {value['length'] - len(value['first'])} more"
    if isinstance(value, dict):
        return ", ".join(f"{name} x {count}" for name, count in value.items())
    if isinstance(value, list):
        return _list(value)
    text = str(value)
    if "\n" not in text and len(text) <= _LONG:
        return text
    return f"{json.dumps(text[:_LONG], ensure_ascii=False)} ... ({len(text)} characters)"


def _list(items: list[Any]) -> str:
    return ", ".join(str(item) for item in items)


def size(n_bytes: int) -> str:
    """Bytes for people, in binary units."""
    amount = float(n_bytes)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.{0 if unit == 'bytes' else 1}f} {unit}"
        amount /= 1024
    return f"{amount:.2f} GiB"
