"""`farthing bench`: tokens a second, in the rows of llama-bench."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any

import typer

from farthing.cli import flags


class Format(str, Enum):
    """How to print the rows."""

    md = "md"
    json = "json"


def command(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help='A GGUF file, or "demo" for the built-in model.'),
    ] = None,
    n_prompt: Annotated[
        str, typer.Option("-p", "--n-prompt", help="Lengths of prompts to compute; 0: none.")
    ] = "512",
    n_gen: Annotated[
        str, typer.Option("-n", "--n-gen", help="Numbers of tokens to generate; 0: none.")
    ] = "128",
    n_depth: Annotated[
        str, typer.Option("-d", "--n-depth", help="Tokens in the context before.")
    ] = "0",
    n_parallel: Annotated[
        str, typer.Option("-b", "--n-parallel", help="Sequences at a time.")
    ] = "1",
    threads: Annotated[
        str | None, typer.Option("-t", "--threads", help="Numbers of threads.")
    ] = None,
    repetitions: Annotated[int, typer.Option("-r", "--repetitions", min=1)] = 5,
    kv_type: flags.KvType = "f16",
    repack: flags.Repack = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Also show where the time goes, by part.")
    ] = False,
    machine: Annotated[
        bool,
        typer.Option(
            "--machine", help="Measure the machine's limits instead: reading and int8 products."
        ),
    ] = False,
    output: Annotated[Format, typer.Option("-o", "--output")] = Format.md,
) -> None:
    """Measure tokens a second; lists with commas give a row for each combination.

    Prompts and generation are measured apart, as by llama-bench: random tokens, so that nothing
    comes from the cache but the context before; a parallel row counts all its sequences together.
    With --profile one more repetition of each is measured by part: the shares of a token's time
    that the part took, took on one thread, and lost to threads that waited for others.
    """
    from farthing.api.locate import locate
    from farthing.cli.measure import Bench, Case

    thread_counts = [None] if threads is None else flags.numbers(threads)
    if machine:
        _print_limits(thread_counts, output)
        return
    if name is None:
        raise typer.BadParameter("MODEL or --machine is needed")
    lengths = [(p, 0) for p in flags.numbers(n_prompt)] + [(0, n) for n in flags.numbers(n_gen)]
    cases = [
        Case(prompt, generated, depth, parallel)
        for depth in flags.numbers(n_depth)
        for parallel in flags.numbers(n_parallel)
        for prompt, generated in lengths
        if prompt + generated > 0
    ]
    if not cases:
        raise typer.BadParameter("there is nothing to measure: give -p or -n above 0")
    path = locate(name)
    rows: list[dict[str, Any]] = []
    for n_threads in thread_counts:
        bench = Bench(path, cases, n_threads, kv_type, repack)
        rows += bench.rows(cases, repetitions, profile=profile)
        bench.close()
    if output is Format.json:
        print(json.dumps(rows, indent=2))
    else:
        _print_rows(rows)
        for row in rows:
            if "profile" in row:
                _print_profile(row)


def _print_limits(thread_counts: Sequence[int | None], output: Format) -> None:
    from farthing import _native

    rows = [_native.machine_peak(n_threads) for n_threads in thread_counts]
    if output is Format.json:
        print(json.dumps(rows, indent=2))
        return
    titles = ("level", "threads", "reading, GB/s", "int8, TOPS")
    cells = [
        (
            row["level"],
            str(row["n_threads"]),
            f"{row['read_bytes_per_second'] / 1e9:.1f}",
            f"{row['int8_ops_per_second'] / 1e12:.3f}",
        )
        for row in rows
    ]
    _print_table(titles, cells)


def _print_rows(rows: list[dict[str, Any]]) -> None:
    titles = ("model", "size", "params", "threads", "parallel", "test", "t/s")
    cells = [
        (
            row["model_type"],
            f"{row['model_size'] / 2**20:.2f} MiB",
            f"{row['model_n_params'] / 1e6:.2f} M",
            str(row["n_threads"]),
            str(row["n_parallel"]),
            _test(row),
            f"{row['avg_ts']:.2f} ± {row['stddev_ts']:.2f}",
        )
        for row in rows
    ]
    _print_table(titles, cells)


def _print_table(titles: tuple[str, ...], cells: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
    for line in (titles, tuple("-" * width for width in widths), *cells):
        padded = (cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        print(f"| {' | '.join(padded)} |")


def _print_profile(row: dict[str, Any]) -> None:
    """Milliseconds for each token, and the share of its time; for one thread and waiting too."""
    profile = row["profile"]
    total = sum(part["ms"] for part in profile["parts"])
    print(f"\n{_test(row)}: {profile['passes']} passes, {profile['tokens']} tokens")
    print(f"| {'part':24} | ms/token |  share | one thread | waiting |")
    print(f"| {'-' * 24} | -------: | -----: | ---------: | ------: |")
    for part in profile["parts"]:
        shares = [part[key] / total for key in ("ms", "alone_ms", "waiting_ms")]
        print(
            f"| {part['name']:24} | {part['ms'] / profile['tokens']:8.4f} | {shares[0]:6.1%} |"
            f" {shares[1]:10.1%} | {shares[2]:7.1%} |"
        )


def _test(row: dict[str, Any]) -> str:
    """As llama-bench calls it: pp512, tg128 @ d4096."""
    kind = f"pp{row['n_prompt']}" if row["n_prompt"] else f"tg{row['n_gen']}"
    return kind + (f" @ d{row['n_depth']}" if row["n_depth"] else "")
