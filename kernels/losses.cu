// Image losses without SSIM, value and gradient in one pass. ssim.cu has those with it.
// Computes: loss = 1/count * sum_i mask_i * (mse * d^2 + mae * |d|), d = pred - target
//           dpred = mask/count * (mse * 2d + mae * sign(d))
// Parallel: block g takes piece g of the pixels. Host: a thread takes every 256th pixel
//   with all its channels, so the mask is read once and nothing is divided. GPU: a
//   thread takes two vectors of 16 bytes at once, wherever the pixels begin. Block sums,
//   then one last block (partial_sums.h). Without a mask every value is a pixel.
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
  const T* pred;           // [pixels,channels]
  const T* target;         // [pixels,channels]
  const T* mask;           // [pixels]
  T* dpred;                // [pixels,channels]
  compute_t<T>* partials;  // [pieces]
  Pieces pieces;           // of pixels
  Divisor channels;
  compute_t<T> scale;  // 1/count
  PixelError<compute_t<T>> error;
  bool vectors;  // pred, target and dpred are aligned to 16 bytes

  template <class B> SIMT_DEVICE void operator()(B& b) const {
    using C = compute_t<T>;
    const std::int64_t first = b.block_x() * pieces.length;
    simt::Reg<B, C> total{};
    if (B::kOneThread && vectors) {
      b.each([&](int t, int) SIMT_LAMBDA { add_vectors(first, total[t]); });
    } else {
      const int count = static_cast<int>(channels.value);
      b.strided(pieces.size(first), [&](int t, int p) SIMT_LAMBDA {
        if constexpr (kMask) {
          const C m = load(mask, first + p);
          for (int c = 0; c < count; ++c) one((first + p) * count + c, m, total[t]);
        } else {
          one(first + p, C(1), total[t]);
        }
      });
    }
    const C sum = b.sum(total);
    b.once([&]() SIMT_LAMBDA { partials[b.block_x()] = sum; });
  }

 private:
  // A GPU thread's share of the piece that begins with this pixel.
  SIMT_DEVICE void add_vectors(std::int64_t first_pixel, compute_t<T>& total) const {
    using C = compute_t<T>;
    const std::int64_t first = first_pixel * channels.value;
    const std::int64_t length = std::int64_t{pieces.size(first_pixel)} * channels.value;
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
}  // namespace

template <class D, class T>
void image_loss(Stream& stream, const ImageShape& shape, const LossWeights& weights, const T* pred,
                const T* target, const T* mask, compute_t<T>* loss, T* dpred) {
  using C = compute_t<T>;
  if (weights.dssim != 0.f)
    return loss_with_ssim<D, T>(weights, stream, shape, pred, target, mask, loss, dpred);
  const std::int64_t pixels = shape.n * shape.h * shape.w, values = pixels * shape.c;
  if (values == 0)
    throw Error(ErrorKind::usage, "image_loss: the images have no pixels; pass at least one");
  const C scale = static_cast<C>(1.0 / static_cast<double>(values));
  const PixelError<C> error{static_cast<C>(weights.mse), static_cast<C>(weights.mae)};
  const Pieces pieces(mask ? pixels : values, mask ? 16 : 64);
  const Buffer partials(stream.device(), static_cast<std::size_t>(pieces.count) * sizeof(C));
  const dim3 grid(static_cast<unsigned>(pieces.count));
  const Divisor channels(mask ? shape.c : 1);
  const bool vectors = aligned_for<lanes<T>>(pred, target, dpred);
  if (mask)
    simt::launch_block(stream, grid,
                       LossPieces<T, true>{pred, target, mask, dpred, partials.as<C>(), pieces,
                                           channels, scale, error, vectors});
  else
    simt::launch_block(stream, grid,
                       LossPieces<T, false>{pred, target, mask, dpred, partials.as<C>(), pieces,
                                            channels, scale, error, vectors});
  sum_partials(stream, partials.as<C>(), pieces.count, StoreTotal<C>{loss, scale});
}

SIMT_INSTANTIATE(image_loss)
}  // namespace kernels
