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


# The same step on a GPU: 100 ms, 60 ms of them forward.
GPU_STEPS = {
    "context": {**STEPS["context"], "gpu": "NVIDIA H200"},
    "rows": [{**STEPS["rows"][0], "device": "cuda"}],
}


def reckoned(name, ms, bound="memory", fits_l2=False):
    return {"name": name, "median_ms": ms, "floor_ms": ms / 2, "bound": bound, "fits_l2": fits_l2}


PREDICTED = {
    "card": "h200",
    "model": "tiny",
    "batch": 4,
    "dtype": "f32",
    "median_ms": 90.0,
    "floor_ms": 30.0,
    "goal_ms": 80.0,
    "nodes": 70,
    "parts": [{"name": "forward", "median_ms": 30.0}],
    "kernels": [
        reckoned("conv 5x5 stride 2 pad 1,2: [4,8] -> [4,4], forward", 20.0, "tensor cores"),
        reckoned("conv 3x3 stride 1 pad 1,1: [4,4] -> [4,4], forward", 10.0, "tensor cores"),
        reckoned("gemm 4x16x32", 5.0),
        reckoned("SumPieces", 4.0, fits_l2=True),
        reckoned("add_kernel", 3.0),
    ],
}
SUM = "void simt::on_gpu::block_kernel<kernels::on_gpu::<unnamed>::SumPieces<float, 1>>(T1)"
NEXT_STEP = "void kernels::on_gpu::(anonymous namespace)::advance_step_kernel(kernels::StepState *)"


def profile(*kernels, unit="ns"):
    """ncu's table of (name, ms)."""
    lines = ["==PROF== Connected", '"ID","Kernel Name","gpu__time_duration.sum"']
    lines.append(f'"","","{unit}"')
    return lines + [f'"{i}","{name}","{ms * 1e6:,.0f}"' for i, (name, ms) in enumerate(kernels)]


class Predictions(unittest.TestCase):
    def pairs(self, *documents, kernels=None, name="ncu_tiny_b4_f32"):
        collected = results(*documents)
        if kernels:
            collected.add_profile(name, profile(*kernels))
        pairs = report.pairs_of(collected, [PREDICTED])
        return {part: (predicted, measured) for _, part, predicted, measured, _ in pairs}

    def test_steps_and_phases_of_a_gpu_are_compared_and_no_hosts(self):
        self.assertEqual(self.pairs(GPU_STEPS), {"step": (90.0, 100.0), "forward": (30.0, 60.0)})
        self.assertEqual(self.pairs(STEPS), {})

    def test_more_than_30_percent_off_is_named(self):
        text = report.predictions_table(results(GPU_STEPS), [PREDICTED])
        self.assertIn("1 of 2 are off by more than 30 %: tiny b4 f32: forward 2.00x.", text)
        lines = text.splitlines()[4:]
        self.assertEqual(lines[0], "| tiny b4 f32 | step | 90.0 | 100 | 1.11 |  |  |")
        self.assertTrue(lines[1].endswith("| 2.00 | measured without the graph | find out why |"))
        self.assertEqual(report.predictions_table(results(GPU_STEPS), []), "")

    def test_kernels_by_family_in_the_last_whole_step(self):
        step = [(NEXT_STEP, 0.1), ("sm90_xmma_fprop_a", 15.0), ("sm90_xmma_fprop_b", 21.0)]
        step += [("nvjet_tst", 5.0), (SUM, 2.0), ("add_kernel", 3.0), ("nchwToNhwc", 1.0)]
        before, after = [(NEXT_STEP, 9.0), ("add_kernel", 99.0)], [(NEXT_STEP, 9.0)]
        pairs = self.pairs(kernels=before + step + after)
        expected = {"conv forward": (30.0, 36.0), "gemm": (5.0, 5.0), "SumPieces": (4.0, 2.0)}
        expected |= {"add_kernel": (3.0, 3.0), "other kernels": (0, 1.1)}
        self.assertEqual(set(pairs), set(expected))
        for family, times in expected.items():
            self.assertAlmostEqual(pairs[family][0], times[0])
            self.assertAlmostEqual(pairs[family][1], times[1])

    def test_a_profile_belongs_to_the_step_of_its_name(self):
        kernels = [("add_kernel", 3.0)]
        self.assertEqual(self.pairs(kernels=kernels), {"add_kernel": (3.0, 3.0)})
        self.assertEqual(self.pairs(kernels=kernels, name="ncu_tiny"), {})  # b16 bf16
        with self.assertRaises(ValueError):
            results().add_profile("ncu_tiny", profile(("add_kernel", 1.0), unit="us"))

    def test_what_fits_the_l2_cache_may_be_faster(self):
        collected = results()
        collected.add_profile("ncu_tiny_b4_f32", profile((SUM, 2.0)))
        self.assertIn("may come from L2", report.predictions_table(collected, [PREDICTED]))

    def test_the_section_without_a_card_and_with_one(self):
        other = {**PREDICTED, "card": "h100", "median_ms": 95.0}
        text = report.gpu_section(results(STEPS), [PREDICTED, other])
        self.assertIn("No card yet", text)
        self.assertIn("| h200 | tiny b4 f32 | 90.0 | 80.0 | 30.0 | 70 | conv 5x5", text)
        self.assertIn("| h100 | tiny b4 f32 | 95.0 |", text)
        text = report.gpu_section(results(GPU_STEPS), [PREDICTED, other])
        self.assertNotIn("No card yet", text)
        self.assertIn("NVIDIA H200, 2 threads", text)
        self.assertIn("| tiny b4 f32 | step | 90.0 | 100 | 1.11 |", text)
        self.assertNotIn("| tiny b4 f32 | step | 95.0 |", text)  # another card's prediction


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

            (folder / "results.md").write_text("\n".join(["# R", *report.MARKERS, "## After", ""]))
            (folder / "predicted").write_text(json.dumps({"steps": [PREDICTED]}))
            section = ["--predicted", "predicted", "--results", "results.md"]
            for _ in range(2):
                self.assertEqual(self.run_on(folder, *section).returncode, 0)
                text = (folder / "results.md").read_text()
                self.assertEqual(text.count("No card yet"), 1)
                self.assertTrue(text.startswith("# R\n") and text.endswith("\n## After\n"), text)
            (folder / "results.md").write_text("# R")
            done = self.run_on(folder, *section)
            self.assertEqual(done.returncode, 2)
            self.assertIn(report.MARKERS[0], done.stderr)

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
