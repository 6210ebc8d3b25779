// F3 and F11: clips whose pixels are not square. Faces are found as players show them, and
// put back into the pixels as they are stored.
#if DOPPEL_MEDIA && DOPPEL_DETECT
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "faceswap/convert/converter.h"
#include "faceswap/faces/extract.h"
#include "faceswap/faces/face_file.h"
#include "faceswap/faces/view.h"
#include "faceswap/synthetic/clip.h"
#include "tests/faceswap/media/media_clips.h"
#include "tests/faceswap/scratch.h"

namespace faceswap {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr int kFrames = 4;
#else
constexpr int kFrames = 13;
#endif

constexpr int kSide = 384;  // of the frames as they are shown

HeadPicture shown(int frame) {
  return draw_head(head_identity('a'), talking_pose(frame / 25.0, 5), kSide, kSide, 0, 1);
}

// Mean of fx x fy blocks.
Image squeezed(const Image& image, int fx, int fy) {
  Image out(image.width / fx, image.height / fy);
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x)
      for (int c = 0; c < 3; ++c) {
        int sum = 0;
        for (int j = 0; j < fy; ++j)
          for (int i = 0; i < fx; ++i) sum += image.at(fx * x + i, fy * y + j)[c];
        out.at(x, y)[c] = static_cast<std::uint8_t>(sum / (fx * fy));
      }
  return out;
}

// Copies the packets into a container that says otherwise than the stream about the
// aspect of a pixel, as `ffmpeg -c copy -aspect` does.
void with_aspect(const std::filesystem::path& in, const std::filesystem::path& out,
                 AVRational aspect) {
  libav::Input input(in);
  AVFormatContext* muxer = nullptr;
  ASSERT_GE(avformat_alloc_output_context2(&muxer, nullptr, nullptr, out.c_str()), 0);
  AVStream* stream = avformat_new_stream(muxer, nullptr);
  ASSERT_GE(avcodec_parameters_copy(stream->codecpar, input.video->codecpar), 0);
  stream->codecpar->codec_tag = 0;
  stream->codecpar->sample_aspect_ratio = stream->sample_aspect_ratio = aspect;
  stream->time_base = input.video->time_base;
  ASSERT_GE(avio_open(&muxer->pb, out.c_str(), AVIO_FLAG_WRITE), 0);
  ASSERT_GE(avformat_write_header(muxer, nullptr), 0);
  const libav::PacketPtr packet = libav::new_packet();
  while (input.read(packet.get()) >= 0) {
    if (packet->stream_index != input.video->index) continue;
    packet->stream_index = 0;
    av_packet_rescale_ts(packet.get(), input.video->time_base, stream->time_base);
    ASSERT_GE(av_interleaved_write_frame(muxer, packet.get()), 0);
  }
  av_write_trailer(muxer);
  avio_closep(&muxer->pb);
  avformat_free_context(muxer);
}

struct Shape {
  const char* name;
  int fx, fy;  // pixels of the picture as shown in one stored pixel
};

struct OblongPixels : ::testing::TestWithParam<Shape> {
  Scratch scratch;
  std::filesystem::path clip;

  void SetUp() override {
    const auto [name, fx, fy] = GetParam();
    SinkOptions best;
    best.crf = 4;
    best.preset = "ultrafast";
    const auto maker = make_video(scratch / "square.mp4", kSide / fx, kSide / fy, {25, 1}, best);
    for (int i = 0; i < kFrames; ++i) maker->write(squeezed(shown(i).rgb, fx, fy));
    maker->finish();
    clip = scratch / "clip.mp4";
    with_aspect(scratch / "square.mp4", clip, {fx, fy});
  }
};

TEST_P(OblongPixels, F11FacesAreFoundAsShown) {
  EXPECT_EQ(open_source(clip)->info().width, kSide / GetParam().fx) << "as stored";
  EXPECT_EQ(open_source(clip, {.square_pixels = true})->info().width, kSide);
  EXPECT_EQ(open_source(clip, {.square_pixels = true})->info().height, kSide);
  ExtractOptions o;
  o.inputs = {clip};
  o.out = scratch / "faces";
  o.quiet = true;
  o.every = 3;
  o.size = 128;
  o.least_difference = 0;  // the head hardly moves
  EXPECT_EQ(extract(o).faces, (kFrames + 2) / 3);
  for (const std::filesystem::path& path : list_faces(o.out)) {
    const Face face = read_face(path).face;
    const HeadPicture truth = shown(static_cast<int>(face.frame));
    for (int k = 0; k < 2; ++k) {
      const Point p = face.to_canonical(truth.landmarks[k]);
      EXPECT_LT(std::hypot(p.x - kCanonicalEyes[k].x, p.y - kCanonicalEyes[k].y), 0.05 * 80)
          << path;
    }
  }
}

TEST_P(OblongPixels, F3F11ConversionChangesTheFaceAlone) {
  const std::unique_ptr<Model> model = make_model("tiny");
  model->arena().allocate(nn::Device::host, nn::DType::f32, 1);
  std::filesystem::create_directories(scratch / "model");
  save_model(scratch / "model" / kModelFile, *model, {}, {});
  ConvertOptions o;
  o.input = clip;
  o.model_dir = scratch / "model";
  o.out = scratch / "out.mp4";
  o.device = "cpu";
  o.quiet = true;
  o.manifest = false;
  o.sink.preset = "ultrafast";
  o.sink.crf = 0;
  EXPECT_GE(convert(o).frames_changed, kFrames - 1);
  const auto [fx, fy] = std::pair{GetParam().fx, GetParam().fy};
  const AVRational aspect = probe(o.out).video().sample_aspect;
  EXPECT_EQ(aspect.num * fy, aspect.den * fx) << "the container's aspect is kept";

  const auto before = open_source(clip), after = open_source(o.out);
  int changed_frames = 0;
  for (Frame a, b; before->next(a);) {
    ASSERT_TRUE(after->next(b));
    ASSERT_EQ(a.rgb.width, b.rgb.width);
    const HeadPicture truth = shown(static_cast<int>(a.index));
    const Similarity to_canonical = similarity_from_eyes(truth.landmarks[0], truth.landmarks[1]);
    std::int64_t near = 0;
    for (int y = 0; y < a.rgb.height; ++y)
      for (int x = 0; x < a.rgb.width; ++x) {
        if (std::equal(a.rgb.at(x, y), a.rgb.at(x, y) + 3, b.rgb.at(x, y))) continue;
        // The changed pixel as shown, in the canonical crop.
        const Point p = to_canonical({(x + 0.5) * fx - 0.5, (y + 0.5) * fy - 0.5});
        const double away = std::hypot(p.x - 128, p.y - 140);
        ASSERT_LT(away, 165)  // the model's view, and a row of chroma around it
            << "frame " << a.index << " pixel " << x << "," << y;
        near += away < 40;
      }
    changed_frames += near > 0;
  }
  EXPECT_GE(changed_frames, kFrames - 1);
}

INSTANTIATE_TEST_SUITE_P(Shapes, OblongPixels,
                         ::testing::Values(Shape{"wide", 2, 1}, Shape{"tall", 1, 2}),
                         [](const auto& shape) { return shape.param.name; });

// A smooth picture looks the same through square and through oblong pixels.
TEST(PixelScale, ViewsAndFacesMeetInBoth) {
  Image square(240, 200);
  for (int y = 0; y < 200; ++y)
    for (int x = 0; x < 240; ++x) {
      square.at(x, y)[0] = static_cast<std::uint8_t>(x);
      square.at(x, y)[1] = static_cast<std::uint8_t>(y);
      square.at(x, y)[2] = static_cast<std::uint8_t>((x + y) / 2);
    }
  const Image oblong = squeezed(square, 2, 1);
  const PixelScale scale{0.5, 1};
  const Similarity face = similarity_from_eyes({90, 80}, {140, 88});
  const FloatImage a = take_view(square, face, kModelView, 64),
                   b = take_view(oblong, face, kModelView, 64, scale);
  for (std::size_t i = 0; i < a.pixels.size(); ++i)
    ASSERT_NEAR(a.pixels[i], b.pixels[i], 1.5 / 255) << i;

  FloatImage decoded(64, 64, 3);
  std::fill(decoded.pixels.begin(), decoded.pixels.end(), 0.8f);
  ComposeOptions options;
  options.color = ColorKind::none;
  Image in_square = square, in_oblong = oblong;
  const Box box = compose(in_square, face, kModelView, decoded, a, options);
  const Box half = compose(in_oblong, face, kModelView, decoded, b, options, scale);
  EXPECT_NEAR(half.x, box.x / 2.0, 1.5);
  EXPECT_NEAR(half.width, box.width / 2.0, 1.5);
  EXPECT_NEAR(half.y, box.y, 1);
  EXPECT_NEAR(half.height, box.height, 2);
  const Image expected = squeezed(in_square, 2, 1);
  for (std::size_t i = 0; i < expected.pixels.size(); ++i)
    ASSERT_NEAR(in_oblong.pixels[i], expected.pixels[i], 6) << i;
}
}  // namespace
}  // namespace faceswap
#endif
