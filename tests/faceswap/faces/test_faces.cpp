// Similarities, face files and the egg mask, against double-precision matrices written out here.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <limits>
#include <random>

#include <nlohmann/json.hpp>

#include "faceswap/faces/gray.h"
#include "faceswap/media/media.h"
#include "tests/faceswap/scratch.h"

namespace {

using namespace faceswap;

struct Matrix {
  double m[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
};
Matrix matrix(const Similarity& s) { return {{{s.a, -s.b, s.tx}, {s.b, s.a, s.ty}, {0, 0, 1}}}; }
Matrix product(const Matrix& p, const Matrix& q) {
  Matrix r;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j)
      r.m[i][j] = p.m[i][0] * q.m[0][j] + p.m[i][1] * q.m[1][j] + p.m[i][2] * q.m[2][j];
  return r;
}
double difference(const Matrix& p, const Matrix& q) {
  double most = 0;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) most = std::max(most, std::abs(p.m[i][j] - q.m[i][j]));
  return most;
}

Similarity random_similarity(std::mt19937& random) {
  std::uniform_real_distribution<double> angle(-3.1, 3.1), log_scale(-1.5, 1.5), shift(-300, 300);
  const double s = std::exp(log_scale(random)), t = angle(random);
  return {s * std::cos(t), s * std::sin(t), shift(random), shift(random)};
}

ErrorKind kind_of(const std::function<void()>& act, std::string* message = nullptr) {
  try {
    act();
  } catch (const Error& e) {
    if (message) *message = e.what();
    return e.kind();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorKind::failure;
}

TEST(Similarity, AlgebraEqualsMatrices) {
  std::mt19937 random(1);
  for (int i = 0; i < 200; ++i) {
    const Similarity s = random_similarity(random), t = random_similarity(random);
    EXPECT_LT(difference(matrix(s.then(t)), product(matrix(t), matrix(s))), 1e-9);
    EXPECT_LT(difference(product(matrix(s.inverse()), matrix(s)), Matrix{}), 1e-9);
    const Point p = s.then(t)({17, -5}), q = t(s({17, -5}));
    EXPECT_NEAR(p.x, q.x, 1e-9);
    EXPECT_NEAR(p.y, q.y, 1e-9);
    EXPECT_NEAR(s.then(t).scale(), s.scale() * t.scale(), 1e-9);
    EXPECT_NEAR(std::remainder(s.then(t).angle() - s.angle() - t.angle(), 2 * M_PI), 0, 1e-9);
    const kernels::Affine affine = s.affine();
    EXPECT_NEAR(affine.a * 3 + affine.b * 4 + affine.c, s({3, 4}).x, 1e-3);
    EXPECT_NEAR(affine.d * 3 + affine.e * 4 + affine.f, s({3, 4}).y, 1e-3);
  }
  EXPECT_THROW((Similarity{0, 0, 1, 2}.inverse()), Error);
}

TEST(Similarity, EyesComeToTheirCanonicalPlaces) {
  const Point left{301.5, 210.25}, right{377, 231};
  const Similarity s = similarity_from_eyes(left, right);
  EXPECT_NEAR(s(left).x, 88, 1e-9);
  EXPECT_NEAR(s(left).y, 100, 1e-9);
  EXPECT_NEAR(s(right).x, 168, 1e-9);
  EXPECT_NEAR(s(right).y, 100, 1e-9);
  EXPECT_THROW(similarity_from_eyes(left, left), Error);
}

TEST(Similarity, CropsKeepPixelAreas) {
  for (const int size : {64, 256, 512}) {
    const Similarity s = canonical_to_crop(size);
    EXPECT_NEAR(s({-0.5, -0.5}).x, -0.5, 1e-12) << "the picture's edge stays its edge";
    EXPECT_NEAR(s({255.5, 255.5}).y, size - 0.5, 1e-12);
  }
}

TEST(FitSimilarity, FindsTheExactOneWithoutNoise) {
  std::mt19937 random(2);
  std::uniform_real_distribution<double> place(-100, 100);
  for (int i = 0; i < 100; ++i) {
    const Similarity truth = random_similarity(random);
    std::vector<Point> from, to;
    for (int k = 0; k < 2 + i % 5; ++k)
      from.push_back({place(random), place(random)}), to.push_back(truth(from.back()));
    EXPECT_LT(difference(matrix(fit_similarity(from, to)), matrix(truth)), 1e-7);
  }
}

TEST(FitSimilarity, NoOtherSimilarityFitsNoisyPointsBetter) {
  std::mt19937 random(3);
  std::normal_distribution<double> noise(0, 4);
  std::vector<Point> from, to;
  const Similarity truth{0.8, 0.3, 5, -7};
  for (int k = 0; k < 12; ++k) {
    from.push_back({25 * noise(random), 25 * noise(random)});
    const Point p = truth(from.back());
    to.push_back({p.x + noise(random), p.y + noise(random)});
  }
  const auto error = [&](const Similarity& s) {
    double sum = 0;
    for (std::size_t k = 0; k < from.size(); ++k)
      sum += std::pow(s(from[k]).x - to[k].x, 2) + std::pow(s(from[k]).y - to[k].y, 2);
    return sum;
  };
  const Similarity best = fit_similarity(from, to);
  for (const double d : {-1e-4, 1e-4}) {
    EXPECT_GT(error({best.a + d, best.b, best.tx, best.ty}), error(best));
    EXPECT_GT(error({best.a, best.b + d, best.tx, best.ty}), error(best));
    EXPECT_GT(error({best.a, best.b, best.tx + 100 * d, best.ty}), error(best));
    EXPECT_GT(error({best.a, best.b, best.tx, best.ty + 100 * d}), error(best));
  }
  EXPECT_THROW(fit_similarity({{1, 2}}, {{1, 2}}), Error);
  EXPECT_THROW(fit_similarity({{1, 2}, {3, 4}}, {{1, 2}}), Error);
}

Face some_face() {
  Face face;
  face.source = "clip \"one\"\\.mp4";
  face.frame = 123;
  face.pts = -5000000000;
  face.seconds = 4.92;
  face.track = 3;
  face.to_canonical = similarity_from_eyes({300.123, 200.4}, {361.7, 207.9});
  face.eyes[0] = {300.123, 200.4};
  face.eyes[1] = {361.7, 207.9};
  face.box_x = 250.5, face.box_y = 130.25, face.box_side = 164;
  face.confidence = 187;
  face.sharpness = 55.5;
  face.crop_size = 64;
  return face;
}

void expect_equal(const Face& a, const Face& b) {
  EXPECT_EQ(a.source, b.source);
  EXPECT_EQ(a.frame, b.frame);
  EXPECT_EQ(a.pts, b.pts);
  EXPECT_EQ(a.seconds, b.seconds);
  EXPECT_EQ(a.track, b.track);
  EXPECT_EQ(difference(matrix(a.to_canonical), matrix(b.to_canonical)), 0)
      << "every bit of the similarity travels";
  for (int k = 0; k < 2; ++k) {
    EXPECT_EQ(a.eyes[k].x, b.eyes[k].x);
    EXPECT_EQ(a.eyes[k].y, b.eyes[k].y);
  }
  EXPECT_EQ(a.box_x, b.box_x);
  EXPECT_EQ(a.box_y, b.box_y);
  EXPECT_EQ(a.box_side, b.box_side);
  EXPECT_EQ(a.confidence, b.confidence);
  EXPECT_EQ(a.sharpness, b.sharpness);
  EXPECT_EQ(a.crop_size, b.crop_size);
}

TEST(FaceJson, RoundTrip) {
  expect_equal(face_from_json(to_json(some_face())), some_face());
  Face odd = some_face();
  odd.source = "\xff\xfe name that is no UTF-8";
  EXPECT_NO_THROW(face_from_json(to_json(odd)));
  odd.box_side = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(to_json(odd), Error);
}

TEST(FaceJson, RefusesWhatIsNotAFace) {
  const nlohmann::json good = nlohmann::json::parse(to_json(some_face()));
  const auto refused = [](const std::string& text, const std::string& word) {
    std::string message;
    EXPECT_EQ(kind_of([&] { face_from_json(text); }, &message), ErrorKind::damaged)
        << text.substr(0, 200);
    EXPECT_NE(message.find(word), std::string::npos) << message;
  };
  for (const auto& item : good.items()) {  // every field is needed, and of one type
    nlohmann::json bad = good;
    bad.erase(item.key());
    refused(bad.dump(), item.key());
    for (const char* text : {"null", "{}", "\"text\"", "-1e300", "true"}) {
      const nlohmann::json wrong = nlohmann::json::parse(text);
      if (item.key() == "source" && wrong.is_string()) continue;
      bad = good;
      bad[item.key()] = wrong;
      refused(bad.dump(), item.key());
    }
  }
  const auto replaced = [&good](const std::string& field, const std::string& text) {
    nlohmann::json bad = good;
    bad[field] = "@";
    std::string dump = bad.dump();
    return dump.replace(dump.find("\"@\""), 3, text);
  };
  for (const std::string number : {"NaN", "Infinity", "-Infinity", "1e999", "nan"})
    refused(replaced("sharpness", number), "not JSON");
  refused(replaced("frame", "-1"), "frame");
  refused(replaced("frame", "1.5"), "frame");
  refused(replaced("frame", "18446744073709551615"), "frame");
  refused(replaced("crop_size", "1000000"), "crop_size");
  refused(replaced("to_canonical", "[0,0,0,0]"), "to_canonical");
  refused(replaced("to_canonical", "[1,0,0]"), "to_canonical");
  refused(replaced("to_canonical", "[1e9,0,0,0]"), "to_canonical");
  refused(replaced("eyes", "[[1,2],[3]]"), "eyes");
  refused(replaced("schema", "\"doppel-face/2\""), "schema");
  nlohmann::json more = good;
  more["surprise"] = 1;
  refused(more.dump(), "surprise");
  refused(replaced("box", std::string(100, '[') + std::string(100, ']')), "nested");
  refused(std::string(200000, '['), "bytes");
  refused(good.dump() + std::string(20000, ' '), "bytes");
  refused("", "not JSON");
  refused("[]", "object");
  const std::string text = good.dump();
  for (std::size_t cut = 0; cut < text.size(); cut += 7)
    EXPECT_EQ(kind_of([&] { face_from_json(text.substr(0, cut)); }), ErrorKind::damaged);
}

Image some_crop(int size) {
  Image crop(size, size);
  for (std::size_t i = 0; i < crop.pixels.size(); ++i)
    crop.pixels[i] = static_cast<std::uint8_t>((i * 7 + i / 31) & 0xff);
  return crop;
}

TEST(FaceFile, RoundTripAndEveryFlippedByteIsNoticed) {
  const Scratch scratch;
  const auto path = scratch / "face.png";
  write_face(path, some_crop(64), some_face());
  const FaceFile read = read_face(path);
  expect_equal(read.face, some_face());
  EXPECT_EQ(read.crop.pixels, some_crop(64).pixels);

  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  const std::size_t text = bytes.find("doppel-face");
  ASSERT_NE(text, std::string::npos);
  for (std::size_t at = text; at < text + 300; at += 9) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x04);
    std::ofstream(path, std::ios::binary | std::ios::trunc) << flipped;
    EXPECT_EQ(kind_of([&] { read_face(path); }), ErrorKind::damaged) << "byte " << at;
  }
}

TEST(FaceFile, OtherPicturesAreRefused) {
  const Scratch scratch;
  EXPECT_EQ(kind_of([&] { read_face(scratch / "none.png"); }), ErrorKind::input);
  write_png(scratch / "plain.png", some_crop(64));
  std::string message;
  EXPECT_EQ(kind_of([&] { read_face(scratch / "plain.png"); }, &message), ErrorKind::input);
  EXPECT_NE(message.find("plain.png"), std::string::npos);
  write_png(scratch / "lies.png", some_crop(32),
            {{"doppel-face", to_json(some_face())}});  // says 64
  EXPECT_EQ(kind_of([&] { read_face(scratch / "lies.png"); }), ErrorKind::damaged);
  EXPECT_EQ(kind_of([&] { write_face(scratch / "x.png", some_crop(32), some_face()); }),
            ErrorKind::failure);
}

TEST(ListFaces, SortedAndWithoutTheSheet) {
  const Scratch scratch;
  EXPECT_EQ(kind_of([&] { list_faces(scratch / "none"); }), ErrorKind::input);
  EXPECT_EQ(kind_of([&] { list_faces(scratch.path); }), ErrorKind::nothing_found);
  write_png(scratch / "sheet.png", some_crop(8));
  EXPECT_EQ(kind_of([&] { list_faces(scratch.path); }), ErrorKind::nothing_found);
  for (const char* name : {"b_000001_0.png", "a_000012_1.png", "a_000002_0.png"})
    write_face(scratch / name, some_crop(64), some_face());
  std::ofstream(scratch / "notes.txt") << "x";
  const auto faces = list_faces(scratch.path);
  ASSERT_EQ(faces.size(), 3u);
  EXPECT_EQ(faces[0].filename(), "a_000002_0.png");
  EXPECT_EQ(faces[2].filename(), "b_000001_0.png");
}

// A picture whose value at each place is known without any picture: the crop must show the right place at the right pixel.
TEST(CropFace, ShowsTheRightPlace) {
  Image frame(320, 240);
  for (int y = 0; y < 240; ++y)
    for (int x = 0; x < 320; ++x) {
      const int color[3] = {40 + x / 2, 20 + y / 2, 77};
      std::copy_n(color, 3, frame.at(x, y));
    }
  for (const double apart : {30.0, 70.0, 110.0}) {  // enlarged and shrunk
    const Similarity s = similarity_from_eyes({160 - apart / 2, 100}, {160 + apart / 2, 110});
    for (const int size : {64, 200}) {
      const Image crop = crop_face(frame, s, size);
      const Similarity to_frame = s.then(canonical_to_crop(size)).inverse();
      for (int y = 3; y < size; y += 9)
        for (int x = 3; x < size; x += 9) {
          const Point p = to_frame({static_cast<double>(x), static_cast<double>(y)});
          if (p.x < 4 || p.y < 4 || p.x > 315 || p.y > 235) continue;
          EXPECT_NEAR(crop.at(x, y)[0], 40 + p.x / 2 - 0.25, 1.1);
          EXPECT_NEAR(crop.at(x, y)[1], 20 + p.y / 2 - 0.25, 1.1);
          EXPECT_EQ(crop.at(x, y)[2], 77);
        }
    }
  }
  EXPECT_THROW(crop_face(Image{}, {}, 64), Error);
}

TEST(EggMask, HasItsMeasuresAndASmoothEdge) {
  const FloatImage egg = egg_mask(256, 1.0);
  const auto at = [&egg](int x, int y) { return *egg.at(x, y); };
  EXPECT_EQ(at(128, 128), 1);
  EXPECT_EQ(at(128, 128 - 60), 1);  // 62 up
  EXPECT_EQ(at(128, 128 - 64), 0);
  EXPECT_EQ(at(128, 128 + 90), 1);  // 92 down
  EXPECT_EQ(at(128, 128 + 94), 0);
  EXPECT_EQ(at(128 - 72, 128), 1);  // 74 to each side
  EXPECT_EQ(at(128 + 76, 128), 0);
  for (const Point eye : kCanonicalEyes)
    EXPECT_EQ(at(static_cast<int>(eye.x), static_cast<int>(eye.y)), 1);
  double up = 0, down = 0, all = 0, partial = 0;
  for (int y = 0; y < 256; ++y)
    for (int x = 0; x < 256; ++x) {
      if (x > 0) { EXPECT_NEAR(at(x, y), at(256 - x, y), 1e-6) << "the same on both sides of 128"; }
      all += at(x, y);
      partial += at(x, y) > 0 && at(x, y) < 1;
      if (y == 128 - 31)
        up += at(x, y);  // half way up and half way down: narrower towards the chin
      if (y == 128 + 46) down += at(x, y);
    }
  EXPECT_LT(down, up - 4);
  EXPECT_GT(partial, 200);  // about one pixel along an outline of 480
  EXPECT_LT(partial, 1000);
  double grown = 0, small = 0;
  for (const float v : egg_mask(256, 1.1).pixels) grown += v;
  for (const float v : egg_mask(64, 1.0).pixels) small += v;
  EXPECT_NEAR(grown / all, 1.21, 0.01);
  EXPECT_NEAR(small * 16 / all, 1, 0.01);
}

TEST(Gray, PatchesAndSharpness) {
  Image gray(90, 60, 1);
  for (int y = 0; y < 60; ++y)
    for (int x = 0; x < 90; ++x) *gray.at(x, y) = static_cast<std::uint8_t>(x + 2 * y);
  for (const double scale : {0.25, 0.5, 1.0, 2.5}) {
    const Similarity to_patch{scale * 0.96, scale * 0.28, -3, 4};
    const Image patch = gray_patch(gray, to_patch, 24, 20);
    const Similarity back = to_patch.inverse();
    for (int y = 0; y < 20; ++y)
      for (int x = 0; x < 24; ++x) {
        const Point p = back({static_cast<double>(x), static_cast<double>(y)});
        const double reach = 1 / scale + 1;
        if (p.x > reach && p.y > reach && p.x < 89 - reach && p.y < 59 - reach) {
          EXPECT_NEAR(*patch.at(x, y), p.x + 2 * p.y, 0.8);
        }
      }
  }
  const Image half = shrink_gray(gray, 2);
  EXPECT_EQ(half.width, 45);
  EXPECT_NEAR(*half.at(10, 10), 20.5 + 2 * 20.5, 0.6);
  const Image small = shrink_to(gray, 9, 6);
  EXPECT_NEAR(*small.at(4, 3), 44.5 + 2 * 34.5, 0.6);

  const HeadPicture head = draw_head(head_identity('a'), {}, 160, 120, 0, 1);
  const Image sharp = to_gray(head.rgb),
              blurred = gray_patch(shrink_gray(sharp, 2), {2, 0, 0.5, 0.5}, 160, 120);
  EXPECT_GT(laplacian_variance(sharp), 3 * laplacian_variance(blurred));
}

}  // namespace
