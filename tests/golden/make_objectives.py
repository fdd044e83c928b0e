"""Writes the golden states of objectives with a generator beside ELECTRA's own: electra_selected.safetensors, electra_untied, electra_one
(everything but the heads shared), replace_mlm, all_tokens, two_stage (its second stage; the first is masked language modelling)
and adversarial.

Two networks of transformers' classes, a loss written from its formula, one batch with given samples: the loss, the gradient of every
parameter, and ten steps. Everything is computed in float64 and stored as float32; parameters are rounded first. Before anything is
written the script works out each loss again, a token at a time from the definition, and holds every gradient against a central
difference.

Run:  python tests/golden/make_objectives.py            (README.md has the versions)

  <network>.<name of transformers>   parameters; what networks share stands under both. encoder.copy.* and generator.baseline.* are
                                of no class
  batch.*                       as in make_electra.py, with labels and the corrupted text of the first step
  loss []   loss.first .second []   grad.<parameter>   grad.norm [] (not clipped)
  steps.sampled [N, B * K]   steps.lr .loss .grad_norm [N]   after.<parameter>
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
from make_electra import B, DRAWN, K, L, LENGTHS, TRAINING, check, corrupt, learning_rate, make_batch, save
from make_mlm import check_gradients, train
from torch.nn import functional as F
from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining

HERE = Path(__file__).parent

COMMON = dict(
    vocab_size=47, max_position_embeddings=14, type_vocab_size=2, layer_norm_eps=1e-12, hidden_act="gelu",
    hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, pad_token_id=0, embedding_size=12,
)  # fmt: skip
LARGE = dict(COMMON, num_hidden_layers=2, hidden_size=20, num_attention_heads=2, intermediate_size=28)
SMALL = dict(COMMON, num_hidden_layers=1, hidden_size=10, num_attention_heads=1, intermediate_size=18)


class Two:
    """A generator and the network that is kept. `parameters` has every trained parameter once, `names` what each network calls its
    own, trained or not."""

    second = "discriminator"
    kind = ElectraForPreTraining
    tying = "embeddings"
    sizes = SMALL
    keeps = LARGE
    weights = (1.0, 50.0)
    frozen = False

    def __init__(self, seed):
        networks = self.build()
        for model in networks.values():
            words = model.electra.embeddings.word_embeddings
            words.padding_idx = None  # its gradient is what the formulas say, not 0
            if isinstance(model, ElectraForMaskedLM):
                model.generator_lm_head.weight = words.weight
        self.names = [(f"{name}.{n}", p) for name, model in networks.items() for n, p in model.named_parameters()]
        self.names += self.own()
        every = {}
        for name, parameter in self.names:
            if not any(parameter is known for known in every.values()):
                every[name] = parameter
        random = np.random.Generator(np.random.PCG64(seed))
        for name, parameter in every.items():
            value = random.standard_normal(tuple(parameter.shape)) * (0.15 if name.endswith("bias") else 0.2)
            parameter.data = torch.tensor((value + name.endswith("LayerNorm.weight")).astype(np.float32)).double()
        for model in networks.values():
            model.double().train()
        self.parameters = {n: p for n, p in every.items() if not (self.frozen and n.startswith("generator."))}
        self.given, self.now = {}, None

    def build(self):
        """Every network by its name, tied."""
        self.first = ElectraForMaskedLM(ElectraConfig(**self.sizes, attn_implementation="eager"))
        self.kept = self.kind(ElectraConfig(**self.keeps, attn_implementation="eager"))
        if self.tying != "none":
            self.kept.electra.embeddings = self.first.electra.embeddings
        if self.tying == "all":
            self.kept.electra.embeddings_project = self.first.electra.embeddings_project
            self.kept.electra.encoder = self.first.electra.encoder
        return {"generator": self.first, self.second: self.kept}

    def own(self):
        return []

    def draw(self, seed):
        """One batch, and in `given` what every step is given, [N, ...] each."""
        batch, samples = make_batch(seed, COMMON["vocab_size"])
        self.given = {"sampled": samples}
        return batch

    def give(self, batch, step):
        """The batch with what a step is given."""
        given = {key: value[step] for key, value in self.given.items()}
        return corrupt(dict(batch, **given), given["sampled"])

    def hold(self, batch):
        pass

    def hidden(self, model, ids, batch):
        mask = (torch.arange(L)[None, :] < batch["lengths"][:, None]).long()
        return model.electra(ids, token_type_ids=batch["type_ids"], attention_mask=mask).last_hidden_state

    def selected_loss(self, model, ids, batch):
        """Masked language modelling at the selected positions."""
        rows = self.hidden(model, ids, batch).reshape(B * L, -1)[batch["positions"].reshape(-1)]
        logits = model.generator_lm_head(model.generator_predictions(rows))
        nll = F.cross_entropy(logits, batch["targets"].reshape(-1), reduction="none")
        return self.mean(nll, batch["weights"].reshape(-1))

    def mean(self, values, weights):
        return (values * weights).sum() / (weights.sum() + 1e-6)

    def token_weights(self, batch):
        return (torch.arange(L)[None, :] < batch["lengths"][:, None]).double()

    def forward(self, batch):
        """Both losses, and what is minimised."""
        first = self.selected_loss(self.first, batch["masked_ids"], batch)
        second = self.second_loss(batch)
        return (first, second), self.weights[0] * first + self.weights[1] * second

    def step(self, batch):
        if self.now is not None:
            batch = self.give(batch, self.now)
            self.now += 1
        _, loss = self.forward(batch)
        return loss.detach(), dict(zip(self.parameters, torch.autograd.grad(loss, list(self.parameters.values()))))

    # Once more, a token at a time.

    def defined(self, batch):
        with torch.no_grad():
            return self.defined_words(self.first, batch["masked_ids"], batch), self.defined_second(batch)

    def logits(self, model, ids, batch):
        mask = (torch.arange(L)[None, :] < batch["lengths"][:, None]).long()
        return model(ids, token_type_ids=batch["type_ids"], attention_mask=mask).logits.reshape(B * L, -1).squeeze(-1).tolist()

    def defined_words(self, model, ids, batch):
        total, rows = 0.0, self.logits(model, ids, batch)
        for b in range(B):
            for k in range(DRAWN[b]):
                row = rows[batch["positions"][b, k].item()]
                total += math.log(sum(math.exp(x) for x in row)) - row[batch["targets"][b, k].item()]
        return total / (sum(DRAWN) + 1e-6)


class Electra(Two):
    over = "all"

    def second_loss(self, batch):
        hidden = self.hidden(self.kept, batch["corrupted"], batch)
        logits = self.kept.discriminator_predictions(hidden).reshape(-1)
        nll = F.binary_cross_entropy_with_logits(logits, batch["labels"].reshape(-1).double(), reduction="none")
        if self.over == "all":
            return self.mean(nll, self.token_weights(batch).reshape(-1))
        return self.mean(nll[batch["positions"].reshape(-1)], batch["weights"].reshape(-1))

    def places(self, batch):
        if self.over == "all":
            return [b * L + p for b in range(B) for p in range(LENGTHS[b])]
        return [batch["positions"][b, k].item() for b in range(B) for k in range(DRAWN[b])]

    def defined_second(self, batch):
        total, logits, places = 0.0, self.logits(self.kept, batch["corrupted"], batch), self.places(batch)
        ids, corrupted = batch["ids"].reshape(-1).tolist(), batch["corrupted"].reshape(-1).tolist()
        for place in places:
            p = 1 / (1 + math.exp(-logits[place]))
            total -= math.log(p if ids[place] != corrupted[place] else 1 - p)
        return total / (len(places) + 1e-6)


class Selected(Electra):
    over = "selected"


class Untied(Electra):
    tying = "none"


class One(Electra):
    tying, sizes = "all", LARGE


class TwoStage(Electra):
    tying, sizes, weights, frozen = "none", LARGE, (0.0, 1.0), True


class Adversarial(Electra):
    """REINFORCE: minimise -log p(sample) (R - b), and the cross-entropy of sigmoid(w . h) to exp(-R), b = -log sigmoid(w . h)."""

    fixed = None

    def own(self):
        self.baseline = torch.nn.Linear(SMALL["hidden_size"], 1).double()
        return [(f"generator.baseline.{n}", p) for n, p in self.baseline.named_parameters()]

    def forward(self, batch):
        places, weights = batch["positions"].reshape(-1), batch["weights"].reshape(-1)
        rows = self.hidden(self.first, batch["masked_ids"], batch).reshape(B * L, -1)[places]
        log_p = F.log_softmax(self.first.generator_lm_head(self.first.generator_predictions(rows)), -1)
        expected = self.baseline(rows).squeeze(-1)
        verdicts = self.kept.discriminator_predictions(self.hidden(self.kept, batch["corrupted"], batch)).reshape(-1)
        labels = batch["labels"].reshape(-1).double()
        reward = -torch.where(labels == 1, F.logsigmoid(verdicts), F.logsigmoid(-verdicts))[places]
        # A surrogate: what weighs the samples, and what the baseline is to say, have no gradient.
        weighs, target = self.fixed or ((reward + F.logsigmoid(expected)).detach(), torch.exp(-reward).detach())
        if self.fixing:
            self.fixed = weighs, target
        drawn = -log_p.gather(-1, batch["sampled"].reshape(-1, 1)).squeeze(-1)
        policy = self.mean(drawn * weighs, weights)
        foretold = self.mean(F.binary_cross_entropy_with_logits(expected, target, reduction="none"), weights)
        hit = -log_p.gather(-1, batch["targets"].reshape(-1, 1)).squeeze(-1)
        first, second = self.mean(hit, weights), self.second_loss(batch)
        return (first, second), policy + foretold + 50.0 * second

    fixing = False

    def hold(self, batch):
        """From now on the surrogate stays as it is here, so that differences can be taken of it."""
        self.fixing = True
        self.forward(batch)
        self.fixing = False


class Replace(Two):
    second, kind, weights = "encoder", ElectraForMaskedLM, (1.0, 1.0)

    def second_loss(self, batch):
        return self.selected_loss(self.kept, batch["corrupted"], batch)

    def defined_second(self, batch):
        return self.defined_words(self.kept, batch["corrupted"], batch)


class AllTokens(Replace):
    weights = (1.0, 7.0)

    def own(self):
        self.copy = torch.nn.Linear(LARGE["hidden_size"], 1).double()
        return [(f"encoder.copy.{n}", p) for n, p in self.copy.named_parameters()]

    def second_loss(self, batch):
        """-log(D [same] + (1 - D) p), D = sigmoid(-copy), by log-add-exp."""
        hidden = self.hidden(self.kept, batch["corrupted"], batch)
        replaced = self.copy(hidden).squeeze(-1)
        words = self.kept.generator_lm_head(self.kept.generator_predictions(hidden))
        guessed = F.logsigmoid(replaced) - F.cross_entropy(words.transpose(1, 2), batch["ids"], reduction="none")
        copied = torch.where(batch["ids"] == batch["corrupted"], F.logsigmoid(-replaced), -torch.inf)
        return self.mean(-torch.logaddexp(copied, guessed), self.token_weights(batch))

    def defined_second(self, batch):
        total, rows = 0.0, self.logits(self.kept, batch["corrupted"], batch)
        replaced = self.copy(self.hidden(self.kept, batch["corrupted"], batch)).reshape(-1).tolist()
        ids, corrupted = batch["ids"].reshape(-1).tolist(), batch["corrupted"].reshape(-1).tolist()
        for b in range(B):
            for p in range(LENGTHS[b]):
                at = b * L + p
                copy = 1 - 1 / (1 + math.exp(-replaced[at]))
                word = math.exp(rows[at][ids[at]]) / sum(math.exp(x) for x in rows[at])
                total -= math.log(copy * (ids[at] == corrupted[at]) + (1 - copy) * word)
        return total / (sum(LENGTHS) + 1e-6)


def make(name, kind, seed):
    networks = kind(seed)
    batch = networks.draw(seed + 1)
    first = networks.give(batch, 0)
    losses, total = networks.forward(first)
    for found, defined in zip(losses, networks.defined(first)):
        check(abs(found.item() - defined) < 1e-11, f"{name}: a loss differs from its definition")
    loss, gradients = networks.step(first)
    networks.hold(first)
    print(f"{name}: finite differences agree to {check_gradients(networks, first, gradients):.1e}")
    tensors = {key: parameter.data.clone() for key, parameter in networks.names}
    tensors |= {f"batch.{key}": value for key, value in first.items() if key == "sampled" or key not in networks.given}
    tensors |= {"loss": loss} | {f"loss.{key}": value for key, value in zip(("first", "second", "third"), losses)}
    tensors["grad.norm"] = torch.stack([g.square().sum() for g in gradients.values()]).sum().sqrt()

    def by_name(parameter):
        found = [gradients[key] for key, known in networks.parameters.items() if known is parameter]
        return found[0] if found else torch.zeros_like(parameter)

    tensors |= {f"grad.{key}": by_name(parameter) for key, parameter in networks.names}
    networks.now, networks.fixed = 0, None
    log = train(networks, batch)
    tensors |= {f"steps.{key}": value.reshape(TRAINING["steps"], -1) for key, value in networks.given.items()}
    tensors["steps.lr"] = torch.tensor([learning_rate(s) for s in range(TRAINING["steps"])], dtype=torch.float64)
    tensors |= {f"steps.{key}": value for key, value in log.items()}
    tensors |= {f"after.{key}": parameter.data.clone() for key, parameter in networks.names}
    print(f"  loss {log['loss'][0]:.4f} to {log['loss'][-1]:.4f}, gradient norm {log['grad_norm'][0]:.4f}")
    metadata = {"generator": json.dumps(networks.sizes), "kept": json.dumps(networks.keeps), "training": json.dumps(TRAINING)}
    metadata["shape"] = json.dumps({"batch": B, "length": L, "drawn": K})
    save(HERE / f"{name}.safetensors", tensors, metadata)


if __name__ == "__main__":
    torch.set_num_threads(1)
    make("electra_selected", Selected, seed=70)
    make("electra_untied", Untied, seed=80)
    make("electra_one", One, seed=90)
    make("two_stage", TwoStage, seed=100)
    make("replace_mlm", Replace, seed=110)
    make("all_tokens", AllTokens, seed=120)
    make("adversarial", Adversarial, seed=130)
