"""Trains the demo model and leaves `weights.npz` and `vocabulary.json` in the output folder.

    python -m farthing.demo.training.train OUT [--minutes 40] [--steps N]

The learning rate falls to zero with the steps planned or with the minutes allowed, whichever runs
out first. The weights are written every few minutes, so an interrupted run still gives a model, and
`--resume --seed N` trains it further on other documents.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from optax.contrib import MuonDimensionNumbers, muon

from farthing.demo.training.config import Config, is_matrix
from farthing.demo.training.corpus import documents
from farthing.demo.training.model import Weights, initial, loss
from farthing.demo.training.packing import Rows, batches
from farthing.demo.training.vocabulary import Encoder, learn, load, save

SEED = 1
HELD_OUT_SEED = 2
VOCABULARY_DOCUMENTS = 20_000
WARM_UP = 100  # steps
LONG = 0.15  # part of the steps, at the end, on rows as long as the context


def optimizer() -> optax.GradientTransformation:
    """Muon for the matrices of the layers, AdamW for embedding and norms, at a rate of 1."""
    matrix = MuonDimensionNumbers(reduction_axis=2, output_axis=1)

    def kinds(weights: Weights) -> dict[str, MuonDimensionNumbers | None]:
        return {name: matrix if is_matrix(name) else None for name in weights}

    return optax.chain(
        optax.clip_by_global_norm(1.0),
        muon(
            1.0,
            weight_decay=0.01,
            consistent_rms=0.2,
            adam_b2=0.98,
            muon_weight_dimension_numbers=kinds,
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=55.0)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=8, help="rows of 256 tokens")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=SEED, help="of the documents trained on")
    parser.add_argument("--resume", action="store_true", help="start from the weights in OUT")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    config = Config()
    path = args.out / "vocabulary.json"
    if not path.exists():
        texts = (d.text for d in islice(documents(SEED), VOCABULARY_DOCUMENTS))
        save(learn(texts, config.vocabulary), path)
    encoder = Encoder(load(path))
    held_out = next(batches(encoder, HELD_OUT_SEED, 256, 3, 32))
    weights = initial(config, jax.random.key(SEED))
    if args.resume:
        with np.load(args.out / "weights.npz") as saved_weights:
            weights = {name: jnp.asarray(saved_weights[name]) for name in weights}
    rule = optimizer()
    state = rule.init(weights)

    def lost(weights: Weights, rows: Rows) -> jax.Array:
        return loss(weights, *rows, config)

    @jax.jit
    def step(
        weights: Weights, state: optax.OptState, rows: Rows, rate: float
    ) -> tuple[Weights, optax.OptState, jax.Array]:
        value, slope = jax.value_and_grad(lost)(weights, rows)
        change, state = rule.update(slope, state, weights)
        change = jax.tree.map(lambda x: rate * x, change)
        return optax.apply_updates(weights, change), state, value

    check = jax.jit(lost)
    short = batches(encoder, args.seed + 1000, 256, 3, args.batch)
    long = batches(encoder, args.seed + 2000, config.context, 10, args.batch // 2)
    ahead = ThreadPoolExecutor(1)  # writes the next rows while the step runs
    coming = ahead.submit(next, short)
    begin = saved = now = time.monotonic()
    mean = 0.0
    for i in range(1, args.steps + 1):
        done = max((i - 1) / args.steps, (now - begin) / (args.minutes * 60))
        rows, coming = coming.result(), ahead.submit(next, short if done < 1 - LONG else long)
        weights, state, value = step(
            weights, state, rows, args.rate * min(i / WARM_UP, 1.0) * max(1 - done, 0.0)
        )
        mean = float(value) if i == 1 else 0.98 * mean + 0.02 * float(value)
        now = time.monotonic()
        last = i == args.steps or now - begin > args.minutes * 60
        if i % 100 == 0 or last:
            minutes = (now - begin) / 60
            unseen = float(check(weights, held_out))
            print(
                f"step {i} minutes {minutes:.1f} train {mean:.4f} held-out {unseen:.4f}", flush=True
            )
        if last or now - saved > 180:
            np.savez(args.out / "weights.npz", **weights)
            saved = now
        if last:
            break


if __name__ == "__main__":
    main()
