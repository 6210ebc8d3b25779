#include "faceswap/review/thumbnails.h"

#include <algorithm>
#include <cmath>

#include "faceswap/media/images.h"
#include "faceswap/media/png.h"
#include "kernels/image/resample.h"

namespace faceswap {
namespace {

constexpr int kQuality = 82;

std::vector<std::byte> thumbnail(const std::filesystem::path& path) {
  const Image picture = read_png(path).rgb;
  const int side = Thumbnails::kSide;
  if (std::max(picture.width, picture.height) <= side) return encode_jpeg(picture, kQuality);
  std::vector<float> small(static_cast<std::size_t>(side) * side * 3);  // [side, side, 3]
  kernels::resize<kernels::Host, std::uint8_t>(
      kernels::Stream::of(kernels::Device::host),
      {picture.pixels.data(), picture.height, picture.width, 3}, {small.data(), side, side, 3});
  Image thumb(side, side);
  for (std::size_t i = 0; i < small.size(); ++i)
    thumb.pixels[i] = static_cast<std::uint8_t>(std::lround(std::clamp(small[i], 0.f, 1.f) * 255));
  return encode_jpeg(thumb, kQuality);
}
}  // namespace

Thumbnails::Thumbnails(std::vector<std::filesystem::path> pictures)
    : pictures_(std::move(pictures)),
      jpegs_(pictures_.size()),
      once_(std::make_unique<std::once_flag[]>(pictures_.size())) {
  const auto work = [this](const std::stop_token& stop) {
    const int count = static_cast<int>(pictures_.size());
    for (int i; !stop.stop_requested() && (i = next_.fetch_add(1)) < count;) {
      try {
        get(i);
      } catch (const std::exception&) {
        continue;  // told when the page asks for this picture
      }
    }
  };
  const unsigned workers = std::max(1u, std::thread::hardware_concurrency());
  for (unsigned t = 0; t < workers; ++t) threads_.emplace_back(work);
}

const std::vector<std::byte>& Thumbnails::get(int index) {
  const auto i = static_cast<std::size_t>(index);
  std::call_once(once_[i], [&] {
    jpegs_[i] = thumbnail(pictures_[i]);
    ++made_;
  });
  return jpegs_[i];
}
}  // namespace faceswap
