#include "faceswap/train/plan_memory.h"

#include <algorithm>

#include "faceswap/train/face_set.h"
#include "kernels/core/memory.h"
#include "kernels/simt/config.h"

namespace faceswap {
namespace {

constexpr std::size_t kPlanWorkspace = std::size_t{256}
                                       << 20;  // no cuDNN plan that wants more is taken
constexpr std::size_t kBlasWorkspace = std::size_t{32} << 20;

// What the pool has taken from the (meta) system: live blocks and free ones. Blocks of a size that is not needed at the moment are
// not given back, so this and not the peak of the live ones is what the real pool will hold.
std::size_t pool_size() {
  const kernels::PoolStats stats = kernels::pool_stats(nn::Device::meta);
  return stats.live_bytes + stats.cached_bytes;
}

constexpr std::size_t kWorkerScratch =
    std::size_t{6} << 20;  // of a host thread: panels of our GEMM, oneDNN's scratchpads

// The host's convolutions copy the largest weights into oneDNN's order; the GPU's get a workspace, and cuBLAS one of its own.
std::size_t library_workspace(nn::Device device, const nn::ParameterArena& arena) {
  if (device == nn::Device::cuda) return kPlanWorkspace + kBlasWorkspace;
  std::int64_t largest = 0;
  for (const nn::Parameter& p : arena.parameters())
    if (p.shape.rank() == 4) largest = std::max(largest, p.shape.numel());
  return static_cast<std::size_t>(largest) * sizeof(float) + simt::worker_count() * kWorkerScratch;
}

}  // namespace

MemoryForecast forecast_memory(const std::string& model_name, nn::Device device, nn::DType dtype,
                               const StepPlan& plan, std::size_t face_bytes) {
  MemoryForecast forecast;
  forecast.batch = plan.batch;
  forecast.micro_batches = plan.micro_batches;
  forecast.data_set = face_bytes;

  const std::unique_ptr<Model> model = make_model(model_name);
  nn::ParameterArena& arena = model->arena();
  arena.allocate(nn::Device::meta, dtype, 1);
  forecast.parameter_count = arena.count();
  const auto bytes_of = [](const nn::Tensor& x) {
    return static_cast<std::size_t>(x.numel()) * nn::size_of(x.dtype());
  };
  forecast.parameters =
      bytes_of(arena.master()) +
      (arena.working().raw() == arena.master().raw() ? 0 : bytes_of(arena.working()));
  forecast.gradients = bytes_of(arena.gradients());
  forecast.optimizer = bytes_of(arena.moment1()) + bytes_of(arena.moment2());
  forecast.workspace = library_workspace(device, arena);

  kernels::release_cached(nn::Device::meta);
  const std::size_t before = pool_size();
  {
    nn::StepStateBlock state(nn::Device::meta, {});
    TrainingStep step(*model, dtype,
                      {FacesOnDevice{nullptr, 1, stored_size_for(model->size())},
                       FacesOnDevice{nullptr, 1, stored_size_for(model->size())}},
                      state, plan);
    kernels::Stream::of(nn::Device::meta).take_counted();
    step.run();
    forecast.launches =
        static_cast<int>(kernels::Stream::of(nn::Device::meta).take_counted().size());
    forecast.activations = pool_size() - before;
  }
  kernels::release_cached(nn::Device::meta);
  return forecast;
}

MemoryForecast forecast_least_memory(const std::string& model, nn::Device device, nn::DType dtype) {
  StepPlan plan;
  plan.batch = 1;
  return forecast_memory(model, device, dtype, plan, 0);
}

MemoryForecast forecast_that_fits(const std::string& model, nn::Device device, nn::DType dtype,
                                  StepPlan plan, std::size_t face_bytes, std::size_t available) {
  while (true) {
    const MemoryForecast forecast = forecast_memory(model, device, dtype, plan, face_bytes);
    if (static_cast<double>(forecast.total()) <= kUsableShare * static_cast<double>(available) ||
        plan.micro_batches >= plan.batch)
      return forecast;
    plan.micro_batches = std::min(2 * plan.micro_batches, plan.batch);
  }
}

int largest_batch(const std::string& model, nn::Device device, nn::DType dtype,
                  const StepPlan& plan, std::size_t face_bytes, std::size_t available) {
  const auto fits = [&](int batch) {
    StepPlan trial = plan;
    trial.batch = batch;
    trial.micro_batches = 1;
    return static_cast<double>(forecast_memory(model, device, dtype, trial, face_bytes).total()) <=
           kUsableShare * static_cast<double>(available);
  };
  int low = 1,
      high = kLargestBatch;  // low fits or is the last resort; nothing above high is asked for
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

}  // namespace faceswap
