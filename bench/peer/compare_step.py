#!/usr/bin/env python3
"""Races one training step of doppel against PyTorch: same weights, same pictures, same machine, same run.

    python3 bench/peer/compare_step.py                       # original, batch 16 a side, host, float32
    python3 bench/peer/compare_step.py --rounds 5 --steps 8 --json > step.json

Needs PyTorch and numpy (Debian: apt install python3-torch), and doppel_step from the build (ninja doppel_step).

What one step is, on both sides: gradients cleared, A and B through the shared encoder, each through its decoder, DSSIM + MSE under the
mask, backward pass, Adam (5e-5, 0.9, 0.999, 1e-7). No loader, no augmentation: fixed random pictures, new ones each round.

The protocol. A round: doppel_step writes its initial weights and pictures; then each contestant, in a process of its own and with every
core, loads them, takes --warmup steps and --steps timed ones. The order is reversed from round to round. PyTorch runs as several
variants, and its best one counts:
    two calls / joined    the encoder called once per side, as Faceswap does, or once on both sides' pictures
    nchw / channels_last  PyTorch's two memory formats
    openblas              with OpenBLAS in place of the BLAS that PyTorch finds. Debian installs the reference BLAS, which makes the dense
                          layers several times slower than they need be; a race against that alone would flatter us
All variants run in the first round, then only the fastest with each BLAS. --blas names the library, by default a system OpenBLAS.
Losses of both sides are printed next to each other: the race counts only if they agree (--tolerance), step by step.

Exit codes: 0 done, 1 the losses differ, 2 usage, 3 doppel_step missing or failing, 6 no PyTorch. --at-least R: 1 also where doppel is
not R times as fast as the best PyTorch.
"""
import argparse
import glob
import json
import os
import pathlib
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
VARIANTS = [(joined, layout) for joined in (False, True) for layout in ("nchw", "channels_last")]


def variant_name(joined, layout, blas):
    return f"PyTorch {'joined' if joined else 'two calls'}, {layout}{', openblas' if blas else ''}"


# --- the PyTorch side: one process, one variant ---------------------------------------------------------------------------


def worker(task):
    """Loads the weights and pictures that doppel_step dumped, trains, prints one JSON line like doppel_step's."""
    import torch

    import models
    import tensor_file

    torch.set_num_threads(task["threads"])
    device, n = torch.device(task["device"]), task["batch"]
    layout = torch.channels_last if task["layout"] == "channels_last" else torch.contiguous_format
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
    model, _ = models.load(task["start"])
    model = model.to(device).to(memory_format=layout)
    arrays, _ = tensor_file.read(task["start"], ["input", "target", "mask"])
    pictures, target = (models.nchw(arrays[name]).to(device).contiguous(memory_format=layout) for name in ("input", "target"))
    mask = torch.from_numpy(arrays["mask"].copy())[:, None].to(device)
    optimizer = torch.optim.Adam(model.parameters(), 5e-5, (0.9, 0.999), 1e-7, **({"fused": True} if device.type == "cuda" else {}))

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=task["dtype"] == "bf16"):
            codes = model.encoder(pictures).split(n) if task["joined"] else [model.encoder(part) for part in pictures.split(n)]
            faces = [model.decoders[side](code) for side, code in zip("ab", codes)]
        losses = [models.training_loss(face.float(), *side) for face, side in zip(faces, zip(target.split(n), mask.split(n)))]
        sum(losses).backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return losses

    milliseconds, curves = [], []
    for _ in range(task["warmup"] + task["steps"]):
        begin = time.perf_counter()
        losses = step()
        milliseconds.append((time.perf_counter() - begin) * 1e3)
        curves.append([loss.item() for loss in losses])
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    with open("/proc/self/maps") as maps:
        blas = sorted(set(re.findall(r"/\S*blas\S*", maps.read())))
    print(json.dumps({"ms": milliseconds[task["warmup"]:], "loss_a": [a for a, _ in curves], "loss_b": [b for _, b in curves], "peak_bytes": peak,
                      "torch": torch.__version__, "blas": [os.path.realpath(path) for path in blas]}))


# --- the race -------------------------------------------------------------------------------------------------------------


def fail(code, message):
    print(f"compare_step: {message}", file=sys.stderr)
    sys.exit(code)


def run_json(command, environment, what):
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        fail(3, f"{what} ended with exit code {done.returncode}:\n{done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def system_openblas():
    found = sorted(glob.glob("/usr/lib/*/openblas-pthread/libblas.so.3") + glob.glob("/usr/lib/*/openblas-*/libblas.so.3"))
    return found[0] if found else None


def percentile(values, share):
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    return ordered[low] + (place - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])


class Race:
    def __init__(self, options):
        self.options = options
        self.environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "OPENBLAS_NUM_THREADS": str(options.threads)}
        self.runs = {"doppel": []}  # name -> one result a round

    def doppel(self, *more):
        o = self.options
        command = [o.program, "--model", o.model, "--batch", o.batch, "--device", o.device, "--dtype", o.dtype, *more]
        return run_json([str(word) for word in command], self.environment, "doppel_step")

    def torch(self, joined, layout, blas, start):
        o = self.options
        task = {"model": o.model, "batch": o.batch, "device": o.device, "dtype": o.dtype, "threads": o.threads, "warmup": o.warmup, "steps": o.steps, "joined": joined,
                "layout": layout, "start": start}
        environment = {**self.environment, "LD_PRELOAD": blas} if blas else self.environment
        return run_json([sys.executable, __file__, "--worker", json.dumps(task)], environment, variant_name(joined, layout, blas))

    def round(self, number, variants):
        o = self.options
        with tempfile.TemporaryDirectory(prefix="doppel-compare-") as folder:
            start = os.path.join(folder, "start.safetensors")
            self.doppel("--seed", number, "--warmup", 0, "--steps", 0, "--dump", start)
            contestants = [("doppel", lambda: self.doppel("--seed", number, "--warmup", o.warmup, "--steps", o.steps))]
            contestants += [(variant_name(*variant), lambda variant=variant: self.torch(*variant, start)) for variant in variants]
            for name, run in contestants if number % 2 else reversed(contestants):
                result = run()
                result["round"] = number
                self.runs.setdefault(name, []).append(result)
                print(f"round {number}/{o.rounds}: {name}: median {percentile(result['ms'], 0.5):.1f} ms", file=sys.stderr, flush=True)

    def run(self):
        blases = [None] + ([self.options.blas] if self.options.blas else [])
        variants = [(joined, layout, blas) for blas in blases for joined, layout in VARIANTS]
        for number in range(1, self.options.rounds + 1):
            self.round(number, variants)
            if number == 1:  # from now on only the fastest with each BLAS
                variants = [min((v for v in variants if v[2] == blas), key=lambda v: percentile(self.runs[variant_name(*v)][0]["ms"], 0.5)) for blas in blases]

    def summary(self):
        images, rows = 2 * self.options.batch, []
        for name, results in self.runs.items():
            milliseconds = [value for result in results for value in result["ms"]]
            median = percentile(milliseconds, 0.5)
            rows.append({"name": name, "steps": len(milliseconds), "median_ms": median, "p95_ms": percentile(milliseconds, 0.95), "min_ms": min(milliseconds),
                         "images_per_second": images / median * 1e3, "peak_bytes": max(result["peak_bytes"] for result in results)})
        for row in rows:  # against doppel in the same rounds only, so that a noisy round counts for both or for neither
            rounds = {result["round"] for result in self.runs[row["name"]]}
            ours = percentile([value for result in self.runs["doppel"] if result["round"] in rounds for value in result["ms"]], 0.5)
            row["doppel_times_as_fast"] = row["median_ms"] / ours
        peers = [row for row in rows[1:] if len(self.runs[row["name"]]) == self.options.rounds]
        best = min(peers, key=lambda row: row["median_ms"])
        installed = min((row for row in peers if "openblas" not in row["name"]), key=lambda row: row["median_ms"])
        apart = 0.0
        for name, results in self.runs.items():
            for theirs in results if name != "doppel" else []:
                ours = next(result for result in self.runs["doppel"] if result["round"] == theirs["round"])
                for side in ("loss_a", "loss_b"):
                    apart = max([apart] + [abs(x / y - 1) for x, y in zip(theirs[side], ours[side])])
        some = self.runs[installed["name"]][0]
        return {"model": self.options.model, "batch_per_side": self.options.batch, "device": self.options.device, "dtype": self.options.dtype, "threads": self.options.threads,
                "machine": cpu_name(), "load_average": os.getloadavg()[0], "torch": some["torch"], "blas_as_installed": some["blas"], "rows": rows, "best_peer": best["name"],
                "times_as_fast_as_best": best["doppel_times_as_fast"], "times_as_fast_as_installed": installed["doppel_times_as_fast"],
                "losses_apart": apart, "losses": {name: {side: self.runs[name][0][side] for side in ("loss_a", "loss_b")} for name in ("doppel", best["name"])}}


def cpu_name():
    try:
        with open("/proc/cpuinfo") as info:
            return re.search(r"model name\s*:\s*(.+)", info.read()).group(1)
    except (OSError, AttributeError):
        return platform.processor() or platform.machine()


def print_table(summary):
    print(f"one training step of {summary['model']}, batch {summary['batch_per_side']} a side, {summary['device']}, {summary['dtype']}, {summary['threads']} threads")
    print(f"{summary['machine']}; PyTorch {summary['torch']}; its BLAS: {', '.join(summary['blas_as_installed']) or 'none found'}; load average now {summary['load_average']:.1f}\n")
    print(f"{'':44} {'steps':>5} {'median ms':>10} {'p95 ms':>9} {'min ms':>9} {'images/s':>9} {'peak MiB':>9} {'doppel is':>10}")
    for row in summary["rows"]:
        ratio = "" if row["name"] == "doppel" else f"{row['doppel_times_as_fast']:.2f}x"
        print(f"{row['name']:44} {row['steps']:5} {row['median_ms']:10.1f} {row['p95_ms']:9.1f} {row['min_ms']:9.1f} {row['images_per_second']:9.1f} {row['peak_bytes'] / 2**20:9.0f} {ratio:>10}")
    ours, theirs = summary["losses"]["doppel"], summary["losses"][summary["best_peer"]]
    print(f"\nloss of round 1 (A, B), warm-up included      doppel                {summary['best_peer']}")
    for step, values in enumerate(zip(ours["loss_a"], ours["loss_b"], theirs["loss_a"], theirs["loss_b"]), 1):
        print(f"  step {step:3}                           {values[0]:.6f}  {values[1]:.6f}    {values[2]:.6f}  {values[3]:.6f}")
    print(f"largest relative difference of any loss of any round: {summary['losses_apart']:.1e}")
    print(f"\ndoppel is {summary['times_as_fast_as_best']:.2f} times as fast as the best PyTorch ({summary['best_peer']}), "
          f"{summary['times_as_fast_as_installed']:.2f} times as fast as PyTorch with the BLAS it finds")


def main():
    if sys.argv[1:2] == ["--worker"]:
        return worker(json.loads(sys.argv[2]))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], epilog=__doc__.partition("\n\n")[2], formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, default=HERE.parents[1] / "build/release/bench/doppel_step", help="doppel_step (default: %(default)s)")
    parser.add_argument("--model", default="original")
    parser.add_argument("--batch", type=int, default=16, help="pictures a side (default: 16)")
    parser.add_argument("--steps", type=int, default=5, help="timed steps a round (default: 5)")
    parser.add_argument("--warmup", type=int, default=2, help="untimed steps before them (default: 2)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of both contestants (default: all cores)")
    parser.add_argument("--blas", default=system_openblas(), help="a BLAS library for PyTorch's openblas variants (default: %(default)s)")
    parser.add_argument("--tolerance", type=float, help="relative difference of losses that still counts as the same work (default: 1e-3, bf16 2e-2)")
    parser.add_argument("--at-least", type=float, metavar="R", help="exit 1 where doppel is not R times as fast as the best PyTorch")
    parser.add_argument("--json", action="store_true", help="print a JSON object in place of the table")
    options = parser.parse_args()
    if min(options.steps, options.rounds, options.batch, options.threads) < 1 or options.warmup < 0:
        parser.error("--steps, --rounds, --batch and --threads begin at 1, --warmup at 0")
    if subprocess.run([sys.executable, "-c", "import torch, numpy"], stderr=subprocess.DEVNULL).returncode != 0:
        fail(6, f"{sys.executable} has no PyTorch: on Debian, apt install python3-torch and run /usr/bin/python3 {os.path.relpath(__file__)}")
    if not options.program.is_file():
        fail(3, f"{options.program} is not there: build it (ninja -C build/release doppel_step) or name it with --program")
    if options.blas and not os.path.isfile(options.blas):
        fail(3, f"--blas {options.blas}: no such file")
    race = Race(options)
    race.run()
    summary = race.summary()
    print(json.dumps(summary, indent=2)) if options.json else print_table(summary)
    tolerance = options.tolerance or (1e-3 if options.dtype == "f32" else 2e-2)
    if not summary["losses_apart"] <= tolerance:
        fail(1, f"the losses differ by {summary['losses_apart']:.1e}, more than {tolerance:g}: the two sides did not do the same work, so their times mean nothing")
    if options.at_least and summary["times_as_fast_as_best"] < options.at_least:
        fail(1, f"doppel is {summary['times_as_fast_as_best']:.2f} times as fast as the best PyTorch, --at-least asks for {options.at_least:g}")


if __name__ == "__main__":
    main()
