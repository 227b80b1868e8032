"""Drift: one model name answered under several system fingerprints, so that its answers may be those of two models."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ftspec.evals.responses import Response
from ftspec.evals.scores import Scores


def fingerprints_of(responses: Sequence[Response]) -> dict[str, dict[str, int]]:
    """Return by arm how many answers came under each system fingerprint; answers without one are left out."""
    found: dict[str, Counter[str]] = {}
    for response in responses:
        if response.fingerprint:
            found.setdefault(response.arm, Counter())[response.fingerprint] += 1
    return {arm: dict(sorted(counts.items())) for arm, counts in found.items()}


def drift_of(scores: Iterable[Scores]) -> list[str]:
    """Return a sentence for each model that answered under more than one fingerprint, with where each was seen."""
    seen: dict[str, dict[str, dict[str, None]]] = {}
    for suite in scores:
        for arm, result in suite.arms.items():
            if result.model is not None:
                for fingerprint in result.fingerprints:
                    seen.setdefault(result.model, {}).setdefault(fingerprint, {})[f"{suite.suite}/{arm}"] = None
    return [_sentence(model, places) for model, places in seen.items() if len(places) > 1]


def _sentence(model: str, places: Mapping[str, Mapping[str, None]]) -> str:
    told = "; ".join(f"{fingerprint} ({', '.join(where)})" for fingerprint, where in places.items())
    return f"{model} answered under {len(places)} fingerprints, as if two models had: {told}"
