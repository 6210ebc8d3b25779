// Every row of the op table against its reference, in every order of execution; and checks
// of the checks.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "bench/cases/op_runner.h"

namespace {

using namespace bench::cases;
using simt::InstructionSet;
using simt::Order;

const std::vector<OpCase>& table() {
  static const std::vector<OpCase> all = op_cases();
  return all;
}

// Under ThreadSanitizer a row takes up to seconds, and every type runs the same code.
bool left_out([[maybe_unused]] const OpCase& c) {
#ifdef SIMT_TSAN
  for (const char* type : {"/f64/", "/bf16/", "/f16/"})
    if (c.name.find(type) != std::string::npos) return true;
  // Epilogues add up columns on a fiber per CUDA thread, up to a minute for the long ones.
  if (c.launcher.starts_with("epilogue"))
    for (const Operand& o : c.operands)
      if (o.count > 2048) return true;
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

// Equal to the reference, inputs and guard bands untouched, no poison left; and the same bits
// for every order, number of workers and instruction set, and in the GPU's 16-byte vectors.
TEST_P(KernelCase, EqualsReferenceInEveryOrder) {
  const OpCase& c = row();
  const std::vector<Bytes> inputs = make_inputs(c);
  std::vector<Bytes> first;
  {
    const WithConfig config(1);
    first = run_case(c, inputs, kernels::Device::host);
  }
  const std::vector<Values> want = expected(c, inputs);
  EXPECT_EQ(compare(c, first, want), "");
  struct Execution {
    const char* name;
    unsigned workers;
    Order order;
    InstructionSet instructions;
    bool fibers;
    bool round = false;  // addresses: the GPU's vectors of 16 bytes, if on fibers
  };
#ifdef SIMT_ALWAYS_FIBERS
  // A run with a fiber per CUDA thread shows the wrong accesses and races that a checking
  // build looks for, with and without vectors; more would take too long.
  const std::vector<Execution> executions{
      {"2 workers, fibers, shuffled", 2, Order::shuffle, InstructionSet::best, true},
      {"2 workers, fibers, shuffled, vectors", 2, Order::shuffle, InstructionSet::best, true,
       true}};
#else
  const std::vector<Execution> executions{
      {"again", 1, Order::forward, InstructionSet::best, false},
      {"2 workers", 2, Order::forward, InstructionSet::best, false},
      {"4 workers, shuffled", 4, Order::shuffle, InstructionSet::best, false},
      {"reverse", 1, Order::reverse, InstructionSet::best, false},
      {"baseline instructions", 1, Order::forward, InstructionSet::baseline, false},
      {"fibers", 2, Order::forward, InstructionSet::best, true},
      {"fibers, reverse", 1, Order::reverse, InstructionSet::best, true},
      {"vectors", 2, Order::forward, InstructionSet::best, true, true},
      {"vectors, reverse", 1, Order::reverse, InstructionSet::best, true, true}};
#endif
  std::vector<Bytes> first_of_vectors;  // of a row that the GPU's vectors reorder
  for (const Execution& e : executions) {
    const WithConfig config(e.workers, e.order, e.instructions, e.fibers);
    const std::vector<Bytes> got = run_case(c, inputs, kernels::Device::host, e.round);
    const bool reordered = e.round && c.reordered;
    if (reordered && first_of_vectors.empty()) {
      EXPECT_EQ(compare(c, got, want), "") << e.name;
      first_of_vectors = got;
    }
    EXPECT_EQ(got, reordered ? first_of_vectors : first)
        << c.name << ": other bits with " << e.name;
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

// One test: a machine without a GPU reports one skip. DOPPEL_ROWS, a regular expression, chooses
// rows, for runs under a sanitizer.
TEST(KernelsOnGpu, EqualReferenceAndThemselves) {
  const kernels::CudaReport cuda = kernels::probe_cuda();
  if (!cuda.available) GTEST_SKIP() << cuda.reason;
  const char* const rows = std::getenv("DOPPEL_ROWS");
  const std::regex chosen(rows ? rows : "");
  for (const std::size_t i : small_rows()) {
    const OpCase& c = table()[i];
    if (c.host_only || !std::regex_search(c.name, chosen)) continue;
    const std::vector<Bytes> inputs = make_inputs(c);
    for (const bool round_addresses : {false, true}) {
      const auto run = [&] { return run_case(c, inputs, kernels::Device::cuda, round_addresses); };
      const std::vector<Bytes> first = run();
      EXPECT_EQ(compare(c, first, expected(c, inputs)), "");
      EXPECT_EQ(run(), first) << c.name << ": other bits in a second run";
    }
  }
}

TEST(OpCases, NamesAreUnique) {
  std::set<std::string> names;
  for (const OpCase& c : table())
    EXPECT_TRUE(names.insert(c.name).second) << c.name << " is there twice";
}

// A launcher is `template <class D...> void name(Stream&...);` in a header of kernels/, without a
// body. Each has a row, and a row names one.
TEST(OpCases, EveryLauncherHasARow) {
  const std::filesystem::path folder = DOPPEL_SOURCE_DIR "/kernels";
  if (!exists(folder)) GTEST_SKIP() << "no sources here";
  std::set<std::string> declared, covered;
  for (const auto& file : std::filesystem::recursive_directory_iterator(folder)) {
    if (file.path().extension() != ".h") continue;
    std::stringstream text;
    text << std::ifstream(file.path()).rdbuf();
    const std::string source = std::regex_replace(text.str(), std::regex("//[^\n]*"), "");
    const std::regex launcher(
        "template\\s*<class D[^>]*>\\s*void\\s+(\\w+)\\s*\\(\\s*Stream&[^;]*?\\)\\s*([;{])");
    for (std::sregex_iterator it(source.begin(), source.end(), launcher), end; it != end; ++it)
      if ((*it)[2] == ";") declared.insert((*it)[1]);
  }
  for (const OpCase& c : table()) covered.insert(c.launcher);
  EXPECT_GE(declared.size(), 30u) << "the headers were not read";
  for (const std::string& name : declared)
    EXPECT_TRUE(covered.count(name))
        << name << " has no row in bench/cases: see docs/adding-an-op.md";
  for (const std::string& name : covered)
    EXPECT_TRUE(declared.count(name)) << "no header declares " << name;
}

// ---- the runner finds the faults that it is for

// out = 2a into `count` elements from `offset` on, which should be 100 from 0 on.
OpCase broken_add(Index offset, Index count) {
  auto c = op_case<float>("add", "broken");
  const auto a = c.in("a", 100), out = c.out("out", 100);
  c.run([=]<class D>(Stream&, auto at) {
    for (Index i = 0; i < count; ++i) at(out)[offset + i] = 2 * at(a)[i];
  });
  c.expect(out, [=](auto at, Index i) { return 2 * at(a)[i]; });
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
