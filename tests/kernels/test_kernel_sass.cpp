// tools/kernel_sass.sh on made-up machine code: losses it finds, and changes it passes.
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

// Stand-ins for cuobjdump and nvdisasm come first on PATH.
struct KernelSass : testing::Test {
  KernelSass() {
    std::string name = (fs::temp_directory_path() / "doppel-sass-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
    folder = name;
    fs::create_directories(folder / "kernels");
    fs::create_directories(folder / "bin");
    std::ofstream(folder / "kernels/a.cu.o") << "an object";
    program("cuobjdump", "touch a.cubin");
    program("nvdisasm", "cat " + (folder / "code").string());
  }
  ~KernelSass() override { fs::remove_all(folder); }

  void SetUp() override {
    if (!fs::exists(DOPPEL_SOURCE_DIR "/tools/kernel_sass.sh")) GTEST_SKIP() << "no sources here";
  }

  void program(const std::string& name, const std::string& line) const {
    const fs::path path = folder / "bin" / name;
    std::ofstream(path) << "#!/bin/sh\n" << line << "\n";
    fs::permissions(path, fs::perms::owner_all);
  }
  // The code of one kernel.
  void code(const std::initializer_list<const char*>& instructions) const {
    std::ofstream out(folder / "code");
    out << "\t.section\t.text._ZN7kernels10add_kernelIfEEvPKT_S3_PS1_l,\"ax\",@progbits\n";
    for (const char* instruction : instructions)
      out << "        /*0010*/                   " << instruction << " ;\n";
  }
  int run(const std::string& arguments) {
    const std::string command = "XDG_CACHE_HOME=" + folder.string() +
                                " CUDA_HOME=" + folder.string() + " PATH=" + folder.string() +
                                "/bin:/usr/bin:/bin " DOPPEL_SOURCE_DIR "/tools/kernel_sass.sh " +
                                folder.string() + " " + arguments + " 2>&1";
    FILE* pipe = popen(command.c_str(), "r");
    output.clear();
    std::array<char, 512> piece;
    while (std::fgets(piece.data(), piece.size(), pipe)) output += piece.data();
    return WEXITSTATUS(pclose(pipe));
  }
  std::string stored() const { return (folder / "stored.csv").string(); }
  fs::path folder;
  std::string output;
};

TEST_F(KernelSass, TableHasALinePerKernel) {
  code({"LDG.E.64 R2, desc[UR4][R2.64]", "@!P0 LDG.E.128 R4, desc[UR4][R2.64]",
        "STG.E.U16 desc[UR4][R2.64], R4", "STL [R1], R3",
        "CALL.REL.NOINC `($__internal_0_$__cuda_sm20_div_s64)",
        "CALL.REL.NOINC `($__internal_1_$__cuda_sm3x_div_rn_noftz_f32_slowpath)"});
  EXPECT_EQ(run(""), 0) << output;
  EXPECT_EQ(output, "kernel;load;store;local;divisions\nadd_kernel<float>;128;16;1;1\n");
}

TEST_F(KernelSass, ComparisonCatchesNarrowAccessLocalMemoryAndDivisions) {
  code({"LDG.E.128 R4, desc[UR4][R2.64]", "STG.E.128 desc[UR4][R2.64], R4"});
  EXPECT_EQ(run("> " + stored()), 0);
  EXPECT_EQ(run("--check " + stored()), 0) << output;
  code({"LDG.E.64 R4, desc[UR4][R2.64]", "STG.E.128 desc[UR4][R2.64], R4"});
  EXPECT_EQ(run("--check " + stored()), 1);
  EXPECT_NE(output.find("loads at most 64 bits at once instead of 128"), std::string::npos)
      << output;
  code({"LDG.E.128 R4, desc[UR4][R2.64]", "STG.E desc[UR4][R2.64], R4"});
  EXPECT_EQ(run("--check " + stored()), 1);
  EXPECT_NE(output.find("stores at most 32 bits at once instead of 128"), std::string::npos)
      << output;
  code({"LDG.E.128 R4, desc[UR4][R2.64]", "STG.E.128 desc[UR4][R2.64], R4", "@P0 LDL R1, [R1]"});
  EXPECT_EQ(run("--check " + stored()), 1);
  EXPECT_NE(output.find("1 accesses to local memory instead of 0"), std::string::npos) << output;
  code({"LDG.E.128 R4, desc[UR4][R2.64]", "STG.E.128 desc[UR4][R2.64], R4",
        "CALL.REL.NOINC `($__internal_3_$__cuda_sm20_rem_u64)"});
  EXPECT_EQ(run("--check " + stored()), 1);
  EXPECT_NE(output.find("1 64-bit divisions instead of 0"), std::string::npos) << output;
  EXPECT_NE(output.find("renew the table"), std::string::npos) << output;
}

TEST_F(KernelSass, NewKernelsPassAndAreNamed) {
  code({"LDG.E R4, desc[UR4][R2.64]"});
  std::ofstream(stored()) << "kernel;load;store;local;divisions\nother_kernel<float>;32;32;0;0\n"
                          << "add_kernel<double>;64;64;0;0\n";
  EXPECT_EQ(run("--check " + stored()), 1) << "nothing was compared";
  EXPECT_NE(output.find("not in the table yet:\n  add_kernel<float>"), std::string::npos) << output;
}

TEST_F(KernelSass, NothingToCompareIsNoSuccess) {
  EXPECT_EQ(run("--nonsense"), 2) << output;
  code({"LDG.E R4, desc[UR4][R2.64]"});
  EXPECT_EQ(run("--check " + (folder / "absent.csv").string()), 1) << output;
  fs::remove(folder / "kernels/a.cu.o");
  EXPECT_EQ(run(""), 3) << output;
  fs::remove(folder / "bin/nvdisasm");
  EXPECT_EQ(run(""), 77) << output;
  EXPECT_NE(output.find("tools/install_deps.sh test"), std::string::npos) << output;
}
}  // namespace
