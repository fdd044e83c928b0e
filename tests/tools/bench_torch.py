"""Times ELECTRA pre-training steps in PyTorch: the peer that `leyden bench` is held against on the same machine.

One step is what leyden does in one: generator forward, its MLM head at the drawn positions only (gathered first),
Gumbel sampling, replacement, discriminator forward, joint loss, backward, global-norm clip, AdamW. Models are those of
transformers in eager mode with the attention it picks by default (sdpa), dropout .1. Token ids are random: the cost does
not depend on them. Prints one line of JSON; tokens_per_second is the batch's tokens over the median step.

Run:  python tests/tools/bench_torch.py --preset small --batch 8 --length 128 --steps 10
Any size of the preset can be given as a flag, for example --preset tiny --hidden 96 --vocabulary 8192.
"""

import argparse
import json
import os
import statistics
import time

import torch
from torch.nn import functional as F
from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining

# "small" is the paper's ELECTRA-Small with its quarter-width generator.
PRESETS = {
    "small": dict(vocabulary=30522, positions=512, embedding=128, layers=12, hidden=256, heads=4, ffn=1024,
                  generator_hidden=64, generator_heads=1, generator_ffn=256),
    "tiny": dict(vocabulary=4096, positions=128, embedding=64, layers=4, hidden=128, heads=2, ffn=512,
                 generator_hidden=64, generator_heads=1, generator_ffn=256),
}  # fmt: skip
MASK = 4


def arguments():
    parser = argparse.ArgumentParser(description="Time ELECTRA pre-training steps in PyTorch.")
    parser.add_argument("--preset", choices=PRESETS, default="small")
    parser.add_argument("--batch", type=int, default=8, help="rows a step")
    parser.add_argument("--length", type=int, default=128, help="tokens a row")
    parser.add_argument("--steps", type=int, default=10, help="timed steps")
    parser.add_argument("--warmup", type=int, default=2, help="steps before the clock starts")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads (all cores)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dropout", type=float, default=0.1)
    for name in PRESETS["small"]:
        parser.add_argument("--" + name.replace("_", "-"), type=int, help=f"{name} instead of the preset's")
    args = parser.parse_args()
    sizes = {name: getattr(args, name) or value for name, value in PRESETS[args.preset].items()}
    if args.length > sizes["positions"]:
        parser.error(f"--length {args.length} is more than the model's {sizes['positions']} positions")
    return args, sizes


def models(sizes, dropout, device):
    common = dict(
        vocab_size=sizes["vocabulary"], embedding_size=sizes["embedding"], max_position_embeddings=sizes["positions"],
        num_hidden_layers=sizes["layers"], hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout,
    )  # fmt: skip

    def config(prefix):
        return ElectraConfig(hidden_size=sizes[prefix + "hidden"], num_attention_heads=sizes[prefix + "heads"],
                             intermediate_size=sizes[prefix + "ffn"], **common)  # fmt: skip

    discriminator = ElectraForPreTraining(config(""))
    generator = ElectraForMaskedLM(config("generator_"))
    generator.electra.embeddings = discriminator.electra.embeddings
    generator.generator_lm_head.weight = discriminator.electra.embeddings.word_embeddings.weight
    return generator.train().to(device), discriminator.train().to(device)


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
    mask = torch.ones(b, length, dtype=torch.long)
    return [t.to(args.device) for t in (ids, masked, types, mask, flat, ids.view(-1)[flat])]


def losses(generator, discriminator, inputs):
    ids, masked, types, mask, flat, targets = inputs
    hidden = generator.electra(masked, token_type_ids=types, attention_mask=mask).last_hidden_state
    drawn = hidden.view(-1, hidden.shape[-1])[flat]
    logits = generator.generator_lm_head(generator.generator_predictions(drawn))
    generator_loss = F.cross_entropy(logits, targets)
    with torch.no_grad():
        uniform = torch.rand_like(logits)
        sampled = (logits - torch.log(-torch.log(uniform + 1e-9) + 1e-9)).argmax(-1)
        corrupted = ids.clone()
        corrupted.view(-1)[flat] = sampled
        labels = (corrupted != ids).to(logits.dtype)
    verdicts = discriminator(corrupted, token_type_ids=types, attention_mask=mask).logits
    weight = mask.to(verdicts.dtype)
    binary = F.binary_cross_entropy_with_logits(verdicts, labels, reduction="none")
    return generator_loss, (binary * weight).sum() / (weight.sum() + 1e-6)


def main():
    args, sizes = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    random = torch.Generator().manual_seed(0)
    generator, discriminator = models(sizes, args.dropout, args.device)
    adamw, parameters = optimizer(generator, discriminator)
    seconds = []
    for step in range(args.warmup + args.steps):
        inputs = batch(args, sizes, random)  # made before the clock starts
        if args.device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        generator_loss, discriminator_loss = losses(generator, discriminator, inputs)
        (generator_loss + 50.0 * discriminator_loss).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        adamw.step()
        adamw.zero_grad(set_to_none=True)
        if args.device == "cuda":
            torch.cuda.synchronize()
        if step >= args.warmup:
            seconds.append(time.perf_counter() - start)
    report = {
        "tokens_per_second": round(args.batch * args.length / statistics.median(seconds), 1),
        "steps": [round(s, 4) for s in seconds],
        "torch": torch.__version__,
        "threads": args.threads,
        "device": torch.cuda.get_device_name() if args.device == "cuda" else "cpu",
        "attention": generator.config._attn_implementation,
        "parameters": sum(p.numel() for p in parameters),
        "batch": args.batch,
        "length": args.length,
        **sizes,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
