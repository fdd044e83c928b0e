"""Fine-tunes in PyTorch and transformers what `leyden fine-tune` does: the peer that its scores are held against.

Takes any folder that transformers loads as an ELECTRA with its tokenizer, and the tasks' own files. The settings are those of
the reference for ELECTRA-Small: AdamW without bias correction, rates that fall towards the input, a warm-up of a tenth of the
steps, a linear fall to 0 that is multiplied with it, gradients clipped at a global norm of 1, dropout of .1 whatever the folder
says, and batches of texts that are about as long. Rows, losses and scores are those of fine_tune_tasks.py. Only the
random numbers are its own, so scores should agree as those of two seeds do.

Run:  python tests/tools/fine_tune_torch.py --model runs/small/discriminator --task sst2 --train train.tsv --dev dev.tsv --seeds 1 2 3
prints a line of JSON for every epoch and seed, then one with each score's mean and deviation over the seeds, the last epoch's.
--random takes the folder's sizes and tokenizer, but no weights of it.

Shapes: B rows, L tokens, C classes.
"""

import argparse
import contextlib
import json
import math
import os
import random
import statistics
import time
import warnings

import torch
from bench_torch import batches_of_like_lengths, rate_by_layer
from fine_tune_tasks import KINDS, TASKS, Texts
from transformers import AutoConfig, AutoTokenizer
from transformers.utils import logging


def arguments():
    parser = argparse.ArgumentParser(description="Fine-tune as leyden does, in PyTorch.")
    parser.add_argument("--model", required=True, help="a folder that transformers loads")
    parser.add_argument("--random", action="store_true", help="take its sizes and its tokenizer only, and random weights")
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--train", required=True, help="the task's file to learn from (classify: a tsv with text and label)")
    parser.add_argument("--dev", required=True, help="the one to measure by")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--epochs", type=float, help="(3; rte and stsb 10; squad1 2)")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, help="longest row in tokens (128; chunk 256; squad1 512; no more than the model's positions)")
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--layer-decay", type=float, default=0.8)
    parser.add_argument("--warmup", type=float, default=0.1, help="share of the steps")
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--bias-correction", action="store_true", help="Adam's, which the reference leaves out")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--scale", type=float, help="of a number: what an output of 1 is (the power of two nearest to two deviations)")
    parser.add_argument("--stride", type=int, default=128)
    parser.add_argument("--query", type=int, default=64)
    parser.add_argument("--bf16", action="store_true", help="train under bf16 autocast")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads (all cores); 1 where others are at work")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    args = parser.parse_args()
    positions = AutoConfig.from_pretrained(args.model).max_position_embeddings
    args.length = min(args.length or TASKS[args.task].get("length", 128), positions)
    args.epochs = args.epochs or TASKS[args.task].get("epochs", 3)
    return args


def padded(tokens):
    """What src/batch/padded.rs fills a row up to: rows of one batch are alike in no more than that."""
    below = 2 ** int(math.log2(max(tokens - 1, 1)))
    step = max(8, below // 4) if tokens <= 128 else below // 2
    return -(-tokens // step) * step


def batch_of(rows, pad, device):
    """Ids, types and mask [B, L], as long as the longest."""
    longest = max(len(ids) for ids, _ in rows)
    filled = [(ids + [pad] * (longest - len(ids)), types + [0] * (longest - len(ids))) for ids, types in rows]
    mask = [[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in rows]
    ids, types, mask = (torch.tensor(x, device=device) for x in ([i for i, _ in filled], [t for _, t in filled], mask))
    return dict(input_ids=ids, token_type_ids=types, attention_mask=mask)


def evaluate(args, model, task, pad):
    """The scores of all rows, the shortest first, dropout off."""
    order = sorted(range(len(task.rows)), key=lambda place: len(task.rows[place][0]))
    found = [None] * len(order)
    model.eval()
    with torch.no_grad():
        for start in range(0, len(order), args.batch):
            places = order[start : start + args.batch]
            rows = [task.rows[place] for place in places]
            logits = task.logits(model(**batch_of(rows, pad, args.device)), [len(ids) for ids, _ in rows])
            for place, row in zip(places, logits):
                found[place] = row
    model.train()
    return {name: float(value) for name, value in task.scores(found).items()}


def network(args, training):
    cls, settings = training.model()
    settings |= dict(hidden_dropout_prob=args.dropout, attention_probs_dropout_prob=args.dropout, classifier_dropout=None)
    if args.random:
        model = cls(AutoConfig.from_pretrained(args.model, **settings))
    else:
        model = cls.from_pretrained(args.model, **settings)
    training.begin(model)
    return model.to(args.device).train()


def optimizer(args, model):
    """PyTorch's fused AdamW; the second value is what each group's rate is of the whole."""
    groups, layers = {}, model.config.num_hidden_layers
    for name, parameter in model.named_parameters():
        plain, factor = name.endswith("bias") or "LayerNorm" in name, rate_by_layer(name, layers, args.layer_decay)
        group = dict(params=[], lr=0.0, weight_decay=0.0 if plain else args.weight_decay)
        groups.setdefault((plain, factor), group)["params"].append(parameter)
    adamw = torch.optim.AdamW(groups.values(), betas=(0.9, 0.999), eps=1e-6, fused=True)
    if not args.bias_correction:
        # After so many steps the correction is 1.
        for parameter in model.parameters():
            zeros = dict(exp_avg=torch.zeros_like(parameter), exp_avg_sq=torch.zeros_like(parameter))
            adamw.state[parameter] = dict(step=torch.tensor(1e8, device=parameter.device), **zeros)
    return adamw, [factor for _, factor in groups]


def train(args, training, dev, pad, seed):
    torch.manual_seed(seed)
    model, order = network(args, training), random.Random(seed)
    adamw, factors = optimizer(args, model)
    lengths = [len(ids) for ids, _ in training.rows]
    steps = math.ceil(args.epochs * max(1.0, len(lengths) / args.batch))
    warmup, waiting = round(args.warmup * steps), []
    tokens, seconds, losses, epoch = 0, 0.0, [], 0
    for step in range(steps):
        waiting = waiting or batches_of_like_lengths([padded(length) for length in lengths], args.batch, order)
        places, start = waiting.pop(), time.perf_counter()
        inputs = batch_of([training.rows[place] for place in places], pad, args.device)
        with torch.autocast(args.device, dtype=torch.bfloat16) if args.bf16 else contextlib.nullcontext():
            loss = training.loss(model(**inputs), places, inputs["attention_mask"])
        adamw.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        rate = args.learning_rate * (1 - step / steps) * (min(1.0, step / warmup) if warmup else 1.0)
        for group, factor in zip(adamw.param_groups, factors):
            group["lr"] = rate * factor
        adamw.step()
        losses.append(loss.item())
        seconds, tokens = seconds + time.perf_counter() - start, tokens + sum(lengths[place] for place in places)
        if not math.isfinite(losses[-1]):
            raise SystemExit(f"step {step}: a loss of {losses[-1]}")
        if not waiting or step + 1 == steps:
            epoch, scores = epoch + 1, evaluate(args, model, dev, pad)
            facts = dict(task=args.task, seed=seed, epoch=epoch, step=step + 1, steps=steps, loss=statistics.mean(losses))
            print(json.dumps(facts | scores | dict(tokens_per_second=round(tokens / seconds, 1))), flush=True)
            losses = []
    return scores, tokens / seconds


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    logging.disable_progress_bar()
    logging.set_verbosity_error()  # a new head is what is wanted
    warnings.simplefilter("ignore")  # scores of who always says the same
    tokenizer = AutoTokenizer.from_pretrained(args.model, model_max_length=10**9)
    kind = KINDS.get(args.task, Texts)
    training = kind(args, tokenizer, args.train, True)
    dev = kind(args, tokenizer, args.dev, False, training)
    found = [train(args, training, dev, tokenizer.pad_token_id, seed) for seed in args.seeds]
    summary = dict(task=args.task, model=args.model, random=args.random, rows=len(training.rows), seeds=args.seeds)
    for name in found[0][0]:
        values = [scores[name] for scores, _ in found]
        summary[name] = dict(mean=statistics.mean(values), deviation=statistics.stdev(values) if len(values) > 1 else None, all=values)
    print(json.dumps(summary | dict(tokens_per_second=round(statistics.median(rate for _, rate in found), 1))))


if __name__ == "__main__":
    main()
