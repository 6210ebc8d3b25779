// doppel_bench: the suite's rows under Google Benchmark, with its flags, repetitions
// and JSON. The timing is the suite's (suite.h), passed on as manual time.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "bench/suite/machine.h"
#include "bench/suite/suite.h"

namespace {

void run_row(benchmark::State& state, bench::Suite& suite, bench::Row& row) {
  if (!suite.check(row)) return state.SkipWithError(row.error.c_str());
  double seconds = 0;
  std::int64_t samples = 0;
  try {
    for (auto _ : state) {
      const double one = suite.time_row(row);
      state.SetIterationTime(one);
      seconds += one;
      ++samples;
    }
  } catch (const std::exception& error) { return state.SkipWithError(error.what()); }
  bench::Bound bound{};
  const double mean = seconds / static_cast<double>(samples);
  state.counters["share_of_ceiling"] = suite.share_of_ceiling(row, mean, &bound);
  if (row.op->bytes > 0) state.counters["GB/s"] = row.op->bytes / mean / 1e9;
  if (row.op->flops > 0) state.counters["TFLOP/s"] = row.op->flops / mean / 1e12;
  state.SetLabel(fmt::format("bound by {}", bench::name(bound)));
}
}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  bench::SuiteOptions options;
  options.every_case = true;
  bench::Suite suite(bench::cases::op_cases(), options);

  const nlohmann::ordered_json machine = bench::describe_machine();
  for (const char* part : {"commit", "date"})
    benchmark::AddCustomContext(part, machine.at(part).get<std::string>());
  for (const char* part : {"cpu", "gpu"})
    for (const auto& [key, value] : machine.at(part).items())
      benchmark::AddCustomContext(fmt::format("{}_{}", part, key),
                                  value.is_string() ? value.get<std::string>() : value.dump());
  benchmark::AddCustomContext("state_before", bench::machine_state().dump());
  for (const bench::PeerLibrary& library : suite.libraries())
    benchmark::AddCustomContext(library.name,
                                library.found ? library.version : "not found: " + library.reason);
  for (bench::Row& row : suite.rows())
    benchmark::RegisterBenchmark(row.name.c_str(),
                                 [&](benchmark::State& state) { run_row(state, suite, row); })
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond)
        ->Iterations(15);  // of many launches each
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
