// simt.h - one kernel source, three ways to run it.
//
//                        kernels/*.cu
//           nvcc ─────────────┴───────────── g++ (this header supplies CUDA's words)
//            │              ┌────────────────────┼───────────────────┐
//           GPU       plain SIMD loops     plain SIMD loops     fibers, one per CUDA thread
//                     (range kernels)     (block kernels)      (raw kernels; every check)
//
// A kernel takes one of three forms. Take the first that fits.
//
// 1. Range: one result per index, nothing shared between indices. Costs what hand-written C++ costs.
//      __global__ void double_it(float* __restrict__ x, std::int64_t n) {
//        for (const std::int64_t i : simt::grid_range(n)) x[i] *= 2.f;
//      }
//      simt::launch_range<double_it>(stream, n, x, n);
//    The GPU strides through the range with all threads of the grid; a host worker walks a contiguous piece of it.
//    Heavy per index (a warp, random numbers)? launch_range<kernel, 256>: pieces of 256 indices, for more workers.
//
// 2. Block: the threads of a block work together, in phases with a barrier after each. A phase is a lambda over the
//    threads; the GPU runs it once per thread, the host turns it into a loop the compiler can vectorise (block.h).
//      struct RowSum {
//        static constexpr int kx = 128, ky = 1;   // threads of a block
//        const float* x;                          // [rows,columns]
//        float* out;                              // [rows]
//        int columns;
//        template <class B> SIMT_DEVICE void operator()(B& b) const {
//          const float* row = x + std::int64_t{b.block_x()} * columns;
//          typename B::template Reg<float> s;     // one value per thread, alive across phases
//          b.each([&](int t, int) SIMT_LAMBDA { s[t] = 0.f; });
//          b.strided(columns, [&](int t, int i) SIMT_LAMBDA { s[t] += row[i]; });
//          const float total = b.sum(s);
//          b.each([&](int t, int) SIMT_LAMBDA { if (t == 0) out[b.block_x()] = total; });
//        }
//      };
//      simt::launch_block(stream, dim3(rows), RowSum{x, out, columns});
//
// 3. Raw: any CUDA kernel. launch<k>(stream, grid, block, args...) where it has no barrier and no shared memory,
//    launch_with_barriers<k>(...) where it has. On the host the latter costs 5 to 70 times a plain loop: for tests,
//    and for code whose host path goes elsewhere (GEMM).
//
// Shared memory is SIMT_SHARED(float, tile, [32][33]) in raw kernels and SIMT_BLOCK_SHARED(B, float, tile, [32][33]) in
// block kernels; SIMT_DYNAMIC_SHARED(float, p) where the launch gives the size.
//
// What the host shows. Barriers and warp collectives behave as on the device, partial warps and early returns included. A
// barrier that threads reach at different lines, a lane that a mask names but that has left, a mask without its
// caller, a barrier under plain launch: each stops the program and names kernel, block and thread. Under ASan an index past a
// shared array, a buffer or a local array stops at that access, with poison on a read of unwritten shared memory
// gives NaN, and under TSan every pair of unordered accesses is reported, between threads and between blocks.
// Without any of them a missing barrier shows as a difference between Order::forward and Order::reverse.
//
// What it does not show: coalescing, bank conflicts, occupancy, register spills, anything about speed on a GPU; a missing
// wait between streams (a host stream runs each launch at once); races that need preemption inside a phase without
// TSan; __activemask, clusters, TMA and the like, which have no host meaning. A thread that spins until
// another thread of its block writes never ends here. Do not wait at a barrier inside a catch block.
//
// -ffp-contract=off on the host: so loops, fibers and every instruction set give the same bits. nvcc does contract,
// and has its own exp and rsqrt: compare host and GPU within a tolerance.
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
