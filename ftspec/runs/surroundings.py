"""What differs between the machine and packages of an attempt and those of now, and whether that can matter."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_PACKAGES = {
    "ftspec": (True, "composes, renders and grades; levels config, inputs and scores test exactly this"),
    "hydra-core": (True, "composes; level config tests it"),
    "omegaconf": (True, "composes; level config tests it"),
    "numpy": (True, "computes the weights; decides bits, not scores within a margin"),
    "pydantic": (False, "checks the configuration; level config tests the outcome"),
    "msgspec": (False, "reads and writes rows; level inputs tests the outcome"),
    "rfc8785": (False, "writes canonical JSON; level config tests the outcome"),
    "regex": (True, "graders with patterns; level scores tests it"),
    "rapidfuzz": (True, "graders with fuzzy matches; level scores tests it"),
    "openai": (False, "carries requests, changes none: level inputs compares their bodies"),
    "jsonschema": (True, "graders with schemas; level scores tests it"),
    "splintr-rs": (False, "counts tokens; no count enters a training"),
}
_MACHINE = {
    "python": (False, "no result may depend on it; golden tests run on each supported version"),
    "implementation": (True, "only CPython is tested"),
    "os": (True, "another build of the arithmetic; decides bits, not scores within a margin"),
    "os_release": (False, "kernels do no arithmetic"),
    "machine": (True, "another arithmetic; decides bits, not scores within a margin"),
    "cpu": (False, "matters only where the numerics fingerprint differs too"),
    "cores": (False, "trainings use one thread"),
    "byteorder": (True, "never tested on both"),
    "numerics": (True, "the arithmetic itself: equal bits cannot be demanded"),
}


@dataclass(frozen=True)
class Difference:
    """One thing that is another one now. `matters`: it may change results, `why` says which."""

    name: str
    recorded: str
    now: str
    matters: bool
    why: str

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape of docs/json.md."""
        return {
            "name": self.name,
            "recorded": self.recorded,
            "now": self.now,
            "matters": self.matters,
            "why": self.why,
        }


def differences(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """Compare two env.json; what only one of them knows is left out, packages of one version by their files' hash."""
    return [*_of_machine(recorded, now), *_of_packages(recorded.get("packages") or {}, now.get("packages") or {})]


def of_code(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """Compare an attempt's commit and tree (the `git` of its env.json) with those of the project as it is now."""
    before = recorded.get("git") or {}
    if not before.get("commit"):
        return []
    found = []
    if now.get("commit") != before["commit"]:
        why = "level config composes the sources again and compares digests"
        found.append(Difference("commit", before["commit"][:12], str(now.get("commit") or "none")[:12], False, why))
    if before.get("dirty"):
        why = "sources are kept byte by byte; the rest of the difference is the patch that run.json names"
        found.append(Difference("working tree", "changed since the commit", _tree(now), False, why))
    return found


def _tree(git: Mapping[str, Any]) -> str:
    return "changed since the commit" if git.get("dirty") else "as committed"


def _of_machine(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    for name, (matters, why) in _MACHINE.items():
        before, after = recorded.get(name), now.get(name)
        if before and after and before != after:
            yield Difference(name, str(before), str(after), matters, why)
    facts, fresh = recorded.get("numerics_facts") or {}, now.get("numerics_facts") or {}
    for name in sorted(facts.keys() & fresh.keys()):
        if facts[name] != fresh[name]:
            yield Difference(f"numerics.{name}", str(facts[name]), str(fresh[name]), True, "part of the fingerprint")


def _of_packages(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    for name, before in recorded.items():
        matters, why = _PACKAGES.get(name, (True, "not known to be harmless"))
        after = now.get(name)
        if after is None:
            yield Difference(name, before["version"], "not installed", matters, why)
        elif before["version"] != after["version"]:
            yield Difference(name, before["version"], after["version"], matters, why)
        elif (files := _files(before)) != _files(after):
            said = "other files under the same version: " + why
            yield Difference(name, f"{before['version']} ({files[:8]})", f"({_files(after)[:8]})", matters, said)


def _files(package: Mapping[str, str]) -> str:
    """What tells two builds of one version apart: its own source where that is known, else the installer's record."""
    return package.get("source") or package.get("record") or ""


def how_to_run(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return how to run the ftspec that recorded an attempt; empty where it is the one that runs now."""
    versions = [((env.get("packages") or {}).get("ftspec") or {}).get("version") for env in (recorded, now)]
    if versions[0] is None or versions[0] == versions[1]:
        return ""
    before = versions[0]
    return f"recorded with ftspec {before}: `uvx --from ftspec=={before} ftspec`, or `pip install ftspec=={before}`"
