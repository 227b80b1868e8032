"""What the raw rows of one source go through before they become messages: `where` chooses, `schema` refuses."""

from collections.abc import Sequence
from typing import Any

from ftspec.data.contract import Contract
from ftspec.data.issues import BadRowError
from ftspec.data.messages import row_object
from ftspec.data.origins import Origin
from ftspec.data.selection import Selection
from ftspec.spec.errors import Problem, Problems, SpecError


class Screen:
    """The `where` and `schema` of one source; `contract` is the schema with its file read, None without one."""

    def __init__(self, origin: Origin, contract: Any) -> None:
        self.skipped = 0
        self.columns: dict[str, str] = {}  # of its first Parquet file
        where = origin.source.where
        self._selection = Selection(where, f"{origin.where}.where") if where else None
        self._contract = Contract(contract, f"{origin.where}.schema") if contract is not None else None

    def keeps(self, raw: bytes | dict[str, Any], file: str, line: int) -> bool:
        """Whether the row is used. Raises BadRowError for one that breaches the schema or is no object."""
        if self._selection is None and self._contract is None:
            return True
        row = row_object(raw, file, line) if isinstance(raw, bytes) else raw
        if self._selection is not None and not self._selection.keeps(row, file):
            self.skipped += 1
            return False
        if self._contract is not None and (problems := self._contract.problems(row, file, line)):
            raise BadRowError(problems)
        return True

    def problems(self) -> list[Problem]:
        """Return what of `where` fits no row, once all were seen."""
        return self._selection.problems() if self._selection is not None else []


def screens(origins: Sequence[Origin], contracts: Sequence[Any]) -> list[Screen]:
    """Return one screen a source. Raises SpecError for every schema that is none."""
    problems = Problems()
    pairs = zip(origins, contracts, strict=True)
    made = [problems.try_to(lambda o=origin, c=contract: Screen(o, c)) for origin, contract in pairs]  # type: ignore[misc]
    problems.raise_as(SpecError)
    return [screen for screen in made if screen is not None]
