"""Metrics from events and both dialects of the result file."""

import base64
from typing import Any

import pytest

from ftspec.providers.results import metrics_of
from ftspec.spec.events import Notice
from ftspec.wire.results_csv import parse_results

OPENAI = b"step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,2.5,0.5,,\n2,6e-05,0.75,1.5,0.25\n"
AZURE = (
    b"step,train_loss,train_mean_token_accuracy,validation_loss,validation_mean_token_accuracy,"
    b"full_validation_loss,full_validation_mean_token_accuracy\n1,2.5,0.5,-1,-1,-1,-1\n2,6e-05,0.75,1.5,0.25,1.25,0.5\n"
)


@pytest.mark.parametrize("raw", [OPENAI, base64.b64encode(OPENAI), b"\xef\xbb\xbf" + OPENAI, AZURE])
def test_both_dialects_give_the_same_metrics(raw: bytes) -> None:
    found = {(m["step"], m["name"]): m["value"] for m in metrics_of([], parse_results(raw))}
    full = {key: found.pop(key) for key in list(found) if key[1].startswith("full")}
    assert found == {
        (1, "train_loss"): 2.5,
        (1, "train_accuracy"): 0.5,
        (2, "train_loss"): 6e-05,
        (2, "train_accuracy"): 0.75,
        (2, "valid_loss"): 1.5,
        (2, "valid_accuracy"): 0.25,
    }
    assert full == ({(2, "full_valid_loss"): 1.25, (2, "full_valid_accuracy"): 0.5} if raw is AZURE else {})


def test_events_win_over_the_rounded_file() -> None:
    event = {
        "id": "e",
        "type": "metrics",
        "data": {"step": 1, "train_loss": 2.123456789, "total_steps": 2, "lr": 0.1, "train_mean_token_accuracy": 0.5},
    }
    talk = {"id": "f", "type": "message", "message": "Step 7/9: training loss=1", "data": None}
    found = metrics_of([event, talk], parse_results(OPENAI))
    assert found[0] == {"step": 1, "name": "train_accuracy", "value": 0.5}
    assert found[1] == {"step": 1, "name": "train_loss", "value": 2.123456789}
    assert [m["step"] for m in found] == sorted(m["step"] for m in found)
    assert {m["name"] for m in found} == {"train_loss", "train_accuracy", "valid_loss", "valid_accuracy"}


def test_a_result_file_of_garbage_is_told_and_kept(play: Any, place: Any, weather: Any) -> None:
    class Garbage(weather):  # type: ignore[misc, valid-type]
        def _changed(self, method: str, path: str, scope: Any, content: bytes) -> bytes:
            if "file-metrics" in path and path.endswith("/content"):
                return b"<html>not yours</html>"
            return super()._changed(method, path, scope, content)  # type: ignore[no-any-return]

    result = play(lambda p, c: p.train(c), wrap=Garbage)
    assert result.status == "succeeded"
    assert result.results_csv == b"<html>not yours</html>"
    (notice,) = (event for event in place.events if isinstance(event, Notice))
    assert notice.code == "results_csv"
    assert "<html>not yours" in notice.message
    assert len([m for m in result.metrics if m["name"] == "train_loss"]) == 4
