"""All lints of data, by code."""

from ftspec.data.lint import answers, damage, duplicates, overlap, private, sets, turns
from ftspec.data.lint.definition import Lint

DEAD_RULE = Lint(
    code="dead_rule",
    level="warning",
    practice="A rule that decides nothing is a typing error or a left-over: the reviewer believes that something is "
    "masked which is learned.",
    formula="a rule of weights.rules matches no message, or every message it matches was decided before it (by the "
    "data or an earlier rule)",
    source="the proof table of the masks really written",
    check=None,
    found_by="ftspec.data.proof",
    fix="remove it, correct its match, or move it up",
)

CATALOGUE: dict[str, Lint] = {
    lint.code: lint
    for lint in sorted(
        (
            DEAD_RULE,
            answers.DEFERRAL,
            answers.NEW_FACTS,
            damage.BROKEN_TEXT,
            damage.DUP_KEY,
            duplicates.CONFLICTING_ROWS,
            duplicates.DUP_ROW,
            duplicates.NEAR_DUP,
            overlap.EVAL_OVERLAP,
            overlap.EVAL_PROMPT,
            overlap.LEAK,
            overlap.LEAK_ALIKE,
            overlap.LEAK_ROW,
            private.PERSONAL_DATA,
            private.SECRET,
            sets.FEW_ROWS,
            sets.LOW_DIVERSITY,
            sets.RARE_ANSWER,
            sets.SEVERAL_TASKS,
            sets.UNBALANCED,
            turns.EMPTY_CONTENT,
            turns.MASKED_TAIL,
            turns.NO_SYSTEM,
            turns.NO_TOOLS,
            turns.NO_USER,
            turns.PARALLEL_CALLS,
            turns.ROLE_REPEATED,
            turns.SEVERAL_ANSWERS,
        ),
        key=lambda lint: lint.code,
    )
}
