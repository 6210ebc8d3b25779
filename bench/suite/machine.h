// What the numbers were measured on: written beside them, so that two files can be told apart years later.
#pragma once
#include <cstddef>
#include <nlohmann/json.hpp>

#include "kernels/core/stream.h"

namespace bench {

nlohmann::ordered_json
describe_machine();  // what does not change: processors, card, driver, compiler, libraries, commit
nlohmann::ordered_json
machine_state();  // what does: clocks, load, temperature, why the card throttles; taken before and after
std::size_t cache_bytes(kernels::Device device);  // the last cache: the host's, or the card's L2
double load_average();  // of the last minute; negative where the system does not say

}  // namespace bench
