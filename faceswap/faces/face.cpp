#include "faceswap/faces/face.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace faceswap {

Similarity similarity_from_eyes(Point left, Point right) {
  return fit_similarity({left, right}, {kCanonicalEyes[0], kCanonicalEyes[1]});
}

const char* name(FaceMark mark) {
  static constexpr const char* names[kFaceMarks] = {"tiny",    "blurred",   "dark",   "cut-off",
                                                    "covered", "eyes-shut", "profile"};
  return names[static_cast<int>(mark)];
}

Similarity canonical_to_crop(int size) { return pixel_scaling(size / kCanonicalSize); }

Image crop_face(const Image& frame, const Similarity& to_canonical, int size) {
  if (frame.empty() || frame.width < 1 || frame.height < 1)
    throw Error(ErrorKind::failure, "crop_face: the frame is empty, expected a picture");
  if (size < 1)
    throw Error(ErrorKind::failure,
                fmt::format("crop_face: size {} pixels, expected at least 1", size));
  const Similarity crop_to_frame = to_canonical.then(canonical_to_crop(size)).inverse();
  const int supersample =
      std::clamp(static_cast<int>(std::ceil(crop_to_frame.scale() - 0.1)), 1, 8);
  std::vector<float> values(static_cast<std::size_t>(size) * size *
                            frame.channels);  // [size, size, channels]
  kernels::affine_warp<kernels::Host, std::uint8_t>(
      kernels::Stream::of(kernels::Device::host),
      {frame.pixels.data(), frame.height, frame.width, frame.channels},
      {values.data(), size, size, frame.channels}, crop_to_frame.affine(), supersample);
  Image crop(size, size, frame.channels);
  for (std::size_t i = 0; i < values.size(); ++i)
    crop.pixels[i] =
        static_cast<std::uint8_t>(std::lround(std::clamp(values[i], 0.0f, 1.0f) * 255.0f));
  return crop;
}

FloatImage egg_mask(int size, double growth) {
  constexpr double kCenter = 128, kRadiusX = 74, kRadiusUp = 62, kRadiusDown = 92,
                   kNarrowing = 0.22;
  // 1 on the outline, less inside. The lower half loses width towards the chin.
  const auto level = [growth](double x, double y) {
    const double v = (y - kCenter) / (growth * (y < kCenter ? kRadiusUp : kRadiusDown));
    const double narrow = v > 0 ? 1 - kNarrowing * std::min(v, 1.5) * std::min(v, 1.5) : 1;
    return std::hypot((x - kCenter) / (growth * kRadiusX * narrow), v);
  };
  FloatImage mask(size, size, 1);
  const Similarity to_canonical = canonical_to_crop(size).inverse();
  const double pixel = to_canonical.scale();  // one crop pixel in canonical units
  for (int y = 0; y < size; ++y)
    for (int x = 0; x < size; ++x) {
      const Point p = to_canonical({static_cast<double>(x), static_cast<double>(y)});
      const double here = level(p.x, p.y), h = 0.5 * pixel;
      const double slope =
          std::hypot(level(p.x + h, p.y) - level(p.x - h, p.y),
                     level(p.x, p.y + h) - level(p.x, p.y - h));  // change per pixel
      *mask.at(x, y) =
          static_cast<float>(std::clamp(0.5 + (1 - here) / std::max(slope, 1e-9), 0.0, 1.0));
    }
  return mask;
}
}  // namespace faceswap
