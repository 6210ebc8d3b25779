#!/usr/bin/env python3
"""Races training steps of doppel against PyTorch: same weights, same pictures, same machine, same run.

    python3 bench/torch/compare_step.py                       # original, batch 16 a side, host, float32
    python3 bench/torch/compare_step.py --model original,villain --batch 4,16 --dtype f32,bf16 --out race.json

Needs PyTorch and numpy (Debian: apt install python3-torch), and doppel_step from the build (ninja doppel_step).

What one step is, on both sides: gradients cleared, A and B through the shared encoder, each through its decoder, DSSIM + MSE under the
mask, backward pass, Adam (5e-5, 0.9, 0.999, 1e-7). No loader, no augmentation: fixed random pictures, new ones each round.

The protocol. A round: doppel_step writes its initial weights and pictures; then each contestant, in a process of its own and with every
core, loads them, takes --warmup steps and --steps timed ones. The order is reversed from round to round. PyTorch runs as several
variants (bench/torch/torch_step.py says what each is), as far as the installed one offers them, and its best one counts:
    plain     two calls or joined: the encoder called once a side, as Faceswap does, or once on both sides' pictures
    tuned     channels_last, fused Adam, cudnn.benchmark
    compiled  tuned, through torch.compile(mode="max-autotune"); compiling is start-up time
    graph     tuned, the whole step as one CUDA graph
    openblas  with OpenBLAS in place of the BLAS that PyTorch finds. Debian installs the reference BLAS, which makes the dense layers several
              times slower than they need be; a race against that alone would flatter us. --blas names it, by default the system's
All variants run in the first round, then the three fastest, the fastest without --blas, and the fastest plain one with two calls; --all: all in every round.
A variant that fails is named with its reason, and the race goes on without it.
Losses of both sides are compared step by step: a race counts only if they agree (--tolerance; by default according to the precision).

Exit codes: 0 done, 1 losses differ or no variant ran, 2 usage, 3 doppel_step missing or failing, 6 no PyTorch. --at-least R: 1 also where
doppel is not R times as fast as the best PyTorch in every race.
"""

import argparse
import datetime
import glob
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


def variants_offered(offer, device, blas):
    """The variants that this PyTorch can run, as (name, variant, library to preload)."""
    engines = [("", "nchw", False, "eager"), ("channels_last, ", "channels_last", True, "eager")]
    if offer["compile"]:
        engines.append(("compiled, channels_last, ", "channels_last", True, "compile"))
    if device == "cuda":
        engines.append(("graph, channels_last, ", "channels_last", True, "graph"))
    elif not offer["fused_on_cpu"]:  # what it was tuned with is the layout alone
        engines[1] = ("channels_last, ", "channels_last", False, "eager")
    out = []
    for library in [None] + ([blas] if blas else []):
        for prefix, layout, tuned, engine in engines:
            for calls in ("two", "joined"):
                name = f"PyTorch {prefix}{'two calls' if calls == 'two' else 'joined'}{', openblas' if library else ''}"
                if tuned:
                    name = name.replace("channels_last", "channels_last, fused Adam")
                out.append((name, {"calls": calls, "layout": layout, "tuned": tuned, "engine": engine}, library))
    return out


def fail(code, message):
    print(f"compare_step: {message}", file=sys.stderr)
    sys.exit(code)


def system_openblas():
    found = sorted(glob.glob("/usr/lib/*/openblas-pthread/libblas.so.3") + glob.glob("/usr/lib/*/openblas-*/libblas.so.3"))
    return found[0] if found else None


def cpu_name():
    try:
        with open("/proc/cpuinfo") as info:
            return re.search(r"model name\s*:\s*(.+)", info.read()).group(1)
    except (OSError, AttributeError):
        return platform.processor() or platform.machine()


def last_json_line(text):
    for line in reversed(text.strip().splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    raise ValueError("it printed no JSON")


class VariantFailed(Exception):
    pass


class Race:
    """One model, batch and precision."""

    def __init__(self, options, offer, model, batch, dtype):
        self.options, self.offer, self.model, self.batch, self.dtype = options, offer, model, batch, dtype
        self.environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "OPENBLAS_NUM_THREADS": str(options.threads)}
        self.runs, self.skipped = {"doppel": []}, {}

    def doppel(self, *more):
        o = self.options
        command = [
            o.program,
            "--row",
            "--no-parts",
            "--mode",
            "fixed",
            "--model",
            self.model,
            "--batch",
            self.batch,
            "--device",
            o.device,
            "--dtype",
            self.dtype,
            *more,
        ]
        done = subprocess.run([str(word) for word in command], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            fail(3, f"doppel_step ended with exit code {done.returncode}:\n{done.stderr.strip()[-2000:]}")
        result = last_json_line(done.stdout)
        if o.device == "cpu" and "resident_bytes" in result:
            result["peak_bytes"] = result["resident_bytes"]  # PyTorch's is the process's too
        return result

    def torch(self, variant, blas, start):
        o = self.options
        task = {
            "variant": variant,
            "batch": self.batch,
            "device": o.device,
            "dtype": self.dtype,
            "threads": o.threads,
            "warmup": o.warmup,
            "steps": o.steps,
            "block": o.block,
            "start": start,
            "fused_on_cpu": self.offer["fused_on_cpu"],
        }
        environment = {**self.environment, "LD_PRELOAD": blas} if blas else self.environment
        command = [sys.executable, str(HERE / "torch_step.py"), json.dumps(task)]
        try:
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=o.limit)
        except subprocess.TimeoutExpired:
            raise VariantFailed(f"took longer than {o.limit} s (--limit)")
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines()
            named = [line for line in lines if re.match(r"\w[\w.]*(Error|Exception|Failed)\b", line)]
            raise VariantFailed((named or lines or [f"exit code {done.returncode}"])[-1][:300])
        return last_json_line(done.stdout)

    def round(self, number, variants):
        o = self.options
        with tempfile.TemporaryDirectory(prefix="doppel-compare-") as folder:
            start = os.path.join(folder, "start.safetensors")
            self.doppel("--seed", number, "--steps", 0, "--dump", start)
            contestants = [("doppel", lambda: self.doppel("--seed", number, "--warmup", o.warmup, "--steps", o.steps, "--block", o.block))]
            contestants += [(name, lambda variant=variant, blas=blas: self.torch(variant, blas, start)) for name, variant, blas in variants]
            for name, run in contestants if number % 2 else reversed(contestants):
                print(f"{self.model} b{self.batch} {self.dtype}, round {number}/{o.rounds}: {name}: ", end="", file=sys.stderr, flush=True)
                try:
                    result = run()
                except VariantFailed as why:
                    self.skipped.setdefault(name, str(why))
                    print(f"left out: {why}", file=sys.stderr)
                    continue
                result["round"] = number
                self.runs.setdefault(name, []).append(result)
                print(f"median {race_statistics.percentile(result['ms'], 0.5):.1f} ms", file=sys.stderr, flush=True)

    def chosen(self, variants):
        """After the first round: who goes on."""
        alive = sorted((v for v in variants if v[0] in self.runs), key=lambda v: race_statistics.percentile(self.runs[v[0]][0]["ms"], 0.5))
        groups = [
            alive[:3],
            [v for v in alive if not v[2]][:1],
            [v for v in alive if v[1]["calls"] == "two" and not v[1]["tuned"] and v[1]["engine"] == "eager"][:1],
        ]
        names = {v[0] for group in groups for v in group}
        return [v for v in variants if v[0] in names]

    def run(self):
        variants = variants_offered(self.offer, self.options.device, self.options.blas)
        for number in range(1, self.options.rounds + 1):
            self.round(number, variants)
            variants = [v for v in variants if v[0] not in self.skipped] if self.options.all else self.chosen(variants)
        return self.summary()

    def summary(self):
        rows = race_statistics.rows(self.runs, self.batch)
        best = race_statistics.best(rows[1:])
        by_name = {name: (variant, blas) for name, variant, blas in variants_offered(self.offer, self.options.device, self.options.blas)}

        def fastest(wanted):  # the ratio to the fastest variant that is as wanted
            row = race_statistics.best([row for row in rows[1:] if wanted(*by_name[row["name"]])])
            return row and row["ratio"]

        return {
            "model": self.model,
            "batch": self.batch,
            "dtype": self.dtype,
            "torch": self.offer["torch"],
            "device": self.options.device,
            "threads": self.options.threads,
            "load_average": os.getloadavg()[0],
            "rows": rows,
            "best_peer": best and best["name"],
            "ratio_best": best and best["ratio"],
            "ratio_best_low": best and best["ratio_low"],
            "ratio_best_high": best and best["ratio_high"],
            "ratio_as_faceswap": fastest(lambda v, blas: v["calls"] == "two" and v["engine"] == "eager" and not v["tuned"]),
            "ratio_as_installed": fastest(lambda v, blas: not blas),
            "losses_apart": race_statistics.losses_apart(self.runs),
            "tolerance": self.options.tolerance or race_statistics.TOLERANCES[self.dtype],
            "losses": {name: {side: self.runs[name][0][side] for side in ("loss_a", "loss_b")} for name in ["doppel"] + ([best["name"]] if best else [])},
            "skipped": [{"name": name, "reason": reason} for name, reason in self.skipped.items()],
        }


def print_race(race):
    print(
        f"\n{race['model']}, batch {race['batch']} a side, {race['dtype']}, {race['device']}, {race['threads']} threads; "
        f"load average at the end {race['load_average']:.1f}"
    )
    print(f"{'':58} {'samples':>7} {'median ms':>10} {'p95 ms':>9} {'images/s':>9} {'peak MiB':>9} {'start s':>8} {'doppel is':>10} {'by round':>13}")
    for row in race["rows"]:
        ours = row["name"] == "doppel"
        ratio, spread = ("", "") if ours else (f"{row['ratio']:.2f}x", f"{row['ratio_low']:.2f}-{row['ratio_high']:.2f}")
        print(
            f"{row['name']:58} {row['samples']:7} {row['median_ms']:10.2f} {row['p95_ms']:9.2f} {row['images_per_second']:9.1f} "
            f"{row['peak_bytes'] / 2**20:9.0f} {row['start_seconds']:8.1f} {ratio:>10} {spread:>13}"
        )
    for skipped in race["skipped"]:
        print(f"{skipped['name']:58} left out: {skipped['reason']}")
    verdict = "agree" if race["losses_apart"] <= race["tolerance"] else "DIFFER: the times mean nothing"
    print(f"losses of round and step {verdict}: largest relative difference {race['losses_apart']:.1e}, allowed {race['tolerance']:g}")


def print_ratios(races):
    print(
        f"\n{'':12} {'batch':>5} {'dtype':>5} {'doppel ms':>10} {'best ms':>10}  {'faster than the best PyTorch':28} {'as Faceswap':>12} "
        f"{'losses apart':>13}  the best PyTorch"
    )
    for race in races:
        ours, best = race["rows"][0]["median_ms"], next((row for row in race["rows"] if row["name"] == race["best_peer"]), None)
        if not best:
            print(f"{race['model']:12} {race['batch']:5} {race['dtype']:>5} {ours:10.2f}  no PyTorch variant ran")
            continue
        ratio = f"{race['ratio_best']:.2f}x ({race['ratio_best_low']:.2f}-{race['ratio_best_high']:.2f})"
        faceswap = f"{race['ratio_as_faceswap']:.2f}x" if race["ratio_as_faceswap"] else "-"
        print(
            f"{race['model']:12} {race['batch']:5} {race['dtype']:>5} {ours:10.2f} {best['median_ms']:10.2f}  {ratio:28} {faceswap:>12} "
            f"{race['losses_apart']:13.1e}  {best['name']}"
        )


def words(text):
    return [word for word in text.split(",") if word]


def numbers(text):
    return [int(word) for word in words(text)]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], epilog=__doc__.partition("\n\n")[2], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--program", type=pathlib.Path, default=HERE.parents[1] / "build/release/bench/doppel_step", help="doppel_step (default: %(default)s)")
    parser.add_argument("--model", type=words, default=["original"], metavar="LIST", help="(default: original)")
    parser.add_argument("--batch", type=numbers, default=[16], metavar="LIST", help="pictures a side (default: 16)")
    parser.add_argument(
        "--dtype",
        type=words,
        default=["f32"],
        metavar="LIST",
        help="f32, bf16, f16 with a scaled loss (on the host with PyTorch 2.3 or newer), on a GPU also tf32 (default: f32)",
    )
    parser.add_argument("--steps", type=int, help="timed steps a round (default: 5, on a GPU 200)")
    parser.add_argument("--warmup", type=int, help="untimed steps before them (default: 2, on a GPU 50)")
    parser.add_argument("--block", type=int, help="steps a sample, with one wait for the device (default: 1, on a GPU 10)")
    parser.add_argument("--rounds", type=int, help="(default: 3, on a GPU 5)")
    parser.add_argument("--all", action="store_true", help="every variant in every round")
    parser.add_argument("--limit", type=float, default=600, help="seconds that a variant may take in a round (default: %(default)s)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of both contestants (default: all cores)")
    parser.add_argument(
        "--blas", default=system_openblas(), help="a BLAS library for PyTorch's openblas variants, where it has not one of its own (default: %(default)s)"
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        help="relative difference of losses that still counts as the same work (default: "
        + ", ".join(f"{dtype} {value:g}" for dtype, value in race_statistics.TOLERANCES.items())
        + ")",
    )
    parser.add_argument("--at-least", type=float, metavar="R", help="exit 1 where doppel is not R times as fast as the best PyTorch")
    parser.add_argument("--json", action="store_true", help="print a JSON object in place of the tables")
    parser.add_argument("--out", type=pathlib.Path, help="write the JSON there, after each race")
    options = parser.parse_args()
    on_gpu = options.device == "cuda"
    for name, host, gpu in (("steps", 5, 200), ("warmup", 2, 50), ("block", 1, 10), ("rounds", 3, 5)):
        if getattr(options, name) is None:
            setattr(options, name, gpu if on_gpu else host)
    if min([options.steps, options.rounds, options.threads, options.block, *options.batch]) < 1 or options.warmup < (3 if on_gpu else 1):
        parser.error("--steps, --rounds, --batch, --block and --threads begin at 1, --warmup at 1, on a GPU at 3")
    if set(options.dtype) - set(race_statistics.TOLERANCES) or (not on_gpu and "tf32" in options.dtype):
        parser.error("--dtype takes f32, bf16 and f16, on a GPU also tf32")
    if not options.program.is_file():
        fail(3, f"{options.program} is not there: build it (ninja -C build/release doppel_step) or name it with --program")
    if options.blas and not os.path.isfile(options.blas):
        fail(3, f"--blas {options.blas}: no such file")
    probe = subprocess.run([sys.executable, str(HERE / "torch_step.py"), "--probe"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if probe.returncode != 0:
        fail(6, f"{sys.executable} has no PyTorch that works: on Debian, apt install python3-torch and run /usr/bin/python3 {os.path.relpath(__file__)}")
    offer = last_json_line(probe.stdout)
    if not on_gpu and "f16" in options.dtype and not offer["scaler_on_cpu"]:
        parser.error(f"PyTorch {offer['torch']} has no float16 with a scaled loss on the host (2.3 and newer have it): race f16 on a GPU")
    if on_gpu and not offer["cuda"]:
        fail(6, f"PyTorch {offer['torch']} of {sys.executable} sees no GPU")
    if on_gpu or offer["mkl"] or any("openblas" in path for path in offer["blas"]):
        options.blas = None  # it has a fast one
    document = {
        "context": {
            "suite": "compare_step",
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "processor": cpu_name(),
            "threads": options.threads,
            "load_average": os.getloadavg()[0],
            **offer,
        },
        "races": [],
    }
    context = document["context"]
    if not options.json:
        print(
            f"{context.get('gpu', context['processor'])}; PyTorch {offer['torch']}; its BLAS: {', '.join(offer['blas']) or 'its own'}; "
            f"load average at the start {context['load_average']:.1f}"
        )
    for model in options.model:
        for dtype in options.dtype:
            for batch in options.batch:
                document["races"].append(Race(options, offer, model, batch, dtype).run())
                if options.out:
                    options.out.write_text(json.dumps(document, indent=1) + "\n")
                if not options.json:
                    print_race(document["races"][-1])
    print(json.dumps(document, indent=1)) if options.json else print_ratios(document["races"])
    for race in document["races"]:
        what = f"{race['model']}, batch {race['batch']}, {race['dtype']}"
        if not race["best_peer"]:
            fail(1, f"{what}: no PyTorch variant ran")
        if not race["losses_apart"] <= race["tolerance"]:
            fail(
                1,
                f"{what}: the losses differ by {race['losses_apart']:.1e}, more than {race['tolerance']:g}: the two sides did not do the same work, "
                "so their times mean nothing",
            )
        if options.at_least and race["ratio_best"] < options.at_least:
            fail(1, f"{what}: doppel is {race['ratio_best']:.2f} times as fast as the best PyTorch, --at-least asks for {options.at_least:g}")


if __name__ == "__main__":
    main()
