// Face files: bit-exact round trips, and refusal of everything else.
#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include <nlohmann/json.hpp>

#include "faceswap/faces/face_file.h"
#include "faceswap/faces/face_json.h"
#include "faceswap/faces/face_mask.h"
#include "faceswap/media/media.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"

namespace {

using namespace faceswap;

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
  face.person = 2;
  for (int i = 0; i < 468; ++i) face.landmarks.push_back({250 + i / 64., 180.5 - i / 32.});
  face.measures = {.presence = 0.75,
                   .yaw = -31.5,
                   .pitch = 8,
                   .roll = -179,
                   .eye_open = {0.25, 0.3},
                   .mouth_open = 0.5,
                   .brightness = 0.375,
                   .contrast = 0.125,
                   .visible = 0.875,
                   .covered = 0.0625};
  face.marks = {FaceMark::dark, FaceMark::eyes_shut};
  face.refused = "no face by the mesh";
  for (int i = 0; i < 128; ++i) face.identity.push_back(static_cast<float>(i - 64) / 256);
  return face;
}

void expect_equal(const Face& a, const Face& b) {
  EXPECT_EQ(a.source, b.source);
  EXPECT_EQ(a.frame, b.frame);
  EXPECT_EQ(a.pts, b.pts);
  EXPECT_EQ(a.seconds, b.seconds);
  EXPECT_EQ(a.track, b.track);
  EXPECT_EQ(a.to_canonical.a, b.to_canonical.a);
  EXPECT_EQ(a.to_canonical.b, b.to_canonical.b);
  EXPECT_EQ(a.to_canonical.tx, b.to_canonical.tx);
  EXPECT_EQ(a.to_canonical.ty, b.to_canonical.ty);
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
  EXPECT_EQ(a.person, b.person);
  ASSERT_EQ(a.landmarks.size(), b.landmarks.size());
  for (std::size_t i = 0; i < a.landmarks.size(); ++i)
    EXPECT_EQ(std::pair(a.landmarks[i].x, a.landmarks[i].y),
              std::pair(b.landmarks[i].x, b.landmarks[i].y));
  const FaceMeasures &m = a.measures, &n = b.measures;
  EXPECT_EQ(std::tie(m.presence, m.yaw, m.pitch, m.roll, m.eye_open[0], m.eye_open[1], m.mouth_open,
                     m.brightness, m.contrast, m.visible, m.covered),
            std::tie(n.presence, n.yaw, n.pitch, n.roll, n.eye_open[0], n.eye_open[1], n.mouth_open,
                     n.brightness, n.contrast, n.visible, n.covered));
  EXPECT_EQ(a.marks, b.marks);
  EXPECT_EQ(a.refused, b.refused);
  EXPECT_EQ(a.identity, b.identity);
}

TEST(FaceJson, RoundTrip) {
  expect_equal(face_from_json(to_json(some_face())), some_face());
  Face odd = some_face();
  odd.source = "\xff\xfe name that is no UTF-8";
  EXPECT_NO_THROW(face_from_json(to_json(odd)));
  odd.box_side = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(to_json(odd), Error);
}

TEST(FaceJson, ReadsTheOlderSchema) {
  nlohmann::json old = nlohmann::json::parse(to_json(some_face()));
  old["schema"] = "doppel-face/1";
  EXPECT_EQ(kind_of([&] { face_from_json(old.dump()); }), ErrorKind::damaged);  // not its fields
  for (const char* field : {"person", "landmarks", "measures", "marks", "refused", "identity"})
    old.erase(field);
  Face expected = some_face();
  expected.person = -1;
  expected.landmarks.clear(), expected.marks.clear(), expected.identity.clear();
  expected.measures = {};
  expected.refused.clear();
  expect_equal(face_from_json(old.dump()), expected);
}

TEST(FaceJson, RefusesWhatIsNotAFace) {
  const nlohmann::json good = nlohmann::json::parse(to_json(some_face()));
  const auto refused = [](const std::string& text, const std::string& word) {
    std::string message;
    EXPECT_EQ(kind_of([&] { face_from_json(text); }, &message), ErrorKind::damaged)
        << text.substr(0, 200);
    EXPECT_NE(message.find(word), std::string::npos) << message;
  };
  for (const auto& item : good.items()) {  // each field is required, and has one type
    nlohmann::json bad = good;
    bad.erase(item.key());
    refused(bad.dump(), item.key());
    for (const char* text : {"null", "{}", "\"text\"", "-1e300", "true"}) {
      const nlohmann::json wrong = nlohmann::json::parse(text);
      if ((item.key() == "source" || item.key() == "refused") && wrong.is_string()) continue;
      if (good[item.key()].is_object() && wrong.is_object()) continue;  // its entries are named
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
  refused(replaced("schema", "\"doppel-face/3\""), "schema");
  refused(replaced("marks", "[\"ugly\"]"), "marks");
  refused(replaced("marks", "[\"dark\",\"dark\"]"), "marks");
  refused(replaced("landmarks", "[[1,2]]"), "landmarks");
  refused(replaced("identity", "[1]"), "identity");
  nlohmann::json more = good;
  more["surprise"] = 1;
  refused(more.dump(), "surprise");
  refused(replaced("box", std::string(100, '[') + std::string(100, ']')), "nested");
  refused(std::string(200000, '['), "bytes");
  refused(good.dump() + std::string(70000, ' '), "bytes");
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

Image some_mask() {
  Image mask(kMaskSize, kMaskSize, 1);
  for (std::size_t i = 0; i < mask.pixels.size(); ++i)
    mask.pixels[i] = static_cast<std::uint8_t>(i / 64);
  return mask;
}

TEST(FaceFile, KeepsItsMask) {
  const Scratch scratch;
  write_face(scratch / "masked.png", some_crop(64), some_face(), some_mask());
  write_face(scratch / "bare.png", some_crop(64), some_face());
  const FaceFile masked = read_face(scratch / "masked.png");
  EXPECT_EQ(masked.mask.pixels, some_mask().pixels);
  EXPECT_EQ(masked.mask.channels, 1);
  EXPECT_EQ(masked.crop.pixels, some_crop(64).pixels);
  EXPECT_TRUE(read_face(scratch / "bare.png").mask.empty());
  EXPECT_EQ(
      kind_of([&] { write_face(scratch / "x.png", some_crop(64), some_face(), Image(64, 64, 1)); }),
      ErrorKind::failure);
}

TEST(FaceFile, RefusesAMaskThatIsNone) {
  const Scratch scratch;
  const auto path = scratch / "face.png";
  write_face(path, some_crop(64), some_face(), some_mask());
  const std::string good = *read_png_text(path, "doppel-mask");
  const auto refused = [&](const std::string& mask, const std::string& word) {
    write_png(path, some_crop(64), {{"doppel-face", to_json(some_face())}, {"doppel-mask", mask}});
    std::string message;
    EXPECT_EQ(kind_of([&] { read_face(path); }, &message), ErrorKind::damaged) << mask;
    EXPECT_NE(message.find(word), std::string::npos) << message;
    EXPECT_NE(message.find("face.png"), std::string::npos) << message;
  };
  refused("", "base64");
  refused("no base64!!!", "base64");
  refused(" " + good.substr(1), "base64");
  refused(good + "\n", "base64");
  refused(good.substr(0, good.size() - 4) + "====", "base64");
  refused("QUJD", "128x128");
  refused(good.substr(0, good.size() / 8 * 4), "damaged");
  std::string flipped = good;
  flipped[good.size() / 2] = good[good.size() / 2] == 'A' ? 'B' : 'A';
  refused(flipped, "damaged");
  refused(std::string(70000, 'A'), "bytes");
  write_face(path, some_crop(64), some_face(), some_mask());
  EXPECT_NO_THROW(read_face(path));
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
}  // namespace
