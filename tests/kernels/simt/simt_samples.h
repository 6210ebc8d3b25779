// One launch of each sample kernel of simt_samples.cu.
#pragma once
#include <cstdint>

#include "kernels/core/stream.h"

struct SampleShape {
  std::int64_t n;     // of the range kernel
  int rows, columns;  // of the row statistics
  int depth, h, w;    // of the transpose and the blur
};

struct SampleOutputs {
  // [n] y = f(1.25 x + 0.1), f(v) = (v > 0 ? v : 0.1 v) / (1 + sqrt(0.3 |v| + v^2))
  float* range;
  float* reversed;          // [4,64] each row of x backwards
  float* mixed;             // [4,96] six rounds of shared memory and shuffles
  float* tree;              // [6] sums of 64
  float *mean, *deviation;  // [rows] of x[rows,columns]
  double *mean64, *deviation64;
  float* transposed;  // [depth,w,h] of x[depth,h,w]
  float* blurred;     // [h,w] of x[h,w], taps 0.1 0.2 0.4 0.2 0.1 on both axes, clamped
};

// x holds as many values as the largest kernel reads. Queued on the stream, not
// awaited.
template <class D>
void run_samples(kernels::Stream&, const SampleShape&, const float* x, const SampleOutputs&);
