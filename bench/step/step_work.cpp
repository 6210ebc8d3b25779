#include "bench/step/step_work.h"

#include <algorithm>
#include <vector>

#include "faceswap/synthetic/head.h"
#include "faceswap/train/face_set.h"
#include "kernels/losses.h"
#include "kernels/random.h"
#include "nn/checkpoint/checkpoint.h"
#include "nn/dispatch.h"

namespace bench::step {

using faceswap::Side;
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

namespace {

// Uniform in [0,1]: zeros would multiply faster on a GPU.
Tensor random_pictures(nn::Shape shape, nn::Device device, nn::DType dtype, std::uint64_t seed,
                       std::uint64_t stream) {
  if (device == nn::Device::meta) return Tensor::empty(shape, dtype, device);
  const Tensor host = Tensor::empty(shape, nn::DType::f32, nn::Device::host);
  kernels::uniform<kernels::Host, float>(host.stream(), host.data<float>(), host.numel(), 0.f, 1.f,
                                         seed, stream);
  return host.to(dtype).to(device);
}
}  // namespace

PhasedStep::PhasedStep(faceswap::Model& model, nn::DType dtype, int batch,
                       const std::array<faceswap::FacesOnDevice, 2>* faces, std::uint64_t seed,
                       std::int64_t loss_rows, nn::StepStateBlock& state)
    : model_(&model),
      dtype_(dtype),
      batch_(batch),
      augments_(faces != nullptr),
      state_(&state),
      adam_(model.arena(), nn::AdamOptions{}) {
  if (faces) faces_ = *faces;
  const nn::Device device = model.arena().device();
  const std::int64_t size = model.size();
  input_ = random_pictures({2 * batch_, size, size, 3}, device, dtype, seed, 1);
  target_ = random_pictures({2 * batch_, size, size, 3}, device, dtype, seed, 2);
  mask_ = random_pictures({2 * batch_, size, size}, device, dtype, seed, 3);
  losses_ = Tensor::zeros({std::max<std::int64_t>(loss_rows, 1), 2}, nn::DType::f32, device);
}

void PhasedStep::draw() {
  nn::dispatch(input_, "augment", [&]<class D, class T>(kernels::Stream& stream) {
    const std::array sources{faces_[0].source(Side::a), faces_[1].source(Side::b)};
    kernels::augment<D, T>(stream, sources, faceswap::kModelView, state_->device_pointer(),
                           static_cast<int>(batch_), model_->size(), input_.data<T>(),
                           target_.data<T>(), mask_.data<T>(), {});
  });
}

void PhasedStep::run(const AfterPhase& after) {
  kernels::Stream& stream = input_.stream();
  adam_.begin_step(*state_);
  model_->arena().begin_gradients();
  if (augments_) draw();
  after("augmentation");

  const Tensor code = model_->encode(input_);
  Tensor prediction[2], loss[2];
  for (int k = 0; k < 2; ++k)
    prediction[k] =
        model_->decode(k == 0 ? Side::a : Side::b, code.rows(k * batch_, (k + 1) * batch_));
  after("forward");

  for (int k = 0; k < 2; ++k) {
    const Tensor target = target_.rows(k * batch_, (k + 1) * batch_),
                 mask = mask_.rows(k * batch_, (k + 1) * batch_);
    loss[k] = image_loss(prediction[k], target, mask, {1.f, 1.f, 0.f});  // DSSIM + MSE
  }
  kernels::on_device(stream, [&]<class D>() {
    kernels::record_losses<D>(stream, state_->device_pointer(), loss[0].data<float>(),
                              loss[1].data<float>(), losses_.data<float>(),
                              static_cast<int>(losses_.shape(0)));
  });
  after("losses");

  nn::backward(loss, dtype_ == nn::DType::f16 ? state_->loss_scale() : nn::Tensor());
  after("backward");
  adam_.step(*state_);
  after("optimizer");
}

void PhasedStep::dump(const std::string& path) const {
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
  for (const nn::Parameter& p : model_->arena().parameters()) add_record(p.name, p.master);
  add_record("input", input_);
  add_record("target", target_);
  add_record("mask", mask_);
  nn::save_safetensors(path, {{"model", model_->name()}}, records);
}

std::array<PhaseCost, PhasedStep::kPhases> count_costs(const std::string& model_name,
                                                       nn::DType dtype, int batch, bool augments,
                                                       double flops_per_second,
                                                       double bytes_per_second) {
  constexpr auto meta = nn::Device::meta;
  const std::unique_ptr<faceswap::Model> model = faceswap::make_model(model_name);
  nn::ParameterArena& arena = model->arena();
  arena.allocate(meta, dtype, 1);
  nn::StepStateBlock state(meta, {});
  const int stored = faceswap::stored_size_for(model->size());
  const std::array<faceswap::FacesOnDevice, 2> faces{faceswap::FacesOnDevice{nullptr, 1, stored},
                                                     faceswap::FacesOnDevice{nullptr, 1, stored}};
  PhasedStep step(*model, dtype, batch, augments ? &faces : nullptr, 1, 1, state);
  kernels::Stream& stream = kernels::Stream::of(meta);
  stream.take_counted();

  std::array<PhaseCost, PhasedStep::kPhases> costs;
  std::size_t phase = 0;
  step.run([&](const char* name) {
    PhaseCost& cost = costs[phase++];
    cost.name = name;
    for (const kernels::CountedLaunch& launch : stream.take_counted()) {
      ++cost.launches;
      cost.flops += launch.flops;
      cost.bytes += launch.bytes;
      cost.floor_seconds +=
          std::max(launch.flops / flops_per_second, launch.bytes / bytes_per_second);
    }
  });
  // Adam reads and writes the master weight and two moments, reads the gradient, and
  // writes the working copy, if any.
  const auto count = static_cast<double>(arena.count());
  const bool has_copy = arena.working().raw() != arena.master().raw();
  PhaseCost& optimizer = costs.back();
  optimizer.bytes += count * (6 * 4 + static_cast<double>(nn::size_of(arena.gradients().dtype())) +
                              (has_copy ? static_cast<double>(nn::size_of(dtype)) : 0));
  optimizer.floor_seconds = optimizer.bytes / bytes_per_second;
  return costs;
}
}  // namespace bench::step
