"""The rehearsal of a visit to a GPU: bench/on_gpu.sh from a pack, on a machine played by
stand_in.sh, with a clock that runs SPEED times as fast. No test depends on a time."""

import os
import pathlib
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parents[2]
SPEED = 20
PROGRAMS = ["doppel", "doppel_step", "doppel_plans", "test_kernels", "test_nn", "test_faceswap"]
TOOLS = ["nvidia-smi", "ncu", "compute-sanitizer", "python3"]
MOST = 16 << 20
STEPS_1 = """device correct step_original_b16 step_original_b64 step_villain_b16 race_original_b16
    race_original_b64 race_villain_b16 plans kernels memcheck racecheck ncu race_compiled
    report""".split()


class Visit(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="doppel-visit-", ignore_cleanup_errors=True)
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)
        self.results, self.calls = self.folder / "results", self.folder / "calls"
        self.calls.touch()
        self.unpack()

    def unpack(self):
        """As bench/gpu_pack.sh packs, with stand-ins for the programs; then unpacked."""
        packed = self.folder / "pack.tar.gz"
        with tarfile.open(packed, "w:gz") as pack:
            for path in ["bench/on_gpu.sh", "bench/visit", "bench/torch", "bench/report",
                         "tools/torch"]:
                pack.add(SOURCE / path, f"doppel-gpu/{path}")
            for name in PROGRAMS:
                pack.add(HERE / "stand_in.sh", f"doppel-gpu/sm90a/{name}")
            for person in "ab":
                pack.add(HERE / "stand_in.sh", f"doppel-gpu/faces/{person}/face.png")
        with tarfile.open(packed) as pack:
            pack.extractall(self.folder)
        (self.folder / "bin").mkdir()
        for name in TOOLS:
            (self.folder / "bin" / name).symlink_to(HERE / "stand_in.sh")

    def start(self, *options, **environment):
        return subprocess.Popen(
            ["bash", self.folder / "doppel-gpu/bench/on_gpu.sh", *map(str, options),
             "--speed", str(SPEED), "--results", "results"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.folder,
            env={"PATH": f"{self.folder}/bin:/usr/bin:/bin", "CALLS": str(self.calls),
                 "REAL_PYTHON": sys.executable, "TMPDIR": str(self.folder), **environment},
        )

    def visit(self, *options, **environment):
        """Runs one; its exit code and {step: state}."""
        running = self.start(*options, **environment)
        self.output, _ = running.communicate(timeout=110)
        return running.returncode, self.states(2 if 2 in options else 1)

    def states(self, visit=1):
        text = (self.results / f"visit_{visit}.status.tsv").read_text()
        return {line.split("\t")[0]: line.split("\t")[1] for line in text.splitlines()}

    def packed(self, kind, visit=1):
        """The names in a file of the results, which must be whole."""
        with tarfile.open(self.results / f"visit_{visit}.{kind}.tar.gz") as file:
            names = file.getnames()
            for member in file:
                if member.isfile():
                    file.extractfile(member).read()
        return {pathlib.Path(name).name for name in names}

    def wait_for(self, what):
        for _ in range(600):
            if what():
                return
            time.sleep(0.1)
        self.fail(f"never came: {self.calls.read_text()}")

    def test_both_visits_come_home_in_eight_files(self):
        code, states = self.visit("--short")
        self.assertEqual(states, {name: "ok" for name in STEPS_1}, self.output)
        self.assertEqual(code, 0, self.output)
        code, states = self.visit("--short", 2)
        self.assertEqual(set(states.values()), {"ok"}, self.output)
        self.assertEqual(code, 0, self.output)

        files = list(self.results.iterdir())
        self.assertEqual(len(files), 8, files)
        self.assertLessEqual(max(file.stat().st_size for file in files), MOST)
        self.assertLessEqual(
            {"doctor.json", "ceilings.json", "test_kernels_Gpucuda.json", "losses_card.json",
             "test_kernels_Conv9.json", "test_nn_Gpucuda.json", "steps_original_b16_bf16.json",
             "steps_villain_b16_bf16.json", "race_original_b16.json", "race_compiled.json",
             "plans_original.json", "kernels.json", "report.md"}, self.packed("json"))
        self.assertLessEqual({"device_properties.json", "cudnn-plans.txt", "ncu_original.csv",
                              "ncu_original_kernel_7.csv"}, self.packed("data"))
        self.assertNotIn("ncu_original_kernel_2.csv", self.packed("data"))  # not of the slowest
        self.assertLessEqual({"facts.log", "correct.log", "ncu.log"}, self.packed("logs"))
        self.assertLessEqual({"preview_villain.png", "losses_original.csv"},
                             self.packed("data", 2))

        calls = self.calls.read_text().splitlines()
        tests = [call for call in calls if " --gtest_filter" in call]
        self.assertTrue(tests)
        for call in tests:
            self.assertTrue(call.startswith("DOPPEL_MEASURE_PLANS=0 "), call)
        self.assertNotIn("Gemm/0", "".join(tests))  # the host's
        for call in calls:  # the card stays as it is
            if " nvidia-smi" in call:
                self.assertRegex(call, r"nvidia-smi( --query-gpu=.*| -q -d [A-Z,]*| ?)$")
            if " ncu " in call:
                self.assertIn("--clock-control none", call)
                self.assertIn("--graph-profiling node", call)

    def test_a_fault_costs_its_own_step_alone(self):
        (self.folder / "bin/compute-sanitizer").unlink()
        faults = ("--model?villain=hang batch?64=late Conv/9=crash doppel?bench=fail "
                  "doppel_plans=fail compare_step=fail")
        code, states = self.visit("--short", FAULTS=faults)
        self.assertEqual(code, 1)
        wanted = dict.fromkeys(STEPS_1, "ok") | {
            "device": "FAILED", "correct": "FAILED", "step_original_b64": "cut",
            "step_villain_b16": "cut", "race_original_b16": "FAILED",
            "race_original_b64": "FAILED", "race_villain_b16": "FAILED",
            "plans": "FAILED", "kernels": "FAILED", "memcheck": "not here",
            "racecheck": "not here", "race_compiled": "FAILED"}
        self.assertEqual(states, wanted, self.output)
        self.assertIn("steps_original_b64_bf16.json", self.packed("json"))  # written, then cut
        self.assertIn("test_nn_Gpucuda.json", self.packed("json"))  # beside the crash

    def test_a_step_that_lost_its_graph_is_a_failure(self):
        code, states = self.visit("--short", "--only", "step_original_b16", FAULTS="step=eager")
        self.assertEqual((code, states), (1, {"step_original_b16": "FAILED"}), self.output)

    def test_a_stopped_visit_leaves_readable_results(self):
        running = self.start("--short", FAULTS="--model?original=late")
        self.wait_for(lambda: "doppel_step --device" in self.calls.read_text())
        time.sleep(1)
        running.send_signal(signal.SIGTERM)
        output, _ = running.communicate(timeout=60)
        self.assertEqual(running.returncode, 143, output)
        self.assertEqual(self.states(), {"device": "ok", "correct": "ok",
                                         "step_original_b16": "cut"}, output)
        self.assertIn("steps_original_b16_bf16.json", self.packed("json"))
        self.assertEqual(len(list(self.results.iterdir())), 4)

    def test_a_killed_visit_leaves_readable_results(self):
        running = self.start("--short", FAULTS="--model?original=late")
        json = self.results / "visit_1.json.tar.gz"
        self.wait_for(lambda: json.exists()
                      and "steps_original_b16_bf16.json" in self.packed("json"))
        running.kill()
        running.communicate(timeout=60)
        self.assertEqual(self.states(), {"device": "ok", "correct": "ok"})
        for kind in ("json", "logs", "data"):
            self.packed(kind)

    def test_the_clock_leaves_out_late_steps(self):
        code, states = self.visit("--short", "--seconds", 220, PACE="6")
        self.assertEqual(states["device"], "ok", self.output)
        self.assertEqual(states["race_compiled"], "no time", self.output)
        self.assertEqual(states["report"], "ok", self.output)
        self.assertIn(code, (0, 1))

    def test_a_file_that_is_too_large_stays_there_and_is_named(self):
        _, states = self.visit("--short", 2, "--only", "train_original", FAULTS="train=huge")
        self.assertEqual(states, {"train_original": "ok", "data": "too large"})
        self.assertFalse([file for file in self.results.iterdir() if file.stat().st_size > MOST])

    def test_without_a_gpu_every_step_says_so(self):
        (self.folder / "bin/nvidia-smi").unlink()
        code, states = self.visit("--short")
        del states["report"]
        self.assertEqual((code, set(states.values())), (0, {"not here"}), self.output)
        self.assertIn("no GPU", self.output)

    def test_libraries_come_from_pythons_packages_too(self):
        packages = self.folder / "site-packages"
        (packages / "nvidia/cudnn/lib").mkdir(parents=True)
        self.visit("--short", "--only", "device", PACKAGES=str(packages))
        with tarfile.open(self.results / "visit_1.logs.tar.gz") as file:
            facts = file.extractfile("logs/facts.log").read().decode()
        self.assertIn(f"LD_LIBRARY_PATH={packages}/nvidia/cudnn/lib", facts)

    def test_the_packed_python_programs_have_their_modules(self):
        for program in ("bench/torch/compare_step.py", "bench/report/report.py"):
            done = subprocess.run(
                [sys.executable, "-B", self.folder / "doppel-gpu" / program, "--help"],
                capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((self.folder / "doppel-gpu/tools/torch/models.py").exists())

    def test_usage(self):
        for options in (["--shrt"], ["--seconds"]):
            done = subprocess.run(["bash", SOURCE / "bench/on_gpu.sh", *options],
                                  capture_output=True)
            self.assertEqual(done.returncode, 2, options)


if __name__ == "__main__":
    unittest.main()
