// The epilogue of a layer, y = pixel_shuffle(f(z + bias + skip)), and its backward pass,
// each in one sweep. With two branches the first half of the pictures meets the first
// bias and the second half the second: both people's decoders share a launch.
// Deterministic: the bias gradients have the same bits for any number of threads.
// T: float, bf16 and f16 everywhere, double on the host.
#pragma once
#include <span>

#include "kernels/column_sums.h"
#include "kernels/conv/conv.h"

namespace kernels {

constexpr std::size_t kMostBranches = 2;

struct EpilogueShape {  // of the z of one branch, [N,H,W,r*r*C]
  std::int64_t n;
  int h, w, c;
  int r = 1;  // of the pixel shuffle; 1: none
  std::int64_t rows() const { return n * h * w; }
  std::int64_t columns() const { return std::int64_t{r} * r * c; }
};

// y = pixel_shuffle(f(z + bias + skip)). y may be z or skip without a shuffle. The host's
// convolutions do this on their way; there it is for tests.
template <class D, class T>
void epilogue_forward(Stream&, const ConvEpilogue&, const EpilogueShape&,
                      const T* z,                        // [B*N,H,W,r*r*C], B branches
                      std::span<const T* const> biases,  // B times [r*r*C]; none: B = 1, no bias
                      const T* skip,                     // [B*N,H,W,r*r*C] or null
                      T* y);                             // [B*N,H*r,W*r,C]

// dz = (dy + more) * f'(y), moved back to where z lies, and dbias = column sums of dz,
// for each branch. The second stage of the sums is left to finish_column_sums if `later`
// is given. Without a shuffle dz may be dy or more; if also without an activation and
// `more`, it must be dy.
template <class D, class T>
void epilogue_backward(Stream&, const ConvEpilogue&, const EpilogueShape&,
                       const T* y,                   // [B*N,H*r,W*r,C], null without an activation
                       const T* dy,                  // [B*N,H*r,W*r,C]
                       const T* more,                // [B*N,H*r,W*r,C] or null
                       T* dz,                        // [B*N,H,W,r*r*C]
                       std::span<T* const> dbiases,  // B times [r*r*C]; none: B = 1, no sums
                       PendingSums* later = nullptr);

// Runs the GPU's form of both on the host: 16 bytes a thread instead of one value. For
// tests.
inline constinit bool wide_epilogues_on_host = false;
}  // namespace kernels
