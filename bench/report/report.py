#!/usr/bin/env python3
"""Tables and plots from the JSON of the benchmarks.

    bench/report/report.py results/*.json                                tables on stdout
    bench/report/report.py results/*.json --out report.md --svg plots    tables and plots in files

Reads the output of doppel_step --out, bench/torch/compare_step.py --out, doppel bench --json,
doppel_plans --out and Google Benchmark's --benchmark_out, and tells them apart by content. An
unreadable file is named and left out. Plots need matplotlib; tables need Python alone.

Plots: roofline.svg (every kernel under the machine's roofline), step_parts.svg (the phases of each
step above their floors), ratio.svg (speed relative to the best PyTorch, by batch).
Exit codes: 0 done, 2 usage, 3 nothing readable, 6 plots without matplotlib.
"""

import argparse
import json
import math
import pathlib
import sys

MIB = 2.0**20


# --- reading --------------------------------------------------------------------------------------


class Results:
    """The rows of all files. A kernel is a dict with name, device, peer, seconds, bytes, flops,
    share; or with error in place of figures."""

    def __init__(self):
        self.steps, self.races, self.kernels, self.plans = [], [], [], []
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
            self.steps += document["rows"]
            self.machines.append(machine(context))
        elif context.get("suite") == "doppel_plans":
            dtype = context.get("dtype", "")
            self.plans += [{**row, "dtype": dtype} for row in document["rows"]]
        else:
            raise ValueError("neither steps, nor a race, nor kernels, nor plans")


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


def predictions_table(steps, predicted):
    """Predicted step times beside the measured ones; a deviation of 30 % needs a reason."""
    rows = []
    for wanted in predicted:
        for row in steps:
            same = all(row[key] == wanted[key] for key in ("model", "batch", "dtype"))
            if not same or row.get("mode", "real") != "real" or "median_ms" not in row:
                continue
            factor = row["median_ms"] / wanted["median_ms"]
            cells = [label(row), number(wanted["median_ms"]), number(row["median_ms"])]
            rows.append(cells + [f"{factor:.2f}", "" if 0.7 <= factor <= 1.3 else "find out why"])
    return table("step | predicted ms | measured ms | measured/predicted | ", rows)


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
    step_tables = [steps_table(steps), predictions_table(steps, predicted), starts_table(steps)]
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
            results.add(json.loads(path.read_text()))
            read += 1
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as why:
            print(f"report: {path} left out: {type(why).__name__}: {why}", file=sys.stderr)
    if read == 0:
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
    add("files", nargs="*", type=pathlib.Path, metavar="FILE.json")
    add("--out", type=pathlib.Path, help="write the tables to this file")
    add("--svg", type=pathlib.Path, metavar="DIR", help="write the plots to this folder")
    add("--predicted", type=pathlib.Path, metavar="FILE.json",
        help="predicted step times, to compare with the measured ones")
    options = parser.parse_args()
    if options.svg:
        try:
            import plots
        except ModuleNotFoundError as missing:
            fail(6, f"--svg needs {missing.name}: tools/install_deps.sh plots installs matplotlib")
    results = read_files(options.files)
    predicted = json.loads(options.predicted.read_text())["steps"] if options.predicted else ()
    text = report(results, predicted)
    options.out.write_text(text) if options.out else print(text)
    if options.svg:
        plots.write(results, options.svg)


if __name__ == "__main__":
    main()
