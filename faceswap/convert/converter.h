// The convert command: a clip in, the same clip with its faces swapped out.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "faceswap/convert/compose.h"
#include "faceswap/faces/detector.h"
#include "faceswap/media/media.h"
#include "faceswap/models/model_file.h"

namespace faceswap {

enum class FaceChoice : std::uint8_t { largest, all };
FaceChoice face_choice(const std::string&);  // Error(usage)

struct ConvertOptions {
  std::filesystem::path input, model_dir, out;
  bool swap = false;  // false: A's face becomes B's; true: B's becomes A's
  FaceChoice faces = FaceChoice::largest;
  std::vector<int> tracks;  // only faces of these tracks, numbered as by extract; empty: all
  // Pictures of people: only tracks of those who look like one of `people`, if there are
  // any, and not of those who look like one of `not_people`.
  std::vector<std::filesystem::path> people, not_people;
  ComposeOptions compose;
  SinkOptions sink;
  DetectorOptions detection;
  std::string device = "auto";
  std::string precision = "auto";
  int batch = 16;       // faces per pass through the model
  std::string command;  // the command line, for the manifest
  bool manifest = true;
  bool quiet = false;
};

struct ConvertReport {
  std::int64_t frames = 0, frames_changed = 0, faces = 0, damaged_frames = 0;
  std::vector<std::string> notes;  // about all that the output does not keep exactly
};
// Two passes: the first finds and tracks the faces, the second decodes, swaps and
// writes. Frames without a face stay unchanged. Error(nothing_found) if none has, or nobody
// is wanted.
ConvertReport convert(const ConvertOptions&);

// Pictures in the batch that carries `count` of them. A GPU looks for the plans of every
// batch size it meets, which takes a second, so there the size is a power of two.
std::int64_t padded_batch(std::int64_t count, nn::Device);

// Encodes each view, [size,size,3], and decodes it with the decoder of `to`.
std::vector<FloatImage> swap_views(const Model& model, const std::vector<FloatImage>& views,
                                   Side to);

// The view of this face in the frame, [size,size,3]. pixels: as in compose().
FloatImage take_view(const Image& frame, const Similarity& to_canonical, const View& view, int size,
                     const PixelScale& pixels = {});
}  // namespace faceswap
