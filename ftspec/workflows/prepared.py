"""The data of one run, rendered: with the counter and the limits of its provider, in the project's cache."""

from ftspec.compose import Project
from ftspec.data import Prepared, RowRules, TokenCounter, prepare
from ftspec.spec.experiment import Experiment
from ftspec.workflows.identity import row_rules, token_counter


def facts_of(experiment: Experiment) -> tuple[TokenCounter, RowRules]:
    """Return what a provider counts tokens by, and what rows it takes."""
    return token_counter(experiment.provider, experiment.model), row_rules(experiment.provider, experiment.method.type)


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
