// Expected results of the image kernels, in double precision, from the formulas and not from
// the kernels.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "bench/cases/reference.h"

namespace bench::cases::reference {

constexpr double pi = 3.14159265358979323846;

// ---- colour

using Triple = std::array<double, 3>;

inline constexpr double xyz_from_rgb[3][3] = {{0.4124564, 0.3575761, 0.1804375},
                                              {0.2126729, 0.7151522, 0.0721750},
                                              {0.0193339, 0.1191920, 0.9503041}};
inline constexpr double white[3] = {0.95047, 1.0, 1.08883};

inline Triple rgb_to_lab(const Triple& rgb) {
  Triple xyz{}, f;
  for (int j = 0; j < 3; ++j) {
    const double linear =
        rgb[j] <= 0.04045 ? rgb[j] / 12.92 : std::pow((rgb[j] + 0.055) / 1.055, 2.4);
    for (int i = 0; i < 3; ++i) xyz[i] += xyz_from_rgb[i][j] * linear;
  }
  for (int i = 0; i < 3; ++i) {
    const double t = xyz[i] / white[i];
    f[i] = t > std::pow(6.0 / 29, 3) ? std::cbrt(t) : t / (3 * (6.0 / 29) * (6.0 / 29)) + 4.0 / 29;
  }
  return {116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])};
}
// The inverse by Cramer's rule from the same matrix: no second table of digits.
inline Triple lab_to_rgb(const Triple& lab) {
  const double fy = (lab[0] + 16) / 116;
  const Triple f{fy + lab[1] / 500, fy, fy - lab[2] / 200};
  Triple xyz, rgb;
  for (int i = 0; i < 3; ++i)
    xyz[i] = white[i] * (f[i] > 6.0 / 29 ? std::pow(f[i], 3)
                                         : 3 * (6.0 / 29) * (6.0 / 29) * (f[i] - 4.0 / 29));
  const auto& m = xyz_from_rgb;
  const auto determinant = [](const double(&a)[3][3]) {
    return a[0][0] * (a[1][1] * a[2][2] - a[1][2] * a[2][1]) -
           a[0][1] * (a[1][0] * a[2][2] - a[1][2] * a[2][0]) +
           a[0][2] * (a[1][0] * a[2][1] - a[1][1] * a[2][0]);
  };
  for (int k = 0; k < 3; ++k) {
    double replaced[3][3];
    for (int i = 0; i < 3; ++i)
      for (int j = 0; j < 3; ++j) replaced[i][j] = j == k ? xyz[i] : m[i][j];
    const double v = std::clamp(determinant(replaced) / determinant(m), 0.0, 1.0);
    rgb[k] =
        std::clamp(v <= 0.0031308 ? 12.92 * v : 1.055 * std::pow(v, 1 / 2.4) - 0.055, 0.0, 1.0);
  }
  return rgb;
}
template <class F> Values map_triples(const Values& x, F&& f) {
  Values out;
  for (std::size_t i = 0; i + 2 < x.size(); i += 3)
    for (const double v : f(Triple{x[i], x[i + 1], x[i + 2]})) out.push_back(v);
  return out;
}

// {mean x3, deviation x3, sum of weights}; weight empty: all ones
inline Values channel_stats(const Values& image, const Values& weight) {
  Values stats(7);
  const std::size_t n = image.size() / 3;
  const auto w = [&](std::size_t i) { return weight.empty() ? 1 : weight[i]; };
  for (std::size_t i = 0; i < n; ++i) stats[6] += w(i);
  if (stats[6] <= 0) return stats;
  for (int c = 0; c < 3; ++c) {
    double variance = 0;
    for (std::size_t i = 0; i < n; ++i) stats[c] += w(i) * image[3 * i + c] / stats[6];
    for (std::size_t i = 0; i < n; ++i)
      variance += w(i) * std::pow(image[3 * i + c] - stats[c], 2) / stats[6];
    stats[3 + c] = std::sqrt(variance);
  }
  return stats;
}

// ---- blending

inline Index clamp_index(Index i, Index n) { return std::clamp<Index>(i, 0, n - 1); }

inline Values gaussian_blur(const Values& image, Index h, Index w, Index c, double sigma) {
  if (!(sigma > 0)) return image;
  const Index radius = std::min<Index>(std::ceil(3 * sigma), 64);
  Values taps, out(image.size());
  double total = 0;
  for (Index k = -radius; k <= radius; ++k) {
    taps.push_back(std::exp(-double(k * k) / (2 * sigma * sigma)));
    total += taps.back();
  }
  for (Index y = 0; y < h; ++y)
    for (Index x = 0; x < w; ++x)
      for (Index i = -radius; i <= radius; ++i)
        for (Index j = -radius; j <= radius; ++j)
          for (Index k = 0; k < c; ++k)
            out[(y * w + x) * c + k] +=
                taps[i + radius] * taps[j + radius] / (total * total) *
                image[(clamp_index(y + i, h) * w + clamp_index(x + j, w)) * c + k];
  return out;
}

// The minimum over a disc, or the maximum for a negative radius.
inline Values erode(const Values& mask, Index h, Index w, double radius) {
  const double size = std::fabs(radius);
  const Index reach = static_cast<Index>(size);
  Values out = mask;
  for (Index y = 0; y < h; ++y)
    for (Index x = 0; x < w; ++x)
      for (Index j = -reach; j <= reach; ++j)
        for (Index i = -reach; i <= reach; ++i) {
          const bool inside = y + j >= 0 && y + j < h && x + i >= 0 && x + i < w;
          if (i * i + j * j > size * size || !inside) continue;
          double& best = out[y * w + x];
          const double v = mask[(y + j) * w + x + i];
          best = radius >= 0 ? std::min(best, v) : std::max(best, v);
        }
  return out;
}

// ---- sampling

struct Image {
  const double* values;
  Index h, w, c;
};

// Bilinear: the four neighbours weighted by area, every index clamped.
inline double sample(const Image& image, double x, double y, Index c) {
  const double fx = std::floor(x), fy = std::floor(y), ax = x - fx, ay = y - fy;
  const auto pixel = [&](double px, double py) {
    const Index ix = clamp_index(px, image.w), iy = clamp_index(py, image.h);
    return image.values[(iy * image.w + ix) * image.c + c];
  };
  return (1 - ax) * (1 - ay) * pixel(fx, fy) + ax * (1 - ay) * pixel(fx + 1, fy) +
         (1 - ax) * ay * pixel(fx, fy + 1) + ax * ay * pixel(fx + 1, fy + 1);
}

// nodes[25] at (gx, gy) in [0,4]^2: tent functions round each node
inline double grid(const double* nodes, double gx, double gy) {
  double sum = 0;
  for (int i = 0; i < 5; ++i)
    for (int j = 0; j < 5; ++j)
      sum += std::max(0.0, 1 - std::fabs(gx - j)) * std::max(0.0, 1 - std::fabs(gy - i)) *
             nodes[i * 5 + j];
  return sum;
}

// position(x, y) -> source position
template <class F>
Values warp(const Image& source, Index h, Index w, Index supersample, F&& position) {
  Values out(h * w * source.c);
  const double n = supersample;
  for (Index y = 0; y < h; ++y)
    for (Index x = 0; x < w; ++x)
      for (Index j = 0; j < supersample; ++j)
        for (Index i = 0; i < supersample; ++i) {
          const auto [sx, sy] = position(x - 0.5 + (i + 0.5) / n, y - 0.5 + (j + 0.5) / n);
          for (Index c = 0; c < source.c; ++c)
            out[(y * w + x) * source.c + c] += sample(source, sx, sy, c) / (n * n);
        }
  return out;
}

// One axis of a resize as a dense matrix [size, source]: overlap of the pixels' intervals, or
// two bilinear taps.
inline std::vector<Values> resize_matrix(Index source, Index size) {
  std::vector<Values> m(size, Values(source));
  const double ratio = double(source) / size;
  for (Index i = 0; i < size; ++i) {
    if (source > size) {
      for (Index k = 0; k < source; ++k)
        m[i][k] =
            std::max(0.0, std::min(k + 1.0, (i + 1) * ratio) - std::max(double(k), i * ratio)) /
            ratio;
    } else {
      const double x = (i + 0.5) * ratio - 0.5, whole = std::floor(x), f = x - whole;
      m[i][clamp_index(whole, source)] += 1 - f;
      m[i][clamp_index(whole + 1, source)] += f;
    }
  }
  return m;
}
inline Values resize(const Image& source, Index h, Index w) {
  const auto rows = resize_matrix(source.h, h), columns = resize_matrix(source.w, w);
  Values out(h * w * source.c);
  for (Index y = 0; y < h; ++y)
    for (Index x = 0; x < w; ++x)
      for (Index j = 0; j < source.h; ++j)
        for (Index i = 0; i < source.w && rows[y][j] != 0; ++i) {
          if (columns[x][i] == 0) continue;
          for (Index c = 0; c < source.c; ++c)
            out[(y * w + x) * source.c + c] +=
                rows[y][j] * columns[x][i] * source.values[(j * source.w + i) * source.c + c];
        }
  return out;
}

// ---- Philox 4x32-10 from the paper's round function, on 64-bit products

using Words = std::array<std::uint32_t, 4>;

inline Words philox(std::uint64_t seed, Words x) {
  std::uint32_t low = static_cast<std::uint32_t>(seed), high = seed >> 32;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t left = std::uint64_t{0xD2511F53} * x[0],
                        right = std::uint64_t{0xCD9E8D57} * x[2];
    x = {static_cast<std::uint32_t>(right >> 32) ^ x[1] ^ low, static_cast<std::uint32_t>(right),
         static_cast<std::uint32_t>(left >> 32) ^ x[3] ^ high, static_cast<std::uint32_t>(left)};
    low += 0x9E3779B9;
    high += 0xBB67AE85;
  }
  return x;
}
inline double unit(std::uint32_t word) { return std::floor(word / 256.0) / 16777216.0; }
inline std::array<double, 4> normals(const Words& words) {
  std::array<double, 4> z;
  for (int i = 0; i < 4; i += 2) {
    const double r = std::sqrt(-2 * std::log(1 - unit(words[i]))),
                 angle = 2 * pi * unit(words[i + 1]);
    z[i] = r * std::cos(angle);
    z[i + 1] = r * std::sin(angle);
  }
  return z;
}

// ---- augmentation: one transformation after another, nothing composed beforehand

struct AugmentSettings {
  Index count, stored, batch, size;
  std::uint32_t side;
  double center_x, center_y, view_side;
  double zoom, rotation, shift, flip, warp, lightness, chroma;
  bool random;
  std::uint64_t step, seed;
};

// The face at a position of an epoch: a Feistel network over a power of four, walked until
// the value is below count.
inline std::uint32_t epoch_order(std::uint32_t position, const AugmentSettings& s,
                                 std::uint32_t epoch) {
  std::uint32_t domain = 2;
  while (std::uint64_t{domain} * domain < std::uint64_t(s.count)) domain *= 2;
  std::uint32_t value = position;
  do {
    std::uint32_t left = value / domain, right = value % domain;
    for (std::uint32_t round = 0; round < 4; ++round) {
      const std::uint32_t key = philox(s.seed, {epoch, right, s.side, 0x80000000u + round})[0];
      left = std::exchange(right, left ^ (key % domain));
    }
    value = left * domain + right;
  } while (value >= s.count);
  return value;
}

// faces [count,stored,stored,4] in 0..255 -> input and target [batch,size,size,3], mask
// [batch,size,size]
inline std::array<Values, 3> augment(const Values& faces, const AugmentSettings& s) {
  Values input(s.batch * s.size * s.size * 3), target = input, mask(s.batch * s.size * s.size);
  const double size = s.size, stored = s.stored;
  for (Index n = 0; n < s.batch; ++n) {
    const std::uint64_t drawn = (s.step - 1) * s.batch + n;
    const std::uint32_t position = drawn % s.count;
    const std::uint32_t slot = s.side * s.batch + n;
    const auto words = [&](std::uint32_t op) {
      return philox(s.seed, {static_cast<std::uint32_t>(s.step),
                             static_cast<std::uint32_t>(s.step >> 32), slot, op});
    };
    double zoom = 1, angle = 0, dx = 0, dy = 0, r[3] = {0, 0, 0}, nodes[52] = {};
    bool flip = false;
    if (s.random) {
      const auto place = words(0), color = words(1);
      zoom += (2 * unit(place[0]) - 1) * s.zoom;
      angle = (2 * unit(place[1]) - 1) * s.rotation * pi / 180;
      dx = (2 * unit(place[2]) - 1) * s.shift;
      dy = (2 * unit(place[3]) - 1) * s.shift;
      flip = unit(color[0]) < s.flip;
      for (int c = 0; c < 3; ++c)
        r[c] = (2 * unit(color[c + 1]) - 1) * (c == 0 ? s.lightness : s.chroma);
      for (int k = 0; k < 52; ++k) nodes[k] = s.warp * normals(words(2 + k / 4))[k % 4];
    }
    const Index face = s.random ? epoch_order(position, s, drawn / s.count) : position;
    const Image image{&faces[face * s.stored * s.stored * 4], s.stored, s.stored, 4};
    const int supersample = s.view_side * stored / zoom > 1.5 * size ? 2 : 1;
    for (Index y = 0; y < s.size; ++y)
      for (Index x = 0; x < s.size; ++x)
        for (const bool warped : {false, true}) {
          double sum[4] = {};
          for (int j = 0; j < supersample; ++j)
            for (int i = 0; i < supersample; ++i) {
              double u = (x + (i + 0.5) / supersample) / size,
                     v = (y + (j + 0.5) / supersample) / size;
              if (warped) {
                const double du = grid(nodes, 4 * u, 4 * v), dv = grid(nodes + 25, 4 * u, 4 * v);
                u += du;
                v += dv;
              }
              if (flip) u = 1 - u;
              const double px = u - 0.5 - dx, py = v - 0.5 - dy;
              const double qx = (std::cos(angle) * px + std::sin(angle) * py) / zoom,
                           qy = (-std::sin(angle) * px + std::cos(angle) * py) / zoom;
              for (Index c = 0; c < 4; ++c)
                sum[c] += sample(image, (s.center_x + s.view_side * qx) * stored - 0.5,
                                 (s.center_y + s.view_side * qy) * stored - 0.5, c) /
                          (255.0 * supersample * supersample);
            }
          Triple rgb{sum[0], sum[1], sum[2]};
          if (s.random) {
            Triple lab = rgb_to_lab(rgb);
            const double low[3] = {0, -128, -128}, high[3] = {100, 127, 127};
            for (int c = 0; c < 3; ++c)
              lab[c] = r[c] > 0 ? lab[c] + r[c] * (high[c] - lab[c])
                                : low[c] + (1 + r[c]) * (lab[c] - low[c]);
            rgb = lab_to_rgb(lab);
          }
          const Index pixel = (n * s.size + y) * s.size + x;
          for (int c = 0; c < 3; ++c) (warped ? input : target)[pixel * 3 + c] = rgb[c];
          if (!warped) mask[pixel] = sum[3];
        }
  }
  return {std::move(input), std::move(target), std::move(mask)};
}
}  // namespace bench::cases::reference
