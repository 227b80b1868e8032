"""Changes of data, once for all runs that share one: totals, sources, rows, samples."""

from collections.abc import Container, Iterable, Sequence

from ftspec.workflows.review import changes as shapes
from ftspec.workflows.review.pairing import Paired
from ftspec.workflows.review.replaced import pair_replaced
from ftspec.workflows.review.rowcounts import counts, samples
from ftspec.workflows.review.rowdiff import diff_rows
from ftspec.workflows.review.rowtexts import RowTexts
from ftspec.workflows.sides import DataSide


def data_changes(paired: Sequence[Paired], show_text: bool, kept: Container[str]) -> Iterable[shapes.Data]:
    """Yield every distinct change of data. A new run of an old experiment is compared with that experiment's data.

    `kept` are files that both revisions hold alike, whichever experiment reads them.
    """
    before: dict[str, list[DataSide]] = {}
    for found in paired:
        if found.old is not None:
            before.setdefault(found.old.experiment, []).append(found.old.data)
    grouped: dict[tuple[str, str, str], tuple[list[str], DataSide | None, DataSide]] = {}
    for found in paired:
        if found.kind not in ("retrain", "new") or found.new is None:
            continue
        new, known = found.new.data, before.get(found.new.experiment, [])
        old = found.old.data if found.old else next((d for d in known if d.digest == new.digest), None)
        old = old or next(iter(known), None)
        if old is not None and (old.digest, old.sources) == (new.digest, new.sources):
            continue
        key = (found.new.experiment, old.digest if old else "", new.digest)
        grouped.setdefault(key, ([], old, new))[0].append(found.new.label)
    for (experiment, _, _), (labels, old, new) in grouped.items():
        yield _data_change(experiment, tuple(labels), old, new, show_text, kept)


def _data_change(
    experiment: str,
    labels: tuple[str, ...],
    old: DataSide | None,
    new: DataSide,
    show_text: bool,
    kept: Container[str],
) -> shapes.Data:
    rows: shapes.Rows | None = None
    shown: tuple[shapes.Sample, ...] = ()
    note = ""
    if old is not None and old.digest != new.digest:
        if old.rows is None or new.rows is None:
            note = "rows unavailable: the data lies outside git and no experiments/NAME.rows is committed on both sides"
        else:
            with RowTexts(old) as before, RowTexts(new) as after:
                compared = pair_replaced(diff_rows(old.rows, new.rows), before, after)
                rows = counts(compared, old.rows, new.rows, before, after)
                shown = tuple(samples(compared, before, after, texts=show_text))
    return shapes.Data(
        experiment=experiment,
        runs=labels,
        old=_totals(old) if old else None,
        new=_totals(new),
        sources=tuple(_sources(old, new, kept)),
        rows=rows,
        note=note,
        samples=shown,
    )


def _totals(data: DataSide) -> shapes.Totals:
    train = data.train

    def rows(role: str) -> int:
        return data.parts[role].rows if role in data.parts else 0

    return shapes.Totals(
        rows=train.rows,
        validation=rows("valid"),
        test=rows("test"),
        messages=train.messages,
        learned_messages=train.learned_messages,
        tokens=train.tokens,
        learned_tokens=train.learned_tokens,
        policy=data.policy,
        counter=data.counter,
    )


def _sources(old: DataSide | None, new: DataSide, kept: Container[str]) -> Iterable[shapes.Source]:
    before = old.sources if old else {path: one for path, one in new.sources.items() if path in kept}
    for path in dict.fromkeys([*before, *new.sources]):
        one, other = before.get(path), new.sources.get(path)
        yield shapes.Source(
            path=path,
            old=one[0] if one else None,
            new=other[0] if other else None,
            rows_old=one[1] if one else None,
            rows_new=other[1] if other else None,
        )
