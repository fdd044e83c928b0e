"""Writes the golden states of three more objectives: mc_bert.safetensors (MC-BERT, arXiv 2006.05744),
teams.safetensors (TEAMS, arXiv 2106.00139) and xlnet.safetensors (XLNet's two streams, arXiv 1906.08237, through ELECTRA's layers).

Networks, steps and checks are made as in make_objectives.py: one batch, what is drawn is given, every loss is worked out again
from its definition a token at a time, and every gradient is held against a central difference. XLNet's two streams are checked
against one longer text that transformers' own model reads under a mask.

Run:  python tests/golden/make_followups.py            (README.md has the versions)

Tensors are those of make_objectives.py, and

  encoder.neither.*             mc_bert: the layer that says "none of these words"; it is of no class
  loss.third []                 teams: first the masked words, second replaced tokens, third the choice among words
  steps.candidates              mc_bert [N, B * L * 9]: words for every token, some of them twice; the first of a replaced token
                                makes way for the original. teams [N, B * K * 4]: wrong words for every slot, all different.
                                Either may be special tokens; those of step 0 are those of the loss and its gradients
  steps.order [N, B * K]        xlnet: when the slots of a text are predicted, from 1; 0 if unused. It has no steps.sampled and no
                                loss.second, and does not read batch.sampled, .corrupted and .labels
"""

import math

import numpy as np
import torch
from make_electra import B, DRAWN, K, L, LENGTHS, MASK, TRAINING, corrupt
from make_objectives import COMMON, LARGE, Electra, Replace, Two, make
from torch.nn import functional as F
from transformers import ElectraConfig, ElectraForMaskedLM

N, VOCABULARY = TRAINING["steps"], COMMON["vocab_size"]


def generator_of(seed):
    return np.random.Generator(np.random.PCG64(seed))


def word_logits(model, x, words):
    """Logits of the given words only, [..., n], of x [..., E]."""
    head = model.generator_lm_head
    return (head.weight[words] @ x.unsqueeze(-1)).squeeze(-1) + head.bias[words]


def surprise(logits, target):
    return math.log(sum(math.exp(x) for x in logits)) - logits[target]


class McBert(Replace):
    """Every token's choice between leaving it and one of 9 words, the original among them if it was replaced."""

    weights, words = (1.0, 50.0), 9

    def own(self):
        self.neither = torch.nn.Linear(COMMON["embedding_size"], 1).double()
        return [(f"encoder.neither.{n}", p) for n, p in self.neither.named_parameters()]

    def draw(self, seed):
        batch = super().draw(seed)
        self.given["candidates"] = torch.tensor(generator_of(seed + 1).integers(0, VOCABULARY, (N, B, L, self.words)))
        return batch

    def second_loss(self, batch):
        x = self.kept.generator_predictions(self.hidden(self.kept, batch["corrupted"], batch))
        words, labels = batch["candidates"].clone(), batch["labels"]
        words[..., 0] = torch.where(labels == 1, batch["ids"], words[..., 0])
        logits = torch.cat([self.neither(x), word_logits(self.kept, x, words)], -1)
        nll = F.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
        return self.mean(nll, self.token_weights(batch))

    def defined_second(self, batch):
        rows = self.logits(self.kept, batch["corrupted"], batch)
        x = self.kept.generator_predictions(self.hidden(self.kept, batch["corrupted"], batch)).reshape(B * L, -1).tolist()
        weight, bias = self.neither.weight[0].tolist(), self.neither.bias.item()
        ids, corrupted = batch["ids"].reshape(-1).tolist(), batch["corrupted"].reshape(-1).tolist()
        total, candidates = 0.0, batch["candidates"].reshape(B * L, -1).tolist()
        for b in range(B):
            for at in range(b * L, b * L + LENGTHS[b]):
                logits = [sum(w * y for w, y in zip(weight, x[at])) + bias]
                if replaced := ids[at] != corrupted[at]:
                    logits += [rows[at][ids[at]]] + [rows[at][word] for word in candidates[at][1:]]
                else:
                    logits += [rows[at][word] for word in candidates[at]]
                total += surprise(logits, 1 if replaced else 0)
        return total / (sum(LENGTHS) + 1e-6)


class Teams(Electra):
    """The generator, a discriminator and an encoder that chooses the original of 5 words; they share their lower layers."""

    sizes, keeps = dict(LARGE, num_hidden_layers=2), dict(LARGE, num_hidden_layers=4)
    weights, third_weight, wrong = (1.0, 5.0), 2.0, 4

    def build(self):
        self.chooser = ElectraForMaskedLM(ElectraConfig(**self.keeps, attn_implementation="eager"))
        networks, kept = super().build() | {"encoder": self.chooser}, self.kept.electra
        for model, layers in ((self.first.electra, 1), (self.chooser.electra, 3)):
            model.embeddings, model.embeddings_project = kept.embeddings, kept.embeddings_project
            for layer in range(layers):
                model.encoder.layer[layer] = kept.encoder.layer[layer]
        return networks

    def draw(self, seed):
        """Each slot's wrong words are the first of all words but its target, shuffled."""
        batch = super().draw(seed)
        words = np.broadcast_to(np.arange(VOCABULARY - 1), (N, B, K, VOCABULARY - 1))
        words = torch.tensor(generator_of(seed + 1).permuted(words, axis=-1)[..., : self.wrong])
        self.given["candidates"] = words + (words >= batch["targets"].unsqueeze(-1))
        return batch

    def forward(self, batch):
        losses, total = super().forward(batch)
        rows = self.hidden(self.chooser, batch["corrupted"], batch).reshape(B * L, -1)[batch["positions"]]
        words = torch.cat([batch["targets"].unsqueeze(-1), batch["candidates"]], -1)
        logits = word_logits(self.chooser, self.chooser.generator_predictions(rows), words)
        third = self.mean(-F.log_softmax(logits, -1)[..., 0], batch["weights"])
        return (*losses, third), total + self.third_weight * third

    def defined(self, batch):
        with torch.no_grad():
            return *super().defined(batch), self.defined_third(batch)

    def defined_third(self, batch):
        total, rows = 0.0, self.logits(self.chooser, batch["corrupted"], batch)
        for b in range(B):
            for k in range(DRAWN[b]):
                row, target = rows[batch["positions"][b, k].item()], batch["targets"][b, k].item()
                wrong = batch["candidates"][b, k].tolist()
                assert len({target, *wrong}) == 5
                total += surprise([row[target]] + [row[word] for word in wrong], 0)
        return total / (sum(DRAWN) + 1e-6)


class Xlnet(Two):
    """The selected words in a given order: each is predicted from the tokens that are not selected and from those before it."""

    second, sizes = "encoder", LARGE

    def build(self):
        self.kept = ElectraForMaskedLM(ElectraConfig(**LARGE, attn_implementation="eager"))
        return {"encoder": self.kept}

    def draw(self, seed):
        batch = super().draw(seed)
        batch = corrupt(batch, self.given["sampled"][0])
        batch["masked_ids"].view(-1)[batch["positions"][batch["weights"] > 0]] = MASK
        random, order = generator_of(seed + 1), torch.zeros(N, B, K, dtype=torch.long)
        for step in range(N):
            for b, drawn in enumerate(DRAWN):
                order[step, b, :drawn] = torch.tensor(1 + random.permutation(drawn))
        self.given = {"order": order}
        return batch

    def give(self, batch, step):
        return dict(batch, order=self.given["order"][step])

    def attend(self, layer, x, h, sees):
        """A stream x through a layer: its own queries, the keys and values of the content h; sees [B, of x, L]."""
        own = layer.attention.self

        def heads(y):
            return y.view(B, -1, own.num_attention_heads, own.attention_head_size).transpose(1, 2)

        scores = heads(own.query(x)) @ heads(own.key(h)).transpose(2, 3) * own.attention_head_size**-0.5
        weights = scores.masked_fill(~sees.unsqueeze(1), -torch.inf).softmax(-1)
        found = (weights @ heads(own.value(h))).transpose(1, 2).reshape(x.shape)
        return layer.feed_forward_chunk(layer.attention.output(found, x))

    def forward(self, batch):
        electra, used = self.kept.electra, batch["weights"] > 0
        rank = torch.zeros(B * L, dtype=torch.long)
        rank[batch["positions"][used]] = batch["order"][used]
        rank = rank.view(B, L)
        of_slot = torch.where(used, batch["order"], 1)  # an unused slot sees something; what it says does not count
        real = (torch.arange(L)[None, :] < batch["lengths"][:, None]).unsqueeze(1)
        content_sees = real & (rank.unsqueeze(1) <= rank.unsqueeze(2))
        query_sees = real & (rank.unsqueeze(1) < of_slot.unsqueeze(2))
        place = batch["positions"] - L * torch.arange(B)[:, None]
        h = electra.embeddings(batch["ids"], batch["type_ids"])
        g = electra.embeddings(torch.full((B, K), MASK), batch["type_ids"].gather(1, place), place)
        h, g = electra.embeddings_project(h), electra.embeddings_project(g)
        for layer in electra.encoder.layer:
            h, g = self.attend(layer, h, h, content_sees), self.attend(layer, g, h, query_sees)
        logits = self.kept.generator_lm_head(self.kept.generator_predictions(g))
        loss = self.mean(F.cross_entropy(logits.transpose(1, 2), batch["targets"], reduction="none"), batch["weights"])
        return (loss,), loss

    def defined(self, batch):
        """One text at a time without its padding, as one longer text: its tokens, then a [MASK] for each selected one."""
        total = 0.0
        for b, (n, m) in enumerate(zip(LENGTHS, DRAWN)):
            places = [place - b * L for place in batch["positions"][b, :m].tolist()]
            order = dict(zip(places, batch["order"][b, :m].tolist()))
            mask = torch.full((n + m, n + m), -torch.inf, dtype=torch.float64)
            for i in range(n + m):
                for j in range(n):  # no [MASK] is ever seen
                    mine, its = order.get(i if i < n else places[i - n], 0), order.get(j, 0)
                    if its < mine or (its == mine and i < n):
                        mask[i, j] = 0.0
            where = list(range(n)) + places
            ids = torch.tensor([batch["ids"][b, :n].tolist() + [MASK] * m])
            inputs = dict(token_type_ids=batch["type_ids"][b, where][None], position_ids=torch.tensor([where]))
            with torch.no_grad():
                rows = self.kept(ids, attention_mask=mask[None, None], **inputs).logits[0, n:].tolist()
            total += sum(surprise(rows[k], batch["ids"][b, places[k]].item()) for k in range(m))
        return (total / (sum(DRAWN) + 1e-6),)


if __name__ == "__main__":
    torch.set_num_threads(1)
    make("mc_bert", McBert, seed=140)
    make("teams", Teams, seed=150)
    make("xlnet", Xlnet, seed=160)
