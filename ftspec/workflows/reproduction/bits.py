"""Level bits: the same weights and the same answers, where the same arithmetic can be demanded."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ftspec.evals.responses import Response, read_responses
from ftspec.runs.directory import Attempt
from ftspec.storage import read_json
from ftspec.workflows.reproduction.case import Case, primary_of
from ftspec.workflows.reproduction.verdicts import Verdict

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
        sources = " and ".join(claim.source for claim in known)
        return Verdict("bits", "reproduced", (f"weights {now.digest[:12]} and every answer, equal to {sources}",))
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


def bits_of(case: Case) -> Verdict:
    """Judge a case that was trained and scored again; without recorded answers their scores must be the same."""
    assert case.fresh is not None
    claims, answers = [], []
    if case.attempt is not None:
        claims.append(_weights(case.attempt, f"attempt {case.attempt.path.name}"))
        for suite, before, after in case.scored():
            if before is None:
                case.notes.append(f"{suite.name}: no stored answers to compare with")
                continue
            old, new = read_responses(before / "responses.jsonl"), read_responses(after / "responses.jsonl")
            answers += different_answers(suite.name, old, new)
    else:
        case.notes.append("answers are compared by their score alone: the recorded ones are not here")
        for suite, _, after in case.scored():
            row, value = case.known_score(suite), primary_of(after)[0]
            if row is not None and row.value != value:
                answers.append(f"{suite.name}: {row.metric} {value}, not {row.value} as in results.json")
    if row := next(iter(case.known), None):
        claims.append(Weights(row.weights, row.numerics, "results.json"))
    return judge_bits(claims, _weights(case.fresh, "now"), answers)


def _weights(attempt: Attempt, source: str) -> Weights:
    env = read_json(attempt.path / "env.json")
    return Weights(attempt.results.get("weights_digest"), env.get("numerics"), source)
