// Bias gradients in two stages: kernels/epilogue.h leaves partial sums, and one launch
// turns those of many layers into gradients. Deterministic.
#pragma once
#include <typeindex>
#include <vector>

#include "kernels/core/memory.h"
#include "kernels/core/stream.h"

namespace kernels {

// A bias gradient whose second stage has not run: partial sums and the place of their
// total.
struct PendingSum {
  std::type_index type;  // of out
  Buffer partials;       // [pieces,columns] in the compute type
  void* out;             // [columns], not written yet
  std::int64_t columns;
  int pieces;
};
using PendingSums = std::vector<PendingSum>;

// The second stage of many bias gradients in one launch, on the stream of their first.
// Empties the list.
template <class D> void finish_column_sums(Stream&, PendingSums& pending);
}  // namespace kernels
