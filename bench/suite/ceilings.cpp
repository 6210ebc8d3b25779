#include "bench/suite/ceilings.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>

#include "bench/suite/bandwidth.h"
#include "bench/suite/gpu_side.h"
#include "bench/suite/machine.h"
#include "kernels/conv/gemm.h"
#include "kernels/conv/host/parallel_tasks.h"
#include "kernels/core/device.h"
#include "kernels/core/dispatch.h"
#include "kernels/simt/config.h"

namespace bench {

using kernels::Stream;

const char* name(Bound bound) {
  constexpr const char* names[] = {"copy", "read", "write", "f32", "tf32", "bf16", "f16", "launch"};
  return names[static_cast<int>(bound)];
}

double time_of(Stream& stream, const std::function<void()>& work) {
#if DOPPEL_HAS_CUDA
  if (stream.device() == Device::cuda) return gpu::time_behind_gate(stream, work);
#endif
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  work();
  stream.synchronize();
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

kernels::Buffer& arena(Device device, std::size_t bytes) {
  // Never destroyed: at exit the driver may be gone.
  static auto* const buffers = new std::map<Device, kernels::Buffer>;
  kernels::Buffer& buffer = (*buffers)[device];
  if (buffer.bytes() < bytes) {
    buffer = kernels::Buffer();
    kernels::release_cached(device);
    buffer = kernels::Buffer(device, bytes);
    Stream& stream = Stream::of(device);
    kernels::fill_zero(stream, buffer.data(), buffer.bytes());  // touches every page
    stream.synchronize();
  }
  return buffer;
}

namespace {

double shortest_of(int times, const std::function<double()>& timing) {
  double best = timing();
  for (int i = 1; i < times; ++i) best = std::min(best, timing());
  return best;
}

// Values in [-1,1]: matrices of zeros would multiply faster.
template <class T> kernels::Buffer random_matrix(Device device, std::int64_t side) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> uniform(-1.f, 1.f);
  std::vector<T> tile(1 << 16);
  for (T& value : tile) value = T(uniform(random));
  kernels::Buffer buffer(device, static_cast<std::size_t>(side * side) * sizeof(T));
  const std::size_t tile_bytes = tile.size() * sizeof(T);
  for (std::size_t at = 0; at < buffer.bytes(); at += tile_bytes)
    kernels::copy(buffer.as<char>() + at, device, tile.data(), Device::host,
                  std::min(tile_bytes, buffer.bytes() - at));
  return buffer;
}

// FLOP/s of the fastest of `repeats` square products gemm(a, b, c).
template <class T, class Gemm>
double gemm_speed(Device device, std::int64_t side, int repeats, const Gemm& gemm) {
  const kernels::Buffer a = random_matrix<T>(device, side), b = random_matrix<T>(device, side),
                        c(device, a.bytes());
  const auto once = [&] { gemm(a.as<T>(), b.as<T>(), c.as<T>()); };
  Stream& stream = Stream::of(device);
  once();
  stream.synchronize();
  const double seconds = shortest_of(repeats, [&] { return time_of(stream, once); });
  const auto n = static_cast<double>(side);
  return 2 * n * n * n / seconds;
}

// The product behind the launcher, with the library that it chooses.
template <class T> double launcher_speed(Device device, std::int64_t side, int repeats) {
  Stream& stream = Stream::of(device);
  return gemm_speed<T>(device, side, repeats, [&](const T* a, const T* b, T* c) {
    kernels::on_device(stream, [&]<class D>() {
      constexpr auto no = kernels::Transpose::no;
      kernels::gemm<D, T>(stream, no, no, side, side, side, 1.f, a, b, 0.f, c);
    });
  });
}

// Seconds of one pass over `bytes` of memory (copy: half of them read, half written).
double pass_seconds(Device device, Bound bound, std::size_t bytes) {
  Stream& stream = Stream::of(device);
  char* const base = arena(device, bytes + 4096).as<char>();
  const auto words = static_cast<std::int64_t>(bytes / 16);
  return time_of(stream, [&] {
    kernels::on_device(stream, [&]<class D>() {
      if (bound == Bound::copy)
        stream_copy<D>(stream, base + 2048, base + bytes / 2 + 2048 + 1024, words / 2);
      else if (bound == Bound::read)
        stream_read<D>(stream, base + 2048, reinterpret_cast<float*>(base), words);
      else stream_write<D>(stream, base + 2048, 1.5f, words);
    });
  });
}

// Seconds of one pass by the system's copy function.
double system_copy_seconds(Device device, std::size_t bytes) {
  Stream& stream = Stream::of(device);
  char* const base = arena(device, bytes).as<char>();
  return time_of(stream, [&] {
    if (device == Device::cuda)
      return kernels::copy(base + bytes / 2, device, base, device, bytes / 2);
    const auto workers = static_cast<std::int64_t>(simt::worker_count()),
               half = static_cast<std::int64_t>(bytes / 2);
    kernels::parallel_tasks(workers, [&](std::int64_t w) {
      const std::int64_t first = half * w / workers, end = half * (w + 1) / workers;
      std::memcpy(base + half + first, base + first, static_cast<std::size_t>(end - first));
    });
  });
}

double launch_seconds(Device device) {
  Stream& stream = Stream::of(device);
  float* const word = arena(device, 256).as<float>();
  constexpr int count = 200;  // a GPU's queue holds about a thousand
  const auto launch = [&]<class D>() { launch_nothing<D>(stream, word); };
  const double seconds = time_of(stream, [&] {
    for (int i = 0; i < count; ++i) kernels::on_device(stream, launch);
  });
  return seconds / count;
}
}  // namespace

Ceilings measure_ceilings(Device device, const OpenBlas& openblas) {
  Ceilings c;
  const bool host = device == Device::host;
  const std::size_t bytes = std::max(std::size_t{48} << 20, 4 * cache_bytes(device));
  const auto bandwidth = [&](const char* label, const auto& seconds) {
    seconds();
    return c.candidates[label] = static_cast<double>(bytes) / shortest_of(9, seconds);
  };
  c.copy = bandwidth("copy loop", [&] { return pass_seconds(device, Bound::copy, bytes); });
  c.read = bandwidth("read loop", [&] { return pass_seconds(device, Bound::read, bytes); });
  c.write = bandwidth("write loop", [&] { return pass_seconds(device, Bound::write, bytes); });
  c.copy = std::max(c.copy, bandwidth(host ? "memcpy" : "cudaMemcpy",
                                      [&] { return system_copy_seconds(device, bytes); }));
  c.read = std::max(c.read, c.copy);
  c.launch = shortest_of(9, [&] { return launch_seconds(device); });

  const auto offer = [&](double& ceiling, const char* label, double speed) {
    double& candidate = c.candidates[label];
    candidate = std::max(candidate, speed);
    ceiling = std::max(ceiling, speed);
  };
  if (!host) {
    const bool tf32 = kernels::allow_tf32.exchange(false);
    offer(c.f32, "f32 gemm", launcher_speed<float>(device, 4096, 5));
    kernels::allow_tf32 = true;
    offer(c.tf32, "tf32 gemm", launcher_speed<float>(device, 8192, 5));
    kernels::allow_tf32 = tf32;
    offer(c.bf16, "bf16 gemm", launcher_speed<kernels::bf16>(device, 8192, 5));
    offer(c.f16, "f16 gemm", launcher_speed<kernels::f16>(device, 8192, 5));
    return c;
  }
  for (const std::int64_t side : {512, 1024}) {  // 512 fits the cache of most processors
    offer(c.f32, "f32 gemm", launcher_speed<float>(device, side, 7));
    const auto offer_f32 = [&](const char* label, const auto& gemm) {
      offer(c.f32, label,
            gemm_speed<float>(device, side, 7, [&](const float* a, const float* b, float* out) {
              gemm(false, false, side, side, side, a, b, out);
            }));
    };
    offer_f32("f32 gemm own", [](auto... of) { host_gemm<float>(HostLibrary::own, of...); });
    if (openblas.found()) offer_f32("f32 gemm OpenBLAS", [&](auto... of) { openblas.gemm(of...); });
    offer(c.bf16, "bf16 gemm", launcher_speed<kernels::bf16>(device, side, 5));
  }
  return c;
}

Ceilings best_of(const Ceilings& a, const Ceilings& b) {
  Ceilings best = a;
  for (double Ceilings::*speed : {&Ceilings::copy, &Ceilings::read, &Ceilings::write,
                                  &Ceilings::f32, &Ceilings::tf32, &Ceilings::bf16, &Ceilings::f16})
    best.*speed = std::max(a.*speed, b.*speed);
  best.launch = std::min(a.launch, b.launch);
  for (const auto& [label, reached] : b.candidates) {
    double& candidate = best.candidates[label];
    candidate = std::max(candidate, reached);
  }
  return best;
}
}  // namespace bench
