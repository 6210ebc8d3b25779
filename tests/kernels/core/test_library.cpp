// Libraries opened at run time: a missing one is named in an error, not a crash.
#include "kernels/core/library.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "kernels/core/error.h"

namespace fs = std::filesystem;

namespace {

TEST(LibraryTest, OpensAndFindsFunctions) {
  const kernels::Library math("the maths library", {"libnot_there.so.1", "libm.so.6"});
  double (*const cosine)(double) = math.symbol("cos");
  EXPECT_EQ(cosine(0.0), 1.0);
  EXPECT_EQ(std::filesystem::path(math.path()).filename(), "libm.so.6");
}

// Folders of a machine in a temporary folder, and a library that stands in for CUDA's.
struct LibraryFoldersTest : testing::Test {
  LibraryFoldersTest() {
    std::string name = (fs::temp_directory_path() / "doppel-libraries-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
    root = name;
    for (const char* variable : {"DOPPEL_CUDA_LIBS", "CUDA_HOME", "CUDA_PATH", "VIRTUAL_ENV",
                                 "CONDA_PREFIX", "PATH", "HOME"}) {
      const char* const value = std::getenv(variable);
      before.emplace_back(variable, value ? std::optional<std::string>(value) : std::nullopt);
      ::unsetenv(variable);
    }
  }
  ~LibraryFoldersTest() override {
    for (const auto& [variable, value] : before)
      if (value) ::setenv(variable, value->c_str(), 1);
      else ::unsetenv(variable);
    fs::remove_all(root);
  }
  fs::path folder(const std::string& path) {
    fs::create_directories(root / path);
    return root / path;
  }
  // The maths library under a name of its own, since the loader knows libm.so.6.
  void put_library(const fs::path& folder) {
    fs::copy_file(kernels::Library("maths", {"libm.so.6"}).path(), folder / "libstand_in.so.1");
  }
  static bool has(const std::vector<fs::path>& folders, const fs::path& wanted) {
    return std::ranges::find(folders, wanted) != folders.end();
  }
  fs::path root;
  std::vector<std::pair<const char*, std::optional<std::string>>> before;
};

TEST_F(LibraryFoldersTest, PythonPackagesOfEveryKindAreSearched) {
  const fs::path cudnn = folder("venv/lib/python3.12/site-packages/nvidia/cudnn/lib"),
                 cu13 = folder("venv/lib/python3.12/site-packages/nvidia/cu13/lib"),
                 conda = folder("conda/lib/python3.11/site-packages/nvidia/cublas/lib"),
                 own = folder("home/.local/lib/python3.12/site-packages/nvidia/cu13/lib"),
                 debian = folder("usr/lib/python3/dist-packages/nvidia/cu13/lib"),
                 linked = folder("python/lib/python3.13/site-packages/nvidia/cu13/lib");
  ::setenv("VIRTUAL_ENV", (root / "venv").c_str(), 1);
  ::setenv("CONDA_PREFIX", (root / "conda").c_str(), 1);
  ::setenv("HOME", (root / "home").c_str(), 1);
  // The first python3 on the PATH is a link to another prefix, as in a virtual environment.
  std::ofstream(folder("python/bin") / "python3.13") << "";
  fs::create_symlink(root / "python/bin/python3.13", folder("usr/bin") / "python3");
  ::setenv("PATH", ((root / "nothing").string() + ":" + (root / "usr/bin").string()).c_str(), 1);
  const kernels::LibraryFolders folders = kernels::library_folders();
  for (const fs::path& wanted : {cudnn, cu13, conda, own, debian, linked})
    EXPECT_TRUE(has(folders.after, wanted)) << wanted;
}

TEST_F(LibraryFoldersTest, ToolkitsAndNamedFolders) {
  ::setenv("DOPPEL_CUDA_LIBS", (folder("one").string() + ":" + folder("two").string()).c_str(), 1);
  ::setenv("CUDA_HOME", folder("cuda").c_str(), 1);
  const fs::path lib64 = folder("cuda/lib64");
  const kernels::LibraryFolders folders = kernels::library_folders();
  EXPECT_TRUE(has(folders.before, root / "one"));
  EXPECT_TRUE(has(folders.before, root / "two"));
  EXPECT_TRUE(has(folders.after, lib64));
  EXPECT_FALSE(has(folders.after, root / "cuda/lib")) << "there is none";
}

TEST_F(LibraryFoldersTest, ALibraryIsFoundInPythonsPackages) {
  put_library(folder("venv/lib/python3.12/site-packages/nvidia/stand_in/lib"));
  EXPECT_THROW(kernels::Library("stand-in", {"libstand_in.so.1"}), kernels::Error);
  ::setenv("VIRTUAL_ENV", (root / "venv").c_str(), 1);
  const kernels::Library library("stand-in", {"libstand_in.so.2", "libstand_in.so.1"});
  EXPECT_EQ(library.path(),
            root / "venv/lib/python3.12/site-packages/nvidia/stand_in/lib/libstand_in.so.1");
}

TEST_F(LibraryFoldersTest, NamedFoldersComeBeforeTheLoaders) {
  fs::copy_file(kernels::Library("maths", {"libm.so.6"}).path(), folder("own") / "libz.so.1");
  ::setenv("DOPPEL_CUDA_LIBS", (root / "own").c_str(), 1);
  EXPECT_EQ(kernels::Library("stand-in", {"libz.so.1"}).path(), root / "own/libz.so.1");
}

TEST(LibraryTest, MissingLibraryIsADeviceErrorThatSaysWhatToDo) {
  try {
    const kernels::Library library("cuExample", {"libcuexample.so.7"});
    FAIL() << "opened a library that does not exist";
  } catch (const kernels::Error& e) {
    EXPECT_EQ(e.kind(), kernels::ErrorKind::device);
    EXPECT_NE(std::string(e.what()).find("cuExample (libcuexample.so.7) was not found"),
              std::string::npos)
        << e.what();
    EXPECT_NE(std::string(e.what()).find("DOPPEL_CUDA_LIBS"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("CUDA_HOME"), std::string::npos) << e.what();
  }
}

TEST(LibraryTest, MissingFunctionIsNamed) {
  const kernels::Library math("the maths library", {"libm.so.6"});
  try {
    math.symbol("cosine_of_the_future");
    FAIL() << "found a function that does not exist";
  } catch (const kernels::Error& e) {
    EXPECT_EQ(e.kind(), kernels::ErrorKind::device);
    EXPECT_NE(std::string(e.what()).find("cosine_of_the_future"), std::string::npos) << e.what();
  }
}
}  // namespace
