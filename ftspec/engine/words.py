"""About a thousand common English words (words.txt, written down by subject), and pseudo-words made of syllables."""

from pathlib import Path

from ftspec.engine.streams import Stream

WORDS = Path(__file__).with_name("words.txt").read_text(encoding="utf-8").split()
ONSETS = """
b c d f g h j k l m n p r s t v w z bl br ch cl cr dr fl fr gl gr kl kn ph pl pr qu sh sk sl sp st th tr y
""".split()  # noqa: SIM905
VOWELS = "a a e e i i o o u u ai au ea ee ia ie io oo ou y".split()  # noqa: SIM905
CODAS = ["", "", "", "n", "r", "s", "l", "t", "m", "x", "ck", "nd", "th"]


def pseudo_word(r: Stream) -> str:
    """One to three syllables and an ending; lower case."""
    return "".join(r.choice(ONSETS) + r.choice(VOWELS) for _ in range(r.choice([1, 1, 2, 2, 2, 3]))) + r.choice(CODAS)


def pseudo_name(r: Stream) -> str:
    """A capitalised pseudo-word."""
    return pseudo_word(r).capitalize()


def any_word(r: Stream) -> str:
    """A common word or a pseudo-word, one as often as the other."""
    return r.choice(WORDS) if r.uniform() < 0.5 else pseudo_word(r)


def any_value(r: Stream) -> str:
    """Something that a field may hold: a word, a name, a number, two words or names."""
    kind = r.uniform()
    if kind < 0.35:
        return any_word(r)
    if kind < 0.65:
        return pseudo_name(r)
    if kind < 0.85:
        return str(r.below(r.choice([10, 100, 1000, 2100, 10000])))
    if kind < 0.95:
        return f"{any_word(r)} {any_word(r)}"
    return f"{pseudo_name(r)} {pseudo_name(r)}"
