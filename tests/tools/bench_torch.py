"""Times steps of ELECTRA's pre-training and fine-tuning in PyTorch: the peer that `leyden bench` is held against on one machine.

One step is what leyden does in one: generator forward, its MLM head at the drawn positions only (gathered first),
Gumbel sampling, replacement, discriminator forward, joint loss, backward, global-norm clip, AdamW. Models are those of
transformers with the attention it picks by default (sdpa, which runs a fused kernel where the device has one), AdamW is
the fused one, dropout is .1. Token ids are random: the cost does not depend on them.

Modes: eager or compiled (torch.compile of the forward pass, and with it of the backward pass), in fp32 without TF32, in
fp32 with it, or under bf16 autocast; "graphs" is compiled with reduce-overhead, which replays CUDA graphs (on a CPU there are
none, and it is compiled); "autotuned" is compiled with max-autotune, PyTorch's own search for its best, with CUDA graphs too.

Run:  python tests/tools/bench_torch.py --preset small --batch 8 --length 128 --steps 10 --mode compiled-bf16 --device gpu
prints one line of JSON; tokens_per_second is the batch's tokens over the median step. Any size of the preset can be given
as a flag, for example --preset tiny --hidden 96 --vocabulary 8192.

With --products it times matrix products instead: it prints a line of JSON that says who it is and answers each line
{"m": 16384, "n": 1024, "k": 256, "layout": "x W^T", "precision": "f16"} with the best of some, {"seconds": ...}.

With --fine-tune FOLDER --texts FILE it times fine-tuning of the model that transformers finds in the folder, as one of two
classes, on the file's texts, one a line, in batches of texts that are about as long; then transformers' pipeline on the same
texts, the shortest first and in the file's order. It prints tokens_per_second, which counts no padding, and texts: predicted_per_second
and predicted_unsorted_per_second.

With --serve it warms up, prints a line of JSON that says who it is, and then answers each line "go N" on its standard input
with the seconds of N steps, {"steps": [...]}, until the input ends. In fine-tuning the answer has "tokens" of each step too, and
"predict sorted" and "predict unsorted" are answered with the pipeline's {"seconds": ..., "texts": ...}.
"""

import argparse
import contextlib
import json
import math
import os
import random
import statistics
import sys
import time

import torch
from torch.nn import functional as F
from transformers import AutoTokenizer, ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining
from transformers import ElectraForSequenceClassification, pipeline

# "small" is the paper's ELECTRA-Small with its quarter-width generator.
PRESETS = {
    "small": dict(vocabulary=30522, positions=512, embedding=128, layers=12, hidden=256, heads=4, ffn=1024,
                  generator_layers=12, generator_hidden=64, generator_heads=1, generator_ffn=256),
    "tiny": dict(vocabulary=2048, positions=128, embedding=64, layers=2, hidden=128, heads=8, ffn=512,
                 generator_layers=1, generator_hidden=8, generator_heads=1, generator_ffn=16),
}  # fmt: skip
MASK = 4
MODES = ["eager-fp32", "eager-tf32", "eager-bf16", "compiled-fp32", "compiled-tf32", "compiled-bf16", "graphs-bf16",
         "autotuned-bf16"]  # fmt: skip


def arguments():
    parser = argparse.ArgumentParser(description="Time ELECTRA pre-training steps in PyTorch.")
    parser.add_argument("--preset", choices=PRESETS, default="small")
    parser.add_argument("--batch", type=int, default=8, help="rows a step")
    parser.add_argument("--length", type=int, default=128, help="tokens a row")
    parser.add_argument("--steps", type=int, default=10, help="timed steps")
    parser.add_argument("--warmup", type=int, default=4, help="steps before the clock starts")
    parser.add_argument("--mode", choices=MODES, default="eager-fp32")
    parser.add_argument("--serve", action="store_true", help="take steps when told to on the standard input")
    parser.add_argument("--products", action="store_true", help="time matrix products that the standard input asks for")
    parser.add_argument("--fine-tune", metavar="FOLDER", help="time fine-tuning of this model instead")
    parser.add_argument("--tokenizer", metavar="FOLDER", help="where the model's tokenizer is, if not beside it")
    parser.add_argument("--texts", metavar="FILE", help="what it is fine-tuned on, a text a line")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads (all cores)")
    parser.add_argument("--device", choices=["cpu", "cuda", "mps", "gpu"], default="cpu", help="gpu: cuda, or else mps")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--attention-dropout", type=float, help="(that of --dropout)")
    for name in PRESETS["small"]:
        parser.add_argument("--" + name.replace("_", "-"), type=int, help=f"{name} instead of the preset's")
    args = parser.parse_args()
    if args.attention_dropout is None:
        args.attention_dropout = args.dropout
    sizes = {name: getattr(args, name) or value for name, value in PRESETS[args.preset].items()}
    if args.fine_tune and not args.texts:
        parser.error("--fine-tune needs --texts")
    if args.length > sizes["positions"] and not args.fine_tune:
        parser.error(f"--length {args.length} is more than the model's {sizes['positions']} positions")
    if args.device == "gpu":
        if not (torch.cuda.is_available() or torch.backends.mps.is_available()):
            raise SystemExit("PyTorch finds no GPU that it can use")
        args.device = "cuda" if torch.cuda.is_available() else "mps"
    return args, sizes


# ---------------------------------------------------------------- pre-training


def models(sizes, args):
    common = dict(
        vocab_size=sizes["vocabulary"], embedding_size=sizes["embedding"], max_position_embeddings=sizes["positions"],
        hidden_dropout_prob=args.dropout, attention_probs_dropout_prob=args.attention_dropout,
    )  # fmt: skip

    def config(prefix):
        return ElectraConfig(hidden_size=sizes[prefix + "hidden"], num_attention_heads=sizes[prefix + "heads"],
                             num_hidden_layers=sizes[prefix + "layers"], intermediate_size=sizes[prefix + "ffn"], **common)  # fmt: skip

    discriminator = ElectraForPreTraining(config(""))
    generator = ElectraForMaskedLM(config("generator_"))
    generator.electra.embeddings = discriminator.electra.embeddings
    generator.generator_lm_head.weight = discriminator.electra.embeddings.word_embeddings.weight
    return generator.train().to(args.device), discriminator.train().to(args.device)


def optimizer(generator, discriminator):
    # A dictionary by identity: what is shared appears once.
    named = {id(p): (n, p) for m in (generator, discriminator) for n, p in m.named_parameters()}.values()
    plain = [p for n, p in named if n.endswith("bias") or "LayerNorm" in n]
    decayed = [p for n, p in named if not (n.endswith("bias") or "LayerNorm" in n)]
    groups = [dict(params=decayed, weight_decay=0.01), dict(params=plain, weight_decay=0.0)]
    return torch.optim.AdamW(groups, lr=5e-4, betas=(0.9, 0.999), eps=1e-6, fused=True), plain + decayed


def batch(args, sizes, generator):
    """Full rows, K positions each drawn without replacement, 85 % of them masked."""
    b, length, k = args.batch, args.length, int((0.15 + 0.005) * args.length)
    ids = torch.randint(5, sizes["vocabulary"], (b, length), generator=generator)
    drawn = torch.stack([torch.randperm(length - 2, generator=generator)[:k].sort().values + 1 for _ in range(b)])
    flat = (drawn + torch.arange(b)[:, None] * length).view(-1)
    masked = ids.clone()
    masked.view(-1)[flat[torch.rand(b * k, generator=generator) < 0.85]] = MASK
    types = (torch.arange(length) >= length // 2).long().expand(b, length).contiguous()
    return [t.to(args.device) for t in (ids, masked, types, flat, ids.view(-1)[flat])]


def losses(generator, discriminator, inputs):
    """Both losses. All tokens are valid, so there is no attention mask: with one, sdpa could not take its flash kernel."""
    ids, masked, types, flat, targets = inputs
    hidden = generator.electra(masked, token_type_ids=types).last_hidden_state
    drawn = hidden.view(-1, hidden.shape[-1])[flat]
    logits = generator.generator_lm_head(generator.generator_predictions(drawn))
    generator_loss = F.cross_entropy(logits, targets)
    with torch.no_grad():
        # Noise in fp32 under autocast as well: in bf16 it would have 256 different values.
        uniform = torch.rand_like(logits, dtype=torch.float32)
        sampled = (logits - torch.log(-torch.log(uniform + 1e-9) + 1e-9)).argmax(-1)
        corrupted = ids.clone()
        corrupted.view(-1)[flat] = sampled
        labels = (corrupted != ids).to(torch.float32)
    verdicts = discriminator(corrupted, token_type_ids=types).logits
    return generator_loss, F.binary_cross_entropy_with_logits(verdicts.float(), labels)


def timed(device, step, batches):
    """Seconds of a step on each of some batches but the first, which is not counted. They were made before the clock starts; on
    a GPU of NVIDIA's nothing waits in between."""
    if device == "cuda":
        torch.cuda.synchronize()
        events = [torch.cuda.Event(enable_timing=True) for _ in batches]
        for inputs, event in zip(batches, events):
            loss = step(inputs)
            event.record()
        torch.cuda.synchronize()
        seconds = [a.elapsed_time(b) / 1e3 for a, b in zip(events, events[1:])]
    else:
        ends = []
        for inputs in batches:
            loss = step(inputs)
            if device == "mps":
                torch.mps.synchronize()
            ends.append(time.perf_counter())
        seconds = [b - a for a, b in zip(ends, ends[1:])]
    if not torch.isfinite(loss).item():
        raise SystemExit("a loss that is not a number")
    return seconds


class Trainer:
    """Both models, AdamW, and a step in one of the modes."""

    def __init__(self, args, sizes):
        self.args, self.sizes = args, sizes
        self.way, precision = args.mode.split("-")
        torch.manual_seed(0)
        # "highest" is fp32 in every product, "high" is TF32 where the device has it.
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        self.bf16 = precision == "bf16"
        self.random = torch.Generator().manual_seed(0)
        self.generator, self.discriminator = models(sizes, args)
        self.adamw, self.parameters = optimizer(self.generator, self.discriminator)
        options = {"compiled": {}, "graphs": {"mode": "reduce-overhead"}, "autotuned": {"mode": "max-autotune"}}
        self.losses = losses if self.way == "eager" else torch.compile(losses, **options[self.way])

    def step(self, inputs):
        self.adamw.zero_grad(set_to_none=True)
        if self.way in ("graphs", "autotuned"):
            # CUDA graphs use their outputs' memory again from here on.
            torch.compiler.cudagraph_mark_step_begin()
        autocast = torch.autocast(self.args.device, dtype=torch.bfloat16) if self.bf16 else contextlib.nullcontext()
        with autocast:
            generator_loss, discriminator_loss = self.losses(self.generator, self.discriminator, inputs)
            loss = generator_loss + 50.0 * discriminator_loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.adamw.step()
        return loss

    def run(self, steps):
        """Seconds of each of some steps after one that is not counted, as leyden has one."""
        batches = [batch(self.args, self.sizes, self.random) for _ in range(steps + 1)]
        return timed(self.args.device, self.step, batches)

    def describe(self):
        return describe(self.args, self.generator, self.parameters) | self.sizes


def describe(args, model, parameters):
    return {
        "torch": torch.__version__,
        "mode": args.mode,
        "threads": args.threads,
        "device": torch.cuda.get_device_name() if args.device == "cuda" else args.device,
        "attention": model.config._attn_implementation,
        "parameters": sum(p.numel() for p in parameters),
        "batch": args.batch,
        "length": args.length,
    }


# ---------------------------------------------------------------- fine-tuning

# Most batches whose texts are sorted by length together, and the fewest groups of them.
MOST_TOGETHER, FEWEST_GROUPS = 50, 4


def batches_of_like_lengths(lengths, batch, order, fewest=FEWEST_GROUPS):
    """Every place once, in batches of about the same lengths and in an order that `order`, a random.Random, draws."""
    places = list(range(len(lengths)))
    order.shuffle(places)
    count = math.ceil(len(places) / batch)
    together = batch * math.ceil(count / max(fewest, math.ceil(count / MOST_TOGETHER)))
    batches = []
    for start in range(0, len(places), together):
        group = sorted(places[start : start + together], key=lambda place: lengths[place])
        batches += [group[i : i + batch] for i in range(0, len(group), batch)]
    order.shuffle(batches)
    return batches


def rate_by_layer(name, layers, decay):
    """What the learning rate of a parameter is multiplied with: less towards the input, as in the reference."""
    if name.startswith("electra.embeddings"):
        depth = 0
    elif name.startswith("electra.encoder.layer."):
        depth = int(name.split(".")[3]) + 1
    else:
        depth = layers + 2
    return decay ** (layers + 2 - depth)


class FineTuner:
    """A classifier of two classes, AdamW with rates by layer, and a step on the next batch in one of the modes."""

    def __init__(self, args):
        self.args, (way, precision) = args, args.mode.split("-")
        torch.manual_seed(0)
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        self.bf16 = precision == "bf16"
        dropout = dict(hidden_dropout_prob=args.dropout, attention_probs_dropout_prob=args.attention_dropout)
        self.model = ElectraForSequenceClassification.from_pretrained(args.fine_tune, num_labels=2, **dropout).to(args.device)
        longest = min(512, self.model.config.max_position_embeddings)
        self.tokenizer = AutoTokenizer.from_pretrained(args.tokenizer or args.fine_tune, model_max_length=longest)
        with open(args.texts, encoding="utf-8", newline="\n") as file:
            self.texts = [line.rstrip("\n") for line in file if line.strip()]
        self.rows = self.tokenizer(self.texts, truncation=True, max_length=args.length)["input_ids"]
        named, layers = list(self.model.named_parameters()), self.model.config.num_hidden_layers
        self.parameters, groups = [p for _, p in named], {}
        for name, parameter in named:
            plain, rate = name.endswith("bias") or "LayerNorm" in name, rate_by_layer(name, layers, 0.8)
            group = dict(params=[], lr=3e-4 * rate, weight_decay=0.0 if plain else 0.01)
            groups.setdefault((plain, rate), group)["params"].append(parameter)
        self.adamw = torch.optim.AdamW(groups.values(), betas=(0.9, 0.999), eps=1e-6, fused=True)
        options = {"compiled": {}, "graphs": {"mode": "reduce-overhead"}, "autotuned": {"mode": "max-autotune"}}
        self.network = self.model if way == "eager" else torch.compile(self.model, dynamic=True, **options[way])
        self.random, self.waiting = random.Random(0), []

    def inputs(self):
        """The next batch [B, L], padded to its longest text, and how many tokens it has."""
        if not self.waiting:
            lengths = [len(row) for row in self.rows]
            # In one group: the few texts of a round stand for many.
            whole = [batch for batch in batches_of_like_lengths(lengths, self.args.batch, self.random, fewest=1)
                     if len(batch) == min(self.args.batch, len(lengths))]  # fmt: skip
            self.waiting = whole
        rows = [self.rows[place] for place in self.waiting.pop()]
        found = self.tokenizer.pad({"input_ids": rows}, return_tensors="pt")
        labels = torch.tensor([len(row) % 2 for row in rows])
        inputs = dict(input_ids=found["input_ids"], attention_mask=found["attention_mask"], labels=labels)
        return {name: value.to(self.args.device) for name, value in inputs.items()}, sum(map(len, rows))

    def autocast(self):
        return torch.autocast(self.args.device, dtype=torch.bfloat16) if self.bf16 else contextlib.nullcontext()

    def step(self, inputs):
        self.adamw.zero_grad(set_to_none=True)
        with self.autocast():
            loss = self.network(**inputs).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.adamw.step()
        return loss

    def run(self, steps):
        """Seconds and tokens of each of some steps after one that is not counted, as in Trainer.run."""
        self.model.train()
        batches = [self.inputs() for _ in range(steps + 1)]
        seconds = timed(self.args.device, self.step, [inputs for inputs, _ in batches])
        return seconds, [tokens for _, tokens in batches[1:]]

    def predict(self, order):
        """Seconds of transformers' pipeline from texts to labels: "sorted", the shortest text first, or "unsorted", as they come."""
        if order not in ("sorted", "unsorted"):
            raise SystemExit(f"expected predict sorted or predict unsorted, found {order!r}")
        texts = sorted(self.texts, key=len) if order == "sorted" else self.texts
        self.model.eval()
        say = pipeline("text-classification", model=self.model, tokenizer=self.tokenizer, device=self.args.device)
        with self.autocast():
            say(texts[:32], batch_size=32, truncation=True)
            start = time.perf_counter()
            # Labels and numbers: nothing is left on a GPU.
            answers = say(texts, batch_size=32, truncation=True)
            return {"seconds": time.perf_counter() - start, "texts": len(answers)}

    def describe(self):
        return describe(self.args, self.model, self.parameters) | {"texts": len(self.texts)}


# ---------------------------------------------------------------- products


def product(device, m, n, k, layout, precision):
    """Seconds of one product, the best of ten runs of some; TF32 is off."""
    dtype = {"f32": torch.float32, "f16": torch.float16}[precision]
    shapes = {"x W^T": ((m, k), (n, k)), "dy W": ((m, k), (k, n)), "dy^T x": ((k, m), (k, n))}[layout]
    a, b = (torch.rand(shape, device=device).mul(2).sub(1).to(dtype) for shape in shapes)
    a, b = (a.T if layout == "dy^T x" else a), (b.T if layout == "x W^T" else b)
    best = float("inf")
    runs = 20 if device == "cuda" else 1
    for _ in range(11):
        if device == "cuda":
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            for _ in range(runs):
                a @ b
            end.record()
            torch.cuda.synchronize()
            seconds = begin.elapsed_time(end) / 1e3
        else:
            begin = time.perf_counter()
            a @ b
            if device == "mps":
                torch.mps.synchronize()
            seconds = time.perf_counter() - begin
        best = min(best, seconds / runs)
    return best


def main():
    args, sizes = arguments()
    # What libraries print must not come between the lines of JSON.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def answer(report):
        print(json.dumps(report), file=answers, flush=True)

    torch.set_num_threads(args.threads)
    if args.products:
        name = torch.cuda.get_device_name() if args.device == "cuda" else args.device
        answer({"torch": torch.__version__, "device": name})
        for line in sys.stdin:
            answer({"seconds": product(args.device, **json.loads(line))})
        return
    trainer = FineTuner(args) if args.fine_tune else Trainer(args, sizes)
    trainer.run(args.warmup)
    if args.serve:
        answer(trainer.describe())
        for line in sys.stdin:
            word, *steps = line.split()
            if word == "predict" and args.fine_tune:
                answer(trainer.predict(" ".join(steps)))
            elif word != "go" or len(steps) != 1:
                raise SystemExit(f"expected go N, found {line.strip()!r}")
            elif args.fine_tune:
                answer(dict(zip(("steps", "tokens"), trainer.run(int(steps[0])))))
            else:
                answer({"steps": trainer.run(int(steps[0]))})
        return
    if args.fine_tune:
        seconds, tokens = trainer.run(args.steps)
        found = {order: trainer.predict(order) for order in ("sorted", "unsorted")}
        found = {order: round(predicted["texts"] / predicted["seconds"], 1) for order, predicted in found.items()}
        answer({"tokens_per_second": round(sum(tokens) / sum(seconds), 1),
                "predicted_per_second": found["sorted"], "predicted_unsorted_per_second": found["unsorted"],
                "steps": [round(s, 4) for s in seconds], "tokens": tokens, **trainer.describe()})  # fmt: skip
        return
    seconds = trainer.run(args.steps)
    rate = round(args.batch * args.length / statistics.median(seconds), 1)
    answer({"tokens_per_second": rate, "steps": [round(s, 4) for s in seconds], **trainer.describe()})


if __name__ == "__main__":
    main()
