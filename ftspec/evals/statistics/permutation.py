"""Sign-flip permutation test of paired differences, by cluster where items are clustered."""

import math
from collections.abc import Hashable, Sequence
from operator import getitem
from random import Random

DRAWS = 10_000
_BLOCK = 8


def sign_flip(
    differences: Sequence[float], clusters: Sequence[Hashable] | None = None, *, draws: int = DRAWS, seed: int = 0
) -> float:
    """Return the two-sided p-value that the signs of the differences are a coin's.

    All sign patterns where there are at most `draws` of them, else `draws` seeded ones, counting the observed one.
    """
    units = [total for total in _sums(differences, clusters) if total != 0.0]
    observed = abs(math.fsum(units))
    if not units:
        return 1.0
    # Sums of the same numbers in another order may differ in the last bits.
    least = observed - 1e-9 * math.fsum(map(abs, units))
    tables = [_table(units[i : i + _BLOCK]) for i in range(0, len(units), _BLOCK)]
    if len(units) < 60 and 2 ** len(units) <= draws:
        patterns = [0.0]
        for unit in units:
            patterns = [total + sign for total in patterns for sign in (unit, -unit)]
        return sum(abs(total) >= least for total in patterns) / len(patterns)
    stream = Random(f"ftspec/sign-flip/1/{seed}")
    width = len(tables)
    hits = sum(abs(sum(map(getitem, tables, stream.randbytes(width)))) >= least for _ in range(draws))
    return (hits + 1) / (draws + 1)


def _sums(differences: Sequence[float], clusters: Sequence[Hashable] | None) -> list[float]:
    if clusters is None:
        return list(differences)
    sums: dict[Hashable, float] = {}
    for value, cluster in zip(differences, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + value
    return list(sums.values())


def _table(units: Sequence[float]) -> list[float]:
    """Signed sums of up to eight units for each value of a random byte, so that a draw costs one look-up per byte."""
    return [sum(unit if byte >> i & 1 else -unit for i, unit in enumerate(units)) for byte in range(256)]
