"""Source files to training files with a digest: rows, messages, split, weights, tokens, lint."""

from ftspec.data.parts import Part, Prepared, SourceFile, items, read_rows
from ftspec.data.prepare import prepare
from ftspec.data.rules import RowRules
from ftspec.data.tokens import CharEstimate, SplintrCounter, TokenCounter, counter_for

__all__ = [
    "CharEstimate",
    "Part",
    "Prepared",
    "RowRules",
    "SourceFile",
    "SplintrCounter",
    "TokenCounter",
    "counter_for",
    "items",
    "prepare",
    "read_rows",
]
