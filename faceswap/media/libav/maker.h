// A video from pictures: x264 in yuv420p tagged BT.709, with optional AAC sound.
#pragma once
#include <filesystem>
#include <memory>

#include "faceswap/media/media.h"

namespace faceswap::libav {

std::unique_ptr<VideoMaker> make_video(const std::filesystem::path& out, int width, int height,
                                       Rational frame_rate, const SinkOptions&);
}  // namespace faceswap::libav
