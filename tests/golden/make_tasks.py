"""Writes the golden state of a small encoder under each head that is fine-tuned: task_single.safetensors (one of three classes),
task_regression.safetensors (a number), task_multi.safetensors (any of four labels), task_linear.safetensors (the reference's head: one
linear layer on [CLS]), task_tokens.safetensors (a class for every token) and task_span.safetensors (where an answer starts and ends).

Logits, losses and gradients are those of transformers' ElectraForSequenceClassification, ElectraForTokenClassification and
ElectraForQuestionAnswering given `labels`; of the linear head, which transformers does not have, those of PyTorch's cross entropy.
transformers takes padding for a place where an answer could be; so every example is given to it without its padding, and the loss
is the mean over examples. Everything is computed in float64 and stored as float32; parameters are rounded first. Before anything is
written the script checks every gradient against a central difference, and that a folder which transformers saves has the tensors
that are stored here and no other.

Run:  python tests/golden/make_tasks.py            (README.md has the versions)

  model.<name of transformers>   parameters
  batch.ids .type_ids [B, L]   .lengths [B]
  batch.labels   [B] classes; [B] float32 numbers; [B, 4] 0 or 1; [B, L] classes; [B, 2] positions of start and end
  batch.weights [B, L] float32   of the classes of tokens only: 1 where a token has one
  steps.lr .loss .grad_norm [N]   after.<parameter>   but of the linear head: ten AdamW steps, slower towards the input
  logits [B, C]; [B, L, C] and [B, L, 2] with what stands at padding   loss []   grad.<parameter>

The metadata has `sizes`, `shape`, and `config`: the config.json that transformers saves with it.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from make_electra import TRAINING, B, L, check, learning_rate, make_batch, save
from make_mlm import IGNORED, check_gradients, train
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F
from transformers import (
    AutoTokenizer,
    ElectraConfig,
    ElectraForQuestionAnswering,
    ElectraForSequenceClassification,
    ElectraForTokenClassification,
    ElectraModel,
    ElectraPreTrainedModel,
)
from transformers.utils import logging

HERE = Path(__file__).parent
LAYER_DECAY = 0.8
# What shifts all tokens of an example alike, and so none of the places of an answer.
SHIFTS = ("key.bias", "qa_outputs.bias", "layer.1.output.LayerNorm.bias")
# As many words as the tokenizer in probe/ has, so that the two make a folder.
WORDS = len((HERE / "probe" / "vocab.txt").read_text().splitlines())
SIZES = dict(
    vocab_size=WORDS, max_position_embeddings=15, type_vocab_size=2, num_hidden_layers=2, layer_norm_eps=1e-12, hidden_act="gelu",
    hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, pad_token_id=0, embedding_size=8, hidden_size=12,
    num_attention_heads=2, intermediate_size=20,
)  # fmt: skip


class ElectraWithLinearClassifier(ElectraPreTrainedModel):
    """The reference's head: dropout, which is 0 here, and one linear layer on [CLS]."""

    def __init__(self, config):
        super().__init__(config)
        self.electra = ElectraModel(config)
        self.linear_classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, ids, labels, **inputs):
        logits = self.linear_classifier(self.electra(ids, **inputs).last_hidden_state[:, 0])
        return type("Output", (), {"logits": logits, "loss": F.cross_entropy(logits, labels)})


CASES = {
    "single": (ElectraForSequenceClassification, ["no", "yes", "maybe"], "single_label_classification"),
    "regression": (ElectraForSequenceClassification, ["stars"], "regression"),
    "multi": (ElectraForSequenceClassification, ["short", "loud", "old", "new"], "multi_label_classification"),
    "linear": (ElectraWithLinearClassifier, ["no", "yes", "maybe"], "single_label_classification"),
    "tokens": (ElectraForTokenClassification, ["O", "B-NP", "I-NP", "B-VP", "I-VP"], None),
    "span": (ElectraForQuestionAnswering, None, None),
}


class Network:
    def __init__(self, name, seed):
        cls, labels, problem = CASES[name]
        more = {} if labels is None else dict(id2label=dict(enumerate(labels)), label2id={x: i for i, x in enumerate(labels)})
        if problem is not None:
            more["problem_type"] = problem
        self.name = name
        self.model = cls(ElectraConfig(**SIZES, **more, attn_implementation="eager"))
        self.model.electra.embeddings.word_embeddings.padding_idx = None  # its gradient is what the formulas say, not 0
        self.parameters = {f"model.{name}": p for name, p in self.model.named_parameters()}
        random = np.random.Generator(np.random.PCG64(seed))
        for key, parameter in self.parameters.items():
            value = random.standard_normal(tuple(parameter.shape)) * (0.15 if key.endswith("bias") else 0.3)
            parameter.data = torch.tensor((value + key.endswith("LayerNorm.weight")).astype(np.float32))
        self.saved = self.save()
        self.model.double().train()

    def save(self):
        """The config.json that transformers saves; the tensors that it saves are the parameters."""
        with tempfile.TemporaryDirectory() as folder:
            self.model.save_pretrained(folder)
            saved = load_file(Path(folder) / "model.safetensors")
            names = {name.removeprefix("model.") for name in self.parameters}
            check(set(saved) == names, f"saved are {sorted(set(saved) ^ names)} more or less")
            return json.loads((Path(folder) / "config.json").read_text())

    def forward(self, batch):
        """Logits and the loss, over the count + 1e-6, as leyden divides."""
        mask = (torch.arange(L)[None, :] < batch["lengths"][:, None]).long()
        inputs, labels = dict(token_type_ids=batch["type_ids"], attention_mask=mask), batch["labels"]
        count = labels.numel()
        if self.name == "span":
            out = self.model(batch["ids"], **inputs)
            logits, losses = torch.stack([out.start_logits, out.end_logits], dim=-1), []
            for b, length in enumerate(batch["lengths"].tolist()):
                one = slice(b, b + 1), slice(0, length)
                start, end = labels[b : b + 1, 0], labels[b : b + 1, 1]
                types = batch["type_ids"][one]
                losses.append(self.model(batch["ids"][one], token_type_ids=types, start_positions=start, end_positions=end).loss)
            loss = torch.stack(losses).mean()
        else:
            if self.name == "tokens":
                used = batch["weights"] > 0
                labels, count = labels.masked_fill(~used, IGNORED), used.sum().item()
            elif self.name in ("regression", "multi"):
                labels = labels.double()
            out = self.model(batch["ids"], labels=labels, **inputs)
            logits, loss = out.logits, out.loss
        return logits, loss * count / (count + 1e-6)


    def step(self, batch):
        _, loss = self.forward(batch)
        return loss.detach(), dict(zip(self.parameters, torch.autograd.grad(loss, list(self.parameters.values()))))


def by_layer(name):
    """The reference's decay of the learning rate towards the input."""
    layers = SIZES["num_hidden_layers"]
    if name.startswith("model.electra.embeddings"):
        depth = 0
    elif name.startswith("model.electra.encoder.layer."):
        depth = int(name.split(".")[4]) + 1
    else:
        depth = layers + 2
    return LAYER_DECAY ** (layers + 2 - depth)


def make_labels(name, batch, seed):
    random = np.random.Generator(np.random.PCG64(seed))
    labels = CASES[name][1]
    if name == "regression":
        return {"labels": torch.tensor(random.standard_normal(B).astype(np.float32))}
    if name == "multi":
        return {"labels": torch.tensor(random.integers(0, 2, (B, len(labels))))}
    if name == "span":
        places = [sorted(random.integers(0, length, 2).tolist()) for length in batch["lengths"].tolist()]
        return {"labels": torch.tensor(places)}
    if name == "tokens":
        # Neither [CLS] nor [SEP] has a class, nor has every third token: the later pieces of words.
        place, last = torch.arange(L)[None, :], batch["lengths"][:, None] - 1
        used = (place > 0) & (place < last) & (place % 3 != 2)
        return {"labels": torch.tensor(random.integers(0, len(labels), (B, L))), "weights": used.float()}
    return {"labels": torch.tensor(random.integers(0, len(labels), B))}


TEXTS = ["the storm was large .", ["the cat sat", "a dog ran"], "", "one two three four five six seven eight nine ten eleven twelve"]
WORDS_TO_TAG = "the cat sat on the jar ."
QUESTION = ["who sat", "the cat sat on it ."]


def predict(network):
    """What the weights that are stored say of a few texts, with the tokenizer in probe/: logits, or the best answer and its score."""
    tokenizer = AutoTokenizer.from_pretrained(HERE / "probe")
    model, most = network.model.eval(), SIZES["max_position_embeddings"]

    def logits(*text):
        inputs = tokenizer(*text, truncation=True, max_length=most, return_tensors="pt")
        inputs["ids"] = inputs.pop("input_ids")
        if not isinstance(model, ElectraWithLinearClassifier):
            inputs["input_ids"] = inputs.pop("ids")
            return model(**inputs)
        return model(labels=torch.zeros(1, dtype=torch.long), **inputs)

    with torch.no_grad():
        if network.name == "tokens":
            words = WORDS_TO_TAG.split()
            inputs = tokenizer(words, is_split_into_words=True, return_tensors="pt")
            rows, first = model(**inputs).logits[0].argmax(-1).tolist(), {}
            for place, word in enumerate(inputs.word_ids()):
                first.setdefault(word, place)
            labels = CASES["tokens"][1]
            return {"text": WORDS_TO_TAG, "tags": [labels[rows[first[w]]] for w in range(len(words))]}
        if network.name == "span":
            inputs = tokenizer(*QUESTION, return_offsets_mapping=True, return_tensors="pt")
            offsets = inputs.pop("offset_mapping")[0].tolist()
            out = model(**inputs)
            places = [p for p, part in enumerate(inputs.sequence_ids()) if part == 1]
            score, s, e = max((out.start_logits[0, s] + out.end_logits[0, e], s, e) for s in places for e in places if s <= e)
            return {"text": "\t".join(QUESTION), "answer": QUESTION[1][offsets[s][0] : offsets[e][1]], "score": score.item()}
        texts = [text if isinstance(text, list) else [text] for text in TEXTS]
        return [{"text": "\t".join(text), "logits": logits(*text).logits[0].tolist()} for text in texts]


def embed(network):
    """The encoder's vectors of the same texts, read together: pooled as sentence-transformers' mean does it, and those of [CLS]."""
    tokenizer = AutoTokenizer.from_pretrained(HERE / "probe")
    model, most = network.model.eval(), SIZES["max_position_embeddings"]
    pairs = [text if isinstance(text, list) else [text, None] for text in TEXTS]
    encoded = [tokenizer(*pair, truncation=True, max_length=most) for pair in pairs]
    inputs = tokenizer.pad(encoded, return_tensors="pt")
    with torch.no_grad():
        hidden = model.electra(**inputs).last_hidden_state
    mask = inputs["attention_mask"].unsqueeze(-1).to(hidden.dtype)
    mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
    texts = ["\t".join(text for text in pair if text is not None) for pair in pairs]
    return [{"text": t, "mean": m.tolist(), "cls": h[0].tolist()} for t, m, h in zip(texts, mean, hidden)]


def make(name, seed):
    path = HERE / f"task_{name}.safetensors"
    batch, _ = make_batch(seed + 1, WORDS)
    batch = {key: batch[key] for key in ("ids", "type_ids", "lengths")}
    batch |= make_labels(name, batch, seed + 2)
    network = Network(name, seed)
    logits, loss = network.forward(batch)
    _, gradients = network.step(batch)
    predictions = predict(network)
    if name == "single":
        (HERE / "task_vectors.json").write_text(json.dumps(embed(network), indent=1) + "\n")
    network.model.train()
    worst = check_gradients(network, batch, gradients, SHIFTS if name == "span" else SHIFTS[:1])
    print(f"{path.name}: loss {loss:.6f}, finite differences agree to {worst:.1e}")
    tensors = {key: parameter.data.clone() for key, parameter in network.parameters.items()}
    tensors |= {f"batch.{key}": value for key, value in batch.items()}
    tensors |= {f"grad.{key}": value for key, value in gradients.items()}
    tensors |= {"logits": logits, "loss": loss}
    steps = {}
    if name != "linear":
        log = train(network, batch, by_layer)
        tensors["steps.lr"] = torch.tensor([learning_rate(s) for s in range(TRAINING["steps"])], dtype=torch.float64)
        tensors |= {f"steps.{key}": value for key, value in log.items()}
        tensors |= {f"after.{key}": parameter.data.clone() for key, parameter in network.parameters.items()}
        steps["training"] = json.dumps(dict(TRAINING, layer_decay=LAYER_DECAY))
        print(f"  loss {log['loss'][0]:.4f} to {log['loss'][-1]:.4f}")
    metadata = steps | {"sizes": json.dumps(SIZES), "shape": json.dumps({"batch": B, "length": L}), "config": json.dumps(network.saved)}
    save(path, tensors, metadata)
    return predictions


if __name__ == "__main__":
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    found = {case: make(case, seed=70 + 10 * number) for number, case in enumerate(CASES)}
    (HERE / "task_predictions.json").write_text(json.dumps(found, indent=1) + "\n")
