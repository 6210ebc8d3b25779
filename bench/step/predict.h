// The time of a training step on a card that is not here: the launches of the step as
// the meta device counts them, a card's ceilings, and stated efficiencies. A prediction,
// made to be tested by the first run on such a card.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernels/core/stream.h"

namespace bench::step {

// A card's ceilings, per second: bytes of a copy (read and written), FLOPs of large
// products of random data, of the FP32 pipelines.
struct Card {
  const char* name;
  int multiprocessors;
  double bytes, half, tf32, fp32;  // half: bf16 and f16
  double l2;                       // bytes
};
const std::vector<Card>& cards();

struct LaunchTime {
  double seconds;
  double floor;       // convolutions, products and Adam: at efficiency 1. Others: 0
  double efficiency;  // stated, of the ceiling that bounds it
  double fill;        // share of the card that a product's tiles keep busy
  const char* bound;  // memory, tensor cores, FP32, latency
};
LaunchTime predict(const kernels::CountedLaunch&, const Card&, double product_flops);

// A launch's name without namespaces, template arguments and the wrapper of a block
// kernel. Names of convolutions and products stay.
std::string bare_name(const std::string& launch);

// A step to predict; those with a goal in ms have it for an H200.
struct WantedStep {
  std::string model, dtype;
  int batch;
  double goal_ms = 0;
};
const std::vector<WantedStep>& goals();

// A step's ms, of its phases and kernels too: the kernel furthest from its floor first.
nlohmann::ordered_json predict_step(const Card&, const WantedStep&);
std::string prediction_table(const nlohmann::ordered_json& step);
}  // namespace bench::step
