// Two programs in turn: the statistics against definitions and made-up noise, the protocol against programs of a few lines of shell.
#include <gtest/gtest.h>

#include <unistd.h>
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "bench/ab/ab.h"
#include "kernels/core/error.h"
#include "tests/bench/suite/twice.h"

namespace {

using namespace bench;

// ---- statistics

TEST(Centre, IsTheMedianOfAllMeans) {
  const Centre c = centre({1, 2, 4}, 1);  // means 1 1.5 2 2.5 3 4
  EXPECT_DOUBLE_EQ(c.middle, 2.25);
  EXPECT_DOUBLE_EQ(c.low, 1.5);  // 3 - 1 x 1.87 means beyond each bound: one
  EXPECT_DOUBLE_EQ(c.high, 3);
  EXPECT_TRUE(std::isinf(centre({1, 2, 4}, 2).low));
  EXPECT_TRUE(std::isinf(centre({}, 1).high));
  EXPECT_TRUE(std::isnan(centre({}, 1).middle));
}

// Wilcoxon's statistic as the books have it: |values - c| are ranked, and the ranks of those above c are added.
double signed_rank_sum(std::vector<double> values, double c) {
  for (double& v : values) v -= c;
  std::sort(values.begin(), values.end(),
            [](double a, double b) { return std::fabs(a) < std::fabs(b); });
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    sum += values[i] > 0 ? static_cast<double>(i + 1) : 0.0;
  return sum;
}

TEST(Centre, BoundsAreWhereTheSignedRanksChangeTheirMind) {
  std::mt19937 random(31);
  std::normal_distribution<double> normal;
  std::vector<double> values(20);
  for (double& v : values) v = normal(random);
  const double n = 20, expected = n * (n + 1) / 4,
               deviation = std::sqrt(n * (n + 1) * (2 * n + 1) / 24);
  for (const double z : {1.0, 2.0, 3.0}) {
    const Centre c = centre(values, z);
    const auto surprise = [&](double at) {
      return std::fabs(signed_rank_sum(values, at) - expected) / deviation;
    };
    EXPECT_GE(surprise(c.low - 1e-9), z);
    EXPECT_LT(surprise(c.low + 1e-9), z);
    EXPECT_GE(surprise(c.high + 1e-9), z);
    EXPECT_LT(surprise(c.high - 1e-9), z);
  }
}

TEST(Centre, BoundsHoldTheTruthAsOftenAsTheySay) {
  std::mt19937 random(32);
  std::cauchy_distribution<double> wild;  // has no mean: only ranks can deal with it
  int held = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    std::vector<double> values(24);
    for (double& v : values) v = 5 + wild(random);
    const Centre c = centre(values, normal_quantile(0.975));
    held += c.low <= 5 && 5 <= c.high;
  }
  EXPECT_NEAR(held, 1900, 35);
}

TEST(Centre, NormalQuantiles) {
  EXPECT_NEAR(normal_quantile(0.975), 1.959964, 1e-6);
  EXPECT_NEAR(normal_quantile(0.5), 0, 1e-9);
  EXPECT_NEAR(normal_quantile(1e-6), -4.753424, 1e-6);
}

// Pairs like those of a shared machine: ratios of neighbours scatter by 10 %, some rows far more; one timing in twenty is up to four times as
// long, on either side; and each life of a process is 1.5 % lucky or unlucky.
struct Verdicts {
  int slower = 0, faster = 0, equal = 0, open = 0, changed_found = 0;
  double pairs = 0;
};
Verdicts made_up_turns(std::mt19937& random, int rows, int changed, double factor) {
  const JudgeOptions options;
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform(0, 1);
  std::mt19937 of_row(99);
  Verdicts count;
  for (int r = 0; r < rows; ++r) {
    const double scatter = 0.1 * std::exp(0.4 * normal(of_row)),
                 effect = r == changed ? std::log(factor) : 0;
    std::vector<double> log_ratios;
    Judgement j;
    for (int processes = 1; processes <= options.most_processes && j.verdict == Verdict::undecided;
         ++processes) {
      const double luck = 0.015 * std::sqrt(2.0) * normal(random);
      for (int k = 0; k < TurnOptions{}.pairs; ++k) {
        double value = effect + luck + scatter * normal(random);
        if (uniform(random) < 0.05) value += std::log(1 + 3 * uniform(random));
        if (uniform(random) < 0.05) value -= std::log(1 + 3 * uniform(random));
        log_ratios.push_back(value);
      }
      j = judge(log_ratios, processes, static_cast<std::size_t>(rows), options);
    }
    count.slower += j.verdict == Verdict::slower, count.faster += j.verdict == Verdict::faster;
    count.equal += j.verdict == Verdict::equal, count.open += j.verdict == Verdict::undecided;
    count.changed_found +=
        r == changed && j.verdict == (factor > 1 ? Verdict::slower : Verdict::faster);
    count.pairs += static_cast<double>(log_ratios.size()) / rows;
  }
  return count;
}

TEST(Judge, EqualProgramsAreEqual) {
  std::mt19937 random(33);
  int quiet = 0, open = 0;
  double pairs = 0;
  for (int trial = 0; trial < 10; ++trial) {
    const Verdicts v = made_up_turns(random, 200, -1, 1);
    quiet += v.slower + v.faster == 0;
    open += v.open;
    pairs += v.pairs / 10;
  }
  EXPECT_EQ(quiet, 10);
  EXPECT_LE(open, 10 * 2) << "one row in a hundred may stay open";
  EXPECT_LT(pairs, 50) << "most rows are let go after a few processes";
}

TEST(Judge, FindsTenPercent) {
  std::mt19937 random(34);
  int slower = 0, faster = 0;
  for (int trial = 0; trial < 40; ++trial) {
    slower += made_up_turns(random, 20, trial % 20, 1.1).changed_found;
    faster += made_up_turns(random, 20, trial % 20, 1 / 1.1).changed_found;
  }
  EXPECT_GE(slower, 36);
  EXPECT_GE(faster, 36);
}

TEST(Judge, AChangeTooSmallToMatterIsEqual) {
  std::vector<double> log_ratios;
  std::mt19937 random(35);
  std::normal_distribution<double> noise(std::log(1.025), 0.01);
  for (int i = 0; i < 64; ++i) log_ratios.push_back(noise(random));
  EXPECT_EQ(judge(log_ratios, 8, 200).verdict, Verdict::equal);
  JudgeOptions finer;
  finer.find = 0.05, finer.smallest = 0.015;
  EXPECT_EQ(judge(log_ratios, 8, 200, finer).verdict, Verdict::slower);
  for (double& v : log_ratios) v = -v;
  EXPECT_EQ(judge(log_ratios, 8, 200).verdict, Verdict::equal);
  EXPECT_EQ(judge(log_ratios, 8, 200, finer).verdict, Verdict::faster);
}

TEST(Judge, ManyRowsAskForMore) {
  std::vector<double> log_ratios;
  std::mt19937 random(36);
  std::normal_distribution<double> noise(0, 0.05);
  for (int i = 0; i < 64; ++i) log_ratios.push_back(noise(random));
  const Judgement one = judge(log_ratios, 8, 1), many = judge(log_ratios, 8, 1000);
  EXPECT_LT(many.low, one.low);
  EXPECT_GT(many.high, one.high);
  EXPECT_EQ(many.log_ratio, one.log_ratio);
}

TEST(Judge, OneLifeIsNotEnough) {
  const std::vector<double> longer(60, std::log(1.5)), shorter(60, -std::log(1.5));
  EXPECT_EQ(judge(longer, 3, 1).verdict, Verdict::undecided);
  EXPECT_EQ(judge(longer, 4, 1).verdict, Verdict::slower);
  EXPECT_EQ(judge(shorter, 3, 1).verdict, Verdict::undecided);
  EXPECT_EQ(judge(shorter, 4, 1).verdict, Verdict::faster);
  EXPECT_EQ(judge({}, 0, 1).verdict, Verdict::undecided);
}

// ---- the protocol

// A program that has these rows and answers so.
std::vector<std::string> fake(const std::string& rows, const std::string& on_check,
                              const std::string& on_time) {
  return {"/bin/sh", "-c",
          "set -- " + rows +
              "; echo doppel-bench-turns-1 abc $#; for r; do echo $r; done; "
              "while read what i; do shift $#; set -- " +
              rows + "; shift $i; case $what in check) " + on_check + ";; time) " + on_time +
              ";; esac; done"};
}

bool always(const TurnState&) { return true; }

TEST(Turns, TellsSlowerFromEqual) {
  const Turns turns = take_turns(
      fake("x gone y", "echo ok", "echo 1e-3"),
      fake("y x added", "echo ok", "[ $1 = x ] && echo 1.2e-3 || echo 1.01e-3"), {}, always);
  ASSERT_EQ(turns.rows.size(), 2u);
  EXPECT_EQ(turns.rows[0].name, "y");
  EXPECT_EQ(turns.rows[0].judgement.verdict, Verdict::equal);
  EXPECT_EQ(turns.rows[1].judgement.verdict, Verdict::slower);
  EXPECT_NEAR(std::exp(turns.rows[1].judgement.log_ratio), 1.2, 1e-6);
  EXPECT_EQ(turns.rows[1].seconds.size(), 4u * 8) << "four lives of eight pairs";
  EXPECT_EQ(turns.rows[0].seconds.size(), 2u * 8) << "let go after two";
  EXPECT_EQ(turns.only_old, std::vector<std::string>{"gone"});
  EXPECT_EQ(turns.only_new, std::vector<std::string>{"added"});
  const std::string text = describe(turns, {});
  EXPECT_NE(text.find("SLOWER  x  time +20.0 %"), std::string::npos) << text;
  EXPECT_NE(text.find("1 slower, 0 faster, 1 equal"), std::string::npos) << text;
  const auto json = to_json(turns);
  EXPECT_EQ(json.at("rows").at(1).at("verdict"), "slower");
  EXPECT_NEAR(json.at("rows").at(1).at("seconds_old_new").at(31).at(1).get<double>(), 1.2e-3, 1e-9);
}

// A machine that gets slower by 1 % with every timing: who is always second would look slower.
TEST(Turns, AMachineThatSlowsDownFavoursNobody) {
  const std::string count =
      (std::filesystem::temp_directory_path() / ("doppel_turns_" + std::to_string(::getpid())))
          .string();
  std::ofstream(count) << "100\n";
  const auto tired =
      fake("x", "echo ok", "read n < " + count + "; echo $((n + 1)) > " + count + "; echo ${n}e-5");
  TurnOptions once;
  once.seconds = 1e-9;
  const Turns turns = take_turns(tired, tired, once, always);
  std::filesystem::remove(count);
  ASSERT_EQ(turns.rows[0].seconds.size(), 8u);
  EXPECT_EQ(turns.rows[0].seconds[0], std::make_pair(100e-5, 101e-5)) << "the old one first";
  EXPECT_EQ(turns.rows[0].seconds[1], std::make_pair(103e-5, 102e-5)) << "then the new one";
  EXPECT_NEAR(turns.rows[0].judgement.log_ratio, 0, 2e-3);
}

TEST(Turns, AWrongRowHasNoNumberOnEitherSide) {
  const auto wrong_x = [](const char* rows) {
    return fake(rows, "[ $1 = x ] && echo \"out[3] is off\" || echo ok", "echo 1e-3");
  };
  const Turns ours = take_turns(fake("x y", "echo ok", "echo 1e-3"), wrong_x("x y"), {}, always);
  EXPECT_EQ(ours.rows[0].error, "out[3] is off");
  EXPECT_TRUE(ours.rows[0].seconds.empty());
  EXPECT_EQ(ours.rows[1].judgement.verdict, Verdict::equal);
  EXPECT_NE(describe(ours, {}).find("no number: x: out[3] is off"), std::string::npos);
  const Turns theirs = take_turns(wrong_x("x"), fake("x", "echo ok", "echo 1e-3"), {}, always);
  EXPECT_NE(theirs.rows[0].error.find("old program's"), std::string::npos) << theirs.rows[0].error;
  const Turns failing = take_turns(fake("x", "echo ok", "echo error no memory"),
                                   fake("x", "echo ok", "echo 1e-3"), {}, always);
  EXPECT_NE(failing.rows[0].error.find("no memory"), std::string::npos);
  EXPECT_TRUE(to_json(failing).at("rows").at(0).contains("error"));
}

TEST(Turns, ThoseThatDoNotPlayAreNamed) {
  const auto good = fake("x", "echo ok", "echo 1e-3");
  EXPECT_THROW(take_turns({"/no/such/doppel"}, good, {}, always), kernels::Error);
  try {
    take_turns({"/bin/echo", "hello"}, good, {}, always);
    ADD_FAILURE();
  } catch (const kernels::Error& error) {
    EXPECT_EQ(error.kind(), kernels::ErrorKind::input);
    EXPECT_NE(std::string(error.what()).find("/bin/echo cannot take turns (it says 'hello')"),
              std::string::npos)
        << error.what();
  }
  EXPECT_THROW(take_turns(good, fake("x", "echo ok", "exit 1"), {}, always), kernels::Error)
      << "one that dies is not one with a bad row";
}

TEST(Turns, EndsWhenTimeIsUpOrSomebodyStopsIt) {
  const auto steady = fake("x y", "echo ok", "echo 1e-3"),
             slow = fake("x y", "echo ok", "echo 1.2e-3");
  TurnOptions none;
  none.seconds = 1e-9;
  const Turns first_only = take_turns(steady, slow, none, always);
  EXPECT_EQ(first_only.rows[1].seconds.size(), 8u);
  EXPECT_EQ(first_only.rows[1].judgement.verdict, Verdict::undecided);
  const Turns stopped =
      take_turns(steady, slow, {}, [](const TurnState& at) { return at.row == 0; });
  EXPECT_EQ(stopped.rows[0].seconds.size(), 8u);
  EXPECT_TRUE(stopped.rows[1].seconds.empty());
  EXPECT_TRUE(to_json(stopped).at("rows").at(1).at("time_ratio").is_null())
      << "not measured is not equal";
  EXPECT_NE(describe(stopped, {}).find("2 open"), std::string::npos) << describe(stopped, {});
}

// The child's side: a suite of one right and one wrong row, asked by a file.
TEST(Turns, TheChildChecksAndTimes) {
  SuiteOptions options;
  options.device = "cpu", options.filter = "/cold$", options.every_case = true,
  options.peers = false, options.shortest_sample = 1e-5;
  Suite suite({twice("right", false), twice("wrong", true)}, options);
  std::FILE* in = std::tmpfile();
  std::FILE* out = std::tmpfile();
  std::fputs("check 0\ncheck 1\ntime 0\ntime 9\n", in);
  std::rewind(in);
  serve_turns(suite, in, out);
  std::rewind(out);
  std::vector<std::string> answers;
  for (char line[300]; std::fgets(line, sizeof line, out);) answers.emplace_back(line);
  std::fclose(in), std::fclose(out);
  ASSERT_EQ(answers.size(), 7u);
  EXPECT_EQ(answers[0].find("doppel-bench-turns-1 "), 0u);
  EXPECT_EQ(answers[1], "host/twice/f32/right/cold\n");
  EXPECT_EQ(answers[3], "ok\n");
  EXPECT_NE(answers[4].find("'out'["), std::string::npos) << answers[4];
  EXPECT_GT(std::atof(answers[5].c_str()), 0);
  EXPECT_EQ(answers[6].find("error not a request"), 0u);
}

}  // namespace
