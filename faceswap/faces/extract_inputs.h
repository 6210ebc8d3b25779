// The inputs of an extraction as sources, and the names that their faces get.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "faceswap/media/media.h"

namespace faceswap {

// The kind of a folder's pictures. frames: of one clip, every Nth is kept and faces are
// tracked. photos: each stands alone and is taken. automatic: is_clip_in_frames() decides.
enum class PictureFolders : std::uint8_t { automatic, frames, photos };
PictureFolders picture_folders(const std::string&);  // "auto", "frames", "photos"; Error(usage)

struct ExtractSource {
  enum Kind : std::uint8_t { video, frames, photo } kind = photo;
  std::filesystem::path path;  // absolute: of a file, or of the folder of frames
  // Size and SHA-256 of the first and last 64 KiB; of a folder, of the list of its names
  // and sizes and of its first picture.
  std::string content;
};

struct ExtractInputs {
  std::vector<ExtractSource> sources;
  std::vector<SkippedFile> skipped;
  std::vector<std::string> notes;  // how folders were understood
};
// `every`: for the notes. Error(input): an input is not there, or a folder without pictures.
ExtractInputs list_inputs(const std::vector<std::filesystem::path>& inputs, PictureFolders,
                          int every);

// Numbered without great gaps, and neighbours look alike: cameras number photos too.
bool is_clip_in_frames(const std::vector<std::filesystem::path>& pictures);

// The source's name as the beginning of file names. Letters of all scripts stay. What a
// shell or a file system gives a meaning becomes "_": spaces, quotes, control characters,
// slashes, bytes that are no UTF-8. No dash or dot comes first; at most 80 bytes.
std::string face_prefix(const std::filesystem::path& source);
}  // namespace faceswap
