// Image losses without SSIM, value and gradient in one pass. ssim.cu has those with it.
// Computes: loss = 1/count * sum_i mask_i * (mse * d^2 + mae * |d|), d = pred - target
//           dpred = mask/count * (mse * 2d + mae * sign(d))
// Parallel: block g takes piece g of the pixels, a thread every 256th pixel with all
//   its channels, so the mask is read once and nothing is divided. Block sums, then one
//   last block (partial_sums.h). Without a mask every value is a pixel.
// Bytes: pred, target and mask read once, dpred written once.
// Source: textbook definitions of both errors.
#include "kernels/losses.h"

#include "kernels/partial_sums.h"
#include "kernels/pixel_error.h"
#include "kernels/simt/instantiate.h"
#include "kernels/ssim.h"

namespace kernels {
namespace {

template <class T, bool kMask> struct LossPieces {
  static constexpr int kx = kSumThreads, ky = 1;
  const T* pred;           // [shares,pixels,channels]
  const T* target;         // [shares,pixels,channels]
  const T* mask;           // [shares,pixels]
  T* dpred;                // [shares,pixels,channels]
  compute_t<T>* partials;  // [shares,pieces]
  Pieces pieces;           // of a share's pixels
  int channels;
  compute_t<T> scale;  // 1/count
  PixelError<compute_t<T>> error;

  template <class B> SIMT_DEVICE void operator()(B& b) const {
    using C = compute_t<T>;
    const int share = b.block_x() / pieces.count, piece = b.block_x() - share * pieces.count;
    const std::int64_t first_of_share = piece * pieces.length,
                       first = share * pieces.n + first_of_share;
    simt::Reg<B, C> total{};
    b.strided(pieces.size(first_of_share), [&](int t, int p) SIMT_LAMBDA {
      if constexpr (kMask) {
        const C m = load(mask, first + p);
        for (int c = 0; c < channels; ++c) one((first + p) * channels + c, m, total[t]);
      } else {
        one(first + p, C(1), total[t]);
      }
    });
    const C sum = b.sum(total);
    b.once([&]() SIMT_LAMBDA { partials[b.block_x()] = sum; });
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
  const dim3 grid(static_cast<unsigned>(blocks));
  if (mask)
    simt::launch_block(stream, grid,
                       LossPieces<T, true>{pred, target, mask, out.dpred, partials.as<C>(), pieces,
                                           shape.c, scale, error});
  else
    simt::launch_block(stream, grid,
                       LossPieces<T, false>{pred, target, mask, out.dpred, partials.as<C>(), pieces,
                                            1, scale, error});
  simt::launch_block(
      stream, dim3(1),
      StoreLosses<C>{{partials.as<C>(), pieces.count, shares, out.each, out.sum, scale}});
}

SIMT_INSTANTIATE(image_loss)
}  // namespace kernels
