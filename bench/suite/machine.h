// The machine that a record was measured on, for a comparison of records years later.
#pragma once
#include <cstddef>
#include <nlohmann/json.hpp>

#include "kernels/core/stream.h"

namespace bench {

// The constant part: processor, card, driver, compiler, libraries, commit.
nlohmann::ordered_json describe_machine();
// The changing part: clocks, load, temperature, the card's reasons to throttle.
nlohmann::ordered_json machine_state();
std::size_t cache_bytes(kernels::Device device);  // of the last cache; on a card the L2
double load_average();                            // of the last minute; -1 if unknown
}  // namespace bench
