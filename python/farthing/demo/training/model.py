"""The model in JAX: a llama decoder whose weights are named and shaped as in GGUF.

Weights of a kind are stacked over the layers: `attn_q` has shape (layers, out, in).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from farthing.demo.training.config import Config

Weights = dict[str, jax.Array]
Input = jax.Array | np.ndarray


def initial(config: Config, key: jax.Array) -> Weights:
    """Random weights; outputs into the residual stream start at zero."""
    c = config
    shapes = {
        "attn_q": (c.heads * c.head, c.width),
        "attn_k": (c.kv_heads * c.head, c.width),
        "attn_v": (c.kv_heads * c.head, c.width),
        "attn_output": (c.width, c.heads * c.head),
        "ffn_gate": (c.hidden, c.width),
        "ffn_up": (c.hidden, c.width),
        "ffn_down": (c.width, c.hidden),
    }
    keys = jax.random.split(key, len(shapes) + 1)
    weights: Weights = {"token_embd": 0.02 * jax.random.normal(keys[0], (c.vocabulary, c.width))}
    for k, (name, shape) in zip(keys[1:], shapes.items(), strict=True):
        scale = 0.0 if name in ("attn_output", "ffn_down") else shape[1] ** -0.5
        weights[name] = scale * jax.random.normal(k, (c.layers, *shape))
    weights["attn_norm"] = weights["ffn_norm"] = jnp.ones((c.layers, c.width))
    weights["output_norm"] = jnp.ones(c.width)
    return weights


def _norm(x: jax.Array, weight: jax.Array, epsilon: float) -> jax.Array:
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + epsilon) * weight


def _rope(x: jax.Array, base: float) -> jax.Array:
    """Rotates neighbouring pairs of x (batch, time, heads, head) by position."""
    time, head = x.shape[1], x.shape[3]
    angle = jnp.outer(jnp.arange(time), base ** (-jnp.arange(0, head, 2) / head))[:, None, :]
    even, odd = x[..., 0::2], x[..., 1::2]
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([even * cos - odd * sin, even * sin + odd * cos], -1).reshape(x.shape)


@jax.custom_vjp
def _attend(q: jax.Array, k: jax.Array, v: jax.Array, bias: jax.Array) -> jax.Array:
    """Attention over (batch, kv heads, rows, head); a group's query heads stand in the rows."""
    return _attend_forward(q, k, v, bias)[0]


def _attend_forward(
    q: jax.Array, k: jax.Array, v: jax.Array, bias: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    p = jax.nn.softmax(jnp.einsum("nkqh,nksh->nkqs", q, k) + bias, -1)
    out = jnp.einsum("nkqs,nksh->nkqh", p, v)
    return out, (q, k, v, p, out)


def _attend_backward(
    kept: tuple[jax.Array, ...], g: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, None]:
    q, k, v, p, out = kept
    s = p * (jnp.einsum("nkqh,nksh->nkqs", g, v) - jnp.sum(g * out, -1, keepdims=True))
    return (
        jnp.einsum("nkqs,nksh->nkqh", s, k),
        jnp.einsum("nkqs,nkqh->nksh", s, q),
        jnp.einsum("nkqs,nkqh->nksh", p, g),
        None,
    )


# Twice as fast on a CPU as the derivative XLA finds.
_attend.defvjp(_attend_forward, _attend_backward)


def forward(weights: Weights, tokens: Input, segments: Input, c: Config) -> jax.Array:
    """Logits (batch, time, vocabulary); a token sees earlier ones of its own segment only."""
    batch, time = tokens.shape
    group = c.heads // c.kv_heads
    seen = jnp.tril(jnp.ones((time, time), bool)) & (segments[:, :, None] == segments[:, None, :])
    bias = jnp.tile(jnp.where(seen, 0.0, -1e9), (1, group, 1))[:, None]
    x = weights["token_embd"][tokens]
    for i in range(c.layers):
        w = {
            name: weights[name][i] for name in weights if name not in ("token_embd", "output_norm")
        }
        h = _norm(x, w["attn_norm"], c.epsilon)
        q = _rope((h @ w["attn_q"].T).reshape(batch, time, c.heads, c.head), c.rope_base)
        k = _rope((h @ w["attn_k"].T).reshape(batch, time, c.kv_heads, c.head), c.rope_base)
        v = (h @ w["attn_v"].T).reshape(batch, time, c.kv_heads, c.head)
        q = (
            q.reshape(batch, time, c.kv_heads, group, c.head).transpose(0, 2, 3, 1, 4)
            * c.head**-0.5
        )
        k, v = k.swapaxes(1, 2), v.swapaxes(1, 2)
        mixed = _attend(q.reshape(batch, c.kv_heads, group * time, c.head), k, v, bias)
        mixed = mixed.reshape(batch, c.heads, time, c.head).swapaxes(1, 2)
        x = x + mixed.reshape(batch, time, -1) @ w["attn_output"].T
        h = _norm(x, w["ffn_norm"], c.epsilon)
        x = x + (jax.nn.silu(h @ w["ffn_gate"].T) * (h @ w["ffn_up"].T)) @ w["ffn_down"].T
    return _norm(x, weights["output_norm"], c.epsilon) @ weights["token_embd"].T


def loss(weights: Weights, tokens: Input, segments: Input, wanted: Input, c: Config) -> jax.Array:
    """Mean cross entropy, in nats, of the tokens marked in `wanted` (batch, time)."""
    logits = forward(weights, tokens[:, :-1], segments[:, :-1], c)
    target = tokens[:, 1:]
    picked = jnp.take_along_axis(logits, target[..., None], -1)[..., 0]
    lost = jax.nn.logsumexp(logits, -1) - picked
    mark = wanted[:, 1:] * (segments[:, 1:] == segments[:, :-1])
    return jnp.sum(lost * mark) / jnp.sum(mark)
