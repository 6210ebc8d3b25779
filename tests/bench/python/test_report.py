"""bench/report/report.py on small records of every kind that it reads."""

import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

REPORT = pathlib.Path(__file__).resolve().parents[3] / "bench" / "report"
sys.path.insert(0, str(REPORT))
import report  # noqa: E402

HAS_MATPLOTLIB = importlib.util.find_spec("matplotlib") is not None


def phase(name, median_ms, floor_ms, launches, flops, data):
    costs = {"launches": launches, "flops": flops, "bytes": data}
    return {"name": name, "median_ms": median_ms, "floor_ms": floor_ms, **costs}


STEPS = {
    "context": {
        "suite": "doppel_step",
        "processor": "A processor",
        "threads": 2,
        "load_average": 0.5,
        "date": "2026-01-02T03:04:05Z",
    },
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
                phase("augmentation", 20.0, 0.0, 2, 0.0, 0.0),
                phase("forward", 60.0, 25.0, 24, 2e9, 3e6),
                phase("backward", 45.0, 15.0, 79, 4e9, 6e6),
            ],
        },
        {
            "model": "villain",
            "batch": 64,
            "dtype": "f32",
            "mode": "real",
            "error": "out of memory (exit code 7)",
        },
    ],
}

PEER = {
    "samples": 6,
    "p95_ms": 220.0,
    "images_per_second": 40.0,
    "peak_bytes": 2**30,
    "start_seconds": 3.0,
    "launches": None,
    "idle_share": None,
}
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
            "rows": [
                {"name": "doppel", **PEER, "median_ms": 100.0},
                {"name": "PyTorch joined", **PEER, "median_ms": 180.0, "ratio": 1.8},
            ],
            "skipped": [{"name": "PyTorch compiled, joined", "reason": "no compiler"}],
        }
        for batch, apart in ((4, 2e-5), (16, 0.3))
    ],
}


def kernel(name, share, flops=4e7, data=1e6, seconds=1e-3, peer=""):
    figures = {"median_s": seconds, "bytes": data, "flops": flops, "share_of_ceiling": share}
    return {"name": name, "device": "host", "peer": peer, **figures}


KERNELS = {
    "format": "doppel-bench-1",
    "ceilings": {
        "host": {
            "copy_bytes_per_s": 2e10,
            "read_bytes_per_s": 2.2e10,
            "f32_flop_per_s": 2e11,
            "bf16_flop_per_s": 0,
        }
    },
    "rows": [
        kernel("fine", 0.9, flops=0, data=1.8e7),
        kernel("poor", 0.2),
        kernel("poor", 0.4, seconds=5e-4, peer="oneDNN"),
        {"name": "wrong", "device": "host", "peer": "", "error": "differs from the reference"},
    ],
}

ENGINE = {"engine": 43, "knobs": [[1, 2]], "ms": 0.2, "workspace": 2**21, "tensor_cores": True}
CONV = {"model": "tiny", "batch": 16, "shape": "conv", "flops": 4e9}
SLOW = {"variant": "plain", "engines": [{**ENGINE, "ms": 0.3}], "without_epilogue_ms": 0.25}
UNTIMED = {"variant": "padded", "engines": [{**ENGINE, "ms": None}]}
REFUSED = {"variant": "plain", "engines": [], "why_not": "refused"}
PLANS = {
    "context": {"suite": "doppel_plans", "dtype": "bf16"},
    "rows": [
        {
            **CONV,
            "direction": "forward",
            "best": "fused",
            "variants": [SLOW, {"variant": "fused", "engines": [ENGINE]}],
        },
        {**CONV, "direction": "backward data", "best": None, "variants": [REFUSED, UNTIMED]},
    ],
}

def results(*documents):
    collected = report.Results()
    for document in documents:
        collected.add(document)
    return collected


class Tables(unittest.TestCase):
    def test_steps_with_a_row_that_failed(self):
        lines = report.steps_table(STEPS["rows"]).splitlines()
        figures = "| 100 | 130 | 80.0 | 400 | 125 |  | 25 % | 1,024 | 2,048 | 1.50 | 40.0 | 40 % |"
        self.assertEqual(lines[2], "| tiny | 4 | f32 | real " + figures)
        self.assertIn("out of memory", lines[3])
        self.assertEqual({line.count("|") for line in lines}, {17})

    def test_predicted_beside_measured(self):
        step = {"model": "tiny", "batch": 4, "dtype": "f32"}
        predicted = [{**step, "median_ms": ms} for ms in (90.0, 50.0)]
        predicted += [{**step, "batch": 8, "median_ms": 1.0}]
        predicted += [{**step, "model": "villain", "batch": 64, "median_ms": 1.0}]
        lines = report.predictions_table(STEPS["rows"], predicted).splitlines()
        self.assertEqual(lines[2], "| tiny b4 f32 | 90.0 | 100 | 1.11 |  |")
        self.assertEqual(lines[3:], ["| tiny b4 f32 | 50.0 | 100 | 2.00 | find out why |"])
        self.assertEqual(report.predictions_table(STEPS["rows"], []), "")

    def test_ratios_name_the_best_and_refuse_a_race_whose_losses_differ(self):
        lines = report.ratios_table(RACE["races"]).splitlines()
        self.assertIn("| 100 | 180 | joined | **1.80x** (1.60-2.10) | 2.50x | 2e-05 |", lines[2])
        self.assertIn("too far: no race", lines[3])

    def test_a_race_without_peers(self):
        race = {**RACE["races"][0], "best_peer": None, "ratio_best": None}
        self.assertIn("no variant ran", report.ratios_table([race]))

    def test_variants_left_out_keep_their_reason(self):
        self.assertIn("left out: no compiler", report.race_table(RACE["races"][0]))

    def test_kernels_worst_first_and_no_number_for_a_wrong_one(self):
        head, _, rows = report.kernels_table(results(KERNELS).kernels).partition("\n\n")
        lines = rows.splitlines()
        self.assertIn("1 of 2 are under 85 %", head)
        names = [line.split("|")[1].strip() for line in lines[2:]]
        self.assertEqual(names, ["poor", "fine", "wrong"])
        self.assertIn("differs from the reference", lines[4])
        self.assertIn("| 20 % | 1,000 | 1.00 | 40.0 |", lines[2])

    def test_plans_name_engines_and_the_fastest_variant(self):
        lines = report.plans_table(results(PLANS).plans).splitlines()
        self.assertEqual({line.count("|") for line in lines}, {7})
        self.assertIn("| **0.200 ms, engine 43, 2.00 MiB** |", lines[2])
        self.assertIn("| 0.300 ms, engine 43, 2.00 MiB (0.250 without epilogue) |", lines[2])
        self.assertTrue(lines[2].endswith("| 20.0 |"), lines[2])  # 4 GFLOP in 0.2 ms
        self.assertIn("| no engine |", lines[3])
        self.assertIn("| engine 43, 2.00 MiB |", lines[3])

    def test_google_benchmarks_own_form(self):
        row = {"name": "adam", "real_time": 2.0, "time_unit": "ms"}
        rows = [
            {**row, "GB/s": 10.0, "share_of_ceiling": 0.5},
            {"name": "bad", "error_occurred": True, "error_message": "wrong"},
        ]
        kernel = results({"context": {}, "benchmarks": rows}).kernels
        self.assertAlmostEqual(kernel[0]["bytes"], 2e7)
        self.assertEqual((kernel[0]["share"], kernel[1]["error"]), (0.5, "wrong"))

    def test_what_is_none_of_these_is_refused(self):
        with self.assertRaises(ValueError):
            results({"context": {}, "rows": []})


class Numbers(unittest.TestCase):
    def test_numbers_keep_three_digits(self):
        values = (0, 0.01234, 1.5, 12.34, 123.4, 12345)
        texts = ["0", "0.0123", "1.50", "12.3", "123", "12,345"]
        self.assertEqual([report.number(value) for value in values], texts)


@unittest.skipUnless(HAS_MATPLOTLIB, "no matplotlib")
class Plots(unittest.TestCase):
    def check(self, name, words):
        import plots

        with tempfile.TemporaryDirectory() as folder:
            plots.write(results(STEPS, RACE, KERNELS), pathlib.Path(folder))
            root = xml.etree.ElementTree.parse(f"{folder}/{name}.svg").getroot()
        text = " ".join(root.itertext())
        for word in words:
            self.assertIn(word, text)

    def test_are_svg_with_their_figures(self):
        self.check("roofline", ["200 GFLOP/s, 22.0 GB/s", "another library"])
        self.check("step_parts", ["tiny b4 f32", "125 ms; the step 100", "60.0", "40.0 ms floor"])
        self.check("ratio", ["tiny f32: 1.80, 1.80", "batch per person"])

    def test_no_data_no_plot(self):
        import plots

        self.assertIsNone(plots.roofline([], {}))
        self.assertIsNone(plots.step_parts([]))
        self.assertIsNone(plots.ratio([]))


class Program(unittest.TestCase):
    def run_on(self, folder, *arguments):
        command = [sys.executable, "-B", REPORT / "report.py", *arguments]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True)

    def test_writes_tables_and_plots_and_names_unreadable_files(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            records = {"steps": STEPS, "race": RACE, "kernels": KERNELS, "plans": PLANS}
            for name, document in records.items():
                (folder / f"{name}.json").write_text(json.dumps(document))
            (folder / "cut.json").write_text('{"context": {')
            files = sorted(folder.glob("*.json"))
            done = self.run_on(folder, *files, "--out", "report.md")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("cut.json left out", done.stderr)
            text = (folder / "report.md").read_text()
            for heading in ("## One training step", "## Against PyTorch", "## Kernels"):
                self.assertIn(heading, text)
            self.assertEqual(self.run_on(folder, "cut.json").returncode, 3)

            done = self.run_on(folder, *files, "--svg", "plots")
            if HAS_MATPLOTLIB:
                self.assertEqual(done.returncode, 0, done.stderr)
                names = sorted(path.name for path in (folder / "plots").iterdir())
                self.assertEqual(names, ["ratio.svg", "roofline.svg", "step_parts.svg"])
            else:
                self.assertEqual(done.returncode, 6)
                self.assertIn("install_deps.sh plots", done.stderr)


if __name__ == "__main__":
    unittest.main()
