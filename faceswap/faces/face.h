// A face: where it is in its frame, and the similarity that takes the frame to the canonical crop. In the canonical crop
// (256 x 256) the eyes lie at (88,100) and (168,100). Everything needed to train and convert travels inside the crop's PNG.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "faceswap/image.h"
#include "kernels/image/resample.h"

namespace faceswap {

inline constexpr double kCanonicalSize = 256;
inline constexpr Point kCanonicalEyes[2] = {{88, 100}, {168, 100}};  // image-left, image-right

// x' = a*x - b*y + tx, y' = b*x + a*y + ty
struct Similarity {
  double a = 1, b = 0, tx = 0, ty = 0;
  Point operator()(Point p) const { return {a * p.x - b * p.y + tx, b * p.x + a * p.y + ty}; }
  Similarity inverse() const;
  Similarity then(const Similarity& next) const;  // next(this(p))
  double scale() const;                           // length ratio
  double angle() const;                           // radians
  kernels::Affine affine()
      const;  // for kernels that ask "which source position": pass the inverse's
};
Similarity similarity_from_eyes(Point left, Point right);  // frame -> canonical
Similarity canonical_to_crop(
    int size);  // canonical (256) -> crop of size x size, pixel areas aligned
// Least-squares similarity (Umeyama 1991) from -> to; at least two points.
Similarity fit_similarity(const std::vector<Point>& from, const std::vector<Point>& to);

struct Face {
  std::string source;      // file name of the clip or image
  std::int64_t frame = 0;  // index in the source
  std::int64_t pts = 0;
  double seconds = 0;
  int track = 0;                              // faces of one person in one shot share it
  Similarity to_canonical;                    // frame -> canonical 256
  Point eyes[2];                              // in the frame: image-left, image-right
  double box_x = 0, box_y = 0, box_side = 0;  // the detector's square, top-left and side, upright
  double confidence =
      0;  // cascades: windows + 2 x eye votes (sure from 80); YuNet: its score (from 0.7); 0: filled in by the tracker
  double sharpness = 0;  // variance of the Laplacian of the crop's grey values
  int crop_size = 256;   // of the picture that carries this
};

// JSON, schema "doppel-face/1". parse throws Error(damaged) naming the field.
std::string to_json(const Face&);
Face face_from_json(const std::string& text);

// PNG with the metadata inside (text chunk "doppel-face").
void write_face(const std::filesystem::path&, const Image& crop, const Face&);
struct FaceFile {
  std::filesystem::path path;
  Face face;
  Image crop;
};
FaceFile read_face(const std::filesystem::path&);  // Error(input) or Error(damaged)
std::vector<std::filesystem::path> list_faces(
    const std::filesystem::path& folder);  // the PNGs, sorted; Error(input), Error(nothing_found)

// The aligned crop of a frame (supersampled where it shrinks), made by the engine's warp kernel on the host.
Image crop_face(const Image& frame, const Similarity& to_canonical, int size);

// The egg-shaped face region in canonical coordinates (rx 74, ry 62 up / 92 down round (128,128), narrowing to the chin),
// grown by `growth`: 1 inside, 0 outside, one pixel of smooth edge.
FloatImage egg_mask(int size, double growth);

}  // namespace faceswap
