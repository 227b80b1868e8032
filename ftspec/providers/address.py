"""Where a host is and which key opens it, from profile, experiment and environment."""

from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from ftspec.spec.errors import MissingKeyError, ProviderError
from ftspec.spec.experiment import Provider
from ftspec.spec.model import EnvRef
from ftspec.spec.profile import Profile


def base_url_of(profile: Profile, provider: Provider, environ: Mapping[str, str]) -> str:
    """Return where the host is. Raises MissingKeyError for a variable that is not set, ProviderError without one."""
    asked = provider.base_url
    if isinstance(asked, EnvRef):
        value = environ.get(asked.env, "").strip()
        if not value:
            raise MissingKeyError(
                "missing_variable",
                f"the address of {profile.title} stands in ${asked.env}, which is not set",
                path="provider.base_url",
                fix=f"export {asked.env}=https://...",
            )
        asked = value
    url = asked or profile.address.base_url
    if not url:
        raise ProviderError(
            "missing_base_url",
            f"{profile.title} has no address of its own",
            path="provider.base_url",
            fix="set provider.base_url",
        )
    if urlsplit(url).scheme not in ("http", "https"):
        raise ProviderError("invalid_base_url", f"{public_url(url)!r} is not an http address", path="provider.base_url")
    return url


def key_of(profile: Profile, provider: Provider, environ: Mapping[str, str]) -> str:
    """Return the key. Raises MissingKeyError naming its variable."""
    name = provider.auth.env if provider.auth is not None else profile.address.key
    if name is None:
        return "none"
    value = environ.get(name, "").strip()
    if not value:
        raise MissingKeyError(
            "missing_key",
            f"there is no key for {profile.title}: ${name} is not set",
            path="provider.auth",
            fix=f"export {name}=..., or train here without a key: provider.profile=embedded",
        )
    return value


def public_url(url: str) -> str:
    """The address without user, password, query and fragment."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return urlunsplit((parts.scheme, host + (f":{parts.port}" if parts.port else ""), parts.path.rstrip("/"), "", ""))
