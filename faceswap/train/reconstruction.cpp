#include "faceswap/train/reconstruction.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "faceswap/models/model_file.h"
#include "faceswap/progress.h"
#include "faceswap/train/preview.h"
#include "nn/optimizer.h"

namespace faceswap {
namespace {

constexpr int kBatch = 16;

double middle_difference(const float* a, const float* b, int size /*a, b: [size,size,3]*/) {
  const int begin = size / 5, end = size - begin;
  double sum = 0;
  for (int y = begin; y < end; ++y)
    for (int i = 3 * (y * size + begin); i < 3 * (y * size + end); ++i)
      sum += std::abs(a[i] - b[i]);
  return sum / (3.0 * (end - begin) * (end - begin));
}
}  // namespace

std::vector<double> reconstruction_errors(const std::filesystem::path& model_dir, Side side,
                                          const std::filesystem::path& faces, bool quiet) {
  const LoadedModel loaded =
      load_model(model_dir / kModelFile, nn::Device::host, nn::DType::f32, false);
  const Model& model = *loaded.model;
  const FaceSet set(faces, stored_size_for(model.size(), faces), nn::Device::host, quiet);
  const nn::NoGrad no_grad;
  std::vector<double> errors;
  Progress progress(fmt::format("faces through {}", model_dir.string()), set.count(), quiet);
  for (int first = 0; first < set.count(); first += kBatch) {
    std::vector<int> batch(static_cast<std::size_t>(std::min(kBatch, set.count() - first)));
    std::iota(batch.begin(), batch.end(), first);
    const nn::Tensor input = plain_views(model, set, batch);
    const nn::Tensor copy = model.decode(side, model.encode(input));
    for (int i = 0; i < static_cast<int>(batch.size()); ++i)
      errors.push_back(middle_difference(input.rows(i, i + 1).data<float>(),
                                         copy.rows(i, i + 1).data<float>(), model.size()));
    progress.update(first + static_cast<int>(batch.size()));
  }
  progress.finish();
  return errors;
}
}  // namespace faceswap
