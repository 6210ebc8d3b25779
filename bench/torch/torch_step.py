"""The PyTorch side of the race: one process, one variant. compare_step.py starts it with a task in
JSON and reads one JSON line.

    torch_step.py --probe                     the features of the installed PyTorch
    torch_step.py '{"variant": {...}, ...}'   loads doppel_step's weights and pictures, trains

A variant is one form of the step in PyTorch:
    calls     "two": the encoder called once per person, as in Faceswap; "joined": once for both
    layout    "nchw" or "channels_last"
    tuned     cudnn.benchmark and the fused Adam
    engine    "eager"; "compile": forward and losses through torch.compile(mode="max-autotune");
              "graph": the whole step as a CUDA graph
bfloat16 and float16 are autocast in every variant, with float32 weights, as in doppel. The loss of
float16 is scaled by GradScaler, from 65536 and doubled after 2000 finite steps, as in doppel; both
sides skip a step whose gradients are not finite.
"""

import json
import os
import pathlib
import re
import resource
import sys
import time

# For models and tensor_file, which need PyTorch and numpy.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "torch"))


def process_start():
    """The start of this process in time.time(), before that of the interpreter."""
    with open("/proc/self/stat") as stat:
        ticks = int(stat.read().rpartition(")")[2].split()[19])
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.time() - (uptime - ticks / os.sysconf("SC_CLK_TCK"))


def loaded_blas():
    with open("/proc/self/maps") as maps:
        paths = re.findall(r"/\S*(?:blas|mkl)\S*\.so\S*", maps.read())
    return sorted({os.path.realpath(path) for path in paths})


def probe():
    import torch

    torch.ones(64, 64) @ torch.ones(64, 64)  # loads the BLAS
    try:
        torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], fused=True)
        fused_on_cpu = True
    except (RuntimeError, TypeError):
        fused_on_cpu = False
    cuda = torch.cuda.is_available()
    return {
        "torch": torch.__version__,
        "blas": loaded_blas(),
        "mkl": torch.backends.mkl.is_available(),
        "compile": hasattr(torch, "compile"),
        "fused_on_cpu": fused_on_cpu,
        "scaler_on_cpu": hasattr(torch.amp, "GradScaler"),  # for float16, since 2.3
        "cuda": cuda,
        "cuda_version": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if cuda else None,
        **({"gpu": torch.cuda.get_device_name()} if cuda else {}),
    }


class Step:
    """A training step of one variant, run by a call. `latest` has its losses, on the device."""

    def __init__(self, task):
        import torch

        import models
        import tensor_file

        self.torch, self.training_loss = torch, models.training_loss
        self.variant, self.batch = task["variant"], task["batch"]
        self.device = torch.device(task["device"])
        self.autocast = {"bf16": torch.bfloat16, "f16": torch.float16}.get(task["dtype"])
        self.engine, tuned = self.variant["engine"], self.variant["tuned"]
        torch.set_num_threads(task["threads"])
        on_gpu = self.device.type == "cuda"
        if on_gpu:
            tf32 = task["dtype"] == "tf32"
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
            torch.backends.cudnn.benchmark = tuned
        channels_last = self.variant["layout"] == "channels_last"
        layout = torch.channels_last if channels_last else torch.contiguous_format
        model, _ = models.load(task["start"])
        self.model = model.to(self.device).to(memory_format=layout)
        arrays, _ = tensor_file.read(task["start"], ["input", "target", "mask"])
        self.input, self.target = (
            models.nchw(arrays[name]).to(self.device).contiguous(memory_format=layout)
            for name in ("input", "target")
        )
        self.mask = torch.from_numpy(arrays["mask"].copy())[:, None].to(self.device)
        options = {"fused": True} if tuned else {}
        if self.engine == "graph":
            options["capturable"] = True
        parameters = self.model.parameters()
        self.optimizer = torch.optim.Adam(parameters, 5e-5, (0.9, 0.999), 1e-7, **options)
        self.scaler = None
        if task["dtype"] == "f16":
            scaler = getattr(torch.amp, "GradScaler", None)  # before 2.3 for CUDA alone
            self.scaler = scaler(self.device.type) if scaler else torch.cuda.amp.GradScaler()
        self.forward = self.losses_of
        if self.engine == "compile":
            self.forward = torch.compile(self.losses_of, mode="max-autotune")
        self.latest, self.graph, self.runs = None, None, 0

    def losses_of(self, pictures, target, mask):
        n, model, torch = self.batch, self.model, self.torch
        dtype = self.autocast or torch.bfloat16
        with torch.autocast(self.device.type, dtype, enabled=self.autocast is not None):
            if self.variant["calls"] == "joined":
                codes = model.encoder(pictures).split(n)
            else:
                codes = [model.encoder(half) for half in pictures.split(n)]
            faces = [model.decoders[side](code) for side, code in zip("ab", codes)]
        targets = zip(faces, target.split(n), mask.split(n))
        return torch.stack([self.training_loss(face.float(), *wanted) for face, *wanted in targets])

    def work(self):
        compiler = getattr(self.torch, "compiler", None)
        if self.engine == "compile" and hasattr(compiler, "cudagraph_mark_step_begin"):
            compiler.cudagraph_mark_step_begin()  # frees the memory of max-autotune's graphs
        self.optimizer.zero_grad(set_to_none=True)
        losses = self.forward(self.input, self.target, self.mask)
        if self.scaler:
            self.scaler.scale(losses.sum()).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            losses.sum().backward()
            self.optimizer.step()
        return losses.detach()

    def __call__(self):
        """A graph is made as torch.cuda.graphs documents it: three steps on a side stream, then
        the capture, which runs nothing, then replays."""
        self.runs += 1
        if self.engine != "graph":
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
    """(kernels of one step, their milliseconds together) by torch.profiler; (None, None) if it
    fails, because this is no part of the race."""
    torch = step.torch
    cuda = torch.autograd.DeviceType.CUDA
    try:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
            step()
            step.wait()
        events = [event for event in profiler.events() if event.device_type == cuda]
        return len(events), sum(event.time_range.elapsed_us() for event in events) / 1e3
    except Exception:
        return None, None


def run(task):
    began = process_start()
    step = Step(task)
    loaded = time.time()
    curves, milliseconds, first = [], [], None

    def block(count):
        nonlocal first
        begin = time.perf_counter()
        for _ in range(count):
            step()
            curves.append(step.latest)
        step.wait()
        first = first or time.time()
        return (time.perf_counter() - begin) * 1e3 / count

    for _ in range(task["warmup"]):
        block(1)
    for done in range(0, task["steps"], task["block"]):
        milliseconds.append(block(min(task["block"], task["steps"] - done)))
    on_gpu = step.device.type == "cuda"
    curves = [values.tolist() for values in curves]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    if on_gpu:
        peak = step.torch.cuda.max_memory_allocated()
    launches, kernel_ms = profile(step) if on_gpu else (None, None)
    starts = {"load": loaded - began, "first_step": first - loaded, "total": first - began}
    return {
        **({"loss_scale": step.scaler.get_scale()} if step.scaler else {}),
        "ms": milliseconds,
        "loss_a": [a for a, _ in curves],
        "loss_b": [b for _, b in curves],
        "peak_bytes": peak,
        "launches": launches,
        "kernel_ms": kernel_ms,
        "start_seconds": starts,
        "blas": loaded_blas(),
    }


if __name__ == "__main__":
    print(json.dumps(probe() if sys.argv[1] == "--probe" else run(json.loads(sys.argv[1]))))
