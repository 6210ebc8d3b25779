// tools/kernel_resources.sh on made-up compiler reports: losses it finds, and changes it passes.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace fs = std::filesystem;

namespace {

struct KernelResources : testing::Test {
  KernelResources() {
    std::string name = (fs::temp_directory_path() / "doppel-resources-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
    folder = name;
    fs::create_directories(folder / "kernels");
  }
  ~KernelResources() override { fs::remove_all(folder); }
  void SetUp() override {
    if (!fs::exists(DOPPEL_SOURCE_DIR "/tools/kernel_resources.sh"))
      GTEST_SKIP() << "no sources here";
  }

  void report(int registers, int spilled, int arch = 90) const {
    std::ofstream(folder / "kernels/a.cu.o.ptxas")
        << "ptxas info    : 0 bytes gmem\n"
        << "ptxas info    : Compiling entry function '_ZN7kernels10add_kernelIfEEvPKT_S3_PS1_l' "
           "for 'sm_"
        << arch << "'\n"
        << "ptxas info    : Function properties for _ZN7kernels10add_kernelIfEEvPKT_S3_PS1_l\n"
        << "    16 bytes stack frame, " << spilled << " bytes spill stores, 0 bytes spill loads\n"
        << "ptxas info    : Used " << registers
        << " registers, used 1 barriers, 384 bytes cmem[0], 2048 bytes smem\n";
  }
  int run(const std::string& arguments) {
    FILE* pipe = popen((DOPPEL_SOURCE_DIR "/tools/kernel_resources.sh " + folder.string() + " " +
                        arguments + " 2>&1")
                           .c_str(),
                       "r");
    output.clear();
    std::array<char, 512> piece;
    while (std::fgets(piece.data(), piece.size(), pipe)) output += piece.data();
    return WEXITSTATUS(pclose(pipe));
  }
  std::string stored() const { return (folder / "stored.csv").string(); }
  fs::path folder;
  std::string output;
};

TEST_F(KernelResources, TableHasALinePerKernel) {
  report(40, 0);
  EXPECT_EQ(run(""), 0) << output;
  EXPECT_EQ(output, "kernel;sm_90\nadd_kernel<float>;40/2048/16/0\n");
}

TEST_F(KernelResources, ComparisonCatchesSpillsAndLostWarps) {
  report(32, 0);
  EXPECT_EQ(run("> " + stored()), 0);
  EXPECT_EQ(run("--check " + stored()), 0) << output;
  report(30, 0);
  EXPECT_EQ(run("--check " + stored()), 0) << output;
  report(33, 0);  // 40 after rounding: 48 warps instead of 64
  EXPECT_EQ(run("--check " + stored()), 1) << output;
  EXPECT_NE(output.find("48 warps fit instead of 64"), std::string::npos) << output;
  EXPECT_NE(output.find("renew the table"), std::string::npos) << output;
  report(32, 8);
  EXPECT_EQ(run("--check " + stored()), 1) << output;
  EXPECT_NE(output.find("spills 8 bytes"), std::string::npos) << output;
}

TEST_F(KernelResources, SmallMultiprocessorsLoseNothingUpToTheirWarps) {
  report(32, 0, 75);
  EXPECT_EQ(run("> " + stored()), 0);
  report(64, 0, 75);  // sm_75 holds 32 warps, which 64 registers allow
  EXPECT_EQ(run("--check " + stored()), 0) << output;
  report(65, 0, 75);
  EXPECT_EQ(run("--check " + stored()), 1) << output;
}

TEST_F(KernelResources, NewKernelsPassAndAreNamed) {
  report(32, 0);
  std::ofstream(stored()) << "kernel;sm_90\nother_kernel<float>;10/0/0/0\n";
  EXPECT_EQ(run("--check " + stored()), 0) << output;
  EXPECT_NE(output.find("not in the table yet:\n  add_kernel<float>"), std::string::npos) << output;
}

TEST_F(KernelResources, NothingToCompareIsNoSuccess) {
  EXPECT_EQ(run("--check " + stored()), 3) << output;
  report(32, 0);
  EXPECT_EQ(run("--check " + (folder / "absent.csv").string()), 1) << output;
  EXPECT_EQ(run("--nonsense"), 2) << output;
}
}  // namespace
