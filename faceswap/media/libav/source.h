// Reading video: upright frames with exact time stamps; damage is counted.
#pragma once
#include <filesystem>
#include <memory>

#include "faceswap/media/media.h"

namespace faceswap::libav {

std::unique_ptr<FrameSource> open_source(const std::filesystem::path& path, const SourceOptions&);
}  // namespace faceswap::libav
