"""A tuned model put back behind its id from its own weights, after the server's state was lost or left behind."""

import time
from pathlib import Path
from typing import Any

from ftspec.server.state import State
from ftspec.storage import write_atomic, write_json


def restore_model(state: Path, job: dict[str, Any], *, root: str, weights: Path, digest: str) -> bool:
    """Make the model of a finished job answer again; return whether anything had to be written.

    `job` is the job object as the API answered it, `root` the name of its base, `weights` its npz file and `digest`
    that of the weights. Only the final model comes back: earlier checkpoints and the training file do not.
    """
    folder = State(state)
    if folder.jobs.get(job["id"]) is not None:
        return False
    home = folder.jobs.folder(job["id"])
    now = time.time_ns()
    write_atomic(home / "checkpoints" / "epoch-1" / "weights.npz", weights.read_bytes())
    checkpoint = {"epoch": 1, "step": 1, "path": "checkpoints/epoch-1", "digest": digest, "metrics": {}}
    write_json(
        home / "state.json",
        {
            "status": "succeeded",
            "resolved": {"n_epochs": 1},
            "started_at": job["created_at"],
            "finished_at": job.get("finished_at"),
            "trained_tokens": job.get("trained_tokens"),
            "weights_digest": digest,
            "error": None,
            "checkpoints": [checkpoint],
        },
    )
    folder.jobs.put(
        {
            "id": job["id"],
            "created_at": job["created_at"],
            "created_ns": now,
            "model": job["model"],
            "root": root,
            "base": {"name": root, "digest": None},
            "training_file": None,
            "training_file_id": job.get("training_file"),
            "validation_file": None,
            "validation_file_id": job.get("validation_file"),
            "hyperparameters": job.get("hyperparameters") or {},
            "seed": job.get("seed"),
            "fine_tuned_model": job["fine_tuned_model"],
            "suffix": None,
            "metadata": job.get("metadata") or {},
            "idempotency_key": None,
            "request_sha256": None,
            "restored": True,
        }
    )
    return True
