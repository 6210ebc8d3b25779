// CUDA's device functions on the host. Barriers and warp collectives go to the fiber scheduler; the rest is arithmetic.
#pragma once
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/simt/runtime.h"

#if defined(__SANITIZE_THREAD__)
#define SIMT_NO_TSAN __attribute__((no_sanitize("thread")))
#else
#define SIMT_NO_TSAN
#endif

namespace simt {

inline constexpr int warpSize = 32;
inline constexpr unsigned full_warp = 0xffffffffu;

inline unsigned linear_thread() {
  return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
}
inline unsigned lane() { return linear_thread() & 31u; }

// ---- barriers. The default arguments note the caller's line.
inline void __syncthreads(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  runtime::block_barrier({file, line});
}
inline int __syncthreads_or(int vote, const char* file = __builtin_FILE(),
                            int line = __builtin_LINE()) {
  return runtime::block_barrier_with_vote({file, line}, vote != 0).any;
}
inline int __syncthreads_and(int vote, const char* file = __builtin_FILE(),
                             int line = __builtin_LINE()) {
  return runtime::block_barrier_with_vote({file, line}, vote != 0).all;
}
inline int __syncthreads_count(int vote, const char* file = __builtin_FILE(),
                               int line = __builtin_LINE()) {
  return runtime::block_barrier_with_vote({file, line}, vote != 0).count;
}
inline void __syncwarp(unsigned mask = full_warp, const char* file = __builtin_FILE(),
                       int line = __builtin_LINE()) {
  runtime::warp_collective(mask, {nullptr, nullptr, 0}, nullptr, "__syncwarp", {file, line});
}

// ---- shuffles. number = the lane whose operand this lane takes. From a lane outside the mask CUDA promises nothing: all
// bits set, which is NaN for floats.
template <class T> SIMT_NO_TSAN void combine_shuffle(runtime::LaneExchange* lanes, unsigned mask) {
  for (unsigned rest = mask; rest != 0; rest &= rest - 1) {
    const runtime::LaneExchange& to = lanes[std::countr_zero(rest)];
    if ((mask >> to.number & 1u) != 0) std::memcpy(to.result, lanes[to.number].operand, sizeof(T));
    else std::memset(to.result, 0xff, sizeof(T));
  }
}
template <class T>
T shuffle(unsigned mask, const T& value, unsigned source, const char* name, runtime::Site site) {
  T result;
  runtime::warp_collective(mask, {&value, &result, source}, &combine_shuffle<T>, name, site);
  return result;
}
// A width below 32 splits the warp into groups of that many lanes; `group` is the first lane of the caller's.
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32,
              const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  const unsigned w = static_cast<unsigned>(width), group = lane() & ~(w - 1);
  return shuffle(mask, value, group | (static_cast<unsigned>(source) & (w - 1)), "__shfl_sync",
                 {file, line});
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32,
                  const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  const unsigned w = static_cast<unsigned>(width), l = lane(),
                 source = l ^ static_cast<unsigned>(bits);
  return shuffle(mask, value, (source & ~(w - 1)) > (l & ~(w - 1)) ? l : source & 31u,
                 "__shfl_xor_sync", {file, line});  // a later group: own value
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  const unsigned w = static_cast<unsigned>(width), l = lane();
  return shuffle(mask, value, (l & (w - 1)) + delta < w ? l + delta : l, "__shfl_down_sync",
                 {file, line});
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  const unsigned w = static_cast<unsigned>(width), l = lane();
  return shuffle(mask, value, (l & (w - 1)) >= delta ? l - delta : l, "__shfl_up_sync",
                 {file, line});
}

// ---- votes. number = this lane's vote.
SIMT_NO_TSAN inline void combine_ballot(runtime::LaneExchange* lanes, unsigned mask) {
  unsigned votes = 0;
  for (unsigned rest = mask; rest != 0; rest &= rest - 1)
    votes |= lanes[std::countr_zero(rest)].number << std::countr_zero(rest);
  for (unsigned rest = mask; rest != 0; rest &= rest - 1)
    *static_cast<unsigned*>(lanes[std::countr_zero(rest)].result) = votes;
}
inline unsigned __ballot_sync(unsigned mask, int vote, const char* file = __builtin_FILE(),
                              int line = __builtin_LINE()) {
  unsigned votes;
  runtime::warp_collective(mask, {nullptr, &votes, vote != 0 ? 1u : 0u}, &combine_ballot,
                           "__ballot_sync", {file, line});
  return votes;
}
inline int __any_sync(unsigned mask, int vote, const char* file = __builtin_FILE(),
                      int line = __builtin_LINE()) {
  return __ballot_sync(mask, vote, file, line) != 0;
}
inline int __all_sync(unsigned mask, int vote, const char* file = __builtin_FILE(),
                      int line = __builtin_LINE()) {
  return __ballot_sync(mask, vote == 0, file, line) == 0;
}

// ---- atomics. Relaxed, as on the device: they order nothing but themselves.
inline void __threadfence() { std::atomic_thread_fence(std::memory_order_seq_cst); }
inline void __threadfence_block() { __threadfence(); }
template <class T> T atomicAdd(T* p, T value) {
  return std::atomic_ref<T>(*p).fetch_add(value, std::memory_order_relaxed);
}
template <class T> T atomicOr(T* p, T value) {
  return std::atomic_ref<T>(*p).fetch_or(value, std::memory_order_relaxed);
}
template <class T> T atomicExch(T* p, T value) {
  return std::atomic_ref<T>(*p).exchange(value, std::memory_order_relaxed);
}
template <class T> T atomicCAS(T* p, T expected, T value) {
  std::atomic_ref<T>(*p).compare_exchange_strong(expected, value, std::memory_order_relaxed);
  return expected;
}
template <class T> T atomicMax(T* p, T value) {
  std::atomic_ref<T> target(*p);
  T old = target.load(std::memory_order_relaxed);
  while (old < value && !target.compare_exchange_weak(old, value, std::memory_order_relaxed)) {}
  return old;
}
template <class T> T atomicMin(T* p, T value) {
  std::atomic_ref<T> target(*p);
  T old = target.load(std::memory_order_relaxed);
  while (value < old && !target.compare_exchange_weak(old, value, std::memory_order_relaxed)) {}
  return old;
}

// ---- arithmetic
template <class T> SIMT_DEVICE T __ldg(const T* p) { return *p; }
SIMT_DEVICE float __fdividef(float a, float b) { return a / b; }
SIMT_DEVICE float __saturatef(float x) {
  return x > 0.f ? (x < 1.f ? x : 1.f) : 0.f;
}  // NaN gives 0
// Templates, because newer C libraries declare functions of these names; a using-declaration may not clash with them.
template <int = 0> SIMT_DEVICE float rsqrtf(float x) { return 1.f / std::sqrt(x); }
template <int = 0> SIMT_DEVICE double rsqrt(double x) { return 1. / std::sqrt(x); }
SIMT_DEVICE int __popc(unsigned x) { return std::popcount(x); }
SIMT_DEVICE int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
SIMT_DEVICE int __ffs(int x) { return x != 0 ? std::countr_zero(static_cast<unsigned>(x)) + 1 : 0; }
SIMT_DEVICE unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(std::uint64_t{a} * b >> 32);
}
SIMT_DEVICE unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
SIMT_DEVICE float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
SIMT_DEVICE int __float2int_rn(float x) { return static_cast<int>(std::nearbyint(x)); }
template <class T> SIMT_DEVICE constexpr T min(T a, T b) { return b < a ? b : a; }
template <class T> SIMT_DEVICE constexpr T max(T a, T b) { return a < b ? b : a; }

}  // namespace simt
