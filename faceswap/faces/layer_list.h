// A trained network as a list of layers, read from a file and run by nn without
// gradients. tools/faces/convert_networks.py writes the files and describes the format.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "nn/tensor.h"

namespace faceswap {

class LayerList {
 public:
  struct Output {
    std::string name;
    std::int64_t size;       // numbers for each picture
    std::vector<int> parts;  // values that lie in it one behind the other
  };

  // The weights go to `device`. The layers are run once without data, so a file whose
  // weights do not fit its layers is refused here. Throws Error(input), naming the file,
  // the layer and its fault.
  explicit LayerList(const std::filesystem::path& file, nn::Device device = nn::Device::host);

  const nn::Shape& input() const { return input_; }  // [H,W,C]
  nn::Device device() const { return device_; }
  const std::vector<Output>& outputs() const { return outputs_; }

  // x [N,H,W,C] of f32 on the list's device -> each output, [N,size]. On the host one
  // thread computes; several may call at once.
  std::vector<nn::Tensor> operator()(const nn::Tensor& x) const;

 private:
  enum class Op { conv2d, depthwise_conv2d, add, prelu, max_pool2d, pad_channels, pad2d, upsample };
  struct OpName;
  struct Layer {
    Op op = Op::conv2d;
    std::vector<int> inputs;     // values; the layer's result is the next one
    nn::Tensor weight, bias;     // of convolutions; the weight of prelu holds its slopes
    int stride = 1, kernel = 1;  // of convolutions and max_pool2d
    int channels = 0;            // of pad_channels
    int top = 0, left = 0, height = 0, width = 0;  // of pad2d
    bool relu = false;                             // of conv2d and add
    std::vector<int> finished;                     // inputs that no later layer reads
    nn::Tensor operator()(const std::vector<nn::Tensor>& values) const;
  };
  struct Reader;
  nn::Device device_;
  nn::Shape input_;
  std::vector<Layer> layers_;
  std::vector<Output> outputs_;
};
}  // namespace faceswap
