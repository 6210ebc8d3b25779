#include "kernels/conv/plans/problem.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace kernels::cudnn {
namespace {

int round_up(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }
}  // namespace

const char* name(MathType math_type) {
  static constexpr const char* names[] = {"f32", "tf32", "bf16", "f16"};
  return names[static_cast<int>(math_type)];
}
int bytes_per_value(MathType math_type) {
  return math_type == MathType::bf16 || math_type == MathType::f16 ? 2 : 4;
}
bool has_tensor_cores(MathType math_type, int compute_capability) {
  return math_type == MathType::f16 ? compute_capability >= 75
                                    : math_type != MathType::f32 && compute_capability >= 80;
}

std::string Problem::str() const {
  return fmt::format("{} {} {}{}", shape.str(), name(direction), name(math_type),
                     fused ? " fused" : "");
}

std::string Problem::key() const {
  const ConvShape& s = shape;
  return fmt::format("{} {} {} {} {} {} {} {} {} | {} | {} | {}{} {} {:08x} | {}", s.n, s.h, s.w,
                     s.in_channels, s.out_channels, s.kernel, s.stride, s.pad_begin, s.pad_end,
                     name(direction), name(math_type), fused ? "fused " : "",
                     bias ? "bias" : "plain", static_cast<int>(activation),
                     std::bit_cast<std::uint32_t>(slope), alignment);
}

ConvShape padded_channels(const ConvShape& s, MathType math_type) {
  ConvShape padded = s;
  padded.in_channels = round_up(s.in_channels, 16 / bytes_per_value(math_type));
  padded.out_channels = round_up(s.out_channels, 16 / bytes_per_value(math_type));
  return padded;
}

std::int64_t padded_bytes(const ConvShape& s, Direction direction, MathType math_type) {
  const ConvShape p = padded_channels(s, math_type);
  const bool in = p.in_channels != s.in_channels, out = p.out_channels != s.out_channels;
  if (!in && !out) return 0;
  std::int64_t values = p.w_size();
  if (in) values += p.x_size();
  if (out) values += p.y_size() + (direction == Direction::forward ? p.out_channels : 0);
  return values * bytes_per_value(math_type);
}

std::vector<Variant> variants(const Problem& wanted, int compute_capability) {
  const std::int64_t copies = padded_bytes(wanted.shape, wanted.direction, wanted.math_type);
  const bool can_pad = copies > 0 && copies <= workspace_cap;
  // Strict float has only slow fused engines.
  const bool can_fuse = wanted.direction == Direction::forward &&
                        (wanted.bias || wanted.activation != Activation::none) &&
                        wanted.math_type != MathType::f32;
  // Many channels make a large convolution, for which the right kernel is worth the
  // copies. For few channels cuDNN has kernels of its own.
  const int fewest = std::min(wanted.shape.in_channels, wanted.shape.out_channels);
  const bool pad_first = can_pad && fewest > 16;
  // From Hopper on, fused kernels are Ampere's: they lose more than the saved pass over
  // y gains, unless the convolution does little work per value of y.
  const bool fuse_first = can_fuse && (compute_capability < 90 || fewest <= 8);
  std::vector<Variant> all;
  for (const bool padded : {pad_first, !pad_first}) {
    for (const bool fused : {fuse_first, !fuse_first}) {
      if ((!padded || can_pad) && (!fused || can_fuse)) all.push_back({padded, fused});
    }
  }
  return all;
}

Problem graph_of(const Problem& wanted, Variant variant) {
  Problem p = wanted;
  p.fused = variant.fused;
  if (!variant.fused) {
    p.bias = false;
    p.activation = Activation::none;
    p.slope = 0.f;
  }
  if (variant.padded) p.shape = padded_channels(wanted.shape, wanted.math_type);
  return p;
}
}  // namespace kernels::cudnn
