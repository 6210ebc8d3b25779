// Block kernels: a functor over a block B whose body is a sequence of phases. simt.h
// has an example.
//
//   b.phase(f)   f(tx, ty) for every thread, then a barrier
//   b.each(f)    the same without the barrier: at the end, or to touch Reg values only
//   b.once(f)    f() in one thread, no barrier: to store the block's result
//   b.for_each(n, f)         f(e) for e in [0, n), over the threads, then a barrier
//   b.for_each2<NJ>(ni, f)   f(i, j) for i in [0, ni), j in [0, NJ), then a barrier.
//                            To divide e by NJ yourself costs the host 5 times as much
//   b.strided(n, f)          f(t, i) for i in [0, n), t = i mod threads, no barrier:
//                            for sums into Reg values
//   b.stretches(n, first, length, f)
//                            threads [0, n) in stretches, one of `first` threads, then
//                            of `length`: f(t, count), count = the stretch on the host,
//                            1 on the GPU. n <= threads. No barrier
//   simt::Reg<B, T> r{}      one value r[t] per thread, zero, alive across phases;
//                            t = tx + kx * ty
//   b.sum(r)                 the block's sum, in every thread; a fixed tree, so the
//                            bits are the GPU's
//   b.block_x() ...          position in the grid
//
// On the GPU every thread runs the body and a phase is one call (ThreadBlock). On the
// host a worker runs the body once per block and a phase is a loop (LoopBlock): loop
// fission at the barriers. Tests run ThreadBlock on the host's fibers too
// (simt::block_on_fibers) and compare the two bit for bit; barrier checks and TSan then
// see the GPU's code.
//
// Fast loops need: block sizes known to the compiler, no branch round an accumulation
// (strided peels the tail), captures by reference, lambdas inlined (SIMT_LAMBDA).
// Threads of one phase must not depend on each other.
#pragma once
#include <cstring>

#define SIMT_LAMBDA __attribute__((always_inline))

#if SIMT_CUDA
#define SIMT_BLOCK_SHARED(B, T, name, dims) __shared__ __align__(16) T name dims
#else
#define SIMT_BLOCK_SHARED(B, T, name, dims)                   \
  typename B::template Shared<T dims> simt_storage_of_##name; \
  auto& name = simt_storage_of_##name.get([] {})
#endif

namespace simt {
inline namespace SIMT_BACKEND {

// A block's position in the grid.
struct BlockPlace {
  SIMT_DEVICE static int block_x() { return static_cast<int>(blockIdx.x); }
  SIMT_DEVICE static int block_y() { return static_cast<int>(blockIdx.y); }
  SIMT_DEVICE static int block_z() { return static_cast<int>(blockIdx.z); }
  SIMT_DEVICE static int grid_x() { return static_cast<int>(gridDim.x); }
};

// A block as seen by one of its threads: on the GPU, and on fibers.
template <int BX, int BY> struct ThreadBlock : BlockPlace {
  static constexpr int kx = BX, ky = BY, size = BX * BY;
  static constexpr bool kOneThread = true;  // a phase is one call
  template <class T> struct Reg {
    T value;
    SIMT_DEVICE T& operator[](int) { return value; }
    SIMT_DEVICE const T& operator[](int) const { return value; }
  };
#if !SIMT_CUDA
  template <class T> struct Shared {
    template <class Tag> T& get(Tag tag) { return shared_variable<T>(tag); }
  };
#endif
  // Launched as one row of kx * ky threads.
  SIMT_DEVICE static int thread() { return static_cast<int>(threadIdx.x); }

  template <class F> SIMT_DEVICE void each(F&& f) const { f(thread() % BX, thread() / BX); }
  template <class F> SIMT_DEVICE void phase(F&& f) const {
    each(f);
    __syncthreads();
  }
  template <class F> SIMT_DEVICE void once(F&& f) const {
    if (thread() == 0) f();
  }
  template <class F> SIMT_DEVICE void for_each(int n, F&& f) const {
    for (int e = thread(); e < n; e += size) f(e);
    __syncthreads();
  }
  template <int NJ, class F> SIMT_DEVICE void for_each2(int ni, F&& f) const {
    for (int e = thread(); e < ni * NJ; e += size) f(e / NJ, e % NJ);
    __syncthreads();
  }
  template <class F> SIMT_DEVICE void strided(int n, F&& f) const {
    for (int i = thread(); i < n; i += size) f(thread(), i);
  }
  template <class F> SIMT_DEVICE void stretches(int n, int, int, F&& f) const {
    if (thread() < n) f(thread(), 1);
  }

  // Within each warp by a butterfly of shuffles, then the warps' sums the same way.
  template <class T> SIMT_DEVICE T sum(const Reg<T>& r) const {
    static_assert(size >= 32 && (size & (size - 1)) == 0,
                  "b.sum needs a power of two of at least 32 threads");
    using B = ThreadBlock;
    SIMT_BLOCK_SHARED(B, T, partial, [size / 32]);
    const int lane = thread() & 31, warp = thread() >> 5;
    T v = r.value;
    SIMT_UNROLL
    for (int o = 16; o != 0; o >>= 1) v += __shfl_xor_sync(0xffffffffu, v, o);
    if (lane == 0) partial[warp] = v;
    __syncthreads();
    v = lane < size / 32 ? partial[lane] : T(0);
    SIMT_UNROLL
    for (int o = size / 64; o != 0; o >>= 1) v += __shfl_xor_sync(0xffffffffu, v, o);
    v = __shfl_sync(0xffffffffu, v, 0);
    __syncthreads();  // before `partial` is written again
    return v;
  }
};

template <class B, class T> using Reg = typename B::template Reg<T>;

template <class K>
__global__ void __launch_bounds__(K::kx* K::ky) block_kernel(const __grid_constant__ K kernel) {
#if SIMT_CUDA
  wait_for_predecessor();
#endif
  ThreadBlock<K::kx, K::ky> block;
  kernel(block);
}

#if !SIMT_CUDA

// A whole block on one host thread. Shared arrays live on its stack, where ASan watches
// them.
template <int BX, int BY> struct LoopBlock : BlockPlace {
  static constexpr int kx = BX, ky = BY, size = BX * BY;
  static constexpr bool kOneThread = false;
  template <class T> struct Reg {
    alignas(64) T value[size];
    SIMT_DEVICE T& operator[](int t) { return value[t]; }
    SIMT_DEVICE const T& operator[](int t) const { return value[t]; }
  };
  template <class T> struct Shared {
    static_assert(sizeof(T) <= 48 << 10, "a block has 48 KB of shared memory");
    alignas(64) T value;
    template <class Tag> SIMT_DEVICE T& get(Tag) {
      if (config().poison) std::memset(&value, 0xff, sizeof value);
      return value;
    }
  };
  template <class F> SIMT_DEVICE void phase(F&& f) const {
    for (int y = 0; y < BY; ++y) {
      SIMT_SIMD
      for (int x = 0; x < BX; ++x) f(x, y);
    }
  }
  template <class F> SIMT_DEVICE void each(F&& f) const { phase(f); }
  template <class F> SIMT_DEVICE void once(F&& f) const { f(); }
  template <class F> SIMT_DEVICE void for_each(int n, F&& f) const {
    SIMT_SIMD
    for (int e = 0; e < n; ++e) f(e);
  }
  template <int NJ, class F> SIMT_DEVICE void for_each2(int ni, F&& f) const {
    for (int i = 0; i < ni; ++i) {
      SIMT_SIMD
      for (int j = 0; j < NJ; ++j) f(i, j);
    }
  }
  template <class F> SIMT_DEVICE void strided(int n, F&& f) const {
    int i = 0;
    for (; i + size <= n; i += size) {
      SIMT_SIMD
      for (int t = 0; t < size; ++t) f(t, i + t);
    }
    SIMT_SIMD
    for (int t = 0; t < n - i; ++t) f(t, i + t);
  }
  template <class F> SIMT_DEVICE void stretches(int n, int first, int length, F&& f) const {
    for (int t = 0, end = first; t < n; t = end, end += length) f(t, end < n ? end - t : n - t);
  }

  // ThreadBlock's tree: lane 0 of a butterfly sees a tree of halves.
  template <class T> SIMT_DEVICE T sum(const Reg<T>& r) const {
    static_assert(size >= 32 && (size & (size - 1)) == 0,
                  "b.sum needs a power of two of at least 32 threads");
    T warps[size / 32];
    for (int w = 0; w < size / 32; ++w) {
      alignas(64) T v[32];
      SIMT_SIMD
      for (int l = 0; l < 32; ++l) v[l] = r.value[w * 32 + l];
      SIMT_UNROLL
      for (int o = 16; o != 0; o >>= 1) {
        SIMT_SIMD
        for (int l = 0; l < o; ++l) v[l] += v[l + o];
      }
      warps[w] = v[0];
    }
    for (int o = size / 64; o != 0; o >>= 1)
      for (int l = 0; l < o; ++l) warps[l] += warps[l + o];
    return warps[0];
  }
};

template <class K> struct BlockThunk {
  SIMT_DEVICE static void loop(const runtime::Job& job, std::size_t first, std::size_t last) {
    const K kernel = *static_cast<const K*>(job.arguments);
    gridDim = job.grid;
    LoopBlock<K::kx, K::ky> block;
    for (std::size_t i = first; i < last; ++i) {
      runtime::enter_block(job, i);
      kernel(block);
    }
  }
};

#endif  // !SIMT_CUDA

template <class K> void launch_block(kernels::Stream& stream, dim3 grid, const K& kernel) {
  static_assert(K::kx * K::ky <= 1024, "a block has at most 1024 threads");
#if !SIMT_CUDA
  if (stream.dry_run(kernel_name<&block_kernel<K>>())) return;
  if (!block_on_fibers) {
    runtime::run_grid({grid, dim3(K::kx * K::ky), 0, &kernel, nullptr, best_copy<BlockThunk<K>>(),
                       kernel_name<&block_kernel<K>>()});
    return;
  }
  launch_with_barriers<&block_kernel<K>>(stream, grid, dim3(K::kx * K::ky), kernel);
#else
  launch_overlapped<&block_kernel<K>>(stream, grid, dim3(K::kx * K::ky), kernel);
#endif
}
}  // namespace SIMT_BACKEND
}  // namespace simt
