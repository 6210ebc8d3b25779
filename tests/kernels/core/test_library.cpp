// Libraries opened at run time: a missing one is named in an error, not a crash.
#include "kernels/core/library.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "kernels/core/error.h"

namespace {

TEST(LibraryTest, OpensAndFindsFunctions) {
  const kernels::Library math("the maths library", {"libnot_there.so.1", "libm.so.6"});
  double (*const cosine)(double) = math.symbol("cos");
  EXPECT_EQ(cosine(0.0), 1.0);
  EXPECT_EQ(math.path(), "libm.so.6");
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
