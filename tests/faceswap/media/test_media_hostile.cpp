// Files from strangers, and disks that fill up: each ends in an Error of the right
// kind, in reasonable time, and leaves nothing half-written behind.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <optional>
#include <random>

#include "faceswap/media/media.h"
#include "tests/faceswap/media/media_clips.h"
#include "tests/faceswap/scratch.h"

using namespace faceswap;

namespace {

[[maybe_unused]] std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// The kind of the Error that the action throws, and its text; nothing if it throws
// none.
struct Refused {
  std::optional<ErrorKind> kind;
  std::string message;
};
Refused refused(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) { return {error.kind(), error.what()}; }
  return {};
}

void expect_refused(const std::filesystem::path& path, const std::string& word) {
  const Refused r = refused([&] { open_source(path); });
  ASSERT_TRUE(r.kind.has_value()) << path << " was accepted";
  EXPECT_EQ(*r.kind, ErrorKind::input) << r.message;
  EXPECT_NE(r.message.find(word), std::string::npos) << r.message;
  EXPECT_NE(r.message.find(path.filename().string()), std::string::npos) << r.message;
}
}  // namespace

TEST(MediaHostile, WhatIsNotMediaAtAll) {
  const Scratch scratch;
  expect_refused(scratch / "nothing.mp4", "no such file");
  expect_refused("http://example.com/film.mp4", "local files");
  write_bytes(scratch / "empty.mp4", "");
  expect_refused(scratch / "empty.mp4", "empty");
  write_bytes(scratch / "empty.png", "");
  expect_refused(scratch / "empty.png", "empty");
  std::filesystem::create_directory(scratch / "folder");
  expect_refused(scratch / "folder", "no pictures");
  write_bytes(scratch / "folder" / "notes.txt", "hello");
  expect_refused(scratch / "folder", "no pictures");
  write_bytes(scratch / "folder" / "a.png", "not a picture");
  expect_refused(scratch / "folder", "can be read");
  ASSERT_EQ(::mkfifo((scratch / "pipe.mp4").c_str(), 0600), 0);
  expect_refused(scratch / "pipe.mp4",
                 "neither");  // and does not wait for a writer
  std::filesystem::create_symlink(scratch / "loop.mp4", scratch / "loop.mp4");
  expect_refused(scratch / "loop.mp4", "no such");
  std::filesystem::create_symlink("/dev/zero", scratch / "zero.mp4");
  expect_refused(scratch / "zero.mp4", "neither");
}

#if DOPPEL_MEDIA
TEST(MediaHostile, TextAndPlaylistsNamedAsVideos) {
  const Scratch scratch;
  make_clip(scratch / "inner.mp4", {});
  write_bytes(scratch / "text.mp4", "Dear sir or madam,\nplease find enclosed no video.\n");
  expect_refused(scratch / "text.mp4", "video");
  write_bytes(scratch / "concat.mp4", "ffconcat version 1.0\nfile inner.mp4\n");
  expect_refused(scratch / "concat.mp4", "video");
  write_bytes(scratch / "list.avi",
              "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\ninner.mp4\n#EXT-X-ENDLIST\n");
  expect_refused(scratch / "list.avi", "video");
  write_bytes(scratch / "list.mkv",
              "#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/inner.ts\n#EXT-X-ENDLIST\n");
  expect_refused(scratch / "list.mkv", "video");
  write_bytes(scratch / "dash.mp4",
              "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" "
              "type=\"static\"><Period><AdaptationSet "
              "mimeType=\"video/mp4\"><Representation id=\"1\" "
              "bandwidth=\"1\"><BaseURL>inner.mp4</BaseURL></Representation></AdaptationSet></"
              "Period></MPD>");
  expect_refused(scratch / "dash.mp4", "video");
  std::filesystem::create_directory(scratch / "concat:inner.mp4|inner.mp4");
  expect_refused(scratch / "concat:inner.mp4|inner.mp4", "no pictures");
  // A name that libav would take for a protocol is still a file's name.
  std::filesystem::copy_file(scratch / "inner.mp4", scratch / "http:inner.mp4");
  EXPECT_EQ(open_source(scratch / "http:inner.mp4")->info().frames, 24);
  // Sound alone is no video.
  ClipOptions clip;
  clip.audio_streams = 1;
  make_clip(scratch / "both.mp4", clip);
  EXPECT_NO_THROW(open_source(scratch / "both.mp4"));
}

TEST(MediaHostile, VideosThatWereCutOff) {
  const Scratch scratch;
  ClipOptions clip;
  for (int i = 0; i < 60; ++i) clip.pts.push_back(512 * i);
  clip.audio_streams = 1;
  make_clip(scratch / "plain.mp4", clip);  // its index lies at the end
  clip.options = "movflags=faststart";
  make_clip(scratch / "fast.mp4", clip);
  make_clip(scratch / "whole.mkv", clip);
  const std::string plain = read_bytes(scratch / "plain.mp4"),
                    fast = read_bytes(scratch / "fast.mp4"),
                    whole = read_bytes(scratch / "whole.mkv");

  write_bytes(scratch / "cut.mp4", plain.substr(0, plain.size() * 6 / 10));
  expect_refused(scratch / "cut.mp4", "moov atom");
  for (const auto& [name, bytes] :
       {std::pair<std::string, const std::string&>("cut_fast.mp4", fast), {"cut.mkv", whole}}) {
    write_bytes(scratch / name, bytes.substr(0, bytes.size() * 6 / 10));
    const auto source = open_source(scratch / name);
    int frames = 0;
    for (Frame frame; source->next(frame);) ++frames;
    EXPECT_GT(frames, 20) << name;
    EXPECT_LT(frames, 55) << name;
    if (name == "cut_fast.mp4") {
      EXPECT_GE(source->info().damaged_frames, 60 - frames);  // its index says how many are missing
    }
    Frame after;
    EXPECT_FALSE(source->next(after));  // the end stays the end
  }
  // And such a source converts into a sound file.
  const auto source = open_source(scratch / "cut_fast.mp4");
  SinkOptions options;
  options.preset = "ultrafast";
  const auto sink = open_sink(scratch / "out.mp4", source->info(), options);
  int frames = 0;
  for (Frame frame; source->next(frame); ++frames) sink->write(frame, {0, 0, 8, 8});
  sink->finish();
  EXPECT_EQ(static_cast<int>(probe(scratch / "out.mp4").video().pts.size()), frames);
}

TEST(MediaHostile, DamageInTheMiddleIsCountedAndSurvived) {
  const Scratch scratch;
  ClipOptions clip;
  for (int i = 0; i < 60; ++i) clip.pts.push_back(512 * i);
  make_clip(scratch / "in.mkv", clip);
  std::string bytes = read_bytes(scratch / "in.mkv");
  std::mt19937 random(7);
  for (std::size_t i = bytes.size() / 2; i < bytes.size() / 2 + 600; ++i)
    bytes[i] = static_cast<char>(random());
  write_bytes(scratch / "bad.mkv", bytes);
  const auto source = open_source(scratch / "bad.mkv");
  int frames = 0;
  for (Frame frame; source->next(frame);) ++frames;
  EXPECT_GT(frames, 30);
  EXPECT_GT(source->info().damaged_frames, 0);
}

// Seeded damage of every kind: no crash, no hang, only exceptions of ours, and the sink
// copes with the frames that come through.
class MutatedVideo : public ::testing::TestWithParam<const char*> {};

TEST_P(MutatedVideo, NeverCrashesNorHangs) {
  const Scratch scratch;
  ClipOptions clip;
  clip.width = clip.height = 48;
  clip.audio_streams = 1;
  clip.b_frames = 1;
  if (std::string_view(GetParam()) == ".ts") clip.time_base = {1, 90000};
  if (std::string_view(GetParam()) == ".avi")
    clip.codec = "mpeg4", clip.time_base = {1, 25}, clip.b_frames = 0,
    clip.audio_codec = "pcm_s16le";
  const auto original = scratch / ("in" + std::string(GetParam()));
  make_clip(original, clip);
  const std::string bytes = read_bytes(original);
  std::mt19937 random(42);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  int whole = 0, damaged = 0, refusals = 0;
  double slowest = 0;
  const int trials =
      std::string_view(GetParam()) == ".mp4" || std::string_view(GetParam()) == ".mkv" ? 200 : 80;
  for (int trial = 0; trial < trials; ++trial) {
    std::string bad = bytes;
    // Half of the damage hits the first and last 2 KB, where the structure is.
    const auto place = [&] {
      return random() % 2   ? below(bad.size())
             : random() % 2 ? below(std::min<std::size_t>(2048, bad.size()))
                            : bad.size() - 1 - below(std::min<std::size_t>(2048, bad.size()));
    };
    switch (trial % 5) {
      case 0: bad.resize(1 + below(bad.size())); break;
      case 1:
        for (std::size_t i = 0, n = 1 + below(20); i < n; ++i)
          bad[place()] ^= static_cast<char>(1u << below(8));
        break;
      case 2: bad.erase(place(), 1 + below(64)); break;
      case 3: {
        const std::size_t at = place();
        for (std::size_t i = at; i < std::min(bad.size(), at + 64); ++i)
          bad[i] = static_cast<char>(random());
        break;
      }
      default: {
        const std::size_t at = place();  // numbers blown up
        for (std::size_t i = at; i < std::min(bad.size(), at + 4); ++i)
          bad[i] = static_cast<char>(random() % 2 ? 0xff : 0x7f);
      }
    }
    const auto path = scratch / ("bad" + std::string(GetParam())), out = scratch / "out.mkv";
    write_bytes(path, bad);
    const auto begin = std::chrono::steady_clock::now();
    try {
      const auto source = open_source(path);
      int frames = 0;
      if (trial % 4 == 0) {
        SinkOptions options;
        options.preset = "ultrafast", options.force = true, options.threads = 1;
        const auto sink = open_sink(out, source->info(), options);
        for (Frame frame; source->next(frame) && frames < 500; ++frames)
          sink->write(frame, {8, 8, 16, 16});
        sink->finish();
      } else {
        for (Frame frame; source->next(frame) && frames < 500;) ++frames;
      }
      ++(source->info().damaged_frames ? damaged : whole);
    } catch (const Error& error) {
      EXPECT_TRUE(error.kind() == ErrorKind::input || error.kind() == ErrorKind::disk ||
                  error.kind() == ErrorKind::usage || error.kind() == ErrorKind::memory ||
                  error.kind() == ErrorKind::failure)
          << "trial " << trial << ": " << error.what();
      ++refusals;
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    slowest = std::max(slowest, seconds);
    EXPECT_LT(seconds, 60) << "trial " << trial;  // a hang, not a slow machine
  }
  EXPECT_EQ(whole + damaged + refusals, trials);
  EXPECT_GT(damaged, 5);
  EXPECT_GT(refusals, 0);
  std::printf("  %s: %d whole, %d with damage counted, %d refused; slowest %.2f s\n", GetParam(),
              whole, damaged, refusals, slowest);
  for (const auto& entry : std::filesystem::directory_iterator(scratch.path))
    EXPECT_EQ(entry.path().filename().string().find(".part-"), std::string::npos) << entry.path();
}

INSTANTIATE_TEST_SUITE_P(MediaHostile, MutatedVideo,
                         ::testing::Values(".mp4", ".mkv", ".ts", ".avi"),
                         [](const auto& test) { return std::string(test.param + 1); });

TEST(MediaOutput, RefusesTheInputAndWhatExists) {
  const Scratch scratch;
  make_clip(scratch / "in.mp4", {});
  const std::string before = read_bytes(scratch / "in.mp4");
  std::filesystem::create_symlink(scratch / "in.mp4", scratch / "link.mp4");
  std::filesystem::create_hard_link(scratch / "in.mp4", scratch / "hard.mp4");
  const auto source = open_source(scratch / "in.mp4");
  SinkOptions force;
  force.force = true;
  for (const char* name : {"in.mp4", "link.mp4", "hard.mp4", "./in.mp4"}) {
    const Refused r = refused([&] { open_sink(scratch / name, source->info(), force); });
    ASSERT_TRUE(r.kind) << name;
    EXPECT_EQ(*r.kind, ErrorKind::usage);
    EXPECT_NE(r.message.find("input itself"), std::string::npos) << r.message;
  }
  write_bytes(scratch / "there.mp4", "precious");
  Refused r = refused([&] { open_sink(scratch / "there.mp4", source->info(), {}); });
  ASSERT_TRUE(r.kind);
  EXPECT_EQ(*r.kind, ErrorKind::usage);
  EXPECT_NE(r.message.find("--force"), std::string::npos);
  EXPECT_EQ(read_bytes(scratch / "there.mp4"), "precious");
  EXPECT_EQ(read_bytes(scratch / "in.mp4"), before);

  EXPECT_EQ(*refused([&] { open_sink(scratch / "out.avi", source->info(), {}); }).kind,
            ErrorKind::usage);
  EXPECT_EQ(*refused([&] { open_sink(scratch / "out.png", source->info(), {}); }).kind,
            ErrorKind::usage);
  EXPECT_EQ(
      *refused([&] { open_sink(scratch / "no" / "such" / "out.mp4", source->info(), {}); }).kind,
      ErrorKind::disk);
  SinkOptions nonsense;
  nonsense.preset = "swift";
  r = refused([&] { open_sink(scratch / "out.mp4", source->info(), nonsense); });
  ASSERT_TRUE(r.kind);
  EXPECT_EQ(*r.kind, ErrorKind::usage);
  EXPECT_NE(r.message.find("swift"), std::string::npos);
  nonsense.preset = "fast", nonsense.crf = 52;
  EXPECT_EQ(*refused([&] { open_sink(scratch / "out.mp4", source->info(), nonsense); }).kind,
            ErrorKind::usage);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(scratch.path), {}),
            4);  // nothing new
}

TEST(MediaOutput, SoundThatTheContainerCannotHoldIsRefusedAtOnce) {
  const Scratch scratch;
  ClipOptions clip;
  clip.audio_streams = 1, clip.audio_codec = "pcm_s16le", clip.time_base = {1, 1000};
  make_clip(scratch / "in.mkv", clip);
  const auto source = open_source(scratch / "in.mkv");
  const Refused r = refused([&] { open_sink(scratch / "out.mp4", source->info(), {}); });
  ASSERT_TRUE(r.kind);
  EXPECT_EQ(*r.kind, ErrorKind::usage);
  EXPECT_NE(r.message.find("pcm_s16le"), std::string::npos) << r.message;
  EXPECT_FALSE(std::filesystem::exists(scratch / "out.mp4"));
}

TEST(MediaOutput, AnUnfinishedFileIsRemovedAndTheOldOneStays) {
  const Scratch scratch;
  make_clip(scratch / "in.mp4", {});
  write_bytes(scratch / "out.mp4", "precious");
  SinkOptions options;
  options.force = true, options.preset = "ultrafast";
  const auto count = [&] {
    return std::distance(std::filesystem::directory_iterator(scratch.path), {});
  };
  {
    const auto source = open_source(scratch / "in.mp4");
    const auto sink = open_sink(scratch / "out.mp4", source->info(), options);
    Frame frame;
    for (int i = 0; i < 5 && source->next(frame); ++i) sink->write(frame, {0, 0, 8, 8});
    EXPECT_EQ(count(), 3);  // in, out, and the one being written
  }
  EXPECT_EQ(count(), 2);
  EXPECT_EQ(read_bytes(scratch / "out.mp4"), "precious");
  const auto source = open_source(scratch / "in.mp4");
  const auto sink = open_sink(scratch / "out.mp4", source->info(), options);
  for (Frame frame; source->next(frame);) sink->write(frame, {0, 0, 8, 8});
  sink->finish();
  EXPECT_EQ(count(), 2);
  EXPECT_EQ(probe(scratch / "out.mp4").video().pts.size(), 24u);
}

// A full disk, simulated by a limit on file sizes.
TEST(MediaOutput, AFullDiskIsSaidAndLeavesNothing) {
  const Scratch scratch;
  ClipOptions clip;
  clip.width = 320, clip.height = 240;
  make_clip(scratch / "in.mp4", clip);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  rlimit small = old_limit;
  small.rlim_cur = 20000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Refused r = refused([&] {
    const auto source = open_source(scratch / "in.mp4");
    SinkOptions options;
    options.preset = "ultrafast", options.crf = 0;
    const auto sink = open_sink(scratch / "out.mp4", source->info(), options);
    for (Frame frame; source->next(frame);) sink->write(frame, {0, 0, 200, 200});
    sink->finish();
  });
  Image noise(200, 200);
  std::mt19937 random(1);
  for (std::uint8_t& p : noise.pixels) p = static_cast<std::uint8_t>(random());
  const Refused png = refused([&] { write_png(scratch / "noise.png", noise); });
  ::setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_TRUE(r.kind);
  EXPECT_EQ(*r.kind, ErrorKind::disk) << r.message;
  EXPECT_NE(r.message.find("out.mp4"), std::string::npos) << r.message;
  ASSERT_TRUE(png.kind);
  EXPECT_EQ(*png.kind, ErrorKind::disk) << png.message;
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(scratch.path), {}),
            1);  // the input alone
}
#else
TEST(MediaHostile, ABuildWithoutVideoSaysSo) {
  const Scratch scratch;
  write_bytes(scratch / "film.mp4", "some bytes");
  expect_refused(scratch / "film.mp4", "no video");
  EXPECT_EQ(*refused([&] {
               make_video(scratch / "a.mp4", 64, 64, {25, 1}, {});
             }).kind,
            ErrorKind::usage);
}
#endif
