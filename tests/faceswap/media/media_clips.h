// Clips made at test time straight through FFmpeg, and time stamps, packets and decoded
// planes read back. Only the owners of FFmpeg's objects are taken from the code under
// test.
#pragma once
#if DOPPEL_MEDIA
#include <filesystem>
#include <string>
#include <vector>

#include "faceswap/media/libav/common.h"

struct ClipOptions {
  std::string codec = "libx264";
  int width = 96, height = 64;
  AVPixelFormat pixel_format = AV_PIX_FMT_YUV420P;
  AVRational time_base{1, 12800}, frame_rate{25, 1};
  std::vector<std::int64_t> pts;  // in time_base; empty: 24 frames at the frame rate
  int b_frames = 0;
  int resize_at = -1;                // from this frame on, half the size
  std::vector<std::int32_t> matrix;  // 9 entries of a display matrix
  int audio_streams = 0;
  std::string audio_codec = "aac";
  std::int64_t audio_start = 0;  // in samples
  bool full_range = false;
  AVColorSpace colour_space = AVCOL_SPC_BT709;
  AVRational sample_aspect{0, 1};
  std::vector<std::pair<std::string, std::string>> metadata;
  std::string options;  // of the muxer, "movflags=faststart"
};
// The container follows from the suffix.
void make_clip(const std::filesystem::path& out, const ClipOptions& options);

// A display matrix that turns the stored picture clockwise, and may mirror it first.
std::vector<std::int32_t> turn(int clockwise_degrees, bool mirrored = false);

struct ProbedStream {
  AVMediaType type;
  AVRational time_base;
  std::vector<std::int64_t> pts;      // of the packets, sorted
  std::vector<std::uint64_t> hashes;  // of the packets' bytes, in the order of the file
  std::vector<std::int32_t> matrix;
  AVRational sample_aspect;
  int width, height, format;
  AVColorRange range;
  AVColorSpace space;
  AVColorPrimaries primaries;
  AVColorTransferCharacteristic transfer;
};
struct Probed {
  std::vector<ProbedStream> streams;
  std::vector<std::pair<std::string, std::string>> metadata;
  const ProbedStream& video() const;
  std::vector<const ProbedStream*> audio() const;
  std::string tag(const std::string& key) const;
};
Probed probe(const std::filesystem::path&);
std::vector<faceswap::libav::FramePtr> decode_planes(
    const std::filesystem::path&);  // in presentation order

// Equal as times, whatever the time bases; `slack` in seconds.
bool same_times(const ProbedStream& a, const ProbedStream& b, double slack = 0);
#endif
