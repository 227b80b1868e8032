"""Which rows and words a change brings, from data in git and from the committed keys of data outside git."""

import json
from typing import Any

import pytest

from ftspec.workflows.review.changes import Changes, Data, Turned

pytestmark = pytest.mark.usefixtures("composed_once")

DEMO = "experiments/demo.yaml"
TURNS = "defaults: [config, _self_]\nmodel: tiny\ndataset:\n  sources: [{path: data/chat.jsonl}]\n"


def chat(n: int, answer: str = "fine", weight: int | None = None, system: str | None = None) -> dict[str, Any]:
    """A conversation of two turns."""
    last: dict[str, Any] = {"role": "assistant", "content": f"{answer} {n}"}
    if weight is not None:
        last["weight"] = weight
    messages = [
        {"role": "user", "content": f"hello {n}"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": f"how are you {n}"},
        last,
    ]
    return {"messages": [{"role": "system", "content": system}, *messages] if system else messages}


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def talk(repo: Any) -> Any:
    """An experiment over 60 conversations, on main."""
    repo.git("checkout", "-q", "main")
    repo.git("rm", "-q", DEMO)
    repo.write({"experiments/talk.yaml": TURNS, "data/chat.jsonl": lines([chat(n) for n in range(60)])})
    repo.commit()
    repo.git("branch", "-f", "change")
    repo.git("checkout", "-q", "change")
    return repo


def data_of(changes: Changes) -> Data:
    (found,) = changes.data
    assert found.rows is not None
    return found


def test_each_kind_of_row_change_is_counted(talk: Any) -> None:
    rows = [chat(n) for n in range(60)]
    rows[0] = chat(0, "better")  # the answer is edited
    rows[1] = chat(1, system="Be kind.")  # so are the instructions
    rows[2] = chat(2, weight=0)  # only the weight
    rows[3]["tools"] = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    rows[7]["messages"][2]["content"] += ", really?"  # the prompt is edited, what is learned is not
    rows[8]["messages"][2]["content"] += ", really?"  # both are
    rows[8]["messages"][3]["content"] = "very well 8"
    del rows[4]  # removed
    rows += [chat(100), chat(101), chat(101)]  # added, one of them twice
    talk.write({"data/chat.jsonl": lines(rows)})
    found = data_of(talk.review())
    assert found.rows is not None
    r = found.rows
    assert (r.added, r.removed, r.reweighted, r.moved, r.reordered) == (3, 1, 1, 0, False)
    assert (r.edited, r.edited_answer, r.edited_read, r.edited_system, r.edited_tools) == (5, 3, 1, 1, 1)
    assert (r.learned_more, r.learned_less, r.without_target) == (0, 1, 0)
    assert r.turned == (Turned(role="assistant", number=2, learned=False, rows=1),)
    assert found.old is not None
    assert found.new is not None
    assert (found.old.rows, found.new.rows) == (60, 62)
    assert (found.old.learned_messages, found.new.learned_messages) == (120, 123)
    assert [(s.path, s.rows_old, s.rows_new) for s in found.sources] == [("data/chat.jsonl", 60, 62)]


def test_reordered_rows_retrain_and_are_called_so(talk: Any) -> None:
    talk.write({"data/chat.jsonl": lines([chat(n) for n in reversed(range(60))])})
    changes = talk.review()
    assert [run.kind for run in changes.runs] == ["retrain"]
    rows = data_of(changes).rows
    assert rows is not None
    assert rows.reordered
    assert (rows.added, rows.removed, rows.edited, rows.reweighted) == (0, 0, 0, 0)


def test_only_the_policy_changes_messages_and_tokens(talk: Any) -> None:
    talk.write(
        {"experiments/talk.yaml": TURNS.replace("[config,", "[config, override weights: last_assistant_message,")}
    )
    changes = talk.review()
    (run,) = changes.runs
    assert run.reasons == ("weights",), "no row is another one"
    found = data_of(changes)
    assert found.rows is not None
    assert (found.rows.reweighted, found.rows.learned_less, found.rows.learned_more) == (60, 60, 0)
    assert found.old is not None
    assert found.new is not None
    assert (found.old.learned_messages, found.new.learned_messages) == (120, 60)
    assert found.old.learned_tokens > found.new.learned_tokens > 0
    assert found.old.tokens == found.new.tokens
    assert (found.old.policy, found.new.policy) == ("assistant", "last_assistant_message")


def test_rows_that_leave_the_test_part_are_told(repo: Any) -> None:
    repo.replace(DEMO, "test: 12", "test: 9")
    rows = data_of(repo.review()).rows
    assert rows is not None
    assert (rows.added, rows.from_test, rows.removed, rows.to_test) == (3, 3, 0, 0)


def test_spelling_a_row_otherwise_changes_nothing(talk: Any) -> None:
    spaced = "".join(json.dumps(chat(n), indent=None, separators=(" , ", " : ")) + "\n" for n in range(60))
    talk.write({"data/chat.jsonl": spaced})
    changes = talk.review()
    assert changes.quiet
    assert changes.untouched == 0


def test_data_outside_git_is_no_mistake_beside_one_of_the_file(talk: Any) -> None:
    talk.write({".gitignore": "/runs/\n/data/chat.jsonl\n"})
    talk.git("rm", "-q", "--cached", "data/chat.jsonl")
    base = talk.commit()
    path = talk.root / "experiments/talk.yaml"
    path.write_text(path.read_text() + "repeats: 0\n")
    found = talk.review(base, talk.commit())
    assert [t.code for t in found.troubles if t.side == "head" and t.severity == "error"] == ["invalid_value"]


OUTSIDE = {
    "rows": lambda: [chat(n, "better" if n == 7 else "fine") for n in range(3, 62)],
    "weights": lambda: [chat(n, weight=0 if n < 5 else None) for n in range(60)],
    "order": lambda: [chat(n) for n in reversed(range(60))],
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_committed_keys_say_what_the_rows_themselves_say(talk: Any, name: str) -> None:
    """The same change twice: with its data in git, and with data that git ignores but for its lock and its rows."""
    changed = lines(OUTSIDE[name]())
    talk.write({"data/chat.jsonl": changed})
    inside = talk.review()
    talk.git("checkout", "-q", "--", ".")

    talk.write({".gitignore": "/runs/\n/data/chat.jsonl\n"})
    talk.git("rm", "-q", "--cached", "data/chat.jsonl")
    assert talk.ftspec("lock", "talk").returncode == 0
    assert (talk.root / "experiments/talk.rows").is_file()
    base = talk.commit()
    talk.write({"data/chat.jsonl": changed})
    assert talk.ftspec("lock", "talk").returncode == 0
    head = talk.commit()
    (talk.root / "data/chat.jsonl").unlink()
    outside = talk.review(base, head)

    assert any("outside git" in note for note in outside.notices)
    assert [(r.kind, r.train_old, r.train_new) for r in outside.runs] == [
        (r.kind, r.train_old, r.train_new) for r in inside.runs
    ]
    one, other = data_of(inside), data_of(outside)
    assert (one.old, one.new) == (other.old, other.new)
    assert one.rows is not None
    assert other.rows is not None
    kept = ("added", "removed", "edited", "reweighted", "learned_more", "learned_less", "moved", "reordered")
    assert {k: getattr(one.rows, k) for k in kept} == {k: getattr(other.rows, k) for k in kept}
    assert not other.samples, "there is no text to show"
    # The reviewer who has the data at hand sees the same.
    talk.write({"data/chat.jsonl": changed})
    mixed = data_of(talk.review(base))
    assert mixed.rows is not None
    assert {k: getattr(mixed.rows, k) for k in kept} == {k: getattr(one.rows, k) for k in kept}


def test_a_stale_lock_of_data_outside_git_is_said_so(talk: Any) -> None:
    talk.write({".gitignore": "/runs/\n/data/chat.jsonl\n"})
    talk.git("rm", "-q", "--cached", "data/chat.jsonl")
    assert talk.ftspec("lock", "talk").returncode == 0
    base = talk.commit()
    talk.write(
        {"experiments/talk.yaml": TURNS.replace("[config,", "[config, override weights: last_assistant_message,")}
    )
    head = talk.commit()
    (talk.root / "data/chat.jsonl").unlink()
    found = talk.review(base, head)
    (experiment,) = found.experiments
    assert experiment.lock == "stale"
    assert any("ftspec lock talk" in note for note in found.notices)


def test_texts_are_shown_to_those_who_ask_and_scrubbed(talk: Any) -> None:
    rows = [chat(n) for n in range(60)]
    rows[0] = chat(0, "my key is sk-abcdefghijklmnop and \x1b[31m<b>@you</b>")
    talk.write({"data/chat.jsonl": lines(rows)})
    (sample,) = data_of(talk.review()).samples
    assert (sample.kind, sample.where, sample.old, sample.new) == ("edited", "data/chat.jsonl:1", None, None)
    (sample,) = data_of(talk.review(show_text=True)).samples
    assert sample.old == "hello / fine 0"
    quiet = talk.ftspec("diff", "main").stdout
    assert "my key" not in quiet
    for arguments in ((), ("--markdown",)):
        shown = talk.ftspec("diff", "main", "--show-text", *arguments).stdout
        assert "my key is" in shown
        assert "sk-abc" not in shown
        assert "\x1b" not in shown


def test_the_rows_file_goes_where_git_holds_the_data(talk: Any) -> None:
    rows = talk.root / "experiments/talk.rows"
    assert talk.ftspec("lock", "talk").returncode == 0
    assert not rows.exists(), "the data is in git"
    talk.write({".gitattributes": "data/** filter=lfs\n"})
    assert talk.ftspec("lock", "talk").returncode == 0
    assert rows.exists(), "git keeps a pointer alone"
    assert "hello 1" not in rows.read_bytes().decode("latin-1")
    talk.write({".gitattributes": None})
    assert talk.ftspec("lock", "talk").returncode == 0
    assert not rows.exists()
