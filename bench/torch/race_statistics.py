"""Statistics of a race's times and losses, in plain Python (tests/bench/python/test_race.py).

runs: {contestant: [a result per round]}, ours under "doppel". A result: {"round", "ms": [...],
"loss_a": [...], "loss_b": [...], "peak_bytes", "start_seconds": {"total"}, ...}.
"""

# The largest relative difference of a loss, step by step, for the same work on both
# sides. A wrong layer, a wrong pixel order or a missing bias shows at once as 1e-1 or
# more.
#   f32   Sums in another order: 1e-6 per loss. Adam divides a gradient by its own size,
#         so a weight with a gradient near zero may move the other way, by 2 * 5e-5 per
#         step; over tens of steps that reaches a few 1e-4 of the loss.
#   tf32  Products of 11-bit mantissas, 5e-4 each. Most errors cancel in the sums.
#   bf16  8-bit mantissas, 4e-3 each, in every activation, rounded at other places where
#         one side fuses operations. The loss is a mean over all pixels, so the
#         systematic part remains.
#   f16   11-bit mantissas, 5e-4 each, in every activation. A step whose scaled
#         gradients overflow on one side only leaves that side a step behind: a few 1e-3
#         of the loss.
TOLERANCES = {"f32": 1e-3, "tf32": 5e-3, "bf16": 2e-2, "f16": 1e-2}


def percentile(values, share):
    """Linear between neighbours. share: 0 to 1."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    return ordered[low] + (place - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])


def median_ms(results, rounds):
    some = [result for result in results if result["round"] in rounds]
    return percentile([ms for result in some for ms in result["ms"]], 0.5)


def losses_apart(runs):
    """The largest relative difference of any loss from doppel's in the same round. Infinite for a
    loss that is not finite and for curves of different lengths."""
    apart = 0.0
    ours_of = {result["round"]: result for result in runs["doppel"]}
    for theirs in [result for name in runs if name != "doppel" for result in runs[name]]:
        for side in ("loss_a", "loss_b"):
            ours = ours_of[theirs["round"]][side]
            if len(theirs[side]) != len(ours):
                return float("inf")
            for x, y in zip(theirs[side], ours):
                difference = abs(x - y) / max(abs(y), 1e-12)
                if not difference < float("inf"):  # NaN too
                    return float("inf")
                apart = max(apart, difference)
    return apart


def rows(runs, batch):
    """One row per contestant, doppel first. A ratio compares medians over the same rounds, so a
    noisy round counts for both sides; ratio_low and ratio_high are the extremes of all rounds."""
    out = []
    for name, results in runs.items():
        milliseconds = [ms for result in results for ms in result["ms"]]
        starts = [result["start_seconds"]["total"] for result in results]
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
            "start_seconds": percentile(starts, 0.5),
        }
        for key in ("launches", "kernel_ms", "graph_nodes"):
            values = [result[key] for result in results if result.get(key) is not None]
            row[key] = percentile(values, 0.5) if values else None
        row["idle_share"] = max(0.0, 1 - row["kernel_ms"] / median) if row["kernel_ms"] else None
        if name != "doppel":

            def ratio(rounds):
                return median_ms(results, rounds) / median_ms(runs["doppel"], rounds)

            rounds = [result["round"] for result in results]
            row["ratio"] = ratio(rounds)
            row["ratio_low"] = min(ratio([number]) for number in rounds)
            row["ratio_high"] = max(ratio([number]) for number in rounds)
        out.append(row)
    return sorted(out, key=lambda row: row["name"] != "doppel")


def best(peer_rows):
    """The fastest of those with the most rounds, because a single round may be lucky. None without
    peers."""
    most = max((row["rounds"] for row in peer_rows), default=0)
    complete = [row for row in peer_rows if row["rounds"] == most]
    return min(complete, key=lambda row: row["median_ms"], default=None)
