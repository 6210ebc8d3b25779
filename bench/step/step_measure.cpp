#include "bench/step/step_measure.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <optional>
#include <vector>

#include "bench/ab/statistics.h"
#include "bench/step/step_work.h"
#include "bench/suite/ceilings.h"
#include "bench/suite/machine.h"
#include "faceswap/train/face_set.h"
#include "faceswap/train/plan_memory.h"
#include "kernels/core/device.h"
#include "kernels/simt/config.h"
#include "nn/step_graph.h"

namespace bench::step {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::ordered_json;
using nn::Tensor;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

std::size_t resident_peak() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) << 10;
}

// Field 22 of /proc/self/stat is the start of the process, in clock ticks since boot.
double process_age() {
  std::ifstream file("/proc/self/stat");
  std::string field;
  std::getline(file, field, ')');  // the name, which may hold spaces
  for (int i = 3; i <= 22; ++i) file >> field;
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec) -
         std::strtod(field.c_str(), nullptr) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

nn::DType dtype_of(const std::string& name) {
  if (name == "f32" || name == "tf32") return nn::DType::f32;
  if (name == "bf16") return nn::DType::bf16;
  if (name == "f16") return nn::DType::f16;
  throw nn::Error(nn::ErrorKind::usage,
                  fmt::format("unknown precision '{}': choose f32, tf32, bf16 or f16", name));
}

// FLOP/s and bytes/s at most, for products in this precision.
struct Roofline {
  double flops_per_second = 0, bytes_per_second = 0;
};

Roofline roofline(nn::Device device, nn::DType dtype) {
  const Ceilings c = measure_ceilings(device, OpenBlas(OpenBlas::default_names()));
  // The host widens f16 to f32, so f16 has no ceiling of its own there.
  const double half = dtype == nn::DType::bf16 ? c.bf16 : dtype == nn::DType::f16 ? c.f16 : 0;
  return {std::max({c.f32, half, kernels::allow_tf32 ? c.tf32 : 0}), c.copy};
}

// Divides the time from the start of the process to the end of the first step.
class StartClock {
 public:
  void lap(const char* phase) {
    const double now = process_age();
    phases_[phase] = now - last_;
    last_ = now;
  }
  ordered_json report() const {
    ordered_json all = phases_;
    all["total"] = last_;
    return all;
  }

 private:
  double last_ = 0;
  ordered_json phases_ = ordered_json::object();
};

struct Timing {
  std::vector<double> block_ms;
  double wall = 0, cpu = 0;
  int steps = 0;
};

Timing time_steps(kernels::Stream& stream, const StepOptions& o, int block,
                  const std::function<void()>& step) {
  Timing timing;
  const Clock::time_point begin = Clock::now();
  const double cpu_begin = cpu_seconds();
  while (o.steps > 0 ? timing.steps < o.steps
                     : timing.block_ms.size() < 3 || seconds_since(begin) < o.seconds) {
    const int count = o.steps > 0 ? std::min(block, o.steps - timing.steps) : block;
    const Clock::time_point sample = Clock::now();
    for (int i = 0; i < count; ++i) step();
    stream.synchronize();
    timing.block_ms.push_back(seconds_since(sample) * 1e3 / count);
    timing.steps += count;
  }
  timing.wall = seconds_since(begin);
  timing.cpu = cpu_seconds() - cpu_begin;
  return timing;
}

// Times the phases with a wait after each. On a GPU that excludes the graph, so their
// sum is more than a step.
ordered_json time_phases(faceswap::Model& model, nn::DType dtype, const StepOptions& o,
                         const std::array<faceswap::FacesOnDevice, 2>* faces,
                         nn::StepStateBlock& state, double step_ms, const Roofline& roof) {
  kernels::Stream& stream = kernels::Stream::of(model.arena().device());
  PhasedStep step(model, dtype, o.batch, faces, o.seed, 1, state);
  const int repeats = std::clamp(static_cast<int>(3000 / step_ms), 2, 50);
  std::array<std::vector<double>, PhasedStep::kPhases> times;
  for (int i = 0; i <= repeats; ++i) {
    std::size_t phase = 0;
    Clock::time_point begin = Clock::now();
    step.run([&](const char*) {
      stream.synchronize();
      if (i > 0) times[phase].push_back(seconds_since(begin) * 1e3);
      ++phase;
      begin = Clock::now();
    });
  }
  ordered_json phases = ordered_json::array();
  const auto costs = count_costs(o.model, dtype, o.batch, faces != nullptr, roof.flops_per_second,
                                 roof.bytes_per_second);
  for (std::size_t i = 0; i < costs.size(); ++i)
    phases.push_back({{"name", costs[i].name},
                      {"median_ms", median(times[i])},
                      {"launches", costs[i].launches},
                      {"flops", costs[i].flops},
                      {"bytes", costs[i].bytes},
                      {"floor_ms", costs[i].floor_seconds * 1e3}});
  return phases;
}
}  // namespace

ordered_json context(const std::string& device_name) {
  const nn::Device device = kernels::choose_device(device_name);
  const ordered_json machine = describe_machine();
  ordered_json c{{"suite", "doppel_step"},
                 {"date", machine["date"]},
                 {"version", DOPPEL_VERSION},
                 {"device", kernels::name(device)},
                 {"processor", machine["cpu"]["model"]},
                 {"threads", machine["cpu"]["workers"]},
                 {"load_average", load_average()},
                 {"onednn", bool{DOPPEL_HAS_ONEDNN}}};
  if (device == nn::Device::cuda) {
    const ordered_json& gpu = machine["gpu"];
    c.update({{"gpu", gpu["name"]},
              {"compute_capability", gpu["compute_capability"]},
              {"driver", gpu["cuda_of_driver"]},
              {"cuda_runtime", gpu["cuda_runtime"]}});
  }
  return c;
}

ordered_json measure_step(const StepOptions& o) {
  StartClock start;
  start.lap("process");
  const nn::DType dtype = dtype_of(o.dtype);
  const nn::Device device = kernels::choose_device(o.device);
  if (o.dtype == "tf32" && device == nn::Device::host)
    throw nn::Error(
        nn::ErrorKind::usage,
        "tf32 is a precision of a GPU's tensor cores: on the host use f32, bf16 or f16");
  kernels::allow_tf32 = o.dtype == "tf32";
  kernels::Stream& stream = kernels::Stream::of(device);
  start.lap("device");
  const std::unique_ptr<faceswap::Model> model = faceswap::make_model(o.model);
  model->arena().allocate(device, dtype, o.seed);
  nn::StepState initial;
  initial.seed = o.seed;
  if (dtype == nn::DType::f16)  // as in the trainer and in torch.amp.GradScaler
    initial.loss_scale = 65536.f, initial.scale_interval = 2000;
  nn::StepStateBlock state(device, initial);
  stream.synchronize();
  start.lap("model");

  int warmup = std::max(o.warmup, 1);  // and more, until a GPU's step is captured
  constexpr int kMostSettling = 32;
  constexpr int kFaces = 16;
  const bool real = o.mode == "real";
  const int stored = faceswap::stored_size_for(model->size());
  std::optional<SyntheticFaces> faces;
  if (real) faces.emplace(device, stored, kFaces);
  start.lap("faces");
  faceswap::StepPlan plan;
  plan.batch = o.batch;
  std::optional<faceswap::TrainingStep> training;
  std::optional<PhasedStep> fixed;
  if (real) training.emplace(*model, dtype, faces->on_device(), state, plan);
  else
    fixed.emplace(*model, dtype, o.batch, nullptr, o.seed, warmup + kMostSettling + o.steps, state);
  if (!o.dump.empty() && fixed) fixed->dump(o.dump);
  stream.synchronize();
  start.lap("step");

  std::optional<nn::StepGraph> graph(device);
  const auto step = [&] {
    graph->run([&] {
      if (real) training->run();
      else fixed->run();
    });
  };
  ordered_json row{{"model", o.model}, {"batch", o.batch},
                   {"dtype", o.dtype}, {"device", kernels::name(device)},
                   {"mode", o.mode},   {"parameters", model->arena().count()}};
  if (!o.dump.empty() && o.steps == 0) return row;
  for (int i = 0; i < warmup || graph->settling(); ++i) {
    step();
    stream.synchronize();
    if (i == 0) start.lap("first_step");
    warmup = std::max(warmup, i + 1);
  }
  const double ready = process_age();

  const int block = o.block > 0 ? o.block : device == nn::Device::cuda ? 10 : 1;
  const Timing timing = time_steps(stream, o, block, step);
  const std::size_t peak = kernels::pool_stats(device).peak_bytes, resident = resident_peak();
  const double median_ms = median(timing.block_ms);
  const Tensor losses = real ? training->losses() : fixed->losses();
  const std::vector<float> loss_rows = losses.to_host<float>();
  const std::int64_t done = warmup + timing.steps,
                     kept = std::min<std::int64_t>(done, losses.shape(0));
  std::vector<float> loss[2];
  for (std::int64_t i = done - kept; i < done; ++i)
    for (std::size_t k = 0; k < 2; ++k)
      loss[k].push_back(loss_rows[2 * static_cast<std::size_t>(i % losses.shape(0)) + k]);

  row.update({{"warmup", warmup},
              {"steps", timing.steps},
              {"block", block},
              {"ms", timing.block_ms},
              {"median_ms", median_ms},
              {"p95_ms", quantile(timing.block_ms, 0.95)},
              {"min_ms", quantile(timing.block_ms, 0)},
              {"faces_per_second", 2e3 * o.batch / median_ms}});
  if (!real) row.update({{"loss_a", loss[0]}, {"loss_b", loss[1]}});
  row["final_loss"] = {loss[0].back(), loss[1].back()};
  if (dtype == nn::DType::f16) {
    const nn::StepState now = state.read();
    row.update({{"loss_scale", now.loss_scale}, {"skipped_steps", now.skipped}});
  }
  row["graph"] = graph->captured();
  if (device == nn::Device::cuda && !graph->captured()) row["graph_why_not"] = graph->why_not();
  row["graph_nodes"] = nullptr;
  if (graph->captured()) row["graph_nodes"] = graph->node_count();
  // Of the cores' time, the share outside this process. For a GPU it needs a profiler.
  row["idle_share"] = nullptr;
  if (device == nn::Device::host)
    row["idle_share"] = std::max(0.0, 1 - timing.cpu / (timing.wall * simt::worker_count()));
  row["cpu_share"] = timing.cpu / timing.wall;
  row["peak_bytes"] = peak;
  row["resident_bytes"] = resident;
  row["start_seconds"] = start.report();
  row["ready_seconds"] = ready;

  if (!o.phases) return row;
  graph.reset();
  training.reset();
  fixed.reset();
  kernels::release_cached(device);
  const std::size_t face_bytes = real ? 2 * std::size_t{kFaces} * static_cast<std::size_t>(stored) *
                                            static_cast<std::size_t>(stored) * 4
                                      : 0;
  const faceswap::MemoryForecast forecast =
      faceswap::forecast_memory(o.model, device, dtype, plan, face_bytes);
  row["launches"] = forecast.launches;
  row["forecast_bytes"] = forecast.total();
  const Roofline roof = roofline(device, dtype);
  row["ceilings"] = {{"flops_per_second", roof.flops_per_second},
                     {"bytes_per_second", roof.bytes_per_second}};
  std::array<faceswap::FacesOnDevice, 2> views{};
  if (real) views = faces->on_device();
  row["parts"] = time_phases(*model, dtype, o, real ? &views : nullptr, state, median_ms, roof);
  double floor_ms = 0, flops = 0;
  for (const ordered_json& phase : row["parts"]) {
    floor_ms += phase["floor_ms"].get<double>();
    flops += phase["flops"].get<double>();
  }
  row["floor_ms"] = floor_ms;
  row["flops"] = flops;
  return row;
}
}  // namespace bench::step
