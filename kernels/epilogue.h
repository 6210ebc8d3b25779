// Sums over the rows of a matrix: gradients of biases, alone or on the way through an activation's backward pass. Deterministic: the same
// bits for any number of threads. Each is two stages, partial sums and their total; where `later` is given, the second stage waits
// there, and one launch of finish_column_sums does it for many matrices at once. rows = N*H*W, columns = channels (NHWC).
#pragma once
#include <typeindex>
#include <vector>

#include "kernels/core/memory.h"
#include "kernels/core/stream.h"

namespace kernels {

struct PendingSum {
  std::type_index type;  // of out
  Buffer partials;       // [pieces,columns] in the compute type
  void* out;             // [columns], nothing in it yet
  std::int64_t columns;
  int pieces;
};
using PendingSums = std::vector<PendingSum>;

// out[c] = sum over rows of x[row, c]
template <class D, class T>
void sum_columns(Stream&, const T* x /*[rows,columns]*/, T* out /*[columns]*/, std::int64_t rows,
                 std::int64_t columns, PendingSums* later = nullptr);

// The backward pass of bias + LeakyReLU in one sweep: dx = dy * f'(y), dbias = column sums of dx. dx may be dy.
template <class D, class T>
void bias_leaky_relu_backward(Stream&, const T* y, const T* dy, T* dx, T* dbias, std::int64_t rows,
                              std::int64_t columns, float slope, PendingSums* later = nullptr);

// The same for bias + sigmoid: dx = dy * y * (1 - y). dx may be dy.
template <class D, class T>
void bias_sigmoid_backward(Stream&, const T* y, const T* dy, T* dx, T* dbias, std::int64_t rows,
                           std::int64_t columns, PendingSums* later = nullptr);

// The backward pass of y = pixel_shuffle(leaky_relu(x + bias)): y and dy are read where the shuffle put them, so that no pass of its own undoes it.
template <class D, class T>
void bias_leaky_relu_shuffle_backward(Stream&, const T* y /*[N,H*r,W*r,C]*/,
                                      const T* dy /*[N,H*r,W*r,C]*/, T* dx /*[N,H,W,r*r*C]*/,
                                      T* dbias /*[r*r*C]*/, std::int64_t n, int h, int w, int c,
                                      int r, float slope, PendingSums* later = nullptr);

// The second stage of all that waits, on the stream that the first stages ran on. The list is empty afterwards.
template <class D> void finish_column_sums(Stream&, PendingSums& pending);

}  // namespace kernels
