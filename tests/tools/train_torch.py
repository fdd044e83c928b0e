"""Trains what a leyden run trains, in PyTorch and transformers: the peer that a whole run's curves are held against.

Reads the run's config.toml and the dataset it was trained on (`leyden prepare`), and takes the same steps: models of
transformers with tied embeddings, leyden's initialisation, masked positions without replacement, Gumbel samples, the joint
loss, the clip by the global norm, AdamW with or without bias correction, the schedule, dropout. Only the random numbers are
its own, so curves should agree as those of two seeds do. Each seed's folder holds config.toml, text.json and a
metrics.jsonl as leyden writes it.

Run:  leyden prepare corpus/ --out data --length 32 --vocab-size 2048
      leyden train --data data --run runs/leyden
      python tests/tools/train_torch.py runs/leyden --out runs/torch --seeds 1 2 3
      leyden plot runs/leyden runs/torch-1 runs/torch-2 runs/torch-3 --out parity.png

Shapes: B examples, L tokens, K drawn positions an example, V vocabulary, H hidden.
"""

import argparse
import json
import math
import os
import shutil
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file
from torch.nn import functional as F
from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining


def arguments():
    parser = argparse.ArgumentParser(description="Train what a leyden run trains, in PyTorch.")
    parser.add_argument("run", type=Path, help="the run's folder, for its config.toml")
    parser.add_argument("--out", type=Path, required=True, help="folders to write, without the -SEED at their end")
    parser.add_argument("--data", type=Path, help="the dataset (the one that config.toml names)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="a run for each (1 2 3)")
    parser.add_argument("--stop-after", type=int, help="end after so many steps; the schedule stays")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads (all cores); 1 where others are at work")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    args = parser.parse_args()
    with open(args.run / "config.toml", "rb") as file:
        config = tomllib.load(file)
    args.data = args.data or config["data"].get("dataset") and Path(config["data"]["dataset"])
    if not args.data:
        parser.error(f"{args.run}/config.toml names no dataset; train with --data, or name one here with --data")
    return args, config


# ---------------------------------------------------------------- data


class Examples:
    """Rows of ids, [N, L] with [PAD] behind, their lengths [N] and where segment B starts [N]."""

    def __init__(self, folder, part, special):
        rows, lengths, boundaries = [], [], []
        for shard in part["shards"]:
            tensors = load_file(folder / shard["entry"]["file"])
            ends = tensors["ends"].astype(np.int64)
            lengths.append(np.diff(ends, prepend=0))
            boundaries.append(tensors["boundaries"].astype(np.int64))
            rows.extend(np.split(tensors["tokens"].astype(np.int64), ends[:-1]))
        self.lengths, self.boundaries = np.concatenate(lengths), np.concatenate(boundaries)
        self.rows, self.special = rows, special

    def __len__(self):
        return len(self.rows)

    def batch(self, indices, length, objective, random):
        """The batch of these examples, masked, as tensors."""
        size, s = len(indices), self.special
        ids = np.full((size, length), s["pad"])
        types = np.zeros((size, length), np.int64)
        n = self.lengths[indices]
        for b, i in enumerate(indices):
            ids[b, : n[b]] = self.rows[i]
            types[b, self.boundaries[i] : n[b]] = 1
        most = max(1, int((objective["masked_fraction"] + 0.005) * length))
        candidates = ~np.isin(ids, [s["cls"], s["sep"], s["mask"], s["pad"]])
        wanted = np.clip(np.round(objective["masked_fraction"] * n), 1, most)  # numpy rounds ties to even
        wanted = np.minimum(wanted, candidates.sum(1))
        # The first places of a random order are a draw without replacement; what cannot be drawn comes last.
        order = np.argsort(np.where(candidates, random.random(ids.shape), 2.0), axis=1)[:, :most]
        used = np.arange(most) < wanted[:, None]
        masked = ids.copy()
        hidden = used & (random.random(used.shape) < objective["mask_probability"])
        b, k = np.nonzero(hidden)
        masked[b, order[b, k]] = s["mask"]
        b, k = np.nonzero(used)
        drawn = b * length + order[b, k]
        mask = np.arange(length) < n[:, None]
        return {
            name: torch.from_numpy(np.ascontiguousarray(value))
            for name, value in dict(
                ids=ids, masked=masked, types=types, mask=mask.astype(np.int64), drawn=drawn, targets=ids.reshape(-1)[drawn]
            ).items()
        }


def orders(count, batch, seed):
    """Indices of batch after batch: an order of its own every epoch, and what is left at an end begins the next batch."""
    random, waiting = np.random.default_rng([seed, 1]), np.empty(0, np.int64)
    while True:
        while len(waiting) < batch:
            waiting = np.concatenate([waiting, random.permutation(count)])
        yield waiting[:batch]
        waiting = waiting[batch:]


# ---------------------------------------------------------------- model


def generator_sizes(generator, encoder):
    """The sizes of a generator: its own, or a fraction of the encoder's width, as src/objective/generator.rs works it out."""
    if isinstance(generator, dict):
        return generator
    if generator is None:
        sys.exit("config.toml has no generator: only ELECTRA's runs can be trained here")
    width, narrow = encoder["hidden"] // encoder["heads"], round(generator * encoder["hidden"])
    heads = 1 if narrow < width else round(generator * encoder["heads"])
    hidden = narrow if narrow < width else heads * width
    feed_forward = -(-encoder["feed_forward"] * hidden // encoder["hidden"])
    return dict(hidden=hidden, layers=encoder["layers"], heads=heads, feed_forward=feed_forward)


def models(config, seed):
    """Generator and discriminator with tied embeddings, initialised, and their parameters by name, each once."""
    m, objective = config["model"], config["objective"]
    varied = {"over", "replaced_by", "tying", "temperature", "disallow_correct"} & set(objective)
    varied |= {"whole_words"} & {key for key, value in config["data"].items() if value is True}
    if objective.get("name", "electra") != "electra" or varied:
        raise SystemExit(f"config.toml: this trains electra as it is, not {', '.join(varied) or objective['name']}")
    g = generator_sizes(config["objective"].get("generator", config.get("generator")), m)
    common = dict(
        vocab_size=m["vocabulary"], embedding_size=m["embedding"], max_position_embeddings=m["positions"],
        type_vocab_size=m["types"], hidden_dropout_prob=m["dropout"], attention_probs_dropout_prob=m["attention_dropout"],
        layer_norm_eps=m.get("layer_norm_epsilon", 1e-12), hidden_act=m.get("activation", "gelu"), pad_token_id=0,
    )  # fmt: skip

    def sizes(s):
        return ElectraConfig(hidden_size=s["hidden"], num_hidden_layers=s["layers"], num_attention_heads=s["heads"],
                             intermediate_size=s["feed_forward"], **common)  # fmt: skip

    discriminator, generator = ElectraForPreTraining(sizes(m)), ElectraForMaskedLM(sizes(g))
    generator.electra.embeddings = discriminator.electra.embeddings
    words = discriminator.electra.embeddings.word_embeddings
    generator.generator_lm_head.weight = words.weight
    words.padding_idx = None  # torch would drop the gradient of [PAD]
    named = {}
    for prefix, model in (("discriminator", discriminator), ("generator", generator)):
        for name, parameter in model.named_parameters():
            if not any(parameter is known for known in named.values()):
                named[f"{prefix}.{name}"] = parameter
    torch.manual_seed(seed)
    for name, parameter in named.items():
        initialise(name, parameter.data, m)
    return generator, discriminator, named


def initialise(name, data, m):
    deviation = m["initializer_range"]
    if name.endswith("LayerNorm.weight"):
        data.fill_(1.0)
    elif name.endswith("bias"):
        data.zero_()
    elif "embeddings_project" in name or "dense_prediction" in name:
        torch.nn.init.xavier_uniform_(data)
    elif "position_embeddings" in name and m["position_initialization"] == "sinusoidal":
        position, column = torch.arange(data.shape[0])[:, None].double(), torch.arange(data.shape[1])
        angle = position / 10_000 ** ((column - column % 2) / data.shape[1])
        wave = torch.where(column % 2 == 0, angle.sin(), angle.cos())
        data.copy_(math.sqrt(2) * deviation * wave)  # a wave's deviation is sqrt(1/2)
    else:
        torch.nn.init.trunc_normal_(data, std=deviation, a=-2 * deviation, b=2 * deviation)


def forward(generator, discriminator, batch, noise=None):
    """Both losses, and what the measures need. `noise` draws the samples' uniform numbers."""
    ids, mask = batch["ids"], batch["mask"]
    inputs = dict(token_type_ids=batch["types"], attention_mask=mask)
    hidden = generator.electra(batch["masked"], **inputs).last_hidden_state  # [B, L, H]
    drawn = hidden.reshape(-1, hidden.shape[-1])[batch["drawn"]]
    logits = generator.generator_lm_head(generator.generator_predictions(drawn))  # [drawn, V]
    cross_entropy = F.cross_entropy(logits, batch["targets"], reduction="sum")
    generator_loss = cross_entropy / (len(batch["targets"]) + 1e-6)
    with torch.no_grad():
        uniform = torch.rand(logits.shape, generator=noise, device=logits.device)
        sampled = (logits - torch.log(-torch.log(uniform + 1e-9) + 1e-9)).argmax(-1)
        corrupted = ids.clone()
        corrupted.view(-1)[batch["drawn"]] = sampled
        labels = (corrupted != ids).to(logits.dtype)
    verdicts = discriminator(corrupted, **inputs).logits  # [B, L]
    weight = mask.to(verdicts.dtype)
    binary = F.binary_cross_entropy_with_logits(verdicts, labels, reduction="none")
    discriminator_loss = (binary * weight).sum() / (weight.sum() + 1e-6)
    real = mask.bool()
    seen = dict(best=logits.argmax(-1), sampled=sampled, targets=batch["targets"], verdicts=verdicts[real], labels=labels[real])
    return generator_loss, discriminator_loss, {name: value.detach().cpu() for name, value in seen.items()}


# ---------------------------------------------------------------- measures


class Tally:
    """Adds up steps; `finish` gives the measures of a line of metrics.jsonl."""

    def __init__(self):
        self.parts = []

    def add(self, generator_loss, discriminator_loss, seen):
        self.parts.append((generator_loss, discriminator_loss, seen))

    def tokens(self):
        return sum(len(seen["labels"]) for _, _, seen in self.parts)

    def finish(self):
        drawn = np.array([len(seen["targets"]) for _, _, seen in self.parts])
        tokens = np.array([len(seen["labels"]) for _, _, seen in self.parts])

        def all_of(name):
            return torch.cat([seen[name] for _, _, seen in self.parts])

        targets, labels, verdicts = all_of("targets"), all_of("labels").bool(), all_of("verdicts")
        called = verdicts > 0
        hits, total = (called & labels).sum().item(), len(labels)

        def share(part, whole):
            return part / whole if whole else None

        measures = dict(
            generator_loss=float(np.average([g for g, _, _ in self.parts], weights=drawn)),
            discriminator_loss=float(np.average([d for _, d, _ in self.parts], weights=tokens)),
            generator_accuracy=(all_of("best") == targets).double().mean().item(),
            sampled_accuracy=(all_of("sampled") == targets).double().mean().item(),
            replaced_rate=labels.sum().item() / total,
            discriminator_accuracy=(called == labels).double().mean().item(),
            precision=share(hits, called.sum().item()),
            recall=share(hits, labels.sum().item()),
            auc=area(verdicts.double().numpy(), labels.numpy()),
        )
        self.parts = []
        return {name: value if value is None or math.isfinite(value) else None for name, value in measures.items()}


def area(verdicts, labels):
    """Mann and Whitney's U over all pairs, ties counted half."""
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if positives == 0 or negatives == 0:
        return None
    values, place, counts = np.unique(verdicts, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return float((ranks[labels].sum() - positives * (positives + 1) / 2) / (positives * negatives))


# ---------------------------------------------------------------- training


class AdamW:
    """theta -= lr * (m / (sqrt(v) + eps) + decay * theta), gradients clipped by their global norm first. `factors` are what the
    learning rate of each parameter is multiplied with."""

    def __init__(self, named, settings, factors=None):
        self.settings, self.parameters = settings, list(named.values())
        self.factors = factors or [1.0] * len(self.parameters)
        self.first = [torch.zeros_like(p) for p in self.parameters]
        self.second = [torch.zeros_like(p) for p in self.parameters]
        plain = [name.endswith("bias") or "LayerNorm" in name for name in named]
        self.decayed = [p for p, is_plain in zip(self.parameters, plain) if not is_plain]
        self.decayed_factors = [f for f, is_plain in zip(self.factors, plain) if not is_plain]

    @torch.no_grad()
    def step(self, gradients, step, rate):
        s = self.settings
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        gradients = torch._foreach_mul(gradients, min(1.0, s["clip_norm"] / max(norm.item(), 1e-30)))
        m, v, b1, b2 = self.first, self.second, s["beta1"], s["beta2"]
        torch._foreach_mul_(m, b1), torch._foreach_add_(m, gradients, alpha=1 - b1)
        torch._foreach_mul_(v, b2), torch._foreach_addcmul_(v, gradients, gradients, 1 - b2)
        corrected = s["bias_correction"]
        c1, c2 = ((1 / (1 - b ** (step + 1)) if corrected else 1.0) for b in (b1, b2))
        root = torch._foreach_sqrt(torch._foreach_mul(v, c2))
        torch._foreach_add_(root, s["epsilon"])
        # Before the update, so of the old weights.
        torch._foreach_mul_(self.decayed, [1 - rate * f * s["weight_decay"] for f in self.decayed_factors])
        torch._foreach_addcdiv_(self.parameters, m, root, [-rate * c1 * f for f in self.factors])
        return norm.item()


def learning_rate(config, step):
    o, total = config["optimizer"], config["training"]["steps"]
    warm = min(1.0, step / o["warmup"]) if o["warmup"] else 1.0
    return o["learning_rate"] * max(0.0, 1 - step / total) * warm


def evaluate(generator, discriminator, held_out, config, device):
    """The measures of the held-out examples, dropout off; the same examples, masks and samples every time."""
    t, random = config["training"], np.random.default_rng(7)
    noise = torch.Generator(device).manual_seed(7)
    chosen = random.permutation(len(held_out))[: t["evaluation_examples"]]
    generator.eval(), discriminator.eval()
    tally, size = Tally(), min(32, t["batch"])
    with torch.no_grad():
        for start in range(0, len(chosen), size):
            batch = held_out.batch(chosen[start : start + size], config["data"]["length"], config["objective"], random)
            batch = {name: tensor.to(device) for name, tensor in batch.items()}
            g, d, seen = forward(generator, discriminator, batch, noise)
            tally.add(g.item(), d.item(), seen)
    generator.train(), discriminator.train()
    return tally.finish()


def train(args, config, manifest, seed):
    folder = args.out.with_name(f"{args.out.name}-{seed}")
    folder.mkdir(parents=True)
    shutil.copy(args.run / "config.toml", folder)
    counts = manifest["training"]["counts"]["documents"] + manifest["held_out"]["counts"]["documents"]
    statistics = manifest["statistics"]
    facts = dict(documents=counts, tokens=statistics["tokens"], unigram_entropy=statistics["unigram_entropy"])
    (folder / "text.json").write_text(json.dumps(facts, indent=2))

    training = Examples(args.data, manifest["training"], manifest["tokenizer"])
    held_out = Examples(args.data, manifest["held_out"], manifest["tokenizer"])
    generator, discriminator, named = models(config, seed)
    generator.train().to(args.device), discriminator.train().to(args.device)
    adamw = AdamW(named, config["optimizer"])
    t, o = config["training"], config["objective"]
    steps = min(t["steps"], args.stop_after or t["steps"])
    source, random = orders(len(training), t["batch"], seed), np.random.default_rng([seed, 2])
    tally, start, logged = Tally(), time.perf_counter(), 0.0

    with open(folder / "metrics.jsonl", "w", encoding="utf-8", buffering=1) as metrics:

        def log(**line):
            print(json.dumps(line, allow_nan=False), file=metrics)

        def hold_out(done):
            measures = evaluate(generator, discriminator, held_out, config, args.device)
            log(step=done, seconds=time.perf_counter() - start, held_out=measures)
            return measures

        hold_out(0)
        for step in range(steps):
            batch = training.batch(next(source), config["data"]["length"], o, random)
            batch = {name: tensor.to(args.device) for name, tensor in batch.items()}
            g, d, seen = forward(generator, discriminator, batch)
            loss = o["generator_weight"] * g + o["discriminator_weight"] * d
            gradients = torch.autograd.grad(loss, adamw.parameters)
            rate = learning_rate(config, step)
            norm = adamw.step(list(gradients), step, rate)
            tally.add(g.item(), d.item(), seen)
            if not math.isfinite(norm):
                raise SystemExit(f"step {step}: generator loss {g}, discriminator loss {d}, gradient norm {norm}")
            done = step + 1
            if done % t["log_every"] == 0 or done == steps:
                seconds, tokens = time.perf_counter() - start, tally.tokens()
                log(seconds=seconds, tokens_per_second=tokens / (seconds - logged), step=done, tokens=tokens,
                    learning_rate=rate, gradient_norm=norm, **tally.finish())  # fmt: skip
                logged = seconds
            if done % t.get("evaluate_every", steps) == 0 and done < steps:
                hold_out(done)
        measures = hold_out(steps)
    found = ", ".join(f"{name} {measures[name]:.4f}" for name in ("generator_loss", "discriminator_loss", "auc"))
    print(f"{folder}: {steps} steps in {time.perf_counter() - start:.1f} s; held out: {found}")


def main():
    args, config = arguments()
    torch.set_num_threads(args.threads)
    manifest = json.loads((args.data / "manifest.json").read_text(encoding="utf-8"))
    found, expected = manifest["tokenizer"]["vocabulary"], config["model"]["vocabulary"]
    if (manifest["version"], found, manifest["settings"]["length"]) != (1, expected, config["data"]["length"]):
        raise SystemExit(f"{args.data}: not the dataset of this run: version, vocabulary or length differ")
    for seed in args.seeds:
        train(args, config, manifest, seed)


if __name__ == "__main__":
    main()
