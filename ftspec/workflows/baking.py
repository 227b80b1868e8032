"""Ask the teacher of `dataset.bake` what no kept answer says yet; answers are kept as they come, asked for once."""

import asyncio
import json
from collections.abc import Sequence

from ftspec.compose import Project, load
from ftspec.data.baking import Question, keep_answers, unanswered
from ftspec.providers.connect import connect
from ftspec.providers.profiles import load_profile
from ftspec.spec.dataset import Bake
from ftspec.spec.errors import DataError, GateError
from ftspec.spec.events import Emit, Notice
from ftspec.workflows.identity import engine_identity

_AT_ONCE = 8
_KEEP_EVERY = 32


async def bake(project: Project, name: str, overrides: Sequence[str], emit: Emit, *, paid: bool) -> None:
    """Bake every data set of an experiment. Raises GateError for a teacher that costs, unless `paid`; ProviderError."""
    points = load(project, name, overrides).points
    for point in {repr(point.config["dataset"]): point for point in points}.values():
        dataset = point.experiment.dataset
        if dataset.bake is None:
            continue
        missing = unanswered(dataset, point.experiment.weights, project.root, project.cache)
        if not missing:
            continue
        teacher = dataset.bake.provider.profile
        if not paid and not load_profile(teacher).address.in_process:
            message = f"{len(missing):,} answers of {dataset.bake.model} ({teacher}) are to be paid for"
            raise GateError("not_confirmed", message, path="dataset.bake", fix="give --yes to spend it")
        emit(Notice(level="info", code="bake", message=f"asking {dataset.bake.model} for {len(missing):,} answers"))
        await _ask(project, dataset.bake, missing)


async def _ask(project: Project, bake: Bake, missing: Sequence[Question]) -> None:
    path = project.root / bake.into
    kept = path.read_bytes() if path.is_file() else b""
    model = engine_identity(bake.provider, bake.model).model
    async with connect(bake.provider, state=project.embedded) as connection:
        silent: list[Question] = []
        for first in range(0, len(missing), _KEEP_EVERY):
            some = missing[first : first + _KEEP_EVERY]
            gate = asyncio.Semaphore(_AT_ONCE)

            async def one(asked: Question, gate: asyncio.Semaphore = gate) -> str:
                async with gate:
                    return _text(await connection.post_chat({"model": model, **asked.body}))

            answers = await asyncio.gather(*(one(asked) for asked in some))
            silent += [asked for asked, answer in zip(some, answers, strict=True) if not answer]
            kept = keep_answers(path, kept, [pair for pair in zip(some, answers, strict=True) if pair[1]], bake)
    if silent:
        last = str(silent[0].body["messages"][-1].get("content"))[:60]
        message = f"{bake.model} gave no text to {len(silent):,} of {len(missing):,} questions, first: {last!r}"
        fix = "change its prompt, or leave these rows out; the other answers are kept"
        raise DataError("no_answer", message, path="dataset.bake", fix=fix)


def _text(content: bytes) -> str:
    try:
        text = json.loads(content)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError("baked", f"the teacher's answer cannot be read: {error}", path="dataset.bake") from error
    return text if isinstance(text, str) else ""
