// A convolution as a problem for cuDNN, and its variants. Needs no cuDNN.
#pragma once
#include <compare>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernels/conv/conv.h"

namespace kernels::cudnn {

enum class MathType : std::uint8_t { f32, tf32, bf16, f16 };  // f32: no rounding of inputs
const char* name(MathType);
int bytes_per_value(MathType);
bool has_tensor_cores(MathType, int compute_capability);  // 75 for sm_75

struct Problem {
  ConvShape shape;
  Direction direction = Direction::forward;
  MathType math_type = MathType::f32;
  bool fused = false;  // forward: bias and activation inside the same kernel
  bool bias = false;
  Activation activation = Activation::none;
  float slope = 0.f;
  int alignment = 16;       // in bytes, of every operand's address
  std::string str() const;  // for messages
  std::string key() const;  // every field, for the cache on disk
  auto operator<=>(const Problem&) const = default;
};

inline constexpr std::int64_t workspace_cap = 256ll << 20;

// cuDNN's tensor-core kernels read 16 bytes at a time along the channels; with other
// channel counts cuDNN is slow or pads inside its workspace. We can pad instead, by
// copies with zero channels: zeros of x meet zero weights, and added output channels
// are dropped.
ConvShape padded_channels(const ConvShape&, MathType);  // both channel counts up to 16 bytes
std::int64_t padded_bytes(const ConvShape&, Direction, MathType);  // of the copies, if needed

struct Variant {
  bool padded = false;  // through zero-padded copies
  bool fused = false;   // bias and activation in cuDNN's kernel, not in one of ours after it
  bool operator==(const Variant&) const = default;
};
// The variants worth a trial, the likeliest first. `wanted` has the caller's epilogue.
std::vector<Variant> variants(const Problem& wanted, int compute_capability);
Problem graph_of(const Problem& wanted, Variant);  // cuDNN's share of that variant

// Engines measured per variant. Those with the epilogue inside are compiled when they
// are built, about a second each.
inline constexpr std::size_t engines_measured = 10, fused_engines_measured = 3;
inline std::size_t most_engines(Variant variant) {
  return variant.fused ? fused_engines_measured : engines_measured;
}

// One of cuDNN's kernels with all its settings: enough to build its plan again.
struct Engine {
  std::int64_t index = -1;                                   // cuDNN's number for it
  std::vector<std::pair<std::int64_t, std::int64_t>> knobs;  // type and value
  bool operator==(const Engine&) const = default;
};
}  // namespace kernels::cudnn
