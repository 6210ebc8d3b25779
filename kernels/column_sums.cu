// Computes: out[c] = sum over pieces p of partials[p,c], for many matrices at once.
// Parallel: 32 columns a block; 8 threads a column on the host, 32 on the GPU, then a
//   sum of theirs. Up to kMostTotals matrices in one launch.
// Bytes: the partial sums once, mostly from cache.
// Source: as epilogue.cu.
#include "kernels/column_sums.h"

#include "kernels/partial_sums.h"
#include "kernels/ranges.h"
#include "kernels/simt/instantiate.h"

namespace kernels {
namespace {

constexpr int kMostTotals = 32;

template <class T> struct Totals {  // of one matrix
  const compute_t<T>* partials;     // [pieces,columns]
  T* out;                           // [columns]
  std::int64_t columns;
  int pieces, first_block;
};

template <class T> struct ColumnTotals {
  // On the GPU a thread waits for each of its loads.
  static constexpr int kx = 32, ky = SIMT_CUDA ? 32 : 8;
  Totals<T> all[kMostTotals];
  int count;
  template <class B> SIMT_DEVICE void operator()(B& b) const {
    using C = compute_t<T>;
    SIMT_BLOCK_SHARED(B, C, shares, [ky][kx]);
    int mine = 0;
    while (mine + 1 < count && all[mine + 1].first_block <= b.block_x()) ++mine;
    const Totals<T>& matrix = all[mine];
    const std::int64_t first = std::int64_t{b.block_x() - matrix.first_block} * 32;
    b.phase([&](int tx, int ty) SIMT_LAMBDA {
      const std::int64_t c = first + tx;
      C sum = 0;
      if (c < matrix.columns)
        for (int p = ty; p < matrix.pieces; p += ky) sum += matrix.partials[p * matrix.columns + c];
      shares[ty][tx] = sum;
    });
    b.each([&](int tx, int ty) SIMT_LAMBDA {
      const std::int64_t c = first + tx;
      if (ty != 0 || c >= matrix.columns) return;
      C sum = 0;
      for (int k = 0; k < ky; ++k) sum += shares[k][tx];
      store(matrix.out, c, sum);
    });
  }
};

template <class T> void finish_of_type(Stream& stream, const PendingSums& pending) {
  ColumnTotals<T> kernel{};
  int blocks = 0;
  std::size_t bytes = 0;
  const auto launch = [&] {
    if (blocks > 0)
      simt::launch_block(stream.moves(bytes), dim3(static_cast<unsigned>(blocks)), kernel);
    kernel.count = blocks = 0;
    bytes = 0;
  };
  for (const PendingSum& sum : pending) {
    if (sum.type != typeid(T)) continue;
    if (kernel.count == kMostTotals) launch();
    kernel.all[kernel.count++] = {sum.partials.as<compute_t<T>>(), static_cast<T*>(sum.out),
                                  sum.columns, sum.pieces, blocks};
    blocks += static_cast<int>(ceil_div(sum.columns, 32));
    bytes += sum.columns * (sum.pieces * sizeof(compute_t<T>) + sizeof(T));
  }
  launch();
}
}  // namespace

template <class D> void finish_column_sums(Stream& stream, PendingSums& pending) {
  finish_of_type<float>(stream, pending);
  finish_of_type<bf16>(stream, pending);
  finish_of_type<f16>(stream, pending);
#if !SIMT_CUDA
  finish_of_type<double>(stream, pending);
#endif
  pending.clear();
}

template void finish_column_sums<simt::ThisDevice>(Stream&, PendingSums&);
}  // namespace kernels
