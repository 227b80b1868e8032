"""Runs and the store that a team shares: `push`, `pull`, and what `run` pushes by itself."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from ftspec.compose import Project, load
from ftspec.runs import exchange
from ftspec.runs.admission import Admitted
from ftspec.runs.directory import RunDirectory
from ftspec.runs.parcels import Parcel, baseline_parcels, parcel_name, parcels_of, sealed_folders
from ftspec.runs.seal import seal_digest
from ftspec.spec.errors import DataError, FtspecError, Problem, StaleError, UnsafeError, UsageError
from ftspec.storage import AppendLog, read_log
from ftspec.storage.stores import Store, open_store
from ftspec.workflows.moving import SCHEMA, admitted_json, gather

Told = Callable[[str], None]


@dataclass(frozen=True)
class Pushed:
    """What a push sent, what the stores held already, and what stayed behind."""

    sent: tuple[str, ...]
    held: tuple[str, ...]
    bytes: int
    left: tuple[Problem, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape of docs/json.md."""
        return {
            "schema": SCHEMA,
            "sent": list(self.sent),
            "held": list(self.held),
            "bytes": self.bytes,
            "left": [problem.to_json() for problem in self.left],
        }


@dataclass(frozen=True)
class Pulled:
    """What a pull let in or kept apart, and the parcels that were refused."""

    admitted: tuple[Admitted, ...]
    refused: tuple[Problem, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape of docs/json.md."""
        return {
            "schema": SCHEMA,
            "folders": [admitted_json(one) for one in self.admitted],
            "refused": [problem.to_json() for problem in self.refused],
        }


def stores_of(project: Project, experiments: Sequence[str]) -> dict[str, str]:
    """Return the store of each experiment that names one. Raises SpecError for one that does not compose."""
    found = {name: load(project, name).experiment.store for name in experiments}
    return {name: store for name, store in found.items() if store is not None}


def push_runs(project: Project, names: Sequence[str], address: str | None, told: Told = lambda _: None) -> Pushed:
    """Push what is sealed and named (everything by default) to `address`, or to each experiment's own `store:`.

    Raises UsageError where no store is known, StorageError where one cannot be reached: what was sent by then stays.
    """
    gathered = gather(project.runs, names)
    left = [problem for problem in gathered.left if problem.code != "unsealed"]
    by_experiment: dict[str, list[Parcel]] = {}
    for parcel in gathered.parcels:
        by_experiment.setdefault(parcel.folder.split("/")[0], []).append(parcel)
    known = project.experiment_names()
    stores = dict.fromkeys(by_experiment, address) if address else _stores(project, by_experiment, known)
    sent: list[str] = []
    held: list[str] = []
    total = 0
    for experiment, parcels in by_experiment.items():
        if (chosen := stores.get(experiment)) is None:
            left.append(Problem("no_store", f"{experiment} names no store", fix="set `store:`, or give --to"))
            continue
        store = open_store(chosen, project.root)
        there = store.names(f"runs/{experiment}/")
        held += [parcel.folder for parcel in parcels if parcel.name in there]
        for parcel, size in exchange.push(store, project.runs, (p for p in parcels if p.name not in there)):
            told(f"sent   {parcel.folder}")
            sent.append(parcel.folder)
            total += size
    return Pushed(tuple(sent), tuple(held), total, tuple(left))


def _stores(project: Project, experiments: Iterable[str], known: Sequence[str]) -> dict[str, str | None]:
    stores = stores_of(project, [name for name in experiments if name in known])
    if not stores:
        fix = "set `store:` in the experiment, or give --to (--from when pulling)"
        raise UsageError("no_store", "no experiment here names a store", fix=fix)
    return dict(stores)


def pull_runs(project: Project, names: Sequence[str], address: str | None, told: Told = lambda _: None) -> Pulled:
    """Pull the runs of the experiments named (all by default) from `address`, or from each one's own `store:`.

    Raises UsageError where no store is known, StorageError where one cannot be reached or the disk is full.
    """
    chosen = [project.name_of(name) for name in names] if names and address is None else list(names)
    if address is None:
        experiments = chosen or project.experiment_names()
        stores = {name: store for name, store in _stores(project, experiments, experiments).items() if store}
    else:
        stores = dict.fromkeys(chosen or exchange.experiments_of(open_store(address, project.root)), address)
    admitted: list[Admitted] = []
    refused: list[Problem] = []
    for experiment, place in stores.items():
        store = open_store(place, project.root)
        for name in exchange.lacking(store, project.runs, [experiment]):
            try:
                found = exchange.pull(store, project.runs, name)
            except (DataError, UnsafeError, StaleError) as error:
                refused += (Problem(p.code, f"{name}: {p.message}", fix=p.fix) for p in error.problems)
            else:
                admitted += found
                for one in found:
                    told(f"{one.how.ljust(6)} {one.folder}" + (f"   {one.note}" if one.note else ""))
    return Pulled(tuple(admitted), tuple(refused))


class Shipping:
    """What one call of `run` pushes, from any thread: each run once it is sealed, and what an earlier call could not.

    What a store is known to hold is noted in `runs/.store/pushed/`, so that a run with nothing to do asks nobody.
    """

    def __init__(self, project: Project, address: str) -> None:
        self.project, self.address = project, address
        self.problems: dict[str, Problem] = {}
        self._store: Store | None = None
        self._turn = Lock()
        name = hashlib.sha256(address.encode()).hexdigest()[:16]
        self._noted = project.store / "pushed" / f"{name}.jsonl"

    def run(self, run: RunDirectory) -> None:
        """Push a run's sealed attempts and scores."""
        with self._turn:
            self._ship(run.path, lambda: parcels_of(run))

    def baselines(self, experiment: str) -> None:
        """Push an experiment's sealed baselines."""
        runs = self.project.runs
        with self._turn:
            self._ship(runs / experiment / "baselines", lambda: baseline_parcels(runs, experiment))

    def _ship(self, folder: Path, parcels: Callable[[], Iterator[Parcel]]) -> None:
        """Push what is not known to be there; a failure is kept in `problems` and stops nothing else."""
        try:
            if not self._news(folder):
                return
            store = self._store = self._store or open_store(self.address, self.project.root)
            noted = self._known()
            wanted = [parcel for parcel in parcels() if parcel.name not in noted]
            there = {parcel.name for parcel in wanted if store.has(parcel.name)}
            self._note(there)
            for parcel, _ in exchange.push(store, self.project.runs, (p for p in wanted if p.name not in there)):
                self._note({parcel.name})
        except FtspecError as error:
            self.problems |= {str(problem): problem for problem in error.problems}

    def _news(self, folder: Path) -> bool:
        noted = self._known()
        runs = self.project.runs
        names = (parcel_name(p.relative_to(runs).as_posix(), seal_digest(p)) for p in sealed_folders(runs, folder))
        return any(name not in noted for name in names)

    def _known(self) -> set[str]:
        with suppress(FtspecError, OSError):
            return {str(line) for line in read_log(self._noted)}
        return set()

    def _note(self, names: Iterable[str]) -> None:
        with suppress(FtspecError), AppendLog(self._noted) as log:
            for name in sorted(names):
                log.append(name)
