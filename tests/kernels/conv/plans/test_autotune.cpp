// The rules of the choice, with candidates that pretend to run.
#include "kernels/conv/plans/autotune.h"

#include <gtest/gtest.h>

#include <map>

#include "kernels/core/error.h"

using kernels::autotune;
using kernels::AutotuneResult;

namespace {

struct Runner {
  std::vector<double> ms;  // of its runs, in order; the last repeats
  bool available = true, repeats = true;
  int fails_at_run = -1;
  double preparation_ms = 0;  // of wall time
  int runs = 0, prepared = 0;
  bool capturable = true;
};

class Pretended final : public kernels::Candidates {
 public:
  explicit Pretended(std::vector<Runner> all) : runners(std::move(all)) {}
  std::size_t size() const override { return runners.size(); }
  bool prepare(std::size_t i) override {
    ++runners[i].prepared;
    clock += runners[i].preparation_ms;
    return runners[i].available;
  }
  double run(std::size_t i) override {
    Runner& r = runners[i];
    if (r.runs == r.fails_at_run)
      throw kernels::Error(kernels::ErrorKind::failure, "pretended failure");
    const double ms =
        r.ms[std::min<std::size_t>(static_cast<std::size_t>(r.runs++), r.ms.size() - 1)];
    clock += ms;
    return ms;
  }
  bool repeats(std::size_t i) override { return runners[i].repeats; }
  void capture(std::size_t i) override {
    if (!runners[i].capturable)
      throw kernels::Error(kernels::ErrorKind::failure, "it waits for the device");
  }
  void check_device() override {
    if (device_is_broken)
      throw kernels::Error(kernels::ErrorKind::failure, "an illegal memory access");
  }
  double elapsed_ms() override { return clock; }

  std::vector<Runner> runners;
  double clock = 0;
  bool device_is_broken = false;
};

TEST(Autotune, FastestWins) {
  Pretended candidates({{{3.0}}, {{1.0}}, {{2.0}}});
  const AutotuneResult result = autotune(candidates);
  EXPECT_EQ(result.winner, 1u);
  EXPECT_EQ(result.ms, 1.0);
  EXPECT_EQ(result.medians, (std::vector{3.0, 1.0, 2.0}));
}

TEST(Autotune, FirstRunAndOutliersDoNotCount) {
  Pretended candidates({{{50.0, 1.0, 1.1, 0.9, 1.0, 30.0}},
                        {{1.2}}});  // the first loads code; one timed run is disturbed
  const AutotuneResult result = autotune(candidates);
  EXPECT_EQ(result.winner, 0u);
  EXPECT_EQ(result.ms, 1.0);
}

TEST(Autotune, EqualTimesGoToTheLikelier) {
  Pretended candidates({{{1.0}}, {{1.0}}});
  EXPECT_EQ(autotune(candidates).winner, 0u);
}

TEST(Autotune, HopelessCandidatesGetNoFurtherRuns) {
  Pretended candidates({{{1.0}}, {{100.0}}});
  autotune(candidates);
  EXPECT_EQ(candidates.runners[0].runs, 6);
  EXPECT_EQ(candidates.runners[1].runs, 2);
}

TEST(Autotune, OneThatDoesNotRepeatIsRefused) {
  Pretended candidates({{{1.0}, true, false}, {{3.0}}, {{2.0}}});
  const AutotuneResult result = autotune(candidates);
  EXPECT_EQ(result.winner, 2u);
  EXPECT_EQ(result.not_repeatable, 1);
}

TEST(Autotune, FailuresAreSurvived) {
  Pretended candidates({{{1.0}, false},
                        {{1.0}, true, true, 0},
                        {{1.0}, true, true, 3},
                        {{5.0}}});  // not available; fails at once; fails while timed
  const AutotuneResult result = autotune(candidates);
  EXPECT_EQ(result.winner, 3u);
  EXPECT_EQ(result.unavailable, 1);
  EXPECT_EQ(result.failed, 2);
}

TEST(Autotune, OneThatCannotBeCapturedIsRefused) {
  Pretended candidates({{{1.0}}, {{2.0}}});
  candidates.runners[0].capturable = false;
  const AutotuneResult result = autotune(candidates);
  EXPECT_EQ(result.winner, 1u);
  EXPECT_EQ(result.failed, 1);
  EXPECT_EQ(result.first_error, "it waits for the device");
}

// The next candidates would fail with the same error and hide it.
TEST(Autotune, AFaultOfTheDeviceEndsTheSearch) {
  Pretended candidates({{{1.0}, true, true, 0}, {{2.0}}});
  candidates.device_is_broken = true;
  for (const auto& search : {+[](kernels::Candidates& c) { autotune(c); },
                             +[](kernels::Candidates& c) { kernels::likeliest(c); }}) {
    try {
      search(candidates);
      FAIL() << "the fault was swallowed";
    } catch (const kernels::Error& error) {
      EXPECT_STREQ(error.what(), "an illegal memory access");
    }
  }
  EXPECT_EQ(candidates.runners[1].prepared, 0);
}

TEST(Autotune, LikeliestIsTheFirstThatWorks) {
  Pretended candidates({{{1.0}, false}, {{1.0}, true, true, 0}, {{1.0}}, {{9.0}}, {{0.1}}});
  candidates.runners[2].capturable = false;
  const AutotuneResult result = kernels::likeliest(candidates);
  EXPECT_EQ(result.winner, 3u);
  EXPECT_EQ(result.unavailable, 1);
  EXPECT_EQ(result.failed, 2);
  EXPECT_EQ(result.first_error, "pretended failure");
  EXPECT_EQ(candidates.runners[4].prepared, 0);
  EXPECT_EQ(candidates.runners[3].runs, 1) << "nothing is timed";
}

TEST(Autotune, NoneLeftMeansNoWinner) {
  Pretended candidates({{{1.0}, false}, {{1.0}, true, true, 0}, {{1.0}, true, false}});
  const AutotuneResult result = autotune(candidates);
  EXPECT_FALSE(result.winner);
  EXPECT_EQ(result.unavailable + result.failed + result.not_repeatable, 3);
  Pretended empty({});
  EXPECT_FALSE(autotune(empty).winner);
}

TEST(Autotune, BudgetEndsTheTrials) {
  Pretended candidates(
      {{{1.0}, true, true, -1, 800}, {{0.5}, true, true, -1, 800}, {{0.1}, true, true, -1, 800}});
  const AutotuneResult result = autotune(candidates, {.budget_ms = 1000});
  EXPECT_EQ(result.winner, 1u);
  EXPECT_EQ(result.not_begun, 1);
  EXPECT_EQ(candidates.runners[2].prepared, 0);
}

TEST(Autotune, BudgetWaitsForOneThatWorks) {
  Pretended candidates({{{1.0}, false, true, -1, 5000},
                        {{1.0}, true, true, 0, 5000},
                        {{1.0}, true, true, -1, 5000},
                        {{0.1}}});
  const AutotuneResult result = autotune(candidates, {.budget_ms = 1000});
  EXPECT_EQ(result.winner, 2u);
  EXPECT_EQ(result.not_begun, 1);
}
}  // namespace
