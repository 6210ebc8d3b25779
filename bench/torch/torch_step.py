"""The PyTorch side of the race: one process, one variant. compare_step.py starts it with a task in JSON and reads one JSON line.

    torch_step.py --probe                     what the installed PyTorch offers
    torch_step.py '{"variant": {...}, ...}'   loads the weights and pictures that doppel_step dumped, trains, reports

A variant says how a PyTorch user would write the step:
    calls     "two": the encoder called once a side, as Faceswap does; "joined": once on both sides' pictures
    layout    "nchw" or "channels_last"
    tuned     cudnn.benchmark, and the fused Adam where this PyTorch has one
    engine    "eager"; "compile": forward pass and losses through torch.compile(mode="max-autotune"); "graph": the whole step captured as
              a CUDA graph and replayed
bfloat16 and float16 are autocast on every variant, with float32 weights: the same precision as doppel's. float16 has its loss scaled by
GradScaler, which begins at 65536 and doubles after 2000 good steps, as doppel's scale does; a step whose gradients are not finite is left
out on both sides. A reader who knows how to make one of these faster is asked to.
"""

import json
import os
import re
import resource
import sys
import time

PROCESS_BEGAN = time.time()


def process_start():
    """When the kernel started this process, as time.time() counts: before the interpreter was up."""
    try:
        with open("/proc/self/stat") as stat:
            ticks = int(stat.read().rpartition(")")[2].split()[19])
        return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, AttributeError):
        return PROCESS_BEGAN


def loaded_blas():
    with open("/proc/self/maps") as maps:
        return sorted({os.path.realpath(path) for path in re.findall(r"/\S*(?:blas|mkl)\S*\.so\S*", maps.read())})


def probe():
    import torch

    torch.ones(64, 64) @ torch.ones(64, 64)
    fused_on_cpu = False
    try:
        torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], fused=True)
        fused_on_cpu = True
    except (RuntimeError, TypeError):
        pass
    report = {
        "torch": torch.__version__,
        "blas": loaded_blas(),
        "mkl": torch.backends.mkl.is_available(),
        "compile": hasattr(torch, "compile"),
        "fused_on_cpu": fused_on_cpu,
        "scaler_on_cpu": hasattr(torch.amp, "GradScaler"),  # of float16: since 2.3
        "cuda": torch.cuda.is_available(),
        "cuda_version": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if torch.cuda.is_available() else None,
    }
    if report["cuda"]:
        report["gpu"] = torch.cuda.get_device_name()
    return report


class Step:
    """One training step of a variant. Call it; losses() are the latest step's, still on the device."""

    def __init__(self, task):
        import torch

        import models
        import tensor_file

        self.torch, self.models = torch, models
        self.variant, self.batch = task["variant"], task["batch"]
        self.device = torch.device(task["device"])
        self.autocast = {"bf16": torch.bfloat16, "f16": torch.float16}.get(task["dtype"])
        torch.set_num_threads(task["threads"])
        on_gpu = self.device.type == "cuda"
        if on_gpu:
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = task["dtype"] == "tf32"
            torch.backends.cudnn.benchmark = self.variant["tuned"]
        layout = torch.channels_last if self.variant["layout"] == "channels_last" else torch.contiguous_format
        model, _ = models.load(task["start"])
        self.model = model.to(self.device).to(memory_format=layout)
        arrays, _ = tensor_file.read(task["start"], ["input", "target", "mask"])
        self.pictures, self.target = (models.nchw(arrays[name]).to(self.device).contiguous(memory_format=layout) for name in ("input", "target"))
        self.mask = torch.from_numpy(arrays["mask"].copy())[:, None].to(self.device)
        options = {}
        if self.variant["tuned"] and (on_gpu or task["fused_on_cpu"]):
            options["fused"] = True
        if self.variant["engine"] == "graph":
            options["capturable"] = True
        self.optimizer = torch.optim.Adam(self.model.parameters(), 5e-5, (0.9, 0.999), 1e-7, **options)
        self.scaler = None
        if task["dtype"] == "f16":
            scaler = getattr(torch.amp, "GradScaler", None)  # before 2.3 it is CUDA's alone
            self.scaler = scaler(self.device.type) if scaler else torch.cuda.amp.GradScaler()
        self.forward = torch.compile(self.losses_of, mode="max-autotune") if self.variant["engine"] == "compile" else self.losses_of
        self.latest, self.graph, self.runs = None, None, 0

    def losses_of(self, pictures, target, mask):
        n, model = self.batch, self.model
        with self.torch.autocast(self.device.type, self.autocast or self.torch.bfloat16, enabled=self.autocast is not None):
            codes = model.encoder(pictures).split(n) if self.variant["calls"] == "joined" else [model.encoder(part) for part in pictures.split(n)]
            faces = [model.decoders[side](code) for side, code in zip("ab", codes)]
        return self.torch.stack([self.models.training_loss(face.float(), *side) for face, side in zip(faces, zip(target.split(n), mask.split(n)))])

    def work(self):
        if self.variant["engine"] == "compile" and hasattr(self.torch, "compiler") and hasattr(self.torch.compiler, "cudagraph_mark_step_begin"):
            self.torch.compiler.cudagraph_mark_step_begin()  # max-autotune's own graphs may reuse the last step's memory from here on
        self.optimizer.zero_grad(set_to_none=True)
        losses = self.forward(self.pictures, self.target, self.mask)
        if self.scaler:
            self.scaler.scale(losses.sum()).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            losses.sum().backward()
            self.optimizer.step()
        return losses.detach()

    def __call__(self):
        """As torch.cuda.graphs asks for: three steps on a side stream, then the capture, which runs nothing, then replays."""
        self.runs += 1
        if self.variant["engine"] != "graph":
            self.latest = self.work().clone()
            return
        cuda = self.torch.cuda
        if self.runs <= 3:
            stream = cuda.Stream()
            stream.wait_stream(cuda.current_stream())
            with cuda.stream(stream):
                self.latest = self.work().clone()
            cuda.current_stream().wait_stream(stream)
            return
        if self.graph is None:
            self.graph = cuda.CUDAGraph()
            self.optimizer.zero_grad(set_to_none=True)
            with cuda.graph(self.graph):
                self.static_losses = self.work()
        self.graph.replay()
        self.latest = self.static_losses.clone()

    def wait(self):
        if self.device.type == "cuda":
            self.torch.cuda.synchronize()


def profile(step):
    """(kernels of one step, their milliseconds together) as torch.profiler sees them; (None, None) where it cannot."""
    torch = step.torch
    try:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
            step()
            step.wait()
        events = [event for event in profiler.events() if event.device_type == torch.autograd.DeviceType.CUDA]
        return len(events), sum(event.time_range.elapsed_us() for event in events) / 1e3
    except Exception:  # a measurement that is only an addition must not cost the race
        return None, None


def run(task):
    began = process_start()
    step = Step(task)
    loaded = time.time()
    curves, milliseconds, first = [], [], None
    for _ in range(task["warmup"]):
        step()
        step.wait()
        first = first or time.time()
        curves.append(step.latest)
    left = task["steps"]
    while left > 0:
        count = min(task["block"], left)
        begin = time.perf_counter()
        for _ in range(count):
            step()
            curves.append(step.latest)
        step.wait()
        milliseconds.append((time.perf_counter() - begin) * 1e3 / count)
        first = first or time.time()
        left -= count
    on_gpu = step.device.type == "cuda"
    curves = [values.tolist() for values in curves]
    peak = step.torch.cuda.max_memory_allocated() if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    launches, kernel_ms = profile(step) if on_gpu else (None, None)
    more = {"loss_scale": step.scaler.get_scale()} if step.scaler else {}
    return {
        **more,
        "ms": milliseconds,
        "loss_a": [a for a, _ in curves],
        "loss_b": [b for _, b in curves],
        "peak_bytes": peak,
        "launches": launches,
        "kernel_ms": kernel_ms,
        "start_seconds": {"load": loaded - began, "first_step": first - loaded, "total": first - began},
        "blas": loaded_blas(),
    }


if __name__ == "__main__":
    print(json.dumps(probe() if sys.argv[1] == "--probe" else run(json.loads(sys.argv[1]))))
