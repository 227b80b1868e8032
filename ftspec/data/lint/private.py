"""What should not leave the house: keys and tokens, addresses and numbers of people."""

import re
from collections.abc import Iterator

from ftspec.data.chat import text_of
from ftspec.data.lint.definition import Hit, Lint, rowwise
from ftspec.data.lint.reading import Row
from ftspec.spec.secrets import may_hold_secrets, secrets


def texts(row: Row) -> Iterator[tuple[str, str]]:
    """Yield path and text of all that people or tools wrote in a row."""
    for n, message in enumerate(row.messages):
        if content := text_of(message.content):
            yield f"messages[{n}].content", content
        for k, call in enumerate(message.tool_calls or ()):
            yield f"messages[{n}].tool_calls[{k}].function.arguments", call.function.arguments


def _secret(row: Row) -> Hit | None:
    if not may_hold_secrets(row.data):
        return None
    for path, text in texts(row):
        for found in secrets(text):
            return Hit(path, f"{found[:6]}... ({len(found)} characters)")
    return None


SECRET = Lint(
    code="secret",
    level="error",
    practice="What is uploaded to a host and learned by a model is published: models repeat training texts word for "
    "word. A key in the data has to be changed, not hidden.",
    formula="the published formats of keys of OpenAI, Anthropic, AWS, GitHub, GitLab, Slack, Google and Hugging Face, "
    "private key blocks, signed JSON Web Tokens and URLs with a password, with 8 distinct characters or more",
    source="Carlini et al. 2021, Extracting Training Data from Large Language Models; key formats of the hosts",
    check=rowwise(_secret, "hold what looks like a key, token or password"),
    fix="remove it from the data and change the key",
    rates=(0.0, 0.0, 0.0),
    every=True,
)

_MAIL = re.compile(r"[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}\b", re.ASCII)
_RESERVED = re.compile(r"@(?:[\w.-]+\.)?example(?:\.(?:com|net|org))?$|\.(?:test|invalid|example|localhost)$")
# Unbroken, in groups of four, or 4-6-5; major networks begin with 2 to 6.
_CARD = re.compile(
    r"(?<![\d.,-])(?:[2-6]\d{12,18}|[2-6]\d{3}([ -])\d{4}\1\d{4}\1\d{1,7}|3\d{3}([ -])\d{6}\2\d{5})(?![\d.,-]?\d)",
    re.ASCII,
)
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", re.ASCII)
_SSN = re.compile(r"(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])", re.ASCII)
_PHONE = re.compile(r"(?<![\w+])\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d(?:[ .-]?\d){6,12}(?!\d)", re.ASCII)
_DIGITS = re.compile(rb"\d(?:[ -]?\d){8}")  # what each number above holds; most rows have nothing like it


def luhn(digits: str) -> bool:
    """Whether the check digit of a card number is right (ISO/IEC 7812-1)."""
    total = 0
    for n, digit in enumerate(reversed(digits)):
        value = int(digit)
        total += value if n % 2 == 0 else value * 2 - 9 * (value > 4)
    return total % 10 == 0


def iban(text: str) -> bool:
    """Whether the check digits of an account number are right (ISO 13616)."""
    plain = text.replace(" ", "")
    return 15 <= len(plain) <= 34 and int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def personal(text: str) -> str | None:
    """Return the kind of the first address or number of a person in a text, or None."""
    if "@" in text and any(not _RESERVED.search(match.group()) for match in _MAIL.finditer(text)):
        return "an e-mail address"
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match.group())
        if luhn(digits) and len(set(digits)) > 1:
            return "a card number"
    if any(iban(match.group()) for match in _IBAN.finditer(text)):
        return "an account number (IBAN)"
    if _SSN.search(text):
        return "a social security number"
    return "a phone number" if "+" in text and _PHONE.search(text) else None


def _personal(row: Row) -> Hit | None:
    if b"@" not in row.data and not _DIGITS.search(row.data):
        return None
    for path, text in texts(row):
        if (kind := personal(text)) is not None:
            return Hit(path, kind)
    return None


PERSONAL_DATA = Lint(
    code="personal_data",
    level="warning",
    practice="Models repeat training texts word for word, and a host keeps what it was sent; people named in the data "
    "must have agreed to both.",
    formula="an e-mail address outside the reserved example domains, a card number (13 to 19 digits, unbroken or "
    "grouped as on cards, that pass the Luhn check), an IBAN whose check digits are right, a US social security "
    "number, or an international phone number with +",
    source="Carlini et al. 2021; ISO/IEC 7812-1 (Luhn), ISO 13616 (IBAN), RFC 2606 (example domains)",
    check=rowwise(_personal, "hold addresses or numbers of people"),
    fix="replace them by placeholders before training",
    rates=(0.0, 0.0, 0.0),
)
