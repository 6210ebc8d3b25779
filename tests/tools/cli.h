// Runs the built program in a folder of its own.
#pragma once
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace fs = std::filesystem;

struct Result {
  int code;
  std::string out, err;
};

inline std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Cli : ::testing::Test {
  fs::path dir;
  void SetUp() override {
    dir = fs::temp_directory_path() /
          ("doppel_cli_" +
           std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()) + "_" +
           std::to_string(::getpid()));
    fs::create_directories(dir);
  }
  void TearDown() override {
    std::error_code ignored;
    fs::remove_all(dir, ignored);
  }
  // Runs `doppel ARGUMENTS` in a shell inside dir; prefix: shell commands first.
  Result doppel(const std::string& arguments, const std::string& prefix = "") const {
    const fs::path out = dir / ".stdout", err = dir / ".stderr";
    const std::string line = "cd '" + dir.string() + "' && " + prefix + " '" DOPPEL_PROGRAM "' " +
                             arguments + " >'" + out.string() + "' 2>'" + err.string() +
                             "' </dev/null";
    const int status = std::system(("bash -c \"" + line + "\"").c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, slurp(out), slurp(err)};
  }
  void make_clip(const std::string& name, const std::string& more = "--frames 8") const {
    ASSERT_EQ(doppel("synth -q --person a -o " + name + " " + more).code, 0);
  }
};
