"""Checks that what leyden saves of a tokenizer gives the same ids in transformers as in leyden.

Makes tokenizers of many kinds and sentences in many scripts; lets leyden take each kind (`leyden prepare --tokenizer`, or
learn it), train a model of one step and save it; then compares, sentence by sentence, the ids of AutoTokenizer, loaded from
what leyden saved, with those of `leyden probe --json` and, where a sentence is one document, with those in the dataset.
Special tokens in sentences are plain text (`split_special_tokens=True`), as in a corpus. The folder that leyden was given is
compared too, where transformers can load it.

Run:    python tests/tools/check_tokenizers.py target/release/leyden
Freeze: python tests/tools/check_tokenizers.py target/release/leyden --freeze tests/golden/tokenizers.json

Prints a table of kinds and scripts with the number of sentences that differ; the exit status is 0 only if all are 0. With
--freeze it writes a small part of it for tests/corpus_tokenizer.rs, which holds leyden against the ids without Python. Written
with transformers 5.24.0 and tokenizers 0.23.3.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import numpy
from safetensors.numpy import load_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
import transformers
from transformers import AutoTokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
OTHER = ["<pad>", "<unk>", "<s>", "</s>", "<mask>"]
# Tokens an example, at which leyden cuts.
LENGTH = 512
KEYS = ["pad_token", "unk_token", "cls_token", "sep_token", "mask_token"]

SCRIPTS = {
    "Latin": "Müller façade naïve ÉTÉ été e\u0301te\u0301 Łódź straße İstanbul señor FAÇADE the river stone lamp Walking œuvre",
    "Cyrillic": "река камень Ёлка ёлка ПОЕЗД поезд й и\u0306 Українська їжак сад гром",
    "Greek": "ποτάμι ΠΈΤΡΑ πέτρα λάμπα ΑΣΣ σοφός Ἀθῆναι θάλασσα",
    "Arabic": "نهر حَجَر مِصْبَاح السلام عليكم ؟ ٱلْكِتَاب ۱۲۳",
    "Hebrew": "נָהָר אבן מנורה שָׁלוֹם עולם״ ספר",
    "Devanagari": "नदी पत्थर कुल कल हिन्दी में क्ष त्र ज़ ॐ संस्कृतम् १२३",
    "Thai": "แม่น้ำ ประเทศไทย ภาษาไทยเขียนติดกัน กิโลเมตร เ็ก ๆ ฯ ๑๒๓ น้ําใจ",
    "Lao": "ພາສາລາວ ແມ່ນ້ຳ ປະເທດລາວ ໝາ ໑໒",
    "Khmer": "ភាសាខ្មែរ ទន្លេ ប្រទេសកម្ពុជា ស្ត្រី ១២ ។",
    "Burmese": "မြန်မာစာ မြစ် ကျောက်တုံး အိမ်၊ န့်သည်။ က္က ၁၂",
    "Japanese": "川と石 かきくけこ がぎぐ か\u3099き\u3099 ガギグ カ\u3099 パピプ ﾊﾟｶﾞ 東京都 。、",
    "Korean": "한국어 강과 돌 서울특별시 \u1112\u1161\u11ab\u1100\u116e\u11a8 등불",
    "Chinese": "河流和石头 中文字 漢字 北京，上海。 𠀀𪜀 々",
    "Vietnamese": "sông đá đèn Việt Nam tiếng Việt Ngữ Vie\u0323\u0302t ĐÈN",
    "Emoji": "🙂 👩‍👩‍👧 🇩🇪 ☃️ ❤ 👍🏽 lamp🙂river",
    "Control": "a\u200bb soft\u00adhyphen x\u0007y \ufeffbom zero\u200dwidth a\u0085b v\u000bt f\u000cf \ufffd nb\u00a0sp em\u2003sp \u2028 \ue000",
    "Long words": f"{'x' * 30} {'y' * 101} {'ab' * 70} {'é' * 90} supercalifragilisticexpialidocious 1234567890123456789012345 {'ก' * 120}",
    "Special": "[PAD] [SEP] [CLS] [UNK] [sep] <pad> </s> <s> <unk> x[SEP]y [ PAD ] ##s ##ing <ent> riverstone RiverStone",
}
PUNCTUATION = [" ", " ", " ", " ", ", ", " - ", "-", "/", " (", ") ", "'", "… ", " — ", "_", "$"]


def sentences(count):
    """Sentences by script. None ends or begins with white space, and none is more than one sentence to leyden."""
    chance = random.Random(12)
    everything = [word for words in SCRIPTS.values() for word in words.split(" ")]
    found = {}
    for script, words in SCRIPTS.items():
        words = words.split(" ")
        made = [" ".join(words)]
        for number in range(count - 1):
            drawn = [chance.choice(words if chance.random() < 0.85 else everything) for _ in range(chance.randint(1, 9))]
            text = "".join(word + chance.choice(PUNCTUATION) for word in drawn)
            made.append((text.upper() if number % 17 == 0 else text.title() if number % 19 == 0 else text).strip())
        found[script] = [text for text in made if text]
    return found


def corpus():
    return [" ".join(words.split(" ")) for words in SCRIPTS.values()] * 4


def pieces(lower=True, special=SPECIAL, prefix="##", marks=True, words=()):
    """A WordPiece vocabulary of every character and a few words."""
    bert = normalizers.BertNormalizer(lowercase=lower, strip_accents=not marks)
    text = bert.normalize_str(" ".join(corpus()))
    letters = sorted({c for c in text + "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~0123456789abcxyzABC" if not c.isspace()})
    more = ["the", "river", "##ing", "stone", "lamp", "поезд", "नदी", "ไท", "서울"] + list(words)
    more = [prefix + word[2:] if word.startswith("##") else word for word in more]
    found = list(dict.fromkeys(special + letters + [prefix + letter for letter in letters] + more))
    return {piece: index for index, piece in enumerate(found)}


def wordpiece(vocabulary, normalizer=None, pre_tokenizer=None, special=SPECIAL, **options):
    made = Tokenizer(models.WordPiece(vocabulary, unk_token=special[1], **options))
    made.normalizer = normalizer or normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizer or pre_tokenizers.BertPreTokenizer()
    made.add_special_tokens(special)
    return made


def write(folder, tokenizer=None, config=None, vocabulary=None, **files):
    folder.mkdir(parents=True)
    if tokenizer is not None:
        tokenizer.save(str(folder / "tokenizer.json"))
    if vocabulary is not None:
        (folder / "vocab.txt").write_text("".join(piece + "\n" for piece in vocabulary), encoding="utf-8")
    for name, content in {"tokenizer_config": config, **files}.items():
        if content is not None:
            (folder / f"{name}.json").write_text(json.dumps(content))


def trained(tokenizer, trainer):
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def bpe(**options):
    made = Tokenizer(models.BPE(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return trained(made, trainers.BpeTrainer(vocab_size=700, special_tokens=SPECIAL, show_progress=False))


def byte_bpe():
    made = Tokenizer(models.BPE(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return trained(made, trainers.BpeTrainer(vocab_size=500, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False))


def unigram():
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=600, special_tokens=OTHER, unk_token="<unk>", show_progress=False)
    return trained(made, trainer)


def word_level():
    made = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return trained(made, trainers.WordLevelTrainer(special_tokens=SPECIAL, show_progress=False))


def added():
    made = wordpiece(pieces())
    made.add_tokens([AddedToken("<ent>"), AddedToken("riverstone"), AddedToken("ß", single_word=True)])
    made.add_tokens([AddedToken("lamp🙂", normalized=False), AddedToken("川と", lstrip=True, rstrip=True)])
    made.add_special_tokens([AddedToken("<pad>")])
    return made


def sparse():
    vocabulary = pieces()
    vocabulary["far"] = len(vocabulary) + 40
    return wordpiece(vocabulary)


def clusters():
    split = pre_tokenizers.Split(Regex("[\\x{0e01}-\\x{0e2f}][\\x{0e30}-\\x{0e4e}]*"), "isolated")
    return wordpiece(pieces(), None, pre_tokenizers.Sequence([pre_tokenizers.BertPreTokenizer(), split]))


bert = normalizers.BertNormalizer
names = dict(zip(KEYS, OTHER))
decoder = {"content": "<ent>", "special": False, "normalized": True, "lstrip": False, "rstrip": False, "single_word": False}

# What each kind's folder holds, and flags for prepare.
GIVEN = {
    "vocab.txt alone": lambda f: write(f, vocabulary=pieces(marks=False)),
    "vocab.txt, cased": lambda f: write(f, vocabulary=pieces(lower=False), config={"do_lower_case": False}),
    "marks kept": lambda f: write(f, vocabulary=pieces(), config={"tokenizer_class": "BertTokenizer", "strip_accents": False}),
    "no ideographs": lambda f: write(
        f, vocabulary=pieces(), config={"tokenizer_class": "ElectraTokenizer", "tokenize_chinese_chars": False}
    ),
    "clean_text off": lambda f: write(f, wordpiece(pieces(marks=False), bert(clean_text=False))),
    "NFKC in front": lambda f: write(f, wordpiece(pieces(), normalizers.Sequence([normalizers.NFKC(), bert()]))),
    "NFC alone": lambda f: write(f, wordpiece(pieces(lower=False), normalizers.NFC())),
    "white space only": lambda f: write(f, wordpiece(pieces(), None, pre_tokenizers.WhitespaceSplit())),
    "clusters": lambda f: write(f, clusters()),
    "another prefix": lambda f: write(f, wordpiece(pieces(prefix="@@"), continuing_subword_prefix="@@")),
    "short words": lambda f: write(f, wordpiece(pieces(), max_input_chars_per_word=20)),
    "BPE": lambda f: write(f, bpe()),
    "byte-level BPE": lambda f: write(f, byte_bpe()),
    "Unigram": lambda f: write(f, unigram(), {"tokenizer_class": "PreTrainedTokenizerFast", **names}),
    "WordLevel": lambda f: write(f, word_level()),
    "added tokens": lambda f: write(f, added()),
    "added beside": lambda f: write(
        f,
        vocabulary=pieces(),
        config={"tokenizer_class": "ElectraTokenizer"},
        added_tokens={"<ent>": len(pieces()), "riverstone": len(pieces()) + 1},
    ),
    "added in config": lambda f: write(
        f,
        wordpiece(pieces()),
        {"tokenizer_class": "ElectraTokenizer", "added_tokens_decoder": {str(len(pieces())): decoder}},
    ),
    "other names": lambda f: write(
        f, vocabulary=pieces(special=OTHER), config={"tokenizer_class": "BertTokenizer"}, special_tokens_map=names
    ),
    "other names, fast": lambda f: write(
        f, wordpiece(pieces(special=OTHER), special=OTHER), {"tokenizer_class": "PreTrainedTokenizerFast", **names}
    ),
    "ids left out": lambda f: write(f, sparse()),
    "two files differ": lambda f: write(
        f,
        wordpiece(pieces(lower=False)),
        {"tokenizer_class": "ElectraTokenizer", "do_lower_case": False, "strip_accents": False},
    ),
    "BERT over others": lambda f: write(
        f, wordpiece(pieces(), bert(clean_text=False), None), {"tokenizer_class": "BertTokenizerFast"}
    ),
}
LEARNT = {
    "learnt": [],
    "learnt, cased": ["--cased"],
    "learnt, stripped": ["--strip-accents"],
    "learnt, cased and stripped": ["--cased", "--strip-accents"],
    "learnt, spaces only": [],
}
# No word of these scripts is in the text of "learnt, spaces only".
SPACELESS = ["Thai", "Lao", "Khmer", "Burmese", "Long words"]


class Leyden:
    def __init__(self, binary):
        self.binary = str(Path(binary).resolve())

    def __call__(self, *arguments, given=None):
        done = subprocess.run([self.binary, *map(str, arguments)], input=given, capture_output=True, encoding="utf-8")
        if done.returncode != 0:
            raise RuntimeError(f"leyden {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return done.stdout

    def train(self, folder, text, options):
        """A dataset, and a model of one step, with whatever tokenizer it is."""
        self("prepare", text, "--out", folder / "data", "--length", LENGTH, "--held-out", 0.1, *options)
        tiny = ["model.layers=1", "model.hidden=8", "model.embedding=8", "model.heads=1", "model.feed_forward=8"]
        tiny += ["generator.layers=1", "generator.hidden=8", "generator.heads=1", "generator.feed_forward=8"]
        tiny += ["training.batch=2", "training.evaluation_examples=2"]
        sets = [part for setting in tiny for part in ("--set", setting)]
        self("train", "--data", folder / "data", "--run", folder / "run", "--steps", 1, "--device", "cpu", *sets)
        return next((folder / "run" / "checkpoints").glob("step-*")) / "discriminator"

    def ids(self, model, texts):
        lines = self("probe", model, "--device", "cpu", "--json", given="\n".join(texts) + "\n").split("\n")[:-1]
        return [json.loads(line)["ids"] for line in lines]


def examples(folder):
    """The examples of a dataset as ids without special tokens at their ends."""
    found = []
    for part in ("training", "held-out"):
        for shard in sorted(folder.glob(f"{part}-*.safetensors")):
            tensors = load_file(shard)
            found += [tuple(example[1:-1].tolist()) for example in numpy.split(tensors["tokens"], tensors["ends"][:-1])]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("leyden", help="the binary")
    parser.add_argument("--count", type=int, default=40, help="sentences a script")
    parser.add_argument("--freeze", type=Path, help="write a small part of it to this file")
    parser.add_argument("--only", help="the kinds whose names have this in them")
    arguments = parser.parse_args()
    if arguments.freeze:
        # Small vocabularies make a small file.
        words_kept = {"Special": 99, "Control": 6, "Japanese": 5, "Latin": 4}
        SCRIPTS.update({script: " ".join(words.split(" ")[: words_kept.get(script, 2)]) for script, words in SCRIPTS.items()})
        SCRIPTS["Long words"] = f"{'x' * 30} {'y' * 101} 12345"
    leyden = Leyden(arguments.leyden)
    texts = sentences(arguments.count)
    flat = [text for group in texts.values() for text in group]
    width = max(map(len, [*GIVEN, *LEARNT])) + 2
    print(" " * width + " ".join(f"{script[:6]:>6}" for script in texts) + "  class")
    wrong, frozen = 0, []
    for kind in [*LEARNT, *GIVEN]:
        if arguments.only and arguments.only not in kind:
            continue
        folder = Path(tempfile.mkdtemp(prefix="leyden-tokenizers-"))
        try:
            text = folder / "text.jsonl"
            learn_from = [t for script in texts if kind != "learnt, spaces only" or script not in SPACELESS for t in texts[script]]
            if kind == "learnt, spaces only":
                learn_from = [t for t in learn_from if not any("\u0e00" <= c <= "\u109f" or "\u1780" <= c <= "\u17ff" for c in t)]
            documents = learn_from if kind in LEARNT else flat
            text.write_text("".join(json.dumps({"text": t}) + "\n" for t in documents), encoding="utf-8")
            if kind in LEARNT:
                options = ["--vocab-size", 800, *LEARNT[kind]]
            else:
                GIVEN[kind](folder / "given")
                options = ["--tokenizer", folder / "given"]
            model = leyden.train(folder, text, options)
            saved = [AutoTokenizer.from_pretrained(place, split_special_tokens=True) for place in (model, folder / "data")]
            given = folder / "given"
            config = given / "tokenizer_config.json"
            named = config.exists() and "tokenizer_class" in config.read_text()
            # leyden rounds the scores of a Unigram model, so that what it saves is read alike; of splits of equal score the
            # given file may then have another. Version 4 loads no folder that does not name its class.
            if kind == "Unigram":
                pass
            elif named or (given / "tokenizer.json").exists() and transformers.__version__ >= "5":
                saved.append(AutoTokenizer.from_pretrained(given, split_special_tokens=True))
            stored = set(examples(folder / "data"))
            row, kept = [], []
            for script, group in texts.items():
                ours = leyden.ids(model, group)
                bad = []
                for sentence, ids in zip(group, ours, strict=True):
                    theirs = [one(sentence, add_special_tokens=False)["input_ids"][: LENGTH - 2] for one in saved]
                    # What leyden takes for two sentences, or cuts since it is long, it encodes in parts.
                    apart = len(ids) > 250 or re.search(r"[.!?…؟।॥][\s\"'»”’)\]]|[。！？｡]", sentence)
                    in_data = apart or sentence not in documents or not ids[1:-1] or tuple(ids[1:-1]) in stored
                    around = saved[0](sentence, truncation=True, max_length=LENGTH)["input_ids"] == ids
                    if any(other != ids[1:-1] for other in theirs) or not around or not in_data:
                        bad.append((sentence, ids[1:-1], theirs, around, in_data))
                row.append(len(bad))
                kept += [saved[0](sentence)["input_ids"] for sentence in (group[0], group[-1])]
                for case in bad[:2] if arguments.only else []:
                    print(f"  {script}: {case}")
            wrong += sum(row)
            name = json.loads((model / "tokenizer_config.json").read_text())["tokenizer_class"]
            print(f"{kind:<{width}}" + " ".join(f"{number:>6}" for number in row) + f"  {name}", flush=True)
            if kind in GIVEN:
                files = {file.name: file.read_text(encoding="utf-8") for file in sorted(given.iterdir())}
                for file in files:
                    if file.endswith(".json"):
                        files[file] = json.dumps(json.loads(files[file]), ensure_ascii=False, separators=(",", ":"))
                frozen.append({"kind": kind, "class": name, "files": files, "ids": kept})
        except RuntimeError as error:
            wrong += 1
            print(f"{kind:<{width}}{error}", flush=True)
        finally:
            shutil.rmtree(folder)
    if arguments.freeze:
        frozen = [[sentence for group in texts.values() for sentence in (group[0], group[-1])], *frozen]
        lines = ",\n".join(json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in frozen)
        arguments.freeze.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{wrong} of {len(texts)} x {arguments.count} sentences differ" if wrong else "0 differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
