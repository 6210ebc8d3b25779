// A batch goes through the model on the meta device. The tape then holds a node per
// convolution with the shapes of its operands.
#include "bench/plans/model_shapes.h"

#include <algorithm>
#include <set>

#include "faceswap/models/model.h"
#include "nn/tape.h"
#include "nn/tensor_impl.h"

namespace plans {
namespace {

using kernels::ConvShape;

void collect(const nn::Tensor& from, std::vector<ConvShape>& shapes) {
  struct Step {
    std::shared_ptr<nn::Node> node;
    nn::Shape output;
  };
  std::vector<Step> open{{from.impl()->history->node, from.shape()}};
  std::set<std::uint64_t> seen;
  while (!open.empty()) {
    const Step step = open.back();
    open.pop_back();
    if (!step.node || !seen.insert(step.node->order).second) continue;
    for (const nn::Edge& edge : step.node->inputs) {
      if (edge.to) open.push_back({edge.to->node, edge.shape});
    }
    if (std::string(step.node->op) != "conv2d") continue;
    const nn::Shape &x = step.node->inputs.at(0).shape, &w = step.node->inputs.at(1).shape;
    const int stride = static_cast<int>((x[1] + step.output[1] - 1) / step.output[1]);
    const ConvShape shape = kernels::same_padding(
        x[0], static_cast<int>(x[1]), static_cast<int>(x[2]), static_cast<int>(x[3]),
        static_cast<int>(w[0]), static_cast<int>(w[1]), stride);
    if (std::find(shapes.begin(), shapes.end(), shape) == shapes.end()) shapes.push_back(shape);
  }
}
}  // namespace

std::vector<ConvShape> conv_shapes(const std::string& name, int batch) {
  const auto model = faceswap::make_model(name);
  model->arena().allocate(nn::Device::meta, nn::DType::f32, 1);
  const auto zeros = [](nn::Shape shape) {
    return nn::Tensor::zeros(shape, nn::DType::f32, nn::Device::meta);
  };
  const nn::Tensor code = model->encode(zeros({2 * batch, model->size(), model->size(), 3}));
  std::vector<ConvShape> shapes;
  collect(code, shapes);
  collect(
      model->decode(faceswap::Side::a, zeros({batch, code.shape(1), code.shape(2), code.shape(3)})),
      shapes);
  return shapes;
}
}  // namespace plans
