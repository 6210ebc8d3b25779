// Records as text: refusal of other files, and the comparison of two records.
#include <gtest/gtest.h>

#include <unistd.h>
#include <filesystem>
#include <fstream>

#include "bench/report/report.h"
#include "kernels/core/error.h"

namespace {

using namespace bench;
using nlohmann::ordered_json;

TEST(Report, RefusesWhatIsNoRecord) {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("doppel_record_" + std::to_string(::getpid()));
  for (const char* text : {"", "[]", "{}", "{\"format\": \"other\", \"rows\": []}",
                           "{\"format\": \"doppel-bench-1\"}"}) {
    std::ofstream(path) << text;
    EXPECT_THROW(read_record(path), kernels::Error) << text;
  }
  std::filesystem::remove(path);
  EXPECT_THROW(read_record(path), kernels::Error);
}

ordered_json record(const char* cpu, const std::vector<std::pair<const char*, double>>& rows) {
  ordered_json json{{"machine", {{"cpu", {{"model", cpu}}}, {"gpu", {{"name", "none"}}}}},
                    {"rows", ordered_json::array()}};
  for (const auto& [name, seconds] : rows)
    json["rows"].push_back({{"name", name}, {"peer", ""}, {"least_s", seconds}});
  return json;
}

TEST(Report, ComparesShortestTimesAndPointsToAgainst) {
  const ordered_json before = record("one", {{"same", 1e-3}, {"slow", 1e-3}, {"gone", 1e-3}});
  ordered_json after = record("one", {{"same", 1e-3}, {"slow", 2e-3}, {"added", 1}});
  after["rows"].push_back({{"name", "same/own"}, {"peer", "own"}, {"least_s", 1}});
  after["rows"].push_back({{"name", "wrong"}, {"peer", ""}, {"error", "differs"}});
  const std::string text = compare(before, after);
  EXPECT_NE(text.find("2.000    1.000 ms    2.000 ms  slow"), std::string::npos) << text;
  EXPECT_LT(text.find("  slow"), text.find("  same")) << "the largest ratio first\n" << text;
  EXPECT_NE(text.find("2 rows in both records, 1 only in the new, 1 only in the old"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("doppel bench --against"), std::string::npos) << text;
  EXPECT_EQ(text.find("another cpu"), std::string::npos) << text;
  EXPECT_NE(compare(record("two", {}), after).find("another cpu: 'two' before, 'one' now"),
            std::string::npos);
}
}  // namespace
