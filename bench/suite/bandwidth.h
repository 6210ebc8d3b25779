// The simplest kernels, compiled like the engine's own: their bandwidth bounds every
// kernel here. One word is 16 bytes.
#pragma once
#include <cstdint>

#include "kernels/core/stream.h"

namespace bench {

using kernels::Stream;

// out[i] = x[i]
template <class D>
void stream_copy(Stream&, const void* x /*[words]*/, void* out /*[words]*/, std::int64_t words);
// Reads all of x and writes nothing of it.
template <class D>
void stream_read(Stream&, const void* x /*[words]*/, float* out /*[1]*/, std::int64_t words);
// out[i] = value
template <class D>
void stream_write(Stream&, void* out /*[words]*/, float value, std::int64_t words);
// One launch that writes one value.
template <class D> void launch_nothing(Stream&, float* out /*[1]*/);
}  // namespace bench
