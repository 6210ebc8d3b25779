// One kernel source, three executors.
//
//                       kernels/*.cu
//          nvcc ─────────────┴───────────── g++ (this header supplies CUDA's words)
//           │             ┌─────────────────────┼──────────────────┐
//          GPU      plain SIMD loops     plain SIMD loops    fibers, one per thread
//                   (range kernels)      (block kernels)     (raw kernels; every check)
//
// A kernel takes one of three forms. Take the first that fits.
//
// 1. Range: one result per index, nothing shared. As fast as C++ written by hand.
//      __global__ void double_it(float* __restrict__ x, std::int64_t n) {
//        for (const std::int64_t i : simt::grid_range(n)) x[i] *= 2.f;
//      }
//      simt::launch_range<double_it>(stream, n, x, n);
//    The GPU strides through the range with as many blocks as it runs at once; a host
//    worker takes one contiguous piece of 16384 after another: launch_range<double_it,
//    256> cuts finer. Kernels bound by memory use kernels/vectors.h: 16 bytes an access.
//
// 2. Block: the threads of a block work together, in phases. A phase is a lambda: the
//    GPU runs it once per thread, the host as a SIMD loop over the threads (block.h).
//      struct RowSum {
//        static constexpr int kx = 128, ky = 1;   // threads of a block
//        const float* x;                          // [rows,columns]
//        float* out;                              // [rows]
//        int columns;
//        template <class B> SIMT_DEVICE void operator()(B& b) const {
//          const float* row = x + std::int64_t{b.block_x()} * columns;
//          simt::Reg<B, float> s{};               // one value per thread, zero
//          b.strided(columns, [&](int t, int i) SIMT_LAMBDA { s[t] += row[i]; });
//          const float total = b.sum(s);
//          b.once([&]() SIMT_LAMBDA { out[b.block_x()] = total; });
//        }
//      };
//      simt::launch_block(stream, dim3(rows), RowSum{x, out, columns});
//
// 3. Raw: any CUDA kernel. launch<k>(stream, grid, block, args...) runs one without
//    barriers and shared memory, launch_with_barriers<k>(...) any other. On the host
//    the latter costs 5 to 70 times a plain loop: use it in tests.
//
// Shared memory: SIMT_SHARED(float, tile, [32][33]) in raw kernels, in block kernels
// SIMT_BLOCK_SHARED(B, float, tile, [32][33]); SIMT_DYNAMIC_SHARED(float, p) is sized
// at launch.
//
// The host stops, with kernel, block and thread, at a barrier reached at different
// lines, a lane named by a mask but gone, a mask without its caller, a barrier under
// plain launch. ASan stops at an index past an array, shared ones included; TSan
// reports every unordered pair of accesses; poison turns unwritten shared memory into
// NaN. A missing barrier also shows as a difference between Order::forward and
// ::reverse.
//
// It does not show GPU speed (bank conflicts, coalescing, spills), a missing wait
// between streams, or, without TSan, races that need preemption inside a phase. A
// thread that spins on another of its block never ends. Do not wait at a barrier in a
// catch block.
//
// With -ffp-contract=off the host gives the same bits for loops, fibers and every
// instruction set. nvcc contracts and has its own exp: compare by tolerance.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/core/stream.h"
#include "kernels/core/types.h"

#if defined(__CUDACC__)
#include "kernels/simt/cuda.h"
#else
#include "kernels/simt/host.h"
#endif

#include "kernels/simt/block.h"
