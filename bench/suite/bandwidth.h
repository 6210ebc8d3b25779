// The simplest kernels that there are, in the form of ours and compiled as ours for host and GPU: what they reach is what memory gives
// to any kernel here. 1 word = 16 bytes.
#pragma once
#include <cstdint>

#include "kernels/core/stream.h"

namespace bench {

using kernels::Stream;

// out[i] = x[i]
template <class D>
void stream_copy(Stream&, const void* x /*[words]*/, void* out /*[words]*/, std::int64_t words);
// Reads all of x; writes nothing that anybody looks at.
template <class D>
void stream_read(Stream&, const void* x /*[words]*/, float* out /*[1]*/, std::int64_t words);
// out[i] = value
template <class D>
void stream_write(Stream&, void* out /*[words]*/, float value, std::int64_t words);
// The least that a launch can do: one value.
template <class D> void launch_nothing(Stream&, float* out /*[1]*/);

}  // namespace bench
