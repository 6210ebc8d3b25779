// The host side of simt.h: CUDA's keywords, the launches and ranges. intrinsics.h has
// the device functions, block.h the block kernels.
#pragma once
#include <cmath>
#include <cstdint>
#include <tuple>
#include <utility>

#include "kernels/simt/runtime.h"

#define SIMT_CUDA 0
#define SIMT_BACKEND on_host

#define __global__
#define __grid_constant__
#define __launch_bounds__(...)

#define SIMT_DEVICE inline __attribute__((always_inline))
#define SIMT_SIMD _Pragma("omp simd")
#if defined(__clang__)
#define SIMT_UNROLL _Pragma("clang loop unroll(full)")
#define SIMT_NO_UNROLL _Pragma("clang loop unroll(disable)")
#else
#define SIMT_UNROLL _Pragma("GCC unroll 32")
#define SIMT_NO_UNROLL _Pragma("GCC unroll 1")
#endif
#define SIMT_SHARED(T, name, dims) auto& name = ::simt::shared_variable<T dims>([] {})
#define SIMT_DYNAMIC_SHARED(T, name) \
  T* const name = reinterpret_cast<T*>(::simt::runtime::dynamic_shared)

// A kernel's loop is compiled twice, for the baseline and for AVX2, and chosen at run
// time. Only this one function has the wider target: -mavx2 for whole files would also
// put AVX2 into inline functions of the standard library, and the linker may keep that
// copy. Checking builds compile the baseline only.
#if defined(__x86_64__) && !defined(SIMT_ALWAYS_FIBERS)
#define SIMT_TWO_TARGETS 1
#define SIMT_TARGET_AVX2 __attribute__((target("avx2,fma,bmi,bmi2")))
#else
#define SIMT_TWO_TARGETS 0
#endif

namespace simt {
using ThisDevice = kernels::Host;

inline namespace SIMT_BACKEND {

template <auto K> const char* kernel_name() { return __PRETTY_FUNCTION__; }

// One object per declaration, because each lambda of SIMT_SHARED is a type of its own.
// The key is not const: identical constants may be merged.
template <class T, class Tag> T& shared_variable(Tag) {
  static char key;
  return *static_cast<T*>(
      runtime::shared_slot(&key, sizeof(T), alignof(T) < 128 ? 128 : alignof(T)));
}

// Runs kernel K, of parameter types P. As a template argument K is inlined into the
// loops.
template <auto K, class... P> struct RawThunk {
  using Arguments = std::tuple<P...>;

  // Instead of std::apply, whose chain of calls gcc does not flatten into the loop.
  template <std::size_t... I>
  SIMT_DEVICE static void call(const Arguments& arguments, std::index_sequence<I...>) {
    K(std::get<I>(arguments)...);
  }

  static void run_thread(const void* arguments) {
    call(*static_cast<const Arguments*>(arguments), std::index_sequence_for<P...>());
  }

  // Kernels without barriers: a thread is an iteration.
  SIMT_DEVICE static void loop(const runtime::Job& job, std::size_t first, std::size_t last) {
    const Arguments arguments = *static_cast<const Arguments*>(job.arguments);
    blockDim = job.block;
    gridDim = job.grid;
    for (std::size_t i = first; i < last; ++i) {
      runtime::enter_block(job, i);
      for (unsigned z = 0; z < job.block.z; ++z)
        for (unsigned y = 0; y < job.block.y; ++y)
          for (unsigned x = 0; x < job.block.x; ++x) {
            threadIdx = {x, y, z};
            call(arguments, std::index_sequence_for<P...>());
          }
    }
  }
};

// Thunk::loop, compiled for each target.
template <class Thunk> struct Copies {
  [[gnu::flatten]] static void baseline(const runtime::Job& job, std::size_t first,
                                        std::size_t last) {
    Thunk::loop(job, first, last);
  }
#if SIMT_TWO_TARGETS
  [[gnu::flatten]] SIMT_TARGET_AVX2 static void avx2(const runtime::Job& job, std::size_t first,
                                                     std::size_t last) {
    Thunk::loop(job, first, last);
  }
#endif
};
template <class Thunk> auto best_copy() {
#if SIMT_TWO_TARGETS
  if (instruction_set() == InstructionSet::avx2) return &Copies<Thunk>::avx2;
#endif
  return &Copies<Thunk>::baseline;
}

// Checking builds run raw and range kernels on fibers too, where every check is.
#ifdef SIMT_ALWAYS_FIBERS
inline constexpr bool always_fibers = true;
#else
inline constexpr bool always_fibers = false;
#endif

template <auto K, class... P, class... A>
void launch_raw(void (*)(P...), kernels::Stream& stream, bool fibers, dim3 grid, dim3 block,
                std::size_t dynamic_shared_bytes, A&&... arguments) {
  if (stream.dry_run(kernel_name<K>())) return;
  using Thunk = RawThunk<K, P...>;
  const typename Thunk::Arguments packed{static_cast<P>(std::forward<A>(arguments))...};
  runtime::run_grid({grid, block, dynamic_shared_bytes, &packed, &Thunk::run_thread,
                     fibers || always_fibers ? &runtime::run_blocks_on_fibers : best_copy<Thunk>(),
                     kernel_name<K>()});
}

template <auto K, class... A>
void launch(kernels::Stream& stream, dim3 grid, dim3 block, A&&... arguments) {
  launch_raw<K>(K, stream, false, grid, block, 0, std::forward<A>(arguments)...);
}
template <auto K, class... A>
void launch_with_barriers(kernels::Stream& stream, dim3 grid, dim3 block, A&&... arguments) {
  launch_raw<K>(K, stream, true, grid, block, 0, std::forward<A>(arguments)...);
}
template <auto K, class... A>
void launch_with_shared(kernels::Stream& stream, dim3 grid, dim3 block,
                        std::size_t dynamic_shared_bytes, A&&... arguments) {
  launch_raw<K>(K, stream, true, grid, block, dynamic_shared_bytes, std::forward<A>(arguments)...);
}

// Range kernels: blocks of one thread, each with a contiguous piece. The pieces depend
// on n alone, never on the number of workers.
template <auto K, std::int64_t piece = 16384, class... A>
void launch_range(kernels::Stream& stream, std::int64_t n, A&&... arguments) {
  if (n <= 0) return;
  launch<K>(stream, dim3(static_cast<unsigned>((n + piece - 1) / piece)), dim3(1),
            std::forward<A>(arguments)...);
}

struct GridRange {
  struct Iterator {
    std::int64_t i;
    SIMT_DEVICE std::int64_t operator*() const { return i; }
    SIMT_DEVICE void operator++() { ++i; }
    SIMT_DEVICE bool operator!=(const Iterator& other) const { return i < other.i; }
  };
  std::int64_t first, last;
  SIMT_DEVICE Iterator begin() const { return {first}; }
  SIMT_DEVICE Iterator end() const { return {last}; }
};
SIMT_DEVICE GridRange grid_range(std::int64_t n) {
  const std::int64_t threads = std::int64_t{gridDim.x} * blockDim.x;
  const std::int64_t thread = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const std::int64_t piece = (n + threads - 1) / threads;
  const std::int64_t first = thread * piece < n ? thread * piece : n;
  return {first, first + piece < n ? first + piece : n};
}
}  // namespace SIMT_BACKEND
}  // namespace simt

#include "kernels/simt/intrinsics.h"

// CUDA's names are global.
using simt::__any_sync, simt::__all_sync, simt::__ballot_sync;
using simt::__shfl_down_sync, simt::__shfl_sync, simt::__shfl_up_sync, simt::__shfl_xor_sync;
using simt::__syncthreads, simt::__syncthreads_and, simt::__syncthreads_count;
using simt::__syncthreads_or, simt::__syncwarp;
using simt::atomicAdd, simt::atomicMax, simt::max, simt::min;
using simt::blockDim, simt::blockIdx, simt::gridDim, simt::threadIdx;
using simt::dim3, simt::float4, simt::uint3;
