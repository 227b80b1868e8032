"""docs/exit-codes.md lists exactly the codes there are."""

import re
from pathlib import Path

from ftspec.spec.errors import Exit


def test_the_table_is_the_enum(repository: Path) -> None:
    rows = re.findall(r"^\| (\d+) \| ([a-z ]+) \|", (repository / "docs" / "exit-codes.md").read_text(), re.MULTILINE)
    assert [(int(code), name) for code, name in rows] == [(e.value, e.name.lower().replace("_", " ")) for e in Exit]
