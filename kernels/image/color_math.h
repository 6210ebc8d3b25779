// sRGB <-> linear light <-> CIE XYZ <-> CIE L*a*b* under D65, for one colour. sRGB and
// linear light in [0,1], L* in [0,100]. IEC 61966-2-1 (sRGB); CIE 015 (L*a*b*);
// matrices from http://www.brucelindbloom.com/Eqn_RGB_XYZ_Matrix.html
#pragma once
#include <bit>

#include "kernels/simt/simt.h"

namespace kernels {
inline namespace SIMT_BACKEND {  // one copy for the host, one for the GPU

struct Rgb {
  float r, g, b;
};
struct Lab {
  float l, a, b;
};

// x^power for x > 0 as 2^(power * log2 x), in straight-line code that the host
// vectorises; pow takes four times as long. Relative error below 1e-6 for the ranges
// here. Not for 0, infinities and NaN.
SIMT_DEVICE float positive_power(float x, float power) {
  // x = 2^e * m with m in [1/sqrt(2), sqrt(2)); log2 m = 2/ln 2 * atanh(s) with
  // s = (m-1)/(m+1), |s| < 0.172
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  const std::int32_t e = static_cast<std::int32_t>(bits - 0x3f3504f3u) >> 23;
  const float m = std::bit_cast<float>(bits - (static_cast<std::uint32_t>(e) << 23));
  const float s = (m - 1.f) / (m + 1.f), q = s * s;
  const float y =
      power * (static_cast<float>(e) +
               s * (2.88539008f + q * (0.96179669f + q * (0.57707802f + q * 0.41219859f))));
  // 2^y = 2^i * 2^f with f in [-1/2, 1/2]: Taylor series of exp(f ln 2)
  const float shifted = y + 12582912.f;  // 1.5 * 2^23 rounds y to a whole number
  const float f = y - (shifted - 12582912.f);
  const float series =
      1.f + f * (0.693147181f +
                 f * (0.240226507f +
                      f * (0.0555041087f +
                           f * (0.00961812911f + f * (0.00133335581f + f * 0.000154035304f)))));
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(series) +
                              (std::bit_cast<std::uint32_t>(shifted) << 23));
}

SIMT_DEVICE float srgb_to_linear(float v) {
  return v <= 0.04045f ? v * (1.f / 12.92f) : positive_power((v + 0.055f) * (1.f / 1.055f), 2.4f);
}
SIMT_DEVICE float linear_to_srgb(float v) {
  return v <= 0.0031308f ? v * 12.92f : 1.055f * positive_power(v, 1.f / 2.4f) - 0.055f;
}

// The cube root with a straight line below (6/29)^3, and its inverse.
SIMT_DEVICE float lab_root(float t) {
  return t > 216.f / 24389.f ? positive_power(t, 1.f / 3.f) : t * (841.f / 108.f) + 4.f / 29.f;
}
SIMT_DEVICE float lab_cube(float f) {
  return f > 6.f / 29.f ? f * f * f : (f - 4.f / 29.f) * (108.f / 841.f);
}

SIMT_DEVICE Lab rgb_to_lab(Rgb c) {
  const float r = srgb_to_linear(c.r), g = srgb_to_linear(c.g), b = srgb_to_linear(c.b);
  const float x = lab_root((0.4124564f * r + 0.3575761f * g + 0.1804375f * b) * (1.f / 0.95047f));
  const float y = lab_root(0.2126729f * r + 0.7151522f * g + 0.0721750f * b);
  const float z = lab_root((0.0193339f * r + 0.1191920f * g + 0.9503041f * b) * (1.f / 1.08883f));
  return {116.f * y - 16.f, 500.f * (x - y), 200.f * (y - z)};
}

SIMT_DEVICE float clamp_unit(float v) { return v > 0.f ? (v < 1.f ? v : 1.f) : 0.f; }

// Colours outside sRGB are clamped.
SIMT_DEVICE Rgb lab_to_rgb(Lab c) {
  const float fy = (c.l + 16.f) * (1.f / 116.f);
  const float x = 0.95047f * lab_cube(fy + c.a * (1.f / 500.f)), y = lab_cube(fy),
              z = 1.08883f * lab_cube(fy - c.b * (1.f / 200.f));
  const float r = clamp_unit(3.2404542f * x - 1.5371385f * y - 0.4985314f * z);
  const float g = clamp_unit(-0.9692660f * x + 1.8760108f * y + 0.0415560f * z);
  const float b = clamp_unit(0.0556434f * x - 0.2040259f * y + 1.0572252f * z);
  return {clamp_unit(linear_to_srgb(r)), clamp_unit(linear_to_srgb(g)),
          clamp_unit(linear_to_srgb(b))};
}
}  // namespace SIMT_BACKEND
}  // namespace kernels
