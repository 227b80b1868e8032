"""Where pull requests live: GitHub and GitLab over their REST APIs, one small protocol over both."""

from ftspec.forges.forge import Author, Comment, Forge, Pull
from ftspec.forges.surroundings import Surroundings, open_forge

__all__ = ["Author", "Comment", "Forge", "Pull", "Surroundings", "open_forge"]
