"""Writes a small ELECTRA as transformers saves one, and what transformers says with it.

  probe/             a discriminator: config.json, model.safetensors, tokenizer.json, vocab.txt, tokenizer_config.json,
                     special_tokens_map.json
  probe_generator/   its generator: the same tokenizer, the same embeddings
  probe_masks.json   for each sentence with masks {"text", "ids", "masks"}: each mask's position, and the id, token and
                     probability of the generator's five best guesses (softmax in float64 of float32 logits)
  probe_others.json  what both say with another hidden_act and layer_norm_eps in config.json and the same weights: for each
                     {"hidden_act", "layer_norm_eps", "sentences", "masked"}, the last two as in the files below and above
  probe.json         for each sentence {"text", "tokens", "ids", "p_replaced"}: the tokens with [CLS] and [SEP], cut to the
                     model's 40 positions, and the probability that each was replaced (sigmoid in float64 of float32 logits)

What it proves: an engine that opens the folder and prints the same ids and probabilities reads the configuration, the
weights, and the tokenizer as transformers does: lower-casing, accents, unknown words, punctuation, truncation.

Run:  python tests/golden/make_probe.py              (README.md has the versions)
"""

import json
import math
import shutil
import string
from pathlib import Path

import numpy as np
import torch
from tokenizers import BertWordPieceTokenizer
from transformers import AutoTokenizer, ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining
from transformers.utils import logging

HERE = Path(__file__).parent
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = """the of and to in is was it on at cat dog bird ship sea storm night light jar spark glass metal water held
    charge first store small large teacher found old new cafe naive facade ran sat saw""".split()
PIECES = ["##ing", "##ed", "##er", "##ly", "##le"]
VOCABULARY = [
    *SPECIAL,
    *string.ascii_lowercase,
    *("##" + letter for letter in string.ascii_lowercase if letter != "q"),  # "iraq" is unknown as a whole
    *".,!?'-()\":",
    *"0123",  # other digits are unknown
    "中",  # a CJK character stands alone as a word; others are unknown
    *WORDS,
    *PIECES,
]

POSITIONS = 40
COMMON = dict(
    vocab_size=len(VOCABULARY), embedding_size=24, num_hidden_layers=2, num_attention_heads=2, type_vocab_size=2,
    max_position_embeddings=POSITIONS, layer_norm_eps=1e-12, hidden_act="gelu", pad_token_id=0,
)  # fmt: skip
DISCRIMINATOR = dict(COMMON, hidden_size=40, intermediate_size=72)
GENERATOR = dict(COMMON, hidden_size=20, intermediate_size=36)

SENTENCES = [
    "The cat sat on the jar.",
    "Café, naïve FAÇADE: the old teacher's light-ship!",
    "the bird 中国 saw 2 cats at 9 in iraq ☃",
    "",
    "   \t ",
    "?!(\"...\")--",
    "Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich",
    "a [MASK] of glass and metal held the first charge",
    "the storm was large and the ship was small, " * 6,
]

MASKED = [
    "The [MASK] sat on the jar.",
    "[MASK]",
    "a [MASK][MASK]er held the first charge in the [MASK] of the storm",
    "the [MASK] was large and " * 5 + "[MASK]",
    "[MASK] the " * 22,  # cut in the middle
]


def fill(model, seed):
    """Random float32 parameters, large enough that the verdicts spread over most of (0, 1)."""
    random = np.random.Generator(np.random.PCG64(seed))
    for name, parameter in sorted(model.named_parameters()):
        value = random.standard_normal(tuple(parameter.shape))
        if name.endswith("LayerNorm.weight"):
            value = 1.0 + 0.2 * value
        elif name.endswith("bias"):
            value = 0.2 * value
        elif "embeddings." in name:
            value = 0.5 * value
        else:
            gain = 5.0 if "dense_prediction" in name else 2.0 if "query" in name or "key" in name else 1.3
            value = value * gain / math.sqrt(parameter.shape[-1])
        parameter.data = torch.tensor(value.astype(np.float32))
    return model.eval()


def centre(model, folder):
    """Moves the verdict's bias so that half of the sentences' tokens are called replaced."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        encoded = [tokenizer(t, truncation=True, max_length=POSITIONS, return_tensors="pt") for t in SENTENCES]
        median = torch.cat([model(**e).logits[0] for e in encoded]).median().item()
    model.discriminator_predictions.dense_prediction.bias.data -= round(median, 2)


def save_tokenizer(folder):
    """vocab.txt and tokenizer.json of an uncased ELECTRA, and the two files that make AutoTokenizer find them."""
    (folder / "vocab.txt").write_text("".join(piece + "\n" for piece in VOCABULARY), encoding="utf-8")
    tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL))
    config = dict(names, tokenizer_class="ElectraTokenizer", do_lower_case=True, strip_accents=None,
                  tokenize_chinese_chars=True, model_max_length=POSITIONS)  # fmt: skip
    for name, value in (("tokenizer_config.json", config), ("special_tokens_map.json", names)):
        (folder / name).write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def main():
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    assert len(set(VOCABULARY)) == len(VOCABULARY)
    discriminator = fill(ElectraForPreTraining(ElectraConfig(**DISCRIMINATOR)), seed=40)
    generator = fill(ElectraForMaskedLM(ElectraConfig(**GENERATOR)), seed=41)
    generator.electra.embeddings = discriminator.electra.embeddings  # a pair shares them
    generator.generator_lm_head.weight = generator.electra.embeddings.word_embeddings.weight
    for folder, model in ((HERE / "probe", discriminator), (HERE / "probe_generator", generator)):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        save_tokenizer(folder)
        if model is discriminator:
            centre(model, folder)
        model.save_pretrained(folder)
        (folder / "model.safetensors").chmod(0o644)

    # From here on only what was written counts.
    tokenizer = AutoTokenizer.from_pretrained(HERE / "probe")
    model = ElectraForPreTraining.from_pretrained(HERE / "probe").eval()
    slow = ElectraForPreTraining.from_pretrained(HERE / "probe", dtype=torch.float64, attn_implementation="eager").eval()
    write("probe.json", verdicts(tokenizer, model, slow, SENTENCES))
    write("probe_masks.json", masks(MASKED))
    write("probe_others.json", others())


def others():
    """The same weights under other configurations, of which nothing is kept but what they say."""
    tokenizer = AutoTokenizer.from_pretrained(HERE / "probe")
    cases = []
    for act, eps in (("gelu_new", 0.05), ("relu", 1e-5), ("gelu_fast", 1e-12)):
        other = dict(hidden_act=act, layer_norm_eps=eps)
        exact = dict(other, dtype=torch.float64, attn_implementation="eager")
        model = ElectraForPreTraining.from_pretrained(HERE / "probe", **other).eval()
        slow = ElectraForPreTraining.from_pretrained(HERE / "probe", **exact).eval()
        assert (model.config.hidden_act, model.config.layer_norm_eps) == (act, eps)
        cases.append(dict(other, sentences=verdicts(tokenizer, model, slow, SENTENCES[:2]), masked=masks(MASKED[:3], **other)))
    return cases


def verdicts(tokenizer, model, slow, sentences):
    """What the discriminator says of each token; `slow` is the same in float64."""
    cases = []
    for text in sentences:
        encoded = tokenizer(text, truncation=True, max_length=POSITIONS, return_tensors="pt")
        with torch.no_grad():
            probability = torch.sigmoid(model(**encoded).logits[0].double())
            exact = torch.sigmoid(slow(**encoded).logits[0])
        error = (probability - exact).abs().max().item()
        if error > 1e-5:
            raise SystemExit(f"not written: float32 is off by {error:.1e} for {text!r}")
        ids = encoded["input_ids"][0].tolist()
        tokens = tokenizer.convert_ids_to_tokens(ids)
        cases.append({"text": text, "tokens": tokens, "ids": ids, "p_replaced": probability.tolist()})
        print(len(ids), " ".join(tokens), f"[{probability.min():.3f}, {probability.max():.3f}] float32 to {error:.0e}")
    return cases


def masks(sentences, **other):
    """What the generator puts where sentences have [MASK]."""
    tokenizer = AutoTokenizer.from_pretrained(HERE / "probe_generator")
    model = ElectraForMaskedLM.from_pretrained(HERE / "probe_generator", **other).eval()
    cases = []
    for text in sentences:
        encoded = tokenizer(text, truncation=True, max_length=POSITIONS, return_tensors="pt")
        ids = encoded["input_ids"][0].tolist()
        with torch.no_grad():
            probability = torch.softmax(model(**encoded).logits[0].double(), -1)
        found = []
        for position in (i for i, token in enumerate(ids) if token == tokenizer.mask_token_id):
            best = probability[position].topk(6)
            gap = (best.values[:-1] - best.values[1:]).min().item()
            if gap < 1e-5:
                raise SystemExit(f"not written: two guesses of {text!r} are only {gap:.1e} apart")
            guesses = [
                {"id": i, "token": tokenizer.convert_ids_to_tokens(i), "p": p}
                for i, p in zip(best.indices[:5].tolist(), best.values[:5].tolist())
            ]
            found.append({"position": position, "guesses": guesses})
        cases.append({"text": text, "ids": ids, "masks": found})
        print(len(ids), text, [m["guesses"][0]["token"] for m in found])
    return cases


def write(name, cases):
    lines = ",\n".join("  " + json.dumps(case, ensure_ascii=False) for case in cases)
    (HERE / name).write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
