// Copy, read and write at the speed of memory, and an empty launch.
//   copy   32 bytes a word: 16 read, 16 written
//   read   16 bytes a word; the sum is kept only if it is a value that no sum has, so that the loads cannot be dropped
//   write  16 bytes a word
// GPU: 16-byte loads and stores, neighbouring threads at neighbouring words. Host: the same bytes as four floats, which the compiler
// turns into its widest loads.
#include "bench/suite/bandwidth.h"

#include "kernels/ranges.h"

namespace bench {
namespace {

constexpr float kNever = -1.2345e30f;

#if SIMT_CUDA
using Word = float4;
constexpr int kWordsPerItem = 1;
SIMT_DEVICE float sum_of(const Word& w) { return w.x + w.y + w.z + w.w; }
SIMT_DEVICE Word word(float v) { return {v, v, v, v}; }
#else
using Word = float;
constexpr int kWordsPerItem = 4;  // items of a 16-byte word
SIMT_DEVICE float sum_of(Word w) { return w; }
SIMT_DEVICE Word word(float v) { return v; }
#endif

__global__ void copy_kernel(const Word* x, Word* out, std::int64_t n) {
  kernels::for_elements(n, [=](std::int64_t i) SIMT_LAMBDA { out[i] = x[i]; });
}

__global__ void write_kernel(Word* out, float value, std::int64_t n) {
  kernels::for_elements(n, [=](std::int64_t i) SIMT_LAMBDA { out[i] = word(value); });
}

__global__ void read_kernel(const Word* x, float* out, std::int64_t n) {
#if SIMT_CUDA
  float sum = 0;
  for (const std::int64_t i : simt::grid_range(n)) sum += sum_of(x[i]);
#else
  const auto range = simt::grid_range(n);
  const std::int64_t first = *range.begin(), last = *range.end();
  constexpr int kLanes = 64;  // independent sums, so that no addition waits for the one before it
  float lanes[kLanes] = {};
  std::int64_t i = first;
  for (; i + kLanes <= last; i += kLanes)
    for (int l = 0; l < kLanes; ++l) lanes[l] += sum_of(x[i + l]);
  float sum = 0;
  for (; i < last; ++i) sum += sum_of(x[i]);
  for (const float lane : lanes) sum += lane;
#endif
  if (sum == kNever) *out = sum;
}

__global__ void nothing_kernel(float* out, std::int64_t n) {
  kernels::for_elements(n, [=](std::int64_t) SIMT_LAMBDA { *out = 1.f; });
}

}  // namespace

template <class D> void stream_copy(Stream& stream, const void* x, void* out, std::int64_t words) {
  const std::int64_t n = words * kWordsPerItem;
  simt::launch_range<copy_kernel>(stream, n, static_cast<const Word*>(x), static_cast<Word*>(out),
                                  n);
}
template <class D> void stream_read(Stream& stream, const void* x, float* out, std::int64_t words) {
  const std::int64_t n = words * kWordsPerItem;
  simt::launch_range<read_kernel>(stream, n, static_cast<const Word*>(x), out, n);
}
template <class D> void stream_write(Stream& stream, void* out, float value, std::int64_t words) {
  const std::int64_t n = words * kWordsPerItem;
  simt::launch_range<write_kernel>(stream, n, static_cast<Word*>(out), value, n);
}
template <class D> void launch_nothing(Stream& stream, float* out) {
  simt::launch_range<nothing_kernel>(stream, 1, out, std::int64_t{1});
}

template void stream_copy<simt::ThisDevice>(Stream&, const void*, void*, std::int64_t);
template void stream_read<simt::ThisDevice>(Stream&, const void*, float*, std::int64_t);
template void stream_write<simt::ThisDevice>(Stream&, void*, float, std::int64_t);
template void launch_nothing<simt::ThisDevice>(Stream&, float*);

}  // namespace bench
