// cuDNN plans for the three directions of a convolution, through its graph interface: a graph of operations is described, a
// heuristic names engines that can run it, and the acceptable ones become plans. The older cudnnConvolution* calls are
// deprecated and have one pad value per side, so they cannot express Keras's 'same' padding at stride 2.
// Plans can be made for a described device on a machine without any GPU: so a model that cuDNN cannot run fails in a test.
// What stands above the line needs no cuDNN and is in every build.
#pragma once
#include <compare>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernels/conv/conv.h"

namespace kernels::cudnn {

enum class Direction : std::uint8_t { forward, data, filter };
enum class MathType : std::uint8_t {
  f32,
  tf32,
  bf16,
  f16
};  // f32 is strict: no engine that rounds its inputs
const char* name(Direction);
const char* name(MathType);
int size_of(MathType);  // bytes in memory
bool has_tensor_cores(MathType,
                      int compute_capability);  // 75 for sm_75. bf16 and tf32 came with sm_80

// What a plan is made for.
struct Problem {
  ConvShape shape;
  Direction direction = Direction::forward;
  MathType math_type = MathType::f32;
  bool fused = false;  // forward: bias and activation inside the same kernel
  bool bias = false;
  Activation activation = Activation::none;
  float slope = 0.f;
  int alignment = 16;       // bytes that every operand's address is a multiple of
  std::string str() const;  // for messages
  std::string key() const;  // every field, for the cache on disk
  auto operator<=>(const Problem&) const = default;
};

inline constexpr std::int64_t workspace_cap = 256ll << 20;

// --- variants to compute what the seam is asked for ---

// cuDNN's tensor-core kernels read 16 bytes at a time along the channels. Where the channels of a pixel do not fill them, it
// falls back to slow kernels or pads inside its workspace. We can pad ourselves: copies of the operands with zero channels added.
// Zero channels of x meet zero weights, and the output channels that they make are dropped: the result is that of the
// convolution asked for.
ConvShape padded_channels(const ConvShape&,
                          MathType);  // both channel counts rounded up to 16 bytes
std::int64_t padded_bytes(const ConvShape&, Direction,
                          MathType);  // of the copies; 0 where nothing needs padding

struct Variant {
  bool padded = false;  // through zero-padded copies
  bool fused = false;   // bias and activation in cuDNN's kernel, not in one of ours after it
  bool operator==(const Variant&) const = default;
};
// The variants that are worth trying, the likeliest first. `wanted`: bias and activation set as the caller of the seam wants them.
std::vector<Variant> variants(const Problem& wanted, int compute_capability);
Problem graph_of(const Problem& wanted, Variant);  // what cuDNN is asked for on that variant

// How many of the engines that can be built are measured on each variant; fewer of those with bias and activation inside, which are
// compiled when they are built, about a second each.
inline constexpr std::size_t engines_measured = 10, fused_engines_measured = 3;

// One of cuDNN's kernels with all its settings; enough to build the plan again.
struct Engine {
  std::int64_t index = -1;                                   // cuDNN's number for it
  std::vector<std::pair<std::int64_t, std::int64_t>> knobs;  // type and value
  bool operator==(const Engine&) const = default;
};

// --- plans; the functions below need cuDNN, and throw Error(device) where it is not installed ---

struct PlanReport {
  bool found = false;
  Engine engine;
  std::int64_t workspace = 0;     // bytes, at most workspace_cap
  bool runtime_compiled = false;  // built from source when the plan is made, about a second
  bool tensor_cores = false;      // runs on the tensor cores
  int offered = 0;                // configurations that the heuristics named
  std::string why_not;            // where none was found: what became of them
};

// For the device that the JSON text describes (cuDNN's DEVICEPROP descriptor, cuDNN 9.8 or newer). Plans are made and dropped.
PlanReport plan_for_described_device(
    const Problem&, const std::string& device_json);  // the first acceptable engine
PlanReport plan_for_described_device(const Problem&, const std::string& device_json,
                                     const Engine&);  // of that engine
std::vector<Engine> engines_for_described_device(const Problem&, const std::string& device_json,
                                                 bool fallback);  // that we accept, best first

}  // namespace kernels::cudnn
