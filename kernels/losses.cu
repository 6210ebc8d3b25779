// Image losses without SSIM, value and gradient in one pass. ssim.cu has those with it.
// Computes: loss = 1/count * sum_i mask_i * (mse * d^2 + mae * |d|), d = pred - target
//           dpred = mask/count * (mse * 2d + mae * sign(d))
// Parallel: block g takes piece g of the pixels. Host: a thread takes every 256th pixel
//   with all its channels, so the mask is read once and nothing is divided. GPU: a
//   thread takes two vectors of 16 bytes at once, wherever the pixels begin. Block sums,
//   then one last block. Without a mask every value is a pixel. Shares lie one behind
//   the other.
// Bytes: pred, target and mask read once, dpred written once.
// Source: textbook definitions of both errors.
#include "kernels/losses.h"

#include "kernels/partial_sums.h"
#include "kernels/pixel_error.h"
#include "kernels/simt/instantiate.h"
#include "kernels/ssim.h"
#include "kernels/vectors.h"

namespace kernels {
namespace {

static_assert(kSumThreads == kVectorThreads);

template <class T, bool kMask> struct LossPieces {
  static constexpr int kx = kSumThreads, ky = 1;
  const T* pred;           // [shares,pixels,channels]
  const T* target;         // [shares,pixels,channels]
  const T* mask;           // [shares,pixels]
  T* dpred;                // [shares,pixels,channels]
  compute_t<T>* partials;  // [shares,pieces]
  Pieces pieces;           // of a share's pixels
  Divisor channels;
  compute_t<T> scale;  // 1/count
  PixelError<compute_t<T>> error;
  bool vectors;  // pred, target and dpred are aligned to 16 bytes

  template <class B> SIMT_DEVICE void operator()(B& b) const {
    using C = compute_t<T>;
    const std::int64_t in_share = b.block_x() * pieces.length,
                       first = b.block_y() * pieces.n + in_share;
    const int size = pieces.size(in_share);
    simt::Reg<B, C> total{};
    if (B::kOneThread && vectors) {
      b.each([&](int t, int) SIMT_LAMBDA { add_vectors(first, size, total[t]); });
    } else {
      const int count = static_cast<int>(channels.value);
      b.strided(size, [&](int t, int p) SIMT_LAMBDA {
        if constexpr (kMask) {
          const C m = load(mask, first + p);
          for (int c = 0; c < count; ++c) one((first + p) * count + c, m, total[t]);
        } else {
          one(first + p, C(1), total[t]);
        }
      });
    }
    const C sum = b.sum(total);
    b.once([&]() SIMT_LAMBDA { partials[b.block_y() * b.grid_x() + b.block_x()] = sum; });
  }

 private:
  // A GPU thread's part of the piece of `pixels` that begins with this one.
  SIMT_DEVICE void add_vectors(std::int64_t first_pixel, int pixels, compute_t<T>& total) const {
    using C = compute_t<T>;
    const std::int64_t first = first_pixel * channels.value;
    const std::int64_t length = std::int64_t{pixels} * channels.value;
    const VectorRange<lanes<T>> range{length, static_cast<std::uint32_t>(length / lanes<T>)};
    for_vectors_of_thread<kVectorsInFlight>(range, 0, 1, [&](const auto& at) SIMT_LAMBDA {
      auto d = map([](C p, C t) { return p - t; }, at.load(pred + first), at.load(target + first));
      SIMT_UNROLL
      for (int k = 0; k < at.count; ++k) {
        C m = 1;
        if constexpr (kMask) {
          const std::int64_t i = at.element(k / at.kLanes) + k % at.kLanes;
          m = load(mask, first_pixel + channels.divide(static_cast<std::uint32_t>(i)));
        }
        total += m * error.value(d[k]);
        d[k] = m * scale * error.slope(d[k]);
      }
      at.store(dpred + first, d);
    });
  }

  SIMT_DEVICE void one(std::int64_t i, compute_t<T> m, compute_t<T>& total) const {
    using C = compute_t<T>;
    const C d = load(pred, i) - load(target, i);
    total += m * error.value(d);
    store(dpred, i, m * scale * error.slope(d));
  }
};

template <class C> struct StoreLosses {
  static constexpr int kx = kSumThreads, ky = 1;
  LossTotals<C> totals;
  template <class B> SIMT_DEVICE void operator()(B& b) const { totals.store(b); }
};
}  // namespace

template <class D, class T>
void image_loss(Stream& stream, const ImageShape& shape, const LossWeights& weights, const T* pred,
                const T* target, const T* mask, const LossResults<T>& out, int shares) {
  using C = compute_t<T>;
  if (weights.dssim != 0.f)
    return loss_with_ssim<D, T>(weights, stream, shape, pred, target, mask, out, shares);
  const std::int64_t pixels = shape.n * shape.h * shape.w, values = pixels * shape.c;
  if (values == 0)
    throw Error(ErrorKind::usage, "image_loss: the images have no pixels; pass at least one");
  const C scale = static_cast<C>(1.0 / static_cast<double>(values));
  const PixelError<C> error{static_cast<C>(weights.mse), static_cast<C>(weights.mae)};
  const Pieces pieces(mask ? pixels : values, mask ? 16 : 64);
  const int blocks = shares * pieces.count;
  const Buffer partials(stream.device(), static_cast<std::size_t>(blocks) * sizeof(C));
  const dim3 grid(static_cast<unsigned>(pieces.count), static_cast<unsigned>(shares));
  const Divisor channels(mask ? shape.c : 1);
  // A share begins at a multiple of 16 bytes too.
  const bool vectors =
      aligned_for<lanes<T>>(pred, target, out.dpred) && (shares == 1 || values % lanes<T> == 0);
  stream.moves(shares * (3 * values + (mask ? pixels : 0)) * sizeof(T));
  if (mask)
    simt::launch_block(stream, grid,
                       LossPieces<T, true>{pred, target, mask, out.dpred, partials.as<C>(), pieces,
                                           channels, scale, error, vectors});
  else
    simt::launch_block(stream, grid,
                       LossPieces<T, false>{pred, target, mask, out.dpred, partials.as<C>(), pieces,
                                            channels, scale, error, vectors});
  simt::launch_block(
      stream, dim3(1),
      StoreLosses<C>{{partials.as<C>(), pieces.count, shares, out.each, out.sum, scale}});
}

SIMT_INSTANTIATE(image_loss)
}  // namespace kernels
