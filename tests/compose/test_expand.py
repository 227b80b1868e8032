"""The fast expander against its oracle: Hydra's compose() on every form of override and reference."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftspec.compose import Project, load, verify_with_hydra
from ftspec.compose.expand import Expander, UnresolvableError
from ftspec.compose.session import Session, opened
from ftspec.compose.sources import Snapshot
from ftspec.spec.errors import SpecError

FILES = {
    "conf/base.yaml": """
        defaults: [_self_, db: one, extra: null, suites: []]
        seed: 3
        name: plain
        rate: 0.1
        empty: null
        a: {b: 1, c: text, d: {e: 2}}
        list: [1, {x: 2}, [3, 4]]
        """,
    "conf/db/one.yaml": "host: localhost\nport: 5432\nopts: {ssl: true}\n",
    "conf/db/two.yaml": "host: remote\nport: 1\nuser: me\n",
    "conf/extra/more.yaml": "k: v\n",
    "conf/suites/s1.yaml": "s1: {n: 1}\n",
    "conf/suites/s2.yaml": "s2: {n: 2}\n",
    "experiments/plain.yaml": "defaults: [base, _self_]\nsweep: {grid: {seed: [1, '${nope}']}}\n",
    "experiments/absolute.yaml": """
        defaults: [base, _self_]
        title: "${name}-${a.b}"
        mirror: ${a.d}
        port: ${db.port}
        deep: {down: {x: "${a.c}", y: 1}}
        """,
    "experiments/relative.yaml": """
        defaults: [base, override db: two, _self_]
        rel: {one: 1, two: "${.one}", up: {three: "${..one}"}}
        refs: ["${a.b}", "${list.0}", "${list[1].x}"]
        """,
    "experiments/escaped.yaml": """
        defaults: [base, _self_]
        literal: 'keep \\${this} and ${name}'
        a: {c: '\\${a.b}'}
        """,
    "experiments/filled.yaml": """
        defaults: [base, override suites: [s1, s2], _self_]
        wanted: ???
        uses: "${wanted} and ${seed}"
        a:
          f: ???
        """,
    "experiments/chain.yaml": """
        defaults: [plain, override db: two, _self_]
        one: ${two}
        two: ${three}
        three: ${seed}
        whole: ${a}
        """,
}
EXPERIMENTS = sorted(name.split("/")[1].removesuffix(".yaml") for name in FILES if name.startswith("experiments/"))

KEYS = """
    seed name rate empty a a.b a.c a.d a.d.e a.new list list.0 list.1 list.1.x list.2.0 list.9 title mirror mirror.e
    port deep.down.x deep.down.y rel.one rel.two rel.up.three refs refs.1 literal wanted uses a.f one two three whole
    whole.b db.host db.port db.opts db.opts.ssl db.user unknown unknown.deep extra.k suites.s1.n sweep sweep.grid
    hydra.job.name hydra.verbose
"""
VALUES = r"""
    1 | 2.5 | 1e-5 | auto | 'a b' | null | true | '5' | ??? | 'it\'s' | '' | [1,2] | [] | {x:1} | {} | {e:9,z:[1]}
    | ${seed} | '${a.b} x' | ${a.d} | '\${x}' | 1,2 | choice(1,2) | range(1,3) | 'x,y' | -3 | 010
"""
GROUPS = """
    db=one db=two db=null db=[one,two] db={host:z} ~db ~db=one +db=one ++db=two extra=more +extra=more suites=[s1]
    db=nope suites=s2 suites=[s2,s1] db@other=one +db@other=two base=one ~seed ~a.b ~a ~unknown ~seed=3 ~seed=4
"""
# Each alone is right everywhere, and each way has some.
MILD = ["seed=4", "name=x", "rate=0.5", "db=two", "+added=1", "++a.f=3", "list=[1]", "hydra.verbose=true"]
# What an experiment needs before it resolves: drawn sometimes, and then put first.
FILLED = {"filled": [[], ["wanted=1", "a.f=2"], ["wanted=1", "a.f=2"]]}
override = st.one_of(
    st.builds(
        lambda prefix, key, value: f"{prefix}{key}={value}",
        st.sampled_from(["", "", "", "", "+", "++"]),
        st.sampled_from(KEYS.split()),
        st.sampled_from([value.strip() for value in VALUES.split("|")]),
    ),
    st.sampled_from(GROUPS.split()),
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    from textwrap import dedent

    root: Path = tmp_path_factory.mktemp("forms")
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return Project(root)


def oracle(session: Session, overrides: list[str]) -> Any:
    """Hydra alone, then the sweep block dropped and everything resolved."""
    h = session.hydra
    config = h.compose(config_name=session.name, overrides=overrides)
    with h.open_dict(config):
        config.pop("sweep", None) if "sweep" in config else None
    return h.OmegaConf.to_container(config, resolve=True), h.OmegaConf.to_container(config, resolve=False)


def outcome(run: Any) -> Any:
    try:
        return run()
    except UnresolvableError:
        return "cannot be resolved"
    except Exception as error:
        return type(error).__name__, str(error)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_equals_compose(project: Project, name: str) -> None:
    with opened(Snapshot.of(project), name, str(project.experiments)) as session:
        expander = Expander(session)

        @settings(
            max_examples=int(os.environ.get("FTSPEC_EXAMPLES", "30" if name == "plain" else "12")),
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(
            st.lists(override, max_size=4) | st.lists(st.sampled_from(MILD), min_size=1, max_size=3, unique=True),
            st.sampled_from(FILLED.get(name, [[]])),
        )
        def check(drawn: list[str], first: list[str]) -> None:
            overrides = [*first, *drawn]
            ours = outcome(lambda: expander.run(overrides))
            theirs = outcome(lambda: oracle(session, overrides))
            if ours == "cannot be resolved":
                assert theirs[0].startswith(("Interpolation", "ConfigKey", "ConfigAttribute")), (overrides, theirs)
            elif isinstance(ours, tuple):
                assert ours == theirs, overrides
            else:
                assert (ours.config, ours.unresolved) == theirs, (overrides, ours.way)
                assert repr(ours.config) == repr(theirs[0]), (overrides, ours.way)

        check()
        if name == "plain":  # the others have a reference that every override may touch
            assert all(count > 0 for count in expander.counts.values()), expander.counts


@pytest.fixture
def session(project: Project, request: pytest.FixtureRequest) -> Iterator[Session]:
    with opened(Snapshot.of(project), request.param, str(project.experiments)) as session:
        yield session


@pytest.mark.parametrize(
    ("session", "overrides", "way"),
    [
        ("plain", [], "plain"),
        ("plain", ["seed=4", "a.b='x'", "list.0=9"], "plain"),
        ("plain", ["db=two", "db.port=7"], "plain"),
        ("plain", ["a={b:3}"], "copy"),
        ("plain", ["+a.z=3"], "copy"),
        ("plain", ["~seed"], "copy"),
        ("plain", ["seed=${rate}"], "copy"),
        ("plain", ["list.1=5"], "copy"),
        ("absolute", ["seed=4"], "plain"),
        ("absolute", ["a.b=4"], "copy"),
        ("absolute", ["a.d.e=4"], "copy"),
        ("relative", ["seed=4"], "copy"),
        ("escaped", ["seed=4"], "copy"),
        ("filled", ["wanted=1", "a.f=2"], "copy"),
    ],
    indirect=["session"],
)
def test_way(session: Session, overrides: list[str], way: str) -> None:
    assert Expander(session).run(overrides).way == way


@pytest.mark.parametrize("session", ["plain"], indirect=True)
def test_each_way_gives_the_same(session: Session) -> None:
    overrides = ["seed=4", "a.b=2.5", "db=two", "name='it is'"]
    expander = Expander(session)
    runs = [expander.run(overrides, way) for way in ("plain", "copy", "compose")]
    assert [run.way for run in runs] == ["plain", "copy", "compose"]
    assert runs[0].config == runs[1].config == runs[2].config
    assert runs[0].unresolved == runs[1].unresolved == runs[2].unresolved


@pytest.mark.parametrize("session", ["plain"], indirect=True)
def test_one_compose_per_choice_of_groups(session: Session) -> None:
    expander = Expander(session)
    for seed in range(20):
        for db in ("one", "two"):
            expander.run([f"db={db}", f"seed={seed}"])
    assert session.composes == 2
    assert expander.counts == {"plain": 40, "copy": 0, "compose": 0}


@pytest.mark.parametrize("session", ["plain"], indirect=True)
def test_runs_do_not_share_what_they_change(session: Session) -> None:
    expander = Expander(session)
    first = expander.run(["a.b=5"])
    expander.run(["a.b=6"])
    assert first.config["a"]["b"] == 5
    assert expander.run([]).config["a"]["b"] == 1


def test_verify_with_hydra(make_project) -> None:
    body = "sweep: {grid: {seed: 'range(1,61)'}}\n"
    composed = load(make_project(body), "x")
    assert len(composed.points) == 60
    assert verify_with_hydra(composed) == (22, 22)
    assert verify_with_hydra(composed, limit=60) == (60, 60)


def test_verify_stops_on_a_difference(make_project) -> None:
    composed = load(make_project("sweep: {grid: {seed: [1, 2]}}\n"), "x")
    composed.points[1].hydra_config["seed"] = 99
    with pytest.raises(SpecError) as caught:
        verify_with_hydra(composed)
    assert caught.value.code == "expansion_differs"
    assert "seed=2" in str(caught.value)


@pytest.mark.parametrize("value", [True, 1.0, "1"])
def test_verify_tells_kinds_apart(make_project, value: Any) -> None:
    composed = load(make_project("metadata: {a: b}\nrepeats: 1\nsweep: {grid: {seed: [1, 2]}}\n"), "x")
    composed.points[0].hydra_config["seed"] = value
    with pytest.raises(SpecError, match="not what Hydra composes"):
        verify_with_hydra(composed)


def test_verify_looks_at_what_is_trained(make_project) -> None:
    composed = load(make_project("sweep: {grid: {seed: [1, 2]}}\n"), "x")
    composed.points[0].config["model"] = "other"
    with pytest.raises(SpecError, match="not what Hydra composes"):
        verify_with_hydra(composed)


def test_verify_names_a_file_that_changed_meanwhile(make_project) -> None:
    project = make_project("seed: 3\n")
    composed = load(project, "x")
    path = project.experiments / "x.yaml"
    path.write_text(path.read_text().replace("seed: 3", "seed: 4"))
    with pytest.raises(SpecError) as caught:
        verify_with_hydra(composed)
    assert caught.value.code == "files_changed"


def test_shipped_sweeps_take_the_plain_way(repository: Path, make_project) -> None:
    """Every block of conf/sweep/, and the quickstart: at least 95 % of the runs cost a copy of plain values."""
    blocks = sorted(path.stem for path in (repository / "conf" / "sweep").glob("*.yaml"))
    counts = [load(make_project(), "x", [f"sweep={block}", "repeats=3"]).counts for block in blocks]
    for found in (load(Project(repository), "quickstart").counts, *counts):
        assert found["plain"] >= 0.95 * sum(found.values()), found
        assert found["plain"] >= 6
