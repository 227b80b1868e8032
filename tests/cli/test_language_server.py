"""The real yaml-language-server reads the schema: completion and diagnostics. Opt-in: it comes from npm.

npm install yaml-language-server && FTSPEC_YAML_LANGUAGE_SERVER=node_modules/.bin/yaml-language-server pytest ...
"""

import json
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ftspec.spec.keys import WORDS
from ftspec.spec.reference import example
from ftspec.spec.sweep import NOT_SWEPT
from ftspec.workflows.start import start_project

SERVER = os.environ.get("FTSPEC_YAML_LANGUAGE_SERVER") or shutil.which("yaml-language-server")
pytestmark = pytest.mark.skipif(not SERVER, reason="yaml-language-server is not installed (npm)")
MODELINE = "# yaml-language-server: $schema=../conf/experiment.schema.json\n"


class Editor:
    """A language client over stdio: as much of the protocol as one file needs."""

    def __init__(self, folder: Path) -> None:
        assert SERVER
        self.folder, self.number, self.answers = folder, 0, queue.Queue[Any]()
        self.process = subprocess.Popen([SERVER, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        threading.Thread(target=self._listen, daemon=True).start()
        self.ask("initialize", {"processId": None, "rootUri": folder.as_uri(), "capabilities": {}})
        self.tell("initialized", {})
        settings = {"yaml": {"validate": True, "completion": True, "schemaStore": {"enable": False}}}
        self.tell("workspace/didChangeConfiguration", {"settings": settings})

    def _listen(self) -> None:
        stream = self.process.stdout
        assert stream
        while line := stream.readline():
            size = int(line.split(b":")[1])
            while stream.readline().strip():
                pass
            self.answers.put(json.loads(stream.read(size)))

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def tell(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def ask(self, method: str, params: Any) -> Any:
        self.number += 1
        self._send({"id": self.number, "method": method, "params": params})
        return self._until(lambda m: m.get("id") == self.number and "method" not in m)["result"]

    def _until(self, wanted: Any) -> Any:
        while True:
            message = self.answers.get(timeout=20)
            if wanted(message):
                return message
            if "id" in message and "method" in message:  # the server asks for settings: it has them
                settings = [{"validate": True, "completion": True}] * len(message.get("params", {}).get("items", [0]))
                answer: Any = settings if message["method"] == "workspace/configuration" else None
                self._send({"id": message["id"], "result": answer})

    def open(self, text: str, name: str = "experiments/x.yaml") -> tuple[str, list[str]]:
        """Open a file and return its URI and its diagnostics, `line: message`."""
        self.number += 1
        path = self.folder / name.replace(".yaml", f"{self.number}.yaml")
        uri = path.as_uri()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self.tell("textDocument/didOpen", {"textDocument": document})
        about = self._until(
            lambda m: m.get("method") == "textDocument/publishDiagnostics" and m["params"]["uri"] == uri
        )
        found = [f"{d['range']['start']['line'] + 1}: {d['message']}" for d in about["params"]["diagnostics"]]
        return uri, found

    def complete(self, text: str) -> list[str]:
        """Return what is offered at the mark `|`."""
        before = text[: text.index("|")]
        uri, _ = self.open(text.replace("|", ""))
        at = {"line": before.count("\n"), "character": len(before.rpartition("\n")[2])}
        found = self.ask("textDocument/completion", {"textDocument": {"uri": uri}, "position": at})
        return [item["label"] for item in found["items"]]


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    folder = tmp_path_factory.mktemp("project")
    start_project(folder)
    made = Editor(folder)
    yield made
    made.process.kill()
    made.process.communicate()


def test_shipped_files_have_no_diagnostics(editor: Editor, repository: Path) -> None:
    for path in (editor.folder / "experiments").glob("*.yaml"):
        assert editor.open(path.read_text())[1] == []
    for path in (repository / "conf").glob("*/*.yaml"):
        line = f"# yaml-language-server: $schema={(repository / 'conf').as_uri()}/{path.parent.name}.schema.json\n"
        assert editor.open(line + path.read_text())[1] == [], path


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("|", ["model", "hyperparameters", "sweep"]),
        ("hyperparameters:\n  |", ["n_epochs", "learning_rate"]),
        ("weights:\n  train_on: |", ["last_assistant_turn", "from_data"]),
        ("sweep:\n  grid:\n    |", ["hyperparameters.n_epochs", "weights", "dataset.split.by"]),
        ("defaults:\n  - config\n  - override weights: |", ["last_assistant_message"]),
        ("defaults:\n  - config\n  - |", ["override evals", "_self_"]),
        ("evals:\n  routing:\n    graders:\n      queue:\n        type: |", ["label", "json_fields"]),
    ],
)
def test_completion(editor: Editor, text: str, offered: list[str]) -> None:
    found = editor.complete(MODELINE + text)
    assert set(offered) <= set(found), found


@pytest.mark.parametrize(
    "body",
    [
        "hyperparameters: {n_epochs: 3, batch_size: auto, learning_rate_multiplier: 0.02}",
        "seed: ${repeats}\nhyperparameters: {n_epochs: '${seed}'}",
        "model: null\nhyperparameters: {n_epochs: null}",
        "description: {file: prompts/route.md}",
        "defaults: [config, override evals: [routing], override weights: last_assistant_turn, other, _self_]",
        "sweep:\n  grid:\n    hyperparameters.n_epochs: range(1, 4)\n    weights: [assistant, last_assistant_turn]",
        "sweep:\n  grid: {evals.routing.samples: [1, 2], dataset.messages.0.content: [a, b]}\n  exclude: [{seed: 3}]",
        "baselines: {other: {model: '@base', shots: {k: 3}}}",
    ],
)
def test_what_is_valid_has_no_diagnostics(editor: Editor, body: str) -> None:
    assert editor.open(MODELINE + body)[1] == []


def test_every_key_is_known_in_the_file_and_as_an_axis(editor: Editor) -> None:
    wrong = {}
    for model, words in WORDS.items():
        for key in words.keys:
            spec = example(model, key)
            top = next(iter(spec))
            texts = [spec]
            if top not in NOT_SWEPT:
                texts.append({"sweep": {"grid": {top: [spec[top]]}, "exclude": [spec]}})
            for body in texts:
                if found := editor.open(MODELINE + yaml.safe_dump(json.loads(json.dumps(body, default=str))))[1]:
                    wrong[f"{model}.{key}"] = (body, found)
    assert not wrong


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("hyperparameters: {n_epoch: 3}", "n_epoch is not allowed"),
        ("hyperparameters: {learning_rate_multiplier: -1}", "2: "),
        ("hyperparameters: {n_epochs: 99}", "2: "),
        ("seeed: 1", "seeed is not allowed"),
        ("weights: {train_on: asistant}", "2: "),
        ("sweep: {grid: {hyperparameters.n_epoch: [1]}}", "hyperparameters.n_epoch is not allowed"),
        ("sweep: {grid: {hyperparameters.n_epochs: [0]}}", "2: "),
        ("defaults: [config, override evals: [rooting]]", "ftspec schema --write"),
        ("defaults: [config, override evls: [routing]]", "override evls is not allowed"),
        ("evals: {a: {graders: {g: {type: label, patern: x}}}}", "patern is not allowed"),
        ("budget: {max_usd: lots}", "2: "),
        ("weights: {train_on_inputs: false}", "another tool's name"),
    ],
)
def test_diagnostics(editor: Editor, body: str, said: str) -> None:
    found = editor.open(MODELINE + body)[1]
    assert any(said in one for one in found), found
