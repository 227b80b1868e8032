"""Level conclusion, the judgement: does a sweep's winner win again, and on the same side of the baseline?"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ftspec.evals.metrics import Values, pooled
from ftspec.evals.statistics.bootstrap import resamples
from ftspec.workflows.reproduction.verdicts import Verdict, Word

KEPT = 0.95


@dataclass(frozen=True)
class Standing:
    """One run in a sweep: its label, what it is selected by (lower is better; None: unknown), its graded items."""

    label: str
    rank: float | None
    values: Values | None


@dataclass(frozen=True)
class Claim:
    """What a sweep showed: its winner, the order of its runs, and the sign of the winner against the baseline."""

    winner: str
    by: str
    order: tuple[str, ...]
    sign: int | None


def claim_of(by: str, standings: Sequence[Standing], winner: str, baseline: Values | None) -> Claim:
    """Return the claim that standings make; `winner` is the declared rule's own."""
    ranked = sorted((s for s in standings if s.rank is not None), key=lambda s: (s.rank, s.label))
    chosen = next(s for s in standings if s.label == winner)
    sign = None
    if baseline is not None and chosen.values is not None:
        sign = sign_of(_value(chosen.values, list(chosen.values.by_id)), _value(baseline, list(baseline.by_id)))
    return Claim(winner, by, tuple(s.label for s in ranked), sign)


def judge_conclusion(
    claim: Claim, now: Claim, standings: Sequence[Standing], baseline: Values | None, *, same: bool
) -> Verdict:
    """Does the winner win again, and stand on the same side of the baseline? Item-cluster bootstrap of the new scores.

    `same`: every graded item is as before, so that nothing is left to chance. With a rule by loss the winner is a fact
    and only the sign is drawn. A changed order below the winner is told, and decides nothing.
    """
    told = [f"winner {now.winner} by {now.by}" + ("" if now.winner == claim.winner else f", not {claim.winner}")]
    if claim.sign is not None and now.sign is not None:
        words = {1: "above", 0: "equal to", -1: "below"}
        was = "" if now.sign == claim.sign else f", not {words[claim.sign]}"
        told.append(f"{words[now.sign]} the baseline{was}")
    if claim.order and now.order != claim.order:
        told.append(f"order {' > '.join(now.order)}, not {' > '.join(claim.order)}")
    if same and now.winner == claim.winner:
        return Verdict("conclusion", "reproduced", (*told, "every graded item is as before"))
    share = _share_kept(claim, now, standings, baseline)
    word: Word = "reproduced" if share >= KEPT else "differs" if share <= 1 - KEPT else "inconclusive"
    return Verdict("conclusion", word, (*told, f"kept in {share:.0%} of the draws"))


def _share_kept(claim: Claim, now: Claim, standings: Sequence[Standing], baseline: Values | None) -> float:
    by_loss = claim.by == "valid_loss"
    if by_loss and now.winner != claim.winner:
        return 0.0
    winner = next((s for s in standings if s.label == claim.winner), None)
    if winner is None or winner.values is None:
        return 1.0 if now.winner == claim.winner else 0.0
    rivals = [] if by_loss else [s.values for s in standings if s.label != claim.winner and s.values is not None]
    base = [baseline] if baseline is not None and claim.sign is not None else []
    ids = [name for name in winner.values.by_id if all(name in other.by_id for other in [*rivals, *base])]
    if not ids or not (rivals or base):
        return 1.0 if now.winner == claim.winner else 0.0
    kept = total = 0
    higher = winner.values.metric.direction == "higher"
    for indices in resamples(len(ids), winner.values.cluster_of(ids)):
        drawn = [ids[i] for i in indices]
        mine = _value(winner.values, drawn)
        others = [_value(other, drawn) for other in rivals]
        ahead = all((mine - other if higher else other - mine) >= 0 for other in others)
        kept += ahead and (not base or sign_of(mine, _value(base[0], drawn)) == claim.sign)
        total += 1
    return kept / total


def sign_of(one: float, other: float) -> int:
    return (one > other) - (one < other)


def _value(values: Values, ids: Sequence[str]) -> float:
    if values.metric.statistic is None:
        return math.fsum(values.by_id[name] for name in ids) / len(ids) if ids else 0.0
    return pooled(values.metric.statistic)(Counter(values.by_id[name] for name in ids)) or 0.0
