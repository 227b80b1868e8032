"""Finding an attempt's job at a host by its key, also where the host filters badly or keeps no metadata."""

from dataclasses import dataclass
from typing import Any

from ftspec.providers.body import KEY
from ftspec.providers.connect import Connection
from ftspec.providers.follow import status_of
from ftspec.providers.journal import Journal
from ftspec.providers.paging import PagingLoop, items_of
from ftspec.wire.responses import Job

Found = tuple[Job, dict[str, Any]]
_EARLIER = 3600.0  # clocks differ: jobs made this long before the intent are still looked at


@dataclass(frozen=True)
class Finder:
    """Looks for the job of one journal."""

    connection: Connection
    journal: Journal

    async def best(self) -> Found | None:
        """The oldest job with the key that did not fail, else the oldest. Raises CallFailed, PagingLoop."""
        found = await self.all()
        alive = [entry for entry in found if status_of(self.connection, entry[0]) not in ("failed", "cancelled")]
        return min(alive or found, key=lambda entry: (entry[0].created_at or 0, entry[0].id), default=None)

    async def all(self) -> list[Found]:
        """Every job with the key, newest first. The key is compared here too: a host may ignore the filter."""
        filtered = self.connection.profile.job.metadata == "yes" and not self.journal.dropped_metadata
        metadata = {"metadata": {KEY: self.journal.key}} if filtered else {}

        async def fetch(client: Any, query: dict[str, Any]) -> Any:
            return await client.fine_tuning.jobs.with_raw_response.list(**metadata, **query)

        found: list[Found] = []
        try:
            async for raw in items_of(self.connection, "listing jobs", fetch):
                job = Job.read(raw)
                if self._is_ours(job, raw):
                    found.append((job, raw))
                if job.created_at is not None and job.created_at < self.journal.started - _EARLIER:
                    break
        except PagingLoop:
            if not found:
                raise
        return found

    def _is_ours(self, job: Job, raw: dict[str, Any]) -> bool:
        """By the key in the metadata; where a job carries none, by the key's mark in suffix or model name."""
        if KEY in job.metadata:
            return job.metadata[KEY] == self.journal.key
        mark = self.journal.key[:8]
        suffixes = (job.user_provided_suffix, raw.get("suffix"), job.fine_tuned_model)
        if not any(isinstance(text, str) and mark in text for text in suffixes):
            return False
        return job.training_file in (None, self.journal.of("file:train").id)
