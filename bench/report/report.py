#!/usr/bin/env python3
"""Tables and plots from the JSON of the benchmarks.

    bench/report/report.py results/*.json                                tables on stdout
    bench/report/report.py results/*.json --out report.md --svg plots    tables and plots in files
    bench/report/report.py results/* --predicted h200.json --results docs/results.md
                                      measured beside predicted, and the GPU section of the figures

Reads the output of doppel_step --out, bench/torch/compare_step.py --out, doppel bench --json,
doppel_plans --out and Google Benchmark's --benchmark_out, and tells them apart by content; and
ncu_MODEL.csv or ncu_MODEL_b64_f16.csv (without more: b16, bf16): ncu --csv --page raw
--print-units base --graph-profiling node --metrics gpu__time_duration.sum of doppel_step. An
unreadable file is named and left out. Plots need matplotlib; tables need Python alone.

Plots: roofline.svg (every kernel under the machine's roofline), step_parts.svg (the phases of each
step above their floors), ratio.svg (speed relative to the best PyTorch, by batch).
Exit codes: 0 done, 2 usage, 3 nothing readable, 6 plots without matplotlib.
"""

import argparse
import csv
import json
import math
import pathlib
import re
import sys

MIB = 2.0**20
NCU_TIME = "gpu__time_duration.sum"
LIMIT = 0.3  # a prediction that is off by more needs a reason
MARKERS = ("<!-- gpu: written by bench/report/report.py --results -->", "<!-- gpu: end -->")


# --- reading --------------------------------------------------------------------------------------


class Results:
    """The rows of all files. A kernel is a dict with name, device, peer, seconds, bytes, flops,
    share; or with error in place of figures."""

    def __init__(self):
        self.steps, self.races, self.kernels, self.plans, self.profiles = [], [], [], [], []
        self.ceilings, self.machines = {}, []

    def add(self, document):
        context = document.get("context", {})
        if "races" in document:
            self.races += document["races"]
            torch = context.get("torch", "of unknown version")
            self.machines.append(f"{machine(context)}, PyTorch {torch}")
        elif document.get("format") == "doppel-bench-1":
            self.kernels += [suite_kernel(row) for row in document["rows"]]
            self.ceilings.update(document.get("ceilings", {}))
        elif "benchmarks" in document:
            rows = document["benchmarks"]
            single = [row for row in rows if row.get("run_type") != "aggregate"]
            medians = [row for row in rows if row.get("aggregate_name") == "median"]
            self.kernels += [google_kernel(row) for row in single + medians]
        elif context.get("suite") == "doppel_step":
            gpu = context.get("gpu", "")
            self.steps += [{**row, "gpu": gpu} for row in document["rows"]]
            self.machines.append(machine(context))
        elif context.get("suite") == "doppel_plans":
            dtype = context.get("dtype", "")
            self.plans += [{**row, "dtype": dtype} for row in document["rows"]]
        else:
            raise ValueError("neither steps, nor a race, nor kernels, nor plans")


    def add_profile(self, name, lines):
        """The ms of each kernel in the last whole step of an ncu table."""
        named = re.fullmatch(r"ncu_([a-z_]+?)(?:_b(\d+))?(?:_(bf16|f16|f32|tf32))?", name)
        start = next(i for i, line in enumerate(lines) if line.startswith('"ID"'))
        units, *launches = csv.DictReader(lines[start:])
        if units[NCU_TIME] not in ("ns", "nsecond"):
            raise ValueError("times not in ns: run ncu with --print-units base")
        first = [i for i, row in enumerate(launches) if "advance_step" in row["Kernel Name"]]
        kernels = {}
        for row in launches[slice(*first[-2:])] if len(first) > 1 else launches:
            ms = float(row[NCU_TIME].replace(",", "")) * 1e-6
            kernels[row["Kernel Name"]] = kernels.get(row["Kernel Name"], 0) + ms
        step = {"model": named[1], "batch": int(named[2] or 16), "dtype": named[3] or "bf16"}
        self.profiles.append({**step, "kernels": kernels})


def machine(context):
    load = f", load average {context['load_average']:.1f}" if "load_average" in context else ""
    name = context.get("gpu") or context.get("processor", "unknown machine")
    return f"{name}, {context.get('threads', '?')} threads{load}, {context.get('date', '?')[:10]}"


def suite_kernel(row):
    kernel = {"name": row.get("name", "?"), "device": row.get("device", "")}
    kernel["peer"] = row.get("peer", "")
    if "error" in row or not row.get("median_s"):
        return {**kernel, "error": row.get("error", "no time")}
    return {
        **kernel,
        "seconds": row.get("least_s", row["median_s"]),
        "bytes": row.get("bytes") or 0,
        "flops": row.get("flops") or 0,
        "share": row.get("share_of_ceiling"),
    }


def google_kernel(row):
    kernel = {"name": row.get("run_name", row.get("name", "?")), "device": "", "peer": ""}
    if row.get("error_occurred") or "real_time" not in row:
        return {**kernel, "error": row.get("error_message", "no time")}
    unit = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}[row.get("time_unit", "ns")]
    seconds = row["real_time"] * unit
    return {
        **kernel,
        "seconds": seconds,
        "bytes": row.get("GB/s", 0) * 1e9 * seconds,
        "flops": row.get("TFLOP/s", 0) * 1e12 * seconds,
        "share": row.get("share_of_ceiling"),
    }


# --- tables ---------------------------------------------------------------------------------------


def number(value):
    """Three significant digits."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 4)}f}"


def count(value):
    return f"{value:,.0f}"


def percent(value):
    return f"{100 * value:.0f} %"


def maybe(row, key, form=number, factor=1.0):
    return "" if row.get(key) is None else form(row[key] * factor)


def label(row):
    return f"{row['model']} b{row['batch']} {row['dtype']}"


def table(head, rows):
    """A Markdown table under `head`, names between " | "; "" without rows. Short rows are filled
    with empty cells."""
    if not rows:
        return ""
    columns = head.count(" | ") + 1
    lines = [f"| {head} |", "|" + "---|" * columns]
    for row in rows:
        cells = [str(cell).replace("|", "/") for cell in row] + [""] * (columns - len(row))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def augmented(row):
    """Faces per second of the augmentation alone, for both people."""
    for phase in row.get("parts", []) if row.get("mode") == "real" else []:
        if phase["name"] == "augmentation" and phase["median_ms"] > 0:
            return number(2e3 * row["batch"] / phase["median_ms"])
    return ""


def steps_table(steps):
    head = "model | batch per person | precision | step | median ms | p95 ms | faces/s"
    head += " | augmented faces/s | launches | graph nodes | idle | peak MiB | forecast MiB"
    head += " | start s | floor ms | floor/step"
    rows = []
    for row in steps:
        cells = [row["model"], row["batch"], row["dtype"], row.get("mode", "")]
        if "median_ms" in row:
            cells += [maybe(row, key) for key in ("median_ms", "p95_ms", "faces_per_second")]
            cells += [augmented(row), maybe(row, "launches", count)]
            cells += [maybe(row, "graph_nodes", count), maybe(row, "idle_share", percent)]
            cells += [maybe(row, f"{key}_bytes", number, 1 / MIB) for key in ("peak", "forecast")]
            cells += [number(row["start_seconds"]["total"]), maybe(row, "floor_ms")]
            cells += [maybe(row, "floor_ms", percent, 1 / row["median_ms"])]
        else:
            cells.append(row.get("error", "not measured"))
        rows.append(cells)
    return table(head, rows)


# cuDNN's and cuBLAS's kernels by a word of their names.
LIBRARIES = {"fprop": "conv forward", "dgrad": "conv backward data"}
LIBRARIES |= {"wgrad": "conv backward filter", "gemm": "gemm", "nvjet": "gemm"}
LIBRARIES |= {"splitKreduce": "gemm"}


def measured_family(name, known):
    """The family of a kernel as ncu names it."""
    bare = re.sub(r"<unnamed>::|\(anonymous namespace\)::|^void ", "", name)
    bare = re.match(r"(?:\w+::)*(\w*)", bare.rpartition("block_kernel<")[2])[1]
    if bare in known:
        return bare
    return next((family for word, family in LIBRARIES.items() if word in name), "other kernels")


def kernel_pairs(wanted, profile):
    """(kernel, predicted ms, measured ms, remark). Convolutions count by direction."""
    reckoned, measured, remarks = {}, {}, {}
    for kernel in wanted["kernels"]:
        family = re.sub(r"^(conv|gemm) [^,]*", r"\1", kernel["name"])
        family = re.sub(r"^conv,.*, ", "conv ", family)
        reckoned[family] = reckoned.get(family, 0) + kernel["median_ms"]
        remarks[family] = kernel["bound"] + (", may come from L2" if kernel["fits_l2"] else "")
    for name, ms in profile["kernels"].items():
        family = measured_family(name, reckoned)
        measured[family] = measured.get(family, 0) + ms
    for family, ms in sorted(measured.items(), key=lambda item: -item[1]):
        yield family, reckoned.get(family, 0), ms, remarks.get(family, "not predicted")


def pairs_of(results, predicted):
    """(step, part, predicted ms, measured ms, remark) of all that both know."""
    for wanted in predicted:
        for row in results.steps:
            if label(row) != label(wanted) or row.get("device") != "cuda":
                continue
            if row.get("mode", "real") != "real" or "median_ms" not in row:
                continue
            yield label(row), "step", wanted["median_ms"], row["median_ms"], ""
            for part in wanted["parts"]:
                for phase in row.get("parts", []):
                    if phase["name"] == part["name"]:
                        times = part["median_ms"], phase["median_ms"]
                        yield label(row), part["name"], *times, "measured without the graph"
        for profile in results.profiles:
            if label(profile) == label(wanted):
                for pair in kernel_pairs(wanted, profile):
                    yield label(profile), *pair


def predictions_table(results, predicted):
    """Predicted times beside the measured ones, and a list of those that need a reason."""
    rows, off = [], []
    for step, part, wanted, measured, remark in pairs_of(results, predicted):
        factor = measured / wanted if wanted else math.inf
        cells = [step, part, number(wanted), number(measured), f"{factor:.2f}", remark]
        if not 1 - LIMIT <= factor <= 1 + LIMIT:
            cells.append("find out why")
            off.append(f"{step}: {part} {factor:.2f}x")
        rows.append(cells)
    if not rows:
        return ""
    text = f"{len(off)} of {len(rows)} are off by more than {percent(LIMIT)}"
    text += (": " + "; ".join(off) if off else "") + ".\n\n"
    return text + table(
        "step | part | predicted ms | measured ms | measured/predicted | remark | ", rows)


def card_of(results, predicted):
    """The predictions for the cards that were measured."""
    names = [row["gpu"].lower().replace(" ", "") for row in results.steps if row.get("gpu")]
    return [wanted for wanted in predicted if any(wanted["card"] in name for name in names)]


def reckoned_table(predicted):
    rows = []
    for step in predicted:
        furthest = step["kernels"][:5]
        gaps = [f"{k['name']} {number(k['median_ms'] - k['floor_ms'])}" for k in furthest]
        cells = [step["card"], label(step), number(step["median_ms"]), maybe(step, "goal_ms")]
        rows.append(cells + [number(step["floor_ms"]), step["nodes"], "; ".join(gaps)])
    head = "card | step | predicted ms | goal ms | floor ms | nodes | furthest from the floor, ms"
    return table(head, rows)


def gpu_section(results, predicted):
    """The GPU section of docs/results.md."""
    reckoned = "Reckoned by `doppel_step --predict`, from the bytes and FLOPs of each launch:\n\n"
    reckoned += reckoned_table(predicted)
    measured = [row for row in results.steps if row.get("gpu") and "median_ms" in row]
    if not measured:
        text = "No card yet: nothing here ran on a GPU. The GPU side compiles for sm_75 to sm_120"
        text += " without warnings,\nand its convolution plans build without a device; its speed,"
        return text + " and whether its results agree with\nthe host's, are open.\n\n" + reckoned
    head = "Machine: " + "; ".join(dict.fromkeys(results.machines)) + ".\n"
    compared = predictions_table(results, card_of(results, predicted))
    races = ratios_table(results.races)
    return "\n".join(filter(None, [head, steps_table(measured), races, compared, reckoned]))


def write_section(path, section):
    """Replaces the text between MARKERS."""
    text = path.read_text()
    if [text.count(marker) for marker in MARKERS] != [1, 1]:
        fail(2, f"{path} needs these two lines around its GPU section:\n" + "\n".join(MARKERS))
    before, after = text.split(MARKERS[0])[0], text.split(MARKERS[1])[1]
    path.write_text(f"{before}{MARKERS[0]}\n{section}{MARKERS[1]}{after}")


def starts_table(steps):
    starts = [(label(row), row["start_seconds"]) for row in steps if "start_seconds" in row]
    phases = list(dict.fromkeys(phase for _, start in starts for phase in start))
    head = ["seconds to the first step", *[phase.replace("_", " ") for phase in phases]]
    rows = [[name, *[maybe(start, key) for key in phases]] for name, start in starts]
    return table(" | ".join(head), rows)


def phases_table(steps):
    rows = []
    for row in steps:
        for phase in row.get("parts", []):
            cells = [label(row), phase["name"], number(phase["median_ms"])]
            cells += [number(phase["floor_ms"]), count(phase["launches"])]
            rows.append(cells + [number(phase["flops"] / 1e9), number(phase["bytes"] / 1e6)])
    return table("step | phase | ms | floor ms | launches | GFLOP | MB at least", rows)


def ratios_table(races):
    head = "model | batch per person | precision | doppel ms | best PyTorch ms | variant"
    head += " | doppel is (by round) | against Faceswap's step | losses apart"
    rows = []
    for race in races:
        cells = [race["model"], race["batch"], race["dtype"], number(race["rows"][0]["median_ms"])]
        rows.append(cells)
        if not race.get("best_peer"):
            cells.append("no variant ran")
            continue
        best = next(row for row in race["rows"] if row["name"] == race["best_peer"])
        low, high = race["ratio_best_low"], race["ratio_best_high"]
        apart = f"{race['losses_apart']:.0e}"
        if race["losses_apart"] > race["tolerance"]:
            apart += ", too far: no race"
        cells += [number(best["median_ms"]), race["best_peer"].replace("PyTorch ", "")]
        cells.append(f"**{race['ratio_best']:.2f}x** ({low:.2f}-{high:.2f})")
        cells += [maybe(race, "ratio_as_faceswap", "{:.2f}x".format), apart]
    return table(head, rows)


def race_table(race):
    head = f"{label(race)} | samples | median ms | p95 ms | images/s | peak MiB | start s"
    head += " | kernels | idle | doppel is"
    rows = []
    for row in race["rows"]:
        cells = [row["name"], row["samples"]]
        cells += [number(row[key]) for key in ("median_ms", "p95_ms", "images_per_second")]
        cells += [number(row["peak_bytes"] / MIB), number(row["start_seconds"])]
        cells += [maybe(row, "launches", count) or maybe(row, "graph_nodes", count)]
        cells += [maybe(row, "idle_share", percent), maybe(row, "ratio", "{:.2f}x".format)]
        rows.append(cells)
    rows += [[skipped["name"], "left out: " + skipped["reason"]] for skipped in race["skipped"]]
    return table(head, rows)


def kernels_table(kernels):
    """Ours by share of the ceiling, the smallest first; kernels without one last."""
    own = [kernel for kernel in kernels if not kernel["peer"] and "seconds" in kernel]
    own.sort(key=lambda kernel: kernel["share"] if kernel["share"] is not None else 1e9)
    rows = []
    for kernel in own:
        seconds = kernel["seconds"]
        cells = [kernel["name"], kernel["device"], maybe(kernel, "share", percent)]
        cells += [number(seconds * 1e6), number(kernel["bytes"] / seconds / 1e9)]
        rows.append(cells + [number(kernel["flops"] / seconds / 1e9)])
    rows += [[k["name"], k["device"], k["error"]] for k in kernels if "error" in k]
    under = sum(kernel["share"] is not None and kernel["share"] < 0.85 for kernel in own)
    text = f"{under} of {len(own)} are under 85 % of their ceiling, the first of the table.\n\n"
    head = "kernel | device | of its ceiling | us | GB/s | GFLOP/s"
    return (text if own else "") + table(head, rows)


def plans_table(plans):
    """A row per convolution: the fastest engine of each variant, the fastest variant in bold.
    A card known from its description alone has no times."""
    names = list(dict.fromkeys(v["variant"] for row in plans for v in row["variants"]))

    def cell(row, name):
        found = [variant for variant in row["variants"] if variant["variant"] == name]
        if not found:
            return ""
        if not found[0]["engines"]:
            return "no engine"
        best = found[0]["engines"][0]
        text = "" if best["ms"] is None else f"{best['ms']:.3f} ms, "
        text += f"engine {best['engine']}"
        if best["workspace"] >= 1 << 16:
            text += f", {number(best['workspace'] / MIB)} MiB"
        if found[0].get("without_epilogue_ms") is not None:
            text += f" ({found[0]['without_epilogue_ms']:.3f} without epilogue)"
        return f"**{text}**" if row["best"] == name else text

    rows = []
    for row in plans:
        best = [variant["engines"][0]["ms"] for variant in row["variants"] if variant["engines"]]
        times = [ms for ms in best if ms]
        speed = number(row["flops"] / min(times) / 1e9) if times else ""
        cells = [cell(row, name) for name in names]
        rows.append([f"{label(row)} {row['shape']}", row["direction"], *cells, speed])
    return table(" | ".join(["convolution", "direction", *names, "TFLOP/s"]), rows)


# --- all of it ------------------------------------------------------------------------------------


def report(results, predicted=()):
    steps, races = results.steps, results.races
    compared = predictions_table(results, card_of(results, predicted))
    step_tables = [steps_table(steps), compared, starts_table(steps)]
    chapters = {
        "One training step": [*step_tables, phases_table(steps)],
        "Against PyTorch": [ratios_table(races), *map(race_table, races)],
        "Kernels": [kernels_table(results.kernels)],
        "cuDNN's kernels for the convolutions": [plans_table(results.plans)],
    }
    sections = []
    if results.machines:
        sections.append("Machine: " + "; ".join(dict.fromkeys(results.machines)) + ".\n")
    for title, texts in chapters.items():
        if any(texts):
            sections.append(f"## {title}\n\n" + "\n".join(filter(None, texts)))
    return "\n".join(sections)


def fail(code, message):
    print(f"{pathlib.Path(sys.argv[0]).stem}: {message}", file=sys.stderr)
    sys.exit(code)


def read_files(paths):
    results, read = Results(), 0
    for path in paths:
        try:
            if path.suffix == ".csv":
                results.add_profile(path.stem, path.read_text().splitlines())
            else:
                results.add(json.loads(path.read_text()))
            read += 1
        except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration) as why:
            print(f"report: {path} left out: {type(why).__name__}: {why}", file=sys.stderr)
    if paths and read == 0:
        fail(3, "nothing to report: name JSON files of the benchmarks (see --help)")
    return results


def parser_of(doc):
    """A parser whose help is the text of a program's head."""
    summary, _, details = doc.partition("\n\n")
    raw = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(description=summary, epilog=details, formatter_class=raw)


def main():
    parser = parser_of(__doc__)
    add = parser.add_argument
    add("files", nargs="*", type=pathlib.Path, metavar="FILE")
    add("--out", type=pathlib.Path, help="write the tables to this file")
    add("--svg", type=pathlib.Path, metavar="DIR", help="write the plots to this folder")
    add("--predicted", type=pathlib.Path, metavar="FILE.json", nargs="+", default=[],
        help="output of doppel_step --predict CARD --json, to compare with what was measured")
    add("--results", type=pathlib.Path, metavar="FILE.md", help="rewrite its GPU section")
    options = parser.parse_args()
    if not options.files and not (options.predicted and options.results):
        fail(3, "nothing to report: name JSON files of the benchmarks (see --help)")
    if options.svg:
        try:
            import plots
        except ModuleNotFoundError as missing:
            fail(6, f"--svg needs {missing.name}: tools/install_deps.sh plots installs matplotlib")
    results = read_files(options.files)
    predicted = [s for path in options.predicted for s in json.loads(path.read_text())["steps"]]
    if options.results:
        write_section(options.results, gpu_section(results, predicted))
    if options.out:
        options.out.write_text(report(results, predicted))
    elif not options.results:
        print(report(results, predicted))
    if options.svg:
        plots.write(results, options.svg)


if __name__ == "__main__":
    main()
