#include "kernels/simt/single_threaded.h"

#include <gtest/gtest.h>

#include <thread>

#include "kernels/simt/config.h"

TEST(SingleThreaded, HoldsForItsThreadAndScope) {
  simt::config().workers = 3;
  {
    const simt::SingleThreaded outer;
    { const simt::SingleThreaded inner; }
    EXPECT_EQ(simt::worker_count(), 1u);
    std::thread([] { EXPECT_EQ(simt::worker_count(), 3u); }).join();
  }
  EXPECT_EQ(simt::worker_count(), 3u);
  simt::config().workers = 0;
}
