#!/usr/bin/env python3
"""Races training steps of doppel against PyTorch on the same weights, pictures and machine.

    python3 bench/torch/compare_step.py            # original, batch 16 per person, host, float32
    python3 bench/torch/compare_step.py --model original,villain --batch 4,16 --dtype f32,bf16 \\
        --out race.json

Needs PyTorch and numpy (tools/install_deps.sh torch; torch-pypi for the newest, in a Python of its
own, build/torch-venv/bin/python) and doppel_step (ninja doppel_step).

A step, on both sides: gradients cleared, A and B through the shared encoder, each through its
decoder, DSSIM + MSE under the mask, backward, Adam (5e-5, 0.9, 0.999, 1e-7). Without loader and
augmentation: fixed random pictures, new ones in each round.

A round: doppel_step writes initial weights and pictures; then each contestant, in a process of its
own with all cores, loads them and runs --warmup untimed and --steps timed steps. The order of the
contestants alternates. PyTorch runs as these variants, as far as the installed one offers them,
and its best one counts:
    plain     the encoder called once per person, as in Faceswap, or once on both batches (joined)
    tuned     channels_last, fused Adam, cudnn.benchmark
    compiled  tuned, through torch.compile(mode="max-autotune"); compilation is start-up time
    graph     tuned, the whole step as one CUDA graph
    openblas  with OpenBLAS preloaded (--blas). Debian's default is the reference BLAS, whose dense
              layers are several times slower: a race against it alone would flatter doppel
All variants run in the first round; then the three fastest, the fastest without --blas and the
fastest plain one with two calls, or all with --all. A failed variant is named with the reason.
The race counts only if the losses of both sides agree step by step (--tolerance).

Exit codes: 0 done, 1 losses differ, no variant ran, or --at-least missed, 2 usage, 3 doppel_step
missing or failing, 6 no PyTorch.
"""

import datetime
import glob
import itertools
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

import race_statistics

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "report"))
import report  # noqa: E402
from report import fail  # noqa: E402


def variants_offered(offer, device, blas):
    """The variants of this PyTorch, as (name, variant, library to preload)."""
    fused = device == "cuda" or offer["fused_on_cpu"]
    tuned = {"layout": "channels_last", "tuned": fused, "engine": "eager"}
    tuned_name = "channels_last, fused Adam, " if fused else "channels_last, "
    engines = {"": {"layout": "nchw", "tuned": False, "engine": "eager"}, tuned_name: tuned}
    if offer["compile"]:
        engines[f"compiled, {tuned_name}"] = {**tuned, "engine": "compile"}
    if device == "cuda":
        engines[f"graph, {tuned_name}"] = {**tuned, "engine": "graph"}
    return [
        (f"PyTorch {name}{calls}{', openblas' if library else ''}", variant, library)
        for library in ([None, blas] if blas else [None])
        for name, engine in engines.items()
        for calls in ("two calls", "joined")
        for variant in [{**engine, "calls": calls.split()[0]}]
    ]


def as_faceswap(variant):
    return variant["calls"] == "two" and variant["engine"] == "eager" and not variant["tuned"]


def run_captured(command, **options):
    command = [str(word) for word in command]
    return subprocess.run(command, capture_output=True, text=True, **options)


def last_line(done):
    return json.loads(done.stdout.strip().splitlines()[-1])


def cpu_name():
    found = re.search(r"model name\s*:\s*(.+)", pathlib.Path("/proc/cpuinfo").read_text())
    return found.group(1) if found else platform.machine()


def median_ms(result):
    return race_statistics.percentile(result["ms"], 0.5)


class VariantFailed(Exception):
    pass


class Race:
    """One model, batch and precision."""

    def __init__(self, options, offer, model, batch, dtype):
        self.options, self.offer = options, offer
        self.model, self.batch, self.dtype = model, batch, dtype
        threads = str(options.threads)
        limits = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        self.environment = {**os.environ, **limits}
        offered = variants_offered(offer, options.device, options.blas)
        self.variants = [v for v in offered if re.search(options.variants, v[0])]
        self.runs, self.skipped = {"doppel": []}, {}

    def doppel(self, *more):
        o = self.options
        command = [o.program, "--row", "--no-phases", "--mode", "fixed", "--model", self.model]
        command += ["--batch", self.batch, "--device", o.device, "--dtype", self.dtype, *more]
        done = run_captured(command, env=self.environment)
        if done.returncode != 0:
            output = done.stderr.strip()[-2000:]
            fail(3, f"doppel_step ended with exit code {done.returncode}:\n{output}")
        result = last_line(done)
        if o.device == "cpu" and "resident_bytes" in result:
            result["peak_bytes"] = result["resident_bytes"]  # of the process, like PyTorch's
        return result

    def torch(self, variant, blas, start):
        o = self.options
        task = {key: getattr(o, key) for key in ("device", "threads", "warmup", "steps", "block")}
        task.update(variant=variant, batch=self.batch, dtype=self.dtype, start=start)
        environment = {**self.environment, "LD_PRELOAD": blas} if blas else self.environment
        command = [sys.executable, HERE / "torch_step.py", json.dumps(task)]
        try:
            done = run_captured(command, env=environment, timeout=o.limit)
        except subprocess.TimeoutExpired:
            raise VariantFailed(f"took longer than {o.limit} s (--limit)")
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines()
            errors = [s for s in lines if re.match(r"\w[\w.]*(Error|Exception|Failed)\b", s)]
            raise VariantFailed((errors or lines or [f"exit code {done.returncode}"])[-1][:300])
        return last_line(done)

    def round(self, number, variants):
        o = self.options
        with tempfile.TemporaryDirectory(prefix="doppel-compare-") as folder:
            start = os.path.join(folder, "start.safetensors")
            self.doppel("--seed", number, "--steps", 0, "--dump", start)
            contestants = [("doppel", None, None), *variants]
            for name, variant, blas in contestants if number % 2 else reversed(contestants):
                title = f"{self.model} b{self.batch} {self.dtype}, round {number}/{o.rounds}"
                print(f"{title}: {name}", end=": ", file=sys.stderr, flush=True)
                try:
                    if variant:
                        result = self.torch(variant, blas, start)
                    else:
                        steps = ["--warmup", o.warmup, "--steps", o.steps, "--block", o.block]
                        result = self.doppel("--seed", number, *steps)
                except VariantFailed as why:
                    self.skipped.setdefault(name, str(why))
                    print(f"left out: {why}", file=sys.stderr)
                    continue
                result["round"] = number
                self.runs.setdefault(name, []).append(result)
                print(f"median {median_ms(result):.1f} ms", file=sys.stderr, flush=True)

    def chosen(self, variants):
        """The variants of the rounds after the first."""
        alive = [v for v in variants if v[0] in self.runs]
        alive.sort(key=lambda v: median_ms(self.runs[v[0]][0]))
        keep = alive[:3] + [v for v in alive if not v[2]][:1]
        keep += [v for v in alive if as_faceswap(v[1])][:1]
        return [v for v in variants if v in keep]

    def run(self):
        variants = self.variants
        for number in range(1, self.options.rounds + 1):
            self.round(number, variants)
            if self.options.all:
                variants = [v for v in variants if v[0] not in self.skipped]
            else:
                variants = self.chosen(variants)
        return self.summary()

    def summary(self):
        rows = race_statistics.rows(self.runs, self.batch)

        def fastest(names):
            return race_statistics.best([row for row in rows[1:] if row["name"] in names]) or {}

        best = fastest(self.runs)
        losses = {name: self.runs[name][0] for name in ("doppel", best.get("name")) if name}
        return {
            **{key: getattr(self, key) for key in ("model", "batch", "dtype")},
            "torch": self.offer["torch"],
            "device": self.options.device,
            "threads": self.options.threads,
            "load_average": os.getloadavg()[0],
            "rows": rows,
            "best_peer": best.get("name"),
            "ratio_best": best.get("ratio"),
            "ratio_best_low": best.get("ratio_low"),
            "ratio_best_high": best.get("ratio_high"),
            "ratio_as_faceswap": fastest(
                [name for name, variant, _ in self.variants if as_faceswap(variant)]
            ).get("ratio"),
            "losses_apart": race_statistics.losses_apart(self.runs),
            "tolerance": self.options.tolerance or race_statistics.TOLERANCES[self.dtype],
            "losses": {k: {s: run[s] for s in ("loss_a", "loss_b")} for k, run in losses.items()},
            "skipped": [{"name": name, "reason": why} for name, why in self.skipped.items()],
        }


def check(race, at_least):
    """Ends the program with exit code 1 for a race that does not count."""
    title = report.label(race)
    if not race["best_peer"]:
        fail(1, f"{title}: no PyTorch variant ran")
    apart, allowed = race["losses_apart"], race["tolerance"]
    if not apart <= allowed:
        fail(1, f"{title}: the losses differ by {apart:.1e}, more than {allowed:g}: the two sides "
                "did different work, so their times cannot be compared")
    if at_least and race["ratio_best"] < at_least:
        fail(1, f"{title}: doppel is {race['ratio_best']:.2f} times as fast as the best PyTorch, "
                f"below --at-least {at_least:g}")


def listed(kind):
    return lambda text: [kind(word) for word in text.split(",") if word]


def parse_options():
    parser = report.parser_of(__doc__)
    add = parser.add_argument
    program = HERE.parents[1] / "build/release/bench/doppel_step"
    add("--program", type=pathlib.Path, default=program, help="doppel_step (default: %(default)s)")
    add("--model", type=listed(str), default=["original"], metavar="LIST",
        help="(default: original)")
    add("--batch", type=listed(int), default=[16], metavar="LIST", help="per person (default: 16)")
    add("--dtype", type=listed(str), default=["f32"], metavar="LIST",
        help="f32, bf16, f16 with a scaled loss (on the host from PyTorch 2.3), on a GPU also tf32 "
             "(default: f32)")
    add("--steps", type=int, help="timed steps per round (default: 5, on a GPU 200)")
    add("--warmup", type=int, help="untimed steps first (default: 2, on a GPU 50)")
    add("--block", type=int, help="steps per sample, with one wait (default: 1, on a GPU 10)")
    add("--rounds", type=int, help="(default: 3, on a GPU 5)")
    add("--all", action="store_true", help="every variant in every round")
    add("--variants", default="", metavar="REGEX",
        help="only PyTorch variants with such a name, for example '^PyTorch graph' (default: all)")
    add("--limit", type=float, default=600,
        help="seconds of a variant per round at most (default: %(default)s)")
    add("--device", choices=["cpu", "cuda"], default="cpu")
    add("--threads", type=int, default=len(os.sched_getaffinity(0)),
        help="of each contestant (default: all cores)")
    blas = min(glob.glob("/usr/lib/*/openblas-*/libblas.so.3"), default=None)
    add("--blas", default=blas,
        help="BLAS of the openblas variants, for a PyTorch without its own (default: %(default)s)")
    tolerances = ", ".join(f"{k} {value:g}" for k, value in race_statistics.TOLERANCES.items())
    add("--tolerance", type=float,
        help=f"relative difference of losses for the same work (default: {tolerances})")
    add("--at-least", type=float, metavar="R", help="exit 1 below R times the best PyTorch's speed")
    add("--json", action="store_true", help="print JSON in place of the tables")
    add("--out", type=pathlib.Path, help="write the JSON there, after each race")
    o = parser.parse_args()
    on_gpu = o.device == "cuda"
    defaults = {"steps": (5, 200), "warmup": (2, 50), "block": (1, 10), "rounds": (3, 5)}
    for name, of_device in defaults.items():
        if getattr(o, name) is None:
            setattr(o, name, of_device[on_gpu])
    if o.warmup + o.steps > 256:
        parser.error("--warmup and --steps together end at 256, as many losses as a step keeps")
    least = min([o.steps, o.rounds, o.threads, o.block, *o.batch])
    if least < 1 or o.warmup < (3 if on_gpu else 1):
        parser.error("--steps, --rounds, --batch, --block, --threads and --warmup begin at 1, "
                     "--warmup on a GPU at 3")
    if set(o.dtype) - set(race_statistics.TOLERANCES) or (not on_gpu and "tf32" in o.dtype):
        parser.error("--dtype takes f32, bf16 and f16, on a GPU also tf32")
    if not o.program.is_file():
        fail(3, f"no {o.program}: build it (ninja -C build/release doppel_step) or name it with "
                "--program")
    if o.blas and not os.path.isfile(o.blas):
        fail(3, f"--blas {o.blas}: no such file")
    return parser, o


def main():
    parser, options = parse_options()
    on_gpu = options.device == "cuda"
    probe = run_captured([sys.executable, HERE / "torch_step.py", "--probe"])
    if probe.returncode != 0:
        fail(6, f"{sys.executable} has no working PyTorch: run tools/install_deps.sh torch, then "
                f"/usr/bin/python3 {os.path.relpath(__file__)}; or torch-pypi, then "
                "build/torch-venv/bin/python")
    offer = last_line(probe)
    if not on_gpu and "f16" in options.dtype and not offer["scaler_on_cpu"]:
        parser.error(f"PyTorch {offer['torch']} has no float16 with a scaled loss on the host (2.3 "
                     "and newer do): race f16 on a GPU")
    if on_gpu and not offer["cuda"]:
        fail(6, f"PyTorch {offer['torch']} of {sys.executable} sees no GPU")
    if on_gpu or offer["mkl"] or any("openblas" in path for path in offer["blas"]):
        options.blas = None  # PyTorch's own is fast
    context = {
        "suite": "compare_step",
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "processor": cpu_name(),
        "threads": options.threads,
        "load_average": os.getloadavg()[0],
        **offer,
    }
    races = []
    show = (lambda text: None) if options.json else (lambda text: print(text, flush=True))
    blas = ", ".join(offer["blas"]) or "built in"
    show(f"{report.machine(context)}, PyTorch {offer['torch']}, its BLAS: {blas}\n")
    for model, dtype, batch in itertools.product(options.model, options.dtype, options.batch):
        races.append(Race(options, offer, model, batch, dtype).run())
        text = json.dumps({"context": context, "races": races}, indent=1)
        if options.out:
            options.out.write_text(text + "\n")
        show(report.race_table(races[-1]))
    print(text if options.json else report.ratios_table(races).rstrip())
    for race in races:
        check(race, options.at_least)


if __name__ == "__main__":
    main()
