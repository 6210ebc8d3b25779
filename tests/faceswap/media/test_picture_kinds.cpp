// Kinds of pictures, alpha, depth, colour profiles and orientation, as read_image() makes
// 8-bit upright sRGB of them.
#include <gtest/gtest.h>
#include <lcms2.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "faceswap/media/files.h"
#include "faceswap/media/media.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"
#if DOPPEL_MEDIA
#include "faceswap/media/libav/common.h"
#endif

using namespace faceswap;

namespace {

using Notes = std::vector<std::string>;

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}
std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
std::string big32(std::size_t v) {
  return {static_cast<char>(v >> 24), static_cast<char>(v >> 16), static_cast<char>(v >> 8),
          static_cast<char>(v)};
}

Image ramp(int width, int height) {
  Image image(width, height);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      image.at(x, y)[0] = static_cast<std::uint8_t>(40 + 4 * x);
      image.at(x, y)[1] = static_cast<std::uint8_t>(200 - 5 * y);
      image.at(x, y)[2] = static_cast<std::uint8_t>(90 + x + y);
    }
  return image;
}

Image flat(int r, int g, int b) {
  Image image(16, 16);
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
    image.pixels[i] = static_cast<std::uint8_t>(r);
    image.pixels[i + 1] = static_cast<std::uint8_t>(g);
    image.pixels[i + 2] = static_cast<std::uint8_t>(b);
  }
  return image;
}

double mean_difference(const Image& a, const Image& b) {
  if (a.pixels.size() != b.pixels.size()) return 255;
  double sum = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i)
    sum += std::abs(int{a.pixels[i]} - int{b.pixels[i]});
  return sum / static_cast<double>(a.pixels.size());
}

// An RGB profile of these primaries (x, y of red, green, blue) at D65 with a plain gamma.
std::string profile(const std::array<double, 6>& p, double gamma) {
  const cmsCIExyY white{0.3127, 0.3290, 1};
  const cmsCIExyYTRIPLE primaries{{p[0], p[1], 1}, {p[2], p[3], 1}, {p[4], p[5], 1}};
  cmsToneCurve* curve = cmsBuildGamma(nullptr, gamma);
  cmsToneCurve* curves[3] = {curve, curve, curve};
  cmsHPROFILE made = cmsCreateRGBProfile(&white, &primaries, curves);
  cmsUInt32Number size = 0;
  cmsSaveProfileToMem(made, nullptr, &size);
  std::string bytes(size, '\0');
  cmsSaveProfileToMem(made, bytes.data(), &size);
  cmsCloseProfile(made);
  cmsFreeToneCurve(curve);
  return bytes;
}
constexpr std::array<double, 6> kP3{0.680, 0.320, 0.265, 0.690, 0.150, 0.060};

// P3 primaries with gamma 2.2 to sRGB, by the matrix of their D65 primaries.
std::array<double, 3> p3_to_srgb(std::array<double, 3> v) {
  constexpr double m[3][3] = {
      {1.2249402, -0.2249402, 0}, {-0.0420570, 1.0420570, 0}, {-0.0196376, -0.0786361, 1.0982735}};
  for (double& c : v) c = std::pow(c / 255, 2.2);
  std::array<double, 3> out{};
  for (std::size_t i = 0; i < 3; ++i) {
    const double linear = std::clamp(m[i][0] * v[0] + m[i][1] * v[1] + m[i][2] * v[2], 0.0, 1.0);
    out[i] =
        255 * (linear <= 0.0031308 ? 12.92 * linear : 1.055 * std::pow(linear, 1 / 2.4) - 0.055);
  }
  return out;
}

std::vector<std::byte> png_with_profile(const Image& image, const std::string& icc) {
  std::string packed(compressBound(icc.size()), '\0');
  uLongf size = packed.size();
  compress(reinterpret_cast<Bytef*>(packed.data()), &size,
           reinterpret_cast<const Bytef*>(icc.data()), icc.size());
  packed.resize(size);
  const std::string body = "iCCP" + std::string("test\0\0", 6) + packed;
  const std::string chunk =
      big32(body.size() - 4) + body +
      big32(crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size())));
  std::string png = text_of(encode_png(image));
  png.insert(33, chunk);  // behind IHDR
  return bytes_of(png);
}

// In two pieces, the second one first.
std::vector<std::byte> jpeg_with_profile(const Image& image, const std::string& icc) {
  std::string jpeg = text_of(encode_jpeg(image, 98));
  const std::size_t half = icc.size() / 2;
  for (const int number : {1, 2}) {
    const std::string piece = number == 1 ? icc.substr(0, half) : icc.substr(half);
    const std::string body =
        std::string("ICC_PROFILE\0", 12) + static_cast<char>(number) + '\2' + piece;
    const std::size_t length = body.size() + 2;
    jpeg.insert(2, std::string("\xff\xe2") + static_cast<char>(length >> 8) +
                       static_cast<char>(length & 0xff) + body);
  }
  return bytes_of(jpeg);
}

void expect_colour(const Image& image, const std::array<double, 3>& expected, double slack) {
  for (std::size_t c = 0; c < 3; ++c) EXPECT_NEAR(image.at(8, 8)[c], expected[c], slack) << c;
}

TEST(PictureKinds, F9WideGamutBecomesSrgb) {
  const Scratch scratch;
  const std::string icc = profile(kP3, 2.2);
  for (const std::array<double, 3> colour :
       {std::array<double, 3>{200, 120, 90}, {60, 160, 70}, {128, 128, 128}, {230, 190, 170}}) {
    const Image image =
        flat(static_cast<int>(colour[0]), static_cast<int>(colour[1]), static_cast<int>(colour[2]));
    const std::array<double, 3> expected = p3_to_srgb(colour);
    Notes notes;
    write_whole_file(scratch / "a.png", png_with_profile(image, icc), true);
    expect_colour(read_image(scratch / "a.png", &notes), expected, 1.5);
    ASSERT_EQ(notes.size(), 1u);
    EXPECT_NE(notes[0].find("sRGB"), std::string::npos) << notes[0];
    write_whole_file(scratch / "a.jpg", jpeg_with_profile(image, icc), true);
    expect_colour(read_image(scratch / "a.jpg"), expected, 3);
  }
  const auto red = read_image(scratch / "a.png");
  EXPECT_GT(mean_difference(red, flat(230, 190, 170)), 1) << "the profile does something";
}

TEST(PictureKinds, AProfileThatIsSrgbOrUselessChangesNothing) {
  const Scratch scratch;
  const Image image = ramp(40, 30);
  cmsHPROFILE srgb = cmsCreate_sRGBProfile();
  cmsUInt32Number size = 0;
  cmsSaveProfileToMem(srgb, nullptr, &size);
  std::string icc(size, '\0');
  cmsSaveProfileToMem(srgb, icc.data(), &size);
  cmsCloseProfile(srgb);
  Notes notes;
  write_whole_file(scratch / "a.png", png_with_profile(image, icc), true);
  EXPECT_TRUE(read_image(scratch / "a.png", &notes).pixels == image.pixels);
  EXPECT_TRUE(notes.empty());
  write_whole_file(scratch / "b.png", png_with_profile(image, "no profile at all"), true);
  EXPECT_TRUE(read_image(scratch / "b.png", &notes).pixels == image.pixels);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("cannot be used"), std::string::npos) << notes[0];
  const std::string wide = profile(kP3, 2.2);
  for (std::size_t cut = 0; cut < wide.size(); cut += 37) {  // damaged in all places
    std::string bad = wide;
    bad[cut] = static_cast<char>(bad[cut] ^ 0x55);
    write_whole_file(scratch / "c.png", png_with_profile(image, bad), true);
    EXPECT_EQ(read_image(scratch / "c.png").width, 40);
    write_whole_file(scratch / "c.jpg", jpeg_with_profile(image, wide.substr(0, cut + 1)), true);
    EXPECT_EQ(read_image(scratch / "c.jpg").width, 40);
  }
}

TEST(PictureKinds, F8AlphaIsLaidOverGreyAndSaid) {
  const Scratch scratch;
  Image rgba(20, 10, 4);
  for (int y = 0; y < 10; ++y)
    for (int x = 0; x < 20; ++x) {
      std::uint8_t* p = rgba.at(x, y);
      p[0] = 250, p[1] = 20, p[2] = 0;
      p[3] = static_cast<std::uint8_t>(x < 10 ? 255 : x < 15 ? 0 : 51);
    }
  write_png(scratch / "a.png", rgba);
  Notes notes;
  const Image read = read_image(scratch / "a.png", &notes);
  ASSERT_EQ(read.channels, 3);
  EXPECT_EQ(notes, Notes{"its transparent parts were laid over grey"});
  const auto at = [&](int x) {
    return std::array<int, 3>{read.at(x, 5)[0], read.at(x, 5)[1], read.at(x, 5)[2]};
  };
  EXPECT_EQ(at(3), (std::array<int, 3>{250, 20, 0}));
  EXPECT_EQ(at(12), (std::array<int, 3>{128, 128, 128}));
  EXPECT_EQ(at(17), (std::array<int, 3>{152, 106, 102}));

  for (std::size_t i = 3; i < rgba.pixels.size(); i += 4) rgba.pixels[i] = 255;
  write_png(scratch / "b.png", rgba);
  notes.clear();
  read_image(scratch / "b.png", &notes);
  EXPECT_TRUE(notes.empty()) << "nothing is transparent";
}

#if DOPPEL_MEDIA
// One picture by libav's encoder; empty: this FFmpeg has no such encoder.
std::vector<std::byte> encode(const char* encoder, AVPixelFormat format, const Image& image) {
  using namespace faceswap::libav;
  const AVCodec* codec = avcodec_find_encoder_by_name(encoder);
  if (!codec) return {};
  CodecPtr context(avcodec_alloc_context3(codec));
  context->width = image.width, context->height = image.height;
  context->pix_fmt = format;
  context->time_base = {1, 25};
  context->global_quality = 98 * FF_QP2LAMBDA;
  FramePtr rgb = new_picture(image.width, image.height, AV_PIX_FMT_RGB24),
           frame = new_picture(image.width, image.height, format);
  for (int y = 0; y < image.height; ++y)
    std::memcpy(rgb->data[0] + std::ptrdiff_t{y} * rgb->linesize[0], image.at(0, y),
                static_cast<std::size_t>(image.width) * 3);
  Converter().convert(rgb.get(), {SWS_CS_DEFAULT, true}, frame.get(), {SWS_CS_ITU601, false});
  PacketPtr packet = new_packet();
  if (avcodec_open2(context.get(), codec, nullptr) < 0 ||
      avcodec_send_frame(context.get(), frame.get()) < 0 ||
      avcodec_send_frame(context.get(), nullptr) < 0 ||
      avcodec_receive_packet(context.get(), packet.get()) < 0)
    return {};
  const auto* data = reinterpret_cast<const std::byte*>(packet->data);
  return {data, data + packet->size};
}

// Nothing if this FFmpeg writes none.
void write_avif(const std::filesystem::path& path, const Image& image) {
  using namespace faceswap::libav;
  AVFormatContext* muxer = nullptr;
  const AVCodec* codec = avcodec_find_encoder_by_name("libaom-av1");
  if (!codec || avformat_alloc_output_context2(&muxer, nullptr, "avif", path.c_str()) < 0) return;
  CodecPtr context(avcodec_alloc_context3(codec));
  context->width = image.width, context->height = image.height;
  context->pix_fmt = AV_PIX_FMT_YUV420P;
  context->time_base = {1, 1};
  context->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  context->color_range = AVCOL_RANGE_MPEG, context->colorspace = AVCOL_SPC_SMPTE170M;
  AVDictionary* options = nullptr;
  av_dict_set(&options, "still-picture", "1", 0);
  av_dict_set(&options, "cpu-used", "8", 0);
  av_dict_set(&options, "crf", "8", 0);
  const FramePtr rgb = new_picture(image.width, image.height, AV_PIX_FMT_RGB24),
                 frame = new_picture(image.width, image.height, AV_PIX_FMT_YUV420P);
  for (int y = 0; y < image.height; ++y)
    std::memcpy(rgb->data[0] + std::ptrdiff_t{y} * rgb->linesize[0], image.at(0, y),
                static_cast<std::size_t>(image.width) * 3);
  Converter().convert(rgb.get(), {SWS_CS_DEFAULT, true}, frame.get(), {SWS_CS_ITU601, false});
  frame->pts = 0;
  const PacketPtr packet = new_packet();
  ASSERT_GE(avcodec_open2(context.get(), codec, &options), 0);
  av_dict_free(&options);
  ASSERT_GE(avcodec_send_frame(context.get(), frame.get()), 0);
  avcodec_send_frame(context.get(), nullptr);
  ASSERT_GE(avcodec_receive_packet(context.get(), packet.get()), 0);
  AVStream* stream = avformat_new_stream(muxer, nullptr);
  avcodec_parameters_from_context(stream->codecpar, context.get());
  ASSERT_GE(avio_open(&muxer->pb, path.c_str(), AVIO_FLAG_WRITE), 0);
  ASSERT_GE(avformat_write_header(muxer, nullptr), 0);
  ASSERT_GE(av_write_frame(muxer, packet.get()), 0);
  av_write_trailer(muxer);
  avio_closep(&muxer->pb);
  avformat_free_context(muxer);
}

TEST(PictureKinds, F15AvifIsRead) {
  const Scratch scratch;
  write_avif(scratch / "a.avif", ramp(64, 48));
  if (!std::filesystem::exists(scratch / "a.avif")) GTEST_SKIP() << "this FFmpeg writes no AVIF";
  const Image read = read_image(scratch / "a.avif");
  EXPECT_EQ(read.height, 48);
  EXPECT_LT(mean_difference(read, ramp(64, 48)), 6);
  EXPECT_EQ(open_source(scratch / "a.avif")->info().kind, SourceInfo::still);
  std::vector<std::byte> file = read_whole_file(scratch / "a.avif", 1 << 20);
  file.resize(60);
  write_whole_file(scratch / "b.heic", file, true);
  std::string message;
  EXPECT_EQ(kind_of([&] { read_image(scratch / "b.heic"); }, &message), ErrorKind::input);
  EXPECT_NE(message.find("convert it to JPEG"), std::string::npos) << message;
}

struct Kind {
  const char *suffix, *encoder;
  AVPixelFormat format;
  double slack;  // mean difference
  bool deep;
};

TEST(PictureKinds, F15WebpTiffAndBmpAreRead) {
  const Scratch scratch;
  const Image image = ramp(40, 30);
  for (const Kind& kind : {Kind{".bmp", "bmp", AV_PIX_FMT_BGR24, 0, false},
                           Kind{".tif", "tiff", AV_PIX_FMT_RGB24, 0, false},
                           Kind{".TIFF", "tiff", AV_PIX_FMT_RGB48LE, 1, true},
                           Kind{".webp", "libwebp", AV_PIX_FMT_YUV420P, 3, false},
                           Kind{".png", "png", AV_PIX_FMT_RGB48BE, 1, true}}) {
    const std::filesystem::path path = scratch / (std::string("a") + kind.suffix);
    const std::vector<std::byte> file = encode(kind.encoder, kind.format, image);
    if (file.empty()) continue;
    write_whole_file(path, file, true);
    EXPECT_TRUE(is_image_file(path));
    Notes notes;
    const Image read = read_image(path, &notes);
    EXPECT_EQ(read.width, 40) << kind.suffix;
    EXPECT_LE(mean_difference(read, image), kind.slack) << kind.suffix;
    EXPECT_EQ(notes.size(), kind.deep ? 1u : 0u) << kind.suffix;
    EXPECT_EQ(open_source(path)->info().kind, SourceInfo::still);

    std::vector<std::byte> half(file.begin(),
                                file.begin() + static_cast<std::ptrdiff_t>(file.size() / 3));
    write_whole_file(path, half, true);
    std::string message;
    try {  // some decoders show what there is
      EXPECT_EQ(read_image(path).width, 40);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::input);
      EXPECT_NE(std::string(error.what()).find("Give a PNG, JPEG, WebP"), std::string::npos);
    }
  }
  write_png(scratch / "in.png", image);
  const auto source = open_source(scratch / "in.png");
  std::string message;
  EXPECT_EQ(kind_of([&] { open_sink(scratch / "out.webp", source->info(), {}); }, &message),
            ErrorKind::usage);
  EXPECT_NE(message.find("not written"), std::string::npos) << message;
}

TEST(PictureKinds, OrientationIsAppliedInTiffAndWebp) {
  const Scratch scratch;
  const Image image = ramp(40, 30);
  // TIFF: one more entry in the directory, which libav's encoder puts at the end.
  std::string tiff = text_of(encode("tiff", AV_PIX_FMT_RGB24, image));
  ASSERT_FALSE(tiff.empty());
  std::uint32_t directory = 0;
  std::memcpy(&directory, &tiff[4], 4);
  std::uint16_t entries = 0;
  std::memcpy(&entries, &tiff[directory], 2);
  std::string moved = tiff.substr(directory + 2, 12u * entries);
  std::size_t place = 0;
  while (place < moved.size() && static_cast<unsigned char>(moved[place]) +
                                         256 * static_cast<unsigned char>(moved[place + 1]) <
                                     0x112)
    place += 12;
  moved.insert(place, std::string("\x12\x01\x03\0\x01\0\0\0\x06\0\0\0", 12));
  ++entries;
  directory = static_cast<std::uint32_t>(tiff.size() + tiff.size() % 2);
  tiff.resize(directory);
  std::memcpy(&tiff[4], &directory, 4);
  tiff += std::string(reinterpret_cast<const char*>(&entries), 2) + moved + std::string(4, '\0');
  write_whole_file(scratch / "a.tif", bytes_of(tiff), true);
  Image read = read_image(scratch / "a.tif");
  ASSERT_EQ(read.width, 30);
  for (int c = 0; c < 3; ++c) EXPECT_EQ(read.at(29, 0)[c], image.at(0, 0)[c]) << c;

  std::string webp = text_of(encode("libwebp", AV_PIX_FMT_YUV420P, image));
  if (webp.empty()) GTEST_SKIP() << "this FFmpeg writes no WebP";
  const std::string exif("Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0",
                         32);
  std::string vp8x =
      std::string("VP8X\x0a\0\0\0\x08\0\0\0", 12) + '\x27' + std::string("\0\0\x1d\0\0", 5);
  std::string size("\x20\0\0\0", 4);
  webp = webp.substr(0, 12) + vp8x + webp.substr(12) + "EXIF" + size + exif;
  const auto length = static_cast<std::uint32_t>(webp.size() - 8);
  std::memcpy(&webp[4], &length, 4);
  write_whole_file(scratch / "a.webp", bytes_of(webp), true);
  read = read_image(scratch / "a.webp");
  EXPECT_EQ(read.width, 30);
  EXPECT_EQ(read.height, 40);
}
#endif
}  // namespace
