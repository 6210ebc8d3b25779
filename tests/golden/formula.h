// Inputs and weights of the golden tests, computed on both sides: the C++ twin of
// formula.py.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/random.h"

namespace golden {

inline constexpr std::uint64_t kKey = 20190917;
inline constexpr int kProjections = 8, kSamples = 16;
inline constexpr int kCell = 8;

inline std::uint32_t fnv1a(const std::string& text) {
  std::uint32_t value = 2166136261u;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 16777619u;
  return value;
}

inline std::vector<float> unit(const std::string& name, std::int64_t count,
                               std::uint32_t step = 0) {
  std::vector<float> values(static_cast<std::size_t>(count));
  const std::uint32_t stream = fnv1a(name);
  for (std::int64_t i = 0; i < count; i += 4) {
    const kernels::Philox::Block block =
        kernels::Philox::draw(kKey, static_cast<std::uint32_t>(i / 4), stream, step, 0);
    for (std::int64_t j = i; j < std::min(i + 4, count); ++j)
      values[j] = kernels::Philox::unit(block.v[j - i]);
  }
  return values;
}

inline std::vector<float> uniform(const std::string& name, std::int64_t count, double limit,
                                  std::uint32_t step = 0) {
  std::vector<float> values = unit(name, count, step);
  for (float& v : values) v = static_cast<float>(limit) * (2.f * v - 1.f);
  return values;
}

// shape: of a weight [O,...] or a bias [O].
inline std::vector<float> parameter(const std::string& name, std::span<const std::int64_t> shape) {
  std::int64_t fan_in = 1;
  for (std::size_t i = 1; i < shape.size(); ++i) fan_in *= shape[i];
  if (name.ends_with(".bias")) return uniform(name, shape[0] * fan_in, 0.05);
  const bool correction =
      name.find(".residual") != std::string::npos && name.ends_with(".conv1.weight");
  return uniform(name, shape[0] * fan_in,
                 std::sqrt((correction ? 0.6 : 6.0) / static_cast<double>(fan_in)));
}

// [n,size,size,3]
inline std::vector<float> picture(const std::string& name, int n, int size,
                                  std::uint32_t step = 0) {
  const int cells = size / kCell;
  const std::vector<float> coarse =
      unit(name + ".coarse", std::int64_t{n} * cells * cells * 3, step);
  std::vector<float> values = unit(name + ".fine", std::int64_t{n} * size * size * 3, step);
  std::size_t at = 0;
  for (int i = 0; i < n; ++i)
    for (int y = 0; y < size; ++y)
      for (int x = 0; x < size; ++x)
        for (int c = 0; c < 3; ++c, ++at)
          values[at] =
              0.5f *
                  coarse[((static_cast<std::size_t>(i) * cells + y / kCell) * cells + x / kCell) *
                             3 +
                         c] +
              0.5f * values[at];
  return values;
}

// [n,height,width]
inline std::vector<float> mask(const std::string& name, int n, int height, int width,
                               std::uint32_t step = 0) {
  std::vector<float> values = unit(name, std::int64_t{n} * height * width, step);
  for (float& v : values) v = std::clamp(2.f * v - 0.5f, 0.f, 1.f);
  return values;
}

// The part of a tensor that a golden file keeps.
struct Summary {
  double norm = 0;
  double projections[kProjections] = {};
  double samples[kSamples] = {};
};

template <class T> Summary summarize(const std::string& name, std::span<const T> values) {
  Summary summary;
  const std::uint32_t stream = fnv1a(name);
  double squares = 0;
  for (std::size_t i = 0; i < values.size(); i += 16) {
    const kernels::Philox::Block block =
        kernels::Philox::draw(kKey, static_cast<std::uint32_t>(i / 16), stream, 0, 1);
    for (std::size_t j = i; j < std::min(i + 16, values.size()); ++j) {
      const double value = static_cast<double>(values[j]);
      const std::uint32_t signs = block.v[(j - i) / 4] >> (8 * (j % 4));
      squares += value * value;
      for (int k = 0; k < kProjections; ++k)
        summary.projections[k] += (signs >> k & 1) ? value : -value;
    }
  }
  summary.norm = std::sqrt(squares);
  for (int k = 0; k < kSamples; ++k)
    summary.samples[k] =
        static_cast<double>(values[(k + 1) * std::uint64_t{2654435761} % values.size()]);
  return summary;
}
}  // namespace golden
