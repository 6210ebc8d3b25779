#include "bench/step/step_work.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "faceswap/synthetic/head.h"
#include "faceswap/train/face_set.h"
#include "kernels/random.h"
#include "nn/checkpoint/checkpoint.h"

namespace bench::step {

using nn::Tensor;

SyntheticFaces::SyntheticFaces(kernels::Device device, int stored_size, int count)
    : stored_size_(stored_size), count_(count) {
  const auto side = static_cast<std::size_t>(stored_size);
  for (int k = 0; k < 2; ++k) {
    std::vector<std::uint8_t> rgba(static_cast<std::size_t>(count) * side * side * 4);
    for (int i = 0; i < count; ++i) {
      faceswap::HeadPose pose = faceswap::talking_pose(0.4 * i, 5 + static_cast<std::uint32_t>(k));
      pose.center_x = pose.center_y = 0.5f;
      pose.scale = 0.42f;  // the head fills the picture, as it does in an aligned crop
      const faceswap::HeadPicture head = draw_head(faceswap::head_identity(k == 0 ? 'a' : 'b'),
                                                   pose, stored_size, stored_size, 1, 3);
      for (std::size_t pixel = 0; pixel < side * side; ++pixel) {
        std::uint8_t* out = &rgba[(static_cast<std::size_t>(i) * side * side + pixel) * 4];
        std::copy_n(&head.rgb.pixels[pixel * 3], 3, out);
        out[3] = head.mask.pixels[pixel];
      }
    }
    memory_[k] = kernels::Buffer(device, rgba.size());
    kernels::copy(memory_[k].data(), device, rgba.data(), kernels::Device::host, rgba.size());
    kernels::Stream::of(device).synchronize();
  }
}

std::array<faceswap::FacesOnDevice, 2> SyntheticFaces::on_device() const {
  return {faceswap::FacesOnDevice{memory_[0].as<std::uint8_t>(), count_, stored_size_},
          faceswap::FacesOnDevice{memory_[1].as<std::uint8_t>(), count_, stored_size_}};
}

void set_random_pictures(faceswap::TrainingStep& step, std::uint64_t seed) {
  std::uint64_t stream = 0;
  for (Tensor* tensor : {&step.pictures().input, &step.pictures().target, &step.pictures().mask}) {
    // In [0,1]: zeros would multiply faster on a GPU.
    const Tensor host = Tensor::empty(tensor->shape(), nn::DType::f32, nn::Device::host);
    kernels::uniform<kernels::Host, float>(host.stream(), host.data<float>(), host.numel(), 0.f,
                                           1.f, seed, ++stream);
    *tensor = host.to(tensor->dtype()).to(tensor->device());
  }
}

void dump(const std::string& path, const faceswap::Model& model, faceswap::TrainingStep& step) {
  std::vector<nn::TensorRecord> records;
  std::vector<Tensor> keep;
  const auto add_record = [&](const std::string& name, const Tensor& tensor) {
    const Tensor host = tensor.to(nn::Device::host).to(nn::DType::f32);
    std::vector<std::int64_t> shape;
    for (int i = 0; i < host.shape().rank(); ++i) shape.push_back(host.shape(i));
    records.push_back({name, nn::DType::f32, shape, static_cast<const std::byte*>(host.raw()),
                       static_cast<std::size_t>(host.numel()) * sizeof(float)});
    keep.push_back(host);
  };
  for (const nn::Parameter& p : model.arena().parameters()) add_record(p.name, p.master);
  add_record("input", step.pictures().input);
  add_record("target", step.pictures().target);
  add_record("mask", step.pictures().mask);
  nn::save_safetensors(path, {{"model", model.name()}}, records);
}

nn::DType dtype_of(const std::string& precision) {
  if (precision == "f32" || precision == "tf32") return nn::DType::f32;
  if (precision == "bf16") return nn::DType::bf16;
  if (precision == "f16") return nn::DType::f16;
  throw nn::Error(nn::ErrorKind::usage,
                  fmt::format("unknown precision '{}': choose f32, tf32, bf16 or f16", precision));
}

std::vector<CountedPhase> count_step(const std::string& model_name, nn::DType dtype,
                                     const faceswap::StepPlan& plan, bool augments) {
  constexpr auto meta = nn::Device::meta;
  const std::unique_ptr<faceswap::Model> model = faceswap::make_model(model_name);
  model->arena().allocate(meta, dtype, 1);
  nn::StepStateBlock state(meta, {});
  const faceswap::FacesOnDevice faces{nullptr, augments ? 1 : 0,
                                      faceswap::stored_size_for(model->size())};
  faceswap::TrainingStep step(*model, dtype, {faces, faces}, state, plan);
  kernels::Stream& stream = kernels::Stream::of(meta);
  stream.take_counted();
  std::vector<CountedPhase> phases;
  step.run([&](const char* name) { phases.push_back({name, stream.take_counted()}); });
  return phases;
}

bool counts_for_floor(const kernels::CountedLaunch& launch) {
  return launch.product.m > 0 || launch.name.find("adam") != std::string::npos;
}

}  // namespace bench::step
