// The file of decisions: what a crash, a second process or a stranger's hand may do to it.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "faceswap/faces/decisions.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"

namespace faceswap {
namespace {

std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

DecisionStep drop(const std::string& face) { return {{Decision::drop, {face}, -1, "blurred", {}}}; }
const auto nothing_to_check = [] {};
constexpr const char* kHeader = "{\"schema\":\"doppel-decisions/1\"}\n";

TEST(Decisions, EveryKindIsReadAsItWasWritten) {
  const Scratch scratch;
  DecisionFile file(scratch.path);
  EXPECT_TRUE(file.steps().empty());
  EXPECT_FALSE(std::filesystem::exists(scratch / kDecisionsFile));
  const DecisionStep step = {{Decision::drop, {"a.png", "\"quoted\" ü.png"}, -1, "in the way", {}},
                             {Decision::keep, {"refused/c.png"}, -1, "", {}},
                             {Decision::move, {"b.png"}, 7, "", {}},
                             {Decision::rename, {}, 7, "Zoë\n", {}},
                             {Decision::align, {"a.png"}, -1, "", {{1.25, -2}, {30.5, 1e-3}}}};
  file.add(step, nothing_to_check);
  const DecisionFile again(scratch.path);
  ASSERT_EQ(again.steps().size(), 1u);
  ASSERT_EQ(again.steps()[0].size(), step.size());
  for (std::size_t i = 0; i < step.size(); ++i) {
    const Decision &expected = step[i], &read = again.steps()[0][i];
    EXPECT_EQ(read.kind, expected.kind);
    EXPECT_EQ(read.faces, expected.faces);
    EXPECT_EQ(read.person, expected.person);
    EXPECT_EQ(read.text, expected.text);
    for (int k = 0; k < 2; ++k) {
      EXPECT_EQ(read.eyes[k].x, expected.eyes[k].x);
      EXPECT_EQ(read.eyes[k].y, expected.eyes[k].y);
    }
  }
}

TEST(Decisions, UndoAndRedoAreLinesToo) {
  const Scratch scratch;
  DecisionFile file(scratch.path);
  EXPECT_FALSE(file.undo());
  EXPECT_FALSE(file.redo());
  EXPECT_FALSE(std::filesystem::exists(scratch / kDecisionsFile));
  for (const char* face : {"a", "b", "c"}) file.add(drop(face), nothing_to_check);
  EXPECT_TRUE(file.undo());
  EXPECT_TRUE(file.undo());
  EXPECT_TRUE(file.redo());
  ASSERT_EQ(file.steps().size(), 2u);
  EXPECT_EQ(file.steps().back()[0].faces[0], "b");
  file.add(drop("d"), nothing_to_check);  // ends what redo could bring back
  EXPECT_FALSE(file.redo());
  const DecisionFile again(scratch.path);
  ASSERT_EQ(again.steps().size(), 3u);
  EXPECT_EQ(again.steps()[2][0].faces[0], "d");
  EXPECT_TRUE(again.undone().empty());
  const std::string text = slurp(scratch / kDecisionsFile);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 8);
}

// A power loss may end the file anywhere behind the last line that was on the disk.
TEST(Decisions, ACutLastLineIsIgnoredAndMended) {
  const Scratch scratch;
  const auto path = scratch / kDecisionsFile;
  {
    DecisionFile file(scratch.path);
    for (const char* face : {"a", "b"}) file.add(drop(face), nothing_to_check);
  }
  const std::string whole = slurp(path);
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    write(path, whole.substr(0, cut));
    DecisionFile file(scratch.path);
    const auto lines = static_cast<std::size_t>(
        std::count(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut), '\n'));
    ASSERT_EQ(file.steps().size(), lines == 0 ? 0 : lines - 1) << "cut at " << cut;
    file.add(drop("new"), nothing_to_check);
    const DecisionFile again(scratch.path);
    ASSERT_EQ(again.steps().size(), lines == 0 ? 1 : lines) << "cut at " << cut;
    ASSERT_EQ(again.steps().back()[0].faces[0], "new");
  }
}

TEST(Decisions, ADamagedLineIsNamed) {
  const Scratch scratch;
  const auto path = scratch / kDecisionsFile;
  const std::string good = "{\"step\":[{\"keep\":[\"a.png\"]}]}\n";
  const auto expect_damage = [&](const std::string& text, int line) {
    write(path, text);
    std::string message;
    EXPECT_EQ(kind_of([&] { DecisionFile file(scratch.path); }, &message), ErrorKind::damaged)
        << text;
    EXPECT_NE(message.find("line " + std::to_string(line) + ":"), std::string::npos) << message;
    EXPECT_NE(message.find(kDecisionsFile), std::string::npos) << message;
  };
  expect_damage(good, 1);  // no schema
  expect_damage("{\"schema\":\"doppel-decisions/2\"}\n", 1);
  for (const char* line : {"",
                           "no JSON",
                           "[]",
                           "{}",
                           "{\"step\":[]}",
                           "{\"step\":\"jump\"}",
                           "{\"step\":\"redo\"}",
                           "{\"step\":[{}]}",
                           "{\"step\":[1]}",
                           "{\"step\":[{\"burn\":[\"a\"]}]}",
                           "{\"step\":[{\"keep\":\"a\"}]}",
                           "{\"step\":[{\"keep\":[1]}]}",
                           "{\"step\":[{\"keep\":[],\"and\":1}]}",
                           "{\"step\":[{\"drop\":[\"a\"]}]}",
                           "{\"step\":[{\"move\":[\"a\"],\"person\":-1}]}",
                           "{\"step\":[{\"move\":[\"a\"],\"person\":1.5}]}",
                           "{\"step\":[{\"rename\":1}]}",
                           "{\"step\":[{\"align\":\"a\",\"eyes\":[[1,2]]}]}",
                           "{\"step\":[{\"align\":\"a\",\"eyes\":[[1,2],[3,1e300]]}]}",
                           "{\"step\":[{\"keep\":[\"a\"]}],\"and\":1}"})
    expect_damage(kHeader + good + line + "\n" + good, 3);
  expect_damage(kHeader + good + "{\"step\":\"undo\"}\n{\"step\":\"undo\"}\n", 4);
  const std::string before = slurp(path);
  EXPECT_EQ(kind_of([&] { DecisionFile file(scratch.path); }), ErrorKind::damaged);
  EXPECT_EQ(slurp(path), before);  // left for the user to mend
}

TEST(Decisions, ASecondReaderSeesWhatTheFirstWrote) {
  const Scratch scratch;
  DecisionFile one(scratch.path), two(scratch.path);
  one.add(drop("a"), nothing_to_check);
  EXPECT_TRUE(two.refresh());
  EXPECT_FALSE(two.refresh());
  EXPECT_EQ(two.steps().size(), 1u);
  one.add(drop("b"), nothing_to_check);
  std::size_t seen = 0;
  two.add(drop("c"), [&] { seen = two.steps().size(); });  // without a refresh before
  EXPECT_EQ(seen, 2u);
  EXPECT_TRUE(one.undo());  // takes back c, which it had not read
  ASSERT_EQ(one.steps().size(), 2u);
  EXPECT_EQ(one.steps()[1][0].faces[0], "b");
  std::filesystem::remove(scratch / kDecisionsFile);
  EXPECT_TRUE(two.refresh());
  EXPECT_TRUE(two.steps().empty());
}

TEST(Decisions, ProcessesAtOnceLoseNothing) {
  constexpr int kProcesses = 4, kSteps = 40;
  const Scratch scratch;
  for (int p = 0; p < kProcesses; ++p) {
    if (::fork() != 0) continue;
    try {
      DecisionFile file(scratch.path);
      for (int i = 0; i < kSteps; ++i)
        file.add(drop(std::to_string(p) + "_" + std::to_string(i)), nothing_to_check);
    } catch (...) { ::_exit(1); }
    ::_exit(0);
  }
  for (int p = 0; p < kProcesses; ++p) {
    int status = 0;
    ASSERT_GT(::wait(&status), 0);
    EXPECT_EQ(status, 0);
  }
  const DecisionFile file(scratch.path);
  ASSERT_EQ(file.steps().size(), static_cast<std::size_t>(kProcesses * kSteps));
  int next[kProcesses] = {};
  for (const DecisionStep& step : file.steps()) {  // each one's own steps in their order
    const int p = step[0].faces[0][0] - '0';
    EXPECT_EQ(step[0].faces[0], std::to_string(p) + "_" + std::to_string(next[p]++));
  }
}

TEST(Decisions, AFailedWriteLeavesTheFileAsItWas) {
  const Scratch scratch;
  DecisionFile file(scratch.path);
  file.add(drop("a"), nothing_to_check);
  const std::string before = slurp(scratch / kDecisionsFile);
  EXPECT_EQ(kind_of([&] { file.add(drop("b"), [] { throw Error(ErrorKind::usage, "no"); }); }),
            ErrorKind::usage);
  EXPECT_EQ(kind_of([&] { file.add(drop("\xff.png"), nothing_to_check); }), ErrorKind::usage);
  EXPECT_EQ(slurp(scratch / kDecisionsFile), before);
  std::filesystem::remove(scratch / kDecisionsFile);
  std::filesystem::create_directory(scratch / kDecisionsFile);
  EXPECT_EQ(kind_of([&] { file.add(drop("a"), nothing_to_check); }), ErrorKind::disk);
}
}  // namespace
}  // namespace faceswap
