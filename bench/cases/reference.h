// Expected results of the kernels: plain loops in double precision, written from the formulas
// and not from the kernels. Slow on purpose: no tiles, sums in the order of the indices.
#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

namespace bench::cases::reference {

using Values = std::vector<double>;
using Index = std::int64_t;

// ---- elementwise

inline double leaky(double v, double slope) { return v > 0 ? v : slope * v; }
inline double sigmoid(double v) { return 1 / (1 + std::exp(-v)); }

// ---- layout

// y[n, h*r+i, w*r+j, c] = x[n, h, w, (i*r+j)*C + c]; inverse copies the other way
inline Values pixel_shuffle(const Values& from, Index n, Index h, Index w, Index c, Index r,
                            bool inverse) {
  Values to(from.size());
  for (Index in = 0; in < n; ++in)
    for (Index ih = 0; ih < h; ++ih)
      for (Index iw = 0; iw < w; ++iw)
        for (Index i = 0; i < r; ++i)
          for (Index j = 0; j < r; ++j)
            for (Index ic = 0; ic < c; ++ic) {
              const std::size_t packed =
                  ((in * h + ih) * w + iw) * r * r * c + (i * r + j) * c + ic;
              const std::size_t spread = ((in * h * r + ih * r + i) * w * r + iw * r + j) * c + ic;
              if (inverse) to[packed] = from[spread];
              else to[spread] = from[packed];
            }
  return to;
}

// visit(position in the patch matrix, position in x) for every pair that im2col connects.
// Shape: the fields of kernels::PatchShape.
template <class Shape, class F> void for_patches(const Shape& s, F&& visit) {
  Index p = 0;
  for (Index n = 0; n < s.n; ++n)
    for (Index oy = 0; oy < s.out_h; ++oy)
      for (Index ox = 0; ox < s.out_w; ++ox)
        for (Index ky = 0; ky < s.kernel_h; ++ky)
          for (Index kx = 0; kx < s.kernel_w; ++kx)
            for (Index c = 0; c < s.c; ++c, ++p) {
              const Index y = oy * s.stride - s.pad_top + ky, x = ox * s.stride - s.pad_left + kx;
              if (y >= 0 && y < s.h && x >= 0 && x < s.w)
                visit(p, ((n * s.h + y) * s.w + x) * s.c + c);
            }
}

// ---- reductions

inline double sum(const Values& x) {
  double s = 0;
  for (double v : x) s += v;
  return s;
}
inline Values sum_columns(const Values& x, Index columns) {
  Values out(columns, 0.0);
  for (std::size_t i = 0; i < x.size(); ++i) out[i % columns] += x[i];
  return out;
}

// ---- optimizer: the update as the papers write it

struct AdamSettings {
  double beta1, beta2, epsilon, weight_decay, learning_rate, clip;
  double correction1, root_correction2;  // 1 - beta1^step, sqrt(1 - beta2^step)
};
inline void adam(const AdamSettings& s, const Values& gradients, Values& weights, Values& m,
                 Values& v) {
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double g = s.clip * gradients[i];
    m[i] = s.beta1 * m[i] + (1 - s.beta1) * g;
    v[i] = s.beta2 * v[i] + (1 - s.beta2) * g * g;
    const double mean = m[i] / s.correction1, root = std::sqrt(v[i]) / s.root_correction2;
    weights[i] -= s.learning_rate * (mean / (root + s.epsilon) + s.weight_decay * weights[i]);
  }
}

// ---- losses. mask empty: all ones. Returns the loss, fills dpred.

inline double map_loss(bool squared, const Values& pred, const Values& target, const Values& mask,
                       Index channels, Values& dpred) {
  const double count = static_cast<double>(pred.size());
  double loss = 0;
  dpred.assign(pred.size(), 0);
  for (std::size_t i = 0; i < pred.size(); ++i) {
    const double d = pred[i] - target[i], m = mask.empty() ? 1 : mask[i / channels];
    loss += m * (squared ? d * d : std::fabs(d)) / count;
    dpred[i] = m / count * (squared ? 2 * d : (d > 0) - (d < 0));
  }
  return loss;
}

inline Index reflect(Index i, Index n) { return i < 0 ? -i : (i >= n ? 2 * (n - 1) - i : i); }

// One channel of one image, its neighbouring pixels `stride` apart: visit(pixel, ssim). Window
// sums are plain sums over 121 taps. With a weight[h*w], dp += weight * dssim/dp: each pixel's
// derivative is scattered to the 121 values it came from.
template <class Visit>
void ssim_plane(const double* p, const double* t, Index h, Index w, Index stride,
                const double* weight, double* dp, Visit&& visit) {
  double window[11], total = 0;
  for (int k = 0; k < 11; ++k) total += window[k] = std::exp(-(k - 5) * (k - 5) / (2 * 1.5 * 1.5));
  for (double& g : window) g /= total;
  for (Index pixel = 0; pixel < h * w; ++pixel) {
    // f(offset of a tap, its weight)
    const auto taps = [&](const auto& f) {
      for (int i = 0; i < 11; ++i)
        for (int j = 0; j < 11; ++j)
          f((reflect(pixel / w + i - 5, h) * w + reflect(pixel % w + j - 5, w)) * stride,
            window[i] * window[j]);
    };
    double mp = 0, mt = 0;
    taps([&](Index o, double g) { mp += g * p[o], mt += g * t[o]; });
    double vp = 0, vt = 0, cov = 0;  // central moments: nothing cancels
    taps([&](Index o, double g) {
      vp += g * (p[o] - mp) * (p[o] - mp);
      vt += g * (t[o] - mt) * (t[o] - mt);
      cov += g * (p[o] - mp) * (t[o] - mt);
    });
    const double c1 = 0.01 * 0.01, c2 = 0.03 * 0.03;
    const double luminance = (2 * mp * mt + c1) / (mp * mp + mt * mt + c1),
                 structure = (2 * cov + c2) / (vp + vt + c2);
    visit(pixel, luminance * structure);
    if (!weight) continue;
    // d luminance / d mp, d structure / d cov, d structure / d vp; and how each tap moves mp,
    // cov and vp
    const double dl = (2 * mt - luminance * 2 * mp) / (mp * mp + mt * mt + c1),
                 dcov = 2 / (vp + vt + c2), dvp = -structure / (vp + vt + c2);
    taps([&](Index o, double g) {
      dp[o] += weight[pixel] * g *
               (structure * dl + luminance * (dcov * (t[o] - mt) + dvp * 2 * (p[o] - mp)));
    });
  }
}

inline double dssim_loss(const Values& pred, const Values& target, const Values& mask, Index n,
                         Index h, Index w, Index c, Values& dpred) {
  double loss = 0;
  dpred.assign(pred.size(), 0);
  for (Index in = 0; in < n; ++in) {
    Values weight(h * w);
    for (Index i = 0; i < h * w; ++i)
      weight[i] = -0.5 / double(pred.size()) * (mask.empty() ? 1 : mask[in * h * w + i]);
    for (Index k = in * h * w * c; k < in * h * w * c + c; ++k)
      ssim_plane(&pred[k], &target[k], h, w, c, weight.data(), &dpred[k],
                 [&](Index pixel, double ssim) { loss -= weight[pixel] * (1 - ssim); });
  }
  return loss;
}

inline Values ssim_map(const Values& a, const Values& b, Index n, Index h, Index w, Index c) {
  Values out(n * h * w);
  for (Index in = 0; in < n; ++in)
    for (Index k = in * h * w * c; k < in * h * w * c + c; ++k)
      ssim_plane(&a[k], &b[k], h, w, c, nullptr, nullptr,
                 [&](Index pixel, double ssim) { out[in * h * w + pixel] += ssim / double(c); });
  return out;
}
}  // namespace bench::cases::reference
