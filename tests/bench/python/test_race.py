"""The statistics of the race against PyTorch, on made-up times and losses."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "bench" / "torch"))
import race_statistics as race  # noqa: E402


def result(number, ms, loss_a=(1.0, 0.5), loss_b=(2.0, 1.5), **more):
    return {
        "round": number,
        "ms": list(ms),
        "loss_a": list(loss_a),
        "loss_b": list(loss_b),
        "peak_bytes": 100 * number,
        "start_seconds": {"total": 1.0},
        **more,
    }


class Percentile(unittest.TestCase):
    def test_is_linear_between_neighbours(self):
        self.assertEqual(race.percentile([3, 1, 2], 0.5), 2)
        self.assertEqual(race.percentile([1, 2, 3, 4], 0.5), 2.5)
        self.assertAlmostEqual(race.percentile([0, 10], 0.95), 9.5)
        self.assertEqual(race.percentile([7], 0.95), 7)
        self.assertEqual(race.percentile([5, 1], 1), 5)


class Rows(unittest.TestCase):
    def setUp(self):
        # The machine is twice as slow in round 2. The quick variant ran in round 1
        # only.
        self.runs = {
            "doppel": [result(1, [10, 12]), result(2, [20, 24])],
            "steady": [result(1, [30, 36]), result(2, [60, 72])],
            "quick": [result(1, [22, 22])],
        }

    def test_ratios_compare_the_same_rounds(self):
        rows = {row["name"]: row for row in race.rows(self.runs, 16)}
        self.assertAlmostEqual(rows["steady"]["ratio"], 48 / 16)
        self.assertAlmostEqual(rows["steady"]["ratio_low"], 3)
        self.assertAlmostEqual(rows["steady"]["ratio_high"], 3)
        self.assertAlmostEqual(rows["quick"]["ratio"], 22 / 11)  # against round 1 alone
        self.assertNotIn("ratio", rows["doppel"])

    def test_counts_pictures_of_both_sides_and_the_largest_memory(self):
        row = race.rows(self.runs, 16)[0]
        figures = [row[key] for key in ("name", "samples", "rounds", "peak_bytes")]
        self.assertEqual(figures, ["doppel", 4, 2, 200])
        self.assertAlmostEqual(row["images_per_second"], 32 / 16 * 1e3)

    def test_doppel_is_the_first_row(self):
        runs = {"peer": self.runs["steady"], "doppel": self.runs["doppel"]}
        self.assertEqual(race.rows(runs, 1)[0]["name"], "doppel")

    def test_idle_share_takes_the_kernels_time(self):
        peer = result(1, [10], kernel_ms=7.5, launches=400)
        rows = race.rows({"doppel": [result(1, [10])], "peer": [peer]}, 1)
        self.assertAlmostEqual(rows[1]["idle_share"], 0.25)
        self.assertEqual(rows[1]["launches"], 400)
        self.assertIsNone(rows[0]["idle_share"])

    def test_the_best_ran_in_all_rounds(self):
        rows = race.rows(self.runs, 16)
        self.assertEqual(race.best(rows[1:])["name"], "steady")
        self.assertIsNone(race.best([]))


class Losses(unittest.TestCase):
    def apart(self, **theirs):
        ours = [result(1, [1]), result(2, [1], (3.0, 3.0))]
        return race.losses_apart({"doppel": ours, "peer": [result(1, [1], **theirs)]})

    def test_compares_step_by_step_in_the_same_round(self):
        self.assertEqual(self.apart(), 0)
        self.assertAlmostEqual(self.apart(loss_b=(2.0, 1.53)), 0.02)

    def test_missing_or_infinite_losses_are_infinitely_far(self):
        self.assertEqual(self.apart(loss_a=(1.0, float("nan"))), float("inf"))
        self.assertEqual(self.apart(loss_a=(1.0, float("inf"))), float("inf"))
        self.assertEqual(self.apart(loss_a=(1.0,)), float("inf"))

    def test_every_precision_has_a_bound_that_a_wrong_layer_breaks(self):
        self.assertEqual(set(race.TOLERANCES), {"f32", "tf32", "bf16", "f16"})
        self.assertTrue(all(0 < value < 0.1 for value in race.TOLERANCES.values()))


if __name__ == "__main__":
    unittest.main()
