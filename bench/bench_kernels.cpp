// Every kernel at a shape of the models' size, straight from the case table (tests/op_cases.h): host rows always, GPU rows where a
// device answers. A row is run once and held against the reference first; a kernel that computes the wrong thing gets no number.
// GB/s counts each array read or written once, so it compares with the memcpy row of the same run.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <chrono>
#include <cstring>
#include <map>
#include <thread>

#include "tests/op_runner.h"

namespace {

using namespace tests;

// Inputs and answers are the same for both devices and cost more than the kernel: kept for the row in hand.
struct Prepared {
  std::string name;
  std::vector<Bytes> inputs;
  std::vector<Values> want;
};
const Prepared& prepare(const OpCase& c) {
  static Prepared last;
  if (last.name != c.name) {
    last = {c.name, make_inputs(c), {}};
    last.want = expected(c, last.inputs);
  }
  return last;
}

void run_row(benchmark::State& state, const OpCase& c, kernels::Device device) {
  const Prepared& prepared = prepare(c);
  kernels::Stream& stream = kernels::Stream::of(device);
  const Placed placed(c, prepared.inputs, device, true);
  try {
    c.run(stream, placed.pointers());
    stream.synchronize();
    if (const std::string wrong = compare(c, placed.read(c), prepared.want); !wrong.empty()) return state.SkipWithError(wrong.c_str());
  } catch (const std::exception& error) {
    return state.SkipWithError(error.what());
  }
  // Launches on a GPU are queued; enough of them between two waits that the wait does not count.
  const int launches = device == kernels::Device::host ? 1 : 20;
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < launches; ++i) c.run(stream, placed.pointers());
    stream.synchronize();
    state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / launches);
  }
  using benchmark::Counter;
  if (c.bytes > 0) state.counters["GB/s"] = Counter(c.bytes / 1e9, Counter::kIsIterationInvariantRate);
  if (c.flops > 0) state.counters["GFLOP/s"] = Counter(c.flops / 1e9, Counter::kIsIterationInvariantRate);
}

// What the memory gives: each worker copies its share of 64 MiB.
void run_memcpy(benchmark::State& state) {
  const std::size_t bytes = 64 << 20, workers = simt::worker_count();
  const std::vector<char> source(bytes, 1);
  std::vector<char> destination(bytes, 2);
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<std::thread> threads;
    for (std::size_t w = 0; w < workers; ++w)
      threads.emplace_back([&, w] {
        const std::size_t first = bytes * w / workers, last = bytes * (w + 1) / workers;
        std::memcpy(destination.data() + first, source.data() + first, last - first);
      });
    for (std::thread& t : threads) t.join();
    state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  benchmark::DoNotOptimize(destination.data());
  state.counters["GB/s"] = benchmark::Counter(2.0 * static_cast<double>(bytes) / 1e9, benchmark::Counter::kIsIterationInvariantRate);
}

const int registered = [] {
  static const std::vector<OpCase> table = op_cases();
  const kernels::CudaReport cuda = kernels::probe_cuda();
  benchmark::AddCustomContext("workers", std::to_string(simt::worker_count()));
  benchmark::AddCustomContext("instructions", simt::instruction_set() == simt::InstructionSet::avx2 ? "avx2" : "baseline");
  benchmark::AddCustomContext("gpu", cuda.reason);
  benchmark::RegisterBenchmark("host/memcpy/64MiB", run_memcpy)->UseManualTime()->Unit(benchmark::kMicrosecond);
  for (const OpCase& c : table) {
    if (!c.bench || c.host_only) continue;
    for (const kernels::Device device : {kernels::Device::host, kernels::Device::cuda}) {
      if (device == kernels::Device::cuda && !cuda.available) continue;
      benchmark::RegisterBenchmark(fmt::format("{}/{}", kernels::name(device), c.name).c_str(), [&c, device](benchmark::State& state) { run_row(state, c, device); })
          ->UseManualTime()
          ->Unit(benchmark::kMicrosecond);
    }
  }
  return 0;
}();

}  // namespace

BENCHMARK_MAIN();
