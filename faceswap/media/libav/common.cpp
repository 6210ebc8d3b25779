#include "faceswap/media/libav/common.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <vector>

extern "C" {
#include <libavutil/display.h>
#include <libavutil/mem.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
}

namespace faceswap::libav {
namespace {

constexpr std::chrono::seconds kDeadline{30};
constexpr const char* kFormats = "mov,matroska,avi,mpegts,mpeg,flv,gif,ogg,asf,mxf";

std::mutex log_mutex;
std::string last_logged;

void keep_log(void* context, int level, const char* format, va_list arguments) {
  if (level > AV_LOG_ERROR) return;
  void* counter = nullptr;
  if (context && *static_cast<const AVClass**>(context) == avcodec_get_class())
    counter = static_cast<AVCodecContext*>(context)->opaque;
  if (context && *static_cast<const AVClass**>(context) == avformat_get_class())
    counter = static_cast<AVFormatContext*>(context)->opaque;
  if (counter) ++*static_cast<std::atomic<int>*>(counter);
  char line[512];
  std::vsnprintf(line, sizeof line, format, arguments);
  std::string text(line);
  while (!text.empty() && (text.back() == '\n' || text.back() == '.' || text.back() == ' '))
    text.pop_back();
  if (text.empty()) return;
  const std::lock_guard lock(log_mutex);
  last_logged = text;
}
}  // namespace

FramePtr new_frame() {
  FramePtr frame(av_frame_alloc());
  if (!frame) throw Error(ErrorKind::memory, "video: out of memory for a frame");
  return frame;
}

FramePtr new_picture(int width, int height, AVPixelFormat format) {
  FramePtr frame = new_frame();
  frame->width = width, frame->height = height, frame->format = format;
  if (av_frame_get_buffer(frame.get(), 0) < 0)
    throw Error(ErrorKind::memory,
                fmt::format("video: out of memory for a picture of {}x{}", width, height));
  return frame;
}

PacketPtr new_packet() {
  PacketPtr packet(av_packet_alloc());
  if (!packet) throw Error(ErrorKind::memory, "video: out of memory for a packet");
  return packet;
}

void quiet_log() {
  static const bool once = [] {
    av_log_set_callback(keep_log);
    av_max_alloc(std::size_t{2} << 30);
    return true;
  }();
  static_cast<void>(once);
}

void forget_log() {
  const std::lock_guard lock(log_mutex);
  last_logged.clear();
}

std::string code_text(int code) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, text, sizeof text);
  return text;
}

std::string error_text(int code) {
  const std::lock_guard lock(log_mutex);
  return last_logged.empty() ? code_text(code)
                             : fmt::format("{} ({})", code_text(code), last_logged);
}

void fail(ErrorKind kind, const std::string& what, int code) {
  if (code == AVERROR(ENOMEM)) kind = ErrorKind::memory;
  if (code == AVERROR(ENOSPC) || code == AVERROR(EDQUOT) || code == AVERROR(EFBIG))
    kind = ErrorKind::disk;
  throw Error(kind, fmt::format("{}: {}", what, error_text(code)));
}

Input::Input(const std::filesystem::path& path) {
  quiet_log();
  forget_log();
  context = avformat_alloc_context();
  if (!context) throw Error(ErrorKind::memory, fmt::format("{}: out of memory", path.string()));
  context->interrupt_callback = {&Input::overdue, this};
  start_clock();
  AVDictionary* options = nullptr;
  av_dict_set(&options, "protocol_whitelist", "file", 0);
  av_dict_set(&options, "format_whitelist", kFormats, 0);
  av_dict_set(&options, "max_streams", "64", 0);
  av_dict_set(&options, "probesize", "33554432", 0);
  av_dict_set(&options, "analyzeduration", "10000000", 0);
  // "file:" keeps a name such as http:... from being taken for a protocol. The call
  // frees the context if it fails.
  const int opened =
      avformat_open_input(&context, ("file:" + path.string()).c_str(), nullptr, &options);
  av_dict_free(&options);
  const std::string advice =
      "Give a video file such as .mp4, .mkv, .mov, .avi or .webm; a cut-off download must be "
      "fetched again";
  if (opened == AVERROR_EXIT)
    throw Error(ErrorKind::input,
                fmt::format("{}: reading it took longer than {} seconds. Copy it to a local disk",
                            path.string(), kDeadline.count()));
  if (opened == AVERROR(EINVAL))
    throw Error(
        ErrorKind::input,
        fmt::format(
            "{}: is not a kind of video that is read (playlists and scripts are refused). {}",
            path.string(), advice));
  if (opened == AVERROR(ENOMEM))
    throw Error(ErrorKind::memory, fmt::format("{}: out of memory", path.string()));
  if (opened < 0)
    throw Error(ErrorKind::input, fmt::format("{}: cannot be read as a video: {}. {}",
                                              path.string(), error_text(opened), advice));

  try {
    // Probing opens decoders of its own: their pictures are limited too.
    std::vector<AVDictionary*> limits(context->nb_streams, nullptr);
    for (AVDictionary*& limit : limits) av_dict_set(&limit, "max_pixels", kMaxPixels, 0);
    const int probed = avformat_find_stream_info(context, limits.empty() ? nullptr : limits.data());
    for (AVDictionary*& limit : limits) av_dict_free(&limit);
    if (probed < 0)
      throw Error(ErrorKind::input, fmt::format("{}: its streams cannot be understood: {}. {}",
                                                path.string(), error_text(probed), advice));
    int index = av_find_best_stream(context, AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
    if (index >= 0 && context->streams[index]->disposition & AV_DISPOSITION_ATTACHED_PIC)
      index = -1;  // the cover of a sound file
    if (index < 0)
      throw Error(ErrorKind::input, fmt::format("{}: holds no video. {}", path.string(), advice));
    video = context->streams[index];
  } catch (...) {
    avformat_close_input(&context);
    throw;
  }
}

Input::~Input() { avformat_close_input(&context); }

void Input::start_clock() { deadline_ = std::chrono::steady_clock::now() + kDeadline; }

int Input::overdue(void* self) {
  return std::chrono::steady_clock::now() > static_cast<Input*>(self)->deadline_;
}

int Input::read(AVPacket* packet) {
  start_clock();
  return av_read_frame(context, packet);
}

std::optional<std::int64_t> Input::video_end() const {
  const std::int64_t start =
      video->start_time == AV_NOPTS_VALUE ? 0 : std::clamp(video->start_time, -kMaxTime, kMaxTime);
  if (video->duration > 0) return start + std::min(video->duration, kMaxTime);
  // Matroska has it in a tag: "00:01:02.500000000".
  const AVDictionaryEntry* tag = av_dict_get(video->metadata, "DURATION", nullptr, 0);
  int hours = 0, minutes = 0;
  double rest = 0;
  if (tag && std::sscanf(tag->value, "%5d:%2d:%12lf", &hours, &minutes, &rest) == 3 && rest >= 0 &&
      rest < 61 && hours >= 0 && minutes >= 0 && video->time_base.num > 0)
    return av_rescale_q(hours * 3600 + minutes * 60, AVRational{1, 1}, video->time_base) +
           static_cast<std::int64_t>(rest / av_q2d(video->time_base));
  // The duration of the file is the video's if there is no other stream and it was not
  // estimated from the bit rate.
  if (context->nb_streams == 1 && context->duration > 0 &&
      context->duration_estimation_method != AVFMT_DURATION_FROM_BITRATE) {
    const std::int64_t begin = context->start_time == AV_NOPTS_VALUE
                                   ? 0
                                   : std::clamp(context->start_time, -kMaxTime, kMaxTime);
    return std::clamp(av_rescale_q(begin + std::min(context->duration, kMaxTime),
                                   AVRational{1, AV_TIME_BASE}, video->time_base),
                      -kMaxTime, kMaxTime);
  }
  return std::nullopt;
}

const std::int32_t* display_matrix(const AVStream* stream) {
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 15, 100)
  const AVPacketSideData* data =
      av_packet_side_data_get(stream->codecpar->coded_side_data,
                              stream->codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
  return data && data->size >= 36 ? reinterpret_cast<const std::int32_t*>(data->data) : nullptr;
#else
  std::size_t size = 0;
  const std::uint8_t* data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
  return data && size >= 36 ? reinterpret_cast<const std::int32_t*>(data) : nullptr;
#endif
}

void copy_stream_side_data(const AVStream* from, AVStream* to) {
  for (const AVPacketSideDataType type :
       {AV_PKT_DATA_DISPLAYMATRIX, AV_PKT_DATA_MASTERING_DISPLAY_METADATA,
        AV_PKT_DATA_CONTENT_LIGHT_LEVEL}) {
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 15, 100)
    const AVPacketSideData* data = av_packet_side_data_get(
        from->codecpar->coded_side_data, from->codecpar->nb_coded_side_data, type);
    if (!data) continue;
    AVPacketSideData* copy = av_packet_side_data_new(
        &to->codecpar->coded_side_data, &to->codecpar->nb_coded_side_data, type, data->size, 0);
    if (copy) std::copy_n(data->data, data->size, copy->data);
#else
    std::size_t size = 0;
    const std::uint8_t* data = av_stream_get_side_data(from, type, &size);
    if (!data) continue;
    std::uint8_t* copy = av_stream_new_side_data(to, type, size);
    if (copy) std::copy_n(data, size, copy);
#endif
  }
}

Orientation orientation(const AVStream* stream) {
  const std::int32_t* m = display_matrix(stream);
  return m ? orientation_of_matrix(m[0], m[1], m[3], m[4]) : Orientation{};
}

AVRational sample_aspect(const Input& input, const AVFrame* frame) {
  // The frame is not written to; its parameter lacks a const.
  return av_guess_sample_aspect_ratio(input.context, input.video, const_cast<AVFrame*>(frame));
}

std::int64_t duration_of(const AVFrame* frame) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
  return frame->duration;
#else
  return frame->pkt_duration;
#endif
}

void set_duration(AVFrame* frame, std::int64_t ticks) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
  frame->duration = ticks;
#else
  frame->pkt_duration = ticks;
#endif
}

std::span<const AVPixelFormat> encoder_formats(const AVCodec* codec) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(61, 13, 100)
  const void* list = nullptr;
  int count = 0;
  avcodec_get_supported_config(nullptr, codec, AV_CODEC_CONFIG_PIX_FORMAT, 0, &list, &count);
  return {static_cast<const AVPixelFormat*>(list), static_cast<std::size_t>(count)};
#else
  std::size_t count = 0;
  while (codec->pix_fmts && codec->pix_fmts[count] != AV_PIX_FMT_NONE) ++count;
  return {codec->pix_fmts, count};
#endif
}

Colour colour_of(const AVFrame* frame) {
  Colour colour;
  switch (frame->colorspace) {
    case AVCOL_SPC_BT709: colour.matrix = SWS_CS_ITU709; break;
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M: colour.matrix = SWS_CS_ITU601; break;
    case AVCOL_SPC_FCC: colour.matrix = SWS_CS_FCC; break;
    case AVCOL_SPC_SMPTE240M: colour.matrix = SWS_CS_SMPTE240M; break;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL: colour.matrix = SWS_CS_BT2020; break;
    default:  // untagged: BT.709 in high definition, as players assume
      colour.matrix = std::min(frame->width, frame->height) >= 720 ||
                              std::max(frame->width, frame->height) >= 1280
                          ? SWS_CS_ITU709
                          : SWS_CS_ITU601;
  }
  const auto format = static_cast<AVPixelFormat>(frame->format);
  const bool yuvj = format == AV_PIX_FMT_YUVJ420P || format == AV_PIX_FMT_YUVJ422P ||
                    format == AV_PIX_FMT_YUVJ444P || format == AV_PIX_FMT_YUVJ440P ||
                    format == AV_PIX_FMT_YUVJ411P;
  colour.full_range = frame->color_range == AVCOL_RANGE_JPEG || yuvj;
  return colour;
}

int depth_of(AVPixelFormat format) {
  const AVPixFmtDescriptor* description = av_pix_fmt_desc_get(format);
  return description ? description->comp[0].depth : 8;
}

void Converter::convert(const AVFrame* from, const Colour& from_colour, AVFrame* to,
                        const Colour& to_colour) {
  const std::array<int, 10> wanted{
      from->width,      from->height,        from->format,       to->width,
      to->height,       to->format,          from_colour.matrix, from_colour.full_range,
      to_colour.matrix, to_colour.full_range};
  if (!scaler_ || wanted != made_for_) {
    // Exact samples: chroma interpolated at full width, rounding, not truncation.
    const int flags = SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP;
    scaler_.reset(sws_getContext(
        from->width, from->height, static_cast<AVPixelFormat>(from->format), to->width, to->height,
        static_cast<AVPixelFormat>(to->format), flags, nullptr, nullptr, nullptr));
    if (!scaler_)
      throw Error(
          ErrorKind::input,
          fmt::format("video: pictures of {}x{} in {} cannot be converted", from->width,
                      from->height, av_get_pix_fmt_name(static_cast<AVPixelFormat>(from->format))));
    const auto is_rgb = [](int format) {
      const AVPixFmtDescriptor* d = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(format));
      return d && d->flags & AV_PIX_FMT_FLAG_RGB;
    };
    sws_setColorspaceDetails(scaler_.get(), sws_getCoefficients(from_colour.matrix),
                             is_rgb(from->format) || from_colour.full_range,
                             sws_getCoefficients(to_colour.matrix),
                             is_rgb(to->format) || to_colour.full_range, 0, 1 << 16, 1 << 16);
    made_for_ = wanted;
  }
  if (sws_scale(scaler_.get(), from->data, from->linesize, 0, from->height, to->data,
                to->linesize) <= 0)
    throw Error(ErrorKind::failure, "video: a picture could not be converted");
}
}  // namespace faceswap::libav
