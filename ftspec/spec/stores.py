"""Addresses of stores, where runs are kept besides `runs/`: a folder, or an object store."""

import re

# Address scheme -> the fsspec package that serves it. A put is atomic in all of them.
SCHEMES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)


def split_address(text: str) -> tuple[str, str] | None:
    """Return scheme and place (`bucket/path`) of an object store's address, None for a folder's path.

    Raises ValueError for an unknown scheme, and for anything but SCHEME://PLACE: no key ever stands in a file.
    """
    if not text.isprintable():
        raise ValueError("it holds a control character")
    if (match := _URL.fullmatch(text)) is None:
        return None
    scheme, place = match[1], match[2].strip("/")
    if scheme not in SCHEMES:
        raise ValueError(f"no store of that kind; a folder, or one of {', '.join(f'{name}://' for name in SCHEMES)}")
    if not place or re.search(r"[@?#]|::", place):
        raise ValueError("an address is SCHEME://PLACE/PATH alone; credentials come from the environment")
    return scheme, place
