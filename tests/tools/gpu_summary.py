"""What tests/gpu found, as Markdown: a table for people, and what came of each step.

Run:  python3 tests/tools/gpu_summary.py FOLDER
FOLDER is what raw.tgz holds: facts.tsv, steps.tsv, and what each step said. Whatever is missing or damaged costs its row.
"""

import json
import re
import statistics
import sys
from pathlib import Path

RAW = Path(sys.argv[1])


def lines(name):
    try:
        return (RAW / name).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


class Step:
    def __init__(self, line):
        fields = (line.split("\t") + [""] * 6)[:6]
        self.name, self.outcome, self.status, self.seconds, self.why, self.command = fields

    def passed(self):
        return self.outcome == "passed"

    def said(self):
        """Its outcome in words."""
        return f"{self.outcome}: {self.why}" if self.why else self.outcome


FACTS = dict(line.split("\t", 1) for line in lines("facts.tsv") if "\t" in line)
STEPS = {step.name: step for step in map(Step, lines("steps.tsv"))}
MAIN = FACTS.get("main", "mixed")


class Missing(Exception):
    """Why there is nothing to show."""


def step(name):
    if name not in STEPS:
        raise Missing("not reached")
    if not STEPS[name].passed():
        raise Missing(STEPS[name].said())
    return STEPS[name]


def report(name):
    """What a step that passed printed as JSON."""
    step(name)
    text = "\n".join(lines(name + ".out"))
    try:
        return json.loads(text)
    except ValueError as error:
        raise Missing(f"printed no JSON: {error}") from None


def metrics(run):
    """(lines of training, lines of held-out text) of a run's metrics."""
    found = []
    for line in lines(f"runs/{run}/metrics.jsonl"):
        try:
            found.append(json.loads(line))
        except ValueError:
            pass  # A line that was cut off.
    if not found:
        raise Missing(STEPS[run].said() if run in STEPS else "not reached")
    return [l for l in found if "held_out" not in l], [l for l in found if "held_out" in l]


# --- Numbers in words --------------------------------------------------------------------------------------------------------


def number(x, digits=3):
    """With so many significant digits, thousands apart."""
    if x == 0 or x != x:
        return f"{x:g}"
    text = f"{x:.{digits}g}"
    if "e" in text or abs(x) >= 1000:
        return f"{x:,.0f}"
    return text


def time(seconds):
    for unit, least in (("s", 1.0), ("ms", 1e-3), ("us", 0.0)):
        if abs(seconds) >= least:
            return f"{number(seconds / {'s': 1.0, 'ms': 1e-3, 'us': 1e-6}[unit])} {unit}"


def percent(share):
    return f"{number(100 * share, 2 if share < 0.995 else 3)} %"


def flops(giga):
    return f"{number(giga / 1e3)} TFLOP/s" if giga >= 1e3 else f"{number(giga)} GFLOP/s"


def plural(n, word):
    return f"{n:,} {word}" + ("" if n == 1 else "s")


# --- Rows: (what, found, step) -----------------------------------------------------------------------------------------------


def tests():
    names = [name for name in STEPS if name.startswith("test-")]
    if not names:
        raise Missing(STEPS["tests"].said() if "tests" in STEPS else "not reached")
    counts, failed, unfinished = {"ok": 0, "FAILED": 0, "ignored": 0}, [], []
    for name in names:
        for line in lines(name + ".out"):
            # What a test prints may stand between its name and the outcome.
            if found := re.match(r"test (\S+)(?: - should panic)? \.\.\. .*?(ok|FAILED|ignored)", line):
                counts[found[2]] += 1
                if found[2] == "FAILED":
                    failed.append(f"{name[5:]}::{found[1]}")
        if not any(line.startswith("test result:") for line in lines(name + ".out")):
            unfinished.append(f"{name[5:]} {STEPS[name].outcome}")
    found = f"{counts['ok']:,} passed, {counts['FAILED']:,} failed, {counts['ignored']:,} ignored"
    if failed:
        found += ": " + ", ".join(failed)
    if unfinished:
        found += "; not finished: " + ", ".join(unfinished)
    yield "kernels against their CPU twins", found, names[0]


def smoke():
    training, _ = metrics("smoke")
    if not training:
        raise Missing(STEPS["smoke"].said())
    first, last = training[0], training[-1]
    found = f"{plural(last['step'], 'step')}, generator's loss {first['generator_loss']:.3f} to {last['generator_loss']:.3f}"
    if not step_passed("smoke"):
        found += f"; {STEPS['smoke'].said()}"
    yield "training with base kernels, f32", found, "smoke"


def step_passed(name):
    return name in STEPS and STEPS[name].passed()


def tuning(name, what):
    """How the tries of one kind went."""
    tries = [s for s in STEPS.values() if re.fullmatch(name + r"-\d+", s.name)]
    if not tries:
        raise Missing(STEPS[name].said() if name in STEPS else "not reached")
    seconds = sum(int(s.seconds) for s in tries if s.seconds.isdigit())
    end = "".join(lines(name + ".end")) or "more is left to try"
    if not tries[-1].passed():
        end += f", {tries[-1].said()}"
    yield what, f"{plural(len(tries), 'start')}, {seconds} s; {end}", tries[0].name


def chosen():
    last = "kernels-all" if step_passed("kernels-all") else "kernels"
    books = [adapter.get("kernels") for adapter in report(last) if adapter.get("kernels")]
    if not books:
        yield "kernels chosen", "none: nothing was tried", last
        return
    matmul = [choice for book in books for choice in book.get("matmul", [])]
    tried = [c for c in matmul if not c.get("untried")]
    gains = [c["base_seconds"] / c["seconds"] for c in tried if c.get("base_seconds") and c.get("seconds")]
    better = [gain for gain in gains if gain > 1]
    found = f"{plural(len(tried), 'shape')} tried"
    if len(tried) < len(matmul):
        found += f", {len(matmul) - len(tried)} not"
    candidates = sum(count(c.get(key)) for c in matmul for key in ("candidates", "tried", "times"))
    if candidates:
        found += f", {plural(candidates, 'candidate')}"
    if better:
        found += f"; for {len(better)} another than the base kernel, in the middle {statistics.median(better):.2f} times as fast"
        found += f", at most {max(better):.2f}"
    out = sum(len(c.get("left_out", [])) for book in books for kind in ("matmul", "attention", "vocabulary") for c in book.get(kind, []))
    found += f"; {out} that do not work here" if out else ""
    for kind in ("attention", "vocabulary"):
        chosen = [c for book in books for c in book.get(kind, []) if c.get("kernel")]
        for choice in chosen[-1:]:
            gain = f", {choice['base_seconds'] / choice['seconds']:.2f} times as fast" if choice.get("seconds") else ""
            found += f"; {kind}: {choice['kernel']}{gain}"
    yield "kernels chosen", found, last


def count(value):
    return len(value) if isinstance(value, (list, dict)) else value if isinstance(value, int) else 0


def speed(precision):
    name = "bench-" + precision
    r = report(name)
    found = (
        f"**{number(r['tokens_per_second'])} tokens/s**: {time(r['median_step'])} a step, the median of {r['steps']} "
        f"({time(r['fastest_step'])} to {time(r['slowest_step'])}); {flops(r['gflops'])}, {r['dispatches']:,} dispatches"
    )
    if r.get("parts", 1) > 1:
        found += f", {r['parts']} parts"
    yield f"{r['preset']}, {r['batch']} x {r['length']}, {precision}", found, name


def precisions():
    if MAIN == "f32":
        return
    mixed, f32 = report("bench-mixed"), report("bench-f32")
    ratio = mixed["tokens_per_second"] / f32["tokens_per_second"]
    yield "mixed against f32", f"{ratio:.2f} times the tokens/s", "bench-f32"


def torch(name):
    compared = report(name)["torch"]
    for mode in compared["modes"]:
        what = f"against PyTorch {mode['mode']}"
        if "error" in mode:
            yield what, "failed: " + mode["error"], name
            continue
        rounds = ", ".join(f"{ratio:.2f}" for ratio in mode["rounds"])
        ours, theirs = number(mode["leyden_tokens_per_second"], 4), number(mode["tokens_per_second"], 4)
        speeds = f"{ours} against {theirs} tokens/s of PyTorch {compared['version']}"
        yield what, f"**{mode['ratio']:.2f} times** (by round {rounds}); {speeds}", name


def peak():
    r = report("bench-" + MAIN)["peak"]
    found = f"{flops(r['gflops'])} in the best f32 product"
    if r.get("multiply_adds"):
        found += f", {flops(r['multiply_adds'])} of f32 multiply-adds in registers"
    yield "the device's peak", f"{found}, {number(r['gigabytes'])} GB/s", "bench-" + MAIN


def products():
    best = {}
    for t in report("matmul")["matmul"]:
        key = t["precision"]
        if key not in best or t["gflops"] > best[key]["gflops"]:
            best[key] = t
    try:
        most = report("bench-" + MAIN)["peak"].get("multiply_adds")
    except Missing:
        most = None
    for precision, t in best.items():
        found = f"{flops(t['gflops'])} at {t['layout']} {t['m']} x {t['n']} x {t['k']}"
        if most and precision == "f32":
            found += f", {percent(t['gflops'] / most)} of the multiply-adds' peak"
        elif most:
            found += f", {t['gflops'] / most:.2f} times the f32 multiply-adds' peak"
        yield f"fastest {precision} product", found + (f"; {t['kernel']}" if t.get("kernel") else ""), "matmul"


def gaps(precision):
    name = "bench-" + precision
    profile = report(name)["profile"]
    known = {key: profile[key] for key in ("gaps", "drain", "bubbles") if isinstance(profile.get(key), (int, float))}
    parts = [f"{key} {time(seconds)}" for key, seconds in known.items()]
    if "gaps" in known:
        share, whole = profile.get("share"), "the profiled step"
        if share is None:
            share, whole = known["gaps"] / profile["step"], "the step"
        parts[0] += f" ({percent(share)} of {whole})"
    if "drain" in known and "dispatches" in profile:
        parts[-2 if "bubbles" in known else -1] += f" x {profile['dispatches']:,} dispatches"
    parts += [f"{what} {time(profile[key])}" for key, what in (("sum", "kernels"), ("extent", "profiled"), ("step", "as it runs"))
              if isinstance(profile.get(key), (int, float))]  # fmt: skip
    yield f"a step's time, {precision}", ", ".join(parts), name


def slowest(precision):
    name = "bench-" + precision
    profile = report(name)["profile"]
    whole = sum(k["seconds"] for k in profile["kernels"])
    if not whole:
        raise Missing("no kernel was timed")
    top = sorted(profile["kernels"], key=lambda k: -k["seconds"])[:5]
    found = ", ".join(f"{k['name']} {percent(k['seconds'] / whole)} ({plural(k['calls'], 'call')}, {time(k['seconds'])})" for k in top)
    yield f"slowest kernels, {precision}", found, name


def smoothed(values, width=5):
    return [statistics.fmean(values[max(0, i - width + 1) : i + 1]) for i in range(len(values))]


def curves():
    if MAIN == "f32":
        raise Missing(STEPS["curve-mixed"].said() if "curve-mixed" in STEPS else "not reached")
    runs = [metrics("curve-" + precision) for precision in ("f32", "mixed")]
    by_step = [{l["step"]: l for l in training} for training, _ in runs]
    common = sorted(by_step[0].keys() & by_step[1].keys())
    if not common:
        raise Missing("the runs have no step in common")
    parts = []
    for half, digits in (("generator", 3), ("discriminator", 4)):
        both = [[by[s][half + "_loss"] for s in common] for by in by_step]
        gap = max(abs(a - b) for a, b in zip(*map(smoothed, both)))
        parts.append(f"{half} {both[1][-1]:.{digits}f} against {both[0][-1]:.{digits}f}, smoothed at most {gap:.2g} apart")
    held = [held[-1] for _, held in runs if held]
    if len(held) == 2 and held[0]["step"] == held[1]["step"]:
        generator, discriminator = ([h["held_out"][k + "_loss"] for h in held] for k in ("generator", "discriminator"))
        parts.append(
            f"held out generator {generator[1]:.3f} against {generator[0]:.3f}, discriminator {discriminator[1]:.4f} against "
            f"{discriminator[0]:.4f}"
        )
    unfinished = [f"{name} {STEPS[name].said()}" for name in ("curve-f32", "curve-mixed") if not step_passed(name)]
    found = f"after {common[-1]:,} steps: " + "; ".join(parts + unfinished)
    yield "mixed against f32, the same seed", found, "curve-mixed"


def skipped():
    found = []
    for run in ("curve-mixed", "text"):
        try:
            training, _ = metrics(run)
        except Missing:
            continue
        if MAIN == "mixed" and any("loss_scale" in l for l in training):
            scale = [l["loss_scale"] for l in training if l.get("loss_scale")][-1]
            total = sum(l.get("skipped", 0) for l in training)
            found.append(f"{run}: {total} of {training[-1]['step']:,}, loss scale {scale:g} at the end")
    if found:
        yield "steps that mixed precision skipped", "; ".join(found), "curve-mixed"


def equal():
    names = [f"same-{i}" for i in (1, 2, 3)]
    others = [f"{n} {STEPS[n].said()}" for n in names if n in STEPS and not STEPS[n].passed()]
    files = {}
    for line in lines("same.txt"):
        digest, _, path = line.partition("  ")
        run, _, file = path.partition("/")
        if step_passed(run):
            files.setdefault(file, {})[run] = digest
    runs = sorted({run for by_run in files.values() for run in by_run})
    if len(runs) < 2:
        raise Missing("; ".join(others) or "not reached")
    kernels, weights = [], []
    for file, by_run in files.items():
        same = len(by_run) == len(runs) and len(set(by_run.values())) == 1
        (weights if file.endswith(".safetensors") else kernels).append(same)
    found = "weights are " + ("**equal to the bit**" if weights and all(weights) else "**not equal**")
    found += ", kernels.json " + ("equal" if kernels and all(kernels) else "**not equal**")
    yield f"{len(runs)} equal runs", "; ".join([found, *others]), runs[0]


def text():
    training, held = metrics("text")
    last = training[-1] if training else {}
    if not last:
        raise Missing(STEPS["text"].said() if "text" in STEPS else "not reached")
    rates = [l["tokens_per_second"] for l in training if l.get("tokens_per_second")]
    found = f"{plural(last['step'], 'step')}: generator {last['generator_loss']:.3f}, discriminator {last['discriminator_loss']:.4f}"
    if held:
        h = held[-1]["held_out"]
        auc = f", AUC {h['auc']:.3f}" if h.get("auc") is not None else ""
        found += f"; held out {h['generator_loss']:.3f}, {h['discriminator_loss']:.4f}{auc}"
    if rates:
        found += f"; {number(statistics.median(rates))} tokens/s"
    if "text" in STEPS and not STEPS["text"].passed():
        found += f"; {STEPS['text'].said()}"
    yield "a run by the clock", found, "text"


def clocks():
    head, rows = [], []
    for line in lines("clocks.txt"):
        words = line.lstrip("#").split()
        if line.startswith("#") and "pclk" in words:
            head = words
        elif head and not line.startswith("#") and len(words) == len(head):
            rows.append(dict(zip(head, words)))
    busy = [r for r in rows if r.get("sm", "-").isdigit() and int(r["sm"]) >= 50]
    if not busy:
        return
    of = lambda key: [int(r[key]) for r in busy if r.get(key, "-").isdigit()]
    parts = []
    for key, unit in (("pclk", "MHz"), ("mclk", "MHz memory"), ("pwr", "W"), ("gtemp", "C")):
        if values := of(key):
            parts.append(f"{statistics.median(values):.0f} {unit} ({min(values)} to {max(values)})")
    yield "clocks while busy", f"{', '.join(parts)}; {len(busy)} of {len(rows)} s", "machine"


ROWS = [
    ("kernels against their CPU twins", tests),
    ("training with base kernels, f32", smoke),
    (f"trying kernels, {MAIN}", lambda: tuning("tune-" + MAIN, f"trying kernels, {MAIN}")),
    *([("trying kernels, f32", lambda: tuning("tune-f32", "trying kernels, f32"))] if MAIN != "f32" else []),
    ("kernels chosen", chosen),
    (f"tokens/s, {MAIN}", lambda: speed(MAIN)),
    *([("tokens/s, f32", lambda: speed("f32"))] if MAIN != "f32" else []),
    ("mixed against f32", precisions),
    *[
        (f"against PyTorch {name[6:]}", lambda name=name: torch(name))
        for name in ([n for n in STEPS if n.startswith("torch-")] or ["torch-eager-bf16"])
    ],
    ("the device's peak", peak),
    ("fastest products", products),
    (f"a step's time, {MAIN}", lambda: gaps(MAIN)),
    (f"slowest kernels, {MAIN}", lambda: slowest(MAIN)),
    *([("slowest kernels, f32", lambda: slowest("f32"))] if MAIN != "f32" else []),
    ("mixed against f32, the same seed", curves),
    ("3 equal runs", equal),
    ("steps that mixed precision skipped", skipped),
    ("a run by the clock", text),
    ("clocks while busy", clocks),
]


def table(head, rows):
    def cell(x):
        return str(x).replace("|", "\\|").replace("\n", " ")

    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell(x) for x in row) + " |"


def found():
    for what, row in ROWS:
        try:
            for name, text, of in row():
                command = STEPS[of].command if of in STEPS else ""
                yield name, text, f"`{command}`" if command else ""
        except Missing as why:
            yield what, f"- ({why})", ""
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, ZeroDivisionError) as error:
            yield what, f"- (cannot be read: {type(error).__name__} {error})", ""


def main():
    sys.stdout.reconfigure(encoding="utf-8")
    known = FACTS.get
    print(f"# leyden on {known('device', 'a GPU')}\n")
    program = known("leyden", "leyden of unknown version")
    if known("commit"):
        program += f", commit {known('commit')}"
    if known("binary"):
        program += f", SHA-256 {known('binary')}…"
    parts = [known("driver"), program, f"{known('date', '?')} UTC", f"{known('seconds', '?')} of {known('total', '?')} s"]
    print("; ".join(part for part in parts if part) + f"; `{known('command', 'tests/gpu')}`")
    if known("stopped"):
        print(f"\nStopped {known('stopped')}.")
    print()
    print("\n".join(table(["what", "found", "how"], found())))
    print("\n## Steps\n")
    print("\n".join(table(["step", "what came of it", "s"], ((s.name, s.said(), s.seconds) for s in STEPS.values()))))


if __name__ == "__main__":
    main()
