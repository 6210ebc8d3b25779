#include "faceswap/train/plan_memory.h"

#include <algorithm>

#include "faceswap/train/face_set.h"
#include "kernels/core/memory.h"
#include "kernels/simt/config.h"

namespace faceswap {
namespace {

constexpr std::size_t kPlanWorkspace = std::size_t{256} << 20;  // most that a cuDNN plan may take
constexpr std::size_t kBlasWorkspace = std::size_t{32} << 20;
// Of a host thread: panels of our GEMM, oneDNN's scratchpads.
constexpr std::size_t kWorkerScratch = std::size_t{6} << 20;

// Live and free blocks of the meta pool. Free blocks of another size are not given
// back, so the real pool holds both, not the peak of the live ones.
std::size_t pool_size() {
  const kernels::PoolStats stats = kernels::pool_stats(nn::Device::meta);
  return stats.live_bytes + stats.cached_bytes;
}

// The host's convolutions copy the largest weights into oneDNN's order; the GPU's get a
// workspace, and cuBLAS one of its own.
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
  const bool own_copy = arena.working().raw() != arena.master().raw();
  forecast.parameters = bytes_of(arena.master()) + (own_copy ? bytes_of(arena.working()) : 0);
  forecast.gradients = bytes_of(arena.gradients());
  forecast.optimizer = bytes_of(arena.moment1()) + bytes_of(arena.moment2());
  forecast.workspace = library_workspace(device, arena);

  kernels::release_cached(nn::Device::meta);
  const std::size_t before = pool_size();
  {
    nn::StepStateBlock state(nn::Device::meta, {});
    const FacesOnDevice faces{nullptr, 1, stored_size_for(model->size())};
    TrainingStep step(*model, dtype, {faces, faces}, state, plan);
    kernels::Stream& stream = kernels::Stream::of(nn::Device::meta);
    stream.take_counted();
    step.run();
    forecast.launches = static_cast<int>(stream.take_counted().size());
    forecast.activations = pool_size() - before;
  }
  kernels::release_cached(nn::Device::meta);
  return forecast;
}

const MemoryForecast& MemoryPlanner::forecast(int batch, int micro_batches) {
  const std::pair key(batch, micro_batches);
  if (!forecasts.contains(key)) {
    plan.batch = batch;
    plan.micro_batches = micro_batches;
    forecasts[key] = forecast_memory(model, device, dtype, plan, face_bytes);
  }
  return forecasts.at(key);
}

double MemoryPlanner::left(int batch, int micro_batches) {
  return kUsableShare * static_cast<double>(available) -
         static_cast<double>(forecast(batch, micro_batches).total());
}

// Memory is nearly a straight line over the batch, so the next try is the point where
// the line through both ends of the bracket meets the limit.
int MemoryPlanner::largest_batch() {
  int low = 1, high = kLargestBatch;
  if (left(high, 1) >= 0) return high;
  if (left(low, 1) <= 0) return low;
  while (high - low > 1) {  // low fits, high does not
    const double share = left(low, 1) / (left(low, 1) - left(high, 1));
    const int next = std::clamp(low + static_cast<int>(share * (high - low)), low + 1, high - 1);
    (left(next, 1) >= 0 ? low : high) = next;
  }
  return low;
}

const MemoryForecast& MemoryPlanner::fitting(int batch, int least) {
  std::vector<int> counts;
  for (int k = std::min(least, batch); k < batch; k *= 2) counts.push_back(k);
  counts.push_back(batch);
  if (left(batch, counts.front()) >= 0) return forecast(batch, counts.front());
  const auto first = std::min(counts.begin() + 1, counts.end() - 1);
  return forecast(batch, *std::partition_point(first, counts.end() - 1,
                                               [&](int k) { return left(batch, k) < 0; }));
}
}  // namespace faceswap
