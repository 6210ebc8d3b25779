// Colour spaces and colour transfer.
// Computes:
//   rgb_to_lab, lab_to_rgb   color_math.h
//   channel_stats            the weighted mean, then the weighted deviation from it:
//                            the one-pass E[x^2] - E[x]^2 loses half the digits
//   transfer_stats           (x - mean1) * gain + mean2, gain = deviation2 / deviation1
// Parallel: one thread per pixel. Statistics, twice: 256 running sums per piece, a
//   tree, one last block.
// Bytes: 12 read and 12 written per pixel; statistics read image and weights twice.
// Source: Reinhard et al. 2001, https://doi.org/10.1109/38.946629
#include "kernels/image/color.h"

#include "kernels/image/color_math.h"
#include "kernels/partial_sums.h"
#include "kernels/simt/instantiate.h"

namespace kernels {
namespace {

__global__ void rgb_to_lab_kernel(const float* rgb, float* lab, std::int64_t n) {
  for_elements(n, [=](std::int64_t i) SIMT_LAMBDA {
    const Lab c = rgb_to_lab(Rgb{rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]});
    lab[3 * i] = c.l;
    lab[3 * i + 1] = c.a;
    lab[3 * i + 2] = c.b;
  });
}

__global__ void lab_to_rgb_kernel(const float* lab, float* rgb, std::int64_t n) {
  for_elements(n, [=](std::int64_t i) SIMT_LAMBDA {
    const Rgb c = lab_to_rgb(Lab{lab[3 * i], lab[3 * i + 1], lab[3 * i + 2]});
    rgb[3 * i] = c.r;
    rgb[3 * i + 1] = c.g;
    rgb[3 * i + 2] = c.b;
  });
}

// Pass 0: sum of weight and of weight * x. Pass 1: of weight * (x - mean)^2.
template <int kPass> struct StatsPieces {
  static constexpr int kx = kSumThreads, ky = 1;
  const float* image;   // [n,3]
  const float* weight;  // [n] or null
  const float* stats;   // [7]: the means, for pass 1
  float* partials;      // [4,pieces]: weight, then the channels
  Pieces pieces;

  template <class B> SIMT_DEVICE void operator()(B& b) const {
    const std::int64_t first = b.block_x() * pieces.length;
    simt::Reg<B, float> weights{}, total0{}, total1{}, total2{};
    const float mean0 = kPass ? stats[0] : 0.f, mean1 = kPass ? stats[1] : 0.f,
                mean2 = kPass ? stats[2] : 0.f;
    b.strided(pieces.size(first), [&](int t, int p) SIMT_LAMBDA {
      const float w = weight ? weight[first + p] : 1.f;
      const float* const x = image + 3 * (first + p);
      const float d0 = x[0] - mean0, d1 = x[1] - mean1, d2 = x[2] - mean2;
      weights[t] += w;
      total0[t] += w * (kPass ? d0 * d0 : d0);
      total1[t] += w * (kPass ? d1 * d1 : d1);
      total2[t] += w * (kPass ? d2 * d2 : d2);
    });
    const float sums[4] = {b.sum(weights), b.sum(total0), b.sum(total1), b.sum(total2)};
    b.once([&]() SIMT_LAMBDA {
      for (int q = 0; q < 4; ++q) partials[q * pieces.count + b.block_x()] = sums[q];
    });
  }
};

template <int kPass> struct StatsTotals {
  static constexpr int kx = kSumThreads, ky = 1;
  const float* partials;  // [4,pieces]
  int pieces;
  float* stats;  // [7]
  template <class B> SIMT_DEVICE void operator()(B& b) const {
    float sums[4];
    for (int q = 0; q < 4; ++q) {
      simt::Reg<B, float> total{};
      b.strided(pieces, [&](int t, int i) SIMT_LAMBDA { total[t] += partials[q * pieces + i]; });
      sums[q] = b.sum(total);
    }
    b.once([&]() SIMT_LAMBDA {
      // No weight: mean and deviation 0.
      const float weight = sums[0], over = weight > 0.f ? 1.f / weight : 0.f;
      for (int c = 0; c < 3; ++c) {
        if (kPass) stats[3 + c] = std::sqrt(sums[1 + c] * over);
        else stats[c] = sums[1 + c] * over;
      }
      stats[6] = weight;
    });
  }
};

__global__ void transfer_stats_kernel(const float* image, float* out, std::int64_t n,
                                      const float* from, const float* to, bool match_deviation,
                                      float max_gain) {
  float gain[3], shift[3];
  for (int c = 0; c < 3; ++c) {
    gain[c] = 1.f;
    if (match_deviation && from[3 + c] > 0.f) {
      const float ratio = to[3 + c] / from[3 + c];
      gain[c] = ratio > max_gain ? max_gain : ratio < 1.f / max_gain ? 1.f / max_gain : ratio;
    }
    shift[c] = to[c] - from[c] * gain[c];
  }
  const float g0 = gain[0], g1 = gain[1], g2 = gain[2], s0 = shift[0], s1 = shift[1], s2 = shift[2];
  for_elements(n, [=](std::int64_t i) SIMT_LAMBDA {
    out[3 * i] = image[3 * i] * g0 + s0;
    out[3 * i + 1] = image[3 * i + 1] * g1 + s1;
    out[3 * i + 2] = image[3 * i + 2] * g2 + s2;
  });
}
}  // namespace

template <class D> void rgb_to_lab(Stream& stream, const float* rgb, float* lab, std::int64_t n) {
  simt::launch_range<rgb_to_lab_kernel, 1024>(stream.moves(6 * n * sizeof(float)), n, rgb, lab, n);
}

template <class D> void lab_to_rgb(Stream& stream, const float* lab, float* rgb, std::int64_t n) {
  simt::launch_range<lab_to_rgb_kernel, 1024>(stream.moves(6 * n * sizeof(float)), n, lab, rgb, n);
}

template <class D>
void channel_stats(Stream& stream, const float* image, const float* weight, float* stats,
                   std::int64_t n) {
  const Pieces pieces(n, 16);
  const Buffer partials(stream.device(),
                        static_cast<std::size_t>(4 * pieces.count) * sizeof(float));
  float* const sums = partials.as<float>();
  const dim3 grid(static_cast<unsigned>(pieces.count));
  const std::size_t moved = (weight ? 4 : 3) * n * sizeof(float);
  if (pieces.count > 0)
    simt::launch_block(stream.moves(moved), grid,
                       StatsPieces<0>{image, weight, stats, sums, pieces});
  simt::launch_block(stream, dim3(1), StatsTotals<0>{sums, pieces.count, stats});
  if (pieces.count > 0)
    simt::launch_block(stream.moves(moved), grid,
                       StatsPieces<1>{image, weight, stats, sums, pieces});
  simt::launch_block(stream, dim3(1), StatsTotals<1>{sums, pieces.count, stats});
}

template <class D>
void transfer_stats(Stream& stream, const float* image, float* out, std::int64_t n,
                    const float* from, const float* to, bool match_deviation, float max_gain) {
  if (!(max_gain >= 1.f))
    throw Error(ErrorKind::usage,
                "transfer_stats: max_gain must be at least 1, got " + std::to_string(max_gain));
  simt::launch_range<transfer_stats_kernel>(stream.moves(6 * n * sizeof(float)), n, image, out, n,
                                            from, to, match_deviation, max_gain);
}

SIMT_INSTANTIATE_FOR(rgb_to_lab)
SIMT_INSTANTIATE_FOR(lab_to_rgb)
SIMT_INSTANTIATE_FOR(channel_stats)
SIMT_INSTANTIATE_FOR(transfer_stats)
}  // namespace kernels
