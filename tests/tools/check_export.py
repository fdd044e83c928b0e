"""Checks that what leyden exports is what transformers reads.

Loads the generator and the discriminator of a run's newest checkpoint with transformers and fails unless every weight is
found, nothing is left over and no shape differs; the two share their embeddings; AutoTokenizer loads; and, given the
binary, `leyden probe` prints the same ids and the same probabilities as transformers computes, and `leyden probe --mask`
the same guesses.

Run:  python tests/tools/check_export.py RUN_DIR [--leyden target/release/leyden]

RUN_DIR is a run (its highest checkpoints/step-*/ is taken), a checkpoint, or any folder that holds `generator` and
`discriminator`; alternatively `--discriminator DIR --generator DIR` name the two. leyden is called as
`leyden probe DISCRIMINATOR --json -- SENTENCE...` and is to print one object a line: {"text", "tokens", "ids",
"p_replaced"}; of the generator, with --mask, {"text", "ids", "masks": [{"position", "guesses": [{"id", "p"}]}]}. The exit status is 0 only if every check passes.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import torch
from transformers import AutoTokenizer, ElectraForMaskedLM, ElectraForPreTraining
from transformers.utils import logging

SENTENCES = [
    "The cat sat on the mat.",
    "Café au lait, naïve FAÇADE — don't!",
    "In 1745 the first Leyden jar held a charge; ☃ 中国 ß zzzqqqxxx.",
    "?",
    "one two three four five six seven eight nine ten, " * 60,
]
MASKED = [
    "The cat sat on the [MASK].",
    "[MASK] [MASK], and the [MASK][MASK] of it",
    "one two [MASK] four five six, " * 60,
]
TOLERANCE = 1e-4
TOP = 5


class Checks:
    """Prints every check and remembers whether one failed."""

    def __init__(self):
        self.passed = self.failed = 0

    def __call__(self, good, what, detail=""):
        self.passed, self.failed = self.passed + bool(good), self.failed + (not good)
        print(f"{'ok  ' if good else 'FAIL'} {what}{': ' + detail if detail and not good else ''}")
        return bool(good)


def arguments():
    parser = argparse.ArgumentParser(description="Check that transformers reads what leyden exports.")
    parser.add_argument("run", type=Path, nargs="?", help="run, checkpoint, or folder with generator/ and discriminator/, or with encoder/")
    parser.add_argument("--generator", type=Path, help="a generator's folder")
    parser.add_argument("--discriminator", type=Path, help="a discriminator's folder")
    parser.add_argument("--leyden", type=Path, help="the binary whose `probe` is compared")
    parser.add_argument("--sentence", action="append", help="compare this sentence (repeatable) instead of the usual ones")
    args = parser.parse_args()
    args.beside = {}
    if args.run:
        folder = newest(args.run)
        there = {name: folder / name for name in ("generator", "discriminator", "encoder") if (folder / name).is_dir()}
        if "encoder" in there:
            args.generator = there.pop("encoder")  # what one keeps; what is beside it is loaded
            args.beside = there
        else:
            args.generator, args.discriminator = there.get("generator"), folder / "discriminator"
    elif not (args.generator and args.discriminator):
        parser.error("give RUN_DIR, or both --generator and --discriminator")
    return args


def newest(run):
    """The folder that holds the networks: the run's highest step, or `run` itself."""
    if (run / "discriminator").is_dir() or (run / "encoder").is_dir():
        return run
    steps = [(int(m[1]), path) for path in run.glob("checkpoints/step-*") if (m := re.fullmatch(r"step-(\d+)", path.name))]
    if not steps:
        sys.exit(f"{run} holds neither discriminator/ nor encoder/ nor checkpoints/step-*/: name a run or a checkpoint")
    return max(steps)[1]


def load(check, kind, folder):
    """The model, or None; checks that each weight was found once and fits."""
    try:
        options = dict(output_loading_info=True, local_files_only=True, ignore_mismatched_sizes=True)
        model, info = kind.from_pretrained(folder, **options)
    except Exception as error:  # every way to fail is a finding here
        check(False, f"{kind.__name__} loads {folder}", f"{type(error).__name__}: {error}")
        return None
    check(True, f"{kind.__name__} loads {folder}")
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs", "conversion_errors"):
        found = list(info.get(key) or [])
        if key in info:
            check(not found, f"  no {key.replace('_', ' ')}", f"found {len(found)}, first {found[:5]}")
    infinite = [n for n, p in model.named_parameters() if not torch.isfinite(p).all()]
    check(not infinite, "  every weight is finite", str(infinite[:5]))
    return model.eval()


def check_pair(check, generator, discriminator):
    words = generator.electra.embeddings.word_embeddings.weight
    check(generator.generator_lm_head.weight is words, "generator's output weight is its word embedding")
    shared = discriminator.electra.embeddings.state_dict()
    unequal = [n for n, v in generator.electra.embeddings.state_dict().items() if not torch.equal(v, shared[n])]
    check(not unequal, "generator and discriminator share their embeddings, bit for bit", str(unequal))


def load_tokenizer(check, folder, vocabulary):
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:
        check(False, f"AutoTokenizer loads {folder}", f"{type(error).__name__}: {error}")
        return None
    check(True, f"AutoTokenizer loads {folder} as {type(tokenizer).__name__}")
    check(len(tokenizer) == vocabulary, "  as many tokens as embeddings", f"{len(tokenizer)} and {vocabulary}")
    for name in ("pad", "unk", "cls", "sep", "mask"):
        token = getattr(tokenizer, f"{name}_token")
        known = token in tokenizer.get_vocab()
        check(known, f"  {name} token is {token}", "not in the vocabulary")
    return tokenizer


def ask(check, leyden, folder, sentences, *more):
    """What `leyden probe` prints for the sentences, or None."""
    command = [leyden, "probe", folder, "--json", *more, "--", *sentences]
    name = " ".join(["leyden probe", *more])
    try:
        run = subprocess.run(command, capture_output=True, encoding="utf-8")
    except OSError as error:
        check(False, f"{leyden} can be started", str(error))
        return None
    if not check(run.returncode == 0, f"{name} runs", f"exit status {run.returncode}: {run.stderr.strip()[-400:]}"):
        return None
    try:
        answers = [json.loads(line) for line in run.stdout.splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        check(False, f"{name} prints JSON lines", str(error))
        return None
    if not check(len(answers) == len(sentences), "a line a sentence", f"{len(answers)} for {len(sentences)}"):
        return None
    return answers


def check_guesses(check, leyden, folder, model, tokenizer):
    answers = ask(check, leyden, folder, MASKED, "--mask", "--top", str(TOP))
    worst = 0.0
    for text, answer in zip(MASKED, answers or []):
        positions = model.config.max_position_embeddings
        encoded = tokenizer(text, truncation=True, max_length=positions, return_tensors="pt")
        ids = encoded["input_ids"][0].tolist()
        shown = text if len(text) <= 40 else text[:37] + "..."
        if not check(answer.get("ids") == ids, f"{shown!r}: same {len(ids)} ids", str(answer.get("ids"))[:80]):
            continue
        places = [i for i, token in enumerate(ids) if token == tokenizer.mask_token_id]
        found = [mask["position"] for mask in answer["masks"]]
        if not check(found == places, f"  same {len(places)} masks", first_difference(found, places)):
            continue
        if not getattr(model.config, "attends_to_masks", True):
            # As an XLNet is asked: no token attends to a masked one.
            encoded["attention_mask"] = (encoded["input_ids"] != tokenizer.mask_token_id).long()
        with torch.no_grad():
            expected = torch.softmax(model(**encoded).logits[0].double(), -1)
        for mask in answer["masks"]:
            at = expected[mask["position"]]
            error = max(abs(at[g["id"]].item() - g["p"]) for g in mask["guesses"])
            # Guesses that are equally likely to rounding may change places.
            rank = (at.topk(TOP).values - at[[g["id"] for g in mask["guesses"]]]).abs().max().item()
            worst = max(worst, error, rank)
        check(worst <= TOLERANCE, f"  same {TOP} guesses, probabilities within {TOLERANCE}", f"off by {worst:.1e}")
    print(f"largest difference of a guess's probability {worst:.1e}")


def check_probe(check, leyden, folder, model, tokenizer, sentences):
    answers = ask(check, leyden, folder, sentences)
    if answers is None:
        return
    positions, worst = model.config.max_position_embeddings, 0.0
    for text, answer in zip(sentences, answers):
        shown = text if len(text) <= 40 else text[:37] + "..."
        lacking = [key for key in ("text", "tokens", "ids", "p_replaced") if key not in answer]
        if not check(not lacking, f"{shown!r} has all fields", f"lacks {lacking}"):
            continue
        check(answer["text"] == text, "  same text", repr(answer["text"]))
        encoded = tokenizer(text, truncation=True, max_length=positions, return_tensors="pt")
        ids = encoded["input_ids"][0].tolist()
        if not check(answer["ids"] == ids, f"  same {len(ids)} ids", first_difference(answer["ids"], ids)):
            continue
        tokens = tokenizer.convert_ids_to_tokens(ids)
        check(answer["tokens"] == tokens, "  same tokens", first_difference(answer["tokens"], tokens))
        with torch.no_grad():
            expected = torch.sigmoid(model(**encoded).logits[0].double())
        found = torch.tensor(answer["p_replaced"], dtype=torch.float64)
        if not check(found.shape == expected.shape, "  a probability a token", f"{len(found)} for {len(ids)}"):
            continue
        error = (found - expected).abs().nan_to_num(nan=float("inf")).max().item()
        worst = max(worst, error)
        check(error <= TOLERANCE, f"  probabilities within {TOLERANCE}", f"off by {error:.1e}")
    print(f"largest difference of a probability {worst:.1e}")


def first_difference(found, expected):
    for index, (a, b) in enumerate(zip(found, expected)):
        if a != b:
            return f"at {index} found {a!r}, expected {b!r}"
    return f"found {len(found)}, expected {len(expected)}"


def main():
    args, check = arguments(), Checks()
    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what it would warn of is checked below
    generator = args.generator and load(check, ElectraForMaskedLM, args.generator)
    for name, folder in args.beside.items():
        load(check, ElectraForPreTraining if name == "discriminator" else ElectraForMaskedLM, folder)
    discriminator = args.discriminator and load(check, ElectraForPreTraining, args.discriminator)
    if generator and discriminator:
        check_pair(check, generator, discriminator)
    tokenizer = None
    for folder, model in ((args.generator, generator), (args.discriminator, discriminator)):
        if model:
            tokenizer = load_tokenizer(check, folder, model.config.vocab_size)
    if args.leyden and discriminator and tokenizer:
        check_probe(check, args.leyden, args.discriminator, discriminator, tokenizer, args.sentence or SENTENCES)
    if args.leyden and generator and tokenizer:
        check_guesses(check, args.leyden, args.generator, generator, tokenizer)
    if not args.leyden:
        print("leyden probe not compared: no --leyden given")
    print(f"{check.passed} passed, {check.failed} failed")
    sys.exit(check.failed > 0)


if __name__ == "__main__":
    main()
