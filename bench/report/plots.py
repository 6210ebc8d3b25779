"""The plots of report.py, by matplotlib. Imported for --svg only."""

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

from report import label, number  # noqa: E402

# The colours of Okabe and Ito, distinct for the colour-blind.
PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
LEFT_EDGE = 0.02  # FLOP/byte at which kernels without arithmetic are drawn

# Text as text, and the same file for the same data.
plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "doppel", "font.size": 9})


def roofline(kernels, ceilings):
    """Speed over intensity, both logarithmic. The distance of a dot from the roof is the speed its
    kernel does not reach. None without kernels."""
    drawn = [kernel for kernel in kernels if kernel.get("bytes")]
    if not drawn:
        return None
    figure, axes = plt.subplots(figsize=(10, 6.5))
    colours = {device: PALETTE[i] for i, device in enumerate(ceilings)}
    intensity = {id(k): max(k["flops"] / k["bytes"], LEFT_EDGE) for k in drawn}
    right = max(2000, 2 * max(intensity.values()))
    for device, ceiling in ceilings.items():
        types = {key.partition("_")[0]: rate for key, rate in ceiling.items() if "flop" in key}
        rates = sorted(((rate, kind) for kind, rate in types.items() if rate), reverse=True)
        bandwidth = max(ceiling.get(f"{key}_bytes_per_s") or 0 for key in ("copy", "read"))
        for i, (rate, kind) in enumerate(rates if bandwidth else []):
            ridge = rate / bandwidth
            begin = LEFT_EDGE / 1.5 if i == 0 else ridge  # the slope belongs to the fastest type
            roof = [bandwidth * begin / 1e9, rate / 1e9, rate / 1e9]
            axes.plot([begin, ridge, right], roof, color=colours[device], lw=1 if i else 2)
            text = f"{device} {kind}: {number(rate / 1e9)} GFLOP/s"
            text += "" if i else f", {number(bandwidth / 1e9)} GB/s"
            box = {"color": "white", "alpha": 0.7, "pad": 1}
            place = {"ha": "right", "va": "bottom", "bbox": box, "zorder": 4}
            axes.text(right, rate * 1.05e-9, text, color=colours[device], **place)
    for peer in (True, False):  # ours on top
        some = [kernel for kernel in drawn if bool(kernel["peer"]) == peer]
        edges = [colours.get(kernel["device"], PALETTE[0]) for kernel in some]
        axes.scatter(
            [intensity[id(kernel)] for kernel in some],
            [intensity[id(k)] * k["bytes"] / k["seconds"] / 1e9 for k in some],
            s=16,
            facecolors="white" if peer else edges,
            edgecolors=edges,
            label="another library" if peer else "doppel",
            zorder=3,
        )
    axes.set(xscale="log", yscale="log", title="Every kernel under the machine's roofline")
    axes.set_xlabel(f"FLOP per byte (kernels without arithmetic at {LEFT_EDGE:g})")
    axes.set_ylabel("GFLOP/s")
    axes.grid(color="#ddd")
    axes.legend(loc="lower right")
    return figure


def step_parts(steps):
    """Two bars per row: the phases, and below them their floors. Each row has its own scale, its
    longest bar. None without rows."""
    rows = [row for row in steps if row.get("parts")]
    if not rows:
        return None
    names = list(dict.fromkeys(phase["name"] for row in rows for phase in row["parts"]))
    colours = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}
    figure, axes = plt.subplots(figsize=(10, 1.6 + 0.6 * len(rows)))
    for i, row in enumerate(rows):
        totals = {k: sum(phase[k] for phase in row["parts"]) for k in ("median_ms", "floor_ms")}
        longest = max(totals.values())
        for key, y, height in (("median_ms", i - 0.15, 0.36), ("floor_ms", i + 0.2, 0.22)):
            left = 0.0
            for phase in row["parts"]:
                width = phase[key] / longest
                axes.barh(y, width, height, left, color=colours[phase["name"]])
                if width > 0.07 and key == "median_ms":
                    text = number(phase[key])
                    axes.text(left + width / 2, y, text, color="w", ha="center", va="center")
                left += width
            text = number(totals[key]) + " ms"
            text += f"; the step {number(row['median_ms'])}" if key == "median_ms" else " floor"
            axes.text(left + 0.01, y, text, va="center")
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in colours.values()]
    figure.legend(handles, names, loc="upper center", ncol=len(names), bbox_to_anchor=(0.5, 0.94))
    figure.suptitle("The phases of a training step, and the floor under each")
    axes.set_yticks(range(len(rows)), [label(row) for row in rows])
    axes.set(xlim=(0, 1.35), xticks=[])
    note = "Each row has its own scale. Each phase ends with a wait, so on a GPU, where a step is "
    axes.set_xlabel(note + "one graph, their sum is longer.")
    axes.invert_yaxis()
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    return figure


def ratio(races):
    """Speed relative to the best PyTorch over the batch, a line per model and precision. Bars span
    the ratios of single rounds. None without races."""
    done = [race for race in races if race.get("ratio_best")]
    if not done:
        return None
    versions = len({race.get("torch") for race in done}) > 1
    series = {}
    for race in done:
        name = f"{race['model']} {race['dtype']}"
        name += f", {race.get('torch', '?').partition('+')[0]}" if versions else ""
        series.setdefault(name, []).append(race)
    batches = sorted({race["batch"] for race in done})
    figure, axes = plt.subplots(figsize=(9, 4.6))
    for i, (name, points) in enumerate(sorted(series.items())):
        points.sort(key=lambda race: race["batch"])
        x = [batches.index(race["batch"]) + 0.03 * (i - len(series) / 2) for race in points]
        y = [race["ratio_best"] for race in points]
        low = [race["ratio_best"] - race["ratio_best_low"] for race in points]
        high = [race["ratio_best_high"] - race["ratio_best"] for race in points]
        text = f"{name}: {', '.join(f'{value:.2f}' for value in y)}"
        colour = PALETTE[i % len(PALETTE)]
        axes.errorbar(x, y, [low, high], fmt="o-", color=colour, capsize=3, label=text)
    axes.axhline(1, color="#222", ls="--", lw=1)
    axes.text(0.99, 1, "PyTorch", transform=axes.get_yaxis_transform(), ha="right", va="bottom")
    axes.set_xticks(range(len(batches)), batches)
    axes.set(xlabel="batch per person", ylabel="times as fast", xlim=(-0.5, len(batches) - 0.5))
    axes.set_ylim(0, max(1.5, 1.15 * max(race["ratio_best_high"] for race in done)))
    axes.set_title("Times as fast as the best PyTorch, by batch")
    axes.grid(axis="y", color="#ddd")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def write(results, folder):
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "roofline": roofline(results.kernels, results.ceilings),
        "step_parts": step_parts(results.steps),
        "ratio": ratio(results.races),
    }
    for name, figure in figures.items():
        if figure:
            metadata = {"Date": None, "Creator": None}
            figure.savefig(folder / f"{name}.svg", bbox_inches="tight", metadata=metadata)
            plt.close(figure)
