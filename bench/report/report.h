// The suite's record for people: one table, worst first, and what changed against another record.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "bench/ab/statistics.h"

namespace bench {

// Our own rows by share of their ceiling, the smallest first; beside each the best peer of the same case.
std::string table(const nlohmann::ordered_json& record);

// A record from a file; throws Error(input) where it is none.
nlohmann::ordered_json read_record(const std::string& path);

// Times of our own rows, by what bounds them.
std::vector<Series> series(const nlohmann::ordered_json& record);

std::string describe(const Comparison& comparison, const nlohmann::ordered_json& before,
                     const nlohmann::ordered_json& after, const CompareOptions& options = {});
nlohmann::ordered_json to_json(const Comparison& comparison);

}  // namespace bench
