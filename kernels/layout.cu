// Data movement without arithmetic.
// Computes:
//   pixel shuffle  copies runs: input pixel (n,h,w) holds r runs of r*C values, and run
//                  i belongs, unbroken, to output row h*r + i
//   copy_columns   the same between any row pitches
//   pad_columns    wider rows, filled with zeros
//   pad_picture    an output row is a run of an input row between two runs of zeros
//   im2col         row (n,oy,ox,ky) of the patch matrix is a run of KW*C values of an
//                  image row, cut off at the image's edges
//   col2im         its adjoint, as a gather: an image element adds up its patches
// Parallel: GPU: two vectors of 16 bytes per turn of a thread (kernels/vectors.h), one
//   element per turn in pad_picture, im2col, col2im and where a run is no multiple of a
//   vector. Host: a contiguous piece per worker. No atomics.
// Bytes: read once and written once, so the time is 2 * bytes / bandwidth.
// Source: depth_to_space, https://www.tensorflow.org/api_docs/python/tf/nn/depth_to_space
#include "kernels/layout.h"

#include <algorithm>

#include "kernels/simt/instantiate.h"
#include "kernels/vectors.h"

namespace kernels {
namespace {

// Copies the vectors of a turn: from(v) and to(v) are where vector v lies.
template <class Turn, class T, class From, class To>
SIMT_DEVICE void copy_turn(const Turn& at, const T* source, T* destination, From from, To to) {
  Vector<T, at.kLanes> moved[at.kVectors];
  SIMT_UNROLL
  for (int v = 0; v < at.kVectors; ++v) moved[v] = load_vector<at.kLanes>(source + from(v));
  SIMT_UNROLL
  for (int v = 0; v < at.kVectors; ++v) store_vector<at.kLanes>(destination + to(v), moved[v]);
}

// The runs in the order of the output: w runs per output row, r output rows per input
// row.
struct Runs {
  Divisor w, r;
  std::int64_t length;  // r*C values
  // Offset of an output run in the input [N,H,W,r*r*C].
  SIMT_DEVICE std::int64_t packed(std::int64_t run) const {
    const std::uint32_t output = static_cast<std::uint32_t>(run), row = w.divide(output),
                        column = output - row * w.value;  // row = (n*H + h)*r + i
    const std::uint32_t h = r.divide(row), i = row - h * r.value;
    return ((std::int64_t{h} * w.value + column) * r.value + i) * length;
  }
};

template <class T, bool kShuffle>
__global__ void pixel_shuffle_kernel(VectorRange<lanes<T>> range, Divisor length, const T* source,
                                     T* destination, Runs runs) {
  for_row_vectors(range, length, [=](const auto& at) SIMT_LAMBDA {
    const auto spread = [&](int v) { return at.element(v); };
    const auto packed = [&](int v) { return runs.packed(at.row[v]) + at.column[v]; };
    if constexpr (kShuffle) copy_turn(at, source, destination, packed, spread);
    else copy_turn(at, source, destination, spread, packed);
  });
}

template <class T>
__global__ void copy_columns_kernel(VectorRange<lanes<T>> range, Divisor columns, const T* source,
                                    std::int64_t source_pitch, T* destination,
                                    std::int64_t destination_pitch) {
  for_row_vectors(range, columns, [=](const auto& at) SIMT_LAMBDA {
    copy_turn(
        at, source, destination, [&](int v) { return at.row[v] * source_pitch + at.column[v]; },
        [&](int v) { return at.row[v] * destination_pitch + at.column[v]; });
  });
}

// A row is written in vectors and read singly: its columns are no multiple of a vector.
template <class T>
__global__ void pad_columns_kernel(VectorRange<lanes<T>> range, Divisor padded, const T* source,
                                   T* destination, std::int64_t columns) {
  for_row_vectors(range, padded, [=](const auto& at) SIMT_LAMBDA {
    constexpr int lanes = at.kLanes;
    SIMT_UNROLL
    for (int v = 0; v < at.kVectors; ++v) {
      Vector<T, lanes> wide;
      SIMT_UNROLL
      for (int k = 0; k < lanes; ++k) {
        const std::int64_t c = at.column[v] + k;
        wide.at[k] = c < columns ? source[at.row[v] * columns + c] : T{};
      }
      store_vector<lanes>(destination + at.element(v), wide);
    }
  });
}

// The part of a run of `count` values, from `begin` in a line of `size`, that lies inside
// the line: [low, high) of the run.
struct Inside {
  int low, high;
};
SIMT_DEVICE Inside inside_line(std::int64_t begin, int count, std::int64_t size) {
  const std::int64_t low = begin < 0 ? -begin : 0,
                     high = begin + count > size ? size - begin : count;
  const int first = static_cast<int>(low < count ? low : count);
  return {first, high < first ? first : static_cast<int>(high)};
}

template <class T>
__global__ void pad_picture_kernel(PadShape s, const T* x, T* y, std::int64_t rows) {
  const std::int64_t length = static_cast<std::int64_t>(s.out_w) * s.c,
                     line = static_cast<std::int64_t>(s.w) * s.c;
  for_runs(rows, length, [=](std::int64_t row, std::int64_t first, int count) SIMT_LAMBDA {
    const std::int64_t n = row / s.out_h, iy = row - n * s.out_h - s.top,
                       begin = first - static_cast<std::int64_t>(s.left) * s.c;
    const Inside part = inside_line(begin, count, line);
    const int low = part.low, high = iy < 0 || iy >= s.h ? low : part.high;
    T* const out = y + row * length + first;
    const std::int64_t from = (n * s.h + iy) * line + begin;
    for (int k = 0; k < low; ++k) out[k] = T{};
    SIMT_SIMD
    for (int k = low; k < high; ++k) out[k] = x[from + k];
    for (int k = high; k < count; ++k) out[k] = T{};
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
    const Inside part = inside_line(begin, count, image_row);
    const int low = part.low, high = iy < 0 || iy >= s.h ? low : part.high;
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
  const std::int64_t length = std::int64_t{r} * c, line = length * r * w;  // of input values
  in_parts(n * h, line, [&](std::int64_t first, std::int64_t lines) {
    const T* const from = source + first * line;
    T* const to = destination + first * line;
    launch_vectors<pixel_shuffle_kernel<T, kShuffle>>(
        stream.moves(2 * lines * line * sizeof(T)),
        row_vector_range<lanes<T>>(lines * r * w, length, from, to), Divisor(length), from, to,
        Runs{Divisor(w), Divisor(r), length});
  });
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
  in_parts(rows, columns, [&](std::int64_t first, std::int64_t count) {
    const T* const from = src + first * src_pitch;
    T* const to = dst + first * dst_pitch;
    auto range = row_vector_range<lanes<T>>(count, columns, from, to);
    if (src_pitch % lanes<T> != 0 || dst_pitch % lanes<T> != 0) range.vectors = 0;
    launch_vectors<copy_columns_kernel<T>>(stream.moves(2 * count * columns * sizeof(T)), range,
                                           Divisor(columns), from, src_pitch, to, dst_pitch);
  });
}

template <class D, class T>
void pad_columns(Stream& stream, const T* src, T* dst, std::int64_t rows, std::int64_t columns,
                 std::int64_t padded) {
  in_parts(rows, padded, [&](std::int64_t first, std::int64_t count) {
    T* const to = dst + first * padded;
    launch_vectors<pad_columns_kernel<T>>(stream.moves(count * (columns + padded) * sizeof(T)),
                                          row_vector_range<lanes<T>>(count, padded, to),
                                          Divisor(padded), src + first * columns, to, columns);
  });
}

template <class D, class T> void pad_picture(Stream& stream, const PadShape& s, const T* x, T* y) {
  const auto shared = [](int size, int begin, int out) {  // pixels of an axis that are copied
    const int low = std::max(begin, 0), high = std::min(begin + size, out);
    return std::int64_t{std::max(high - low, 0)};
  };
  const std::int64_t rows = s.n * s.out_h, values = rows * s.out_w * s.c,
                     copied =
                         s.n * shared(s.h, s.top, s.out_h) * shared(s.w, s.left, s.out_w) * s.c;
  stream.moves((copied + values) * sizeof(T));
  simt::launch_range<pad_picture_kernel<T>>(stream, values, s, x, y, rows);
}

template <class D, class T>
void im2col(Stream& stream, const PatchShape& s, const T* x, T* columns) {
  const std::int64_t rows = s.n * s.out_h * s.out_w * s.kernel_h;
  const std::int64_t values = rows * s.kernel_w * s.c;
  stream.moves((values + s.n * s.h * s.w * s.c) * sizeof(T));
  simt::launch_range<im2col_kernel<T>>(stream, values, s, x, columns, rows);
}

template <class D, class T>
void col2im(Stream& stream, const PatchShape& s, const T* columns, T* x) {
  const std::int64_t pixels = s.n * s.h * s.w;
  const std::int64_t patches = s.n * s.out_h * s.out_w * s.kernel_h * s.kernel_w;
  stream.moves((patches + pixels) * s.c * sizeof(T));
  simt::launch_range<col2im_kernel<T>>(stream, pixels * s.c, s, columns, x, pixels);
}

SIMT_INSTANTIATE(pixel_shuffle)
SIMT_INSTANTIATE(pixel_unshuffle)
SIMT_INSTANTIATE(copy_columns)
SIMT_INSTANTIATE(pad_columns)
SIMT_INSTANTIATE(pad_picture)
SIMT_INSTANTIATE(im2col)
SIMT_INSTANTIATE(col2im)
}  // namespace kernels
