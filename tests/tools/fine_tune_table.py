"""The same encoder fine-tuned by `leyden fine-tune` and by fine_tune_torch.py, task by task and seed by seed: do both reach the same?

Both take the same files and the same settings; only the random numbers are their own. A third column is leyden's from random weights
of the same sizes: what pre-training was worth.

Run:  python tests/tools/fine_tune_table.py --leyden target/release/leyden --model runs/mine --out table --seeds 5
          --task cola in_domain_train.tsv in_domain_dev.tsv --task squad1 train-v1.1.json dev-v1.1.json ... [--most 10000]

Every fine-tuning is a line of OUT/results.jsonl as soon as it has ended, with the scores after its last step; what is there already
is not done again, so another OUT goes with another model or other files. Where DEV is `-`, the last tenth of TRAIN's lines is it. --most N learns from N of a longer file's rows or
questions, drawn once, the same for both. Each runs on one thread, --jobs of them at a time. At the end, and with --only-print at
once, the table: means, deviations, and how far the means are apart in deviations of one seed.
"""

import argparse
import concurrent.futures
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from fine_tune_tasks import read_text

ARMS = ("leyden", "peer", "random")
# What a task is judged by: as leyden, as fine_tune_torch.py, and as a reader calls it.
MEASURES = {
    "cola": ("matthews", "matthews", "Matthews correlation"),
    "sst2": ("accuracy", "accuracy", "accuracy"),
    "mrpc": ("accuracy", "accuracy", "accuracy"),
    "rte": ("accuracy", "accuracy", "accuracy"),
    "stsb": ("spearman", "spearman", "Spearman correlation"),
    "chunk": ("span_f1", "f1", "F1 of spans"),
    "squad1": ("f1", "f1", "F1"),
}


def arguments():
    parser = argparse.ArgumentParser(description="Hold leyden's fine-tuning against PyTorch's over tasks and seeds.")
    parser.add_argument("--leyden", required=True, help="the program")
    parser.add_argument("--model", required=True, help="a run, a checkpoint, or a folder that transformers loads")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--task", nargs=3, action="append", required=True, metavar=("NAME", "TRAIN", "DEV"))
    parser.add_argument("--seeds", type=int, default=5, help="so many, from 1")
    parser.add_argument("--most", type=int, help="of a training file, so many rows or questions")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="fine-tunings at a time")
    parser.add_argument("--precision", default="f32", help="leyden's")
    parser.add_argument("--learning-rate", type=float, default=3e-4, help="both programs', the reference's unless given")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    parser.add_argument("--only-print", action="store_true", help="the table of what is there")
    args = parser.parse_args()
    unknown = [name for name, *_ in args.task if name not in MEASURES]
    if unknown:
        parser.error(f"--task {unknown[0]}: expected one of {', '.join(MEASURES)}")
    return args


def lines_of(text):
    """With their ends; only \\n ends one."""
    return [line + "\n" for line in text.removesuffix("\n").split("\n")]


def fewer(text, most, header):
    """So many lines of a table, drawn once."""
    lines = lines_of(text)
    first, rest = lines[:header], lines[header:]
    kept = sorted(random.Random(0).sample(range(len(rest)), most)) if most and most < len(rest) else range(len(rest))
    return "".join([*first, *(rest[i] for i in kept)])


def fewer_questions(text, most):
    """So many of SQuAD's questions, drawn once; paragraphs that lose all of theirs go too."""
    squad = json.loads(text)
    paragraphs = [paragraph for article in squad["data"] for paragraph in article["paragraphs"]]
    every = [question["id"] for paragraph in paragraphs for question in paragraph["qas"]]
    kept = set(random.Random(0).sample(every, most)) if most and most < len(every) else set(every)
    for paragraph in paragraphs:
        paragraph["qas"] = [question for question in paragraph["qas"] if question["id"] in kept]
    for article in squad["data"]:
        article["paragraphs"] = [paragraph for paragraph in article["paragraphs"] if paragraph["qas"]]
    squad["data"] = [article for article in squad["data"] if article["paragraphs"]]
    return json.dumps(squad, ensure_ascii=False)


def prepared(args, name, train, dev):
    """The two files that both sides read."""
    folder = args.out / "data"
    folder.mkdir(parents=True, exist_ok=True)
    if name == "squad1":
        paths, texts = (folder / "squad1-train.json", folder / "squad1-dev.json"), [read_text(train), read_text(dev)]
        texts[0] = fewer_questions(texts[0], args.most)
    else:
        header = int(name in ("sst2", "mrpc", "rte"))
        end = "txt" if name == "chunk" else "tsv"
        paths, text = (folder / f"{name}-train.{end}", folder / f"{name}-dev.{end}"), read_text(train)
        if dev == "-":
            lines = lines_of(text)
            first = len(lines) - len(lines) // 10
            texts = ["".join(lines[:first]), "".join([*lines[:header], *lines[first:]])]
        else:
            texts = [text, read_text(dev)]
        if name != "chunk":
            texts[0] = fewer(texts[0], args.most, header)
    for path, text in zip(paths, texts):
        path.write_text(text, encoding="utf-8", newline="\n")
    return paths


def encoder_of(model):
    """The folder in which transformers finds the encoder of a run or a checkpoint."""
    model = Path(model)
    checkpoints = sorted((model / "checkpoints").glob("step-*"))
    model = checkpoints[-1] if checkpoints else model
    return next((model / part for part in ("discriminator", "encoder") if (model / part).is_dir()), model)


def fine_tune(args, name, files, seed, arm):
    """What one fine-tuning is judged by, after its last step."""
    common = ["--task", name, "--train", str(files[0]), "--dev", str(files[1]), "--learning-rate", str(args.learning_rate)]
    if arm == "peer":
        script = str(Path(__file__).with_name("fine_tune_torch.py"))
        command = [sys.executable, script, *common, "--model", str(encoder_of(args.model)), "--seeds", str(seed), "--threads", "1"]
    else:
        folder = args.out / f"{name}-{arm}-{seed}"
        # Of one that was cut off.
        shutil.rmtree(folder, ignore_errors=True)
        command = [args.leyden, "fine-tune", str(encoder_of(args.model)), *common, "--out", str(folder), "--seed", str(seed)]
        command += ["--device", "cpu", "--precision", args.precision, *(["--from-scratch"] if arm == "random" else [])]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"RAYON_NUM_THREADS": "1"})
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
    ours, theirs, _ = MEASURES[name]
    if arm == "peer":
        return json.loads(done.stdout.splitlines()[-2])[theirs]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["held_out"][ours] for line in lines if "held_out" in line][-1]


def table(args, results):
    out = ["| task | measured by | leyden | PyTorch | means apart, in deviations | leyden, from random weights |", "|---|---|---|---|---|---|"]
    for name, *_ in args.task:
        found = {}
        for arm in ARMS:
            values = [100 * line["score"] for line in results if (line["task"], line["arm"]) == (name, arm)]
            found[arm] = statistics.mean(values) if values else None, statistics.stdev(values) if len(values) > 1 else None, len(values)

        def cell(arm):
            mean, deviation, count = found[arm]
            return "" if mean is None else f"{mean:.1f}" + (f" ± {deviation:.1f} ({count})" if deviation is not None else " (1)")

        (ours, d, _), (theirs, e, _) = found["leyden"], found["peer"]
        apart = f"{abs(ours - theirs) / max(d, e):.1f}" if None not in (d, e) and max(d, e) else ""
        out.append(f"| {name} | {MEASURES[name][2]} | {cell('leyden')} | {cell('peer')} | {apart} | {cell('random')} |")
    return "\n".join(out)


def main():
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "results.jsonl"
    results = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    if not args.only_print:
        files = {name: prepared(args, name, train, dev) for name, train, dev in args.task}
        done = {(line["task"], line["seed"], line["arm"]) for line in results}
        # Seed by seed, so that what is there after any time tells something of every task.
        wanted = [(name, seed, arm) for seed in range(1, args.seeds + 1) for name, *_ in args.task for arm in args.arms]

        def work(job):
            name, seed, arm = job
            start = time.time()
            try:
                score = fine_tune(args, name, files[name], seed, arm)
            except RuntimeError as error:
                print(f"{name} {arm} {seed}: {error}", file=sys.stderr, flush=True)
                return None
            line = dict(task=name, seed=seed, arm=arm, score=score, seconds=round(time.time() - start, 1))
            with path.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(f"{name} {arm} {seed}: {score:.4f} in {line['seconds']} s", flush=True)
            return line

        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            results += filter(None, pool.map(work, (job for job in wanted if job not in done)))
    print(table(args, results))


if __name__ == "__main__":
    main()
