"""Writes train.tsv and dev.tsv: sentences of State of the Union addresses, half of them with their words shuffled.

Reads the folder `data` of the npm package that ../README.md names. Sentences are cleaned as those of ../sample.txt, and taken from
addresses later than its own, so that whoever learnt from that text has never seen them. They have 7 to 20 words. Only
words that are not the first change places: capital, commas and full stop stay where they are, and tell nothing. No address gives sentences to both files, and no sentence is there twice.

Run:  python assets/order/make.py package/data            (the same package writes the same bytes)
"""

import hashlib
import html
import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
FIRST_YEAR = 1993
HELD_OUT = 5  # one address in so many is for dev
ROWS = {"train": 3200, "dev": 800}
WORDS = range(7, 21)
LABELS = ["in order", "shuffled"]

PLAIN = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "‐": "-", "‑": "-", "…": "...", "\xa0": " "})
NO_END = r"(?<!\b[A-Z])(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)"
SENTENCE_END = re.compile(NO_END + r"([.!?][\"')]*) +(?=[\"'(]?[A-Z0-9])")
PLAIN_SENTENCE = re.compile(r"[A-Z][A-Za-z0-9']*(?:,? [A-Za-z0-9][A-Za-z0-9'-]*)+[.!?]")


def sentences(text):
    text = html.unescape(text).translate(PLAIN)
    text = re.sub(r"\[[^]]*\]|\((?:Applause|Laughter)[^)]*\)", " ", text)
    return SENTENCE_END.sub(r"\1\n", re.sub(r"\s+", " ", text)).split("\n")


def drawn(*what):
    """A number that has nothing to do with what is said, and is the same everywhere."""
    return hashlib.sha256("\t".join(map(str, what)).encode()).digest()


def shuffled(sentence):
    """The sentence with all words but the first in another order."""
    first, *words = re.findall(r"[^ ,]+", sentence[:-1])
    between = re.findall(r",? ", sentence)
    attempt = 0
    while True:
        places = sorted(range(len(words)), key=lambda place: drawn(sentence, place, attempt))
        mixed = [words[place] for place in places]
        if sum(a != b for a, b in zip(mixed, words)) >= len(words) // 2:
            return first + "".join(a + b for a, b in zip(between, mixed)) + sentence[-1]
        attempt += 1


def main():
    addresses, seen = {}, set()
    for path in sorted(Path(sys.argv[1]).glob("*.json")):
        address = json.loads(path.read_text(encoding="utf-8"))
        if address["year"] < FIRST_YEAR:
            continue
        own = addresses.setdefault(address["year"], [])
        for sentence in map(str.strip, sentences(address["text"])):
            if PLAIN_SENTENCE.fullmatch(sentence) and len(sentence.split()) in WORDS and sentence.lower() not in seen:
                seen.add(sentence.lower())
                own.append(sentence)
    years = sorted(addresses, key=drawn)
    for part, wanted in ROWS.items():
        mine = [year for at, year in enumerate(years) if (at % HELD_OUT == 0) == (part == "dev")]
        both = sorted(((sentence, year) for year in mine for sentence in addresses[year]), key=lambda row: drawn(row[0]))
        if len(both) < wanted:
            raise SystemExit(f"{len(both)} sentences for {part}, expected {wanted}")
        rows = [(shuffled(text) if at % 2 else text, LABELS[at % 2], str(year)) for at, (text, year) in enumerate(both[:wanted])]
        rows.sort(key=lambda row: drawn(part, *row))
        lines = ["text\tlabel\tyear", *map("\t".join, rows)]
        (HERE / f"{part}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
        print(f"{part}.tsv: {len(rows)} of {len(both)} sentences of {len(mine)} addresses")


if __name__ == "__main__":
    main()
