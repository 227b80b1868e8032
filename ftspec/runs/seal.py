"""Seals: a `SEALED` file in `sha256sum` format, written last, so that `sha256sum -c SEALED` verifies without ftspec."""

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ftspec.spec.errors import DataError
from ftspec.storage import sha256_file, write_atomic

SEAL = "SEALED"
_LINE = re.compile(r"^([0-9a-f]{64})  (\S.*)$")
Fault = Literal["changed", "missing", "unsealed", "broken"]


@dataclass(frozen=True)
class Broken:
    """One file that no longer is what was sealed; `file` is relative to the sealed folder."""

    file: str
    fault: Fault

    def __str__(self) -> str:
        return f"{self.file}: {self.fault}"


def seal(folder: Path, outside: Iterable[str] = ()) -> str:
    """Seal every file below `folder` and the `outside` ones (relative paths such as `../../run.json`).

    Returns the hex sha256 of the seal itself. Temp files of killed writers (leading dot) are not part of it.
    """
    inside = [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != SEAL and not path.name.startswith(".")
    ]
    lines = [f"{sha256_file(folder / name)}  {name}\n" for name in sorted([*inside, *outside])]
    text = "".join(lines)
    write_atomic(folder / SEAL, text)
    return hashlib.sha256(text.encode()).hexdigest()


def is_sealed(folder: Path) -> bool:
    """Whether the folder was finished; its bytes are checked by `broken`."""
    return (folder / SEAL).is_file()


def seal_digest(folder: Path) -> str:
    """Return the hex sha256 of a seal. Raises DataError where there is none."""
    try:
        return sha256_file(folder / SEAL)
    except FileNotFoundError as error:
        raise DataError("unsealed", f"{folder} was never finished", file=str(folder)) from error


def sealed_files(folder: Path) -> dict[str, str]:
    """Return path to hex sha256 as sealed. Raises DataError for a seal that is not one."""
    files = {}
    for number, line in enumerate((folder / SEAL).read_text("utf-8").splitlines(), 1):
        match = _LINE.match(line)
        if match is None:
            raise DataError("broken_seal", f"line {number} is no checksum line", file=str(folder / SEAL), line=number)
        files[match[2]] = match[1]
    return files


def broken(folder: Path, sha256: Callable[[Path], str] = sha256_file) -> list[Broken]:
    """Hash every sealed file again, by `sha256`, and list what differs; an empty list means intact."""
    if not is_sealed(folder):
        return [Broken(SEAL, "unsealed")]
    try:
        expected = sealed_files(folder)
    except (DataError, UnicodeDecodeError):
        return [Broken(SEAL, "broken")]
    found = []
    for name, sealed in expected.items():
        path = folder / name
        if not path.is_file():
            found.append(Broken(name, "missing"))
        elif sha256(path) != sealed:
            found.append(Broken(name, "changed"))
    return found
