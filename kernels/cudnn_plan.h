// cuDNN plans for the three directions of a convolution, through its graph interface: a graph of operations is described, a
// heuristic ranks engines that can run it, and the first acceptable one becomes a plan. The older cudnnConvolution* calls are
// deprecated and have one pad value per side, so they cannot express Keras's 'same' padding at stride 2.
// Plans can be made for a described device on a machine without any GPU: so a model that cuDNN cannot run fails in a test.
#pragma once
#include <cstdint>
#include <string>

#include "kernels/conv.h"

namespace kernels::cudnn {

enum class Direction : std::uint8_t { forward, data, filter };
enum class Number : std::uint8_t { f32, tf32, bf16 };  // f32 is strict: no engine that rounds its inputs

// What a plan is made for; also its key in the cache.
struct Problem {
  ConvShape shape;
  Direction direction = Direction::forward;
  Number number = Number::f32;
  bool fused = false;         // forward: bias and activation inside the same kernel
  bool bias = false;
  Activation activation = Activation::none;
  float slope = 0.f;
  int alignment = 16;         // bytes that every operand's address is a multiple of
  std::string str() const;
};

inline constexpr std::int64_t workspace_cap = 256ll << 20;

struct PlanReport {
  bool found = false;
  std::int64_t engine = -1;       // cuDNN's number of it
  std::int64_t workspace = 0;     // bytes, at most workspace_cap
  bool runtime_compiled = false;
  int offered = 0;                // configurations that the heuristics named until one was accepted
  std::string why_not;            // where none was: what became of them
};

// Makes the plan for the device that the JSON text describes (cuDNN's DEVICEPROP descriptor, cuDNN 9.8 or newer) and drops it.
// Throws Error(device) where cuDNN is not installed.
PlanReport plan_for_described_device(const Problem&, const std::string& device_json);

}  // namespace kernels::cudnn
