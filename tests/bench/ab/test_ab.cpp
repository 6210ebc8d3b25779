// The A/B protocol, against children of a few lines of shell.
#include <gtest/gtest.h>

#include <unistd.h>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "bench/ab/ab.h"
#include "kernels/core/error.h"
#include "tests/bench/suite/twice.h"

namespace {

using namespace bench;

// A child with these rows and answers.
std::vector<std::string> fake(const std::string& rows, const std::string& on_check,
                              const std::string& on_time) {
  return {"/bin/sh", "-c",
          "set -- " + rows +
              "; echo doppel-bench-ab-1 abc $#; for r; do echo $r; done; "
              "while read what i; do shift $#; set -- " +
              rows + "; shift $i; case $what in check) " + on_check + ";; time) " + on_time +
              ";; esac; done"};
}

bool always(const AbProgress&) { return true; }

TEST(Ab, TellsSlowerFromEqual) {
  const AbResult result =
      run_ab(fake("x gone y", "echo ok", "echo 1e-3"),
             fake("y x added", "echo ok", "[ $1 = x ] && echo 1.2e-3 || echo 1.01e-3"), {}, always);
  ASSERT_EQ(result.rows.size(), 2u);
  EXPECT_EQ(result.rows[0].name, "y");
  EXPECT_EQ(result.rows[0].judgement.verdict, Verdict::equal);
  EXPECT_EQ(result.rows[1].judgement.verdict, Verdict::slower);
  EXPECT_NEAR(std::exp(result.rows[1].judgement.log_ratio), 1.2, 1e-6);
  EXPECT_EQ(result.rows[1].seconds.size(), 4u * 8) << "four processes of eight pairs";
  EXPECT_EQ(result.rows[0].seconds.size(), 2u * 8) << "decided after two";
  EXPECT_EQ(result.only_old, std::vector<std::string>{"gone"});
  EXPECT_EQ(result.only_new, std::vector<std::string>{"added"});
  const std::string text = describe(result, {});
  EXPECT_NE(text.find("SLOWER  x  time +20.0 %"), std::string::npos) << text;
  EXPECT_NE(text.find("1 slower, 0 faster, 1 equal"), std::string::npos) << text;
  const auto json = to_json(result);
  EXPECT_EQ(json.at("rows").at(1).at("verdict"), "slower");
  EXPECT_NEAR(json.at("rows").at(1).at("seconds_old_new").at(31).at(1).get<double>(), 1.2e-3, 1e-9);
}

// On a machine that slows down by 1 % per timing, the build that is always second looks
// slower.
TEST(Ab, AMachineThatSlowsDownFavoursNeither) {
  const std::string count =
      (std::filesystem::temp_directory_path() / ("doppel_ab_" + std::to_string(::getpid())))
          .string();
  std::ofstream(count) << "100\n";
  const auto tired =
      fake("x", "echo ok", "read n < " + count + "; echo $((n + 1)) > " + count + "; echo ${n}e-5");
  AbOptions once;
  once.seconds = 1e-9;
  const AbResult result = run_ab(tired, tired, once, always);
  std::filesystem::remove(count);
  ASSERT_EQ(result.rows[0].seconds.size(), 8u);
  EXPECT_EQ(result.rows[0].seconds[0], std::make_pair(100e-5, 101e-5)) << "the old one first";
  EXPECT_EQ(result.rows[0].seconds[1], std::make_pair(103e-5, 102e-5)) << "then the new one";
  EXPECT_NEAR(result.rows[0].judgement.log_ratio, 0, 2e-3);
}

TEST(Ab, AWrongRowHasNoNumberOnEitherSide) {
  const auto wrong_x = [](const char* rows) {
    return fake(rows, "[ $1 = x ] && echo \"out[3] is off\" || echo ok", "echo 1e-3");
  };
  const AbResult ours = run_ab(fake("x y", "echo ok", "echo 1e-3"), wrong_x("x y"), {}, always);
  EXPECT_EQ(ours.rows[0].error, "out[3] is off");
  EXPECT_TRUE(ours.rows[0].seconds.empty());
  EXPECT_EQ(ours.rows[1].judgement.verdict, Verdict::equal);
  EXPECT_NE(describe(ours, {}).find("no number: x: out[3] is off"), std::string::npos);
  const AbResult theirs = run_ab(wrong_x("x"), fake("x", "echo ok", "echo 1e-3"), {}, always);
  EXPECT_NE(theirs.rows[0].error.find("old program's"), std::string::npos) << theirs.rows[0].error;
  const AbResult failing = run_ab(fake("x", "echo ok", "echo error no memory"),
                                  fake("x", "echo ok", "echo 1e-3"), {}, always);
  EXPECT_NE(failing.rows[0].error.find("no memory"), std::string::npos);
  EXPECT_TRUE(to_json(failing).at("rows").at(0).contains("error"));
}

TEST(Ab, OtherProgramsAreNamed) {
  const auto good = fake("x", "echo ok", "echo 1e-3");
  EXPECT_THROW(run_ab({"/no/such/doppel"}, good, {}, always), kernels::Error);
  try {
    run_ab({"/bin/echo", "hello"}, good, {}, always);
    ADD_FAILURE();
  } catch (const kernels::Error& error) {
    EXPECT_EQ(error.kind(), kernels::ErrorKind::input);
    EXPECT_NE(std::string(error.what())
                  .find("/bin/echo has no matching 'bench --serve' (it printed 'hello')"),
              std::string::npos)
        << error.what();
  }
  EXPECT_THROW(run_ab(good, fake("x", "echo ok", "exit 1"), {}, always), kernels::Error)
      << "a dead child is more than a bad row";
}

TEST(Ab, AnOlderBuildIsUnderstood) {
  std::vector<std::string> older = fake("x", "echo ok", "echo 1e-3");
  older[2].replace(older[2].find("-ab-1"), 5, "-turns-1");
  const AbResult result = run_ab(older, fake("x", "echo ok", "echo 1e-3"), {}, always);
  EXPECT_EQ(result.old_commit, "abc");
  EXPECT_EQ(result.rows.at(0).judgement.verdict, Verdict::equal);
}

TEST(Ab, EndsWithItsTimeOrWhenStopped) {
  const auto steady = fake("x y", "echo ok", "echo 1e-3"),
             slow = fake("x y", "echo ok", "echo 1.2e-3");
  AbOptions none;
  none.seconds = 1e-9;
  const AbResult first_only = run_ab(steady, slow, none, always);
  EXPECT_EQ(first_only.rows[1].seconds.size(), 8u);
  EXPECT_EQ(first_only.rows[1].judgement.verdict, Verdict::undecided);
  const AbResult stopped =
      run_ab(steady, slow, {}, [](const AbProgress& at) { return at.row == 0; });
  EXPECT_EQ(stopped.rows[0].seconds.size(), 8u);
  EXPECT_TRUE(stopped.rows[1].seconds.empty());
  EXPECT_TRUE(to_json(stopped).at("rows").at(1).at("time_ratio").is_null())
      << "not measured is not equal";
  EXPECT_NE(describe(stopped, {}).find("2 open"), std::string::npos) << describe(stopped, {});
}

// The child's side: a suite of one right and one wrong row, with requests from a file.
TEST(Ab, TheChildChecksAndTimes) {
  SuiteOptions options;
  options.device = "cpu", options.filter = "/cold$", options.every_case = true,
  options.peers = false, options.shortest_sample = 1e-5;
  Suite suite({twice("right", false), twice("wrong", true)}, options);
  std::FILE* in = std::tmpfile();
  std::FILE* out = std::tmpfile();
  std::fputs("check 0\ncheck 1\ntime 0\ntime 9\n", in);
  std::rewind(in);
  serve(suite, in, out);
  std::rewind(out);
  std::vector<std::string> answers;
  for (char line[300]; std::fgets(line, sizeof line, out);) answers.emplace_back(line);
  std::fclose(in), std::fclose(out);
  ASSERT_EQ(answers.size(), 7u);
  EXPECT_EQ(answers[0].find("doppel-bench-ab-1 "), 0u);
  EXPECT_EQ(answers[1], "host/twice/f32/right/cold\n");
  EXPECT_EQ(answers[3], "ok\n");
  EXPECT_NE(answers[4].find("'out'["), std::string::npos) << answers[4];
  EXPECT_GT(std::atof(answers[5].c_str()), 0);
  EXPECT_EQ(answers[6].find("error not a request"), 0u);
}
}  // namespace
