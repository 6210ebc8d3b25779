// A video file being written: x264, the container, and the temporary name under which both grow.
#pragma once
#include <map>

#include "faceswap/media/files.h"
#include "faceswap/media/libav.h"

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

// Order of calls: open_encoder, add_stream for whatever else, write_header, then encode and write, then finish.
class Output {
 public:
  Output(const std::filesystem::path& out,
         const SinkOptions& options);  // creates the temporary file and the container
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  AVFormatContext* context = nullptr;
  AVStream* video = nullptr;

  static const AVCodec* x264();  // Error(failure) where this FFmpeg was built without it
  void open_encoder(const VideoFormat& format);  // and its stream, `video`
  AVStream* add_stream();
  bool can_hold(AVCodecID codec) const;
  void write_header(bool keep_all_metadata);

  // Gives a frame (null: the end) to the encoder; `take` gets every packet that comes out, timed in the encoder's time base.
  template <class Take> void encode(AVFrame* frame, Take&& take) {
    send(frame);
    while (receive()) take(packet_.get());
  }
  void write(AVPacket* packet, AVStream* stream,
             AVRational time_base);  // takes the packet's content
  void finish();                     // trailer, sync, rename

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
