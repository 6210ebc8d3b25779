#include "faceswap/media/libav/picture.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "faceswap/media/images.h"
#include "faceswap/media/libav/common.h"
#include "faceswap/media/libav/source.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

namespace faceswap::libav {
namespace {

using Bytes = std::span<const std::byte>;

bool begins(Bytes file, std::size_t at, std::string_view text) {
  return file.size() >= at + text.size() && std::memcmp(&file[at], text.data(), text.size()) == 0;
}

AVCodecID codec_of(Bytes file) {
  if (begins(file, 0, "BM")) return AV_CODEC_ID_BMP;
  if (begins(file, 0, std::string_view("II*\0", 4)) ||
      begins(file, 0, std::string_view("MM\0*", 4)))
    return AV_CODEC_ID_TIFF;
  if (begins(file, 0, "RIFF") && begins(file, 8, "WEBP")) return AV_CODEC_ID_WEBP;
  return AV_CODEC_ID_NONE;
}

int orientation_of(Bytes file, AVCodecID codec) {
  if (codec == AV_CODEC_ID_TIFF) return tiff_orientation(file);
  if (codec != AV_CODEC_ID_WEBP) return 1;
  Bytes exif = webp_chunk(file, "EXIF");
  if (begins(exif, 0, std::string_view("Exif\0\0", 6))) exif = exif.subspan(6);
  return tiff_orientation(exif);
}

// Decodes the one packet that the whole file is.
std::string decode(Bytes file, AVCodecID id, AVFrame* frame) {
  const AVCodec* codec = avcodec_find_decoder(id);
  if (!codec) return fmt::format("this FFmpeg has no decoder for {}", avcodec_get_name(id));
  const CodecPtr decoder(avcodec_alloc_context3(codec));
  const PacketPtr packet = new_packet();
  if (!decoder || av_new_packet(packet.get(), static_cast<int>(file.size())) < 0)
    throw Error(ErrorKind::memory, "picture: out of memory for a file");
  std::memcpy(packet->data, file.data(), file.size());
  decoder->thread_count = 1;
  decoder->max_pixels = kMaxImagePixels;
  int result = avcodec_open2(decoder.get(), codec, nullptr);
  if (result >= 0) result = avcodec_send_packet(decoder.get(), packet.get());
  if (result >= 0) avcodec_send_packet(decoder.get(), nullptr);
  if (result >= 0) result = avcodec_receive_frame(decoder.get(), frame);
  if (result == AVERROR(ENOMEM)) throw Error(ErrorKind::memory, "picture: out of memory");
  return result < 0 ? error_text(result) : "";
}
}  // namespace

bool is_picture(Bytes file) { return codec_of(file) != AV_CODEC_ID_NONE; }

std::string decode_picture(Bytes file, StoredPicture& picture) {
  quiet_log();
  forget_log();
  const AVCodecID id = codec_of(file);
  const FramePtr frame = new_frame();
  if (std::string problem = decode(file, id, frame.get()); !problem.empty()) return problem;
  if (frame->width < 1 || frame->height < 1 || frame->width > kMaxImageSide ||
      frame->height > kMaxImageSide)
    return fmt::format("it has {}x{} pixels, at most {} a side are read", frame->width,
                       frame->height, kMaxImageSide);
  const AVPixFmtDescriptor* format = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame->format));
  if (!format) return "its pixels are of no known kind";
  // A palette may have alpha; BMP and TIFF leave it at 255.
  const bool alpha = (format->flags & (AV_PIX_FMT_FLAG_ALPHA | AV_PIX_FMT_FLAG_PAL)) != 0;
  if (frame->colorspace == AVCOL_SPC_UNSPECIFIED)
    frame->colorspace = AVCOL_SPC_SMPTE170M;  // WebP's, whatever its size
  const FramePtr rgb =
      new_picture(frame->width, frame->height, alpha ? AV_PIX_FMT_RGBA : AV_PIX_FMT_RGB24);
  Converter().convert(frame.get(), colour_of(frame.get()), rgb.get(), Colour{SWS_CS_DEFAULT, true});
  picture.pixels = Image(frame->width, frame->height, alpha ? 4 : 3);
  for (int y = 0; y < frame->height; ++y)
    std::memcpy(picture.pixels.at(0, y), rgb->data[0] + std::ptrdiff_t{y} * rgb->linesize[0],
                static_cast<std::size_t>(frame->width) * picture.pixels.channels);
  picture.deep = format->comp[0].depth > 8;
  picture.orientation = orientation_of(file, id);
  if (const AVFrameSideData* icc = av_frame_get_side_data(frame.get(), AV_FRAME_DATA_ICC_PROFILE)) {
    const auto* bytes = reinterpret_cast<const std::byte*>(icc->data);
    picture.profile.assign(bytes, bytes + icc->size);
  }
  return "";
}
bool is_boxed_picture(Bytes file) {
  if (!begins(file, 4, "ftyp")) return false;
  for (const char* brand : {"avif", "heic", "heix", "mif1"})
    if (begins(file, 8, brand)) return true;
  return false;
}

std::string decode_boxed_picture(const std::filesystem::path& path, StoredPicture& picture) {
  try {
    Frame frame;
    open_source(path, {})->next(frame);
    picture.deep = depth_of(static_cast<AVPixelFormat>(frame.native->frame->format)) > 8;
    picture.pixels = std::move(frame.rgb);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::input) throw;
    return "this FFmpeg does not read this kind of AVIF or HEIC; convert it to JPEG";
  }
  const std::int64_t pixels = std::int64_t{picture.pixels.width} * picture.pixels.height;
  return pixels > kMaxImagePixels ? "it has too many pixels" : "";
}
}  // namespace faceswap::libav
