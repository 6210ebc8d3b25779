"""What a race's raw times and losses say. Plain Python: tested without PyTorch (tests/bench/python/test_race.py).

runs: {contestant: [one result a round]}; "doppel" is ours. A result: {"round", "ms": [...], "loss_a": [...], "loss_b": [...],
"peak_bytes", "start_seconds": {"total"}, ...}.
"""

# The largest relative difference of a loss, step by step, at which both sides still did the same work.
#   f32   Sums are taken in another order: one loss differs by some 1e-6. Adam divides a gradient by its own size, so a weight whose
#         gradient is near zero may move the other way, by 2 * 5e-5 a step; over tens of steps that reaches a few 1e-4 of the loss.
#   tf32  Products of 11-bit mantissas: 5e-4 each, the errors mostly cancel in the sums, then as above.
#   bf16  8-bit mantissas (4e-3 each) in every activation; and the two sides round at different places, because one fuses what the
#         other does not. The loss is a mean over all pixels, so what remains is the systematic part.
#   f16   11-bit mantissas (5e-4 each) in every activation. A step whose scaled gradients overflow on one side only is a step behind from
#         there on: a few 1e-3 of the loss.
# A wrong layer, a wrong pixel order or a missing bias shows at once as 1e-1 or more.
TOLERANCES = {"f32": 1e-3, "tf32": 5e-3, "bf16": 2e-2, "f16": 1e-2}


def percentile(values, share):
    """Linear between neighbours. share: 0 to 1."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    return ordered[low] + (place - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])


def times(results, rounds=None):
    return [value for result in results if rounds is None or result["round"] in rounds for value in result["ms"]]


def losses_apart(runs):
    """The largest relative difference of any loss of any contestant from doppel's in the same round. Infinite where one is not finite
    or the curves have different lengths."""
    apart = 0.0
    for name, results in runs.items():
        for theirs in results if name != "doppel" else []:
            ours = next(result for result in runs["doppel"] if result["round"] == theirs["round"])
            for side in ("loss_a", "loss_b"):
                if len(theirs[side]) != len(ours[side]):
                    return float("inf")
                for x, y in zip(theirs[side], ours[side]):
                    difference = abs(x - y) / max(abs(y), 1e-12)
                    if not difference < float("inf"):  # NaN too
                        return float("inf")
                    apart = max(apart, difference)
    return apart


def rows(runs, batch):
    """One row a contestant, doppel first. Ratios compare medians over the same rounds only, so that a noisy round counts for both
    sides or for neither; ratio_low and ratio_high are the smallest and largest ratio of any one round."""
    out = []
    for name, results in runs.items():
        milliseconds = times(results)
        median = percentile(milliseconds, 0.5)
        row = {
            "name": name,
            "rounds": len(results),
            "samples": len(milliseconds),
            "median_ms": median,
            "p95_ms": percentile(milliseconds, 0.95),
            "min_ms": min(milliseconds),
            "images_per_second": 2 * batch / median * 1e3,
            "peak_bytes": max(result["peak_bytes"] for result in results),
            "start_seconds": percentile([result["start_seconds"]["total"] for result in results], 0.5),
        }
        for key in ("launches", "kernel_ms", "graph_nodes"):
            values = [result[key] for result in results if result.get(key) is not None]
            row[key] = percentile(values, 0.5) if values else None
        row["idle_share"] = max(0.0, 1 - row["kernel_ms"] / median) if row["kernel_ms"] else None
        if name != "doppel":
            rounds = [result["round"] for result in results]
            row["ratio"] = median / percentile(times(runs["doppel"], rounds), 0.5)
            per_round = [percentile(times(results, [number]), 0.5) / percentile(times(runs["doppel"], [number]), 0.5) for number in rounds]
            row["ratio_low"], row["ratio_high"] = min(per_round), max(per_round)
        out.append(row)
    return sorted(out, key=lambda row: row["name"] != "doppel")


def best(peer_rows):
    """The fastest of those that ran in the most rounds: a lucky first round alone does not make a champion. None without peers."""
    most = max((row["rounds"] for row in peer_rows), default=0)
    return min((row for row in peer_rows if row["rounds"] == most), key=lambda row: row["median_ms"], default=None)
