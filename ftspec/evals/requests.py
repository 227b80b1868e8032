"""The request that an arm is asked for an item: messages, shots, sampling parameters, and its cache key."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ftspec.data.template import fields, text_of
from ftspec.evals.items import Item
from ftspec.evals.values import value
from ftspec.spec.suite import Arm, Request

_sorted = msgspec.json.Encoder(order="sorted").encode
_INSTRUCTIONS = ("system", "developer")
Message = dict[str, Any]


def messages_of(request: Request, arm: Arm, item: Item, shots: Sequence[Sequence[Message]] = ()) -> list[Message]:
    """Return the messages for one item, shots before the last user message.

    Without `request.messages` those of the item are asked; an arm's `prompt` then replaces its instructions, null
    removes them, and an arm without the key leaves them alone. With `request.messages` a message that uses
    `{{ arm.prompt }}` is left out where the arm has none. Raises MissingFieldError for a path the item lacks.
    """
    messages = _templated(request, arm, item) if request.messages else _own(arm, item)
    if shots:
        last = max((i for i, message in enumerate(messages) if message["role"] == "user"), default=len(messages))
        messages = [*messages[:last], *(message for shot in shots for message in shot), *messages[last:]]
    return messages


def _own(arm: Arm, item: Item) -> list[Message]:
    messages = value("{{ item.messages }}", {"item": item.fields})
    if not isinstance(messages, list) or not all(isinstance(m, dict) and "role" in m for m in messages):
        raise ValueError("item.messages is no list of messages")
    if "prompt" not in arm.model_fields_set:
        return list(messages)
    role = next((m["role"] for m in messages if m["role"] in _INSTRUCTIONS), "system")
    instructions = [] if arm.prompt is None else [{"role": role, "content": arm.prompt}]
    return [*instructions, *(m for m in messages if m["role"] not in _INSTRUCTIONS)]


def _templated(request: Request, arm: Arm, item: Item) -> list[Message]:
    scope = {"item": item.fields, "arm": {"prompt": arm.prompt}}
    messages: list[Message] = []
    for message in request.messages or ():
        template = str(message.content)
        if arm.prompt is None and "arm.prompt" in fields(template):
            continue
        content = value(template, scope)
        # A template that is one place may be a list of content parts; everything else is text.
        kept = content if isinstance(content, list) else content if isinstance(content, str) else text_of(content)
        messages.append({"role": message.role, "content": kept})
    return messages


class ArmRequests:
    """The requests of one arm: everything that is equal for all its items is worked out once.

    `identity` names the provider in cache keys: profile and base URL, or for the embedded one the weights' sha256 and
    the contract version, since its model names say nothing about bytes. `max_age` (seconds) limits cached answers of
    models whose name carries no date; None keeps them for ever.
    """

    def __init__(
        self,
        arm: str,
        request: Request,
        spec: Arm,
        *,
        model: str,
        identity: str,
        samples: int = 1,
        shots: Sequence[Sequence[Message]] = (),
        max_age: float | None = None,
    ) -> None:
        self.arm, self.model, self.samples, self.max_age = arm, model, samples, max_age
        self._request, self._spec, self._shots = request, spec, shots
        self._params = request.params.model_dump(mode="json", exclude_none=True)
        self._identity = identity
        self._prefixes: dict[bytes, Any] = {}

    def tools(self, item: Item) -> list[dict[str, Any]] | None:
        """Return the tools of the request: the suite's, else the item's own."""
        tools = self._params.get("tools", item.fields.get("tools"))
        return tools or None

    def body(self, item: Item, sample: int = 0) -> dict[str, Any]:
        """Return the request body. A `seed` grows by one per sample. Raises MissingFieldError, ValueError."""
        messages = messages_of(self._request, self._spec, item, self._shots)
        body = {"model": self.model, "messages": messages, **self._params}
        body.pop("tools", None)
        if (tools := self.tools(item)) is not None:
            body["tools"] = tools
        if (seed := self._request.params.seed) is not None:
            body |= {"seed": seed + sample}
        return body

    def key(self, body: Mapping[str, Any], sample: int) -> str:
        """Return the hex sha256 that names this answer: provider, whole body and sample index.

        Floats stand in the parameters alone, so RFC 8785 is paid once for each distinct set of them.
        """
        rest = {key: entry for key, entry in body.items() if key != "messages"}
        name = _sorted(rest)
        if name not in self._prefixes:
            self._prefixes[name] = _prefix(self._identity, rest)
        found = self._prefixes[name].copy()
        found.update(_sorted(body["messages"]) + b"\n%d" % sample)
        return str(found.hexdigest())


def _prefix(identity: str, rest: Mapping[str, Any]) -> Any:
    import rfc8785

    head = b"ftspec/response/1\n" + rfc8785.dumps(identity) + b"\n"
    return hashlib.sha256(head + rfc8785.dumps(dict(rest)) + b"\n")
