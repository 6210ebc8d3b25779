#include "bench/suite/machine.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <fstream>
#include <string>

#include "bench/suite/gpu_side.h"
#include "kernels/simt/config.h"

#ifndef DOPPEL_COMMIT
#define DOPPEL_COMMIT "unknown"
#endif

namespace bench {
namespace {

using nlohmann::ordered_json;

// Values of one key in /proc/cpuinfo.
std::vector<std::string> cpu_values(const std::string& key) {
  std::vector<std::string> values;
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with(key) && line.find(": ") != std::string::npos)
      values.push_back(line.substr(line.find(": ") + 2));
  return values;
}

// NVIDIA's management library from the driver, opened at run time. Device 0, as in all
// of doppel.
class Nvml {
 public:
  static const Nvml* get() {
    static const Nvml nvml;
    return nvml.device_ ? &nvml : nullptr;
  }
  std::string driver() const {
    std::array<char, 96> text{};
    if (const auto f = load<int(char*, unsigned)>("nvmlSystemGetDriverVersion"))
      f(text.data(), text.size());
    return text.data();
  }
  // MHz; kind 1: SM, 2: memory
  unsigned clock(int kind) const { return number<unsigned, int>("nvmlDeviceGetClockInfo", kind); }
  unsigned highest_clock(int kind) const {
    return number<unsigned, int>("nvmlDeviceGetMaxClockInfo", kind);
  }
  unsigned temperature() const { return number<unsigned, int>("nvmlDeviceGetTemperature", 0); }
  unsigned milliwatts() const { return number<unsigned>("nvmlDeviceGetPowerUsage"); }
  unsigned long long throttling() const {
    return number<unsigned long long>("nvmlDeviceGetCurrentClocksThrottleReasons");
  }

 private:
  Nvml() {
    library_ = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library_) return;
    const auto init = load<int()>("nvmlInit_v2");
    const auto by_index = load<int(unsigned, void**)>("nvmlDeviceGetHandleByIndex_v2");
    if (!init || !by_index || init() != 0 || by_index(0, &device_) != 0) device_ = nullptr;
  }
  template <class F> F* load(const char* name) const {
    return reinterpret_cast<F*>(dlsym(library_, name));
  }
  template <class V, class... A> V number(const char* name, A... arguments) const {
    V value = 0;
    const auto f = load<int(void*, A..., V*)>(name);
    return f && f(device_, arguments..., &value) == 0 ? value : 0;
  }
  void* library_ = nullptr;
  void* device_ = nullptr;
};
}  // namespace

double load_average() {
  std::ifstream file("/proc/loadavg");
  double load = -1;
  return file >> load ? load : -1;
}

std::size_t cache_bytes(kernels::Device device) {
#if DOPPEL_HAS_CUDA
  if (device == kernels::Device::cuda) return gpu::cache_bytes();
#endif
  (void)device;
  // The largest that the kernel lists. glibc's sysconf counts the caches of other
  // sockets on some virtual machines.
  long bytes = -1;
  for (int level = 0; level < 5; ++level) {
    std::ifstream file(fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/size", level));
    long size = 0;
    char unit = 0;
    if (file >> size >> unit)
      bytes = std::max(bytes, size << (unit == 'M' ? 20 : unit == 'K' ? 10 : 0));
  }
  return bytes > 0 ? static_cast<std::size_t>(bytes) : std::size_t{32} << 20;
}

ordered_json describe_machine() {
  ordered_json m;
  const std::vector<std::string> models = cpu_values("model name");
  char date[32] = "";
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
  m["date"] = date;
  m["commit"] = DOPPEL_COMMIT;
  m["compiler"] = std::string("gcc-compatible ") + __VERSION__;
  m["cpu"] = {
      {"model", models.empty() ? "unknown" : models.front()},
      {"family", cpu_values("cpu family").empty() ? "" : cpu_values("cpu family").front()},
      {"model_number", cpu_values("model\t").empty() ? "" : cpu_values("model\t").front()},
      {"workers", simt::worker_count()},
      {"instructions", simt::instruction_set() == simt::InstructionSet::avx2 ? "avx2" : "baseline"},
      {"last_cache_bytes", cache_bytes(kernels::Device::host)}};
  const kernels::CudaReport cuda = kernels::probe_cuda();
  m["gpu"] = {{"available", cuda.available}, {"name", cuda.reason}};
  if (cuda.available) {
    m["gpu"]["compute_capability"] = cuda.compute_capability;
    m["gpu"]["memory_bytes"] = cuda.memory_bytes;
    m["gpu"]["cuda_of_driver"] = cuda.driver;
    m["gpu"]["cuda_runtime"] = cuda.runtime;
    m["gpu"]["cache_bytes"] = cache_bytes(kernels::Device::cuda);
    if (const Nvml* const nvml = Nvml::get()) {
      m["gpu"]["driver"] = nvml->driver();
      m["gpu"]["highest_sm_mhz"] = nvml->highest_clock(1);
      m["gpu"]["highest_memory_mhz"] = nvml->highest_clock(2);
    }
    // The launchers of conv and gemm load both anyway.
    for (const auto& [name, files] :
         {std::pair{"cudnn", std::array{"libcudnn.so.9", "libcudnn.so"}},
          std::pair{"cublas", std::array{"libcublas.so.13", "libcublas.so.12"}}}) {
      for (const char* file : files) {
        void* const library = dlopen(file, RTLD_LAZY | RTLD_LOCAL);
        if (!library) continue;
        int version[3] = {};
        const auto property = reinterpret_cast<int (*)(int, int*)>(
            dlsym(library, name[2] == 'd' ? "cudnnGetProperty" : "cublasGetProperty"));
        for (int i = 0; property && i < 3; ++i) property(i, &version[i]);
        m["gpu"][name] = fmt::format("{}.{}.{}", version[0], version[1], version[2]);
        break;
      }
    }
  }
  return m;
}

ordered_json machine_state() {
  ordered_json s;
  s["load_average"] = load_average();
  double sum = 0;
  const std::vector<std::string> clocks = cpu_values("cpu MHz");
  for (const std::string& mhz : clocks) sum += std::strtod(mhz.c_str(), nullptr);
  if (!clocks.empty()) s["cpu_mhz"] = sum / static_cast<double>(clocks.size());
  if (kernels::probe_cuda().available)
    if (const Nvml* const nvml = Nvml::get())
      s["gpu"] = {{"sm_mhz", nvml->clock(1)},
                  {"memory_mhz", nvml->clock(2)},
                  {"celsius", nvml->temperature()},
                  {"watts", nvml->milliwatts() / 1000.0},
                  {"throttle_reasons", nvml->throttling()}};
  return s;
}
}  // namespace bench
