#include "faceswap/train/preview.h"

#include <algorithm>
#include <cmath>

#include "faceswap/faces/view.h"
#include "nn/dispatch.h"
#include "nn/optimizer.h"

namespace faceswap {
namespace {

// `count` faces spread evenly over the set.
std::vector<int> spread(const FaceSet& set, int count) {
  std::vector<int> faces;
  for (int i = 0; i < count; ++i)
    faces.push_back(static_cast<int>((i + 0.5) * set.count() / count));
  return faces;
}

void paste(Image& sheet, const Image& picture, int column, int row) {
  for (int y = 0; y < picture.height; ++y)
    std::copy_n(picture.at(0, y), picture.width * 3, sheet.at(column, row + y));
}

nn::Tensor to_host_f32(const nn::Tensor& x) { return x.to(nn::DType::f32).to(nn::Device::host); }

// Picture number `index` of SwapSamples' tensors.
Image tensor_picture(const nn::Tensor& images, std::int64_t index) {
  Image picture(static_cast<int>(images.shape(2)), static_cast<int>(images.shape(1)), 3);
  const float* values = images.rows(index, index + 1).data<float>();
  for (std::size_t i = 0; i < picture.pixels.size(); ++i)
    picture.pixels[i] =
        static_cast<std::uint8_t>(std::lround(std::clamp(values[i], 0.f, 1.f) * 255.f));
  return picture;
}
}  // namespace

nn::Tensor plain_views(const Model& model, const FaceSet& set, const std::vector<int>& faces) {
  const auto count = static_cast<int>(faces.size());
  const nn::Device device = model.arena().device();
  const nn::DType dtype = model.arena().working().dtype();
  const int size = model.size();
  const nn::Tensor input = nn::Tensor::empty({count, size, size, 3}, dtype, device),
                   target = nn::Tensor::empty({1, size, size, 3}, dtype, device),
                   mask = nn::Tensor::empty({1, size, size}, dtype, device);
  const nn::StepStateBlock state(device, {});
  kernels::AugmentOptions options;
  options.random = false;
  const std::size_t face_bytes =
      static_cast<std::size_t>(set.stored_size()) * set.stored_size() * 4;
  for (int i = 0; i < count; ++i) {
    const std::size_t offset = face_bytes * static_cast<std::size_t>(faces[i]);
    const std::array one_face{kernels::ImageSource{set.data() + offset, 1, set.stored_size(), 0}};
    const nn::Tensor row = input.rows(i, i + 1);
    nn::dispatch(row, "augment", [&]<class D, class T>(kernels::Stream& stream) {
      kernels::augment<D, T>(stream, one_face, kModelView, state.device_pointer(), 1, size,
                             row.data<T>(), target.data<T>(), mask.data<T>(), options);
    });
  }
  return input;
}

SwapSamples swap_samples(const Model& model, const FaceSet& a, const FaceSet& b, int count) {
  const nn::NoGrad no_grad;
  SwapSamples samples;
  for (const Side side : {Side::a, Side::b}) {
    const int k = side == Side::a ? 0 : 1;
    const FaceSet& set = side == Side::a ? a : b;
    const nn::Tensor input = plain_views(model, set, spread(set, count));
    const nn::Tensor code = model.encode(input);
    samples.input[k] = to_host_f32(input);
    samples.same[k] = to_host_f32(model.decode(side, code));
    samples.swapped[k] = to_host_f32(model.decode(other(side), code));
  }
  return samples;
}

Image preview_grid(const Model& model, const FaceSet& a, const FaceSet& b, int rows) {
  constexpr int kGap = 4;
  const SwapSamples samples = swap_samples(model, a, b, rows);
  const int size = model.size();
  Image sheet(6 * size + 7 * kGap + kGap, rows * (size + kGap) + kGap, 3);
  std::fill(sheet.pixels.begin(), sheet.pixels.end(), std::uint8_t{24});
  for (int row = 0; row < rows; ++row)
    for (int k = 0; k < 2; ++k) {
      // A wider gap between the two people.
      const int x = kGap + k * (3 * (size + kGap) + kGap), y = kGap + row * (size + kGap);
      paste(sheet, tensor_picture(samples.input[k], row), x, y);
      paste(sheet, tensor_picture(samples.same[k], row), x + size + kGap, y);
      paste(sheet, tensor_picture(samples.swapped[k], row), x + 2 * (size + kGap), y);
    }
  return sheet;
}
}  // namespace faceswap
