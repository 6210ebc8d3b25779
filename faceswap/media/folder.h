// Folders of pictures, and single pictures, as sources and sinks.
#pragma once
#include <filesystem>
#include <memory>
#include <vector>

#include "faceswap/media/media.h"

namespace faceswap {

struct PictureFolder {
  std::vector<std::filesystem::path> pictures;  // in natural order of their names
  std::vector<SkippedFile> skipped;             // what else lies there, but for dot files
};
PictureFolder list_pictures(const std::filesystem::path& folder);  // Error(input)

std::unique_ptr<FrameSource> open_pictures(const std::filesystem::path& path);
// As a folder of these files, but without an error if none can be read.
std::unique_ptr<FrameSource> open_picture_list(std::vector<std::filesystem::path> files);
std::unique_ptr<FrameSink> open_picture_sink(const std::filesystem::path& out,
                                             const SourceInfo& source, const SinkOptions&);
}  // namespace faceswap
