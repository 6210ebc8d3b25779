// Everything that holds for every kernel, one test per row of bench/cases/op_cases.h.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "bench/cases/op_runner.h"

namespace {

using namespace tests;
using simt::InstructionSet;
using simt::Order;

const std::vector<OpCase>& table() {
  static const std::vector<OpCase> all = op_cases();
  return all;
}

// Under ThreadSanitizer a row takes up to seconds, and every number type runs the same code.
bool left_out([[maybe_unused]] const OpCase& c) {
#ifdef SIMT_TSAN
  for (const char* type : {"/f64/", "/bf16/", "/f16/"})
    if (c.name.find(type) != std::string::npos) return true;
#endif
  return false;
}

std::vector<std::size_t> small_rows() {
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < table().size(); ++i)
    if (!table()[i].bench && !left_out(table()[i])) rows.push_back(i);
  return rows;
}

class KernelCase : public testing::TestWithParam<std::size_t> {
 protected:
  const OpCase& row() const { return table()[GetParam()]; }
};

// Equal to the reference, inputs untouched, guard bands untouched, nothing left as poison; and the same bits however it runs.
TEST_P(KernelCase, EqualsReferenceInEveryOrder) {
  const OpCase& c = row();
  const std::vector<Bytes> inputs = make_inputs(c);
  std::vector<Bytes> first;
  {
    const WithConfig config(1);
    first = run_case(c, inputs, kernels::Device::host);
  }
  EXPECT_EQ(compare(c, first, expected(c, inputs)), "");
  struct Way {
    const char* name;
    unsigned workers;
    Order order;
    InstructionSet instructions;
    bool fibers;
  };
#ifdef SIMT_ALWAYS_FIBERS
  // Checking builds are after wrong accesses and races, which one run with every CUDA thread for itself shows; it takes long enough.
  const std::vector<Way> ways{
      {"2 workers, fibers, shuffled", 2, Order::shuffle, InstructionSet::best, true}};
#else
  const std::vector<Way> ways{
      {"again", 1, Order::forward, InstructionSet::best, false},
      {"2 workers", 2, Order::forward, InstructionSet::best, false},
      {"4 workers, shuffled", 4, Order::shuffle, InstructionSet::best, false},
      {"reverse", 1, Order::reverse, InstructionSet::best, false},
      {"baseline instructions", 1, Order::forward, InstructionSet::baseline, false},
      {"fibers", 2, Order::forward, InstructionSet::best, true},
      {"fibers, reverse", 1, Order::reverse, InstructionSet::best, true}};
#endif
  for (const Way& way : ways) {
    const WithConfig config(way.workers, way.order, way.instructions, way.fibers);
    EXPECT_EQ(run_case(c, inputs, kernels::Device::host), first)
        << c.name << ": other bits with " << way.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Table, KernelCase, testing::ValuesIn(small_rows()),
                         [](const testing::TestParamInfo<std::size_t>& row) {
                           std::string name = table()[row.param].name;
                           std::replace_if(
                               name.begin(), name.end(),
                               [](unsigned char c) { return !std::isalnum(c); }, '_');
                           return name;
                         });

// One test, so that a machine without a GPU reports one skip.
TEST(KernelsOnGpu, EqualReferenceAndThemselves) {
  const kernels::CudaReport cuda = kernels::probe_cuda();
  if (!cuda.available) GTEST_SKIP() << cuda.reason;
  for (const std::size_t i : small_rows()) {
    const OpCase& c = table()[i];
    if (c.host_only) continue;
    const std::vector<Bytes> inputs = make_inputs(c),
                             first = run_case(c, inputs, kernels::Device::cuda);
    EXPECT_EQ(compare(c, first, expected(c, inputs)), "");
    EXPECT_EQ(run_case(c, inputs, kernels::Device::cuda), first)
        << c.name << ": other bits in a second run";
  }
}

TEST(OpCases, NamesAreUnique) {
  std::set<std::string> names;
  for (const OpCase& c : table())
    EXPECT_TRUE(names.insert(c.name).second) << c.name << " is there twice";
}

// A launcher is `template <class D...> void name(Stream&...` in a header; each must have a row, and a row must name one.
TEST(OpCases, EveryLauncherHasARow) {
  std::set<std::string> declared, covered;
  for (const auto& file : std::filesystem::directory_iterator(DOPPEL_SOURCE_DIR "/kernels")) {
    if (file.path().extension() != ".h") continue;
    std::stringstream text;
    text << std::ifstream(file.path()).rdbuf();
    const std::string source = std::regex_replace(text.str(), std::regex("//[^\n]*"), "");
    const std::regex launcher("template\\s*<class D[^>]*>\\s*void\\s+(\\w+)\\s*\\(\\s*Stream&");
    for (std::sregex_iterator it(source.begin(), source.end(), launcher), end; it != end; ++it)
      declared.insert((*it)[1]);
  }
  for (const OpCase& c : table()) covered.insert(c.launcher);
  EXPECT_GE(declared.size(), 30u) << "the headers were not read";
  for (const std::string& name : declared)
    EXPECT_TRUE(covered.count(name)) << name << " has no row in bench/cases/op_cases.h";
  for (const std::string& name : covered)
    EXPECT_TRUE(declared.count(name)) << "no header declares " << name;
}

// ---- the checks above must be able to fail

OpCase broken_add(std::int64_t offset, std::int64_t count) {
  OpCase c = new_case<float>("add", "broken");
  c.operands = {input<float>("a", 100), output<float>("out", 100)};
  c.run = [=](Stream&, const Pointers& p) {
    for (std::int64_t i = 0; i < count; ++i) p.get<float>(1)[offset + i] = 2 * p.get<float>(0)[i];
  };
  c.reference = [](std::vector<Values>& v) {
    v[1] = v[0];
    for (double& x : v[1]) x *= 2;
  };
  return c;
}

TEST(OpRunner, AcceptsWhatIsRight) {
  const OpCase c = broken_add(0, 100);
  const auto inputs = make_inputs(c);
  EXPECT_EQ(compare(c, run_case(c, inputs, kernels::Device::host), expected(c, inputs)), "");
}
TEST(OpRunner, CatchesWritesOutside) {
  const OpCase before = broken_add(-1, 100), after = broken_add(0, 101);
  EXPECT_THROW(run_case(before, make_inputs(before), kernels::Device::host), std::runtime_error);
  OpCase c = after;
  c.run = [](Stream&, const Pointers& p) {
    for (int i = 0; i < 101; ++i) p.get<float>(1)[i] = 1.f;
  };
  EXPECT_THROW(run_case(c, make_inputs(c), kernels::Device::host), std::runtime_error);
}
TEST(OpRunner, CatchesUnwrittenAndWrongOutputs) {
  const OpCase unwritten = broken_add(0, 99), shifted = broken_add(1, 99);
  for (const OpCase& c : {unwritten, shifted}) {
    const auto inputs = make_inputs(c);
    EXPECT_NE(compare(c, run_case(c, inputs, kernels::Device::host), expected(c, inputs)), "");
  }
}
TEST(OpRunner, CatchesChangedInputs) {
  OpCase c = broken_add(0, 100);
  c.run = [](Stream&, const Pointers& p) { p.get<float>(0)[50] += 1; };
  EXPECT_THROW(run_case(c, make_inputs(c), kernels::Device::host), std::runtime_error);
}

}  // namespace
