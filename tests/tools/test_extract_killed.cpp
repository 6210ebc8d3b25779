// An extraction that is killed or stopped at any moment and started again gives the
// folder of one that was left alone.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace fs = std::filesystem;

std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct KilledExtraction : ::testing::Test {
  fs::path dir;

  void SetUp() override {
    if (!DOPPEL_FINDS_FACES) GTEST_SKIP() << "this build has no video or no detection";
    dir = fs::temp_directory_path() /
          ("doppel_killed_" +
           std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()) + "_" +
           std::to_string(::getpid()));
    fs::create_directories(dir);
    for (const char* person : {"a", "b"})
      ASSERT_EQ(wait_for(start({"synth", "-q", "--person", person, "--frames", "26", "-o",
                                std::string(person) + ".mp4"})),
                0);
  }
  void TearDown() override {
    std::error_code ignored;
    fs::remove_all(dir, ignored);
  }

  pid_t start(std::vector<std::string> arguments) const {
    std::fflush(nullptr);  // else the child prints it too
    const pid_t child = ::fork();
    if (child != 0) return child;
    std::vector<char*> argv{const_cast<char*>("doppel")};
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const std::string out = (dir / ".stdout").string(), err = (dir / ".stderr").string();
    if (::chdir(dir.c_str()) == 0 && std::freopen(out.c_str(), "w", stdout) &&
        std::freopen(err.c_str(), "w", stderr))
      ::execv(DOPPEL_PROGRAM, argv.data());
    ::_exit(99);
  }
  static int wait_for(pid_t child) {
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  pid_t extract(const std::string& out, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"extract", "a.mp4",  "b.mp4", "-o",     out, "--every",
                                       "2",       "--size", "64",    "--json", "-q"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return start(std::move(arguments));
  }
  std::map<std::string, std::string> files(const std::string& folder) const {
    std::map<std::string, std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(dir / folder))
      if (entry.is_regular_file())
        found[entry.path().lexically_relative(dir / folder).string()] = slurp(entry.path());
    return found;
  }
  std::size_t count(const std::string& folder) const {
    std::error_code ignored;
    std::size_t n = 0;
    for (fs::directory_iterator it(dir / folder, ignored), end; !ignored && it != end;
         it.increment(ignored))
      ++n;
    return n;
  }
};

TEST_F(KilledExtraction, AtAnyMomentThenAgainIsOneRun) {
  ASSERT_EQ(wait_for(extract("whole")), 0) << slurp(dir / ".stderr");
  const std::map<std::string, std::string> expected = files("whole");
  ASSERT_EQ(expected.size(), 26u + 2);
  const auto faces = nlohmann::json::parse(slurp(dir / ".stdout"))["faces"];
  EXPECT_LT(faces, 26) << "some are near-duplicates";
  int killed = 0;
  for (const std::size_t entries : {1u, 2u, 4u, 9u, 14u, 16u, 22u, 27u}) {
    const std::string out = "cut" + std::to_string(entries);
    // Killed twice, the second time a little later: a run that goes on may be killed too.
    for (const std::size_t enough : {entries, entries + 3}) {
      const pid_t child = extract(out);
      while (count(out) < enough && ::waitpid(child, nullptr, WNOHANG) == 0)
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      if (::kill(child, SIGKILL) == 0) killed += wait_for(child) == -SIGKILL;
    }
    const int code = wait_for(extract(out));
    if (code == 2) {  // it had come to its end
      EXPECT_NE(slurp(dir / ".stderr").find("already holds pictures"), std::string::npos);
    } else {
      EXPECT_EQ(code, 0) << slurp(dir / ".stderr");
      EXPECT_EQ(nlohmann::json::parse(slurp(dir / ".stdout"))["faces"], faces);
    }
    EXPECT_TRUE(files(out) == expected) << out;
  }
  EXPECT_GE(killed, 4);

  for (const std::size_t moved : {1u, 2u, 4u}) {  // while near-duplicates leave
    const std::string out = "moved" + std::to_string(moved);
    const pid_t child = extract(out);
    while (count(out + "/refused") < moved && ::waitpid(child, nullptr, WNOHANG) == 0)
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    if (::kill(child, SIGKILL) == 0) wait_for(child);
    if (wait_for(extract(out)) == 0) {
      EXPECT_EQ(nlohmann::json::parse(slurp(dir / ".stdout"))["faces"], faces);
    }
    EXPECT_TRUE(files(out) == expected) << out;
  }
}

TEST_F(KilledExtraction, FinishedClipsAreNotReadAgainAndAnotherCommandIsRefused) {
  const std::vector<std::string> all{"--difference", "0"};  // of a few like faces
  const pid_t child = extract("out", all);
  while (!fs::exists(dir / "out/b_000000_0.png") && ::waitpid(child, nullptr, WNOHANG) == 0)
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  ::kill(child, SIGTERM);
  const int code = wait_for(child);
  if (code == 128 + SIGTERM) {
    EXPECT_NE(slurp(dir / ".stderr").find("same command again"), std::string::npos);
    EXPECT_TRUE(nlohmann::json::parse(slurp(dir / ".stdout"))["stopped"]);
    EXPECT_EQ(wait_for(extract("out", {"--difference", "0", "--max-faces", "1"})), 2);
    EXPECT_NE(slurp(dir / ".stderr").find("was stopped"), std::string::npos);
  }
  ASSERT_EQ(wait_for(extract("out", {"--difference", "0", "--force"})), 0)
      << slurp(dir / ".stderr");
  const nlohmann::json json = nlohmann::json::parse(slurp(dir / ".stdout"));
  EXPECT_GE(json["done_before"], 1);
  EXPECT_EQ(json["faces"], 26);
}

TEST_F(KilledExtraction, TwoAtOnceInOneFolderAreRefused) {
  const pid_t first = extract("out");
  while (count("out") < 1 && ::waitpid(first, nullptr, WNOHANG) == 0)
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  ::kill(first, SIGSTOP);
  const int code = wait_for(extract("out", {"--force"}));
  EXPECT_EQ(code, 2) << slurp(dir / ".stderr");
  EXPECT_NE(slurp(dir / ".stderr").find("another extraction"), std::string::npos);
  ::kill(first, SIGCONT);
  EXPECT_EQ(wait_for(first), 0);
}
}  // namespace
