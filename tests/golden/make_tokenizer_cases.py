#!/usr/bin/env python3
"""Writes tokenizer_cases.json: what transformers' ELECTRA tokenizer makes of awkward sentences.

Run with transformers (written with 5.24.0) from this folder: python make_tokenizer_cases.py
The vocabulary is small and our own; tests/corpus_tokenizer.rs holds leyden's tokenizer against the ids.
"""

import json
import string
import tempfile
from pathlib import Path

from transformers import ElectraTokenizerFast

LETTERS = string.ascii_lowercase
VOCABULARY = (
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    + list(string.punctuation)
    + list(string.digits + LETTERS)
    + ["##" + c for c in string.digits + LETTERS]
    + list("ABCEéü中文字भ한«»“”‘’—…。，¿¡") + ["##é", "##ü", "##B", "##ि", "##त"]
    + ["the", "##ing", "un", "##aff", "##able", "want", "##want", "##ed", "hello", "Hello", "world", "naive", "naïve"]
)

SENTENCES = [
    "Hello, world!",
    "UNwanted, unaffable and the hellos",
    "Ünïcödé naïve résumé, İstanbul ẞß ΑΣΣ",
    "a\u0301e\u0301 composed á é",
    "中文字 and the字mixed",
    "ひらがな カタカナ 한국어 한",
    "3.14159 1,000,000 $42 50% 2nd",
    "it's don't \"quoted\" 'single' -dash- … — “curly” ‘q’ «g» ¿Qué? ¡Olé!",
    "🙂 emoji ☃ snow",
    "tab\there\nnewline\r\nand\u00a0nbsp\u2003em",
    "\u200bzero\u200dwidth\ufeffbom\u00adsoft",
    "[MASK] in[CLS]the [SEP] text [UNK][PAD] [mask]",
    "x" * 101,
    "x" * 30,
    "a_b-c/d\\e@f#g$h%i^j&k*l(m)[n]{o}<p>|q`r~s",
    "भारत हिन्दी",
    "العربية ؟",
    "\x00null\x07bell \ufffd end",
    "ＦＵＬＬ，。",
    "Ⅷ ① ½ ﬁ Å \u212b",
    "",
    " \n ",
    "ABC BC EB",
]


def encoded(tokenizer, text):
    """Special tokens written in the text are plain text, but for the mask."""
    mask = [tokenizer.mask_token_id]
    ids = [tokenizer.cls_token_id]
    for index, part in enumerate(text.split(tokenizer.mask_token)):
        ids += (mask if index else []) + tokenizer(part, add_special_tokens=False)["input_ids"]
    return ids[:63] + [tokenizer.sep_token_id]


def cases(**options):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
        config = {"tokenizer_class": "ElectraTokenizer", **options}
        Path(folder, "tokenizer_config.json").write_text(json.dumps(config))
        tokenizer = ElectraTokenizerFast.from_pretrained(folder, split_special_tokens=True)
        return [{"text": text, "ids": encoded(tokenizer, text)} for text in SENTENCES]


golden = {
    "vocabulary": VOCABULARY,
    "lower_case": cases(do_lower_case=True),
    "cased": cases(do_lower_case=False),
    "marks": cases(do_lower_case=True, strip_accents=False),
}
path = Path(__file__).with_name("tokenizer_cases.json")
path.write_text(json.dumps(golden, ensure_ascii=True, separators=(",", ":")).replace('},{', '},\n{') + "\n")
