// Data movement without arithmetic.
// Computes:
//   pixel shuffle  copies runs: input pixel (n,h,w) holds r runs of r*C values, and run
//                  i belongs, unbroken, to output row h*r + i
//   copy_columns   the same between any row pitches
//   pad_columns    wider rows, filled with zeros
//   im2col         row (n,oy,ox,ky) of the patch matrix is a run of KW*C values of an
//                  image row, cut off at the image's edges
//   col2im         its adjoint, as a gather: an image element adds up its patches
// Parallel: one thread per element, neighbours side by side in a run; a contiguous
//   piece per host worker. No atomics.
// Bytes: read once and written once, so the time is 2 * bytes / bandwidth.
// Source: depth_to_space, https://www.tensorflow.org/api_docs/python/tf/nn/depth_to_space
#include "kernels/layout.h"

#include "kernels/ranges.h"
#include "kernels/simt/instantiate.h"

namespace kernels {
namespace {

// The runs in the order of the output: w runs per output row, r output rows per input
// row.
struct Runs {
  std::int64_t w, r, length;  // length = r*C values
  // Offset of an output run in the input [N,H,W,r*r*C].
  SIMT_DEVICE std::int64_t packed(std::int64_t run) const {
    const std::int64_t row = run / w, column = run - row * w;  // row = (n*H + h)*r + i
    const std::int64_t h = row / r, i = row - h * r;
    return ((h * w + column) * r + i) * length;
  }
};

template <class T, bool kShuffle>
__global__ void pixel_shuffle_kernel(const T* source, T* destination, Runs runs,
                                     std::int64_t count) {
  for_rows(count, runs.length, [=](std::int64_t run, std::int64_t k) SIMT_LAMBDA {
    const std::int64_t spread = run * runs.length, packed = runs.packed(run);
    if constexpr (kShuffle) destination[spread + k] = source[packed + k];
    else destination[packed + k] = source[spread + k];
  });
}

template <class T>
__global__ void copy_columns_kernel(const T* source, std::int64_t source_pitch, T* destination,
                                    std::int64_t destination_pitch, std::int64_t rows,
                                    std::int64_t columns) {
  for_rows(rows, columns, [=](std::int64_t row, std::int64_t c) SIMT_LAMBDA {
    destination[row * destination_pitch + c] = source[row * source_pitch + c];
  });
}

template <class T>
__global__ void pad_columns_kernel(const T* source, T* destination, std::int64_t rows,
                                   std::int64_t columns, std::int64_t padded) {
  for_rows(rows, padded, [=](std::int64_t row, std::int64_t c) SIMT_LAMBDA {
    destination[row * padded + c] = c < columns ? source[row * columns + c] : T{};
  });
}

template <class T>
__global__ void im2col_kernel(PatchShape s, const T* x, T* columns, std::int64_t rows) {
  const std::int64_t length = static_cast<std::int64_t>(s.kernel_w) * s.c,
                     image_row = static_cast<std::int64_t>(s.w) * s.c;
  for_runs(rows, length, [=](std::int64_t row, std::int64_t first, int count) SIMT_LAMBDA {
    const std::int64_t patch = row / s.kernel_h, ky = row - patch * s.kernel_h;
    // line = n*OH + oy
    const std::int64_t line = patch / s.out_w, ox = patch - line * s.out_w;
    const std::int64_t n = line / s.out_h, oy = line - n * s.out_h;
    const std::int64_t iy = oy * s.stride - s.pad_top + ky;
    // Offset of the run in its image row.
    const std::int64_t begin = (ox * s.stride - s.pad_left) * s.c + first;
    // Values [low, high) of the run lie inside the image.
    const std::int64_t wanted_low = begin < 0 ? -begin : 0,
                       wanted_high = begin + count > image_row ? image_row - begin : count;
    const int low = static_cast<int>(wanted_low < count ? wanted_low : count);
    const int high = iy < 0 || iy >= s.h || wanted_high < low ? low : static_cast<int>(wanted_high);
    T* const out = columns + row * length + first;
    const std::int64_t from = (n * s.h + iy) * image_row + begin;
    for (int k = 0; k < low; ++k) out[k] = T{};
    SIMT_SIMD
    for (int k = low; k < high; ++k) out[k] = x[from + k];
    for (int k = high; k < count; ++k) out[k] = T{};
  });
}

// The output position that reads input position i through tap k of one axis; -1: none.
SIMT_DEVICE int reader_of(int i, int pad, int k, int stride, int size) {
  const int reach = i + pad - k, o = reach / stride;
  return reach >= 0 && o * stride == reach && o < size ? o : -1;
}

template <class T>
__global__ void col2im_kernel(PatchShape s, const T* columns, T* x, std::int64_t pixels) {
  const std::int64_t patch_length = static_cast<std::int64_t>(s.kernel_h) * s.kernel_w * s.c;
  for_runs(pixels, s.c, [=](std::int64_t pixel, std::int64_t first, int count) SIMT_LAMBDA {
    const std::int64_t line = pixel / s.w, n = line / s.h;
    const int ix = static_cast<int>(pixel - line * s.w), iy = static_cast<int>(line - n * s.h);
    compute_t<T> sum[kRun] = {};
    for (int ky = 0; ky < s.kernel_h; ++ky) {
      const int oy = reader_of(iy, s.pad_top, ky, s.stride, s.out_h);
      if (oy < 0) continue;
      for (int kx = 0; kx < s.kernel_w; ++kx) {
        const int ox = reader_of(ix, s.pad_left, kx, s.stride, s.out_w);
        if (ox < 0) continue;
        const T* const from = columns + ((n * s.out_h + oy) * s.out_w + ox) * patch_length +
                              (static_cast<std::int64_t>(ky) * s.kernel_w + kx) * s.c + first;
        SIMT_SIMD
        for (int k = 0; k < count; ++k) sum[k] += load(from, k);
      }
    }
    for (int k = 0; k < count; ++k) store(x, pixel * s.c + first + k, sum[k]);
  });
}

template <class T, bool kShuffle>
void launch_shuffle(Stream& stream, const T* source, T* destination, std::int64_t n, int h, int w,
                    int c, int r) {
  const Runs runs{w, r, static_cast<std::int64_t>(r) * c};
  const std::int64_t count = n * h * r * w;
  simt::launch_range<pixel_shuffle_kernel<T, kShuffle>>(stream, count * runs.length, source,
                                                        destination, runs, count);
}
}  // namespace

template <class D, class T>
void pixel_shuffle(Stream& stream, const T* x, T* y, std::int64_t n, int h, int w, int c, int r) {
  launch_shuffle<T, true>(stream, x, y, n, h, w, c, r);
}

template <class D, class T>
void pixel_unshuffle(Stream& stream, const T* y, T* x, std::int64_t n, int h, int w, int c, int r) {
  launch_shuffle<T, false>(stream, y, x, n, h, w, c, r);
}

template <class D, class T>
void copy_columns(Stream& stream, const T* src, std::int64_t src_pitch, T* dst,
                  std::int64_t dst_pitch, std::int64_t rows, std::int64_t columns) {
  simt::launch_range<copy_columns_kernel<T>>(stream, rows * columns, src, src_pitch, dst, dst_pitch,
                                             rows, columns);
}

template <class D, class T>
void pad_columns(Stream& stream, const T* src, T* dst, std::int64_t rows, std::int64_t columns,
                 std::int64_t padded) {
  simt::launch_range<pad_columns_kernel<T>>(stream, rows * padded, src, dst, rows, columns, padded);
}

template <class D, class T>
void im2col(Stream& stream, const PatchShape& s, const T* x, T* columns) {
  const std::int64_t rows = s.n * s.out_h * s.out_w * s.kernel_h;
  simt::launch_range<im2col_kernel<T>>(stream, rows * s.kernel_w * s.c, s, x, columns, rows);
}

template <class D, class T>
void col2im(Stream& stream, const PatchShape& s, const T* columns, T* x) {
  const std::int64_t pixels = s.n * s.h * s.w;
  simt::launch_range<col2im_kernel<T>>(stream, pixels * s.c, s, columns, x, pixels);
}

SIMT_INSTANTIATE(pixel_shuffle)
SIMT_INSTANTIATE(pixel_unshuffle)
SIMT_INSTANTIATE(copy_columns)
SIMT_INSTANTIATE(pad_columns)
SIMT_INSTANTIATE(im2col)
SIMT_INSTANTIATE(col2im)
}  // namespace kernels
