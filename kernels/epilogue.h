// The backward pass of a layer's epilogue, y = pixel_shuffle(f(z + bias)), in one
// sweep. Deterministic: the bias gradient has the same bits for any number of threads.
// T: float, bf16 and f16 everywhere, double on the host.
#pragma once
#include <typeindex>
#include <vector>

#include "kernels/conv/conv.h"
#include "kernels/core/memory.h"

namespace kernels {

struct EpilogueShape {  // of z, [N,H,W,r*r*C]
  std::int64_t n;
  int h, w, c;
  int r = 1;  // of the pixel shuffle; 1: none
  std::int64_t rows() const { return n * h * w; }
  std::int64_t columns() const { return std::int64_t{r} * r * c; }
};

// A bias gradient whose second stage has not run: partial sums and the place of their
// total.
struct PendingSum {
  std::type_index type;  // of out
  Buffer partials;       // [pieces,columns] in the compute type
  void* out;             // [columns], not written yet
  std::int64_t columns;
  int pieces;
};
using PendingSums = std::vector<PendingSum>;

// dz = dy * f'(y), moved back to where z lies, and dbias = column sums of dz.
// The second stage of the sums is left to finish_column_sums if `later` is given.
// Without a shuffle dz may be dy; without an activation either it must be dy.
template <class D, class T>
void epilogue_backward(Stream&, const ConvEpilogue&, const EpilogueShape&,
                       const T* y,   // [N,H*r,W*r,C], null without an activation
                       const T* dy,  // [N,H*r,W*r,C]
                       T* dz,        // [N,H,W,r*r*C]
                       T* dbias,     // [r*r*C] or null
                       PendingSums* later = nullptr);

// The second stage of many bias gradients in one launch, on the stream of their first.
// Empties the list.
template <class D> void finish_column_sums(Stream&, PendingSums& pending);
}  // namespace kernels
