// The kernel suite: every case has a row, a wrong row has no number, a missing peer has
// a reason. No test depends on the length of a measurement.
#include <gtest/gtest.h>

#include <set>

#include "bench/cases/seams.h"
#include "bench/report/report.h"
#include "bench/suite/machine.h"
#include "bench/suite/suite.h"
#include "tests/bench/suite/twice.h"

namespace {

using namespace bench;
using nlohmann::ordered_json;

SuiteOptions quick(const std::string& filter = "") {
  SuiteOptions options;
  options.device = "cpu";
  options.filter = filter;
  options.shortest_sample = 1e-5;
  options.renew_ceilings = false;
  return options;
}

TEST(Suite, EveryCaseHasARow) {
  SuiteOptions options = quick();
  options.every_case = true;
  options.peers = false;
  const std::vector<cases::OpCase> table = cases::op_cases();
  Suite suite(table, options);
  std::set<std::string> rows;
  for (const Row& row : suite.rows())
    EXPECT_TRUE(rows.insert(row.name).second) << row.name << " is there twice";
  for (const cases::OpCase& c : table)
    EXPECT_EQ(rows.count("host/" + c.name + "/cold"), c.host_only ? 0u : 1u) << c.name;
}

TEST(Suite, ARoundThatIsStoppedKeepsWhatItHas) {
  Suite suite({twice("first", false), twice("second", false)}, quick("/cold$"));
  suite.round([](std::size_t) { return false; });
  EXPECT_EQ(suite.rows()[0].seconds.size(), 1u);
  const ordered_json record = to_json(suite, machine_state(), machine_state());
  EXPECT_EQ(record.at("rows").at(1).at("error"), "not measured: out of time");
  EXPECT_NE(table(record).find("host/twice/f32/first/cold"), std::string::npos);
}

// By default `doppel bench` leaves out the tests' small shapes, but no kernel.
TEST(Suite, EveryLauncherHasARowByDefault) {
  const std::vector<cases::OpCase> table = cases::op_cases();
  Suite suite(table, quick());
  std::set<std::string> measured;
  for (const Row& row : suite.rows()) measured.insert(row.op->launcher);
  for (const cases::OpCase& c : table)
    EXPECT_TRUE(c.host_only || measured.count(c.launcher)) << c.launcher << " has no row";
}

TEST(Suite, EveryRowHasACost) {
  Suite suite(cases::op_cases(), quick());
  for (const Row& row : suite.rows())
    EXPECT_TRUE(!row.op->bench || row.op->bytes > 0 || row.op->flops > 0) << row.name;
}

TEST(Suite, AWrongKernelPrintsNoNumber) {
  Suite suite({twice("right", false), twice("wrong", true)}, quick("/cold$"));
  ASSERT_EQ(suite.rows().size(), 2u);
  for (int round = 0; round < 2; ++round) suite.round([](std::size_t) { return true; });
  EXPECT_EQ(suite.rows()[0].seconds.size(), 2u);
  EXPECT_TRUE(suite.rows()[1].seconds.empty());
  EXPECT_NE(suite.rows()[1].error.find("'out'[700]"), std::string::npos) << suite.rows()[1].error;

  const ordered_json record = to_json(suite, machine_state(), machine_state());
  const ordered_json& wrong = record.at("rows").at(1);
  EXPECT_TRUE(wrong.contains("error"));
  for (const auto& [key, value] : wrong.items()) EXPECT_FALSE(value.is_number()) << key;
  const std::string text = table(record);
  EXPECT_NE(text.find("host/twice/f32/right/cold"), std::string::npos) << text;
  EXPECT_LT(text.find("without a number"), text.find("host/twice/f32/wrong/cold")) << text;
}

TEST(Suite, AWrongPeerPrintsNoNumber) {
  Suite suite({twice("right", false)}, quick("/cold$"));
  Row peer = suite.rows()[0];
  peer.name += "/other";
  peer.peer = Peer{"other", [](kernels::Stream&, const cases::Pointers& p) {
                     for (int i = 0; i < 1000; ++i) p.get<float>(1)[i] = 0;
                   }};
  suite.measure(peer);
  EXPECT_FALSE(peer.error.empty());
  EXPECT_TRUE(peer.seconds.empty());
}

TEST(Ceilings, TheBetterOfTwoMeasurementsCounts) {
  Ceilings a, b;
  a.copy = 2, b.copy = 3, a.f32 = 9, b.f32 = 8, a.launch = 5, b.launch = 4;
  a.candidates = {{"loop", 2.0}}, b.candidates = {{"loop", 3.0}, {"memcpy", 1.0}};
  const Ceilings best = best_of(a, b);
  EXPECT_EQ(best.copy, 3);
  EXPECT_EQ(best.f32, 9);
  EXPECT_EQ(best.launch, 4) << "a time: the shorter is the better";
  EXPECT_EQ(best.candidates, (std::map<std::string, double>{{"loop", 3.0}, {"memcpy", 1.0}}));
}

// Of a large result only samples are checked: they find a wrong tenth, not one wrong
// element.
TEST(Suite, SampledReferencesCatchWrongResults) {
  cases::OpCase c = twice("sampled", false);
  c.element = [](const std::vector<cases::Values>& v, std::int64_t i) {
    return 2 * v[0][static_cast<std::size_t>(i)];
  };
  cases::OpCase unwritten = c, wrong = c;
  unwritten.run = [](kernels::Stream&, const cases::Pointers& p) {
    for (int i = 0; i < 999; ++i) p.get<float>(1)[i] = 2 * p.get<float>(0)[i];
  };
  wrong.run = [](kernels::Stream&, const cases::Pointers& p) {
    for (int i = 0; i < 1000; ++i) p.get<float>(1)[i] = (i < 100 ? 2.1f : 2.f) * p.get<float>(0)[i];
  };
  Suite suite({c, unwritten, wrong}, quick("/cold$"));
  EXPECT_TRUE(suite.check(suite.rows()[0])) << suite.rows()[0].error;
  EXPECT_FALSE(suite.check(suite.rows()[1]));
  EXPECT_FALSE(suite.check(suite.rows()[2]));
}

// The one-element references of conv and gemm against the whole ones, on small shapes.
TEST(Suite, OneElementIsThatOfTheWholeReference) {
  using namespace kernels;
  std::vector<cases::OpCase> rows;
  for (const ConvShape& s : {same_padding(2, 8, 6, 3, 4, 5, 2), same_padding(1, 5, 4, 2, 3, 3, 1)})
    cases::add_conv<float>(rows, s, "small", cases::Use::model);
  for (const Transpose ta : {Transpose::no, Transpose::yes})
    for (const Transpose tb : {Transpose::no, Transpose::yes})
      cases::add_gemm<float>(rows, ta, tb, 5, 4, 7, 0.5f, 0.f, "", cases::Use::model);
  ASSERT_EQ(rows.size(), 10u);
  for (const cases::OpCase& c : rows) {
    std::vector<cases::Values> values;
    std::mt19937_64 random(1);
    for (const cases::Operand& o : c.operands) {
      values.emplace_back(o.role == cases::Role::out ? 0 : static_cast<std::size_t>(o.count));
      if (o.role != cases::Role::out) o.generate(values.back(), random);
    }
    const std::vector<cases::Values> inputs = values;
    c.reference(values);
    for (std::size_t i = 0; i < values.back().size(); ++i)
      ASSERT_NEAR(c.element(inputs, static_cast<std::int64_t>(i)), values.back()[i], 1e-9)
          << c.name << " " << i;
  }
}

TEST(Suite, PeersGiveTheSameAnswer) {
  Suite suite(cases::op_cases(), quick("host/(copy_columns|conv_backward_data|conv_forward)/f32/"
                                       "(65536|original_(up1|out)).*/cold/"));
  EXPECT_GE(suite.rows().size(), 4u);
  for (Row& row : suite.rows()) {
    suite.check(row);
    EXPECT_TRUE(row.error.empty() || row.error.find("does not offer") != std::string::npos)
        << row.name << ": " << row.error;
  }
}

TEST(Suite, AMissingPeerIsReportedAndLeftOut) {
  SuiteOptions options = quick("host/gemm/f32/original_fc1_forward");
  options.openblas = {"libno_such_blas.so.0"};
  Suite suite(cases::op_cases(), options);
  for (const Row& row : suite.rows()) EXPECT_TRUE(!row.peer || row.peer->name != "OpenBLAS");
  ASSERT_FALSE(suite.libraries().empty());
  EXPECT_FALSE(suite.libraries()[0].found);
  EXPECT_NE(suite.libraries()[0].reason.find("libno_such_blas"), std::string::npos);
  const std::string text = table(to_json(suite, machine_state(), machine_state()));
  EXPECT_NE(text.find("no OpenBLAS: libno_such_blas"), std::string::npos) << text;
}

TEST(Suite, ColdRowsWalkThroughMemoryAndHotOnesStay) {
  std::set<void*> cold, hot;
  for (const bool is_cold : {true, false}) {
    cases::OpCase c = twice("places", false);
    std::set<void*>& places = is_cold ? cold : hot;
    c.run = [&places, run = c.run](kernels::Stream& s, const cases::Pointers& p) {
      places.insert(p.at[0]);
      run(s, p);
    };
    Suite suite({c}, quick(is_cold ? "/cold$" : "/hot$"));
    suite.round([](std::size_t) { return true; });
    ASSERT_EQ(suite.rows().size(), 1u);
    ASSERT_EQ(suite.rows()[0].error, "");
  }
  EXPECT_EQ(hot.size(), 2u) << "the check's and the timing's";
  EXPECT_GT(cold.size(), 3u);
}

TEST(Suite, ARecordNamesItsMachine) {
  Suite suite({twice("right", false)}, quick());
  suite.round([](std::size_t) { return true; });
  const ordered_json record = to_json(suite, machine_state(), machine_state());
  for (const char* key : {"date", "commit", "cpu", "gpu", "compiler"})
    EXPECT_TRUE(record.at("machine").contains(key)) << key;
  EXPECT_FALSE(record.at("machine").at("cpu").at("model").get<std::string>().empty());
  for (const char* state : {"before", "after"})
    EXPECT_TRUE(record.at(state).contains("load_average"));
  for (const char* key :
       {"copy_bytes_per_s", "read_bytes_per_s", "write_bytes_per_s", "f32_flop_per_s", "launch_s"})
    EXPECT_GT(record.at("ceilings").at("host").at(key).get<double>(), 0) << key;
  const ordered_json& row = record.at("rows").at(0);
  EXPECT_EQ(row.at("bytes").get<double>(), 8000) << "the op case's";
  EXPECT_GT(row.at("share_of_ceiling").get<double>(), 0);
  EXPECT_EQ(row.at("seconds").size(), 1u);
}
}  // namespace
