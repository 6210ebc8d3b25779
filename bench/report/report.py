#!/usr/bin/env python3
"""Turns the JSON of the benchmarks into the tables of docs/benchmarks.md and into plots.

    bench/report/report.py results/*.json                                tables on stdout
    bench/report/report.py results/*.json --out report.md --svg plots    tables into a file, plots into a folder

Reads what doppel_step --out, bench/torch/compare_step.py --out, doppel bench --json, doppel_plans --out and Google Benchmark's
--benchmark_out write, told apart by their content; --nsys adds what nsys stats --report cuda_gpu_kern_sum --format csv says about
--nsys-steps steps; --predicted puts reckoned step times beside the measured ones. A file that cannot be read is named and left out. Needs nothing but Python.
Plots: roofline.svg (every kernel under the machine's roof), step_parts.svg (the parts of each step over their floors), ratio.svg (times as
fast as the best PyTorch, by batch).
Exit codes: 0 done, 2 usage, 3 nothing readable.
"""

import argparse
import csv
import json
import pathlib
import sys

from svg import PALETTE, LogAxis, Svg, number

MIB = 2.0**20
LEFT_EDGE = 0.02  # FLOP/byte at which kernels that only move data are drawn


# --- reading --------------------------------------------------------------------------------------------------------------


class Results:
    """Everything that was read. kernels: {"name", "device", "peer", "seconds", "bytes", "flops", "share"} or with "error"."""

    def __init__(self):
        self.steps, self.races, self.kernels, self.ceilings, self.machines, self.profile, self.plans = [], [], [], {}, [], [], []

    def add(self, document):
        context = document.get("context", {})
        if "races" in document:
            self.races += document["races"]
            self.machines.append(machine(context) + f", PyTorch {context.get('torch', 'of unknown version')}")
        elif document.get("format") == "doppel-bench-1":
            self.kernels += [suite_kernel(row) for row in document["rows"]]
            self.ceilings.update(document.get("ceilings", {}))
        elif "benchmarks" in document:
            self.kernels += [
                google_kernel(row) for row in document["benchmarks"] if row.get("run_type") != "aggregate" or row.get("aggregate_name") == "median"
            ]
        elif context.get("suite") == "doppel_step":
            self.steps += document["rows"]
            self.machines.append(machine(context))
        elif context.get("suite") == "doppel_plans":
            self.plans += [{**row, "dtype": context.get("dtype", "")} for row in document["rows"]]
        else:
            raise ValueError("neither steps, nor a race, nor kernels, nor plans")

    def add_nsys(self, text):
        """Rows of the table that nsys prints, whatever stands before it."""
        lines = text.splitlines()
        begin = next((i for i, line in enumerate(lines) if "Total Time" in line and "," in line), None)
        if begin is None:
            raise ValueError("no table of kernels")
        for row in csv.DictReader(lines[begin:]):
            if row.get("Total Time (ns)") and row.get("Name"):
                self.profile.append(
                    {"name": row["Name"], "seconds": float(row["Total Time (ns)"].replace(",", "")) * 1e-9, "launches": int(row["Instances"].replace(",", ""))}
                )


def machine(context):
    load = f", load average {context['load_average']:.1f}" if "load_average" in context else ""
    name = context.get("gpu") or context.get("processor", "unknown machine")
    return f"{name}, {context.get('threads', '?')} threads{load}, {context.get('date', 'no date')[:10]}"


def suite_kernel(row):
    kernel = {"name": row.get("name", "?"), "device": row.get("device", ""), "peer": row.get("peer", "")}
    if "error" in row or not row.get("median_s"):
        return {**kernel, "error": row.get("error", "no time")}
    return {**kernel, "seconds": row.get("least_s", row["median_s"]), "bytes": row.get("bytes") or 0, "flops": row.get("flops") or 0, "share": row.get("share_of_ceiling")}


def google_kernel(row):
    kernel = {"name": row.get("run_name", row.get("name", "?")), "device": "", "peer": ""}
    if row.get("error_occurred") or "real_time" not in row:
        return {**kernel, "error": row.get("error_message", "no time")}
    seconds = row["real_time"] * {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}[row.get("time_unit", "ns")]
    return {
        **kernel,
        "seconds": seconds,
        "bytes": row.get("GB/s", 0) * 1e9 * seconds or row.get("bytes_per_second", 0) * seconds,
        "flops": (row.get("TFLOP/s", 0) * 1e12 or row.get("GFLOP/s", 0) * 1e9) * seconds,
        "share": row.get("sol", row.get("share")),
    }


# --- tables ---------------------------------------------------------------------------------------------------------------


def table(head, rows):
    if not rows:
        return ""
    return (
        "\n".join(
            ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] + ["| " + " | ".join(str(cell).replace("|", "/") for cell in row) + " |" for row in rows]
        )
        + "\n"
    )


def maybe(row, key, form=number, factor=1.0):
    return "" if row.get(key) is None else form(row[key] * factor)


def count(value):
    return f"{value:,.0f}"


def percent(value):
    return f"{100 * value:.0f} %"


def label(row):
    return f"{row['model']} b{row['batch']} {row['dtype']}"


def augmented(row):
    """Faces a second that the augmentation alone would make: both sides' batches over the time of that part."""
    parts = [part["median_ms"] for part in row.get("parts", []) if part["name"] == "augmentation"] if row.get("mode") == "real" else []
    return number(2e3 * row["batch"] / parts[0]) if parts and parts[0] > 0 else ""


def steps_table(steps):
    head = [
        "model",
        "batch a side",
        "precision",
        "step",
        "median ms",
        "p95 ms",
        "faces/s",
        "augmented faces/s",
        "launches",
        "graph nodes",
        "idle",
        "peak MiB",
        "forecast MiB",
        "start s",
        "floor ms",
        "floor/step",
    ]
    rows = []
    for row in steps:
        what = [row["model"], row["batch"], row["dtype"], row.get("mode", "")]
        if "median_ms" not in row:
            rows.append(what + [row.get("error", "not measured")] + [""] * (len(head) - 5))
            continue
        share = percent(row["floor_ms"] / row["median_ms"]) if row.get("floor_ms") else ""
        rows.append(
            what
            + [
                number(row["median_ms"]),
                number(row["p95_ms"]),
                number(row["faces_per_second"]),
                augmented(row),
                maybe(row, "launches", count),
                maybe(row, "graph_nodes", count),
                maybe(row, "idle_share", percent),
                maybe(row, "peak_bytes", number, 1 / MIB),
                maybe(row, "forecast_bytes", number, 1 / MIB),
                number(row["start_seconds"]["total"]),
                maybe(row, "floor_ms"),
                share,
            ]
        )
    return table(head, rows)


def predictions_table(steps, predicted):
    """What was reckoned beside what was measured; a third more or less asks for a reason."""
    rows = []
    for wanted in predicted:
        same = [row for row in steps if all(row[key] == wanted[key] for key in ("model", "batch", "dtype")) and row.get("mode", "real") == "real"]
        for row in same:
            if "median_ms" in row:
                factor = row["median_ms"] / wanted["median_ms"]
                rows.append([label(row), number(wanted["median_ms"]), number(row["median_ms"]), f"{factor:.2f}", "" if 0.7 <= factor <= 1.3 else "find out why"])
    return table(["step", "predicted ms", "measured ms", "measured/predicted", ""], rows)


def starts_table(steps):
    measured = [row for row in steps if "start_seconds" in row]
    phases = list(dict.fromkeys(phase for row in measured for phase in row["start_seconds"] if phase != "total"))
    return table(
        ["seconds to the first step"] + [phase.replace("_", " ") for phase in phases] + ["together"],
        [[label(row)] + [maybe(row["start_seconds"], phase) for phase in phases] + [number(row["start_seconds"]["total"])] for row in measured],
    )


def parts_table(steps):
    rows = [
        [
            label(row),
            part["name"],
            number(part["median_ms"]),
            number(part["floor_ms"]),
            count(part["launches"]),
            number(part["flops"] / 1e9),
            number(part["bytes"] / 1e6),
        ]
        for row in steps
        for part in row.get("parts", [])
    ]
    return table(["step", "part", "ms", "floor ms", "launches", "GFLOP", "MB at least"], rows)


def ratios_table(races):
    rows = []
    for race in races:
        if not race.get("best_peer"):
            rows.append([race["model"], race["batch"], race["dtype"], number(race["rows"][0]["median_ms"]), "no variant ran", "", "", "", ""])
            continue
        best = next(row for row in race["rows"] if row["name"] == race["best_peer"])
        agree = f"{race['losses_apart']:.0e}" + ("" if race["losses_apart"] <= race["tolerance"] else ", too far: no race")
        rows.append(
            [
                race["model"],
                race["batch"],
                race["dtype"],
                number(race["rows"][0]["median_ms"]),
                number(best["median_ms"]),
                race["best_peer"].replace("PyTorch ", ""),
                f"**{race['ratio_best']:.2f}x** ({race['ratio_best_low']:.2f}-{race['ratio_best_high']:.2f})",
                f"{race['ratio_as_faceswap']:.2f}x" if race.get("ratio_as_faceswap") else "",
                agree,
            ]
        )
    return table(
        ["model", "batch a side", "precision", "doppel ms", "best PyTorch ms", "which", "doppel is (by round)", "against Faceswap's way", "losses apart"], rows
    )


def race_table(race):
    rows = [
        [
            row["name"],
            row["samples"],
            number(row["median_ms"]),
            number(row["p95_ms"]),
            number(row["images_per_second"]),
            number(row["peak_bytes"] / MIB),
            number(row["start_seconds"]),
            maybe(row, "launches", count) or maybe(row, "graph_nodes", count),
            maybe(row, "idle_share", percent),
            f"{row['ratio']:.2f}x" if "ratio" in row else "",
        ]
        for row in race["rows"]
    ]
    rows += [[skipped["name"], "left out: " + skipped["reason"]] + [""] * 8 for skipped in race["skipped"]]
    return table([label(race), "samples", "median ms", "p95 ms", "images/s", "peak MiB", "start s", "kernels", "idle", "doppel is"], rows)


def kernels_table(kernels):
    """Worst share of the ceiling first; a kernel without one last."""
    own = [kernel for kernel in kernels if not kernel["peer"] and "seconds" in kernel]
    own.sort(key=lambda kernel: kernel["share"] if kernel["share"] is not None else 1e9)
    rows = [
        [
            kernel["name"],
            kernel["device"],
            percent(kernel["share"]) if kernel["share"] is not None else "",
            number(kernel["seconds"] * 1e6),
            number(kernel["bytes"] / kernel["seconds"] / 1e9),
            number(kernel["flops"] / kernel["seconds"] / 1e9),
        ]
        for kernel in own
    ]
    rows += [[kernel["name"], kernel["device"], kernel["error"], "", "", ""] for kernel in kernels if "error" in kernel]
    under = sum(kernel["share"] is not None and kernel["share"] < 0.85 for kernel in own)
    text = f"{under} of {len(own)} are under 85 % of their ceiling, the first ones of the table.\n\n" if own else ""
    return text + table(["kernel", "device", "of its ceiling", "us", "GB/s", "GFLOP/s"], rows)


def plans_table(plans):
    """A row for each convolution: the fastest engine of each way, the fastest way in bold. Without times for a card that was described."""
    ways = list(dict.fromkeys(way["way"] for row in plans for way in row["ways"]))

    def cell(row, name):
        way = next((way for way in row["ways"] if way["way"] == name), None)
        if way is None:
            return ""
        if not way["engines"]:
            return "no engine"
        best = way["engines"][0]
        text = f"engine {best['engine']}" if best["ms"] is None else f"{best['ms']:.3f} ms, engine {best['engine']}"
        if best["workspace"] >= 1 << 16:
            text += f", {number(best['workspace'] / MIB)} MiB"
        if way.get("without_epilogue_ms") is not None:
            text += f" ({way['without_epilogue_ms']:.3f} without epilogue)"
        return f"**{text}**" if row["best"] == name else text

    def speed(row):
        times = [engine["ms"] for way in row["ways"] for engine in way["engines"][:1] if engine["ms"]]
        return number(row["flops"] / min(times) / 1e9) if times else ""

    return table(
        ["convolution", "direction"] + ways + ["TFLOP/s"],
        [
            [f"{row['model']} b{row['batch']} {row['dtype']} {row['shape']}", row["direction"], *[cell(row, way) for way in ways], speed(row)]
            for row in plans
        ],
    )


def profile_table(profile, steps, step_ms):
    total = sum(kernel["seconds"] for kernel in profile)
    rows = [
        [kernel["name"][:80], number(kernel["seconds"] / steps * 1e3), percent(kernel["seconds"] / total), number(kernel["launches"] / steps)]
        for kernel in sorted(profile, key=lambda kernel: -kernel["seconds"])[:20]
    ]
    idle = f" Of a step of {number(step_ms)} ms the GPU is idle for {percent(max(0, 1 - total / steps * 1e3 / step_ms))}." if step_ms else ""
    return f"Kernels together: {number(total / steps * 1e3)} ms a step.{idle}\n\n" + table(["kernel", "ms a step", "share", "launches a step"], rows)


# --- plots ----------------------------------------------------------------------------------------------------------------


def roofline(kernels, ceilings):
    """x: FLOP per byte, y: GFLOP/s, both logarithmic. A dot's distance below the roof is what its kernel leaves on the table. None without kernels."""
    drawn = [{**kernel, "intensity": max(kernel["flops"] / kernel["bytes"], LEFT_EDGE)} for kernel in kernels if kernel.get("bytes")]
    if not drawn:
        return None
    for kernel in drawn:
        kernel["rate"] = kernel["intensity"] * kernel["bytes"] / kernel["seconds"]
    roofs = []  # (name, bytes/s, {number: FLOP/s}, the fastest first)
    for device, ceiling in ceilings.items():
        flops = {key.partition("_")[0]: ceiling[key] for key in ("bf16_flop_per_s", "tf32_flop_per_s", "f32_flop_per_s") if ceiling.get(key)}
        bandwidth = max(ceiling.get(key) or 0 for key in ("copy_bytes_per_s", "read_bytes_per_s"))
        if flops and bandwidth:
            roofs.append((device, bandwidth, dict(sorted(flops.items(), key=lambda item: -item[1]))))
    image = Svg(920, 600, "Every kernel under the machine's roof")
    rates = [kernel["rate"] for kernel in drawn] + [max(flops.values()) for _, _, flops in roofs] + [bandwidth * LEFT_EDGE for _, bandwidth, _ in roofs]
    x = LogAxis(LEFT_EDGE / 1.5, max(2000, 2 * max(kernel["intensity"] for kernel in drawn)), 80, 890)
    y = LogAxis(min(rates) / 2 / 1e9, max(rates) * 2 / 1e9, 530, 60)
    for tick in x.decades():
        image.line(x(tick), 60, x(tick), 530, "#ddd")
        image.text(x(tick), 548, f"{tick:g}", anchor="middle")
    for tick in y.decades():
        image.line(80, y(tick), 890, y(tick), "#ddd")
        image.text(74, y(tick) + 4, f"{tick:g}", anchor="end")
    image.text(485, 572, f"FLOP per byte (kernels that only move data stand at {LEFT_EDGE:g})", anchor="middle")
    image.text(24, 300, "GFLOP/s", anchor="middle", turn=-90)
    colours = {}
    for i, (device, bandwidth, flops) in enumerate(roofs):
        for k, (kind, rate) in enumerate(flops.items()):  # products of each number have a roof of their own
            begin = LEFT_EDGE / 1.5 if k == 0 else rate / bandwidth
            corner = [(x(rate / bandwidth), y(rate / 1e9)), (890, y(rate / 1e9))]
            image.path([(x(begin), y(bandwidth * begin / 1e9)), *corner], PALETTE[i], 2 if k == 0 else 1)
            memory = f", {number(bandwidth / 1e9)} GB/s" if k == 0 else ""
            image.text(x(rate / bandwidth) + 22, y(rate / 1e9) - 4, f"{device} {kind}: {number(rate / 1e9)} GFLOP/s{memory}", fill=PALETTE[i], size=11)
        colours[device] = PALETTE[i]
    for kernel in sorted(drawn, key=lambda kernel: not kernel["peer"]):  # ours on top
        share = f", {percent(kernel['share'])} of its ceiling" if kernel["share"] is not None else ""
        by = f" by {kernel['peer']}" if kernel["peer"] else ""
        hint = f"{kernel['name']}{by}: {number(kernel['rate'] / 1e9)} GFLOP/s, {number(kernel['bytes'] / kernel['seconds'] / 1e9)} GB/s{share}"
        image.dot(x(kernel["intensity"]), y(kernel["rate"] / 1e9), 4, colours.get(kernel["device"], PALETTE[0]), hint, hollow=bool(kernel["peer"]))
    image.text(20, 590, "Filled: ours. Hollow: the same work by another library. The name of a dot shows under the mouse.", fill="#555")
    return image


def step_parts(steps):
    """Two bars a row: what the parts take, and below it their floors on the same scale. Each row has its own scale: its longest bar. None without rows."""
    rows = [row for row in steps if row.get("parts")]
    if not rows:
        return None
    names = list(dict.fromkeys(part["name"] for row in rows for part in row["parts"]))
    colours = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}
    image = Svg(920, 110 + 62 * len(rows), "The parts of a training step, and the floor under each")
    place = 200
    for name in names:
        image.rect(place, 44, 12, 12, colours[name])
        image.text(place + 17, 55, name)
        place += 40 + 8 * len(name)
    for i, row in enumerate(rows):
        top = 78 + 62 * i
        total = sum(part["median_ms"] for part in row["parts"])
        scale = 560 / max(total, sum(part["floor_ms"] for part in row["parts"]))
        image.text(190, top + 15, label(row), anchor="end", weight="bold")
        image.text(190, top + 34, "floor", anchor="end", fill="#555")
        for key, offset, height in (("median_ms", 0, 20), ("floor_ms", 23, 12)):
            place = 200.0
            for part in row["parts"]:
                image.rect(place, top + offset, part[key] * scale, height, colours[part["name"]], f"{part['name']}: {number(part[key])} ms")
                if part[key] * scale > 44 and key == "median_ms":
                    image.text(place + part[key] * scale / 2, top + 14, number(part[key]), size=11, anchor="middle", fill="white")
                place += part[key] * scale
        image.text(205 + total * scale, top + 15, f"{number(total)} ms; the step {number(row['median_ms'])}", size=11)
        image.text(
            205 + sum(part["floor_ms"] for part in row["parts"]) * scale,
            top + 34,
            f"{number(sum(part['floor_ms'] for part in row['parts']))} ms",
            size=11,
            fill="#555",
        )
    image.text(
        20,
        98 + 62 * len(rows),
        "Each row has a scale of its own. Parts are waited for one by one, so on a GPU their sum is more than the step, which is one graph.",
        fill="#555",
    )
    return image


def ratio(races):
    """x: batch, y: times as fast as the best PyTorch, a line per model and precision; bars span the ratios of single rounds. None without races."""
    series, versions = {}, {race.get("torch") for race in races}
    for race in races:
        if race.get("ratio_best"):
            name = f"{race['model']} {race['dtype']}" + (f", {race.get('torch', '?').partition('+')[0]}" if len(versions) > 1 else "")
            series.setdefault(name, []).append((race["batch"], race["ratio_best"], race["ratio_best_low"], race["ratio_best_high"]))
    if not series:
        return None
    batches = sorted({point[0] for points in series.values() for point in points})
    top = max(1.5, 1.15 * max(point[3] for points in series.values() for point in points))
    image = Svg(920, 460, "Times as fast as the best PyTorch, by batch")
    xs = {batch: 90 + (i + 0.5) * 600 / len(batches) for i, batch in enumerate(batches)}

    def y(value):
        return 400 - value / top * 340

    step = next(size for size in (0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 1000) if top / size <= 8)
    for i in range(int(top / step) + 1):
        image.line(80, y(i * step), 700, y(i * step), "#ddd")
        image.text(74, y(i * step) + 4, f"{i * step:g}", anchor="end")
    image.line(80, y(1), 700, y(1), "#222", 1.5, "6 4")
    image.text(696, y(1) - 5, "as fast as PyTorch", anchor="end", size=11)
    for batch in batches:
        image.text(xs[batch], 420, str(batch), anchor="middle")
    image.text(390, 442, "faces a side", anchor="middle")
    for i, (name, points) in enumerate(sorted(series.items())):
        colour, shift = PALETTE[i % len(PALETTE)], 9 * (i - (len(series) - 1) / 2)
        points.sort()
        image.path([(xs[batch] + shift, y(value)) for batch, value, _, _ in points], colour)
        for batch, value, low, high in points:
            image.line(xs[batch] + shift, y(low), xs[batch] + shift, y(high), colour, 1.5)
            image.dot(xs[batch] + shift, y(value), 5, colour, f"{name}, batch {batch}: {value:.2f} ({low:.2f}-{high:.2f})")
        image.rect(720, 70 + 22 * i, 12, 12, colour)
        image.text(738, 81 + 22 * i, f"{name}: {', '.join(f'{value:.2f}' for _, value, _, _ in points)}", size=11)
    return image


# --- all of it ------------------------------------------------------------------------------------------------------------


def report(results, nsys_steps=0, step_ms=None, predicted=()):
    sections = []
    if results.machines:
        sections.append("Machine: " + "; ".join(dict.fromkeys(results.machines)) + ".\n")
    for title, texts in (
        (
            "One training step",
            [steps_table(results.steps), predictions_table(results.steps, predicted), starts_table(results.steps), parts_table(results.steps)],
        ),
        ("Against PyTorch", [ratios_table(results.races)] + [race_table(race) for race in results.races]),
        ("Kernels", [kernels_table(results.kernels)]),
        ("cuDNN's kernels for the convolutions", [plans_table(results.plans)]),
        ("Where the GPU's time goes", [profile_table(results.profile, nsys_steps, step_ms) if results.profile and nsys_steps else ""]),
    ):
        if any(texts):
            sections.append(f"## {title}\n\n" + "\n".join(text for text in texts if text))
    return "\n".join(sections)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], epilog=__doc__.partition("\n\n")[2], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=pathlib.Path, metavar="FILE.json")
    parser.add_argument("--out", type=pathlib.Path, help="write the tables there")
    parser.add_argument("--svg", type=pathlib.Path, metavar="DIR", help="write the plots there")
    parser.add_argument("--nsys", type=pathlib.Path, metavar="FILE.csv", help="kernels of profiled steps")
    parser.add_argument("--nsys-steps", type=int, default=0, help="how many steps those are")
    parser.add_argument(
        "--nsys-row", type=pathlib.Path, metavar="FILE.json", help="what doppel_step --row printed for the same steps unprofiled, for the idle share"
    )
    parser.add_argument("--predicted", type=pathlib.Path, metavar="FILE.json", help="step times that were reckoned, to stand beside those measured")
    options = parser.parse_args()
    results, read, step_ms = Results(), 0, None
    for path in options.files + ([options.nsys] if options.nsys else []):
        try:
            text = path.read_text()
            results.add_nsys(text) if path == options.nsys else results.add(json.loads(text))
            read += 1
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as why:
            print(f"report.py: {path} is left out: {type(why).__name__}: {why}", file=sys.stderr)
    if read == 0:
        print("report.py: nothing to report on: name JSON files of doppel_step, compare_step.py, doppel_plans or doppel bench", file=sys.stderr)
        return 3
    if options.nsys_row:
        try:
            step_ms = json.loads(options.nsys_row.read_text().strip().splitlines()[-1])["median_ms"]
        except (OSError, ValueError, KeyError, IndexError):
            print(f"report.py: {options.nsys_row} has no step time", file=sys.stderr)
    predicted = json.loads(options.predicted.read_text())["steps"] if options.predicted else ()
    text = report(results, options.nsys_steps, step_ms, predicted)
    options.out.write_text(text) if options.out else print(text)
    if options.svg:
        options.svg.mkdir(parents=True, exist_ok=True)
        for name, image in (
            ("roofline", roofline(results.kernels, results.ceilings)),
            ("step_parts", step_parts(results.steps)),
            ("ratio", ratio(results.races)),
        ):
            if image:
                (options.svg / f"{name}.svg").write_text(str(image))
    return 0


if __name__ == "__main__":
    sys.exit(main())
