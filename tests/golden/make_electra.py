"""Writes the golden state of four tiny ELECTRA pairs: electra.safetensors, electra_square.safetensors, and with other
activations and layer norm epsilons electra_gelu_new.safetensors and electra_relu.safetensors.

What it proves. The files hold what PyTorch and transformers compute for one batch: the generator's logits at the
drawn positions, the discriminator's logits, the losses, the gradient of every parameter and its global norm, and (first
file) ten AdamW steps with and without bias correction. An engine that loads the parameters and the batch and arrives at
the same numbers has the encoder, both heads, the tying, the joint loss, reverse mode, clipping, the schedule and the
optimizer right. All sizes are odd on purpose, so that no wrong stride or padding survives.

Everything is computed in float64 and stored as float32; parameters are rounded to float32 first, so they are exact.
Before anything is written the script checks its own numbers by other ways: finite differences, a loss written out from
its definition, the sdpa attention instead of the eager one, torch.optim.AdamW, and the whole run in float32.

Run:  python tests/golden/make_electra.py            (README.md has the versions; the same versions write the same bytes)

Shapes: B rows, L positions a row, K drawn positions a row, V vocabulary, E embedding, H hidden. Integers are int32.

  discriminator.* generator.*   parameters under the names of transformers, linear weights [out, in]; what is tied (the
                                embeddings with their LayerNorm) is stored once, under discriminator.*; the generator's
                                output weight is discriminator.electra.embeddings.word_embeddings.weight
  batch.ids .masked_ids .type_ids .corrupted .labels [B, L]   .lengths [B]
  batch.positions .targets .sampled [B, K]   .weights [B, K] float32; a position is the flat row index b * L + position;
                                an unused slot has weight 0, position b * L, target 0, and a sample to be ignored
  generator.logits [B * K, V]   discriminator.logits [B, L] (padding included)
  loss.generator .discriminator .total []   grad.<parameter>   grad.norm [] (not clipped)
  steps.sampled [N, B * K]   steps.lr [N]   steps.loss_generator .loss_discriminator .grad_norm [N]   after.<parameter>
  corrected.loss_generator .loss_discriminator .grad_norm [N]   the same steps with Adam's bias correction
"""

import json
import math
import struct
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining

HERE = Path(__file__).parent
PAD, UNK, CLS, SEP, MASK = range(5)

COMMON = dict(
    vocab_size=101, max_position_embeddings=24, type_vocab_size=2, num_hidden_layers=3, layer_norm_eps=1e-12,
    hidden_act="gelu", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, pad_token_id=PAD,
)  # fmt: skip
DISCRIMINATOR = dict(COMMON, embedding_size=20, hidden_size=36, num_attention_heads=3, intermediate_size=52)
GENERATOR = dict(COMMON, embedding_size=20, hidden_size=24, num_attention_heads=2, intermediate_size=44)
# Embedding as wide as the discriminator: it has no embeddings_project, the generator still has one.
SQUARE_DISCRIMINATOR = dict(DISCRIMINATOR, embedding_size=36)
SQUARE_GENERATOR = dict(GENERATOR, embedding_size=36)
# The activation is that of the layers and of the discriminator's head; the generator's head has GELU all the same.
TINY = dict(COMMON, vocab_size=37, max_position_embeddings=13, num_hidden_layers=1, embedding_size=12)
TINY_DISCRIMINATOR = dict(TINY, hidden_size=20, num_attention_heads=2, intermediate_size=28)
TINY_GENERATOR = dict(TINY, hidden_size=10, num_attention_heads=1, intermediate_size=18)
OTHERS = {"gelu_new": dict(hidden_act="gelu_new", layer_norm_eps=1e-3), "relu": dict(hidden_act="relu", layer_norm_eps=1e-5)}

LENGTHS = [13, 3, 9, 11, 6]  # one full row, one that holds a single word
DRAWN = [4, 1, 3, 4, 2]  # used slots of K = 4
B, L, K = len(LENGTHS), 13, 4
TRAINING = dict(
    steps=10, learning_rate=5e-3, warmup_steps=4, total_steps=20, clip=1.0, beta1=0.9, beta2=0.999, epsilon=1e-6,
    weight_decay=0.01, discriminator_weight=50.0,
)  # fmt: skip


# ---------------------------------------------------------------- the pair


class Pair:
    """A generator and a discriminator that share their embeddings; `parameters` lists every parameter once."""

    def __init__(self, generator, discriminator, seed, dtype=torch.float64, attention="eager"):
        self.discriminator = ElectraForPreTraining(ElectraConfig(**discriminator, attn_implementation=attention))
        self.generator = ElectraForMaskedLM(ElectraConfig(**generator, attn_implementation=attention))
        self.generator.electra.embeddings = self.discriminator.electra.embeddings
        words = self.discriminator.electra.embeddings.word_embeddings
        self.generator.generator_lm_head.weight = words.weight
        # torch would drop the gradient of looked-up [PAD] rows; neither the reference nor the formulas do.
        words.padding_idx = None
        self.parameters = {}
        for prefix, model in (("discriminator", self.discriminator), ("generator", self.generator)):
            model.train()  # dropout is 0; train() shows that nothing depends on it
            for name, parameter in model.named_parameters():
                if not any(parameter is known for known in self.parameters.values()):
                    self.parameters[f"{prefix}.{name}"] = parameter
        self.fill(seed)
        self.generator.to(dtype), self.discriminator.to(dtype)
        # `to` keeps Parameter objects in place, so the table and the ties still hold.
        assert self.generator.generator_lm_head.weight is words.weight
        assert self.generator.electra.embeddings is self.discriminator.electra.embeddings

    def fill(self, seed):
        """Random parameters of float32, larger than an initialisation's so that every gradient is away from zero."""
        random = np.random.Generator(np.random.PCG64(seed))
        for name, parameter in self.parameters.items():
            value = random.standard_normal(tuple(parameter.shape))
            if name.endswith("LayerNorm.weight"):
                value = 1.0 + 0.2 * value
            elif name.endswith("bias"):
                value = 0.15 * value
            elif "embeddings." in name:
                value = 0.3 * value
            else:
                value = 0.2 * value
            parameter.data = torch.tensor(value.astype(np.float32))

    def forward(self, batch):
        """Logits [B * K, V] at the drawn positions, logits [B, L] of the discriminator, and the two losses."""
        mask = (torch.arange(L)[None, :] < batch["lengths"][:, None]).long()
        inputs = dict(token_type_ids=batch["type_ids"], attention_mask=mask)
        hidden = self.generator.electra(batch["masked_ids"], **inputs).last_hidden_state
        drawn = hidden.reshape(B * L, -1)[batch["positions"].reshape(-1)]
        generator_logits = self.generator.generator_lm_head(self.generator.generator_predictions(drawn))
        discriminator_logits = self.discriminator(batch["corrupted"], **inputs).logits
        dtype = generator_logits.dtype
        weights, mask = batch["weights"].reshape(-1).to(dtype), mask.to(dtype)
        cross_entropy = F.cross_entropy(generator_logits, batch["targets"].reshape(-1), reduction="none")
        generator_loss = (weights * cross_entropy).sum() / (weights.sum() + 1e-6)
        binary = F.binary_cross_entropy_with_logits(discriminator_logits, batch["labels"].to(dtype), reduction="none")
        discriminator_loss = (binary * mask).sum() / (mask.sum() + 1e-6)
        return generator_logits, discriminator_logits, generator_loss, discriminator_loss

    def step(self, batch):
        """Forward and backward; the two losses and the gradients by name."""
        _, _, generator_loss, discriminator_loss = self.forward(batch)
        loss = generator_loss + TRAINING["discriminator_weight"] * discriminator_loss
        gradients = torch.autograd.grad(loss, list(self.parameters.values()))
        return generator_loss.detach(), discriminator_loss.detach(), dict(zip(self.parameters, gradients))


# ---------------------------------------------------------------- the batch


def make_batch(seed, vocabulary):
    """One batch, its samples for every step included; most drawn positions are masked, some left as they are."""
    random = np.random.Generator(np.random.PCG64(seed))
    ids = np.full((B, L), PAD)
    types = np.zeros((B, L), int)
    masked_ids = np.zeros((B, L), int)
    positions, targets, weights = np.zeros((B, K), int), np.zeros((B, K), int), np.zeros((B, K))
    for b, (length, drawn) in enumerate(zip(LENGTHS, DRAWN)):
        ids[b, :length] = random.integers(5, vocabulary, length)
        ids[b, 0], ids[b, length - 1] = CLS, SEP
        if length > 8:  # a second segment: [CLS] A [SEP] B [SEP]
            middle = length // 2
            ids[b, middle], types[b, middle + 1 : length] = SEP, 1
        words = [p for p in range(length) if ids[b, p] >= 5]
        chosen = sorted(random.choice(words, size=drawn, replace=False))
        masked_ids[b] = ids[b]
        positions[b] = b * L
        for k, p in enumerate(chosen):
            positions[b, k], targets[b, k], weights[b, k] = b * L + p, ids[b, p], 1.0
            if (b + k) % 5 != 4:
                masked_ids[b, p] = MASK
    steps = TRAINING["steps"]
    samples = random.integers(0, vocabulary, (steps, B, K))  # special tokens can be sampled too
    hit = random.random((steps, B, K)) < 0.25  # a sample that equals the original is labelled "original"
    samples = np.where(hit & (weights > 0), targets, samples)
    samples[0, 0, 1] = targets[0, 1]
    batch = dict(ids=ids, masked_ids=masked_ids, type_ids=types, lengths=np.array(LENGTHS), positions=positions,
                 targets=targets, weights=weights)  # fmt: skip
    return {name: torch.tensor(value) for name, value in batch.items()}, torch.tensor(samples)


def corrupt(batch, sampled):
    """The batch with the samples put in: corrupted ids and labels (1 iff a drawn token differs from the original)."""
    corrupted = batch["ids"].clone()
    used = batch["weights"].reshape(-1) > 0
    corrupted.view(-1)[batch["positions"].reshape(-1)[used]] = sampled.reshape(-1)[used]
    return dict(batch, sampled=sampled, corrupted=corrupted, labels=(corrupted != batch["ids"]).long())


# ---------------------------------------------------------------- the optimizer


def decayed(name):
    return not (name.endswith("bias") or "LayerNorm" in name)


def learning_rate(step):
    """Linear decay times warm-up at the step's index before the update; the first step has rate 0."""
    t = TRAINING
    return t["learning_rate"] * (1 - step / t["total_steps"]) * min(1.0, step / t["warmup_steps"])


def train(pair, batch, samples, bias_correction, reference=None):
    """Takes the steps; returns both losses and the gradient norm of each, [N] each.

    theta -= lr * (m / (sqrt(v) + eps) + decay * theta), gradients scaled by 1 / max(norm, 1) before the moments see
    them. `reference` is a torch optimizer over the parameters of `pair` that takes the steps instead."""
    t = TRAINING
    log = {"loss_generator": [], "loss_discriminator": [], "grad_norm": []}
    first = {name: torch.zeros_like(p) for name, p in pair.parameters.items()}
    second = {name: torch.zeros_like(p) for name, p in pair.parameters.items()}
    for step in range(t["steps"]):
        generator_loss, discriminator_loss, gradients = pair.step(corrupt(batch, samples[step]))
        norm = math.sqrt(sum(g.square().sum().item() for g in gradients.values()))
        for column, value in zip(log.values(), (generator_loss.item(), discriminator_loss.item(), norm)):
            column.append(value)
        scale, rate = t["clip"] / max(norm, t["clip"]), learning_rate(step)
        if reference is not None:
            for name, parameter in pair.parameters.items():
                parameter.grad = gradients[name] * scale
            for group in reference.param_groups:
                group["lr"] = rate
            reference.step()
            continue
        m_scale = 1 / (1 - t["beta1"] ** (step + 1)) if bias_correction else 1.0
        v_scale = 1 / (1 - t["beta2"] ** (step + 1)) if bias_correction else 1.0
        for name, parameter in pair.parameters.items():
            gradient, m, v = gradients[name] * scale, first[name], second[name]
            m.mul_(t["beta1"]).add_((1 - t["beta1"]) * gradient)
            v.mul_(t["beta2"]).add_((1 - t["beta2"]) * gradient * gradient)
            update = (m * m_scale) / ((v * v_scale).sqrt() + t["epsilon"])
            if decayed(name):
                update = update + t["weight_decay"] * parameter.data
            parameter.data -= rate * update
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in log.items()}


# ---------------------------------------------------------------- checks by other ways


def check(condition, what):
    if not condition:
        raise SystemExit(f"not written: {what}")


def check_definition(pair, batch):
    """The losses once more, a token at a time, from the full forward pass and the definitions."""
    with torch.no_grad():
        _, _, generator_loss, discriminator_loss = pair.forward(batch)
        mask = (torch.arange(L)[None, :] < batch["lengths"][:, None]).long()
        inputs = dict(token_type_ids=batch["type_ids"], attention_mask=mask)
        generator_logits = pair.generator(batch["masked_ids"], **inputs).logits.tolist()
        discriminator_logits = pair.discriminator(batch["corrupted"], **inputs).logits.tolist()
    total, count = 0.0, 0
    for b in range(B):
        for k in range(DRAWN[b]):
            p = batch["positions"][b, k].item() - b * L
            row = generator_logits[b][p]
            total += math.log(sum(math.exp(x) for x in row)) - row[batch["ids"][b, p].item()]
            count += 1
    check(abs(total / (count + 1e-6) - generator_loss.item()) < 1e-11, "generator loss differs from its definition")
    total, count = 0.0, 0
    for b in range(B):
        for p in range(LENGTHS[b]):
            probability = 1 / (1 + math.exp(-discriminator_logits[b][p]))
            replaced = batch["corrupted"][b, p] != batch["ids"][b, p]
            total -= math.log(probability if replaced else 1 - probability)
            count += 1
    check(abs(total / (count + 1e-6) - discriminator_loss.item()) < 1e-11, "discriminator loss differs")


def check_gradients(pair, batch, gradients):
    """The largest gradient entry of every parameter against a central difference; returns the worst relative error."""

    def loss():
        with torch.no_grad():
            _, _, generator_loss, discriminator_loss = pair.forward(batch)
        return (generator_loss + TRAINING["discriminator_weight"] * discriminator_loss).item()

    worst = 0.0
    for name, parameter in pair.parameters.items():
        flat, gradient = parameter.data.view(-1), gradients[name].reshape(-1)
        index = int(gradient.abs().argmax())
        before, h = flat[index].item(), 1e-5
        flat[index] = before + h
        above = loss()
        flat[index] = before - h
        below = loss()
        flat[index] = before
        numeric, exact = (above - below) / (2 * h), gradient[index].item()
        # A key's bias shifts every score of a query alike, so softmax ignores it: its true gradient is 0.
        if name.endswith("key.bias"):
            check(abs(exact) < 1e-12 and abs(numeric) < 1e-6, f"{name} has a gradient")
            continue
        check(gradient.abs().max() > 1e-3, f"{name} has hardly any gradient")
        worst = max(worst, abs(numeric - exact) / abs(exact))
    check(worst < 1e-5, f"finite differences disagree by {worst:.1e}")
    return worst


def relative(found, expected):
    """Norm of the difference over the norm of what is expected."""
    expected = expected.double()
    return ((found.double() - expected).norm() / expected.norm().clamp_min(1e-30)).item()


# ---------------------------------------------------------------- the files


def save(path, tensors, metadata):
    """Writes safetensors with sorted names: float32 and int32 only, the same bytes every time."""
    header, chunks, offset = {"__metadata__": metadata}, [], 0
    for name in sorted(tensors):
        value = tensors[name].detach()
        kind, dtype = ("F32", "<f4") if value.is_floating_point() else ("I32", "<i4")
        data = np.ascontiguousarray(value.cpu().numpy().astype(dtype)).tobytes()
        header[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": [offset, offset + len(data)]}
        chunks.append(data)
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(chunks))
    print(f"{path.name}: {len(tensors)} tensors, {path.stat().st_size} bytes")


def make(path, generator, discriminator, seed, with_steps):
    batch, samples = make_batch(seed + 1, discriminator["vocab_size"])
    first = corrupt(batch, samples[0])
    pair = Pair(generator, discriminator, seed)
    generator_logits, discriminator_logits, *_ = pair.forward(first)
    generator_loss, discriminator_loss, gradients = pair.step(first)

    check_definition(pair, first)
    worst = check_gradients(pair, first, gradients)
    print(f"{path.name}: finite differences agree to {worst:.1e}")
    sdpa = Pair(generator, discriminator, seed, attention="sdpa")
    _, _, sdpa_gradients = sdpa.step(first)
    worst = max(relative(sdpa_gradients[n], g) for n, g in gradients.items() if not n.endswith("key.bias"))
    check(worst < 1e-10, f"eager and sdpa attention disagree by {worst:.1e}")
    single = Pair(generator, discriminator, seed, dtype=torch.float32)
    _, _, single_gradients = single.step(first)
    worst = max((relative(single_gradients[n], g), n) for n, g in gradients.items() if not n.endswith("key.bias"))
    zero = max(g.abs().max().item() for n, g in single_gradients.items() if n.endswith("key.bias"))
    print(f"{path.name}: float32 gradients differ by at most {worst[0]:.1e} ({worst[1]}), key biases reach {zero:.1e}")

    tensors = {name: parameter.data.clone() for name, parameter in pair.parameters.items()}
    tensors |= {f"batch.{name}": value for name, value in first.items()}
    tensors |= {f"grad.{name}": value for name, value in gradients.items()}
    total = generator_loss + TRAINING["discriminator_weight"] * discriminator_loss
    tensors |= {
        "generator.logits": generator_logits,
        "discriminator.logits": discriminator_logits,
        "loss.generator": generator_loss,
        "loss.discriminator": discriminator_loss,
        "loss.total": total,
        "grad.norm": torch.stack([g.square().sum() for g in gradients.values()]).sum().sqrt(),
    }
    print(f"{path.name}: losses {generator_loss:.6f} {discriminator_loss:.6f}, gradient norm {tensors['grad.norm']:.4f}")

    if with_steps:
        steps = TRAINING["steps"]
        plain = train(pair, batch, samples, bias_correction=False)
        corrected_pair = Pair(generator, discriminator, seed)
        corrected = train(corrected_pair, batch, samples, bias_correction=True)
        tensors["steps.sampled"] = samples.reshape(steps, B * K)
        tensors["steps.lr"] = torch.tensor([learning_rate(s) for s in range(steps)], dtype=torch.float64)
        tensors |= {f"steps.{name}": value for name, value in plain.items()}
        tensors |= {f"corrected.{name}": value for name, value in corrected.items()}
        tensors |= {f"after.{name}": p.data.clone() for name, p in pair.parameters.items()}
        for name in plain:
            print(f"  {name:20}", " ".join(f"{x:8.4f}" for x in plain[name].tolist()))

        torch_pair = Pair(generator, discriminator, seed)
        t = TRAINING
        groups = [
            dict(params=[p for n, p in torch_pair.parameters.items() if decayed(n)], weight_decay=t["weight_decay"]),
            dict(params=[p for n, p in torch_pair.parameters.items() if not decayed(n)], weight_decay=0.0),
        ]
        optimizer = torch.optim.AdamW(groups, betas=(t["beta1"], t["beta2"]), eps=t["epsilon"])
        train(torch_pair, batch, samples, bias_correction=True, reference=optimizer)
        worst = max(relative(p.data, corrected_pair.parameters[n].data) for n, p in torch_pair.parameters.items())
        check(worst < 1e-10, f"torch.optim.AdamW disagrees by {worst:.1e}")
        print(f"  torch.optim.AdamW agrees to {worst:.1e}")
        for correction, exact, expected in ((False, pair, plain), (True, corrected_pair, corrected)):
            single = Pair(generator, discriminator, seed, dtype=torch.float32)
            log = train(single, batch, samples, bias_correction=correction)
            worst = max((relative(p.data, exact.parameters[n].data), n) for n, p in single.parameters.items())
            loss = max(relative(log[name], expected[name]) for name in log)
            print(f"  float32, bias correction {correction}: losses and norms within {loss:.1e}, "
                  f"parameters within {worst[0]:.1e} ({worst[1]})")  # fmt: skip

    metadata = {"generator": json.dumps(generator), "discriminator": json.dumps(discriminator)}
    metadata["shape"] = json.dumps({"batch": B, "length": L, "drawn": K})
    if with_steps:
        metadata["training"] = json.dumps(TRAINING)
    save(path, tensors, metadata)


if __name__ == "__main__":
    torch.set_num_threads(1)
    make(HERE / "electra.safetensors", GENERATOR, DISCRIMINATOR, seed=20, with_steps=True)
    make(HERE / "electra_square.safetensors", SQUARE_GENERATOR, SQUARE_DISCRIMINATOR, seed=30, with_steps=False)
    for name, other in OTHERS.items():
        pair = dict(TINY_GENERATOR, **other), dict(TINY_DISCRIMINATOR, **other)
        make(HERE / f"electra_{name}.safetensors", *pair, seed=40, with_steps=False)
