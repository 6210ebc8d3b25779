// convert from clip to clip with an untrained model.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "faceswap/convert/converter.h"
#include "faceswap/faces/network_files.h"
#include "faceswap/faces/view.h"
#include "faceswap/inspect.h"
#include "faceswap/provenance.h"
#include "faceswap/synthetic/clip.h"
#include "faceswap/train/face_set.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"

namespace faceswap {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr int kFrames = 4;
#else
constexpr int kFrames = 24;
#endif

struct Converting : ::testing::Test {
  Scratch scratch;
  ConvertOptions options;

  void SetUp() override {
    if (!DOPPEL_MEDIA || !DOPPEL_DETECT) GTEST_SKIP() << "this build has no video or no detection";
    ClipOptions clip;
    clip.frames = kFrames;
    clip.quiet = true;
    render_clip(clip, scratch / "a.mp4");
    const std::unique_ptr<Model> model = make_model("tiny");
    model->arena().allocate(nn::Device::host, nn::DType::f32, 1);
    std::filesystem::create_directories(scratch / "model");
    save_model(scratch / "model" / kModelFile, *model, {}, {});
    options.input = scratch / "a.mp4";
    options.model_dir = scratch / "model";
    options.out = scratch / "out.mp4";
    options.device = "cpu";
    options.quiet = true;
    options.sink.preset = "ultrafast";
    options.command = "doppel convert (test)";
  }
};

std::vector<Frame> read_all(const std::filesystem::path& path) {
  std::vector<Frame> frames;
  const std::unique_ptr<FrameSource> source = open_source(path);
  for (Frame frame; source->next(frame); frame = Frame{}) frames.push_back(frame);
  return frames;
}

TEST_F(Converting, KeepsEveryFrameAndTimeStamp) {
  const ConvertReport report = convert(options);
  EXPECT_EQ(report.frames, kFrames);
  EXPECT_GE(report.frames_changed, kFrames - 1);
  const std::vector<Frame> in = read_all(options.input), out = read_all(options.out);
  ASSERT_EQ(in.size(), out.size());
  for (std::size_t i = 0; i < in.size(); ++i) EXPECT_DOUBLE_EQ(in[i].seconds, out[i].seconds) << i;
  EXPECT_TRUE(open_source(options.out)->info().has_audio);
}

TEST_F(Converting, SaysThatItIsSynthetic) {
  convert(options);
  EXPECT_TRUE(has_synthetic_mark(options.out));
  EXPECT_FALSE(has_synthetic_mark(options.input));
  std::ifstream manifest(options.out.string() + ".provenance.json");
  const std::string text((std::istreambuf_iterator<char>(manifest)), {});
  EXPECT_NE(text.find(sha256_of_file(options.out)), std::string::npos);
  EXPECT_NE(text.find(sha256_of_file(options.input)), std::string::npos);
}

// Lossless output: corners far from the face must be the decoder's own samples; the
// face must not.
TEST_F(Converting, ChangesTheFaceAndNothingElse) {
  options.sink.crf = 0;
  convert(options);
  const std::vector<Frame> in = read_all(options.input), out = read_all(options.out);
  ASSERT_EQ(in.size(), out.size());
  int changed_frames = 0;
  for (std::size_t i = 0; i < in.size(); ++i) {
    const Image &a = in[i].rgb, &b = out[i].rgb;
    bool face_changed = false;
    for (int y = 0; y < a.height; ++y)
      for (int x = 0; x < a.width; ++x) {
        const bool same = std::equal(a.at(x, y), a.at(x, y) + 3, b.at(x, y));
        const bool border = x < a.width / 8 || x >= a.width - a.width / 8;
        if (border) { ASSERT_TRUE(same) << "frame " << i << " pixel " << x << "," << y; }
        face_changed = face_changed || !same;
      }
    changed_frames += face_changed;
  }
  EXPECT_GE(changed_frames, kFrames - 1);
}

TEST_F(Converting, SwapUsesTheOtherDecoder) {
  options.sink.crf = 0;
  convert(options);
  ConvertOptions reverse = options;
  reverse.swap = true;
  reverse.out = scratch / "reverse.mp4";
  convert(reverse);
  const std::vector<Frame> a = read_all(options.out), b = read_all(reverse.out);
  EXPECT_NE(a[1].rgb.pixels, b[1].rgb.pixels);
}

TEST_F(Converting, RefusesToOverwriteAndKeepsWhatWasThere) {
  std::ofstream(options.out) << "precious";
  try {
    convert(options);
    FAIL() << "should refuse";
  } catch (const Error& error) { EXPECT_EQ(error.kind(), ErrorKind::usage); }
  std::ifstream file(options.out);
  std::string text;
  file >> text;
  EXPECT_EQ(text, "precious");
}

TEST_F(Converting, NoFaceIsAnError) {
  Image wall(320, 240);
  for (std::size_t i = 0; i < wall.pixels.size(); ++i)
    wall.pixels[i] = static_cast<std::uint8_t>(100 + i % 3);
  write_png(scratch / "wall.png", wall);
  options.input = scratch / "wall.png";
  options.out = scratch / "wall_out.png";
  try {
    convert(options);
    FAIL() << "should find nothing";
  } catch (const Error& error) { EXPECT_EQ(error.kind(), ErrorKind::nothing_found); }
  EXPECT_FALSE(std::filesystem::exists(options.out));
}

TEST_F(Converting, ATrackThatIsNotThereNamesThoseThatAre) {
  options.tracks = {0, 9};
  std::string message;
  EXPECT_EQ(kind_of([&] { convert(options); }, &message), ErrorKind::nothing_found);
  EXPECT_NE(message.find("a.mp4: there is no track 9; --tracks can name 0 ("), std::string::npos)
      << message;
  EXPECT_FALSE(std::filesystem::exists(options.out));
  options.tracks = {0};
  EXPECT_GE(convert(options).faces, kFrames - 1);
}

// Person a in the left half of each frame, person b in the right one.
struct ConvertingPeople : Converting {
  static constexpr int kPictures = 4, kWidth = 320;

  void SetUp() override {
    Converting::SetUp();
    if (IsSkipped()) return;
    for (const char* file :
         {"centerface.onnx", "face_landmark.safetensors", "face_identity.safetensors"})
      if (find_network(file).empty())
        GTEST_SKIP() << file << " is not in " << network_folder()
                     << ": run tools/install_deps.sh faces";
    for (const char person : {'a', 'b'})
      write_png(scratch / (std::string(1, person) + ".png"), head(person, 9));
    std::filesystem::create_directories(scratch / "frames");
    for (int i = 0; i < kPictures; ++i) {
      Image both(2 * kWidth, 240);
      for (const char person : {'a', 'b'}) {
        const Image one = head(person, i / 25.0);
        for (int y = 0; y < 240; ++y)
          std::copy_n(one.at(0, y), 3 * kWidth, both.at(person == 'a' ? 0 : kWidth, y));
      }
      write_png(scratch / ("frames/f" + std::to_string(i) + ".png"), both);
    }
    options.input = scratch / "frames";
    options.out = scratch / "out";
    options.faces = FaceChoice::all;
  }
  static Image head(char person, double seconds) {
    return draw_head(head_identity(person), talking_pose(seconds, 5), kWidth, 240, 0, 1).rgb;
  }
  std::filesystem::path picture(char person) const {
    return scratch / (std::string(1, person) + ".png");
  }
  // "a", "b", "ab" or "": whose half the conversion changed in each frame.
  std::string changed() {
    std::filesystem::remove_all(options.out);
    convert(options);
    const std::vector<Frame> in = read_all(options.input), out = read_all(options.out);
    EXPECT_EQ(in.size(), out.size());
    std::string halves;
    for (const char person : {'a', 'b'}) {
      int frames = 0;
      for (std::size_t i = 0; i < in.size(); ++i) {
        bool same = true;
        for (int y = 0; y < 240; ++y) {
          const int x = person == 'a' ? 0 : kWidth;
          same = same && std::equal(in[i].rgb.at(x, y), in[i].rgb.at(x, y) + 3 * kWidth,
                                    out[i].rgb.at(x, y));
        }
        frames += !same;
      }
      EXPECT_TRUE(frames == 0 || frames == kPictures) << person << frames;
      if (frames > 0) halves += person;
    }
    return halves;
  }
};

TEST_F(ConvertingPeople, WhoLookLikeThePictures) {
  EXPECT_EQ(changed(), "ab");
  for (const char person : {'a', 'b'}) {
    const char other = person == 'a' ? 'b' : 'a';
    options.people = {picture(person)}, options.not_people = {picture(other)};
    options.faces = FaceChoice::largest;  // of those who are wanted
    EXPECT_EQ(changed(), std::string(1, person));
  }
  options.faces = FaceChoice::all;
  options.people = {picture('a'), picture('b')}, options.not_people = {};
  EXPECT_EQ(changed(), "ab");
}

TEST_F(ConvertingPeople, NobodyFits) {
  options.not_people = {picture('a'), picture('b')};
  std::string message;
  EXPECT_EQ(kind_of([&] { convert(options); }, &message), ErrorKind::nothing_found);
  for (const char* part : {"frames: nobody fits --person and --not; track 0: 0.", "track 1: 0.",
                           "from a.png", "from b.png", "below 0.40"})
    EXPECT_NE(message.find(part), std::string::npos) << part << " in " << message;

  options.detection.landmarks = "eyes";  // nobody can be told
  options.people = {picture('a')}, options.not_people = {};
  EXPECT_EQ(kind_of([&] { convert(options); }, &message), ErrorKind::nothing_found);
  EXPECT_NE(message.find("track 0: no landmarks"), std::string::npos) << message;

  options.people = {scratch / "frames"};
  EXPECT_EQ(kind_of([&] { convert(options); }), ErrorKind::input);
  EXPECT_FALSE(std::filesystem::exists(options.out / "f0.png"));
}

TEST_F(Converting, PicturesAreMarkedToo) {
  const HeadPicture picture = draw_head(head_identity('a'), talking_pose(0, 5), 320, 240, 0, 1);
  write_png(scratch / "a.png", picture.rgb);
  options.input = scratch / "a.png";
  options.out = scratch / "swapped.png";
  EXPECT_EQ(convert(options).faces, 1);
  EXPECT_TRUE(has_synthetic_mark(options.out));
  const Image out = read_image(options.out);
  EXPECT_EQ(out.width, 320);
  EXPECT_NE(out.pixels, picture.rgb.pixels);
}

// The real clip: same frames and time stamps; needs no trained model.
TEST_F(Converting, RealClip) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "too slow under the sanitizer";
#endif
  const char* folder = std::getenv("DOPPEL_MEDIA_DIR");
  const std::filesystem::path clip =
      std::filesystem::path(folder ? folder : DOPPEL_SOURCE_DIR "/../shared/media") /
      "speaker_a.mp4";
  if (!std::filesystem::exists(clip)) GTEST_SKIP() << clip << " is not here: set DOPPEL_MEDIA_DIR";
  options.input = clip;
  const ConvertReport report = convert(options);
  const std::vector<Frame> out = read_all(options.out);
  const std::unique_ptr<FrameSource> source = open_source(clip);
  std::size_t i = 0;
  for (Frame frame; source->next(frame); ++i) {
    ASSERT_LT(i, out.size());
    EXPECT_DOUBLE_EQ(frame.seconds, out[i].seconds);
  }
  EXPECT_EQ(i, out.size());
  EXPECT_GE(report.frames_changed, report.frames * 95 / 100);
}

TEST(TakeView, CentreOfTheViewIsWhereTheSimilaritySays) {
  Image frame(200, 150);
  for (int y = 0; y < 150; ++y)
    for (int x = 0; x < 200; ++x) {
      frame.at(x, y)[0] = static_cast<std::uint8_t>(x);
      frame.at(x, y)[1] = static_cast<std::uint8_t>(y);
      frame.at(x, y)[2] = 7;
    }
  const Similarity align = similarity_from_eyes({80, 60}, {120, 65});
  const FloatImage view = take_view(frame, align, kModelView, 64);
  const Similarity back = view_to_canonical(kModelView, 64).then(align.inverse());
  for (const Point p : {Point{20, 20}, Point{31, 40}, Point{50, 33}}) {
    const Point q = back(p);
    EXPECT_NEAR(view.at(static_cast<int>(p.x), static_cast<int>(p.y))[0] * 255, q.x, 0.6);
    EXPECT_NEAR(view.at(static_cast<int>(p.x), static_cast<int>(p.y))[1] * 255, q.y, 0.6);
  }
}
}  // namespace
}  // namespace faceswap
