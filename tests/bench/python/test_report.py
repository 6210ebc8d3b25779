"""bench/report/report.py on small records of every kind that it reads."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

BENCH = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(BENCH))
import report  # noqa: E402
from svg import LogAxis, Svg, number  # noqa: E402

STEPS = {
    "context": {"suite": "doppel_step", "processor": "A processor", "threads": 2, "load_average": 0.5, "date": "2026-01-02T03:04:05Z"},
    "rows": [
        {
            "model": "tiny",
            "batch": 4,
            "dtype": "f32",
            "mode": "real",
            "median_ms": 100.0,
            "p95_ms": 130.0,
            "faces_per_second": 80.0,
            "launches": 125,
            "graph_nodes": None,
            "idle_share": 0.25,
            "peak_bytes": 2**30,
            "forecast_bytes": 2**31,
            "start_seconds": {"process": 0.5, "first_step": 1.0, "total": 1.5},
            "floor_ms": 40.0,
            "parts": [
                {"name": "augmentation", "median_ms": 20.0, "floor_ms": 0.0, "launches": 2, "flops": 0.0, "bytes": 0.0},
                {"name": "forward", "median_ms": 60.0, "floor_ms": 25.0, "launches": 24, "flops": 2e9, "bytes": 3e6},
                {"name": "backward", "median_ms": 45.0, "floor_ms": 15.0, "launches": 79, "flops": 4e9, "bytes": 6e6},
            ],
        },
        {"model": "villain", "batch": 64, "dtype": "f32", "mode": "real", "error": "out of memory (exit code 7)"},
    ],
}

PEER = {"samples": 6, "p95_ms": 220.0, "images_per_second": 40.0, "peak_bytes": 2**30, "start_seconds": 3.0, "launches": None, "idle_share": None}
RACE = {
    "context": {"suite": "compare_step", "torch": "1.13"},
    "races": [
        {
            "model": "tiny",
            "batch": batch,
            "dtype": "f32",
            "losses_apart": apart,
            "tolerance": 1e-3,
            "best_peer": "PyTorch joined",
            "ratio_best": 1.8,
            "ratio_best_low": 1.6,
            "ratio_best_high": 2.1,
            "ratio_as_faceswap": 2.5,
            "rows": [{"name": "doppel", **PEER, "median_ms": 100.0}, {"name": "PyTorch joined", **PEER, "median_ms": 180.0, "ratio": 1.8}],
            "skipped": [{"name": "PyTorch compiled, joined", "reason": "no compiler"}],
        }
        for batch, apart in ((4, 2e-5), (16, 0.3))
    ],
}

KERNELS = {
    "format": "doppel-bench-1",
    "ceilings": {"host": {"copy_bytes_per_s": 2e10, "read_bytes_per_s": 2.2e10, "f32_flop_per_s": 2e11, "bf16_flop_per_s": 0}},
    "rows": [
        {"name": "fine", "device": "host", "peer": "", "median_s": 1e-3, "bytes": 1.8e7, "flops": 0, "share_of_ceiling": 0.9},
        {"name": "poor", "device": "host", "peer": "", "median_s": 1e-3, "bytes": 1e6, "flops": 4e7, "share_of_ceiling": 0.2},
        {"name": "poor", "device": "host", "peer": "oneDNN", "median_s": 5e-4, "bytes": 1e6, "flops": 4e7, "share_of_ceiling": 0.4},
        {"name": "wrong", "device": "host", "peer": "", "error": "differs from the reference"},
    ],
}

ENGINE = {"engine": 43, "knobs": [[1, 2]], "ms": 0.2, "workspace": 2**21, "runtime_compiled": False, "matrix_units": True}
PLANS = {
    "context": {"suite": "doppel_plans", "dtype": "bf16"},
    "rows": [
        {
            "model": "tiny",
            "batch": 16,
            "shape": "conv",
            "direction": "forward",
            "flops": 4e9,
            "best": "fused",
            "ways": [
                {"way": "plain", "engines": [{**ENGINE, "ms": 0.3}], "without_epilogue_ms": 0.25},
                {"way": "fused", "engines": [ENGINE]},
            ],
        },
        {
            "model": "tiny",
            "batch": 16,
            "shape": "conv",
            "direction": "backward data",
            "flops": 4e9,
            "best": None,
            "ways": [{"way": "plain", "engines": [], "why_not": "refused"}, {"way": "padded", "engines": [{**ENGINE, "ms": None}]}],
        },
    ],
}

NSYS = (
    'Processing [x.sqlite]\n\nTime (%),Total Time (ns),Instances,Avg (ns),Name\n75.0,15000000,40,375000,conv_forward\n25.0,5000000,20,250000,"adam<float, 4>"\n'
)


def results(*documents):
    collected = report.Results()
    for document in documents:
        collected.add(document)
    return collected


class Tables(unittest.TestCase):
    def test_steps_with_a_row_that_failed(self):
        lines = report.steps_table(STEPS["rows"]).splitlines()
        self.assertEqual(lines[2], "| tiny | 4 | f32 | real | 100 | 130 | 80.0 | 400 | 125 |  | 25 % | 1,024 | 2,048 | 1.50 | 40.0 | 40 % |")
        self.assertIn("out of memory", lines[3])
        self.assertEqual({line.count("|") for line in lines}, {17})

    def test_predicted_beside_measured(self):
        predicted = [{"model": "tiny", "batch": 4, "dtype": "f32", "median_ms": ms} for ms in (90.0, 50.0)]
        predicted += [{"model": "tiny", "batch": 8, "dtype": "f32", "median_ms": 1.0}, {"model": "villain", "batch": 64, "dtype": "f32", "median_ms": 1.0}]
        lines = report.predictions_table(STEPS["rows"], predicted).splitlines()
        self.assertEqual(lines[2:], ["| tiny b4 f32 | 90.0 | 100 | 1.11 |  |", "| tiny b4 f32 | 50.0 | 100 | 2.00 | find out why |"])
        self.assertEqual(report.predictions_table(STEPS["rows"], []), "")

    def test_ratios_name_the_best_and_refuse_a_race_whose_losses_differ(self):
        lines = report.ratios_table(RACE["races"]).splitlines()
        self.assertIn("| 100 | 180 | joined | **1.80x** (1.60-2.10) | 2.50x | 2e-05 |", lines[2])
        self.assertIn("too far: no race", lines[3])

    def test_a_race_without_peers(self):
        self.assertIn("no variant ran", report.ratios_table([{**RACE["races"][0], "best_peer": None, "ratio_best": None}]))

    def test_variants_left_out_keep_their_reason(self):
        self.assertIn("left out: no compiler", report.race_table(RACE["races"][0]))

    def test_kernels_worst_first_and_no_number_for_a_wrong_one(self):
        head, _, rows = report.kernels_table(results(KERNELS).kernels).partition("\n\n")
        lines = rows.splitlines()
        self.assertIn("1 of 2 are under 85 %", head)
        self.assertEqual([line.split("|")[1].strip() for line in lines[2:]], ["poor", "fine", "wrong"])
        self.assertIn("differs from the reference", lines[4])
        self.assertIn("| 20 % | 1,000 | 1.00 | 40.0 |", lines[2])

    def test_plans_name_engines_and_the_way_that_was_fastest(self):
        lines = report.plans_table(results(PLANS).plans).splitlines()
        self.assertEqual({line.count("|") for line in lines}, {7})
        self.assertIn("| **0.200 ms, engine 43, 2.00 MiB** |", lines[2])
        self.assertIn("| 0.300 ms, engine 43, 2.00 MiB (0.250 without epilogue) |", lines[2])
        self.assertTrue(lines[2].endswith("| 20.0 |"), lines[2])  # 4 GFLOP in 0.2 ms, which is TFLOP/s
        self.assertIn("| no engine |", lines[3])
        self.assertIn("| engine 43, 2.00 MiB |", lines[3])

    def test_google_benchmarks_own_form(self):
        kernel = results(
            {
                "context": {},
                "benchmarks": [
                    {"name": "adam", "real_time": 2.0, "time_unit": "ms", "GB/s": 10.0, "sol": 0.5},
                    {"name": "bad", "error_occurred": True, "error_message": "wrong"},
                ],
            }
        ).kernels
        self.assertAlmostEqual(kernel[0]["bytes"], 2e7)
        self.assertEqual((kernel[0]["share"], kernel[1]["error"]), (0.5, "wrong"))

    def test_profile_gives_time_a_step_and_idle_share(self):
        collected = report.Results()
        collected.add_nsys(NSYS)
        text = report.profile_table(collected.profile, 20, 1.25)
        self.assertIn("Kernels together: 1.00 ms a step. Of a step of 1.25 ms the GPU is idle for 20 %.", text)
        self.assertIn("| conv_forward | 0.750 | 75 % | 2.00 |", text)
        with self.assertRaises(ValueError):
            collected.add_nsys("nothing")

    def test_what_is_none_of_these_is_refused(self):
        with self.assertRaises(ValueError):
            results({"context": {}, "rows": []})


class Plots(unittest.TestCase):
    def check(self, image, words):
        root = xml.etree.ElementTree.fromstring(str(image))
        text = " ".join(root.itertext())
        for word in words:
            self.assertIn(word, text)
        for element in root.iter():  # nothing leaves the picture
            for key, limit in (("x", image.width), ("cx", image.width), ("y", image.height), ("cy", image.height)):
                if key in element.attrib:
                    self.assertTrue(-1 <= float(element.attrib[key]) <= limit, element.attrib)

    def test_are_valid_xml_within_their_frame(self):
        collected = results(STEPS, RACE, KERNELS)
        self.check(report.roofline(collected.kernels, collected.ceilings), ["fine", "poor by oneDNN", "200 GFLOP/s"])
        self.check(report.step_parts(collected.steps), ["tiny b4 f32", "125 ms; the step 100", "forward: 60.0 ms"])
        self.check(report.ratio(collected.races), ["tiny f32", "batch 4: 1.80 (1.60-2.10)"])

    def test_nothing_to_draw_draws_nothing(self):
        self.assertIsNone(report.roofline([], {}))
        self.assertIsNone(report.step_parts([]))
        self.assertIsNone(report.ratio([]))

    def test_words_are_escaped(self):
        image = Svg(100, 100, "a < b & c")
        self.assertIn("a < b & c", "".join(xml.etree.ElementTree.fromstring(str(image)).itertext()))

    def test_logarithmic_axis(self):
        axis = LogAxis(1, 100, 0, 200)
        self.assertAlmostEqual(axis(10), 100)
        self.assertEqual(axis.decades(), [1, 10, 100])

    def test_numbers_keep_three_digits(self):
        self.assertEqual([number(value) for value in (0, 0.01234, 1.5, 12.34, 123.4, 12345)], ["0", "0.0123", "1.50", "12.3", "123", "12,345"])


class Program(unittest.TestCase):
    def test_writes_tables_and_plots_and_names_what_it_cannot_read(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            for name, document in (("steps", STEPS), ("race", RACE), ("kernels", KERNELS), ("plans", PLANS)):
                (folder / f"{name}.json").write_text(json.dumps(document))
            (folder / "cut.json").write_text('{"context": {')
            done = subprocess.run(
                [sys.executable, "-B", BENCH / "report.py", *sorted(folder.glob("*.json")), "--out", folder / "report.md", "--svg", folder / "plots"],
                stderr=subprocess.PIPE,
                text=True,
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("cut.json is left out", done.stderr)
            text = (folder / "report.md").read_text()
            for heading in ("## One training step", "## Against PyTorch", "## Kernels"):
                self.assertIn(heading, text)
            self.assertEqual(sorted(path.name for path in (folder / "plots").iterdir()), ["ratio.svg", "roofline.svg", "step_parts.svg"])
            self.assertEqual(subprocess.run([sys.executable, "-B", BENCH / "report.py", folder / "cut.json"], stderr=subprocess.DEVNULL).returncode, 3)


if __name__ == "__main__":
    unittest.main()
