"""Row diffs equal those of brute force, on random rows with duplicates, reorders and flipped weights."""

from collections.abc import Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ftspec.workflows.review.changes import Turned
from ftspec.workflows.review.rowcounts import counts
from ftspec.workflows.review.rowdiff import RowDiff, diff_rows
from ftspec.workflows.review.rowtexts import RowTexts
from ftspec.workflows.rowsfile import dump_rows, load_rows
from ftspec.workflows.sides import DataSide, PartFacts, RowFact

KEYS = [f"{n:016x}" for n in range(5)]
PART = PartFacts("", 0, 0, 0, 0, 0, None)


@st.composite
def contents(draw: st.DrawFn) -> tuple[str, str, str]:
    """A row key, its prompt key (which it decides), its weights."""
    row = draw(st.integers(0, 4))
    return KEYS[row], KEYS[row // 2], draw(st.sampled_from(["0011", "0001", "0000"]))


def facts(rows: Sequence[tuple[tuple[str, str, str], str]]) -> list[RowFact]:
    seen: dict[str, int] = {}
    made = []
    for (row, prompt, weights), part in rows:
        seen[part] = i = seen.get(part, -1) + 1
        made.append(RowFact(part, row, prompt, weights, "a.jsonl", len(made) + 1, i))
    return made


parts = st.sampled_from(["train", "train", "valid", "test"])
row_lists = st.lists(st.tuples(contents(), parts), max_size=12).map(facts)


@st.composite
def related(draw: st.DrawFn) -> tuple[list[RowFact], list[RowFact]]:
    """Some rows, and what became of them: shuffled, duplicated, flipped, dropped, added to."""
    old = draw(row_lists)
    plain = [((r.row, r.prompt, r.weights), r.part) for r in old]
    kept = draw(st.permutations(plain))[: draw(st.integers(0, len(plain)))]
    flipped = [((r, p, draw(st.sampled_from([w, "0011"]))), part) for (r, p, w), part in kept]
    more = draw(st.lists(st.tuples(contents(), parts), max_size=4))
    return old, facts([*flipped, *more])


def brute(old: list[RowFact], new: list[RowFact]) -> dict[str, int]:
    """Pair one by one, most alike first: equal rows, equal content, equal prompts; nothing is looked up by a key."""
    olds = sorted((row for row in old if row.part in ("train", "valid")), key=key)
    news = sorted((row for row in new if row.part in ("train", "valid")), key=key)
    found = dict.fromkeys(["same", "reweighted", "moved", "edited"], 0)

    def equal(a: RowFact, b: RowFact) -> bool:
        return (a.row, a.weights, a.part) == (b.row, b.weights, b.part)

    for alike in (equal, lambda a, b: a.row == b.row, lambda a, b: a.prompt == b.prompt):
        for row in list(news):
            partner = next((one for one in olds if alike(one, row)), None)
            if partner is None:
                continue
            olds.remove(partner)
            news.remove(row)
            if equal(partner, row):
                found["same"] += 1
            elif partner.row != row.row:
                found["edited"] += 1
            else:
                found["reweighted" if partner.weights != row.weights else "moved"] += 1
    return found | {"added": len(news), "removed": len(olds)}


def counted(found: RowDiff) -> dict[str, int]:
    return {name: len(getattr(found, name)) for name in ("same", "reweighted", "moved", "edited", "added", "removed")}


@settings(max_examples=100, deadline=None)
@given(related())
def test_equals_brute_force(sides: tuple[list[RowFact], list[RowFact]]) -> None:
    old, new = sides
    found = diff_rows(old, new)
    assert counted(found) == brute(old, new)
    # Every row is in exactly one class.
    pairs = [*found.same, *found.reweighted, *found.moved, *found.edited]
    trained = [row for row in old if row.part in ("train", "valid")]
    assert sorted(map(key, [*(a for a, _ in pairs), *found.removed])) == sorted(map(key, trained))


def key(row: RowFact) -> tuple[str, int]:
    return row.part, row.i


@settings(max_examples=100, deadline=None)
@given(related())
def test_mirrors(sides: tuple[list[RowFact], list[RowFact]]) -> None:
    old, new = sides
    there, back = counted(diff_rows(old, new)), counted(diff_rows(new, old))
    assert back == there | {"added": there["removed"], "removed": there["added"]}
    assert diff_rows(old, new).reordered == diff_rows(new, old).reordered


@settings(max_examples=100, deadline=None)
@given(row_lists, st.randoms(use_true_random=False))
def test_the_same_rows_in_another_order_are_only_reordered(rows: list[RowFact], random: object) -> None:
    plain = [((r.row, r.prompt, r.weights), r.part) for r in rows]
    random.shuffle(plain)  # type: ignore[attr-defined]
    found = diff_rows(rows, facts(plain))
    assert counted(found) == counted(diff_rows(rows, rows))
    for part in ("train", "valid"):
        before = [(r.row, r.weights) for r in rows if r.part == part]
        after = [row[0::2] for row, of in plain if of == part]
        found_here = diff_rows([r for r in rows if r.part == part], facts([one for one in plain if one[1] == part]))
        assert found_here.reordered == (before != after)


@settings(max_examples=100, deadline=None)
@given(related())
def test_keys_out_of_the_committed_file_say_the_same(sides: tuple[list[RowFact], list[RowFact]]) -> None:
    """What a rows file keeps is enough for everything but the texts of edited rows."""
    kept = []
    for number, rows in enumerate(sides):
        side = DataSide(f"sha256:{number}", {"train": PART}, {}, "tiny", "assistant", None, tuple(rows))
        content = dump_rows([side])
        assert content is not None
        kept.append(list(load_rows(content).get(side.digest, ())))
    assert counted(diff_rows(*kept)) == counted(diff_rows(*sides))


def test_flips_are_counted_each_way_and_rows_without_a_target() -> None:
    old = facts([((KEYS[0], KEYS[0], "0011"), "train"), ((KEYS[2], KEYS[1], "0001"), "train")])
    new = facts([((KEYS[0], KEYS[0], "0101"), "train"), ((KEYS[2], KEYS[1], "0000"), "train")])
    none = RowTexts(DataSide("x", {"train": PART}, {}, "tiny", "assistant", None, tuple(new)))
    found = counts(diff_rows(old, new), old, new, none, none)
    assert (found.reweighted, found.learned_more, found.learned_less, found.without_target) == (2, 1, 2, 1)
    # Who speaks is not known without texts: messages are numbered.
    assert found.turned == (
        Turned(role="", number=2, learned=True, rows=1),
        Turned(role="", number=3, learned=False, rows=1),
        Turned(role="", number=4, learned=False, rows=1),
    )


def test_two_rows_that_swap_their_weights_are_reordered(tmp_path: Path) -> None:
    one, other = (KEYS[0], KEYS[0], "0011"), (KEYS[0], KEYS[0], "0001")
    assert diff_rows(facts([(one, "train"), (other, "train")]), facts([(other, "train"), (one, "train")])).reordered
