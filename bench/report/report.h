// The suite's records as text: one table, and the ratios to another record.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

namespace bench {

// Our rows, the smallest share of the ceiling first, each with its best peer.
std::string table(const nlohmann::ordered_json& record);

// A record from a file; throws Error(input) for anything else.
nlohmann::ordered_json read_record(const std::string& path);

// Ratios of the shortest times of our rows, the largest first. No verdict: on a shared
// machine equal builds differ by several per cent from run to run.
std::string compare(const nlohmann::ordered_json& before, const nlohmann::ordered_json& after);
}  // namespace bench
