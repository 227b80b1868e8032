"""What is to be compared, written down for whoever compares it: this process, or the limited child."""

from ftspec.workflows.review.changes import Shape, Side


class JobSide(Shape, frozen=True):
    """One revision on disk; `files` maps the paths that were written to blob ids, `pointers` to sha256 of LFS files."""

    side: Side
    folder: str
    files: dict[str, str]
    pointers: dict[str, str]


class Job(Shape, frozen=True):
    """What is to be compared. `kept` are files of the head that the base holds alike; finished runs lie in `runs`."""

    base: JobSide
    head: JobSide
    names: tuple[str, ...]
    untouched: int
    notices: tuple[str, ...]
    key: str
    show_text: bool
    untrusted: bool
    limits: str
    kept: tuple[str, ...] = ()
    runs: str = ""


def own_version() -> str:
    """Return the version of ftspec that composes, which is the base's in CI."""
    from importlib.metadata import version

    return version("ftspec")
