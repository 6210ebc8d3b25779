#include "faceswap/train/loss_mask.h"

#include <algorithm>

#include "faceswap/faces/face_mask.h"
#include "faceswap/faces/skin.h"
#include "kernels/image/blend.h"
#include "kernels/image/resample.h"
#include "kernels/simt/single_threaded.h"

namespace faceswap {
namespace {

// Mask pixels, two canonical ones each: convert's soft edge lies on skin and hair.
constexpr double kMargin = 4;
constexpr float kSoft = 2;  // deviation of the blur

constexpr int kPixels = kMaskSize * kMaskSize;
}  // namespace

MaskedFace masked_face(const FaceFile& file) {
  if (file.mask.empty()) return {};
  const Image region = face_region(file.face);
  return {file.mask, region.empty() ? file.mask : region};
}

Image always_cut(const std::vector<MaskedFace>& faces) {
  std::vector<std::int64_t> seen(kPixels), cut(kPixels);
  bool any = false;
  for (const MaskedFace& face : faces) {
    if (face.mask.empty()) continue;
    any = true;
    for (std::size_t i = 0; i < kPixels; ++i) {
      seen[i] += face.region.pixels[i];
      cut[i] += std::max(0, face.region.pixels[i] - face.mask.pixels[i]);
    }
  }
  Image out;
  if (!any) return out;
  out = Image(kMaskSize, kMaskSize, 1);
  for (std::size_t i = 0; i < kPixels; ++i) out.pixels[i] = 2 * cut[i] > seen[i] ? 255 : 0;
  return out;
}

FloatImage loss_mask(const MaskedFace& face, const Image& always_cut, int size) {
  // The caller has a thread for each face.
  const simt::SingleThreaded one_thread;
  kernels::Stream& host = kernels::Stream::of(kernels::Device::host);
  FloatImage mask(kMaskSize, kMaskSize, 1), soft = mask, out(size, size, 1);
  for (std::size_t i = 0; i < kPixels; ++i) {
    const std::uint8_t own = std::min(face.region.pixels[i], always_cut.pixels[i]);
    mask.pixels[i] = static_cast<float>(std::max(face.mask.pixels[i], own)) / 255;
  }
  erode(mask, -kMargin);
  kernels::gaussian_blur<kernels::Host>(host, {mask.pixels.data(), kMaskSize, kMaskSize, 1},
                                        soft.pixels.data(), kSoft);
  kernels::resize<kernels::Host, float>(host, {soft.pixels.data(), kMaskSize, kMaskSize, 1},
                                        {out.pixels.data(), size, size, 1});
  return out;
}
}  // namespace faceswap
