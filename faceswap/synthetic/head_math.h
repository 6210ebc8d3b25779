// Small vectors, smooth steps and value noise for the head renderer.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

namespace faceswap::head {

struct Vec3 {
  float x = 0, y = 0, z = 0;
};
using Color = Vec3;  // sRGB, 0..1

inline Vec3 operator+(Vec3 a, Vec3 b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
inline Vec3 operator-(Vec3 a, Vec3 b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
inline Vec3 operator*(Vec3 a, float s) { return {a.x * s, a.y * s, a.z * s}; }
inline Vec3 operator*(Vec3 a, Vec3 b) { return {a.x * b.x, a.y * b.y, a.z * b.z}; }
inline float dot(Vec3 a, Vec3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
inline Vec3 cross(Vec3 a, Vec3 b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
inline Vec3 normalized(Vec3 a) { return a * (1 / (std::sqrt(dot(a, a)) + 1e-9f)); }
inline Vec3 mix(Vec3 a, Vec3 b, float share_of_b) { return a * (1 - share_of_b) + b * share_of_b; }

inline float unit(float v) { return std::clamp(v, 0.f, 1.f); }

// 0 at `from`, 1 at `to`, with flat ends; `to` may lie below `from`.
inline float smooth_step(float from, float to, float v) {
  const float t = unit((v - from) / (to - from));
  return t * t * (3 - 2 * t);
}

// exp(-d^2 / 2), d in deviations. Most points lie far away: 0 there, without the exp.
inline float bell(float d) {
  const float exponent = 0.5f * d * d;
  return exponent > 16.f ? 0.f : std::exp(-exponent);
}
inline float bell(float dx, float dy, float width, float height) {
  const float exponent = 0.5f * (dx * dx / (width * width) + dy * dy / (height * height));
  return exponent > 16.f ? 0.f : std::exp(-exponent);
}

inline std::uint32_t scramble(std::uint32_t v) {
  v ^= v >> 16;
  v *= 0x7feb352dU;
  v ^= v >> 15;
  v *= 0x846ca68bU;
  return v ^ (v >> 16);
}

// The random number in [0,1) of a grid point.
inline float lattice(int x, int y, std::uint32_t seed) {
  const std::uint32_t key = static_cast<std::uint32_t>(x) * 73856093u ^
                            static_cast<std::uint32_t>(y) * 19349663u ^ seed * 83492791u;
  return static_cast<float>(scramble(key) & 0xffffff) / 16777216.f;
}

// Value noise in [0,1): the lattice smoothly interpolated; features are one unit wide.
inline float value_noise(float x, float y, std::uint32_t seed) {
  const float floor_x = std::floor(x), floor_y = std::floor(y);
  const int ix = static_cast<int>(floor_x), iy = static_cast<int>(floor_y);
  float tx = x - floor_x, ty = y - floor_y;
  tx = tx * tx * (3 - 2 * tx);
  ty = ty * ty * (3 - 2 * ty);
  const float top_left = lattice(ix, iy, seed), top_right = lattice(ix + 1, iy, seed);
  const float low_left = lattice(ix, iy + 1, seed), low_right = lattice(ix + 1, iy + 1, seed);
  return (top_left + (top_right - top_left) * tx) * (1 - ty) +
         (low_left + (low_right - low_left) * tx) * ty;
}
}  // namespace faceswap::head
