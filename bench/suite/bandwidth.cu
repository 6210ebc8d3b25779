// Computes: out = x (copy), sum(x) (read), out = value (write), and one store
//           (launch_nothing).
// Parallel: GPU: a grid-stride loop, neighbouring threads on neighbouring 16-byte
//           words; host: a range of floats per core, for the compiler's widest loads.
// Bytes:    copy 32 per word (16 read, 16 written), read 16, write 16. read_kernel
//           stores its sum only if it is kNever, so the loads cannot be dropped.
// Source:   McCalpin's STREAM, one loop per direction.
#include "bench/suite/bandwidth.h"

#include "kernels/ranges.h"

namespace bench {
namespace {

constexpr float kNever = -1.2345e30f;  // no sum of these tests

#if SIMT_CUDA
using Word = float4;
constexpr int kItemsPerWord = 1;
SIMT_DEVICE float sum_of(const Word& w) { return w.x + w.y + w.z + w.w; }
SIMT_DEVICE Word word(float v) { return {v, v, v, v}; }
#else
using Word = float;
constexpr int kItemsPerWord = 4;
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
  constexpr int kLanes = 64;  // independent sums hide the latency of an addition
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
  const std::int64_t n = words * kItemsPerWord;
  simt::launch_range<copy_kernel>(stream, n, static_cast<const Word*>(x), static_cast<Word*>(out),
                                  n);
}
template <class D> void stream_read(Stream& stream, const void* x, float* out, std::int64_t words) {
  const std::int64_t n = words * kItemsPerWord;
  simt::launch_range<read_kernel>(stream, n, static_cast<const Word*>(x), out, n);
}
template <class D> void stream_write(Stream& stream, void* out, float value, std::int64_t words) {
  const std::int64_t n = words * kItemsPerWord;
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
