"""The tasks that fine_tune_torch.py knows: their files, their rows of ids, their losses and their scores.

Rows are cut, windowed and decoded as src/task does, written again from what the reference does, so that the two can be held against
each other. A task has

  rows      what a network reads: a list of (ids, types)
  model()   the class and its settings; begin(model) what is set in it before training
  loss      of a batch's outputs, the places of its rows, and its mask [B, L]
  logits    of a batch's outputs and the rows' lengths: what scores need of each row
  scores    of those of all rows, the one that chooses the best first

Shapes: B rows, L tokens, C classes.
"""

import collections
import json
import lzma
import math
import re
import string

import numpy as np
import torch
from scipy import stats
from seqeval.metrics import f1_score as span_f1
from sklearn import metrics
from torch.nn import functional as F
from transformers import ElectraForQuestionAnswering, ElectraForSequenceClassification, ElectraForTokenClassification

IGNORED = -100

# Of the files with one text or two: columns of the texts and of the label, by name or by place, and whether training sees pairs in
# both orders.
TASKS = {
    "cola": dict(texts=[3], label=1, swapped=False),
    "sst2": dict(texts=["sentence"], label="label", swapped=False),
    "mrpc": dict(texts=["#1 String", "#2 String"], label="Quality", swapped=True),
    "stsb": dict(texts=[5, 6], label=4, swapped=True, epochs=10),
    "rte": dict(texts=["sentence1", "sentence2"], label="label", swapped=False, epochs=10),
    "classify": dict(texts=["text"], label="label", swapped=False),
    "chunk": dict(length=256),
    "squad1": dict(epochs=2, length=512),
}


def read_text(path):
    with (lzma.open if path.endswith(".xz") else open)(path, "rt", encoding="utf-8-sig", newline="\n") as file:
        return file.read()


def lines_of(path):
    return [line.removesuffix("\r") for line in read_text(path).split("\n") if line.removesuffix("\r")]


class Texts:
    """One text or two, and a class or a number."""

    def __init__(self, args, tokenizer, path, training, known=None):
        task = TASKS[args.task]
        records = [line.split("\t") for line in lines_of(path)]
        columns = [*task["texts"], task["label"]]
        if isinstance(columns[0], str):
            header = [name.strip() for name in records.pop(0)]
            columns = [header.index(name) for name in columns]
        records = [[record[at] for at in columns] for record in records]
        if training and task["swapped"]:
            records += [[second, first, label] for first, second, label in records]
        self.name, self.classes = args.task, None
        labels = [label.strip() for *_, label in records]
        if args.task == "stsb":
            spread = 2 * np.std([float(label) for label in labels])
            self.scale = known.scale if known else args.scale or 2.0 ** round(math.log2(spread))
            self.labels = np.array([float(label) / self.scale for label in labels])
        else:
            self.classes = known.classes if known else sorted(set(labels))
            self.labels = np.array([self.classes.index(label) for label in labels])
        encode = encoder(tokenizer)
        self.rows = []
        for *texts, _ in records:
            first, second = (encode(texts[0]), encode(texts[1])) if len(texts) == 2 else (encode(texts[0]), None)
            # The longer one loses its last token until both fit, the second where both are alike.
            a, b, room = len(first), len(second or []), args.length - 2 - (second is not None)
            while a + b > room:
                a, b = (a - 1, b) if a > b else (a, b - 1)
            ids = [tokenizer.cls_token_id, *first[:a], tokenizer.sep_token_id]
            types = [0] * len(ids)
            if second is not None:
                ids += [*second[:b], tokenizer.sep_token_id]
                types += [1] * (b + 1)
            self.rows.append((ids, types))

    def model(self):
        if self.classes is None:
            return ElectraForSequenceClassification, dict(num_labels=1, problem_type="regression")
        return ElectraForSequenceClassification, dict(num_labels=len(self.classes), problem_type="single_label_classification")

    def begin(self, model):
        if self.classes is None:
            torch.nn.init.constant_(model.classifier.out_proj.bias, float(self.labels.mean()))

    def loss(self, out, places, _):
        labels = torch.from_numpy(self.labels[places]).to(out.logits.device)
        if self.classes is None:
            return F.mse_loss(out.logits[:, 0].float(), labels.float())
        return F.cross_entropy(out.logits, labels)

    def logits(self, out, lengths):
        return list(out.logits.float().cpu().numpy())

    def scores(self, logits):
        if self.classes is None:
            said = np.array(logits)[:, 0]
            return {"spearman": stats.spearmanr(said, self.labels).statistic, "pearson": stats.pearsonr(said, self.labels).statistic}
        said = np.array(logits).argmax(-1)
        scores = {"accuracy": metrics.accuracy_score(self.labels, said)}
        if self.name == "mrpc":
            scores["f1"] = metrics.f1_score(self.labels, said)
        if self.name == "cola":
            scores = {"matthews": metrics.matthews_corrcoef(self.labels, said), **scores}
        return scores


class Words:
    """Words with a tag each, CoNLL's columns: the last one is the tag, which the word's first piece is asked for."""

    def __init__(self, args, tokenizer, path, _, known=None):
        self.sentences, current = [], []
        for line in [*read_text(path).split("\n"), ""]:
            if line.strip() and not line.startswith("-DOCSTART-"):
                cells = line.split()
                current.append((cells[0], cells[-1]))
            elif current:
                self.sentences.append(current)
                current = []
        found = sorted({tag for sentence in self.sentences for _, tag in sentence})
        self.classes = known.classes if known else found
        different = sorted({word for sentence in self.sentences for word, _ in sentence})
        pieces = dict(zip(different, tokenizer(different, add_special_tokens=False)["input_ids"]))
        self.rows, self.asked, room = [], [], args.length - 2
        for at, sentence in enumerate(self.sentences):
            ids_of = [(pieces[word] or [tokenizer.unk_token_id])[:room] for word, _ in sentence]
            for words, wanted in word_windows([len(ids) for ids in ids_of], room):
                ids, asked = [tokenizer.cls_token_id], []
                for word in words:
                    if word in wanted:
                        asked.append((len(ids), at, word))
                    ids += ids_of[word]
                ids.append(tokenizer.sep_token_id)
                self.rows.append((ids, [0] * len(ids)))
                self.asked.append(asked)

    def model(self):
        return ElectraForTokenClassification, dict(num_labels=len(self.classes))

    def begin(self, model):
        pass

    def loss(self, out, places, _):
        labels = torch.full(out.logits.shape[:2], IGNORED)
        for b, place in enumerate(places):
            for token, sentence, word in self.asked[place]:
                labels[b, token] = self.classes.index(self.sentences[sentence][word][1])
        return F.cross_entropy(out.logits.flatten(0, 1), labels.flatten().to(out.logits.device), ignore_index=IGNORED)

    def logits(self, out, lengths):
        return [row[:length].argmax(-1).cpu().numpy() for row, length in zip(out.logits, lengths)]

    def scores(self, best):
        right = [[tag for _, tag in sentence] for sentence in self.sentences]
        said = [["O"] * len(sentence) for sentence in self.sentences]
        for asked, row in zip(self.asked, best):
            for token, sentence, word in asked:
                said[sentence][word] = self.classes[row[token]]
        flat = [(a, b) for one, other in zip(right, said) for a, b in zip(one, other)]
        return {"f1": span_f1(right, said), "accuracy": sum(a == b for a, b in flat) / len(flat)}


def word_windows(sizes, room):
    """Words that fit in a row, and those of them that it is asked for, as src/task/features/words.rs cuts them."""
    windows, start = [], 0
    while True:
        end, pieces = start, 0
        while end < len(sizes) and pieces + sizes[end] <= room:
            pieces, end = pieces + sizes[end], end + 1
        first = start
        if windows:
            words, wanted = windows[-1]
            first = max(start + (words.stop - start) // 2, wanted.start)
            windows[-1] = words, range(wanted.start, first)
        windows.append((range(start, end), range(first, end)))
        if end >= len(sizes):
            return windows
        following, overlap = end, 0
        while following > start + 1 and overlap + sizes[following - 1] <= min(room // 2, room - sizes[end]):
            following -= 1
            overlap += sizes[following]
        start = following


class Questions:
    """SQuAD 1.1: windows over the context, each behind the question; its first answer is learnt."""

    def __init__(self, args, tokenizer, path, training, known=None):
        self.questions, self.windows, self.rows = [], [], []
        encode = encoder(tokenizer)
        for article in json.loads(read_text(path))["data"]:
            for paragraph in article["paragraphs"]:
                context = paragraph["context"]
                encoding = tokenizer(context, add_special_tokens=False, return_offsets_mapping=True)
                ids, spans = encoding["input_ids"], spans_of(encoding["offset_mapping"], context)
                for question in paragraph["qas"]:
                    stands = lambda answer: context[answer["answer_start"] :].startswith(answer["text"])  # noqa: E731
                    answers = question["answers"]
                    placed = [answer for answer in answers if stands(answer)]
                    if training and not placed:
                        continue
                    at = len(self.questions)
                    self.questions.append((question["id"], context, spans, [answer["text"] for answer in answers]))
                    answer = place_of(placed, spans)
                    if training and answer is None:
                        continue
                    self.add(args, tokenizer, at, encode(question["question"])[: min(args.query, args.length // 2)], ids, answer)

    def add(self, args, tokenizer, at, query, ids, answer):
        parts = context_parts(len(ids), args.length - 3 - len(query), args.stride)
        first = len(query) + 2
        for part, best in zip(parts, best_parts(parts)):
            row = [tokenizer.cls_token_id, *query, tokenizer.sep_token_id, *ids[part.start : part.stop], tokenizer.sep_token_id]
            inside = answer is not None and answer[0] >= part.start and answer[1] < part.stop
            span = (first + answer[0] - part.start, first + answer[1] - part.start) if inside else (0, 0)
            self.rows.append((row, [0] * first + [1] * (len(row) - first)))
            self.windows.append((at, first, part, best, span))

    def model(self):
        return ElectraForQuestionAnswering, {}

    def begin(self, model):
        pass

    def loss(self, out, places, mask):
        spans = torch.tensor([self.windows[place][4] for place in places], device=mask.device)
        # No answer stands at padding.
        hidden = (1.0 - mask.float()) * -1e9
        both = (F.cross_entropy(logits.float() + hidden, spans[:, i]) for i, logits in enumerate((out.start_logits, out.end_logits)))
        return sum(both) / 2

    def logits(self, out, lengths):
        both = torch.stack([out.start_logits, out.end_logits], 1).float().cpu().numpy()
        return [row[:, :length] for row, length in zip(both, lengths)]

    def scores(self, logits):
        best = [(-math.inf, "")] * len(self.questions)
        for (at, first, part, starts, _), (start, end) in zip(self.windows, logits):
            _, context, spans, _ = self.questions[at]
            shift = first - part.start
            for a in highest(starts, lambda token: start[token + shift]):
                for b in highest(part, lambda token: end[token + shift]):
                    score = float(start[a + shift] + end[b + shift])
                    if a <= b < a + 30 and score > best[at][0]:
                        best[at] = score, context[spans[a][0] : spans[b][1]]
        exact = f1 = 0.0
        for (_, said), (*_, right) in zip(best, self.questions):
            exact += max(float(normalized(said) == normalized(answer)) for answer in right)
            f1 += max(words_f1(said, answer) for answer in right)
        return {"f1": f1 / len(best), "exact": exact / len(best)}


def highest(tokens, logit, most=20):
    return sorted(tokens, key=lambda token: -logit(token))[:most]


def spans_of(offsets, context):
    """Where tokens stand. What the tokenizer passes over right behind one belongs to it."""
    following = [start for start, _ in offsets[1:]] + [len(context)]
    passed = (re.match(r"\S*", context[end:after]).end() for (_, end), after in zip(offsets, following))
    return [(start, end + more) for (start, end), more in zip(offsets, passed)]


def place_of(answers, spans):
    """The tokens of the first answer; None where it covers none."""
    if not answers:
        return None
    start = answers[0]["answer_start"]
    end = start + len(answers[0]["text"])
    covered = [token for token, (a, b) in enumerate(spans) if b > start and a < end]
    return (covered[0], covered[-1]) if covered else None


def context_parts(tokens, room, stride):
    parts, start = [], 0
    while True:
        parts.append(range(start, min(tokens, start + room)))
        if parts[-1].stop == tokens:
            return parts
        start += max(1, min(stride, room))


def best_parts(parts):
    """Of each part, the tokens around which it shows more than the others, as in BERT."""
    best = [[] for _ in parts]
    if len(parts) == 1:
        return [parts[0]]
    for token in range(parts[-1].stop):
        shown = [(100 * min(token - p.start, p.stop - 1 - token) + len(p), -at) for at, p in enumerate(parts) if token in p]
        best[-max(shown)[1]].append(token)
    return best


def normalized(text):
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def words_f1(said, right):
    said, right = normalized(said).split(), normalized(right).split()
    same = sum((collections.Counter(said) & collections.Counter(right)).values())
    return 2 * same / (len(said) + len(right)) if same else 0.0


def encoder(tokenizer):
    """Text to ids without [CLS] and [SEP]; the same text once."""
    known = {}

    def encode(text):
        if text not in known:
            known[text] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return known[text]

    return encode


KINDS = {"chunk": Words, "squad1": Questions}
