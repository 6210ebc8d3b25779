// Folders of pictures, and single pictures, as sources and sinks.
#pragma once
#include <filesystem>
#include <memory>

#include "faceswap/media/media.h"

namespace faceswap {

std::unique_ptr<FrameSource> open_pictures(const std::filesystem::path& path);
std::unique_ptr<FrameSink> open_picture_sink(const std::filesystem::path& out,
                                             const SourceInfo& source, const SinkOptions&);
}  // namespace faceswap
