"""What two results of one run say to each other: pure functions from evidence to a verdict."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ftspec.evals.compare import Measured
from ftspec.evals.grade import GradeRow
from ftspec.evals.metrics import Values, pooled
from ftspec.evals.paired import paired_test
from ftspec.evals.responses import Response
from ftspec.evals.statistics.bootstrap import resamples
from ftspec.evals.statistics.distributions import normal_quantile
from ftspec.spec.suite import Compare
from ftspec.workflows.verdicts import Level, Verdict, Word

KEPT = 0.95
_SHOWN = 3


@dataclass(frozen=True)
class Weights:
    """What an embedded training left: digest of its weights, fingerprint of its arithmetic, and whose word it is."""

    digest: str | None
    numerics: str | None
    source: str


def judge_bits(claims: Sequence[Weights], now: Weights, answers: Sequence[str]) -> Verdict:
    """Compare weights and answers bit by bit. Unequal bits under unequal fingerprints are impossible, not different.

    `answers` are sentences about answers that are not the same.
    """
    known = [claim for claim in claims if claim.digest is not None]
    if now.digest is None or not known:
        return Verdict("bits", "impossible", ("the provider shows no weights: only scores can be compared",))
    wrong = [c for c in known if c.digest != now.digest]
    if not wrong and not answers:
        return Verdict("bits", "reproduced", (f"weights {now.digest[:12]}, equal to {known[0].source}",))
    told = [f"weights {now.digest[:12]}, not {str(c.digest)[:12]} as in {c.source}" for c in wrong]
    told += answers
    if other := next((c for c in known if c.numerics != now.numerics), None):
        reason = f"the arithmetic is another one: fingerprint {now.numerics}, recorded {other.numerics}"
        return Verdict("bits", "impossible", (reason, *told))
    return Verdict("bits", "differs", tuple(told))


def different_answers(name: str, before: Iterable[Response], after: Iterable[Response]) -> list[str]:
    """Return sentences about answers that differ; model ids, keys and fingerprints are other ones in each attempt."""
    old = {(r.arm, r.id, r.sample): _said(r) for r in before}
    new = {(r.arm, r.id, r.sample): _said(r) for r in after}
    changed = [key for key in old if key in new and old[key] != new[key]]
    told = []
    if changed:
        shown = ", ".join(f"{arm}/{item}" for arm, item, _ in changed[:_SHOWN])
        told.append(f"{name}: {len(changed)} of {len(old)} answers differ ({shown}{', ...' * (len(changed) > _SHOWN)})")
    if old.keys() != new.keys():
        told.append(f"{name}: {len(new)} answers instead of {len(old)}")
    return told


def _said(response: Response) -> object:
    return response.text, response.tool_calls, response.finish_reason, response.usage, response.error


def drift(name: str, before: Iterable[Response], after: Iterable[Response]) -> str:
    """Return a sentence where a host's fingerprints are other ones than before, empty where they are not."""
    old = {r.fingerprint for r in before if r.fingerprint}
    new = {r.fingerprint for r in after if r.fingerprint}
    if not old or not new or old == new:
        return ""
    return f"drift in {name}: fingerprints {', '.join(sorted(old))} then, {', '.join(sorted(new))} now"


def different_grades(name: str, before: Iterable[GradeRow], after: Iterable[GradeRow]) -> list[str]:
    """Return sentences about grades that are other ones, naming grader and items."""
    old = {(g.grader, g.arm, g.id, g.sample): (g.score, g.passed, g.label, g.error) for g in before}
    new = {(g.grader, g.arm, g.id, g.sample): (g.score, g.passed, g.label, g.error) for g in after}
    told = []
    for grader in sorted({key[0] for key in old.keys() | new.keys()}):
        keys = [key for key in old.keys() | new.keys() if key[0] == grader and old.get(key) != new.get(key)]
        if keys:
            shown = ", ".join(sorted(f"{arm}/{item}" for _, arm, item, _ in keys)[:_SHOWN])
            told.append(f"{name}: grader {grader} judges {len(keys)} answers otherwise ({shown})")
    return told


def provable_margin(n: int, discordant: float = 0.1, alpha: float = 0.05, power: float = 0.9) -> float:
    """Return about the smallest margin that n paired items confirm with probability `power` if nothing differs.

    Two one-sided tests by the normal approximation, one item added for discreteness: 11.3, 7.8 and 4.8 points at 100,
    200 and 500 items with 10 % discordant, where exact enumeration gives 11.5, 7.7 and 4.8.
    """
    if n <= 0:
        return math.inf
    z = normal_quantile(1 - alpha) + normal_quantile((1 + power) / 2)
    return z * math.sqrt(discordant / n) + 1 / n


def judge_equivalent(name: str, before: Measured, after: Measured, settings: Compare) -> Verdict:
    """Two one-sided paired tests: the 1 - 2 alpha interval of the difference against the suite's own margin."""
    if before.eval_digest != after.eval_digest:
        return Verdict("equivalent", "differs", (f"{name}: scored by different suites",))
    for side in (before, after):
        if side.error_rate > side.max_error_rate:
            said = f"{name}: {side.name} has {side.error_rate:.1%} errors, the limit is {side.max_error_rate:.1%}"
            return Verdict("equivalent", "inconclusive", (said,))
    if not before.values.by_id.keys() & after.values.by_id.keys():
        return Verdict("equivalent", "inconclusive", (f"{name}: no item has a graded answer of both",))
    test = paired_test(before.values, after.values, settings.alpha)
    n = len(before.values.by_id.keys() & after.values.by_id.keys())
    how = f"{test.method}, {n} pairs"
    return _within(name, test.second - test.first, test.wide, n, settings, how)


def judge_unpaired(
    name: str,
    before: tuple[float, tuple[float, float] | None, int],
    after: tuple[float, tuple[float, float] | None, int],
    settings: Compare,
) -> Verdict:
    """The same from value, 95 % interval and n alone: without the items' own results the interval is wider."""
    (old, old_ci, old_n), (new, new_ci, _) = before, after
    if old_ci is None or new_ci is None:
        return Verdict("equivalent", "inconclusive", (f"{name}: no interval is on file",))
    z95 = normal_quantile(0.975)
    error = math.hypot((old_ci[1] - old_ci[0]) / 2 / z95, (new_ci[1] - new_ci[0]) / 2 / z95)
    half = normal_quantile(1 - settings.alpha) * error
    difference = new - old
    how = f"unpaired, from value and n = {old_n} alone: wider than with the run directory"
    return _within(name, difference, (difference - half, difference + half), old_n, settings, how)


def _within(
    name: str, difference: float, interval: tuple[float, float], n: int, settings: Compare, how: str
) -> Verdict:
    low, high = interval
    level = 1 - 2 * settings.alpha
    said = f"{name}: {difference * 100:+.1f} points, {level:.0%} [{low * 100:+.1f}..{high * 100:+.1f}] ({how})"
    margin = settings.margin
    if margin is None:
        fix = f"declare one in the suite: compare: {{margin: 0.05}}; {n} items can confirm about "
        return Verdict(
            "equivalent", "inconclusive", (f"{said}; no margin", fix + f"{provable_margin(n) * 100:.0f} points")
        )
    within = f"margin {margin * 100:g} points"
    if -margin < low and high < margin:
        return Verdict("equivalent", "reproduced", (f"{said} within {within}",))
    if low > margin or high < -margin:
        return Verdict("equivalent", "differs", (f"{said} wholly outside {within}",))
    room, half = margin - abs(difference), (high - low) / 2
    needs = math.ceil(n * (half / room) ** 2) if room > 0.1 * margin else None
    return Verdict("equivalent", "inconclusive", (f"{said} crosses {within}",), needs=needs)


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
        sign = _sign(_value(chosen.values, list(chosen.values.by_id)), _value(baseline, list(baseline.by_id)))
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
        kept += ahead and (not base or _sign(mine, _value(base[0], drawn)) == claim.sign)
        total += 1
    return kept / total


def _sign(one: float, other: float) -> int:
    return (one > other) - (one < other)


def _value(values: Values, ids: Sequence[str]) -> float:
    if values.metric.statistic is None:
        return math.fsum(values.by_id[name] for name in ids) / len(ids) if ids else 0.0
    return pooled(values.metric.statistic)(Counter(values.by_id[name] for name in ids)) or 0.0


def together(level: Level, verdicts: Sequence[Verdict]) -> Verdict:
    """Return one verdict over suites: all must hold; the worst word is the whole's."""
    from ftspec.workflows.verdicts import worst

    if not verdicts:
        return Verdict(level, "impossible", ("no suite was scored: nothing can be compared",))
    last = worst(verdicts)
    needs = max((v.needs for v in verdicts if v.needs is not None), default=None)
    return Verdict(level, last.word, tuple(text for verdict in verdicts for text in verdict.what), needs=needs)


def flattened(config: Mapping[str, object], above: str = "") -> dict[str, object]:
    """Return a nested configuration as dotted path to value; lists count as values."""
    flat: dict[str, object] = {}
    for key, value in config.items():
        path = f"{above}.{key}" if above else str(key)
        if isinstance(value, Mapping) and value:
            flat |= flattened(value, path)
        else:
            flat[path] = value
    return flat
