// The part of planning a convolution that needs no cuDNN: names, keys, and which ways there are.
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "kernels/conv/plans/problem.h"

namespace kernels::cudnn {
namespace {

int round_up(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }

}  // namespace

const char* name(Direction direction) {
  static constexpr const char* names[] = {"forward", "backward data", "backward filter"};
  return names[static_cast<int>(direction)];
}
const char* name(Number number) {
  static constexpr const char* names[] = {"f32", "tf32", "bf16", "f16"};
  return names[static_cast<int>(number)];
}
int size_of(Number number) { return number == Number::bf16 || number == Number::f16 ? 2 : 4; }
bool has_matrix_units(Number number, int compute_capability) {
  return number == Number::f16 ? compute_capability >= 75
                               : number != Number::f32 && compute_capability >= 80;
}

std::string Problem::str() const {
  return fmt::format("{} {} {}{}", shape.str(), name(direction), name(number),
                     fused ? " fused" : "");
}

std::string Problem::key() const {
  const ConvShape& s = shape;
  return fmt::format("{} {} {} {} {} {} {} {} {} | {} | {} | {}{} {} {:08x} | {}", s.n, s.h, s.w,
                     s.in_channels, s.out_channels, s.kernel, s.stride, s.pad_begin, s.pad_end,
                     name(direction), name(number), fused ? "fused " : "", bias ? "bias" : "plain",
                     static_cast<int>(activation), std::bit_cast<std::uint32_t>(slope), alignment);
}

ConvShape padded_channels(const ConvShape& s, Number number) {
  ConvShape padded = s;
  padded.in_channels = round_up(s.in_channels, 16 / size_of(number));
  padded.out_channels = round_up(s.out_channels, 16 / size_of(number));
  return padded;
}

std::int64_t padded_bytes(const ConvShape& s, Direction direction, Number number) {
  const ConvShape p = padded_channels(s, number);
  const bool in = p.in_channels != s.in_channels, out = p.out_channels != s.out_channels;
  if (!in && !out) return 0;
  std::int64_t values = std::int64_t{p.out_channels} * p.kernel * p.kernel * p.in_channels;
  if (in) values += p.n * p.h * p.w * p.in_channels;
  if (out)
    values += p.n * p.out_h() * p.out_w() * p.out_channels +
              (direction == Direction::forward ? p.out_channels : 0);
  return values * size_of(number);
}

std::vector<Way> ways(const Problem& wanted, int compute_capability) {
  const std::int64_t copies = padded_bytes(wanted.shape, wanted.direction, wanted.number);
  const bool can_pad = copies > 0 && copies <= workspace_cap;
  // Strict float has only slow engines with the epilogue inside.
  const bool can_fuse = wanted.direction == Direction::forward &&
                        (wanted.bias || wanted.activation != Activation::none) &&
                        wanted.number != Number::f32;
  // Channels in plenty make a large convolution, for which the right kernel is worth the copies; of a few, cuDNN makes its own.
  const int fewest = std::min(wanted.shape.in_channels, wanted.shape.out_channels);
  const bool pad_first = can_pad && fewest > 16;
  // From Hopper on, the fused kernels are of the Ampere kind: they lose more than the saved pass over y costs, except where
  // the convolution itself is little work per value of y.
  const bool fuse_first = can_fuse && (compute_capability < 90 || fewest <= 8);
  std::vector<Way> all;
  for (const bool padded : {pad_first, !pad_first}) {
    for (const bool fused : {fuse_first, !fuse_first}) {
      if ((padded && !can_pad) || (fused && !can_fuse)) continue;
      all.push_back({padded, fused});
    }
  }
  return all;
}

Problem graph_of(const Problem& wanted, Way way) {
  Problem p = wanted;
  p.fused = way.fused;
  if (!way.fused) {
    p.bias = false;
    p.activation = Activation::none;
    p.slope = 0.f;
  }
  if (way.padded) p.shape = padded_channels(wanted.shape, wanted.number);
  return p;
}

}  // namespace kernels::cudnn
