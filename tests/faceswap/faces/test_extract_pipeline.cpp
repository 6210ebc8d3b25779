// The same faces for any number of threads, with frames kept or decoded again.
#if DOPPEL_DETECT && DOPPEL_MEDIA
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <map>
#include <stdexcept>

#include "faceswap/faces/extract.h"
#include "faceswap/media/files.h"
#include "faceswap/media/read_ahead.h"
#include "faceswap/synthetic/clip.h"
#include "faceswap/task_threads.h"
#include "tests/faceswap/faces/extract_cases.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"

namespace {

using namespace faceswap;
namespace fs = std::filesystem;

std::map<std::string, std::vector<std::byte>> files_in(const fs::path& folder) {
  std::map<std::string, std::vector<std::byte>> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      files[entry.path().lexically_relative(folder).string()] =
          read_whole_file(entry.path(), 64 << 20);
  return files;
}

TEST(ExtractPipeline, TheSameForAnyNumberOfThreads) {
  const Scratch scratch;
  render(scratch / "a.mp4", 'a', 40);
  render(scratch / "b.mp4", 'b', 22);
  ExtractOptions o;
  o.inputs = {scratch / "a.mp4", scratch / "b.mp4"};
  o.size = 64;
  o.every = 2;
  o.least_difference = 0;  // the heads hardly move
  o.quiet = true;
  o.examine = [](const Image&, const Image&, Face& face) {
    if (face.frame % 8 == 0) face.refused = "tested";
  };
  const auto run = [&](const char* out, int threads, std::size_t kept_bytes) {
    o.out = scratch / out;
    o.threads = o.detection.threads = threads;
    o.kept_bytes = kept_bytes;
    const ExtractReport report = extract(o);
    EXPECT_EQ(report.refused.at("tested"), 8);
    EXPECT_EQ(report.faces, 20 + 11 - 8);
    EXPECT_GT(report.times.decode, 0);
    EXPECT_GT(report.times.detect, 0);
    EXPECT_GT(report.times.write, 0);
    return files_in(o.out);
  };
  const auto one = run("one", 1, 512 << 20);
  EXPECT_EQ(one.size(), 31u + 2) << "faces, sheet and journal";
  EXPECT_TRUE(run("five", 5, 512 << 20) == one);
  EXPECT_TRUE(run("again", 3, 1 << 20) == one) << "decoded a second time";
  EXPECT_TRUE(run("nothing_kept", 3, 0) == one);
}

TEST(WantedFrames, OthersComeWithoutPixels) {
  const Scratch scratch;
  render(scratch / "a.mp4", 'a', 12);
  const auto whole = open_source(scratch / "a.mp4"), some = open_source(scratch / "a.mp4");
  some->want([](std::int64_t i) { return i % 5 == 0; });
  int frames = 0;
  for (Frame expected, got; whole->next(expected); ++frames) {
    ASSERT_TRUE(some->next(got));
    EXPECT_EQ(got.index, expected.index);
    EXPECT_EQ(got.pts, expected.pts);
    if (got.index % 5 == 0) EXPECT_TRUE(got.rgb.pixels == expected.rgb.pixels) << got.index;
    else EXPECT_TRUE(got.rgb.empty() && !got.native) << got.index;
  }
  EXPECT_EQ(frames, 12);
  EXPECT_LT(some->info().convert_seconds, whole->info().convert_seconds);
}

TEST(ReadAhead, DeliversTheSameFramesAndMayBeAbandoned) {
  const Scratch scratch;
  render(scratch / "a.mp4", 'a', 12);
  const auto plain = open_source(scratch / "a.mp4"),
             ahead = read_ahead(open_source(scratch / "a.mp4"), 2);
  EXPECT_EQ(ahead->info().width, plain->info().width);
  Frame expected, got;
  while (plain->next(expected)) {
    ASSERT_TRUE(ahead->next(got));
    EXPECT_EQ(got.pts, expected.pts);
    EXPECT_TRUE(got.rgb.pixels == expected.rgb.pixels);
  }
  EXPECT_FALSE(ahead->next(got));
  EXPECT_FALSE(ahead->next(got));
  const auto left = read_ahead(open_source(scratch / "a.mp4"), 2);
  ASSERT_TRUE(left->next(got));  // the destructor stops the thread in the middle
}

TEST(TaskThreads, OneThreadKeepsTheOrder) {
  std::vector<int> order;
  TaskThreads one(1, 2);
  for (int i = 0; i < 50; ++i) one.run([&order, i] { order.push_back(i); });
  one.wait();
  ASSERT_EQ(order.size(), 50u);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST(TaskThreads, AnErrorEndsTheWork) {
  std::atomic<int> done{0};
  TaskThreads many(4, 4);
  const auto work = [&] {
    for (int i = 0; i < 1000; ++i)
      many.run([&done, i] {
        if (i == 20) throw Error(ErrorKind::disk, "full");
        ++done;
      });
    many.wait();
  };
  EXPECT_EQ(kind_of(work), ErrorKind::disk);
  EXPECT_LT(done, 1000);
  EXPECT_EQ(kind_of([&] { many.wait(); }), ErrorKind::disk) << "it stays";
  EXPECT_EQ(kind_of([&] { many.run([] {}); }), ErrorKind::disk);
}
}  // namespace
#endif
