#include "faceswap/media/libav/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <thread>

extern "C" {
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
}

namespace faceswap::libav {
namespace {

const char* container_of(const std::filesystem::path& out) {
  const std::string suffix = lower_suffix(out);
  if (suffix == ".mkv") return "matroska";
  if (suffix == ".mov") return "mov";
  if (suffix == ".mp4" || suffix == ".m4v") return "mp4";
  throw Error(
      ErrorKind::usage,
      fmt::format("{}: '{}' is not a video that can be written. Name a .mp4, .mkv or .mov file",
                  out.string(), suffix));
}

// A time scale into which the ticks of every stream fit. MP4 stores the begin of a
// stream in the movie's time scale, and its default of a millisecond would round.
std::int64_t common_time_scale(const AVFormatContext* context) {
  std::int64_t scale = 1000;
  for (unsigned i = 0; i < context->nb_streams; ++i) {
    const AVStream* s = context->streams[i];
    const std::int64_t den =
        s->codecpar->codec_type == AVMEDIA_TYPE_AUDIO ? s->codecpar->sample_rate : s->time_base.den;
    const std::int64_t both = den > 0 ? std::lcm(scale, den) : scale;
    if (both <= INT32_MAX) scale = both;
  }
  return scale;
}
}  // namespace

Output::Output(const std::filesystem::path& out, const SinkOptions& options)
    : path_(out), options_(options), pending_(out, options.force), packet_(new_packet()) {
  quiet_log();
  forget_log();
  const std::string presets =
      "ultrafast superfast veryfast faster fast medium slow slower veryslow placebo";
  if (options.preset.empty() ||
      (" " + presets + " ").find(" " + options.preset + " ") == std::string::npos)
    throw Error(ErrorKind::usage,
                fmt::format("'{}' is not an x264 preset. One of these was expected: {}",
                            options.preset, presets));
  if (options.crf < 0 || options.crf > 51)
    throw Error(ErrorKind::usage, fmt::format("a crf of {} cannot be: 0 (lossless) to 51 (worst) "
                                              "were expected, 18 looks like the source",
                                              options.crf));
  const char* container = container_of(out);
  const std::string url = "file:" + pending_.temporary().string();
  if (const int made = avformat_alloc_output_context2(&context, nullptr, container, url.c_str());
      made < 0)
    fail(ErrorKind::failure, fmt::format("{}: no writer for {}", out.string(), container), made);
  if (const int opened = avio_open(&context->pb, url.c_str(), AVIO_FLAG_WRITE); opened < 0) {
    avformat_free_context(context);
    fail(ErrorKind::disk, fmt::format("{}: cannot be written", out.string()), opened);
  }
}

Output::~Output() {
  if (context->pb) avio_closep(&context->pb);
  avformat_free_context(context);
}

void Output::fail_writing(int code) const {
  // Without the log: its last line may be about a damaged frame of the source.
  const ErrorKind kind = code == AVERROR(ENOMEM) ? ErrorKind::memory : ErrorKind::disk;
  throw Error(kind,
              fmt::format("{}: cannot be written: {}. Check the free space and the folder's rights",
                          path_.string(), code_text(code)));
}

const AVCodec* Output::x264() {
  const AVCodec* codec = avcodec_find_encoder_by_name("libx264");
  if (!codec)
    throw Error(
        ErrorKind::failure,
        "video: this FFmpeg was built without libx264. Write PNG frames to a folder instead");
  return codec;
}

void Output::open_encoder(const VideoFormat& format) {
  const AVCodec* codec = x264();
  encoder_.reset(avcodec_alloc_context3(codec));
  if (!encoder_) throw Error(ErrorKind::memory, "video: out of memory for the encoder");
  encoder_->width = format.width, encoder_->height = format.height;
  encoder_->pix_fmt = format.pixel_format;
  encoder_->time_base = format.time_base;
  encoder_->framerate = format.frame_rate;
  encoder_->sample_aspect_ratio = format.sample_aspect;
  encoder_->color_range = format.range;
  encoder_->color_primaries = format.primaries;
  encoder_->color_trc = format.transfer;
  encoder_->colorspace = format.matrix;
  encoder_->chroma_sample_location = format.chroma;
  // The output of x264 depends on the number of threads, not on their timing. Set here
  // so that runs on one machine repeat each other. Only the first encoder of a process
  // does so for certain: from preset veryfast on, x264 0.164 reads heap memory that it
  // never wrote.
  encoder_->thread_count =
      options_.threads > 0
          ? options_.threads
          : static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1u, 64u));
  if (context->oformat->flags & AVFMT_GLOBALHEADER) encoder_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;

  forget_log();
  AVDictionary* settings = nullptr;
  av_dict_set(&settings, "preset", options_.preset.c_str(), 0);
  // crf 0 means lossless here. In x264 it does so for 8 bits only, but a constant
  // quantizer of 0 does at any depth.
  if (options_.crf > 0) av_dict_set_int(&settings, "crf", options_.crf, 0);
  else av_dict_set(&settings, "qp", "0", 0);
  const int opened = avcodec_open2(encoder_.get(), codec, &settings);
  av_dict_free(&settings);
  if (opened < 0)
    fail(ErrorKind::usage,
         fmt::format("{}: x264 refuses {}x{} in {} with preset '{}' and crf {}", path_.string(),
                     format.width, format.height, av_get_pix_fmt_name(format.pixel_format),
                     options_.preset, options_.crf),
         opened);

  video = add_stream();
  if (avcodec_parameters_from_context(video->codecpar, encoder_.get()) < 0)
    throw Error(ErrorKind::memory, "video: out of memory for the encoder");
  video->time_base = format.time_base;
  video->avg_frame_rate = video->r_frame_rate = format.frame_rate;
  video->sample_aspect_ratio = format.sample_aspect;
}

AVStream* Output::add_stream() {
  AVStream* stream = avformat_new_stream(context, nullptr);
  if (!stream)
    throw Error(ErrorKind::memory, fmt::format("{}: out of memory for a stream", path_.string()));
  return stream;
}

bool Output::can_hold(AVCodecID codec) const {
  return avformat_query_codec(context->oformat, codec, FF_COMPLIANCE_NORMAL) == 1;
}

void Output::write_header(bool keep_all_metadata) {
  if (!options_.comment.empty()) {
    const AVDictionaryEntry* old = av_dict_get(context->metadata, "comment", nullptr, 0);
    const std::string comment = old && *old->value
                                    ? fmt::format("{} | {}", options_.comment, old->value)
                                    : options_.comment;
    av_dict_set(&context->metadata, "comment", comment.c_str(), 0);
  }
  forget_log();
  AVDictionary* settings = nullptr;
  if (std::string_view(context->oformat->name) == "matroska") {
    context->avoid_negative_ts = 0;  // Matroska would shift every stream for an encoder delay
  } else {
    av_dict_set(&settings, "movflags",
                keep_all_metadata ? "+faststart+use_metadata_tags" : "+faststart", 0);
    av_dict_set_int(&settings, "movie_timescale", common_time_scale(context), 0);
    if (video->time_base.num == 1)
      av_dict_set_int(&settings, "video_track_timescale", video->time_base.den, 0);
  }
  context->max_interleave_delta = 0;  // packets come in order: always wait for the slower stream
  const int written = avformat_write_header(context, &settings);
  av_dict_free(&settings);
  if (written < 0)
    fail(ErrorKind::failure, fmt::format("{}: the container refuses these streams", path_.string()),
         written);
}

void Output::send(AVFrame* frame) {
  if (frame) durations_[frame->pts] = duration_of(frame);
  if (const int sent = avcodec_send_frame(encoder_.get(), frame); sent < 0)
    fail(ErrorKind::failure, fmt::format("{}: x264 refuses a frame", path_.string()), sent);
}

bool Output::receive() {
  const int got = avcodec_receive_packet(encoder_.get(), packet_.get());
  if (got == AVERROR(EAGAIN) || got == AVERROR_EOF) return false;
  if (got < 0) fail(ErrorKind::failure, fmt::format("{}: x264 fails", path_.string()), got);
  if (const auto entry = durations_.find(packet_->pts); entry != durations_.end()) {
    packet_->duration = entry->second;  // without it the last frame would last no time
    durations_.erase(entry);
  }
  return true;
}

void Output::write(AVPacket* packet, AVStream* stream, AVRational time_base) {
  packet->stream_index = stream->index;
  packet->pos = -1;
  av_packet_rescale_ts(packet, time_base, stream->time_base);
  if (const int written = av_interleaved_write_frame(context, packet); written < 0)
    fail_writing(written);
}

void Output::finish() {
  if (const int written = av_write_trailer(context); written < 0) fail_writing(written);
  if (const int closed = avio_closep(&context->pb); closed < 0) fail_writing(closed);
  pending_.commit(true);
}
}  // namespace faceswap::libav
