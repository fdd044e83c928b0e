"""Writes the golden state of two masked language models: mlm.safetensors, masked as BERT does it (80 % [MASK], 10 % a random
word, 10 % as they are), with ten steps, and mlm_all_masked.safetensors (85 % and 15 %, none random), whose embeddings are as
wide as the layers.

The loss, its gradients and the steps are those of transformers' ElectraForMaskedLM given `labels`: a mean over the selected
tokens that transformers works out itself. Everything is computed in float64 and stored as float32; parameters are rounded
first. Before anything is written the script checks the loss against its definition, a token at a time, and every gradient
against a central difference.

Run:  python tests/golden/make_mlm.py            (README.md has the versions)

  encoder.<name of transformers>   parameters; the output matrix is the word embeddings
  batch.*                       as in make_electra.py, without what its generator samples
  logits [B * K, V]   loss []   grad.<parameter>   grad.norm [] (not clipped)
  steps.lr .loss .grad_norm [N]   after.<parameter>
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
from make_electra import B, DRAWN, K, L, MASK, TRAINING, check, decayed, learning_rate, make_batch, save
from transformers import ElectraConfig, ElectraForMaskedLM

HERE = Path(__file__).parent
IGNORED = -100

SIZES = dict(
    vocab_size=53, max_position_embeddings=15, type_vocab_size=2, num_hidden_layers=2, layer_norm_eps=1e-12, hidden_act="gelu",
    hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, pad_token_id=0, embedding_size=12, hidden_size=20,
    num_attention_heads=2, intermediate_size=28,
)  # fmt: skip


class Encoder:
    def __init__(self, sizes, seed):
        self.model = ElectraForMaskedLM(ElectraConfig(**sizes, attn_implementation="eager"))
        words = self.model.electra.embeddings.word_embeddings
        words.padding_idx = None  # its gradient is what the formulas say, not 0
        self.model.generator_lm_head.weight = words.weight
        self.parameters = {f"encoder.{name}": p for name, p in self.model.named_parameters()}
        random = np.random.Generator(np.random.PCG64(seed))
        for name, parameter in self.parameters.items():
            value = random.standard_normal(tuple(parameter.shape)) * (0.15 if name.endswith("bias") else 0.2)
            parameter.data = torch.tensor((value + name.endswith("LayerNorm.weight")).astype(np.float32))
        self.model.double().train()
        assert self.model.generator_lm_head.weight is words.weight

    def forward(self, batch):
        """Logits [B, L, V] and transformers' own loss, over the count + 1e-6, so that no batch divides by zero."""
        mask = (torch.arange(L)[None, :] < batch["lengths"][:, None]).long()
        labels = torch.full((B, L), IGNORED)
        used = batch["weights"] > 0
        labels.view(-1)[batch["positions"][used]] = batch["targets"][used]
        out = self.model(batch["masked_ids"], token_type_ids=batch["type_ids"], attention_mask=mask, labels=labels)
        count = used.sum().double()
        return out.logits, out.loss * count / (count + 1e-6)

    def step(self, batch):
        _, loss = self.forward(batch)
        return loss.detach(), dict(zip(self.parameters, torch.autograd.grad(loss, list(self.parameters.values()))))


def with_random_words(batch, seed):
    """Every second token that was left as it was becomes a random word, and one more."""
    random = np.random.Generator(np.random.PCG64(seed))
    masked, count = batch["masked_ids"].view(-1), 0
    for place, weight in zip(batch["positions"].view(-1).tolist(), batch["weights"].view(-1).tolist()):
        if weight > 0 and (masked[place] != MASK or count == 0):
            if count % 2 == 0:
                masked[place] = int(random.integers(5, SIZES["vocab_size"]))
            count += 1
    return batch


def check_loss(encoder, batch):
    with torch.no_grad():
        logits, loss = encoder.forward(batch)
    total, rows = 0.0, logits.reshape(B * L, -1).tolist()
    for b in range(B):
        for k in range(DRAWN[b]):
            row = rows[batch["positions"][b, k].item()]
            total += math.log(sum(math.exp(x) for x in row)) - row[batch["targets"][b, k].item()]
    check(abs(total / (sum(DRAWN) + 1e-6) - loss.item()) < 1e-11, "the loss differs from its definition")


def check_gradients(encoder, batch, gradients, ignored=("key.bias",)):
    worst = 0.0
    for name, parameter in encoder.parameters.items():
        flat, gradient = parameter.data.view(-1), gradients[name].reshape(-1)
        index, h = int(gradient.abs().argmax()), 1e-5
        before, around = flat[index].item(), []
        for shift in (h, -h):
            flat[index] = before + shift
            with torch.no_grad():
                around.append(encoder.forward(batch)[1].item())
        flat[index] = before
        numeric, exact = (around[0] - around[1]) / (2 * h), gradient[index].item()
        if name.endswith(tuple(ignored)):  # softmax ignores what shifts all alike
            check(abs(exact) < 1e-12 and abs(numeric) < 1e-6, f"{name} has a gradient")
            continue
        worst = max(worst, abs(numeric - exact) / abs(exact))
    check(worst < 1e-5, f"finite differences disagree by {worst:.1e}")
    return worst


def train(encoder, batch, factor=lambda name: 1.0):
    """Takes the steps of make_electra.py's AdamW without bias correction; `factor` of a parameter's name times the learning rate."""
    t, log = TRAINING, {"loss": [], "grad_norm": []}
    first = {name: torch.zeros_like(p) for name, p in encoder.parameters.items()}
    second = {name: torch.zeros_like(p) for name, p in encoder.parameters.items()}
    for step in range(t["steps"]):
        loss, gradients = encoder.step(batch)
        norm = math.sqrt(sum(g.square().sum().item() for g in gradients.values()))
        log["loss"].append(loss.item()), log["grad_norm"].append(norm)
        scale, rate = t["clip"] / max(norm, t["clip"]), learning_rate(step)
        for name, parameter in encoder.parameters.items():
            gradient, m, v = gradients[name] * scale, first[name], second[name]
            m.mul_(t["beta1"]).add_((1 - t["beta1"]) * gradient)
            v.mul_(t["beta2"]).add_((1 - t["beta2"]) * gradient * gradient)
            update = m / (v.sqrt() + t["epsilon"])
            if decayed(name):
                update = update + t["weight_decay"] * parameter.data
            parameter.data -= factor(name) * rate * update
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in log.items()}


def make(path, sizes, seed, bert):
    batch, _ = make_batch(seed + 1, sizes["vocab_size"])
    batch = with_random_words(batch, seed + 2) if bert else batch
    encoder = Encoder(sizes, seed)
    logits, _ = encoder.forward(batch)
    loss, gradients = encoder.step(batch)
    check_loss(encoder, batch)
    print(f"{path.name}: finite differences agree to {check_gradients(encoder, batch, gradients):.1e}")
    tensors = {name: parameter.data.clone() for name, parameter in encoder.parameters.items()}
    tensors |= {f"batch.{name}": value for name, value in batch.items()}
    tensors |= {f"grad.{name}": value for name, value in gradients.items()}
    tensors["logits"] = logits.reshape(B * L, -1)[batch["positions"].reshape(-1)]
    tensors["loss"] = loss
    tensors["grad.norm"] = torch.stack([g.square().sum() for g in gradients.values()]).sum().sqrt()
    metadata = {"encoder": json.dumps(sizes), "shape": json.dumps({"batch": B, "length": L, "drawn": K})}
    if bert:
        log = train(encoder, batch)
        tensors["steps.lr"] = torch.tensor([learning_rate(s) for s in range(TRAINING["steps"])], dtype=torch.float64)
        tensors |= {f"steps.{name}": value for name, value in log.items()}
        tensors |= {f"after.{name}": p.data.clone() for name, p in encoder.parameters.items()}
        metadata["training"] = json.dumps(TRAINING)
        print(f"  loss {log['loss'][0]:.4f} to {log['loss'][-1]:.4f}, gradient norm {log['grad_norm'][0]:.4f}")
    save(path, tensors, metadata)


if __name__ == "__main__":
    torch.set_num_threads(1)
    make(HERE / "mlm.safetensors", SIZES, seed=50, bert=True)
    make(HERE / "mlm_all_masked.safetensors", dict(SIZES, embedding_size=20), seed=60, bert=False)
