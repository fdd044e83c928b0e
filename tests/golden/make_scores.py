#!/usr/bin/env python3
"""Writes scores.json: cases, and what scikit-learn, scipy, seqeval and the formulas of SQuAD's and CoNLL's scripts say of them.

Run with scikit-learn, scipy and seqeval (written with 1.9.1, 1.17.1 and 1.2.2) from this folder: python make_scores.py
src/task/score holds leyden's measures against the numbers. A number that is none (a correlation with a constant) is null.
"""

import collections
import json
import math
import random
import re
import string
import warnings

from scipy import stats
from seqeval.metrics import f1_score as span_f1, precision_score as span_precision, recall_score as span_recall
from sklearn import metrics

warnings.simplefilter("ignore")
rng = random.Random(15)


def number(value):
    return None if math.isnan(value) else float(value)


# Classes: many, two, lopsided, one only, a class that is never there or never said.
def classes_case(name, count, truth, predicted):
    return {
        "name": name,
        "classes": count,
        "truth": truth,
        "predicted": predicted,
        "accuracy": metrics.accuracy_score(truth, predicted),
        "f1": [float(f) for f in metrics.f1_score(truth, predicted, labels=list(range(count)), average=None, zero_division=0)],
        "macro_f1": metrics.f1_score(truth, predicted, average="macro", zero_division=0),
        "matthews": float(metrics.matthews_corrcoef(truth, predicted)),
    }


def noisy(truth, count, share):
    return [rng.randrange(count) if rng.random() < share else t for t in truth]


three = [rng.randrange(3) for _ in range(60)]
two = [int(rng.random() < 0.3) for _ in range(80)]
classes = [
    classes_case("three classes", 3, three, noisy(three, 3, 0.4)),
    classes_case("two classes", 2, two, noisy(two, 2, 0.3)),
    classes_case("opposite", 2, two, [1 - t for t in two]),
    classes_case("all right", 2, two, two),
    classes_case("always the first", 2, two, [0] * len(two)),
    classes_case("always the second", 2, two, [1] * len(two)),
    classes_case("one class only", 2, [0] * 5, [0] * 5),
    classes_case("one class, never said", 2, [0] * 5, [1] * 5),
    classes_case("the third neither there nor said", 3, [0, 1, 1, 0, 1], [0, 1, 0, 0, 1]),
    classes_case("one example", 2, [1], [1]),
]

# Several labels at once.
many = [[int(rng.random() < p) for p in (0.5, 0.2, 0.05, 0.0)] for _ in range(40)]
said = [[t if rng.random() < 0.8 else 1 - t for t in row[:3]] + [0] for row in many]
multi_label = {
    "truth": many,
    "predicted": said,
    "exact": metrics.accuracy_score(many, said),
    "micro_f1": metrics.f1_score(many, said, average="micro", zero_division=0),
    "macro_f1": metrics.f1_score(many, said, average="macro", zero_division=0),
}


# Numbers: with and without ties, far from 0, constant.
def numbers_case(name, x, y):
    return {
        "name": name,
        "x": x,
        "y": y,
        "pearson": number(stats.pearsonr(x, y).statistic),
        "spearman": number(stats.spearmanr(x, y).statistic),
    }


x = [round(rng.uniform(0, 5), 3) for _ in range(50)]
y = [round(a + rng.gauss(0, 1.5), 3) for a in x]
ties = [float(rng.randrange(6)) for _ in range(50)]
numbers = [
    numbers_case("some noise", x, y),
    numbers_case("ties", ties, [round(t + rng.choice([-1, 0, 0, 1]), 1) for t in ties]),
    numbers_case("far from 0", [1e6 + a for a in x], [1e6 - b for b in y]),
    numbers_case("a curve", x, [a**5 for a in x]),
    numbers_case("the same always said", x[:6], [2.5] * 6),
    numbers_case("two", [1.0, 2.0], [5.0, 3.0]),
]


# SQuAD: the formulas of evaluate-v1.1.py and evaluate-v2.0.py.
def normalized(text):
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def answer_f1(prediction, answer, version):
    said, right = normalized(prediction).split(), normalized(answer).split()
    if version == 2 and (not said or not right):
        return float(said == right)
    same = sum((collections.Counter(said) & collections.Counter(right)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(said), same / len(right)
    return 2 * precision * recall / (precision + recall)


def answers_case(prediction, answers):
    case = {"prediction": prediction, "answers": answers}
    for version in (1, 2):
        right = answers
        if version == 2:
            right = [a for a in answers if normalized(a)] or [""]
        case[f"exact{version}"] = max((float(normalized(prediction) == normalized(a)) for a in right), default=None)
        case[f"f1_{version}"] = max((answer_f1(prediction, a, version) for a in right), default=None)
    return case


answers = [
    answers_case("The Cat sat.", ["cat sat", "a dog"]),
    answers_case("the quick brown fox", ["a brown fox jumped", "quick fox"]),
    answers_case("Beyoncé", ["beyonce", "BEYONCÉ!"]),
    answers_case("$1,000.50", ["100050", "1000.50 dollars"]),
    answers_case("theatre and anthem", ["theatre anthem"]),
    answers_case("the the a an", ["the", "cat"]),
    answers_case("", [""]),
    answers_case("", []),
    answers_case("cat", []),
    answers_case("cat", ["", "the"]),
    answers_case("", ["cat"]),
    answers_case("“the” a–b  the\u00a0end", ["“ ” a–b end"]),
    answers_case("a_the the-end well-known", ["athe theend wellknown"]),
    answers_case("to be or not to be", ["to to be", "be or to"]),
    answers_case("İstanbul STRASSE Σ", ["i̇stanbul strasse σ"]),
    answers_case("1990s", ["the 1990s", "1990"]),
]


def best_threshold(questions):
    """find_best_thresh of evaluate-v2.0.py: (score, has an answer, something was said, null score) of each question."""
    current = best = sum(1.0 for _, has, _, _ in questions if not has)
    threshold = 0.0
    for score, has, said, null in sorted(questions, key=lambda q: q[3]):
        current += score if has else (-1.0 if said else 0.0)
        if current > best:
            best, threshold = current, null
    return {"best": best / len(questions), "threshold": threshold}


def questions(count, sharp):
    for _ in range(count):
        has = rng.random() < 0.6
        null = round(rng.random() * 0.5 + (0.0 if has else sharp), 6)
        yield [rng.choice([0.0, 0.5, 1.0, 1.0]) if has else 0.0, has, rng.random() < 0.9, null]


thresholds = []
for count, sharp in ((40, 0.4), (30, 0.0), (5, 0.5), (1, 0.3)):
    some = list(questions(count, sharp))
    thresholds.append({"questions": some, **best_threshold(some)})


# Spans: seqeval's lenient count is conlleval's.
def spans_case(name, truth, predicted):
    return {
        "name": name,
        "truth": truth,
        "predicted": predicted,
        "precision": float(span_precision(truth, predicted, zero_division=0)),
        "recall": float(span_recall(truth, predicted, zero_division=0)),
        "f1": float(span_f1(truth, predicted, zero_division=0)),
    }


TAGS = ["O", "B-NP", "I-NP", "B-VP", "I-VP"]
wild = [[rng.choice(TAGS) for _ in range(rng.randrange(1, 9))] for _ in range(30)]
near = [[rng.choice(TAGS) if rng.random() < 0.2 else tag for tag in tags] for tags in wild]
spans = [
    spans_case("any tags", wild, near),
    spans_case("I without B", [["O", "I-NP", "I-NP", "O"]], [["O", "B-NP", "I-NP", "O"]]),
    spans_case("I of another kind", [["B-NP", "I-VP", "I-VP"]], [["B-NP", "B-VP", "I-VP"]]),
    spans_case("B inside", [["B-NP", "B-NP"]], [["B-NP", "I-NP"]]),
    spans_case("a sentence's end ends a span", [["B-NP"], ["I-NP"]], [["B-NP"], ["B-NP"]]),
    spans_case("nothing there", [["O", "O"]], [["O", "B-NP"]]),
    spans_case("nothing said", [["B-NP", "O"]], [["O", "O"]]),
    spans_case("nothing at all", [["O"]], [["O"]]),
    spans_case("kinds with hyphens", [["B-A-B", "I-A-B"], ["B-A", "I-A"]], [["B-A-B", "I-A-B"], ["B-A", "I-A-B"]]),
]

with open("scores.json", "w") as file:
    parts = dict(classes=classes, multi_label=multi_label, numbers=numbers, answers=answers, thresholds=thresholds, spans=spans)
    lines = []
    for name, cases in parts.items():
        cases = cases if isinstance(cases, list) else [cases]
        listed = ",\n".join("  " + json.dumps(case, ensure_ascii=False) for case in cases)
        lines.append(f'"{name}": [\n{listed}\n]')
    file.write("{\n" + ",\n".join(lines) + "\n}\n")
