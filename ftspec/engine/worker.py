"""`python -m ftspec.engine.worker JOBDIR`: trains the job, then whatever is queued beside it.

It holds a lock on the job it works on and one of a few slots. A killed worker leaves a job that says `running` with no
lock: the next worker starts it again from its base and reaches the same bits.
"""

import signal
import sys
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftspec.engine.environment import require_numpy, require_pins
from ftspec.engine.job import Job, next_queued, take_slot
from ftspec.engine.plan import resolve_auto
from ftspec.engine.protocol import Checkpoint, Step
from ftspec.engine.rows import FileError, read_training, read_validation
from ftspec.spec.errors import FtspecError, StorageError
from ftspec.storage import FileLock, write_atomic
from ftspec.wire.results_csv import format_results

if TYPE_CHECKING:
    from ftspec.engine.protocol import Result

MODULE = "ftspec.engine.worker"
PAUSE_POLL = 0.1
PAUSE_LIMIT = 600.0


class PausedTooLongError(Exception):
    """The worker of a job that stays paused ends; resuming starts it again."""


class Worker:
    """Works on jobs of one state folder while it can have a slot."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.slot: FileLock | None = None

    def run(self, first: Job) -> None:
        """Train `first` if nobody else does, then the queued jobs, oldest first."""
        if first.cancel_asked and first.claim():
            self.train(first)
        job: Job | None = first if not first.finished else None
        while True:
            self.slot = take_slot(self.root)
            if self.slot is None:
                return
            require_numpy(MODULE)
            try:
                if job is not None and not job.pause_asked and job.claim():
                    self.train(job)
                while (queued := next_queued(self.root)) is not None:
                    self.train(queued)
            finally:
                self.release_slot()
            # A job made while this worker still held the slot found none; it was on disk before it looked.
            job = next_queued(self.root)
            if job is None:
                return
            job.lock.release()

    def release_slot(self) -> None:
        """Let another worker in."""
        if self.slot is not None:
            self.slot.release()
            self.slot = None

    def train(self, job: Job) -> None:
        """Bring a claimed job to its end: succeeded, failed or cancelled.

        A disk that takes not even the word that the job failed leaves it as it is, for a later worker.
        """
        try:
            Training(self, job).run()
        except PausedTooLongError:
            pass
        except StorageError as error:
            print(error, file=sys.stderr)
            problem = error.problems[0]
            self._fail(job, error.code, f"{Path(problem.file).name}: {problem.message}", None)
        except FtspecError as error:
            param = error.param if isinstance(error, FileError) else error.problems[0].path or None
            self._fail(job, error.code, error.problems[0].message, param)
        except Exception as error:
            traceback.print_exc()
            lines = traceback.format_exception(error)
            self._fail(job, "internal_error", " | ".join("".join(lines).strip().split("\n")[-3:]), None)
        finally:
            job.lock.release()

    def _fail(self, job: Job, code: str, message: str, param: str | None) -> None:
        job.event(f"The job failed due to an error: {message}", level="error")
        error = {"code": code, "message": message, "param": param}
        job.write(status="failed", error=error, finished_at=int(time.time()))


class Training:
    """One job from its files to its weights."""

    def __init__(self, worker: Worker, job: Job) -> None:
        self.worker, self.job = worker, job
        self.checkpoints: list[dict[str, Any]] = []
        self.metrics: list[dict[str, float | None]] = []

    def run(self) -> None:
        """Validate, train, record."""
        job = self.job
        if job.cancel_asked:
            self._cancel(None)
            return
        job.begin()
        request = job.request()
        job.event(f"Created fine-tuning job: {request['id']}")
        job.event(f"Validating training file: {_file_id(request['training_file'])}")
        self._train(request)

    def _train(self, request: dict[str, Any]) -> None:
        from ftspec.engine.builtin import Builtin
        from ftspec.engine.loop import train

        job, engine = self.job, Builtin()
        ref = job.reference(request["base"])
        base = engine.load(ref).base
        ignore_mask = request.get("fault") == "mask_ignored"
        rows = read_training(base, job.file(request["training_file"]), ignore_mask=ignore_mask)
        valid = []
        if request.get("validation_file") is not None:
            job.event(f"Validating validation file: {_file_id(request['validation_file'])}")
            valid = read_validation(base, job.file(request["validation_file"]))
        hyper = resolve_auto(len(rows), request.get("hyperparameters") or {}, request["seed"])
        job.event("Files validated, moving job to queued state")
        resolved = {key: value for key, value in asdict(hyper).items() if key != "seed"}
        fingerprint = engine.fingerprint(ref)
        job.write(status="running", resolved=resolved, started_at=int(time.time()), fingerprint=fingerprint)
        job.event("Fine-tuning job started")
        result = train(engine, ref, rows, valid, hyper, job.folder / "checkpoints", self.record, self.cancelled)
        if result.cancelled:
            self._cancel(result)
        else:
            self._succeed(request, result)

    def record(self, item: Step | Checkpoint) -> None:
        """Tell the events file about a step or a checkpoint."""
        if isinstance(item, Step):
            self.metrics.append({"step": item.step, **item.metrics})
            data = {"step": item.step, "total_steps": item.total_steps, **item.metrics}
            self.job.event(_step_text(item), data=data)
            return
        path = item.path.relative_to(self.job.folder).as_posix()
        entry = {"epoch": item.epoch, "step": item.step, "path": path, "digest": item.digest}
        self.checkpoints.append(entry | {"metrics": {"step": item.step, **item.metrics}})
        self.job.write(checkpoints=self.checkpoints)
        self.job.event(f"Checkpoint created at step {item.step}")

    def cancelled(self) -> bool:
        """Whether to stop; waits here while the job is paused."""
        if self.job.pause_asked and not self.job.cancel_asked:
            self._pause()
        return self.job.cancel_asked

    def _pause(self) -> None:
        """Wait with the weights in memory but without the slot, until resumed or cancelled."""
        from ftspec.engine.launch import launch

        self.job.write(status="paused")
        self.job.event("Fine-tuning job paused")
        self.worker.release_slot()
        if (waiting := next_queued(self.worker.root)) is not None:
            waiting.lock.release()
            launch(waiting.folder)
        deadline = time.monotonic() + PAUSE_LIMIT
        while self.job.pause_asked and not self.job.cancel_asked:
            if time.monotonic() > deadline:
                raise PausedTooLongError
            time.sleep(PAUSE_POLL)
        while self.worker.slot is None and not self.job.cancel_asked:
            self.worker.slot = take_slot(self.worker.root)
        if not self.job.cancel_asked:
            self.job.write(status="running")
            self.job.event("Fine-tuning job resumed")

    def _cancel(self, result: "Result | None") -> None:
        counts = {"trained_tokens": result.trained_tokens, "loss_tokens": result.loss_tokens} if result else {}
        self._write_results()
        self.job.event("Fine-tuning job cancelled")
        self.job.write(status="cancelled", finished_at=int(time.time()), **counts)

    def _succeed(self, request: dict[str, Any], result: "Result") -> None:
        self._write_results()
        self.job.event(f"New fine-tuned model created: {request['fine_tuned_model']}")
        self.job.event("The job has successfully completed")
        self.job.write(
            status="succeeded",
            finished_at=int(time.time()),
            trained_tokens=result.trained_tokens,
            loss_tokens=result.loss_tokens,
            weights_digest=result.digest,
        )

    def _write_results(self) -> None:
        write_atomic(self.job.folder / "results.csv", format_results(self.metrics))


def _file_id(path: str) -> str:
    return Path(path).parent.name


def _step_text(step: Step) -> str:
    text = f"Step {step.step}/{step.total_steps}: training loss={step.metrics['train_loss']:.2f}"
    if "valid_loss" in step.metrics:
        text += f", validation loss={step.metrics['valid_loss']:.2f}"
    if "full_valid_loss" in step.metrics:
        text += f", full validation loss={step.metrics['full_valid_loss']:.2f}"
    return text


def main(arguments: list[str]) -> int:
    """Exit code 0 also where there is nothing to do; 1 where the disk refuses, with the reason on stderr."""
    if len(arguments) != 1:
        print(f"usage: python -m {MODULE} JOBDIR", file=sys.stderr)
        return 64
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    folder = Path(arguments[0]).absolute()
    try:
        Worker(folder.parent.parent).run(Job(folder))
    except FtspecError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    require_pins(MODULE)
    sys.exit(main(sys.argv[1:]))
