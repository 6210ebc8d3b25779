// Video in, video out: time stamps, sound, rotation, colour tags and every sample
// outside the changed box survive.
#if DOPPEL_MEDIA
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>

extern "C" {
#include <libavutil/pixdesc.h>
}

#include "faceswap/media/media.h"
#include "tests/faceswap/media/media_clips.h"
#include "tests/faceswap/scratch.h"

using namespace faceswap;

namespace {

SinkOptions quick(int crf = 30) {
  SinkOptions o;
  o.crf = crf;
  o.preset = "ultrafast";
  o.threads = 2;
  return o;
}

// Reads `in`, paints `box` of every frame in one colour, writes `out`. Returns the
// sink's notes.
std::string convert_clip(const std::filesystem::path& in, const std::filesystem::path& out,
                         const SinkOptions& options, const Box& box,
                         std::int64_t limit = INT64_MAX) {
  const auto source = open_source(in);
  const auto sink = open_sink(out, source->info(), options);
  Frame frame;
  for (std::int64_t written = 0; written < limit && source->next(frame); ++written) {
    for (int y = box.y; y < box.y + box.height; ++y)
      for (int x = box.x; x < box.x + box.width; ++x) {
        std::uint8_t* p = frame.rgb.at(x, y);
        p[0] = 220, p[1] = 30, p[2] = 60;
      }
    sink->write(frame, box);
  }
  sink->finish();
  return sink->notes();
}

void expect_same_stream(const Probed& a, const Probed& b, double slack = 0) {
  EXPECT_TRUE(same_times(a.video(), b.video(), slack))
      << a.video().pts.size() << " and " << b.video().pts.size() << " frames, starting at "
      << a.video().pts.front() << " and " << b.video().pts.front();
  EXPECT_EQ(a.video().matrix, b.video().matrix);
  EXPECT_EQ(a.video().space, b.video().space);
  EXPECT_EQ(a.video().primaries, b.video().primaries);
  EXPECT_EQ(a.video().transfer, b.video().transfer);
  EXPECT_EQ(a.video().range, b.video().range);
  EXPECT_EQ(a.video().format, b.video().format);
  EXPECT_EQ(a.video().width, b.video().width);
  EXPECT_EQ(a.video().height, b.video().height);
  EXPECT_EQ(av_q2d(a.video().sample_aspect), av_q2d(b.video().sample_aspect));
  ASSERT_EQ(a.audio().size(), b.audio().size());
  for (std::size_t i = 0; i < a.audio().size(); ++i) {
    EXPECT_EQ(a.audio()[i]->hashes, b.audio()[i]->hashes) << "sound " << i;
    EXPECT_TRUE(same_times(*a.audio()[i], *b.audio()[i], slack))
        << "sound " << i << " from " << a.audio()[i]->pts.front() << " to "
        << b.audio()[i]->pts.front();
  }
}

struct Conversion {
  const char* name;
  const char *in, *out;
  ClipOptions clip;
  double slack = 0;  // seconds; a container that counts in milliseconds cannot be exact
};

std::vector<Conversion> conversion_cases() {
  std::vector<Conversion> cases;
  const auto add = [&](const char* name, auto&& set, const char* in = "in.mp4",
                       const char* out = "out.mp4", double slack = 0) {
    ClipOptions clip;
    set(clip);
    cases.push_back({name, in, out, clip, slack});
  };
  add("constant_rate", [](ClipOptions&) {});
  add("ntsc_rate", [](ClipOptions& c) {
    c.time_base = {1, 30000}, c.frame_rate = {30000, 1001}, c.audio_streams = 1;
  });
  add("variable_rate", [](ClipOptions& c) {
    c.pts = {0, 512, 1024, 1100, 1300, 4000, 4001, 9000, 20000, 20512, 21024, 21536, 30000},
    c.audio_streams = 1;
  });
  add("variable_rate_with_b_frames", [](ClipOptions& c) {
    c.pts = {0, 512, 700, 1100, 1300, 4000, 4100, 9000, 20000, 20512, 21024, 21536, 30000},
    c.b_frames = 2;
  });
  add("b_frames_and_sound", [](ClipOptions& c) { c.b_frames = 3, c.audio_streams = 1; });
  add("two_sounds", [](ClipOptions& c) { c.audio_streams = 2; });
  add("sound_starts_late", [](ClipOptions& c) { c.audio_streams = 1, c.audio_start = 12345; });
  add("video_starts_late", [](ClipOptions& c) {
    c.audio_streams = 1;
    for (int i = 0; i < 24; ++i) c.pts.push_back(7777 + 512 * i);
  });
  add("both_start_late", [](ClipOptions& c) {
    c.audio_streams = 1, c.audio_start = 96001;
    for (int i = 0; i < 24; ++i) c.pts.push_back(25001 + 512 * i);
  });
  add("wide_pixels_full_range_601", [](ClipOptions& c) {
    c.sample_aspect = {4, 3}, c.full_range = true, c.colour_space = AVCOL_SPC_SMPTE170M;
  });
  add("ten_bits", [](ClipOptions& c) {
    c.pixel_format = AV_PIX_FMT_YUV420P10, c.colour_space = AVCOL_SPC_BT2020_NCL;
  });
  add("four_two_two", [](ClipOptions& c) { c.pixel_format = AV_PIX_FMT_YUV422P; });
  for (const int degrees : {90, 180, 270}) {
    static const char* names[] = {"turned_90", "turned_180", "turned_270"};
    add(names[degrees / 90 - 1],
        [&](ClipOptions& c) { c.matrix = turn(degrees), c.audio_streams = 1; });
  }
  add("mirrored", [](ClipOptions& c) { c.matrix = turn(0, true); });
  add(
      "mkv_to_mkv", [](ClipOptions& c) { c.audio_streams = 1, c.b_frames = 2; }, "in.mkv",
      "out.mkv");
  add(
      "mkv_to_mp4", [](ClipOptions& c) { c.audio_streams = 1, c.b_frames = 2; }, "in.mkv",
      "out.mp4");
  add(
      "mkv_variable_rate_to_mp4",
      [](ClipOptions& c) {
        c.time_base = {1, 1000}, c.pts = {0, 33, 66, 100, 101, 500, 777, 1500};
      },
      "in.mkv", "out.mp4");
  add(
      "mp4_to_mkv", [](ClipOptions& c) { c.audio_streams = 1, c.b_frames = 2; }, "in.mp4",
      "out.mkv", 0.00051);
  add(
      "mov_to_mov", [](ClipOptions& c) { c.audio_streams = 1, c.audio_codec = "pcm_s16le"; },
      "in.mov", "out.mov");
  add(
      "avi_to_mkv",
      [](ClipOptions& c) {
        c.codec = "mpeg4", c.time_base = {1, 25}, c.audio_streams = 1, c.audio_codec = "pcm_s16le";
      },
      "in.avi", "out.mkv", 0.00051);
  add(
      "ts_to_mp4",
      [](ClipOptions& c) {
        c.time_base = {1, 90000};
      },
      "in.ts", "out.mp4");
  return cases;
}

class KeptByConversion : public ::testing::TestWithParam<Conversion> {};
}  // namespace

TEST_P(KeptByConversion, TimesSoundAndTags) {
  const Conversion& c = GetParam();
  const Scratch scratch;
  make_clip(scratch / c.in, c.clip);
  convert_clip(scratch / c.in, scratch / c.out, quick(), {24, 16, 16, 16});
  const Probed before = probe(scratch / c.in), after = probe(scratch / c.out);
  expect_same_stream(before, after, c.slack);
  EXPECT_EQ(before.video().pts.size(), c.clip.pts.empty() ? 24 : c.clip.pts.size());
  if (c.slack == 0 && std::string_view(c.in).substr(2) == std::string_view(c.out).substr(3)) {
    EXPECT_EQ(before.video().pts, after.video().pts);  // the same numbers, not only the same times
  }
}

INSTANTIATE_TEST_SUITE_P(Media, KeptByConversion, ::testing::ValuesIn(conversion_cases()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Media, FramesHaveTheirPtsAndRiseStrictly) {
  const Scratch scratch;
  ClipOptions clip;
  clip.pts = {0, 512, 1024, 1100, 1300, 4000, 4001, 9000};
  clip.b_frames = 2;
  make_clip(scratch / "in.mp4", clip);
  const auto source = open_source(scratch / "in.mp4");
  EXPECT_EQ(source->info().kind, SourceInfo::video);
  EXPECT_EQ(source->info().time_base.den, 12800);
  EXPECT_EQ(source->info().frames, 8);
  EXPECT_FALSE(source->info().has_audio);
  EXPECT_EQ(source->info().codec, "h264");
  std::vector<std::int64_t> pts;
  for (Frame frame; source->next(frame);) {
    EXPECT_EQ(frame.index, static_cast<std::int64_t>(pts.size()));
    EXPECT_DOUBLE_EQ(frame.seconds, static_cast<double>(frame.pts) / 12800);
    pts.push_back(frame.pts);
  }
  EXPECT_EQ(pts, clip.pts);
  EXPECT_EQ(source->info().damaged_frames, 0);
  EXPECT_EQ(source->info().repaired_times, 0);
}

// Compares planes sample by sample, before and after: crf 0 is lossless.
class OutsideTheBox : public ::testing::TestWithParam<std::tuple<AVPixelFormat, int, bool>> {};

TEST_P(OutsideTheBox, EverySampleStays) {
  const auto [format, degrees, mirrored] = GetParam();
  const Scratch scratch;
  ClipOptions clip;
  clip.pixel_format = format;
  if (degrees != 0 || mirrored) clip.matrix = turn(degrees, mirrored);
  clip.pts = {0, 512, 1024, 1536};
  make_clip(scratch / "in.mp4", clip);
  const Box box{11, 13, 21, 17};  // odd on purpose: grows to the chroma grid
  EXPECT_EQ(convert_clip(scratch / "in.mp4", scratch / "out.mp4", quick(0), box), "");

  const auto before = decode_planes(scratch / "in.mp4"), after = decode_planes(scratch / "out.mp4");
  ASSERT_EQ(before.size(), 4u);
  ASSERT_EQ(after.size(), 4u);
  const AVPixFmtDescriptor* d = av_pix_fmt_desc_get(format);
  // Stored pixel (x, y) -> upright, by the definition of the display matrix and a shift
  // that makes coordinates positive.
  const std::vector<std::int32_t> m = clip.matrix.empty() ? turn(0) : clip.matrix;
  const auto sign = [](std::int32_t v) { return v > 0 ? 1 : v < 0 ? -1 : 0; };
  const auto upright = [&, a = sign(m[0]), b = sign(m[1]), c = sign(m[3]), e = sign(m[4])](int x,
                                                                                           int y) {
    return std::pair(a * x + c * y + (a < 0 ? 95 : 0) + (c < 0 ? 63 : 0),
                     b * x + e * y + (b < 0 ? 95 : 0) + (e < 0 ? 63 : 0));
  };
  for (std::size_t f = 0; f < 4; ++f) {
    ASSERT_EQ(after[f]->format, format);
    int changed = 0, outside = 0;
    for (int plane = 0; plane < av_pix_fmt_count_planes(format); ++plane) {
      const bool chroma = plane > 0;
      const int sx = chroma ? d->log2_chroma_w : 0, sy = chroma ? d->log2_chroma_h : 0,
                bytes = d->comp[0].depth > 8 ? 2 : 1;
      for (int y = 0; y < 64 >> sy; ++y)
        for (int x = 0; x < 96 >> sx; ++x) {
          // A sample is inside if its chroma cell (luma: that of its 2x2 block) touches
          // the box.
          bool inside = false;
          const int cell_x = (x << sx) >> d->log2_chroma_w << d->log2_chroma_w,
                    cell_y = (y << sy) >> d->log2_chroma_h << d->log2_chroma_h;
          for (int dy = 0; dy < 1 << d->log2_chroma_h; ++dy)
            for (int dx = 0; dx < 1 << d->log2_chroma_w; ++dx) {
              const auto [ux, uy] = upright(cell_x + dx, cell_y + dy);
              inside = inside || (ux >= box.x && ux < box.x + box.width && uy >= box.y &&
                                  uy < box.y + box.height);
            }
          const bool same =
              std::equal(before[f]->data[plane] + y * before[f]->linesize[plane] + x * bytes,
                         before[f]->data[plane] + y * before[f]->linesize[plane] + (x + 1) * bytes,
                         after[f]->data[plane] + y * after[f]->linesize[plane] + x * bytes);
          if (!inside) ++outside;
          if (!inside && !same)
            FAIL() << "frame " << f << " plane " << plane << " sample " << x << "," << y
                   << " outside the box changed";
          changed += inside && !same;
        }
    }
    EXPECT_GT(changed, 400);
    EXPECT_GT(outside, 4000);
  }

  // And seen upright, the colour stands where it was painted.
  const auto source = open_source(scratch / "out.mp4"), original = open_source(scratch / "in.mp4");
  EXPECT_EQ(source->info().rotation, degrees);
  EXPECT_EQ(source->info().width, degrees % 180 ? 64 : 96);
  Frame frame, old;
  ASSERT_TRUE(source->next(frame) && original->next(old));
  const std::uint8_t* centre = frame.rgb.at(box.x + box.width / 2, box.y + box.height / 2);
  EXPECT_NEAR(centre[0], 220, 4);
  EXPECT_NEAR(centre[1], 30, 4);
  EXPECT_NEAR(centre[2], 60, 4);
  for (const auto& [x, y] : {std::pair(2, 2),
                             {60, 3},
                             {3, 60},
                             {50, 50},
                             {box.x - 5, box.y + 5},
                             {box.x + box.width + 5, box.y + 5}})
    for (int c = 0; c < 3; ++c)
      EXPECT_EQ(frame.rgb.at(x, y)[c], old.rgb.at(x, y)[c]) << x << "," << y;
}

INSTANTIATE_TEST_SUITE_P(
    Media, OutsideTheBox,
    ::testing::Combine(::testing::Values(AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUV422P, AV_PIX_FMT_YUV444P,
                                         AV_PIX_FMT_YUV420P10),
                       ::testing::Values(0, 90, 180, 270), ::testing::Values(false, true)),
    [](const auto& test) {
      return std::string(av_get_pix_fmt_name(std::get<0>(test.param))) + "_" +
             std::to_string(std::get<1>(test.param)) + (std::get<2>(test.param) ? "_mirrored" : "");
    });

TEST(Media, AnEmptyBoxChangesNothing) {
  const Scratch scratch;
  make_clip(scratch / "in.mp4", {});
  convert_clip(scratch / "in.mp4", scratch / "out.mp4", quick(0), {5, 5, 0, 9});
  const auto before = decode_planes(scratch / "in.mp4"), after = decode_planes(scratch / "out.mp4");
  ASSERT_EQ(before.size(), after.size());
  for (std::size_t f = 0; f < before.size(); ++f)
    for (int plane = 0; plane < 3; ++plane)
      for (int y = 0; y < (plane ? 32 : 64); ++y)
        ASSERT_TRUE(
            std::equal(before[f]->data[plane] + y * before[f]->linesize[plane],
                       before[f]->data[plane] + y * before[f]->linesize[plane] + (plane ? 48 : 96),
                       after[f]->data[plane] + y * after[f]->linesize[plane]));
}

// The pixels read back inside an unchanged but converted box differ by rounding only.
TEST(Media, AnUnpaintedBoxStaysWithinRounding) {
  const Scratch scratch;
  ClipOptions clip;
  clip.pixel_format = AV_PIX_FMT_YUV444P;
  make_clip(scratch / "in.mp4", clip);
  const auto source = open_source(scratch / "in.mp4");
  const auto sink = open_sink(scratch / "out.mp4", source->info(), quick(0));
  std::vector<Image> seen;
  for (Frame frame; source->next(frame); seen.push_back(frame.rgb))
    sink->write(frame, {10, 10, 50, 30});
  sink->finish();
  const auto before = decode_planes(scratch / "in.mp4"), after = decode_planes(scratch / "out.mp4");
  int largest = 0, compared = 0;
  for (std::size_t f = 0; f < before.size(); ++f)
    for (int y = 0; y < 64; ++y)
      for (int x = 0; x < 96; ++x) {
        const std::uint8_t* rgb = seen[f].at(x, y);
        if (std::any_of(rgb, rgb + 3, [](std::uint8_t v) { return v == 0 || v == 255; }))
          continue;  // no RGB colour: clipped, not rounded
        ++compared;
        for (int plane = 0; plane < 3; ++plane)
          largest = std::max(largest,
                             std::abs(before[f]->data[plane][y * before[f]->linesize[plane] + x] -
                                      after[f]->data[plane][y * after[f]->linesize[plane] + x]));
      }
  EXPECT_GT(compared, 50000);
  EXPECT_LE(largest, 2);
}

// Flat colours through each matrix and range, against the definition of Y'CbCr.
TEST(Media, ColoursFollowTheTags) {
  const Scratch scratch;
  struct Case {
    AVColorSpace space;
    bool full;
    double kr, kb;
  };
  for (const Case& c : {Case{AVCOL_SPC_BT709, false, 0.2126, 0.0722},
                        {AVCOL_SPC_SMPTE170M, false, 0.299, 0.114},
                        {AVCOL_SPC_BT709, true, 0.2126, 0.0722},
                        {AVCOL_SPC_BT2020_NCL, false, 0.2627, 0.0593},
                        {AVCOL_SPC_UNSPECIFIED, false, 0.299, 0.114}}) {
    ClipOptions clip;
    clip.colour_space = c.space, clip.full_range = c.full;
    clip.pixel_format = AV_PIX_FMT_YUV444P;
    const auto path = scratch / "colour.mkv";
    make_clip(path, clip);
    const auto planes = decode_planes(path);
    const auto source = open_source(path);
    Frame frame;
    ASSERT_TRUE(source->next(frame));
    double worst = 0;
    for (int y = 0; y < 64; ++y)
      for (int x = 0; x < 96; ++x) {
        const auto sample = [&](int plane) {
          return planes[0]->data[plane][y * planes[0]->linesize[plane] + x];
        };
        const double luma = c.full ? sample(0) / 255.0 : (sample(0) - 16) / 219.0,
                     pb = (sample(1) - 128) / (c.full ? 255.0 : 224.0),
                     pr = (sample(2) - 128) / (c.full ? 255.0 : 224.0);
        const double r = luma + 2 * (1 - c.kr) * pr, b = luma + 2 * (1 - c.kb) * pb,
                     g = (luma - c.kr * r - c.kb * b) / (1 - c.kr - c.kb);
        const double rgb[3] = {r, g, b};
        for (int k = 0; k < 3; ++k)
          worst =
              std::max(worst, std::abs(std::clamp(rgb[k], 0.0, 1.0) * 255 - frame.rgb.at(x, y)[k]));
      }
    EXPECT_LT(worst, 2.0) << "matrix " << c.space << (c.full ? " full" : " limited");
  }
}

TEST(Media, ASizeThatChangesOnTheWayIsScaledAndCounted) {
  const Scratch scratch;
  ClipOptions clip;
  clip.time_base = {1, 90000};
  clip.resize_at = 10;
  make_clip(scratch / "in.ts", clip);
  const auto source = open_source(scratch / "in.ts");
  const auto sink = open_sink(scratch / "out.mp4", source->info(), quick());
  int frames = 0;
  for (Frame frame; source->next(frame); ++frames) {
    ASSERT_EQ(frame.rgb.width, 96);
    ASSERT_EQ(frame.rgb.height, 64);
    sink->write(frame, {8, 8, 16, 16});
  }
  sink->finish();
  EXPECT_EQ(frames, 24);
  EXPECT_EQ(source->info().resized_frames, 14);
  EXPECT_TRUE(same_times(probe(scratch / "in.ts").video(), probe(scratch / "out.mp4").video()));
}

TEST(Media, OddSizesAreWrittenEvenAndSaid) {
  const Scratch scratch;
  ClipOptions clip;
  clip.codec = "ffv1", clip.width = 65, clip.height = 47, clip.time_base = {1, 1000};
  make_clip(scratch / "in.mkv", clip);
  const std::string notes =
      convert_clip(scratch / "in.mkv", scratch / "out.mkv", quick(0), {50, 30, 15, 17});
  EXPECT_NE(notes.find("66x48"), std::string::npos) << notes;
  const auto before = decode_planes(scratch / "in.mkv"), after = decode_planes(scratch / "out.mkv");
  ASSERT_EQ(after.size(), 24u);
  EXPECT_EQ(after[0]->width, 66);
  EXPECT_EQ(after[0]->height, 48);
  for (int y = 0; y < 47; ++y)
    for (int x = 0; x < 50; ++x) {
      if (x >= 50 && y >= 30) continue;
      ASSERT_EQ(before[3]->data[0][y * before[3]->linesize[0] + x],
                after[3]->data[0][y * after[3]->linesize[0] + x]);
    }
  EXPECT_EQ(after[3]->data[0][10 * after[3]->linesize[0] + 65],
            after[3]->data[0][10 * after[3]->linesize[0] + 64]);
}

TEST(Media, RgbSourcesAreConvertedAndSaid) {
  const Scratch scratch;
  ClipOptions clip;
  clip.codec = "ffv1", clip.pixel_format = AV_PIX_FMT_0RGB32, clip.colour_space = AVCOL_SPC_RGB,
  clip.time_base = {1, 1000};
  make_clip(scratch / "in.mkv", clip);
  const std::string notes =
      convert_clip(scratch / "in.mkv", scratch / "out.mkv", quick(10), {20, 20, 20, 20});
  EXPECT_NE(notes.find("yuv420p"), std::string::npos) << notes;
  const Probed out = probe(scratch / "out.mkv");
  EXPECT_EQ(out.video().space, AVCOL_SPC_BT709);
  const auto source = open_source(scratch / "out.mkv");
  Frame frame;
  ASSERT_TRUE(source->next(frame));
  EXPECT_NEAR(frame.rgb.at(30, 30)[0], 220, 8);
  EXPECT_NEAR(frame.rgb.at(30, 30)[1], 30, 8);
}

TEST(Media, MetadataIsKeptAndTheCommentAdded) {
  const Scratch scratch;
  for (const char* suffix : {".mp4", ".mkv", ".mov"}) {
    ClipOptions clip;
    clip.metadata = {{"title", "A film"}, {"comment", "shot by hand"}};
    const auto in = scratch / ("in" + std::string(suffix)),
               out = scratch / ("out" + std::string(suffix));
    make_clip(in, clip);
    SinkOptions options = quick();
    options.comment = "AI-generated: test";
    convert_clip(in, out, options, {0, 0, 8, 8});
    const Probed after = probe(out);
    EXPECT_EQ(after.tag("title"), "A film") << suffix;
    EXPECT_EQ(after.tag("comment"), "AI-generated: test | shot by hand") << suffix;
  }
}

TEST(Media, UnusualMetadataKeysSurviveInMp4) {
  const Scratch scratch;
  ClipOptions clip;
  clip.metadata = {{"com.example.camera", "number 5"}};
  clip.options = "movflags=use_metadata_tags";
  make_clip(scratch / "in.mp4", clip);
  SinkOptions options = quick();
  options.comment = "AI-generated";
  convert_clip(scratch / "in.mp4", scratch / "out.mp4", options, {0, 0, 8, 8});
  EXPECT_EQ(probe(scratch / "out.mp4").tag("com.example.camera"), "number 5");
  EXPECT_EQ(probe(scratch / "out.mp4").tag("comment"), "AI-generated");
}

TEST(Media, StoppingEarlyEndsTheSoundToo) {
  const Scratch scratch;
  ClipOptions clip;
  for (int i = 0; i < 100; ++i) clip.pts.push_back(512 * i);
  clip.audio_streams = 1;
  make_clip(scratch / "in.mp4", clip);
  convert_clip(scratch / "in.mp4", scratch / "out.mp4", quick(), {0, 0, 8, 8}, 25);
  const Probed out = probe(scratch / "out.mp4");
  EXPECT_EQ(out.video().pts.size(), 25u);
  const double sound_end =
      static_cast<double>(out.audio()[0]->pts.back()) * av_q2d(out.audio()[0]->time_base);
  EXPECT_GT(sound_end, 0.9);
  EXPECT_LT(sound_end, 1.1);
}

TEST(Media, SoundCanBeLeftOut) {
  const Scratch scratch;
  ClipOptions clip;
  clip.audio_streams = 1;
  make_clip(scratch / "in.mp4", clip);
  SinkOptions options = quick();
  options.copy_audio = false;
  convert_clip(scratch / "in.mp4", scratch / "out.mp4", options, {0, 0, 8, 8});
  EXPECT_TRUE(probe(scratch / "out.mp4").audio().empty());
}

TEST(Media, TheSameRunGivesTheSameBytes) {
  const Scratch scratch;
  ClipOptions clip;
  clip.audio_streams = 1, clip.b_frames = 2;
  make_clip(scratch / "in.mp4", clip);
  std::string bytes[2];
  for (int i = 0; i < 2; ++i) {
    const auto out = scratch / ("out" + std::to_string(i) + ".mp4");
    convert_clip(scratch / "in.mp4", out, quick(), {8, 8, 20, 20});
    std::ifstream file(out, std::ios::binary);
    bytes[i].assign(std::istreambuf_iterator<char>(file), {});
  }
  EXPECT_GT(bytes[0].size(), 1000u);
  EXPECT_TRUE(bytes[0] == bytes[1]);
}

TEST(Media, VideoMakerWritesPicturesAndSound) {
  const Scratch scratch;
  for (const char* name : {"made.mp4", "made.mkv"}) {
    const auto maker = make_video(scratch / name, 128, 96, {30000, 1001}, quick(4));
    const std::uint8_t colours[3][3] = {{200, 40, 40}, {40, 190, 60}, {50, 60, 210}};
    for (int i = 0; i < 30; ++i) {
      Image image(128, 96);
      for (int y = 0; y < 96; ++y)
        for (int x = 0; x < 128; ++x)
          std::copy_n(colours[(x / 43 + i / 10) % 3], 3, image.at(x, y));
      maker->write(image);
    }
    std::vector<std::int16_t> sound(48000);
    for (std::size_t i = 0; i < sound.size(); ++i)
      sound[i] = static_cast<std::int16_t>(8000 * std::sin(static_cast<double>(i) * 0.05));
    maker->finish(sound);

    const Probed made = probe(scratch / name);
    EXPECT_EQ(made.video().pts.size(), 30u);
    EXPECT_EQ(made.video().space, AVCOL_SPC_BT709);
    EXPECT_EQ(made.video().range, AVCOL_RANGE_MPEG);
    ASSERT_EQ(made.audio().size(), 1u);
    EXPECT_NEAR(static_cast<double>(made.audio()[0]->pts.size()) * 1024 / 48000, 1.0, 0.06);
    const auto source = open_source(scratch / name);
    EXPECT_NEAR(source->info().frame_rate.value(), 29.97, 0.01);
    EXPECT_TRUE(source->info().has_audio);
    int frames = 0;
    for (Frame frame; source->next(frame); ++frames) {
      EXPECT_NEAR(frame.seconds, frames * 1001.0 / 30000, 0.00051);
      for (int bar = 0; bar < 3; ++bar)
        for (int c = 0; c < 3; ++c)
          EXPECT_NEAR(frame.rgb.at(20 + 43 * bar, 50)[c], colours[(bar + frames / 10) % 3][c], 5);
    }
    EXPECT_EQ(frames, 30);
  }
}

TEST(Media, VideoMakerRefusesWhatItCannotWrite) {
  const Scratch scratch;
  const auto kind_of = [&](auto&& action) {
    try {
      action();
    } catch (const Error& error) { return error.kind(); }
    return ErrorKind::failure;
  };
  EXPECT_EQ(kind_of([&] {
              make_video(scratch / "a.mp4", 127, 96, {25, 1}, quick());
            }),
            ErrorKind::usage);
  EXPECT_EQ(kind_of([&] {
              make_video(scratch / "a.xyz", 128, 96, {25, 1}, quick());
            }),
            ErrorKind::usage);
  EXPECT_EQ(kind_of([&] {
              make_video(scratch / "no" / "a.mp4", 128, 96, {25, 1}, quick());
            }),
            ErrorKind::disk);
  EXPECT_EQ(kind_of([&] {
              make_video(scratch / "a.mp4", 128, 96, {25, 1}, quick())->finish();
            }),
            ErrorKind::nothing_found);
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path));
}

// Clips as people have them: those beside the checkout, if there are any.
TEST(Media, RealClips) {
  const char* named = std::getenv("DOPPEL_MEDIA_DIR");
  const std::filesystem::path folder =
      named ? std::filesystem::path(named)
            : std::filesystem::path(DOPPEL_SOURCE_DIR) / ".." / "shared" / "media";
  if (!std::filesystem::exists(folder / "crowd.mp4")) GTEST_SKIP() << "no real clips in " << folder;
  const Scratch scratch;
  for (const char* name : {"crowd.mp4", "speaker_a.mp4"}) {
    const auto out = scratch / name;
    const auto source = open_source(folder / name);
    const auto sink = open_sink(out, source->info(), quick());
    int frames = 0;
    for (Frame frame; source->next(frame); ++frames)
      sink->write(frame, {frame.rgb.width / 3, frame.rgb.height / 3, 100, 90});
    sink->finish();
    EXPECT_EQ(source->info().damaged_frames, 0);
    EXPECT_EQ(source->info().frames, frames);
    const Probed before = probe(folder / name), after = probe(out);
    expect_same_stream(before, after);
    EXPECT_EQ(before.video().pts, after.video().pts);
  }
}
#endif
