// Times whole training steps of a model on fixed random pictures, without a loader: the half of bench/peer/compare_step.py
// that is ours. One JSON line on stdout: the milliseconds and both losses of every step.
//   --model NAME --batch N (a side) --steps N --warmup N --device cpu|cuda --dtype f32|bf16 --seed N
//   --dump FILE   writes the initial weights and the pictures (input, target, mask) as safetensors, so that a peer starts equal
#include <fmt/format.h>

#include <chrono>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "faceswap/models/model.h"
#include "kernels/dispatch.h"
#include "kernels/random.h"
#include "nn/checkpoint.h"
#include "nn/optimizer.h"
#include "nn/step_graph.h"

namespace {

using nn::Tensor;

struct Options { std::string model = "original", device = "cpu", dtype = "f32", dump; std::int64_t batch = 16, steps = 10, warmup = 2; std::uint64_t seed = 1; };

Options parse(int argc, char** argv) {
  std::map<std::string, std::string> values;
  for (int i = 1; i + 1 < argc; i += 2) values[argv[i]] = argv[i + 1];
  Options o;
  const auto take = [&](const char* key, auto& into) {
    const auto entry = values.find(key);
    if (entry == values.end()) return;
    if constexpr (std::is_same_v<std::decay_t<decltype(into)>, std::string>) into = entry->second;
    else into = static_cast<std::decay_t<decltype(into)>>(std::stoll(entry->second));
    values.erase(entry);
  };
  take("--model", o.model); take("--device", o.device); take("--dtype", o.dtype); take("--dump", o.dump);
  take("--batch", o.batch); take("--steps", o.steps); take("--warmup", o.warmup); take("--seed", o.seed);
  if (!values.empty() || argc % 2 == 0) throw nn::Error(nn::ErrorKind::usage, "flags: --model --batch --steps --warmup --device --dtype --seed --dump, each with a value");
  return o;
}

// Uniform pictures in [0,1]. Every element differs, so nothing can be cheap by accident.
Tensor random_pictures(nn::Shape shape, nn::Device device, nn::DType dtype, std::uint64_t seed, std::uint64_t which) {
  const Tensor host = Tensor::empty(shape, nn::DType::f32, nn::Device::host);
  kernels::uniform<kernels::Host, float>(host.stream(), host.data<float>(), host.numel(), 0.f, 1.f, seed, which);
  return host.to(dtype).to(device);
}

void dump(const Options& o, const faceswap::Model& model, const Tensor& input, const Tensor& target, const Tensor& mask) {
  std::vector<nn::TensorRecord> records;
  std::vector<Tensor> keep;
  const auto add = [&](const std::string& name, const Tensor& tensor) {
    const Tensor host = tensor.to(nn::Device::host).to(nn::DType::f32);
    std::vector<std::int64_t> shape;
    for (int i = 0; i < host.shape().rank(); ++i) shape.push_back(host.shape(i));
    records.push_back({name, nn::DType::f32, shape, static_cast<const std::byte*>(host.raw()), host.numel() * sizeof(float)});
    keep.push_back(host);
  };
  for (const nn::Parameter& p : model.arena().parameters()) add(p.name, p.master);
  add("input", input); add("target", target); add("mask", mask);
  nn::save_safetensors(o.dump, {{"model", o.model}}, records);
}

int run(int argc, char** argv) {
  const Options o = parse(argc, argv);
  const nn::Device device = kernels::choose_device(o.device);
  const nn::DType dtype = o.dtype == "bf16" ? nn::DType::bf16 : nn::DType::f32;
  const std::unique_ptr<faceswap::Model> model = faceswap::make_model(o.model);
  model->arena().allocate(device, dtype, o.seed);
  const std::int64_t n = o.batch, size = model->size();
  const Tensor input = random_pictures({2 * n, size, size, 3}, device, dtype, o.seed, 1), target = random_pictures({2 * n, size, size, 3}, device, dtype, o.seed, 2),
               mask = random_pictures({2 * n, size, size}, device, dtype, o.seed, 3);
  if (!o.dump.empty()) dump(o, *model, input, target, mask);

  nn::StepState initial;
  initial.seed = o.seed;
  nn::StepStateBlock state(device, initial);
  nn::Adam adam(model->arena(), {});
  nn::StepGraph graph(device);
  kernels::Stream& stream = kernels::Stream::of(device);
  const Tensor losses = Tensor::zeros({2}, nn::DType::f32, device);
  const auto step = [&] {
    kernels::on_device(device, [&]<class D>() { kernels::advance_step<D>(stream, state.device_pointer()); });
    const Tensor code = model->encode(input);
    Tensor loss[2];
    for (int k = 0; k < 2; ++k) {
      const Tensor pred = model->decode(k == 0 ? faceswap::Side::a : faceswap::Side::b, code.rows(k * n, (k + 1) * n));
      const Tensor t = target.rows(k * n, (k + 1) * n), m = mask.rows(k * n, (k + 1) * n);
      loss[k] = image_loss(pred, t, m, {1.f, 1.f, 0.f});
    }
    model->arena().begin_gradients();
    nn::backward(loss);
    adam.step(state);
    for (int k = 0; k < 2; ++k) kernels::copy(losses.data<float>() + k, device, loss[k].data<float>(), device, sizeof(float));
  };

  std::string ms, a, b;
  for (std::int64_t i = 0; i < o.warmup + o.steps; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    graph.run(step);
    stream.synchronize();
    const double elapsed = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    const std::vector<float> values = losses.to_host<float>();
    a += fmt::format("{}{:.7g}", i ? "," : "", values[0]);
    b += fmt::format("{}{:.7g}", i ? "," : "", values[1]);
    if (i >= o.warmup) ms += fmt::format("{}{:.4f}", i > o.warmup ? "," : "", elapsed);
  }
  fmt::print("{{\"model\":\"{}\",\"batch\":{},\"device\":\"{}\",\"dtype\":\"{}\",\"warmup\":{},\"ms\":[{}],\"loss_a\":[{}],\"loss_b\":[{}],\"graph\":{},\"peak_bytes\":{}}}\n", o.model, o.batch,
             kernels::name(device), o.dtype, o.warmup, ms, a, b, graph.captured(), kernels::pool_stats(device).peak_bytes);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const nn::Error& error) {
    fmt::print(stderr, "doppel_step: {}\n", error.what());
    return static_cast<int>(error.kind());
  } catch (const std::exception& error) {
    fmt::print(stderr, "doppel_step: {}\n", error.what());
    return 1;
  }
}
