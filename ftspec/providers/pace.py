"""How often to ask and how long to wait, for a trainer in this process and for hosts on the network."""

from dataclasses import dataclass

from ftspec.spec.profile import Profile


@dataclass(frozen=True)
class Pace:
    """All times in seconds.

    `looks` are the waits before each look for an object that a failed POST may have made; `tries` bounds the POSTs.
    `settle` is how long a new job may be unknown to the host that made it. `patience` is how long a job may show
    nothing new before it is left alone (it goes on; the same command adopts it).
    """

    poll_first: float
    poll_last: float
    poll_growth: float = 1.3
    looks: tuple[float, ...] = (2.0, 4.0, 8.0)
    tries: int = 4
    retries: int = 6
    backoff: float = 0.5
    backoff_last: float = 8.0
    longest_wait: float = 120.0
    call_timeout: float = 60.0
    post_timeout: float = 60.0
    upload_timeout: float = 900.0
    download_timeout: float = 900.0
    warm_up: float = 600.0
    patience: float = 1800.0
    settle: float = 60.0
    page_cap: int = 1000


# Nothing gets lost on the way to a server in this process: what is not answered yet waits for a processor that others
# use, and asking again would only add to its work. The deadline is there for a process that hangs.
LOCAL = Pace(
    poll_first=0.2, poll_last=2.0, looks=(0.2, 0.5, 1.0), backoff=0.1, backoff_last=1.0, settle=2.0, call_timeout=1800.0
)
REMOTE = Pace(poll_first=10.0, poll_last=60.0, call_timeout=300.0, post_timeout=120.0, patience=6 * 3600.0)


def pace_for(profile: Profile) -> Pace:
    """Return the pace that fits a profile."""
    return LOCAL if profile.address.in_process else REMOTE
