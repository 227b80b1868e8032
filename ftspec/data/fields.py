"""Fields before they are filled in: `extract` makes some of others by patterns, `replace` gives values other texts."""

import difflib
from collections.abc import Mapping
from typing import Any

from ftspec.data import template
from ftspec.data.issues import BadRowError
from ftspec.data.lacking import Lacking, Unmet
from ftspec.spec.errors import Problem, SpecError

REGEX_SECONDS = 1.0
_MOST_SEEN = 1000


class Fields:
    """The compiled patterns and the tables. Raises SpecError for a pattern that does not compile or names no group."""

    def __init__(self, patterns: Mapping[str, str], replace: Mapping[str, Mapping[str, str]]) -> None:
        import regex

        self.lacking = Lacking()
        self._replace = replace
        self._seen: dict[str, set[str]] = {field: set() for field in replace}
        self._unmet = Unmet({field: _at("replace", field) for field in replace}, "replace")
        self._patterns: list[tuple[template.Place, Any]] = []
        made: dict[str, str] = {}
        problems = []
        for field, pattern in patterns.items():
            path = _at("extract", field)
            try:
                compiled = regex.compile(pattern)
            except regex.error as error:
                problems.append(Problem("extract", f"the pattern does not compile: {error}", path))
                continue
            if not compiled.groupindex:
                fix = "name what it finds: (?P<final>...)"
                problems.append(Problem("extract", "the pattern has no named group", path, fix=fix))
            for name in compiled.groupindex:
                if name in made:
                    problems.append(Problem("extract", f"{made[name]} makes a field {name!r} too", path))
                made[name] = field
            self._patterns.append((template.path_or_name(field), compiled))
        if problems:
            raise SpecError.many(problems)

    def __call__(self, row: Mapping[str, Any], file: str, line: int) -> dict[str, Any]:
        """Return the row with its new fields and texts. Raises BadRowError where a field has another form.

        A field that is missing is taken down in `lacking`, and the error then holds no problem of its own.
        """
        fields = dict(row)
        problems: list[Problem] = []
        whole = True
        for place, pattern in self._patterns:
            field = place.path
            if (value := self._source_of(place, row, file, line)) is None:
                whole = False
                continue
            try:
                found = pattern.search(template.text_of(value), timeout=REGEX_SECONDS)
            except TimeoutError:
                message = f"the pattern for {field} needs more than {REGEX_SECONDS:g} s for this row"
                fix = "make it simpler (nested repeats are slow)"
                problems.append(Problem("regex_timeout", message, "", file, line, fix=fix))
                continue
            if found is None:
                message = f"{field} does not match the pattern of dataset.extract"
                problems.append(Problem("extract", message, "", file, line))
                continue
            for name, text in found.groupdict().items():
                if name in row:
                    problems.append(Problem("extract", f"the row has a field {name!r} already", "", file, line))
                fields[name] = text
        if problems or not whole:
            raise BadRowError(problems)
        self._unmet.see(fields)
        for field, table in self._replace.items():
            value = fields.get(field)
            if isinstance(value, str):
                if value in table:
                    fields[field] = table[value]
                if len(self._seen[field]) < _MOST_SEEN or value in table:
                    self._seen[field].add(value)
        return fields

    def _source_of(self, place: template.Place, row: Mapping[str, Any], file: str, line: int) -> Any:
        """Return the value to extract from, or None after taking down that there is none."""
        where = _at("extract", place.path)
        try:
            value = row[place.path] if place.path in row else place.find(row)
        except template.MissingFieldError:
            self.lacking.missing(where, place, row, file, line)
            return None
        if value is None:
            self.lacking.null(where, place, file, line)
        return value

    def problems(self) -> list[Problem]:
        """Return the fields and the values of `replace` that no row has, once all rows were seen."""
        found = self._unmet.problems()
        absent = {problem.path for problem in found}
        for field, table in self._replace.items():
            path = _at("replace", field)
            for value in table if path not in absent else ():
                if value not in self._seen[field]:
                    near = difflib.get_close_matches(value, sorted(self._seen[field]), n=1)
                    fix = f"did you mean {near[0]}?" if near else ""
                    found.append(Problem("replace", f"no row has {value!r} in {field}", path, fix=fix))
        return found


def _at(key: str, field: str) -> str:
    """Return the path of a field in the spec; a name with dots of its own stands in brackets."""
    return f"dataset.{key}[{field}]" if "." in field else f"dataset.{key}.{field}"
