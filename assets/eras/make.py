"""Writes train.tsv and dev.tsv: sentences of State of the Union addresses, each with the era in which it was said.

Reads the folder `data` of the npm package that ../README.md names. Sentences are cleaned as those of ../sample.txt. Taken are
those of 10 to 30 words that do not tell their time outright: no number that may be a year, no president's or month's name. No
address gives sentences to both files, and each era and address gives as many as the others.

Run:  python assets/eras/make.py package/data            (the same package writes the same bytes)
"""

import hashlib
import html
import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
# First and last year. Years between them give none, so that eras can be told apart.
ERAS = [(1790, 1849), (1880, 1919), (1950, 2021)]
TRAIN, DEV = 800, 200  # sentences of each era
HELD_OUT = 5  # one address in so many is for dev
WORDS = range(10, 31)

PLAIN = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "‐": "-", "‑": "-", "…": "...", "\xa0": " "})
TITLES = r"(?<!\b[A-Z])(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)(?<!\bNo)(?<!\bGen)(?<!\bHon)(?<!\bMessrs)"
SENTENCE_END = re.compile(TITLES + r"([.!?][\"')]*) +(?=[\"'(]?[A-Z0-9])")
MONTHS = "January February March April May June July August September October November December".split()


def sentences(text):
    text = html.unescape(text).translate(PLAIN)
    text = re.sub(r"\[[^]]*\]|\((?:Applause|Laughter)[^)]*\)", " ", text)
    text = re.sub(r"\. ?\.[ .]*", "... ", text)
    text = re.sub(r"\s+", " ", text)
    return SENTENCE_END.sub(r"\1\n", text).split("\n")


def order(text, seed=""):
    """An order that has nothing to do with what is said, and is the same everywhere."""
    return hashlib.sha256((seed + text).encode()).digest()


def main():
    addresses = {}
    for path in sorted(Path(sys.argv[1]).glob("*.json")):
        address = json.loads(path.read_text(encoding="utf-8"))
        addresses[path.stem] = address
    names = {word for address in addresses.values() for word in address["name"].split() if len(word) > 2}
    telling = re.compile(r"\b(?:" + "|".join(sorted(names)) + "|" + "|".join(MONTHS) + r"|Mc\w+)\b|\d{3}|['’]\d\d")

    def fits(sentence):
        plain = sentence.isascii() and sentence[0].isupper() and sentence[-1] in '.!?"'
        return plain and len(sentence.split()) in WORDS and not telling.search(sentence)

    seen, found = set(), {}
    for name, address in addresses.items():
        era = next((f"{first}-{last}" for first, last in ERAS if first <= address["year"] <= last), None)
        if era is None:
            continue
        own = []
        for sentence in map(str.strip, sentences(address["text"])):
            if sentence and fits(sentence) and sentence not in seen:
                seen.add(sentence)
                own.append(sentence)
        found.setdefault(era, {})[name] = sorted(own, key=order)

    rows = {"train": [], "dev": []}
    for era, by_address in found.items():
        shuffled = sorted(by_address, key=order)
        held = {name for name in shuffled[:: HELD_OUT]}
        for part, wanted in (("train", TRAIN), ("dev", DEV)):
            mine = [list(by_address[name]) for name in shuffled if (name in held) == (part == "dev")]
            taken = 0
            while taken < wanted:
                # A sentence of each address in turn, so that none speaks for its era.
                for own in mine:
                    if own and taken < wanted:
                        rows[part].append((own.pop(), era))
                        taken += 1
    for part, both in rows.items():
        both.sort(key=lambda row: order(row[0], part))
        lines = ["text\tlabel", *(f"{text}\t{era}" for text, era in both)]
        (HERE / f"{part}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
