"""What a lint or a rule of rows means: the practice behind a code, its formula, source and measured rates."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

from ftspec.data.lint.catalogue import CATALOGUE
from ftspec.data.lint.row_rules import ROW_RULES
from ftspec.spec.errors import UsageError
from ftspec.spec.lint import LINTS

DATA_SETS = ("banking77", "clinc150", "gsm8k")

# The lints of other rooms: level, practice, source.
_OTHERS: dict[str, tuple[str, str, str]] = {
    "alias": ("hint", "One name for one thing: a reader should not need to know another tool to review a mask. "
              "`ftspec validate --fix` rewrites it.", "docs of the tools named in docs/weights.md"),
    "create_closed": ("warning", "An experiment must be able to run again after the day on which its provider stops.",
                      "lifecycle dates of the provider's profile"),
    "equal_samples": ("warning", "Temperature 0 gives one answer: asking again is paid and says nothing about "
                      "spread.", "OpenAI, API reference, temperature"),
    "export_off": ("warning", "Evidence has to be fetched before it can no longer be.", "dates of the profile"),
    "few_shots": ("warning", "An arm with fewer examples than it says is another arm.", "the suite's own words"),
    "folds_left_out": ("warning", "Pooled scores are to say how a recipe does on all rows; without every fold "
                       "they say it of those that were held out.", "docs/spec.md"),
    "inference_off": ("warning", "A model that stops answering takes its scores with it.", "dates of the profile"),
    "keep_until": ("warning", "A date that nobody can confirm is no promise.", "the provider's profile"),
    "no_base_arm": ("warning", "Without the base model's score nobody knows what training added.",
                    'OpenAI, talk "Fine-Tuning OpenAI Models - Best Practices"'),
    "no_baseline": ("warning", "A comparison needs a named side to compare with.",
                    "Dror et al. 2018, Testing Statistical Significance in Natural Language Processing"),
    "read_only": ("warning", "A provider that becomes read-only trains nothing more.", "dates of the profile"),
    "sweep_without_auto": ("warning", "Real jobs resolved the multiplier to 1.8 and 2, ten to a hundred times what is "
                           "usually swept: `auto` shows where the host stands.", "real OpenAI jobs, 2024"),
    "text_is_path": ("warning", "A model asked with a file's name instead of its text has no instructions; scores "
                     "drop and nothing says why.", "docs/spec.md"),
    "unknown_model": ("warning", "A typing error in a model's name costs a failed job.", "models of the profile"),
    "unpinned_source": ("warning", "What was trained on can be had again only where its name means the same bytes "
                        "tomorrow: name a revision, or keep a copy.", "docs/data.md"),
    "unusual_rate": ("warning", "A rate far outside the usual is more often a unit mixed up (multiplier or absolute) "
                     "than a finding.", "rate facts of the profile"),
}  # fmt: skip


@dataclass(frozen=True)
class Explanation:
    """All that is known of one code. `rates` maps public data sets to percent of rows, None where no row is judged."""

    code: str
    kind: str
    level: str
    says: str
    practice: str
    formula: str
    source: str
    rates: dict[str, float] | None = None
    fix: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape of `validate --explain --json`."""
        return {"schema": 1, **asdict(self)}


def explain(code: str) -> Explanation:
    """Return what a code means. Raises UsageError for one that there is not."""
    if code in CATALOGUE:
        lint = CATALOGUE[code]
        rates = None if lint.rates is None else dict(zip(DATA_SETS, lint.rates, strict=True))
        level = "off" if lint.level == "ignore" else lint.level
        return Explanation(code, "lint", level, lint.says, lint.practice, lint.formula, lint.source, rates, lint.fix)
    if code in LINTS:
        other, practice, source = _OTHERS[code]
        return Explanation(code, "lint", other, LINTS[code], practice, LINTS[code], source)
    if code in ROW_RULES:
        rule = ROW_RULES[code]
        return Explanation(code, "rule", "error", rule.says, rule.rule, rule.rule, rule.source)
    near = get_close_matches(code, codes(), n=1)
    fix = f"did you mean {near[0]}?" if near else "docs/lint.md lists all codes"
    raise UsageError("unknown_lint", f"there is no lint or row rule {code!r}", fix=fix)


def codes() -> list[str]:
    """Return every code that can be explained: lints of data, other lints, rules of rows."""
    return [*CATALOGUE, *(code for code in LINTS if code not in CATALOGUE), *ROW_RULES]


def all_explanations() -> Iterator[Explanation]:
    """Yield every explanation, in the order of `codes`."""
    return map(explain, codes())
