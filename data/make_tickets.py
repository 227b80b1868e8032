"""Write data/tickets.jsonl, the sample data of the quickstart: `python data/make_tickets.py`.

Seeded and standard library only. Names, places and goods are invented syllables, fresh in every row, since a small
model memorises closed lists; about one message in eight fits no queue, and its right answer is "I don't know".
"""

import json
import random
from pathlib import Path

ROWS, CUSTOMERS, SEED = 450, 160, 20261124
ONSETS = [
    "b",
    "d",
    "f",
    "g",
    "h",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "t",
    "v",
    "z",
    "br",
    "dr",
    "gl",
    "kr",
    "pl",
    "st",
    "tr",
]
VOWELS = ["a", "e", "i", "o", "u", "ai", "ea"]
ENDS = ["", "", "n", "r", "s", "l", "t"]

QUEUES = {
    "refund": [
        "I want my money back for the {item}",
        "please refund order {order}",
        "can I return the {item} and get a refund",
        "the {item} arrived broken, I want a refund",
        "give me back what I paid for order {order}",
        "refund the {item} please, it is not what I ordered",
        "you charged me twice for order {order}, please refund one payment",
    ],
    "delivery": [
        "where is my order {order}",
        "when will the {item} arrive",
        "track parcel {order} please",
        "my {item} has not arrived yet, where is it",
        "has order {order} been shipped to {place}",
        "the courier never came with my {item}",
        "what is the delivery status of order {order}",
    ],
    "cancellation": [
        "please cancel order {order}",
        "I no longer need the {item}, cancel it",
        "stop my order of the {item}",
        "cancel order {order} before it ships",
        "I changed my mind about the {item}, please cancel",
        "can you cancel what I ordered today, order {order}",
        "do not send the {item}, I want to cancel",
    ],
    "address": [
        "change my delivery address to {place}",
        "I moved to {place}, please update my address",
        "send the {item} to my new address in {place}",
        "my address is wrong, I live in {place} now",
        "update the address on order {order}",
        "can order {order} be sent to {place} instead",
        "the street on my account is old, my new home is in {place}",
    ],
    "card_swallowed": [
        "the cash machine in {place} kept my card",
        "my card was eaten by the machine",
        "an ATM in {place} swallowed my card",
        "the machine took my card and did not give it back",
        "my card is stuck in the cash machine at {place}",
        "I put my card in the ATM and it was gone",
        "the ATM ate my card yesterday in {place}",
    ],
    "I don't know": [
        "what is the capital of {place}",
        "can you write me a poem about {name}",
        "who won the match in {place} last night",
        "how do I cook a {item}",
        "is it going to rain in {place} tomorrow",
        "tell me a joke about {name}",
        "how old is {name} from {place}",
    ],
}
SHARES = {"refund": 5, "delivery": 6, "cancellation": 4, "address": 4, "card_swallowed": 4, "I don't know": 3}
OPENINGS = ["", "", "", "hi, ", "hello, ", "hey, ", "good morning, ", "this is {name}. "]
ENDINGS = ["", "", "", ".", "!", " thanks", " please help", " regards {name}"]


def invented(source: random.Random) -> str:
    """Return a word that exists nowhere, one to three syllables long."""
    return "".join(source.choice(ONSETS) + source.choice(VOWELS) for _ in range(source.randint(1, 3))) + source.choice(
        ENDS
    )


def ticket(source: random.Random) -> dict[str, str]:
    """Return one message with its queue and the customer who wrote it."""
    queue = source.choices(list(SHARES), weights=list(SHARES.values()))[0]
    values = {
        "item": invented(source),
        "order": str(source.randint(10_000, 99_999)),
        "place": invented(source).capitalize(),
        "name": invented(source).capitalize(),
    }
    text = source.choice(OPENINGS) + source.choice(QUEUES[queue]) + source.choice(ENDINGS)
    return {"customer": f"c{source.randrange(CUSTOMERS):03d}", "text": text.format(**values), "queue": queue}


def main() -> None:
    """Write the file beside this script."""
    source = random.Random(SEED)
    rows = [ticket(source) for _ in range(ROWS)]
    target = Path(__file__).with_name("tickets.jsonl")
    target.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
