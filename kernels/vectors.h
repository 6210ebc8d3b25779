// Loops for kernels bound by memory. A GPU thread moves 16 bytes per access and has the
// accesses of several vectors in flight before it computes: with one element at a time
// the card reaches a quarter of its bandwidth. The host runs the same body as a SIMD
// loop over single elements.
//
//   template <class T>
//   __global__ void add_kernel(VectorRange<lanes<T>> range, const T* a, const T* b, T* out) {
//     for_vectors(range, [=](auto at) SIMT_LAMBDA {
//       const auto x = at.load(a), y = at.load(b);
//       at.store(out, map([](auto p, auto q) { return p + q; }, x, y));
//     });
//   }
//   launch_vectors<add_kernel<T>>(stream, vector_range<lanes<T>>(n, a, b, out), a, b, out);
//
// Load everything before the first store, since an output may be an input. A pointer
// that is no multiple of its vector's size (a slice of a tensor) makes the launch
// scalar: right, and slow.
#pragma once
#include <cstdint>

#include "kernels/divisor.h"
#include "kernels/ranges.h"

namespace kernels {
inline namespace SIMT_BACKEND {  // one copy for the host, one for the GPU

// Elements of the widest type in 16 bytes: what one thread takes of each array at once.
template <class... T>
inline constexpr int lanes = [] {
  std::size_t widest = 1;
  ((widest = sizeof(T) > widest ? sizeof(T) : widest), ...);
  return static_cast<int>(16 / widest);
}();

constexpr int kVectorThreads = 256;  // of a block
constexpr int kVectorsInFlight = 2;  // of a thread and an array, unless the kernel says more
constexpr std::int64_t kMostElements = (1ll << 31) - 1;  // that 32-bit numbers count

// [0, n) as whole vectors of N elements and the rest. No vectors: all elements singly.
template <int N> struct VectorRange {
  std::int64_t n;
  std::uint32_t vectors;
};
// Whether each pointer may be accessed in vectors of N elements; a null one may.
template <int N, class... T> bool aligned_for(const T*... pointers) {
  return (... && (reinterpret_cast<std::uintptr_t>(pointers) % (N * sizeof(T)) == 0));
}
// The pointers are all arrays that are accessed as vectors.
template <int N, class... T> VectorRange<N> vector_range(std::int64_t n, const T*... pointers) {
  const bool whole = aligned_for<N>(pointers...) && n / N <= kMostElements;
  return {n, whole ? static_cast<std::uint32_t>(n / N) : 0u};
}

// K values in registers.
template <class C, int K> struct Values {
  C v[K];
  SIMT_DEVICE C& operator[](int k) { return v[k]; }
  SIMT_DEVICE const C& operator[](int k) const { return v[k]; }
};

// f for each of the values: result[k] = f(a[k], b[k] ...).
template <class F, class C, int K, class... Others>
SIMT_DEVICE auto map(F f, const Values<C, K>& first, const Others&... others) {
  Values<decltype(f(first[0], others[0]...)), K> result;
  SIMT_UNROLL
  for (int k = 0; k < K; ++k) result[k] = f(first[k], others[k]...);
  return result;
}

// N neighbours in memory, moved in one access.
template <class T, int N> struct alignas(N * sizeof(T)) Vector { T at[N]; };
template <int N, class T> SIMT_DEVICE Vector<T, N> load_vector(const T* x) {
  return *reinterpret_cast<const Vector<T, N>*>(x);
}
template <int N, class T> SIMT_DEVICE void store_vector(T* y, const Vector<T, N>& value) {
  *reinterpret_cast<Vector<T, N>*>(y) = value;
}

// A thread's share of one turn: V vectors of N elements. Neighbouring threads have
// neighbouring vectors, and the thread's own are a block apart.
template <int N, int V> struct Turn {
  static constexpr int kLanes = N, kVectors = V, count = N * V;
  std::int64_t first;

  // The first element of vector v.
  SIMT_DEVICE std::int64_t element(int v) const {
    return first + static_cast<std::int64_t>(v) * (kVectorThreads * N);
  }
  template <class T> SIMT_DEVICE Values<compute_t<T>, count> load(const T* x) const {
    Vector<T, N> raw[V];
    SIMT_UNROLL
    for (int v = 0; v < V; ++v) raw[v] = load_vector<N>(x + element(v));
    Values<compute_t<T>, count> values;
    SIMT_UNROLL
    for (int k = 0; k < count; ++k) values[k] = static_cast<compute_t<T>>(raw[k / N].at[k % N]);
    return values;
  }
  template <class C> SIMT_DEVICE Values<C, count> constant(C value) const {
    Values<C, count> values;
    SIMT_UNROLL
    for (int k = 0; k < count; ++k) values[k] = value;
    return values;
  }
  template <class T> SIMT_DEVICE void store(T* y, const Values<compute_t<T>, count>& values) const {
    SIMT_UNROLL
    for (int v = 0; v < V; ++v) {
      Vector<T, N> raw;
      SIMT_UNROLL
      for (int k = 0; k < N; ++k) raw.at[k] = static_cast<T>(values[v * N + k]);
      store_vector<N>(y + element(v), raw);
    }
  }
};

// True on the GPU, and on the host in tests that ask for the GPU's threads.
SIMT_DEVICE bool in_gpu_threads() {
#if SIMT_CUDA
  return true;
#else
  return blockDim.x > 1;
#endif
}

// f(turn) for the share of one thread out of `blocks` blocks, of which its own is number
// `block`: turns of V vectors, then single vectors, then single elements. Blocks have
// kVectorThreads threads.
template <int V, int N, class F>
SIMT_DEVICE void for_vectors_of_thread(const VectorRange<N>& range, std::uint32_t block,
                                       std::uint32_t blocks, F&& f) {
  constexpr std::uint32_t turn_vectors = kVectorThreads * V;
  const std::uint32_t turns = range.vectors / turn_vectors;
  SIMT_NO_UNROLL
  for (std::uint32_t turn = block; turn < turns; turn += blocks)
    f(Turn<N, V>{(static_cast<std::int64_t>(turn) * turn_vectors + threadIdx.x) * N});
  const std::uint32_t thread = block * kVectorThreads + threadIdx.x,
                      threads = blocks * kVectorThreads;
  SIMT_NO_UNROLL
  for (std::uint32_t v = turns * turn_vectors + thread; v < range.vectors; v += threads)
    f(Turn<N, 1>{static_cast<std::int64_t>(v) * N});
  SIMT_NO_UNROLL
  for (std::int64_t i = static_cast<std::int64_t>(range.vectors) * N + thread; i < range.n;
       i += threads)
    f(Turn<1, 1>{i});
}

// f(turn) for this thread's share of the range.
template <int V = kVectorsInFlight, int N, class F>
SIMT_DEVICE void for_vectors(const VectorRange<N>& range, F&& f) {
  if (in_gpu_threads()) return for_vectors_of_thread<V>(range, blockIdx.x, gridDim.x, f);
  for_elements(range.n, [&](std::int64_t i) SIMT_LAMBDA { f(Turn<1, 1>{i}); });
}

// A turn in a row-major matrix.
template <int N, int V> struct RowTurn : Turn<N, V> {
  std::int64_t row[V], column[V];  // of the first element of each vector

  // One row's values in the columns of this turn's elements: a layer's bias.
  template <class T>
  SIMT_DEVICE Values<compute_t<T>, N * V> load_row(const T* values_of_row) const {
    Values<compute_t<T>, N * V> values;
    SIMT_UNROLL
    for (int v = 0; v < V; ++v) {
      const Vector<T, N> raw = load_vector<N>(values_of_row + column[v]);
      SIMT_UNROLL
      for (int k = 0; k < N; ++k) values[v * N + k] = static_cast<compute_t<T>>(raw.at[k]);
    }
    return values;
  }
};

// The range of a matrix whose vectors each lie in one row: columns a multiple of N.
template <int N, class... T>
VectorRange<N> row_vector_range(std::int64_t rows, std::int64_t columns, const T*... pointers) {
  VectorRange<N> range = vector_range<N>(rows * columns, pointers...);
  if (columns % N != 0) range.vectors = 0;
  return range;
}

// f(row turn) for this thread's share of a matrix of fewer than 2^31 elements; in_parts
// cuts larger ones.
template <int V = kVectorsInFlight, int N, class F>
SIMT_DEVICE void for_row_vectors(const VectorRange<N>& range, const Divisor& columns, F&& f) {
  if (in_gpu_threads())
    return for_vectors_of_thread<V>(range, blockIdx.x, gridDim.x, [&](auto at) SIMT_LAMBDA {
      RowTurn<at.kLanes, at.kVectors> turn{at, {}, {}};
      SIMT_UNROLL
      for (int v = 0; v < at.kVectors; ++v) {
        const std::uint32_t i = static_cast<std::uint32_t>(at.element(v)), row = columns.divide(i);
        turn.row[v] = row;
        turn.column[v] = i - row * columns.value;
      }
      f(turn);
    });
  for_rows(range.n / columns.value, columns.value,
           [&](std::int64_t row, std::int64_t column) SIMT_LAMBDA {
             f(RowTurn<1, 1>{{row * columns.value + column}, {row}, {column}});
           });
}

// f(first_row, rows) for pieces of a matrix that have at most `most` elements each, or
// one row.
template <class F>
void in_parts(std::int64_t rows, std::int64_t columns, const F& f,
              std::int64_t most = kMostElements) {
  if (columns <= 0) return;
  const std::int64_t part = most > columns ? most / columns : 1;
  for (std::int64_t first = 0; first < rows; first += part)
    f(first, rows - first < part ? rows - first : part);
}

// A kernel over a VectorRange. GPU: as many blocks as run at once, each with many turns.
template <auto K, int N, class... A>
void launch_vectors(Stream& stream, const VectorRange<N>& range, A... arguments) {
  if (range.n <= 0) return;
#if SIMT_CUDA
  const std::int64_t per_block =
      range.vectors > 0 ? kVectorThreads * kVectorsInFlight * N : kVectorThreads;
  const std::int64_t blocks = (range.n + per_block - 1) / per_block;
  const int most = simt::resident_blocks<K>(kVectorThreads);
  simt::launch<K>(stream, dim3(static_cast<unsigned>(blocks < most ? blocks : most)),
                  dim3(kVectorThreads), range, arguments...);
#else
  if (simt::block_on_fibers)  // few blocks, so that each has many turns
    simt::launch_with_barriers<K>(stream, dim3(3), dim3(kVectorThreads), range, arguments...);
  else simt::launch_range<K>(stream, range.n, range, arguments...);
#endif
}
}  // namespace SIMT_BACKEND
}  // namespace kernels
