// Sample kernels of every form, for the tests of the host executor and of the GPU.
// Computes: simt_samples.h lists the results.
// Parallel: each in the smallest grid that shows barriers, shuffles, tiles and halos.
// Bytes: a few hundred kilobytes.
// Source: textbook kernels, no paper.
#include "tests/kernels/simt/simt_samples.h"

#include <cmath>

#include "kernels/simt/instantiate.h"

namespace {

// ---- range
__global__ void smooth_step(const float* __restrict__ x, float* __restrict__ y, std::int64_t n,
                            float slope) {
  for (const std::int64_t i : simt::grid_range(n)) {
    const float v = x[i] * 1.25f + 0.1f;
    y[i] = (v > 0.f ? v : v * slope) / (1.f + sqrtf(fabsf(v) * 0.3f + v * v));
  }
}

// ---- raw: reverses blocks of 64, through shared memory
__global__ void reverse64(const float* __restrict__ x, float* __restrict__ y) {
  SIMT_SHARED(float, tile, [64]);
  const unsigned t = threadIdx.x;
  tile[t] = x[blockIdx.x * 64 + t];
  __syncthreads();
  y[blockIdx.x * 64 + t] = tile[63 - t];
}

// ---- raw: rounds of shared memory with two barriers and a shuffle
__global__ void mix(const float* __restrict__ x, float* __restrict__ y, int rounds) {
  SIMT_SHARED(float, tile, [96]);
  float v = x[blockIdx.x * 96 + threadIdx.x];
  for (int r = 0; r < rounds; ++r) {
    tile[threadIdx.x] = v;
    __syncthreads();
    v = v * 0.5f + tile[(threadIdx.x + 7 * static_cast<unsigned>(r) + 1) % 96];
    __syncthreads();
    v += 0.25f * __shfl_xor_sync(0xffffffffu, v, 1 << (r % 5));
  }
  y[blockIdx.x * 96 + threadIdx.x] = v;
}

// ---- raw: a tree of sums in dynamic shared memory
__global__ void tree_sum(const float* __restrict__ x, float* __restrict__ out) {
  SIMT_DYNAMIC_SHARED(float, s);
  const unsigned t = threadIdx.x;
  s[t] = x[blockIdx.x * blockDim.x + t];
  __syncthreads();
  for (unsigned o = blockDim.x / 2; o != 0; o >>= 1) {
    if (t < o) s[t] += s[t + o];
    __syncthreads();
  }
  if (t == 0) out[blockIdx.x] = s[0];
}

// ---- block: sums, a tile, a halo
template <class T> struct RowStatistics {
  static constexpr int kx = 128, ky = 1;
  const float* x;  // [rows,columns]
  T* mean;         // [rows]
  T* deviation;    // [rows]
  int columns;
  template <class B> SIMT_DEVICE void operator()(B& b) const {
    const float* row = x + std::int64_t{b.block_x()} * columns;
    simt::Reg<B, T> total{}, squares{};
    b.strided(columns, [&](int t, int i) SIMT_LAMBDA { total[t] += static_cast<T>(row[i]); });
    const T m = b.sum(total) / static_cast<T>(columns);
    b.strided(columns, [&](int t, int i) SIMT_LAMBDA {
      const T d = static_cast<T>(row[i]) - m;
      squares[t] += d * d;
    });
    const T v = b.sum(squares) / static_cast<T>(columns);
    b.once([&]() SIMT_LAMBDA {
      mean[b.block_x()] = m;
      deviation[b.block_x()] = std::sqrt(v);
    });
  }
};

struct Transpose {
  static constexpr int kx = 32, ky = 8;
  const float* in;  // [depth,h,w]
  float* out;       // [depth,w,h]
  int h, w;
  template <class B> SIMT_DEVICE void operator()(B& b) const {
    SIMT_BLOCK_SHARED(B, float, tile, [32][33]);
    const int x0 = b.block_x() * 32, y0 = b.block_y() * 32;
    const std::int64_t plane = std::int64_t{b.block_z()} * h * w;
    b.phase([&](int tx, int ty) SIMT_LAMBDA {
      for (int j = ty; j < 32; j += 8)
        if (x0 + tx < w && y0 + j < h) tile[j][tx] = in[plane + std::int64_t{y0 + j} * w + x0 + tx];
    });
    b.each([&](int tx, int ty) SIMT_LAMBDA {
      for (int j = ty; j < 32; j += 8)
        if (y0 + tx < h && x0 + j < w)
          out[plane + std::int64_t{x0 + j} * h + y0 + tx] = tile[tx][j];
    });
  }
};

struct Blur5 {  // five taps, both directions, clamped edges
  static constexpr int kx = 32, ky = 4, halo = 2;
  const float* in;  // [h,w]
  float* out;       // [h,w]
  int h, w;
  float taps[5];
  template <class B> SIMT_DEVICE void operator()(B& b) const {
    SIMT_BLOCK_SHARED(B, float, source, [ky + 2 * halo][kx + 2 * halo]);
    SIMT_BLOCK_SHARED(B, float, rows, [ky + 2 * halo][kx]);
    const int x0 = b.block_x() * kx, y0 = b.block_y() * ky;
    b.template for_each2<kx + 2 * halo>(ky + 2 * halo, [&](int i, int j) SIMT_LAMBDA {
      const int y = min(max(y0 + i - halo, 0), h - 1), x = min(max(x0 + j - halo, 0), w - 1);
      source[i][j] = in[std::int64_t{y} * w + x];
    });
    b.for_each((ky + 2 * halo) * kx, [&](int e) SIMT_LAMBDA {
      const int i = e / kx, j = e % kx;
      float s = 0.f;
      for (int q = 0; q < 5; ++q) s += taps[q] * source[i][j + q];
      rows[i][j] = s;
    });
    b.each([&](int tx, int ty) SIMT_LAMBDA {
      float s = 0.f;
      for (int q = 0; q < 5; ++q) s += taps[q] * rows[ty + q][tx];
      if (x0 + tx < w && y0 + ty < h) out[std::int64_t{y0 + ty} * w + x0 + tx] = s;
    });
  }
};
}  // namespace

template <class D>
void run_samples(kernels::Stream& stream, const SampleShape& s, const float* x,
                 const SampleOutputs& out) {
  simt::launch_range<smooth_step>(stream, s.n, x, out.range, s.n, 0.1f);
  simt::launch_with_barriers<reverse64>(stream, dim3(4), dim3(64), x, out.reversed);
  simt::launch_with_barriers<mix>(stream, dim3(4), dim3(96), x, out.mixed, 6);
  simt::launch_with_shared<tree_sum>(stream, dim3(6), dim3(64), 64 * sizeof(float), x, out.tree);
  const dim3 rows(static_cast<unsigned>(s.rows));
  simt::launch_block(stream, rows, RowStatistics<float>{x, out.mean, out.deviation, s.columns});
  simt::launch_block(stream, rows,
                     RowStatistics<double>{x, out.mean64, out.deviation64, s.columns});
  const auto tiles = [](int size, int tile) {
    return static_cast<unsigned>((size + tile - 1) / tile);
  };
  simt::launch_block(stream, dim3(tiles(s.w, 32), tiles(s.h, 32), static_cast<unsigned>(s.depth)),
                     Transpose{x, out.transposed, s.h, s.w});
  simt::launch_block(stream, dim3(tiles(s.w, Blur5::kx), tiles(s.h, Blur5::ky)),
                     Blur5{x, out.blurred, s.h, s.w, {0.1f, 0.2f, 0.4f, 0.2f, 0.1f}});
}
SIMT_INSTANTIATE_FOR(run_samples)
