"""A code explained for people: a few lines on the terminal, and the page docs/lint.md."""

from collections.abc import Iterator

from ftspec.report.style import paint
from ftspec.workflows.explain import Explanation, all_explanations

_HEAD = """\
# Lint

`ftspec validate` checks every row and gives advice. Rules of rows are errors: no bad row reaches a paid job. Lints are
advice, each with a code; `ftspec validate --explain CODE` prints what stands here.

An experiment chooses the level of a lint under `lint`: raising needs no reason, everything else does.

```yaml
lint:
  deferral: error
  near_dup: {level: ignore, reason: customers really write the same}
  no_system: warning          # off until asked for
```

Rates are percent of training rows on which a lint fires in three public data sets (banking77, clinc150, gsm8k),
measured again by a test. Above 1 % a lint is off until an experiment asks for it; `-` looks at no single row. Lints of
texts look at a stable sample of data sets beyond 20,000 rows or 8 MB; repeated rows, leaks and secrets are searched in
all rows. What was found is kept by content, so that it is looked for once.

This page is written from the lints themselves.
"""


def explanation_lines(found: Explanation, *, colour: bool) -> Iterator[str]:
    """Yield a code in full."""
    yield f"{paint(found.code, 'bold', colour)}   {found.level}   {found.says}"
    yield f"{paint('why', 'dim', colour)}      {found.practice}"
    if found.formula != found.practice:
        yield f"{paint('fires', 'dim', colour)}    {found.formula}"
    if found.rates is not None:
        rates = ", ".join(f"{name} {rate:g} %" for name, rate in found.rates.items())
        yield f"{paint('rates', 'dim', colour)}    {rates} of the rows"
    if found.fix:
        yield f"{paint('do', 'dim', colour)}       {found.fix}"
    yield f"{paint('source', 'dim', colour)}   {found.source}"
    if found.kind == "lint":
        level = "warning" if found.level in ("hint", "off") else "error"
        yield f"{paint('level', 'dim', colour)}    lint: {{{found.code}: {level}}}, or {{level: ignore, reason: ...}}"


def page() -> str:
    """Return docs/lint.md."""
    found = list(all_explanations())
    lines = [_HEAD]
    for title, kind, formula in (("Lints of data", "lint", True), ("Other lints", "lint", False)):
        chosen = [one for one in found if one.kind == kind and (one.formula != one.says) == formula]
        lines += [f"## {title}", ""]
        for one in chosen:
            lines += _section(one)
    lines += ["## Rules of rows", "", "| code | what is wrong | rule | source |", "|---|---|---|---|"]
    rules = [one for one in found if one.kind == "rule"]
    lines += [f"| `{one.code}` | {one.says} | {one.practice} | {one.source} |" for one in rules]
    return "\n".join(lines) + "\n"


def _section(one: Explanation) -> list[str]:
    rates = "-" if one.rates is None else ", ".join(f"{rate:g}" for rate in one.rates.values())
    fires = [f"- fires when {one.formula}", f"- rates: {rates}"] if one.formula != one.says else []
    fix = [f"- do: {one.fix}"] if one.fix else []
    says = f"{one.says[0].upper()}{one.says[1:]}. {one.practice}"
    return [f"### `{one.code}` ({one.level})", "", says, "", *fires, *fix, f"- source: {one.source}", ""]
