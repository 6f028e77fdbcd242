"""What a model file asks of the machine for a token."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from child import run

EMBEDDING = "token_embd.weight"
OUTPUT = "output.weight"


@dataclass(frozen=True)
class Model:
    """A GGUF file and what follows from its tensors."""

    path: Path
    weights_bytes: int
    token_bytes: float
    """Of weights read for a token that is generated."""
    prompt_operations: float
    """Of matrix products for a token of a prompt, a multiplication and an addition being two.
    The last matrix is left out: only a prompt's last token goes through it."""
    position_bytes: float
    """Of the KV cache for a position."""

    def sequence_bytes(self, positions: int) -> float:
        """The weights and the cache of a sequence."""
        return self.weights_bytes + positions * self.position_bytes


def read(path: Path, farthing: Sequence[str]) -> Model:
    """Ask `farthing show`."""
    positions = 1024
    command = [*farthing, "show", str(path), "--json", "--tensors", "-c", str(positions)]
    return from_facts(path, json.loads(run(command).output), positions)


def from_facts(path: Path, facts: dict[str, Any], positions: int) -> Model:
    """From the JSON of `farthing show` for a context of some positions."""
    tensors = {tensor["name"]: tensor for tensor in facts["tensors"]}
    used = _share_of_experts(facts["metadata"])
    tied = OUTPUT not in tensors
    token_bytes = prompt_operations = 0.0
    for name, tensor in tensors.items():
        share = used if "_exps." in name else 1.0
        if name != EMBEDDING or tied:
            token_bytes += share * tensor["n_bytes"]
        if name not in (EMBEDDING, OUTPUT) and len(tensor["shape"]) > 1:
            prompt_operations += 2 * share * math.prod(tensor["shape"])
    return Model(
        path=path,
        weights_bytes=facts["weights_bytes"],
        token_bytes=token_bytes,
        prompt_operations=prompt_operations,
        position_bytes=facts["kv_bytes"] / positions,
    )


def _share_of_experts(metadata: dict[str, Any]) -> float:
    def count(key: str) -> int:
        return int(metadata.get(f"{metadata['general.architecture']}.{key}", 0))

    return count("expert_used_count") / count("expert_count") if count("expert_count") else 1.0
