// CUDA's device functions on the host, as far as kernels use them. Barriers and warp
// collectives go to the fiber scheduler; the rest is arithmetic.
#pragma once
#include <atomic>
#include <bit>
#include <cstring>

#include "kernels/simt/runtime.h"

#if defined(__SANITIZE_THREAD__)
#define SIMT_NO_TSAN __attribute__((no_sanitize("thread")))
#else
#define SIMT_NO_TSAN
#endif

// Last parameters of a barrier or collective, for the caller's line.
#define SIMT_CALLER const char *file = __builtin_FILE(), int line = __builtin_LINE()

namespace simt {

inline unsigned lane() {
  return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) & 31u;
}

// ---- barriers
inline void __syncthreads(SIMT_CALLER) { runtime::block_barrier({file, line}); }
inline int __syncthreads_or(int vote, SIMT_CALLER) {
  return runtime::block_barrier_with_vote({file, line}, vote != 0).any;
}
inline int __syncthreads_and(int vote, SIMT_CALLER) {
  return runtime::block_barrier_with_vote({file, line}, vote != 0).all;
}
inline int __syncthreads_count(int vote, SIMT_CALLER) {
  return runtime::block_barrier_with_vote({file, line}, vote != 0).count;
}
inline void __syncwarp(unsigned mask = 0xffffffffu, SIMT_CALLER) {
  runtime::warp_collective(mask, {nullptr, nullptr, 0}, nullptr, "__syncwarp", {file, line});
}

// ---- shuffles. LaneExchange::number is the lane to read. A read from outside the
// mask, undefined in CUDA, gives all bits set: NaN for floats.
template <class T> SIMT_NO_TSAN void combine_shuffle(runtime::LaneExchange* lanes, unsigned mask) {
  for (unsigned rest = mask; rest != 0; rest &= rest - 1) {
    const runtime::LaneExchange& to = lanes[std::countr_zero(rest)];
    if ((mask >> to.number & 1u) != 0) std::memcpy(to.result, lanes[to.number].operand, sizeof(T));
    else std::memset(to.result, 0xff, sizeof(T));
  }
}
template <class T>
T shuffle(unsigned mask, const T& value, unsigned source, const char* name, runtime::Site at) {
  T result;
  runtime::warp_collective(mask, {&value, &result, source}, &combine_shuffle<T>, name, at);
  return result;
}
// A width below 32 splits the warp into groups of `width` lanes.
template <class T> T __shfl_sync(unsigned mask, T value, int source, int width = 32, SIMT_CALLER) {
  const unsigned w = static_cast<unsigned>(width), group = lane() & ~(w - 1);
  return shuffle(mask, value, group | (static_cast<unsigned>(source) & (w - 1)), "__shfl_sync",
                 {file, line});
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, SIMT_CALLER) {
  const unsigned w = static_cast<unsigned>(width), l = lane(),
                 source = l ^ static_cast<unsigned>(bits);
  const bool later_group = (source & ~(w - 1)) > (l & ~(w - 1));
  return shuffle(mask, value, later_group ? l : source & 31u, "__shfl_xor_sync", {file, line});
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, SIMT_CALLER) {
  const unsigned w = static_cast<unsigned>(width), l = lane();
  return shuffle(mask, value, (l & (w - 1)) + delta < w ? l + delta : l, "__shfl_down_sync",
                 {file, line});
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, SIMT_CALLER) {
  const unsigned w = static_cast<unsigned>(width), l = lane();
  return shuffle(mask, value, (l & (w - 1)) >= delta ? l - delta : l, "__shfl_up_sync",
                 {file, line});
}

// ---- votes. LaneExchange::number is the lane's vote.
SIMT_NO_TSAN inline void combine_ballot(runtime::LaneExchange* lanes, unsigned mask) {
  unsigned votes = 0;
  for (unsigned rest = mask; rest != 0; rest &= rest - 1)
    votes |= lanes[std::countr_zero(rest)].number << std::countr_zero(rest);
  for (unsigned rest = mask; rest != 0; rest &= rest - 1)
    *static_cast<unsigned*>(lanes[std::countr_zero(rest)].result) = votes;
}
inline unsigned __ballot_sync(unsigned mask, int vote, SIMT_CALLER) {
  unsigned votes;
  runtime::warp_collective(mask, {nullptr, &votes, vote != 0 ? 1u : 0u}, &combine_ballot,
                           "__ballot_sync", {file, line});
  return votes;
}
inline int __any_sync(unsigned mask, int vote, SIMT_CALLER) {
  return __ballot_sync(mask, vote, file, line) != 0;
}
inline int __all_sync(unsigned mask, int vote, SIMT_CALLER) {
  return __ballot_sync(mask, vote == 0, file, line) == 0;
}

// ---- atomics: relaxed, as on the device
template <class T> T atomicAdd(T* p, T value) {
  return std::atomic_ref<T>(*p).fetch_add(value, std::memory_order_relaxed);
}
template <class T> T atomicMax(T* p, T value) {
  std::atomic_ref<T> target(*p);
  T old = target.load(std::memory_order_relaxed);
  while (old < value && !target.compare_exchange_weak(old, value, std::memory_order_relaxed)) {}
  return old;
}

// ---- arithmetic
template <class T> SIMT_DEVICE constexpr T min(T a, T b) { return b < a ? b : a; }
template <class T> SIMT_DEVICE constexpr T max(T a, T b) { return a < b ? b : a; }
}  // namespace simt
