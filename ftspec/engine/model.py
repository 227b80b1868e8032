"""A decoder-only transformer in numpy with its own backward pass.

A block is RMSNorm, attention with rotary positions (Su et al., 2021), RMSNorm, squared ReLU; no biases; the head is
tied to the embedding. Keys are smeared over two positions, `k[t] = (1-s) k[t] + s k[t-1]`, which lets a single layer do
induction (Olsson et al., arXiv 2209.11895), hence copying.

Shapes: B rows, T tokens, N = B*T, S selected tokens, D width, H heads, hd = D/H, F hidden, V vocabulary, L layers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ftspec.engine.streams import GOLDEN, seed_of

Array = NDArray[Any]


@dataclass(frozen=True)
class Config:
    """Sizes of a model; `context` is the longest prompt with its answer, in tokens."""

    vocabulary: int
    width: int = 128
    layers: int = 3
    heads: int = 4
    hidden: int = 512
    context: int = 1024
    epsilon: float = 1e-5
    dtype: str = "float32"

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Names and shapes in storage order: matrices, which decay, then vectors."""
        d, f = self.width, self.hidden
        yield "e", (self.vocabulary, d)
        for layer in range(self.layers):
            yield f"{layer}.qkv", (d, 3 * d)
            yield f"{layer}.o", (d, d)
            yield f"{layer}.a", (d, f)
            yield f"{layer}.b", (f, d)
        for layer in range(self.layers):
            yield f"{layer}.n1", (d,)
            yield f"{layer}.n2", (d,)
            yield f"{layer}.ks", (d,)
        yield "g", (d,)


class Parameters:
    """All weights (or gradients) in one flat array; `self[name]` is a view of it. `matrices` of its values decay."""

    def __init__(self, config: Config, flat: Array | None = None) -> None:
        self.config = config
        sizes = {name: (shape, int(np.prod(shape))) for name, shape in config.shapes()}
        self.size = sum(size for _, size in sizes.values())
        self.flat: Array = np.zeros(self.size, config.dtype) if flat is None else flat
        self.matrices = sum(size for shape, size in sizes.values() if len(shape) == 2)
        self.views: dict[str, Array] = {}
        start = 0
        for name, (shape, size) in sizes.items():
            self.views[name] = self.flat[start : start + size].reshape(shape)
            start += size

    def __getitem__(self, name: str) -> Array:
        return self.views[name]

    def copy(self) -> "Parameters":
        """Independent weights with the same values."""
        return Parameters(self.config, self.flat.copy())


def normals(size: int, *labels: object) -> Array:
    """Nearly normal numbers (sums of 12 uniform 16-bit numbers) in float64, exact integers until the last scaling.

    No logarithm or cosine is used, so the values do not depend on the machine's math library.
    """
    state = np.uint64(seed_of(*labels)) + np.arange(1, 3 * size + 1, dtype=np.uint64) * np.uint64(GOLDEN)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    words = (state ^ (state >> np.uint64(31))).astype("<u8").view("<u2").reshape(size, 12)
    values: Array = (words.sum(axis=1, dtype=np.int64) - 12 * 32767.5) / 65536.0
    return values


def initialize(config: Config, *labels: object) -> Parameters:
    """Random weights: embedding 0.05, inputs D^-0.5 (b: F^-0.5), outputs also / sqrt(2L); gains 1, gates 0."""
    parameters = Parameters(config)
    depth = (2 * config.layers) ** -0.5
    scales = {
        "e": 0.05,
        "qkv": config.width**-0.5,
        "o": config.width**-0.5 * depth,
        "a": config.width**-0.5,
        "b": config.hidden**-0.5 * depth,
    }
    for name, view in parameters.views.items():
        kind = name.rpartition(".")[2]
        if kind in scales:
            view[...] = (normals(view.size, *labels, name) * scales[kind]).reshape(view.shape)
        elif kind != "ks":
            view[...] = 1
    return parameters


@cache
def rotary(head: int, length: int, dtype: str) -> tuple[Array, Array]:
    """Cosines and sines of the rotary positions, (length, head / 2), base 10,000."""
    angle = np.outer(np.arange(length), 1.0 / (10000 ** (np.arange(0, head, 2) / head)))
    return np.cos(angle).astype(dtype), np.sin(angle).astype(dtype)


def rotate(x: Array, cos: Array, sin: Array) -> Array:
    """Turn the halves of the last axis by their position's angle; `sin` negated turns back (the gradient)."""
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)


def rms_norm(x: Array, gain: Array, epsilon: float) -> tuple[Array, Array]:
    """Normalised rows (N,D) and the factor of each (N,1) (Zhang and Sennrich, 2019)."""
    r = 1 / np.sqrt(np.einsum("ij,ij->i", x, x)[:, None] / x.shape[-1] + x.dtype.type(epsilon))
    return x * r * gain, r


def rms_norm_gradient(dy: Array, x: Array, r: Array, gain: Array) -> tuple[Array, Array]:
    """Gradients of the input (N,D) and of the gain (D)."""
    scaled = x * r
    d = dy * gain
    mean = np.einsum("ij,ij->i", d, scaled)[:, None] / x.shape[-1]
    return r * (d - scaled * mean), np.einsum("ij,ij->j", dy, scaled)


def split_heads(z: Array, heads: int) -> Array:
    """(B,T,D) to (B,H,T,hd)."""
    b, t, d = z.shape
    return np.ascontiguousarray(z.reshape(b, t, heads, d // heads).transpose(0, 2, 1, 3))


def join_heads(z: Array) -> Array:
    """(B,H,T,hd) to (B,T,D)."""
    b, h, t, hd = z.shape
    return z.transpose(0, 2, 1, 3).reshape(b, t, h * hd)


def softmax_inplace(a: Array) -> Array:
    """Softmax over the last axis, written over `a`."""
    a -= a.max(axis=-1, keepdims=True)
    np.exp(a, out=a)
    a /= a.sum(axis=-1, keepdims=True)
    return a


class BlockTape(NamedTuple):
    """What the backward pass of one block needs."""

    x: Array
    h: Array
    r1: Array
    q: Array
    k: Array
    v: Array
    attention: Array
    y: Array
    x1: Array
    h2: Array
    r2: Array
    u: Array
    u2: Array
    shift: Array  # k[t-1] - k[t] before the smear
    gate: Array


class Cache:
    """Keys and values of the tokens read so far, one pair of arrays (H, context, hd) a layer."""

    def __init__(self, config: Config) -> None:
        shape = (config.heads, config.context, config.width // config.heads)
        self.keys = [np.empty(shape, config.dtype) for _ in range(config.layers)]
        self.values = [np.empty(shape, config.dtype) for _ in range(config.layers)]
        self.last_key = [np.zeros(config.width, config.dtype) for _ in range(config.layers)]
        self.length = 0

    def extend(self, layer: int, k: Array, v: Array, last_key: Array) -> tuple[Array, Array]:
        """Add keys and values (1,H,T,hd) of new tokens; return those of all tokens. `length` is moved by the caller."""
        stop = self.length + k.shape[2]
        self.keys[layer][:, self.length : stop] = k[0]
        self.values[layer][:, self.length : stop] = v[0]
        self.last_key[layer] = last_key.copy()
        return self.keys[layer][None, :, :stop], self.values[layer][None, :, :stop]


class Tape(NamedTuple):
    """The forward pass as the backward pass needs it: blocks, last hidden rows, their norm factor."""

    blocks: list[BlockTape]
    x: Array
    r: Array


def forward(p: Parameters, ids: Array, select: Array, cache: Cache | None = None) -> tuple[Array, Tape]:
    """Hidden rows (S,D) of the tokens at the flat positions `select` of ids (B,T), and the tape.

    The last block computes its output rows for `select` alone: with a loss mask that is a quarter of all the work.
    With a cache B is 1, ids are new tokens after those in it, and the cache grows by T.
    """
    c = p.config
    b, t = ids.shape
    position = cache.length if cache is not None else 0
    cos, sin = (table[position : position + t] for table in rotary(c.width // c.heads, c.context, c.dtype))
    scale = p.flat.dtype.type((c.width // c.heads) ** -0.5)
    future = np.triu(np.full((t, t), -1e9, c.dtype), 1)
    x = p["e"][ids.reshape(-1)]
    blocks = []
    for layer in range(c.layers):
        h, r1 = rms_norm(x, p[f"{layer}.n1"], c.epsilon)
        qkv = (h @ p[f"{layer}.qkv"]).reshape(b, t, 3, c.width)
        k0 = qkv[:, :, 1]
        gate = 1 / (1 + np.exp(-p[f"{layer}.ks"]))
        shift = -k0
        shift[:, 1:] += k0[:, :-1]
        if cache is not None:
            shift[:, 0] += cache.last_key[layer]
        q = rotate(split_heads(qkv[:, :, 0], c.heads), cos, sin)
        k = rotate(split_heads(k0 + shift * gate, c.heads), cos, sin)
        v = split_heads(qkv[:, :, 2], c.heads)
        if cache is not None:
            k, v = cache.extend(layer, k, v, k0[0, -1])
        attention = q @ k.transpose(0, 1, 3, 2)
        attention *= scale
        if t > 1:
            attention[..., -t:] += future
        softmax_inplace(attention)
        y = join_heads(attention @ v).reshape(b * t, c.width)
        skip = x
        if layer == c.layers - 1:
            y, skip = y[select], x[select]
        x1 = skip + y @ p[f"{layer}.o"]
        h2, r2 = rms_norm(x1, p[f"{layer}.n2"], c.epsilon)
        u = h2 @ p[f"{layer}.a"]
        np.maximum(u, 0, out=u)
        u2 = u * u
        blocks.append(BlockTape(x, h, r1, q, k, v, attention, y, x1, h2, r2, u, u2, shift, gate))
        x = x1 + u2 @ p[f"{layer}.b"]
    if cache is not None:
        cache.length += t
    hidden, r = rms_norm(x, p["g"], c.epsilon)
    return hidden, Tape(blocks, x, r)


def backward(p: Parameters, ids: Array, select: Array, tape: Tape, dhidden: Array, into: Parameters) -> Array:
    """Gradients of everything but the head, written over `into`; returns the gradient of the embedded rows (N,D)."""
    c = p.config
    b, t = ids.shape
    cos, sin = (table[:t] for table in rotary(c.width // c.heads, c.context, c.dtype))
    scale = p.flat.dtype.type((c.width // c.heads) ** -0.5)
    dx, into["g"][...] = rms_norm_gradient(dhidden, tape.x, tape.r, p["g"])
    for layer in reversed(range(c.layers)):
        k = tape.blocks[layer]
        np.matmul(k.u2.T, dx, out=into[f"{layer}.b"])
        du = dx @ p[f"{layer}.b"].T
        du *= k.u
        du *= 2
        np.matmul(k.h2.T, du, out=into[f"{layer}.a"])
        dn, into[f"{layer}.n2"][...] = rms_norm_gradient(du @ p[f"{layer}.a"].T, k.x1, k.r2, p[f"{layer}.n2"])
        dx1 = dx + dn
        np.matmul(k.y.T, dx1, out=into[f"{layer}.o"])
        dy = dx1 @ p[f"{layer}.o"].T
        if layer == c.layers - 1:
            dy, dx1 = scatter(dy, select, b * t), scatter(dx1, select, b * t)
        dy = split_heads(dy.reshape(b, t, c.width), c.heads)
        dv = k.attention.transpose(0, 1, 3, 2) @ dy
        da = dy @ k.v.transpose(0, 1, 3, 2)
        da -= np.einsum("bhij,bhij->bhi", da, k.attention)[..., None]
        da *= k.attention
        da *= scale
        dq = join_heads(rotate(da @ k.k, cos, -sin))
        dk = join_heads(rotate(da.transpose(0, 1, 3, 2) @ k.q, cos, -sin))
        into[f"{layer}.ks"][...] = np.einsum("btd,btd->d", dk, k.shift) * k.gate * (1 - k.gate)
        dk0 = dk * (1 - k.gate)
        dk0[:, :-1] += dk[:, 1:] * k.gate
        dqkv = np.concatenate([dq, dk0, join_heads(dv)], axis=-1).reshape(b * t, 3 * c.width)
        np.matmul(k.h.T, dqkv, out=into[f"{layer}.qkv"])
        dn, into[f"{layer}.n1"][...] = rms_norm_gradient(dqkv @ p[f"{layer}.qkv"].T, k.x, k.r1, p[f"{layer}.n1"])
        dx = dx1 + dn
    return dx


def scatter(rows: Array, select: Array, n: int) -> Array:
    """Rows (S,D) put at their positions among n rows of zeros."""
    full = np.zeros((n, rows.shape[1]), rows.dtype)
    full[select] = rows
    return full


class Loss(NamedTuple):
    """Weighted means over the tokens of the whole batch: cross-entropy in nats, token accuracy, and the weight sum."""

    loss: float
    accuracy: float
    weight: float


def loss_and_gradient(p: Parameters, ids: Array, weights: Array, gradient: Parameters | None = None) -> Loss:
    """Loss of ids (B,T+1) int64 under weights (B,T+1), those of each token as a target; gradients go into `gradient`.

    Logits exist for tokens of weight above 0 only. Raises ValueError where no token has any weight.
    """
    inputs, targets = ids[:, :-1], ids[:, 1:].reshape(-1)
    target_weights = weights[:, 1:].astype(p.flat.dtype).reshape(-1)
    select = np.nonzero(target_weights)[0]
    if not len(select):
        raise ValueError("no token of the batch has a weight")
    hidden, tape = forward(p, inputs, select)
    z = hidden @ p["e"].T
    rows, wanted, w = np.arange(len(select)), targets[select], target_weights[select]
    correct = z.argmax(axis=-1) == wanted
    z -= z.max(axis=-1, keepdims=True)
    at_target = z[rows, wanted]
    np.exp(z, out=z)
    total = z.sum(axis=-1, keepdims=True)
    weight = w.sum()
    result = Loss(
        float(((np.log(total[:, 0]) - at_target) * w).sum() / weight),
        float((correct * w).sum() / weight),
        float(weight),
    )
    if gradient is None:
        return result
    z /= total
    z[rows, wanted] -= 1
    z *= (w / weight)[:, None]
    np.matmul(z.T, hidden, out=gradient["e"])
    dx = backward(p, inputs, select, tape, z @ p["e"], gradient)
    add_rows(gradient["e"], inputs.reshape(-1), dx)
    return result


def add_rows(table: Array, ids: Array, rows: Array) -> None:
    """`table[ids[i]] += rows[i]` in one fixed order of additions: stable sort, then sums of runs."""
    order = np.argsort(ids, kind="stable")
    ordered = ids[order]
    starts = np.concatenate([[0], np.nonzero(np.diff(ordered))[0] + 1])
    table[ordered[starts]] += np.add.reduceat(rows[order], starts, axis=0)
