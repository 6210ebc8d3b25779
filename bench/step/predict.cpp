#include "bench/step/predict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bench/step/step_work.h"

namespace bench::step {
namespace {

using nlohmann::ordered_json;

constexpr double kGap = 1.1e-6;       // between two nodes of a graph
constexpr double kShortest = 1.0e-6;  // of any kernel

// The share of a ceiling that a kernel reaches, and the least time it takes. The first
// name that a launch contains counts.
struct Efficiency {
  const char* name;
  double memory, arithmetic, least = kShortest;
};
constexpr Efficiency kEfficiencies[] = {
    // cuDNN's Hopper kernels: 70 to 80 % of a product's rate where tiles fill the card, less
    // for the gradients, whose operands are gathered with strides. Filling the pipeline and
    // draining it takes microseconds.
    {", forward", 0.85, 0.75, 4e-6},
    {", backward data", 0.85, 0.70, 4e-6},
    {", backward filter", 0.80, 0.65, 5e-6},
    {"gemm", 0.80, 0.80, 3e-6},          // few rows: the weights' bytes, read once
    {"adam", 0.90, 0.50},                // seven long streams
    {"Dssim", 0.60, 0.35},               // barriers, and windows that are read from shared memory
    {"augment", 0.50, 0.15},             // gathers; cube roots in the special function units
    {"draw_recipes", 0.50, 0.15, 5e-6},  // a chain of Philox rounds and logarithms
    {"depthwise_filter", 0.30, 0.10, 30e-6},  // 128 loads, each after the one before
    {"depthwise", 0.60, 0.20},
    {"", 0.85, 0.50},  // 16 bytes an access, several in flight
};

const Efficiency& efficiency_of(const std::string& launch) {
  return *std::find_if(std::begin(kEfficiencies), std::end(kEfficiencies),
                       [&](const auto& e) { return launch.find(e.name) != std::string::npos; });
}

// A library's tiles of the result, each on one multiprocessor, and their speed relative
// to the largest.
struct Tile {
  double m, n, speed;
};
constexpr Tile kTiles[] = {{128, 128, 1}, {128, 64, 0.85}, {64, 128, 0.85},
                           {64, 64, 0.7}, {128, 32, 0.6},  {32, 128, 0.6}};
// The share of the card that the best tiling keeps busy: the last wave runs as long as the
// others. Sums over pixels or features may be cut into pieces of 512 terms at least.
double fill_of(const kernels::CountedProduct& p, bool splits, const Card& card) {
  double best = 0;
  const int most = splits ? std::clamp(static_cast<int>(p.k / 512), 1, 16) : 1;
  for (const Tile& tile : kTiles)
    for (int pieces = 1; pieces <= most; ++pieces) {
      const double tiles = std::ceil(p.m / tile.m) * std::ceil(p.n / tile.n),
                   waves = std::ceil(tiles * pieces / card.multiprocessors),
                   room = waves * card.multiprocessors * tile.m * tile.n / pieces;
      best = std::max(best, tile.speed * p.m * p.n / room);
    }
  return best;
}
}  // namespace

const std::vector<Card>& cards() {
  // h200: copies and products as measured on such cards; h100: the SXM; others: 90 % of the
  // data sheet's bytes, 80 % of its FLOPs (dense, FP32 sums).
  static const std::vector<Card> all{
      {"h200", 132, 4.3e12, 790e12, 400e12, 60e12, 60e6},
      {"h100", 132, 3.0e12, 790e12, 400e12, 60e12, 50e6},
      {"a100", 108, 1.8e12, 250e12, 125e12, 16e12, 40e6},  // SXM, 80 GB
      {"rtx4090", 128, 0.91e12, 132e12, 66e12, 66e12, 72e6},
      {"rtx3090", 82, 0.84e12, 57e12, 28e12, 28e12, 6e6},
  };
  return all;
}

const std::vector<WantedStep>& goals() {
  static const std::vector<WantedStep> all{{"original", "bf16", 16, 1.6},
                                           {"original", "bf16", 64, 3.6},
                                           {"villain", "bf16", 16, 19},
                                           {"dfl_sae", "bf16", 16, 17}};
  return all;
}

LaunchTime predict(const kernels::CountedLaunch& launch, const Card& card, double flops) {
  const kernels::CountedProduct& p = launch.product;
  const Efficiency& e = efficiency_of(launch.name);
  const bool product = p.m > 0, splits = launch.name.find("gemm") == 0 ||
                                         launch.name.find("filter") != std::string::npos;
  const double fill = product ? fill_of(p, splits, card) : 1,
               work = product ? 2 * p.m * p.n * p.k : launch.flops,
               speed = product ? flops : card.fp32,
               arithmetic = work / (speed * fill * e.arithmetic),
               memory = (launch.bytes + p.copied_bytes) / (card.bytes * e.memory);
  LaunchTime time{std::max({arithmetic, memory, e.least}), 0, e.memory, fill, "memory"};
  if (arithmetic > memory) {
    time.efficiency = e.arithmetic;
    time.bound = product && flops > card.fp32 ? "tensor cores" : "FP32";
  }
  if (e.least >= std::max(arithmetic, memory)) time.bound = "latency";
  if (counts_for_floor(launch))
    time.floor = std::max(launch.flops / speed, launch.bytes / card.bytes);
  return time;
}

std::string bare_name(const std::string& launch) {
  const std::size_t key = launch.find("K = ");
  if (key == std::string::npos) return launch;
  std::size_t first = key + 4;
  constexpr std::string_view wrapper = "block_kernel<";
  const std::size_t wrapped = launch.find(wrapper);
  if (wrapped != std::string::npos) first = wrapped + wrapper.size();
  const std::string name = launch.substr(first, launch.find_first_of("<>];", first) - first);
  const std::size_t scope = name.rfind("::");
  return scope == std::string::npos ? name : name.substr(scope + 2);
}

ordered_json predict_step(const Card& card, const WantedStep& wanted) {
  struct Kernel {
    std::string name;
    int launches;
    double bytes, flops, seconds, floor;
    LaunchTime longest;
  };
  const double speed = wanted.dtype == "f32"    ? card.fp32
                       : wanted.dtype == "tf32" ? card.tf32
                                                : card.half;
  faceswap::StepPlan plan;
  plan.batch = wanted.batch;
  std::vector<Kernel> kernels{{"gaps between nodes", 0, 0, 0, 0, 0, {0, 0, 1, 1, "latency"}}};
  ordered_json phases = ordered_json::array();
  for (const CountedPhase& phase : count_step(wanted.model, dtype_of(wanted.dtype), plan, true)) {
    double seconds = 0, floor = 0;
    for (const kernels::CountedLaunch& launch : phase.launches) {
      const LaunchTime time = predict(launch, card, speed);
      const std::string name = bare_name(launch.name);
      auto kernel = std::find_if(kernels.begin(), kernels.end(),
                                 [&](const Kernel& k) { return k.name == name; });
      if (kernel == kernels.end()) kernel = kernels.insert(kernel, {name, 0, 0, 0, 0, 0, {}});
      ++kernel->launches;
      kernel->bytes += launch.bytes;
      kernel->flops += launch.flops;
      kernel->seconds += time.seconds;
      kernel->floor += time.floor;
      if (time.seconds > kernel->longest.seconds) kernel->longest = time;
      const int nodes = 1 + launch.product.copies;
      kernels[0].launches += nodes;
      kernels[0].seconds += nodes * kGap;
      seconds += time.seconds + nodes * kGap;
      floor += time.floor;
    }
    phases.push_back(
        {{"name", phase.name}, {"median_ms", seconds * 1e3}, {"floor_ms", floor * 1e3}});
  }
  ordered_json step{{"card", card.name},
                    {"model", wanted.model},
                    {"batch", wanted.batch},
                    {"dtype", wanted.dtype},
                    {"nodes", kernels[0].launches}};
  if (wanted.goal_ms > 0) step["goal_ms"] = wanted.goal_ms;
  std::stable_sort(kernels.begin(), kernels.end(), [](const Kernel& a, const Kernel& b) {
    return a.seconds - a.floor > b.seconds - b.floor;
  });
  double seconds = 0, floor = 0;
  for (const Kernel& k : kernels) {
    seconds += k.seconds;
    floor += k.floor;
    step["kernels"].push_back({{"name", k.name},
                               {"launches", k.launches},
                               {"bytes", k.bytes},
                               {"flops", k.flops},
                               {"efficiency", k.longest.efficiency},
                               {"fill", k.longest.fill},
                               {"median_ms", k.seconds * 1e3},
                               {"floor_ms", k.floor * 1e3},
                               {"bound", k.longest.bound},
                               {"fits_l2", std::string_view(k.longest.bound) == "memory" &&
                                               k.bytes / k.launches < card.l2 / 2}});
  }
  step.update({{"median_ms", seconds * 1e3}, {"floor_ms", floor * 1e3}, {"parts", phases}});
  return step;
}

std::string prediction_table(const ordered_json& step) {
  const auto value = [](const ordered_json& row, const char* key) {
    return row[key].get<double>();
  };
  const auto text = [](const ordered_json& row, const char* key) {
    return row[key].get<std::string>();
  };
  std::string out = fmt::format("{} b{} {} on {}: {:.2f} ms, floor {:.2f}", text(step, "model"),
                                step["batch"].get<int>(), text(step, "dtype"), text(step, "card"),
                                value(step, "median_ms"), value(step, "floor_ms"));
  if (step.contains("goal_ms")) out += fmt::format(", goal on h200 {:.1f}", value(step, "goal_ms"));
  for (const ordered_json& phase : step["parts"])
    out += fmt::format("{}{} {:.2f} ({:.2f})", &phase == &step["parts"][0] ? "\n" : ", ",
                       text(phase, "name"), value(phase, "median_ms"), value(phase, "floor_ms"));
  out += fmt::format("\n{:<84} launches       MB   GFLOP  eff fill      ms   floor  bound\n",
                     "kernel, the furthest from its floor first");
  for (const ordered_json& row : step["kernels"])
    out +=
        fmt::format("{:<84} {:>8} {:>8.1f} {:>7.2f} {:>3.0f}% {:>3.0f}% {:>7.3f} {:>7.3f}  {}{}\n",
                    text(row, "name"), row["launches"].get<int>(), value(row, "bytes") * 1e-6,
                    value(row, "flops") * 1e-9, 100 * value(row, "efficiency"),
                    100 * value(row, "fill"), value(row, "median_ms"), value(row, "floor_ms"),
                    text(row, "bound"), row["fits_l2"].get<bool>() ? ", fits L2" : "");
  return out;
}
}  // namespace bench::step
