// A video file being written: x264, the container, and a temporary file name.
#pragma once
#include <map>

#include "faceswap/media/files.h"
#include "faceswap/media/libav/common.h"

namespace faceswap::libav {

struct VideoFormat {
  int width = 0, height = 0;
  AVPixelFormat pixel_format = AV_PIX_FMT_YUV420P;
  AVRational time_base{1, 25}, frame_rate{25, 1}, sample_aspect{0, 1};
  AVColorRange range = AVCOL_RANGE_UNSPECIFIED;
  AVColorPrimaries primaries = AVCOL_PRI_UNSPECIFIED;
  AVColorTransferCharacteristic transfer = AVCOL_TRC_UNSPECIFIED;
  AVColorSpace matrix = AVCOL_SPC_UNSPECIFIED;
  AVChromaLocation chroma = AVCHROMA_LOC_UNSPECIFIED;
};

// Order of calls: open_encoder, add_stream for each further stream, write_header, then
// encode and write, then finish.
class Output {
 public:
  // Creates the temporary file and the container.
  Output(const std::filesystem::path& out, const SinkOptions& options);
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  AVFormatContext* context = nullptr;
  AVStream* video = nullptr;

  static const AVCodec* x264();                  // Error(failure): this FFmpeg has none
  void open_encoder(const VideoFormat& format);  // and its stream, `video`
  AVStream* add_stream();
  bool can_hold(AVCodecID codec) const;
  void write_header(bool keep_all_metadata);

  // Gives a frame (null: the end) to the encoder, and every packet that comes out to
  // `take`, in the encoder's time base.
  template <class Take> void encode(AVFrame* frame, Take&& take) {
    send(frame);
    while (receive()) take(packet_.get());
  }
  // Takes the packet's content.
  void write(AVPacket* packet, AVStream* stream, AVRational time_base);
  void finish();  // trailer, sync, rename

  AVRational encoder_time_base() const { return encoder_->time_base; }

 private:
  void send(AVFrame* frame);
  bool receive();
  [[noreturn]] void fail_writing(int code) const;

  std::filesystem::path path_;
  SinkOptions options_;
  PendingFile pending_;
  CodecPtr encoder_;
  PacketPtr packet_;
  std::map<std::int64_t, std::int64_t> durations_;  // of frames inside the encoder, by time stamp
};
}  // namespace faceswap::libav
