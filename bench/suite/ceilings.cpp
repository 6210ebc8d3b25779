#include "bench/suite/ceilings.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>

#include "bench/suite/bandwidth.h"
#include "bench/suite/gpu_side.h"
#include "bench/suite/host_variants.h"
#include "bench/suite/machine.h"
#include "kernels/conv/gemm.h"
#include "kernels/conv/host/parallel_tasks.h"
#include "kernels/core/dispatch.h"
#include "kernels/core/math_mode.h"
#include "kernels/simt/config.h"

namespace bench {

using cases::OpCase;
using cases::Values;
using kernels::Stream;

const char* name(Bound bound) {
  switch (bound) {
    case Bound::copy: return "copy";
    case Bound::read: return "read";
    case Bound::write: return "write";
    case Bound::f32: return "f32";
    case Bound::tf32: return "tf32";
    case Bound::bf16: return "bf16";
    default: return "launch";
  }
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
  static auto* const buffers =
      new std::map<Device, kernels::Buffer>;  // outlives everything: at exit the driver may be gone
  kernels::Buffer& buffer = (*buffers)[device];
  if (buffer.bytes() < bytes) {
    buffer = kernels::Buffer();
    kernels::release_cached(device);
    buffer = kernels::Buffer(device, bytes);
    Stream& stream = Stream::of(device);
    kernels::fill_zero(stream, buffer.data(),
                       buffer.bytes());  // every page is there before anything is timed
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

// Random floats between -1 and 1 on a device: matrices of zeros would run faster than any real ones.
kernels::Buffer random_floats(Device device, std::int64_t count, bool as_bf16) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> uniform(-1.f, 1.f);
  std::vector<float> values(1 << 16);
  for (float& v : values) v = uniform(random);
  const std::size_t element = as_bf16 ? 2 : 4;
  std::vector<kernels::bf16> half(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) half[i] = kernels::bf16(values[i]);
  const void* const tile = as_bf16 ? static_cast<const void*>(half.data()) : values.data();
  kernels::Buffer buffer(device, static_cast<std::size_t>(count) * element);
  for (std::size_t at = 0; at < buffer.bytes(); at += values.size() * element)
    kernels::copy(buffer.as<char>() + at, device, tile, Device::host,
                  std::min(values.size() * element, buffer.bytes() - at));
  return buffer;
}

using Gemm = std::function<void(Stream&, std::int64_t side, const void* a, const void* b, void* c)>;
struct NamedGemm {
  std::string name;
  Gemm run;
};

template <class T> NamedGemm seam_gemm(const char* label) {
  return {label, [](Stream& stream, std::int64_t n, const void* a, const void* b, void* c) {
            kernels::on_device(stream, [&]<class D>() {
              constexpr auto no = kernels::Transpose::no;
              kernels::gemm<D, T>(stream, no, no, n, n, n, 1.f, static_cast<const T*>(a),
                                  static_cast<const T*>(b), 0.f, static_cast<T*>(c));
            });
          }};
}

double gemm_speed(Stream& stream, const Gemm& run, std::int64_t side, bool as_bf16, int repeats) {
  const Device device = stream.device();
  const kernels::Buffer a = random_floats(device, side * side, as_bf16),
                        b = random_floats(device, side * side, as_bf16), c(device, a.bytes());
  const auto once = [&] { run(stream, side, a.data(), b.data(), c.data()); };
  once();
  stream.synchronize();
  const double seconds = shortest_of(repeats, [&] { return time_of(stream, once); });
  return 2.0 * static_cast<double>(side) * static_cast<double>(side) * static_cast<double>(side) /
         seconds;
}

// Seconds of one of the three streams over `bytes` of memory (copy: half of them each way).
double stream_seconds(Device device, Bound bound, std::size_t bytes) {
  Stream& stream = Stream::of(device);
  kernels::Buffer& memory = arena(device, bytes + 4096);
  char* const base = memory.as<char>();
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

double launch_seconds(Device device) {
  Stream& stream = Stream::of(device);
  static auto* const words = new std::map<Device, kernels::Buffer>;
  kernels::Buffer& buffer = (*words)[device];
  if (buffer.bytes() == 0) buffer = kernels::Buffer(device, 256);
  float* const word = buffer.as<float>();
  constexpr int count = 200;  // a GPU's queue holds about a thousand
  const auto launch = [&]<class D>() { launch_nothing<D>(stream, word); };
  return time_of(stream,
                 [&] {
                   for (int i = 0; i < count; ++i) kernels::on_device(stream, launch);
                 }) /
         count;
}

}  // namespace

Ceilings measure_ceilings(Device device, const Peers& peers) {
  Ceilings c;
  Stream& stream = Stream::of(device);
  const std::size_t bytes = std::max(std::size_t{48} << 20, 4 * cache_bytes(device));
  const auto stream_ceiling = [&](Bound bound) {
    stream_seconds(device, bound, bytes);
    return static_cast<double>(bytes) /
           shortest_of(9, [&] { return stream_seconds(device, bound, bytes); });
  };
  c.candidates["copy loop"] = stream_ceiling(Bound::copy);
  c.candidates["read loop"] = stream_ceiling(Bound::read);
  c.candidates["write loop"] = stream_ceiling(Bound::write);
  char* const base = arena(device, bytes).as<char>();
  const char* const copy_name = device == Device::host ? "memcpy" : "cudaMemcpy";
  c.candidates[copy_name] =
      static_cast<double>(bytes) / shortest_of(9, [&] {
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
      });
  c.copy = std::max(c.candidates["copy loop"], c.candidates[copy_name]);
  c.read = std::max(c.candidates["read loop"], c.copy);
  c.write = c.candidates["write loop"];
  c.launch = shortest_of(9, [&] { return launch_seconds(device); });

  const auto best_product = [&](double& ceiling, const NamedGemm& gemm, std::int64_t side,
                                bool as_bf16, int repeats) {
    const double speed = gemm_speed(stream, gemm.run, side, as_bf16, repeats);
    double& candidate = c.candidates[gemm.name];
    candidate = std::max(candidate, speed);
    ceiling = std::max(ceiling, speed);
  };
  if (device == Device::cuda) {
    const bool tf32 = kernels::allow_tf32.exchange(false);
    best_product(c.f32, seam_gemm<float>("f32 gemm"), 4096, false, 5);
    kernels::allow_tf32 = true;
    best_product(c.tf32, seam_gemm<float>("tf32 gemm"), 8192, false, 5);
    kernels::allow_tf32 = tf32;
    best_product(c.bf16, seam_gemm<kernels::bf16>("bf16 gemm"), 8192, true, 5);
  } else {
    for (const std::int64_t side :
         {512, 1024}) {  // the smaller one fits the cache of most processors
      best_product(c.f32, seam_gemm<float>("f32 gemm"), side, false, 7);
      const auto own = [](Stream&, std::int64_t n, const void* a, const void* b, void* out) {
        own_gemm<float>(false, false, n, n, n, static_cast<const float*>(a),
                        static_cast<const float*>(b), static_cast<float*>(out));
      };
      best_product(c.f32, {"f32 gemm own", own}, side, false, 7);
      // OpenBLAS by the way that its peer rows take.
      auto op = cases::op_case<float>("gemm", "");
      op.in("a", 1), op.in("b", 1), op.out("c", 1);
      op.shape = {side, side, side, 0, 0};
      op.element = [](const std::vector<Values>&, std::int64_t) { return 0.0; };
      for (const Peer& peer : peers.of(op, device)) {
        if (peer.name != "OpenBLAS") continue;
        const auto openblas = [&](Stream& s, std::int64_t, const void* a, const void* b,
                                  void* out) {
          peer.run(s, cases::Pointers{{const_cast<void*>(a), const_cast<void*>(b), out}});
        };
        best_product(c.f32, {"f32 gemm OpenBLAS", openblas}, side, false, 7);
      }
      best_product(c.bf16, seam_gemm<kernels::bf16>("bf16 gemm"), side, true, 5);
    }
  }
  return c;
}

Ceilings best_of(const Ceilings& a, const Ceilings& b) {
  Ceilings best = a;
  for (double Ceilings::*speed : {&Ceilings::copy, &Ceilings::read, &Ceilings::write,
                                  &Ceilings::f32, &Ceilings::tf32, &Ceilings::bf16})
    best.*speed = std::max(a.*speed, b.*speed);
  best.launch = std::min(a.launch, b.launch);
  for (const auto& [way, reached] : b.candidates) {
    double& candidate = best.candidates[way];
    candidate = std::max(candidate, reached);
  }
  return best;
}

}  // namespace bench
