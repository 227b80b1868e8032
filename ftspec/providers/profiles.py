"""The profiles that ship with ftspec, and what an experiment may ask of them. Imports neither openai nor numpy."""

import difflib
from collections.abc import Iterable
from datetime import date
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ftspec.providers.body import both_rates, guard, hyperparameter_fields, misplaced_rate
from ftspec.spec.errors import FtspecError, Problem, SpecError
from ftspec.spec.experiment import Hyperparameters, Provider
from ftspec.spec.profile import Profile

_FOLDER = Path(__file__).parent / "profiles"
# libyaml reads our own files in a tenth of the time; where PyYAML was built without it, its own reader does.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def profile_ids() -> tuple[str, ...]:
    """Return the ids of all profiles, the embedded one first."""
    return tuple(sorted((path.stem for path in _FOLDER.glob("*.yaml")), key=lambda name: (name != "embedded", name)))


def load_profile(profile_id: str) -> Profile:
    """Return a profile. Raises SpecError `unknown_profile` with the nearest name."""
    if profile_id not in profile_ids():
        near = difflib.get_close_matches(profile_id, profile_ids(), n=1)
        known = ", ".join(profile_ids())
        raise SpecError(
            "unknown_profile",
            f"there is no provider profile {profile_id!r}",
            path="provider.profile",
            fix=(f"did you mean {near[0]}? " if near else "") + f"known: {known}",
        )
    return _load(profile_id)


@cache
def _load(profile_id: str) -> Profile:
    path = _FOLDER / f"{profile_id}.yaml"
    try:
        profile = Profile.model_validate(yaml.load(path.read_text(), Loader=_Loader))
    except (ValidationError, yaml.YAMLError) as error:
        raise SpecError(
            "broken_profile", f"the profile {profile_id} cannot be read: {error}", file=str(path)
        ) from error
    if profile.id != profile_id:
        raise SpecError("broken_profile", f"the profile's id is {profile.id!r}, not {profile_id!r}", file=str(path))
    return profile


def models_of(profile: Profile) -> tuple[str, ...]:
    """Return the base models that a profile is known to train; the embedded engine is asked for its own."""
    if profile.family == "embedded":
        from ftspec.engine.bases import ALIASES, BASES

        return (*ALIASES, *BASES)
    return tuple(profile.models.trains)


def training_price(profile: Profile, model: str) -> float | None:
    """Return US dollars per million training tokens; None where no price is on file, which is never 0."""
    for price in profile.prices:
        if price.item == "training" and any(fnmatchcase(model, pattern) for pattern in price.models):
            return price.usd
    return None


def check(
    provider: Provider,
    model: str,
    hyperparameters: Hyperparameters,
    *,
    method: str = "supervised",
    rows: int | None = None,
    masked: bool = False,
    keep_until: str | None = None,
    today: date | None = None,
) -> list[Problem]:
    """Return every problem between an experiment and its provider's facts, warnings included.

    `rows` counts training rows where known; `masked` says that some assistant message has weight 0 in a row with
    another of weight 1; `keep_until` is the ISO day until which the tuned model must answer. Asks nobody: a
    `{env: NAME}` is looked up by `connect` alone.
    """
    try:
        profile = load_profile(provider.profile)
    except SpecError as error:
        return list(error.problems)
    found = [
        *_address_problems(provider, profile),
        *_model_problems(provider, profile, model),
        *_rate_problems(profile, hyperparameters),
        *_data_problems(profile, method, rows, masked),
        *lifecycle_warnings(profile, model, today or date.today()),
        *_keep_problems(profile, model, keep_until),
    ]
    return found


def _address_problems(provider: Provider, profile: Profile) -> Iterable[Problem]:
    if profile.address.in_process:
        for key in ("base_url", "auth"):
            if getattr(provider, key) is not None:
                yield Problem(
                    "no_effect",
                    f"{key} has no effect: {profile.id} runs here, without network or key",
                    path=f"provider.{key}",
                    fix="remove it, or set provider.profile: openai_compatible",
                )
    elif provider.base_url is None and profile.address.base_url is None:
        yield Problem(
            "missing_base_url",
            f"{profile.id} has no address of its own",
            path="provider.base_url",
            fix="set provider.base_url: https://..., or {env: NAME}",
        )


def _model_problems(provider: Provider, profile: Profile, model: str) -> Iterable[Problem]:
    """Yield an error for a model that cannot be trained there, a warning for one that is not on an open list.

    The embedded engine's own models are trained by no host, however open its list is: they are what a switch of the
    provider forgets. At an address of the user's own `ftspec serve` may answer.
    """
    if profile.family == "embedded":
        from ftspec.engine.bases import resolve

        try:
            resolve(model)
        except FtspecError:
            yield _unknown_model(profile, model, "error")
    elif not profile.models.match(model):
        ours = provider.base_url is None and model in models_of(load_profile("embedded"))
        if not profile.models.open or (ours and profile.models.trains):
            yield _unknown_model(profile, model, "error")
        elif profile.models.trains:
            yield _unknown_model(profile, model, "warning")


def _unknown_model(profile: Profile, model: str, severity: str) -> Problem:
    names = models_of(profile)
    near = difflib.get_close_matches(model, names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    trains = "it is known to train" if profile.models.open else "it trains"
    certainty = "does not train" if severity == "error" else "is not known to train"
    return Problem(
        "unknown_model",
        f"{profile.id} {certainty} {model!r}",
        path="model",
        fix=f"{hint}{trains} {', '.join(names)}",
        severity=severity,
    )


def _rate_problems(profile: Profile, hyperparameters: Hyperparameters) -> Iterable[Problem]:
    asked = {key: value for key, value in hyperparameters.model_dump().items() if value is not None}
    if (problem := both_rates(asked)) is not None:
        return [problem]
    if (problem := misplaced_rate(profile, asked)) is not None:
        return [problem]
    return guard(profile, {"hyperparameters": hyperparameter_fields(profile, asked)})


# Methods that a spec can name and that no shipped profile trains, with the reason.
_NOT_TRAINED = {
    "dpo": "its rows are checked and written, but no host was seen to take them and the embedded engine cannot learn "
    "from preferences",
    "reinforcement": "it learns from graders that run at the host, not from answers, and ftspec hands none over; the "
    "schema alone knows it",
}


def _data_problems(profile: Profile, method: str, rows: int | None, masked: bool) -> Iterable[Problem]:
    if method not in profile.methods:
        why = _NOT_TRAINED.get(method, f"{profile.id} does not know it")
        fix = f"with {profile.id} ftspec trains {', '.join(profile.methods)}"
        yield Problem("unknown_method", f"{method} is not trained: {why}", path="method.type", fix=fix)
    if rows is not None and rows < profile.data.min_rows:
        yield Problem(
            "n_rows",
            f"{rows} training rows; {profile.id} takes {profile.data.min_rows} or more",
            path="dataset",
            fix="give it more examples",
        )
    if masked:
        yield from mask_problems(profile)


def mask_problems(profile: Profile) -> Iterable[Problem]:
    """Yield an error where a host does not obey weights, or nobody knows: a mask is never dropped silently."""
    if profile.mask.mode != "native":
        word = "drops weights" if profile.mask.mode == "none" else "is not known to obey weights"
        yield Problem(
            "mask_not_native",
            f"{profile.id} {word}, and these rows mask some assistant messages",
            path="weights",
            fix="train every assistant message (weights=assistant), or choose a provider with native masks",
        )


def _keep_problems(profile: Profile, model: str, keep_until: str | None) -> Iterable[Problem]:
    """Yield an error where the model goes dark on an exact day before `keep_until`, a warning on a vague one."""
    if keep_until is None or profile.address.in_process:  # weights trained here are kept with the run
        return
    rows = [row for row in profile.lifecycle if row.effect == "inference_off"]
    rows = [row for row in rows if any(fnmatchcase(model, pattern) for pattern in row.models)]
    for row in rows:
        if row.date < date.fromisoformat(keep_until):
            when = "on" if row.edge == "exact" else "about"
            yield Problem(
                "keep_until",
                f"{profile.title}: {model} stops answering {when} {row.date.isoformat()}, before {keep_until}",
                path="keep_until",
                fix=f"another provider or an earlier day; source: {row.source}, read on {row.read_on.isoformat()}",
                severity="error" if row.edge == "exact" else "warning",
            )
    if not rows:
        message = f"no day is on file on which {profile.title} retires {model}, so keep_until cannot be checked"
        yield Problem("keep_until", message, path="keep_until", severity="hint")


def lifecycle_warnings(profile: Profile, model: str, today: date) -> list[Problem]:
    """Return what the calendar says about a model. Warnings only: the host itself is a better source than a table."""
    found = []
    for row in profile.lifecycle:
        if not any(fnmatchcase(model, pattern) for pattern in row.models):
            continue
        when = {"exact": "on", "not_before": "not before", "ambiguous": "about"}[row.edge]
        who = {"everyone": "", "new_customers": ", for new customers", "inactive_customers": ", for inactive customers"}
        what = {
            "create_closed": "no new fine-tuning jobs",
            "inference_off": "models stop answering",
            "read_only": "becomes read-only",
            "export_off": "export ends",
        }[row.effect]
        tense = "since" if row.date <= today and row.edge == "exact" else when
        note = f" ({row.note})" if row.note else ""
        found.append(
            Problem(
                row.effect,
                f"{profile.title}: {what}{who[row.scope]} {tense} {row.date.isoformat()}{note}",
                path="provider.profile",
                fix=f"source: {row.source}, read on {row.read_on.isoformat()}",
                severity="warning",
            )
        )
    return found


def facts(profile: Profile) -> dict[str, Any]:
    """Return the profile as plain JSON values, as it is digested into an attempt."""
    return profile.model_dump(mode="json")
