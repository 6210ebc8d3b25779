// The talking heads: the picture must agree with its own truth (landmarks, mask), stay the same from run to run, and show two people.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <fstream>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <numbers>
#include <thread>

#include "faceswap/faces/face.h"
#include "faceswap/media/media.h"
#include "faceswap/synthetic/clip.h"
#include "tests/faceswap/scratch.h"

namespace faceswap {
namespace {

double luma(const Image& image, int x, int y) {
  const std::uint8_t* p = image.at(x, y);
  return 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
}

double distance(Point a, Point b) { return std::hypot(a.x - b.x, a.y - b.y); }

ErrorKind kind_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) { return error.kind(); }
  ADD_FAILURE() << "no Error was thrown";
  return ErrorKind::failure;
}

// The middle of what is dark (iris and pupil, where it is called for) within `radius` pixels of a point.
Point dark_centre(const Image& image, Point around, double radius) {
  double sum = 0, sx = 0, sy = 0;
  for (int y = static_cast<int>(around.y - radius); y <= around.y + radius + 1; ++y) {
    for (int x = static_cast<int>(around.x - radius); x <= around.x + radius + 1; ++x) {
      if (std::hypot(x - around.x, y - around.y) > radius) continue;
      const double dark = std::max(0.0, 110 - luma(image, x, y));
      sum += dark;
      sx += dark * x;
      sy += dark * y;
    }
  }
  return sum > 0 ? Point{sx / sum, sy / sum} : Point{-1e9, -1e9};
}

TEST(DrawHead, IsTheSameEveryTimeOnEveryThread) {
  const HeadPose pose = talking_pose(1.3, 5);
  const HeadPicture first = draw_head(head_identity('b'), pose, 160, 120, 2, 7);
  std::vector<HeadPicture> others(4);
  std::vector<std::thread> threads;
  for (HeadPicture& other : others)
    threads.emplace_back([&] { other = draw_head(head_identity('b'), pose, 160, 120, 2, 7); });
  for (std::thread& thread : threads) thread.join();
  for (const HeadPicture& other : others) {
    EXPECT_EQ(first.rgb.pixels, other.rgb.pixels);
    EXPECT_EQ(first.mask.pixels, other.mask.pixels);
  }
}

TEST(DrawHead, PupilsAreWhereTheEyesAre) {
  for (const char person : {'a', 'b'}) {
    for (const auto& [yaw, pitch, roll] :
         {std::array{0.f, 0.f, 0.f}, std::array{0.25f, 0.1f, 0.f}, std::array{-0.25f, -0.1f, 0.2f},
          std::array{0.f, 0.f, -0.5f}}) {
      HeadPose pose;
      pose.yaw = yaw, pose.pitch = pitch, pose.roll = roll;
      const HeadPicture picture = draw_head(head_identity(person), pose, 640, 480, 0, 1);
      for (int eye = 0; eye < 2; ++eye) {
        const Point pupil = dark_centre(picture.rgb, picture.landmarks[eye], 7);
        EXPECT_LT(distance(pupil, picture.landmarks[eye]), 2)
            << "person " << person << " eye " << eye << " yaw " << yaw << " roll " << roll;
      }
    }
  }
}

TEST(DrawHead, GazeMovesThePupilAndALidHidesIt) {
  HeadPose pose;
  pose.gaze_x = 0.6f;
  const HeadPicture looking = draw_head(head_identity('a'), pose, 640, 480, 0, 1);
  const Point pupil =
      dark_centre(looking.rgb, {looking.landmarks[0].x + 3, looking.landmarks[0].y}, 8);
  EXPECT_GT(pupil.x, looking.landmarks[0].x + 2);
  pose.gaze_x = 0;
  pose.blink = 1;
  const HeadPicture closed = draw_head(head_identity('a'), pose, 640, 480, 0, 1);
  const Point eye = closed.landmarks[0];
  pose.blink = 0;
  const HeadPicture open = draw_head(head_identity('a'), pose, 640, 480, 0, 1);
  const int x = static_cast<int>(std::lround(eye.x)), y = static_cast<int>(std::lround(eye.y));
  EXPECT_GT(luma(closed.rgb, x, y + 4), luma(open.rgb, x, y + 2) + 40);
}

TEST(DrawHead, LandmarksFollowRollPictureSizeAndJaw) {
  HeadPose pose;
  pose.roll = 0.4f;
  const HeadPicture small = draw_head(head_identity('a'), pose, 320, 240, 0, 1),
                    large = draw_head(head_identity('a'), pose, 640, 480, 0, 1);
  const Point left = small.landmarks[0], right = small.landmarks[1];
  EXPECT_NEAR(std::atan2(right.y - left.y, right.x - left.x), -0.4,
              1e-3);  // to the head's left shoulder, counterclockwise in the picture
  for (int k = 0; k < 5; ++k) {
    EXPECT_NEAR((small.landmarks[k].x + 0.5) * 2 - 0.5, large.landmarks[k].x, 1e-2);
    EXPECT_NEAR((small.landmarks[k].y + 0.5) * 2 - 0.5, large.landmarks[k].y, 1e-2);
  }
  pose.roll = 0;
  const HeadPicture shut = draw_head(head_identity('a'), pose, 640, 480, 0, 1);
  pose.mouth_open = 1;
  const HeadPicture open = draw_head(head_identity('a'), pose, 640, 480, 0, 1);
  EXPECT_GT(open.landmarks[3].x, shut.landmarks[3].x + 2);  // an open mouth is narrower
  EXPECT_NEAR(open.landmarks[0].y, shut.landmarks[0].y, 1e-3);
  const int x = static_cast<int>(std::lround(open.landmarks[2].x)),
            y = static_cast<int>(std::lround(0.5 * (open.landmarks[3].y + open.landmarks[4].y)));
  double darkest = 255;
  for (int dy = -12; dy <= 12; ++dy) darkest = std::min(darkest, luma(open.rgb, x, y + dy));
  EXPECT_LT(darkest, 40) << "no dark mouth between the corners";
}

TEST(DrawHead, MaskCoversTheFaceAndOnlyTheFace) {
  for (const char person : {'a', 'b'}) {
    HeadPose pose;
    const HeadPicture picture = draw_head(head_identity(person), pose, 640, 480, 1, 3);
    for (const Point& p : picture.landmarks)
      EXPECT_EQ(
          *picture.mask.at(static_cast<int>(std::lround(p.x)), static_cast<int>(std::lround(p.y))),
          255);
    const double unit = 0.24 * 480;  // pixels
    const auto mask_at = [&](double x, double y) {
      return *picture.mask.at(static_cast<int>(320 + unit * x), static_cast<int>(240 - unit * y));
    };
    EXPECT_EQ(mask_at(0, 0.95), 0) << "hair";
    EXPECT_EQ(mask_at(0, -1.35), 0) << "neck";
    EXPECT_EQ(mask_at(1.2, 0), 0) << "wall";
    double area = 0;
    for (const std::uint8_t v : picture.mask.pixels) area += v / 255.0;
    const double ellipse = std::numbers::pi * 0.79 * 1.06 * unit * unit;  // the whole head
    EXPECT_GT(area, 0.55 * ellipse);
    EXPECT_LT(area, 0.90 * ellipse);
  }
}

TEST(DrawHead, TheRoomChangesNothingOnTheFace) {
  const HeadPose pose = talking_pose(2.0, 6);
  const HeadPicture plain = draw_head(head_identity('b'), pose, 320, 240, 0, 4),
                    shelves = draw_head(head_identity('b'), pose, 320, 240, 2, 4);
  EXPECT_EQ(plain.mask.pixels, shelves.mask.pixels);
  int face = 0, wall_differs = 0;
  for (int y = 0; y < 240; ++y) {
    for (int x = 0; x < 320; ++x) {
      const bool same =
          std::equal(plain.rgb.at(x, y), plain.rgb.at(x, y) + 3, shelves.rgb.at(x, y));
      if (*plain.mask.at(x, y) == 255) {
        ++face;
        EXPECT_TRUE(same) << x << ',' << y;
      } else {
        wall_differs += !same;
      }
    }
  }
  EXPECT_GT(face, 3000);
  EXPECT_GT(wall_differs, 20000);
  EXPECT_NE(plain.rgb.pixels, draw_head(head_identity('b'), pose, 320, 240, 0, 5).rgb.pixels);
}

TEST(DrawHead, TwoPeopleMoveAlikeAndLookDifferent) {
  double difference = 0, furthest = 0;
  for (int i = 0; i < 8; ++i) {
    const HeadPose pose = talking_pose(0.7 * i, 5);
    const HeadPicture a = draw_head(head_identity('a'), pose, 320, 240, 0, 1),
                      b = draw_head(head_identity('b'), pose, 320, 240, 0, 1);
    for (int k = 0; k < 5; ++k)
      furthest = std::max(furthest, distance(a.landmarks[k], b.landmarks[k]));
    const Image crop_a = crop_face(a.rgb, similarity_from_eyes(a.landmarks[0], a.landmarks[1]), 64),
                crop_b = crop_face(b.rgb, similarity_from_eyes(b.landmarks[0], b.landmarks[1]), 64);
    for (int y = 16; y < 56; ++y) {
      for (int x = 16; x < 48; ++x)
        difference += std::fabs(luma(crop_a, x, y) - luma(crop_b, x, y)) / (8 * 40 * 32);
    }
  }
  EXPECT_LT(furthest, 6) << "pixels between the same landmark of both";
  EXPECT_GT(difference, 10) << "grey levels between the aligned faces";
}

TEST(DrawHead, OutsideThePictureIsNoTrouble) {
  HeadPose pose;
  pose.center_x = 0;
  const HeadPicture half = draw_head(head_identity('a'), pose, 160, 120, 0, 1);
  pose.center_x = 0.5f;
  const HeadPicture whole = draw_head(head_identity('a'), pose, 160, 120, 0, 1);
  const auto area = [](const HeadPicture& p) {
    return std::count(p.mask.pixels.begin(), p.mask.pixels.end(), 255);
  };
  EXPECT_NEAR(static_cast<double>(area(half)) / static_cast<double>(area(whole)), 0.5, 0.08);
  EXPECT_LT(half.landmarks[0].x, 0);
  pose.center_x = -5;
  EXPECT_EQ(area(draw_head(head_identity('a'), pose, 160, 120, 0, 1)), 0);
  pose.center_x = 900;
  pose.scale = 900;
  EXPECT_EQ(draw_head(head_identity('a'), pose, 33, 17, 0, 1).rgb.pixels.size(), 33u * 17 * 3);
  pose = {};
  pose.scale = 1e-4f;
  EXPECT_EQ(area(draw_head(head_identity('a'), pose, 160, 120, 0, 1)), 0);
}

TEST(DrawHead, RefusesNonsense) {
  const HeadIdentity& a = head_identity('a');
  EXPECT_EQ(kind_of([] { head_identity('c'); }), ErrorKind::usage);
  EXPECT_EQ(kind_of([&] { draw_head(a, {}, 0, 120, 0, 1); }), ErrorKind::usage);
  EXPECT_EQ(kind_of([&] { draw_head(a, {}, 160, 100000, 0, 1); }), ErrorKind::usage);
  EXPECT_EQ(kind_of([&] { draw_head(a, {}, 160, 120, 3, 1); }), ErrorKind::usage);
  HeadPose pose;
  pose.scale = 0;
  EXPECT_EQ(kind_of([&] { draw_head(a, pose, 160, 120, 0, 1); }), ErrorKind::usage);
  pose = {};
  pose.yaw = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(kind_of([&] { draw_head(a, pose, 160, 120, 0, 1); }), ErrorKind::usage);
}

TEST(TalkingPose, TalksBlinksAndMovesSmoothly) {
  for (const std::uint32_t seed : {0u, 5u, 6u, 4000000000u}) {
    float widest = 0, blink = 0, turn_left = 0, turn_right = 0, jump = 0;
    HeadPose before = talking_pose(0, seed);
    for (int frame = 1; frame < 500; ++frame) {
      const HeadPose pose = talking_pose(frame / 25.0, seed);
      widest = std::max(widest, pose.mouth_open);
      blink = std::max(blink, pose.blink);
      turn_left = std::min(turn_left, pose.yaw);
      turn_right = std::max(turn_right, pose.yaw);
      jump = std::max({jump, std::fabs(pose.yaw - before.yaw), std::fabs(pose.pitch - before.pitch),
                       std::fabs(pose.roll - before.roll),
                       std::fabs(pose.center_x - before.center_x)});
      before = pose;
    }
    EXPECT_GT(widest, 0.4f) << seed;
    EXPECT_GT(blink, 0.9f) << seed;
    EXPECT_LT(turn_left, -0.1f) << seed;
    EXPECT_GT(turn_right, 0.1f) << seed;
    EXPECT_LT(jump, 0.05f) << seed;
  }
  EXPECT_NE(talking_pose(1, 5).yaw, talking_pose(1, 6).yaw);
  EXPECT_EQ(talking_pose(1, 5).yaw, talking_pose(1, 5).yaw);
}

// --- clips

std::vector<std::string> lines_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

TEST(RenderClip, ShowsTheHeadAndTellsTheTruth) {
  if (!DOPPEL_MEDIA) GTEST_SKIP() << "this build has no video";
  const Scratch scratch;
  ClipOptions options;
  options.person = 'b';
  options.width = 160, options.height = 120, options.frames = 9, options.quiet = true;
  render_clip(options, scratch / "b.mp4", scratch / "b.jsonl");
  const std::vector<std::string> lines = lines_of(scratch / "b.jsonl");
  ASSERT_EQ(lines.size(), 9u);
  const std::unique_ptr<FrameSource> source = open_source(scratch / "b.mp4");
  EXPECT_TRUE(source->info().has_audio);
  int count = 0;
  for (Frame frame; source->next(frame); ++count) {
    ASSERT_LT(count, 9);
    const HeadPose pose = talking_pose(count / 25.0, 5);
    const HeadPicture drawn = draw_head(head_identity('b'), pose, 160, 120, 0, 1);
    double difference = 0;
    for (std::size_t i = 0; i < drawn.rgb.pixels.size(); ++i)
      difference += std::abs(drawn.rgb.pixels[i] - frame.rgb.pixels[i]);
    EXPECT_LT(difference / static_cast<double>(drawn.rgb.pixels.size()), 4) << "frame " << count;
    const nlohmann::json truth = nlohmann::json::parse(lines[count]);
    EXPECT_EQ(truth["frame"], count);
    for (int k = 0; k < 5; ++k) {
      EXPECT_NEAR(truth["landmarks"][k][0].get<double>(), drawn.landmarks[k].x, 1e-3);
      EXPECT_NEAR(truth["landmarks"][k][1].get<double>(), drawn.landmarks[k].y, 1e-3);
    }
    EXPECT_NEAR(truth["pose"]["yaw"].get<double>(), pose.yaw, 1e-3);
    EXPECT_NEAR(frame.seconds, count / 25.0, 1e-6);
  }
  EXPECT_EQ(count, 9);
}

TEST(RenderClip, SilentOnDemandAndNeverOverwritesUnasked) {
  if (!DOPPEL_MEDIA) GTEST_SKIP() << "this build has no video";
  const Scratch scratch;
  ClipOptions options;
  options.width = 64, options.height = 48, options.frames = 3, options.quiet = true,
  options.sound = false;
  render_clip(options, scratch / "a.mp4", scratch / "a.jsonl");
  EXPECT_FALSE(open_source(scratch / "a.mp4")->info().has_audio);
  const std::vector<std::string> before = lines_of(scratch / "a.jsonl");
  EXPECT_EQ(kind_of([&] { render_clip(options, scratch / "a.mp4"); }), ErrorKind::usage);
  EXPECT_EQ(kind_of([&] { render_clip(options, scratch / "new.mp4", scratch / "a.jsonl"); }),
            ErrorKind::usage);
  EXPECT_FALSE(std::filesystem::exists(scratch / "new.mp4"));
  EXPECT_EQ(lines_of(scratch / "a.jsonl"), before);
  options.force = true;
  options.pose_seed = 6;
  render_clip(options, scratch / "a.mp4", scratch / "a.jsonl");
  EXPECT_NE(lines_of(scratch / "a.jsonl"), before);
  EXPECT_EQ(kind_of([&] {
              render_clip(options, scratch / "b.mp4", scratch / "no_such_folder" / "b.jsonl");
            }),
            ErrorKind::disk);
}

TEST(RenderClip, RefusesNonsense) {
  const Scratch scratch;
  const auto refused = [&](const std::function<void(ClipOptions&)>& spoil) {
    ClipOptions options;
    options.quiet = true;
    spoil(options);
    EXPECT_EQ(kind_of([&] { render_clip(options, scratch / "x.mp4"); }), ErrorKind::usage);
    EXPECT_FALSE(std::filesystem::exists(scratch / "x.mp4"));
  };
  refused([](ClipOptions& o) { o.person = 'z'; });
  refused([](ClipOptions& o) { o.frames = 0; });
  refused([](ClipOptions& o) { o.fps = 0; });
  refused([](ClipOptions& o) { o.width = 161; });
  refused([](ClipOptions& o) { o.background = 9; });
}

// --- the measure of a swap

Image noise_picture(int width, int height, std::uint32_t seed) {
  Image image(width, height);
  for (std::uint8_t& v : image.pixels)
    v = static_cast<std::uint8_t>((seed = seed * 1664525u + 1013904223u) >> 24);
  return image;
}

Image full_mask(int width, int height) {
  Image mask(width, height, 1);
  std::fill(mask.pixels.begin(), mask.pixels.end(), 255);
  return mask;
}

Image box_blurred(const Image& image, int radius) {
  Image out = image;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      for (int c = 0; c < 3; ++c) {
        int sum = 0, count = 0;
        for (int dy = -radius; dy <= radius; ++dy) {
          for (int dx = -radius; dx <= radius; ++dx, ++count)
            sum += image.at(std::clamp(x + dx, 0, image.width - 1),
                            std::clamp(y + dy, 0, image.height - 1))[c];
        }
        out.at(x, y)[c] = static_cast<std::uint8_t>(sum / count);
      }
    }
  }
  return out;
}

// Independent, in double: Wang et al.'s SSIM at one pixel, borders mirrored without repeating the edge pixel.
double ssim_at(const Image& a, const Image& b, int x, int y) {
  const auto mirrored = [](int v, int n) { return v < 0 ? -v : v >= n ? 2 * n - 2 - v : v; };
  double weights = 0, ma = 0, mb = 0, aa = 0, bb = 0, ab = 0;
  for (int dy = -5; dy <= 5; ++dy) {
    for (int dx = -5; dx <= 5; ++dx) {
      const double w = std::exp(-(dx * dx + dy * dy) / (2 * 1.5 * 1.5));
      const int px = mirrored(x + dx, a.width), py = mirrored(y + dy, a.height);
      const double va = luma(a, px, py) / 255, vb = luma(b, px, py) / 255;
      weights += w, ma += w * va, mb += w * vb, aa += w * va * va, bb += w * vb * vb,
          ab += w * va * vb;
    }
  }
  ma /= weights, mb /= weights;
  const double var_a = aa / weights - ma * ma, var_b = bb / weights - mb * mb,
               cov = ab / weights - ma * mb, c1 = 1e-4, c2 = 9e-4;
  return (2 * ma * mb + c1) * (2 * cov + c2) / ((ma * ma + mb * mb + c1) * (var_a + var_b + c2));
}

std::array<double, 3> lab_of(const std::uint8_t* rgb) {
  const auto linear = [](double v) {
    return v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4);
  };
  const double r = linear(rgb[0] / 255.0), g = linear(rgb[1] / 255.0), b = linear(rgb[2] / 255.0);
  const auto f = [](double t) {
    return t > std::pow(6.0 / 29, 3) ? std::cbrt(t) : t / (3 * std::pow(6.0 / 29, 2)) + 4.0 / 29;
  };
  const double x = f((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505),
               y = f(0.2126 * r + 0.7152 * g + 0.0722 * b),
               z = f((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089);
  return {116 * y - 16, 500 * (x - y), 200 * (y - z)};
}

TEST(SwapMeter, EqualsTheFormulasInDouble) {
  const int width = 20, height = 16;
  const Image a = box_blurred(noise_picture(width, height, 1), 1),
              b = box_blurred(noise_picture(width, height, 2), 1);
  Image mask(width, height, 1);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x)
      *mask.at(x, y) = static_cast<std::uint8_t>(x < 3 ? 0 : (37 * x + 11 * y) % 256);
  }
  double ssim = 0, delta = 0, weights = 0;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const double w = *mask.at(x, y);
      const auto p = lab_of(a.at(x, y)), q = lab_of(b.at(x, y));
      ssim += w * ssim_at(a, b, x, y);
      delta += w * std::sqrt(std::pow(p[0] - q[0], 2) + std::pow(p[1] - q[1], 2) +
                             std::pow(p[2] - q[2], 2));
      weights += w;
    }
  }
  SwapMeter meter;
  meter.add(a, b, mask);
  EXPECT_NEAR(meter.result().ssim, ssim / weights, 1e-4);
  EXPECT_NEAR(meter.result().delta_e, delta / weights, 0.02);
  EXPECT_EQ(meter.result().frames, 1);
}

TEST(SwapMeter, PerfectIsPerfectAndBlurIsWorse) {
  const HeadPicture head = draw_head(head_identity('a'), {}, 160, 120, 0, 1);
  double last_ssim = 1.0 + 1e-9, last_delta = -1e-9;
  for (const int radius : {0, 1, 2, 4}) {
    SwapMeter meter;
    meter.add(box_blurred(head.rgb, radius), head.rgb, head.mask);
    const SwapQuality q = meter.result();
    if (radius == 0) {
      EXPECT_NEAR(q.ssim, 1, 1e-6);
      EXPECT_EQ(q.delta_e, 0);
    }
    EXPECT_LT(q.ssim, last_ssim);
    EXPECT_GT(q.delta_e, last_delta);
    last_ssim = q.ssim, last_delta = q.delta_e;
  }
}

TEST(SwapMeter, LooksOnlyInsideTheFaceAndPoolsFrames) {
  const int size = 40;
  const Image truth = box_blurred(noise_picture(size, size, 3), 2);
  Image left = full_mask(size, size), spoiled = truth;
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      if (x >= 20) *left.at(x, y) = 0;
      if (x >= 26)
        std::fill(spoiled.at(x, y), spoiled.at(x, y) + 3, 0);  // beyond the reach of the window
    }
  }
  SwapMeter meter;
  meter.add(spoiled, truth, left);
  EXPECT_NEAR(meter.result().ssim, 1, 1e-6);
  EXPECT_EQ(meter.result().delta_e, 0);
  // A second frame of whole area and constant colour difference counts by its area: twice the first.
  Image dark(size, size), light(size, size);
  std::fill(dark.pixels.begin(), dark.pixels.end(), 100);
  std::fill(light.pixels.begin(), light.pixels.end(), 140);
  const double difference = lab_of(light.at(0, 0))[0] - lab_of(dark.at(0, 0))[0];
  meter.add(dark, light, full_mask(size, size));
  EXPECT_NEAR(meter.result().delta_e, difference * 2 / 3, 1e-2);
  EXPECT_EQ(meter.result().frames, 2);
}

TEST(SwapMeter, RefusesWhatCannotBeCompared) {
  SwapMeter meter;
  EXPECT_EQ(kind_of([&] { meter.result(); }), ErrorKind::nothing_found);
  EXPECT_EQ(kind_of([&] { meter.add(Image(20, 20), Image(20, 21), full_mask(20, 20)); }),
            ErrorKind::failure);
  EXPECT_EQ(kind_of([&] { meter.add(Image(20, 20), Image(20, 20), Image(20, 20, 3)); }),
            ErrorKind::failure);
  meter.add(Image(20, 20), Image(20, 20), Image(20, 20, 1));  // an empty mask: still nothing
  EXPECT_EQ(kind_of([&] { meter.result(); }), ErrorKind::nothing_found);
}

}  // namespace
}  // namespace faceswap
