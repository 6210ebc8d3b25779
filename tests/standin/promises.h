// The promises of the seams about the work they queue, checked against a record.
#pragma once
#include <string>
#include <vector>

#include "tests/standin/record.h"

namespace standin {

// The calls of events that pool_watch.cpp adds: our pool's, beside the runtime's.
inline constexpr const char* kPoolTakes = "pool takes";
inline constexpr const char* kPoolGives = "pool gives";

// Every promise broken from event `first` on, as one line:
// - inside a capture nothing allocates, frees, waits, asks an event, or fails
// - all work is on one stream, which is not the legacy one
// - every operand lies in a live block of the pool that is large enough (of a replay: in
//   memory that is not freed), aligned as the call asks; no kernel gets an address of
//   pageable host memory
// - a plan's and a product's workspace is as large as it needs and apart from operands
// - a captured copy reads and writes no pageable host memory, which may change or be
//   gone when the graph is launched
// - blocks of a graph do not come from the pool again, and none is freed, until the
//   graph is destroyed
// The record begins before the first block is taken from the pool.
std::vector<std::string> broken_promises(const std::vector<Event>& record, std::size_t first = 0);

// The line of a plan that waits for its stream, which autotuning finds by a capture of its
// own and refuses.
inline constexpr const char* kRefusedPlan = "cudaStreamSynchronize: inside a capture";

// The work of events [first, end), in order, one line each, without addresses. With
// `blocks`, each operand's block follows by its size, as "size" or "size+offset".
std::vector<std::string> work_of(const std::vector<Event>& record, std::size_t first,
                                 std::size_t end, bool blocks = false);
}  // namespace standin
