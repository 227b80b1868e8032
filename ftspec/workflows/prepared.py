"""The data of one run, rendered: with the counter and the limits of its provider, in the project's cache."""

from collections.abc import Iterable
from typing import Any

from ftspec.compose import Project
from ftspec.data import Prepared, RowRules, TokenCounter, prepare
from ftspec.providers.profiles import load_profile, mask_problems
from ftspec.spec.errors import Problem
from ftspec.spec.experiment import Experiment
from ftspec.workflows.identity import row_rules, token_counter


def facts_of(experiment: Experiment) -> tuple[TokenCounter, RowRules]:
    """Return what a provider counts tokens by, and what rows it takes."""
    provider, model = experiment.provider, experiment.model
    return token_counter(provider, model), row_rules(provider, model, experiment.method.type)


def prepare_data(project: Project, experiment: Experiment) -> Prepared:
    """Render the data of an experiment. Raises what `ftspec.data.prepare` does."""
    counter, limits = facts_of(experiment)
    return prepare(
        experiment.dataset,
        experiment.weights,
        root=project.root,
        counter=counter,
        cache=project.cache,
        format=limits,
    )


def is_masked(prepared: Prepared) -> bool:
    """Whether any row is learned otherwise than hosts learn by themselves (every assistant message)."""
    return any(line.raised or line.lowered for line in prepared.proof.lines)


def unkept_masks(prepared: Prepared, experiment: Experiment) -> Iterable[Problem]:
    """Return an error where the data needs a mask that the provider is not known to obey."""
    return mask_problems(load_profile(experiment.provider.profile)) if is_masked(prepared) else ()


def mask_facts(prepared: Prepared, experiment: Experiment) -> dict[str, Any]:
    """Return how masks reach the provider, and how that is known, as a run keeps it.

    `exact`: no row needs one. `native`: the host obeys weights, by the evidence of its profile.
    """
    if not is_masked(prepared):
        return {"mask": "exact", "evidence": None}
    facts = load_profile(experiment.provider.profile).mask
    return {"mask": facts.mode, "evidence": facts.evidence}
