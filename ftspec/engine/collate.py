"""Rows of different lengths as one batch of arrays."""

from collections.abc import Sequence

import numpy as np

from ftspec.engine.model import Array
from ftspec.engine.template import Encoded
from ftspec.engine.tokenizer import PAD


def collate(rows: Sequence[Encoded]) -> tuple[Array, Array]:
    """Ids int64 and weights float32, both (B, longest), padded on the right.

    Pads weigh 0; causal attention needs no further mask for them.
    """
    longest = max(len(row.ids) for row in rows)
    ids = np.full((len(rows), longest), PAD, np.int64)
    weights = np.zeros((len(rows), longest), np.float32)
    for i, row in enumerate(rows):
        ids[i, : len(row.ids)] = row.ids
        weights[i, : len(row.weights)] = row.weights
    return ids, weights
