#include "faceswap/synthetic/swap_meter.h"

#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "kernels/image/color.h"
#include "kernels/ssim.h"

namespace faceswap {
namespace {

std::vector<float> unit_rgb(const Image& image) {
  std::vector<float> values(image.pixels.size());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = image.pixels[i] / 255.f;
  return values;
}

// ITU-R BT.601, the grey of most published SSIM figures.
std::vector<float> luma(const std::vector<float>& rgb) {
  std::vector<float> grey(rgb.size() / 3);
  for (std::size_t i = 0; i < grey.size(); ++i)
    grey[i] = 0.299f * rgb[3 * i] + 0.587f * rgb[3 * i + 1] + 0.114f * rgb[3 * i + 2];
  return grey;
}

void check(const Image& swapped, const Image& truth, const Image& mask) {
  const bool one_size = swapped.width == truth.width && swapped.height == truth.height &&
                        mask.width == truth.width && mask.height == truth.height;
  if (!one_size || swapped.channels != 3 || truth.channels != 3 || mask.channels != 1 ||
      truth.width < 6 || truth.height < 6) {
    throw Error(ErrorKind::failure,
                fmt::format("swap meter: expected two RGB pictures and a grey mask of one size, at "
                            "least 6 x 6; got {} x {} x {}, {} x {} x {} and {} x {} x {}",
                            swapped.width, swapped.height, swapped.channels, truth.width,
                            truth.height, truth.channels, mask.width, mask.height, mask.channels));
  }
}
}  // namespace

void SwapMeter::add(const Image& swapped, const Image& truth, const Image& mask) {
  check(swapped, truth, mask);
  kernels::Stream& host = kernels::Stream::of(kernels::Device::host);
  const std::vector<float> a = unit_rgb(swapped), b = unit_rgb(truth);
  const std::int64_t n = static_cast<std::int64_t>(mask.pixels.size());
  std::vector<float> ssim(mask.pixels.size()), lab_a(a.size()), lab_b(b.size());
  kernels::ssim_map<kernels::Host, float>(host, {1, truth.height, truth.width, 1}, luma(a).data(),
                                          luma(b).data(), ssim.data());
  kernels::rgb_to_lab<kernels::Host>(host, a.data(), lab_a.data(), n);
  kernels::rgb_to_lab<kernels::Host>(host, b.data(), lab_b.data(), n);
  for (std::size_t i = 0; i < mask.pixels.size(); ++i) {
    const double weight = mask.pixels[i] / 255.0;
    const double dl = lab_a[3 * i] - lab_b[3 * i], da = lab_a[3 * i + 1] - lab_b[3 * i + 1],
                 db = lab_a[3 * i + 2] - lab_b[3 * i + 2];
    ssim_sum_ += weight * ssim[i];
    delta_e_sum_ += weight * std::sqrt(dl * dl + da * da + db * db);  // CIE 1976
    weight_ += weight;
  }
  ++frames_;
}

SwapQuality SwapMeter::result() const {
  if (!(weight_ > 0))
    throw Error(
        ErrorKind::nothing_found,
        fmt::format("swap meter: no face pixel in {} frames; add frames with a visible face",
                    frames_));
  return {ssim_sum_ / weight_, delta_e_sum_ / weight_, frames_};
}
}  // namespace faceswap
