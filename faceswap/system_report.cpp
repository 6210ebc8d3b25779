#include "faceswap/system_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "faceswap/faces/network_files.h"
#include "kernels/core/error.h"
#include "kernels/core/library.h"
#include "kernels/core/memory.h"

namespace faceswap {
namespace {

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown";
}

std::string instruction_sets() {
#if defined(__x86_64__)
  std::string list;
  if (__builtin_cpu_supports("avx2")) list += "AVX2 ";
  if (__builtin_cpu_supports("avx512f")) list += "AVX-512 ";
  if (__builtin_cpu_supports("avx512bf16")) list += "AVX512-BF16 ";
  return list.empty() ? "baseline only" : list.substr(0, list.size() - 1);
#else
  return "baseline";
#endif
}

// A library of CUDA's by its path. Missing, it matters only to a GPU that could use it.
Finding library(const char* key, kernels::Library (*open)(), bool needed, const char* purpose) {
  try {
    return {key, open().path(), true, ""};
  } catch (const kernels::Error& error) {
    return {key, error.what(), !needed, needed ? purpose : ""};
  }
}

Finding examine_networks() {
  std::vector<std::string> found, missing;
  for (const NetworkFile& network : known_networks()) {
    const std::string entry = fmt::format("{} ({})", network.name, network.purpose);
    (find_network(network.name).empty() ? missing : found).push_back(entry);
  }
  const std::string folder = network_folder().string();
  const bool complete = missing.empty();
  return {"face_networks",
          found.empty() ? fmt::format("none in {}", folder.empty() ? "any folder" : folder)
                        : fmt::format("in {}: {}", folder, fmt::join(found, ", ")),
          complete,
          complete
              ? ""
              : fmt::format("run tools/install_deps.sh faces to get {}", fmt::join(missing, ", "))};
}
Finding examine_detection() {
  if (!DOPPEL_DETECT)
    return {"detection", "not in this build", false,
            "run tools/install_deps.sh build and build again: without it no face is found"};
  if (!find_network("centerface.onnx").empty())
    return {"detection", "CenterFace, by OpenCV", true, ""};
  const bool cascades = std::filesystem::exists("/usr/share/opencv4/haarcascades") ||
                        std::getenv("DOPPEL_CASCADES") != nullptr;
  return {"detection", cascades ? "OpenCV's cascades" : "OpenCV without network or cascades",
          cascades,
          cascades ? "they miss small, dark and turned faces; run tools/install_deps.sh faces"
                   : "run tools/install_deps.sh faces, or install the package opencv-data"};
}
}  // namespace

std::vector<Finding> examine_system() {
  std::vector<Finding> findings;
  findings.push_back({"doppel", DOPPEL_VERSION, true, ""});
  findings.push_back({"processor",
                      fmt::format("{}, {} threads, {}", processor_name(),
                                  std::thread::hardware_concurrency(), instruction_sets()),
                      true, ""});
  findings.push_back(
      {"memory",
       fmt::format(
           "{:.1f} GiB available",
           static_cast<double>(kernels::available_memory(kernels::Device::host)) / 1073741824.0),
       true, ""});

  const kernels::CudaReport cuda = kernels::probe_cuda();
  findings.push_back(
      {"gpu_code", cuda.built ? "built in" : "not in this build", cuda.built,
       cuda.built
           ? ""
           : "install the CUDA toolkit and build again: without it everything runs on the CPU"});
  findings.push_back({"gpu",
                      cuda.available
                          ? fmt::format("{}, compute capability {}.{}, {:.1f} GiB", cuda.reason,
                                        cuda.compute_capability / 10, cuda.compute_capability % 10,
                                        static_cast<double>(cuda.memory_bytes) / 1073741824.0)
                          : cuda.reason,
                      cuda.available, cuda.available ? "" : "the CPU is used"});
  if (cuda.built) {
    findings.push_back(
        library("cudnn", kernels::open_cudnn, cuda.available, "convolutions on the GPU need it"));
    findings.push_back(
        library("cublas", kernels::open_cublas, cuda.available, "dense layers on the GPU need it"));
    findings.push_back(library("nvrtc", kernels::open_nvrtc, cuda.available,
                               "cuDNN needs it for its fused kernels, and is slower without"));
  }
  findings.push_back(
      {"host_conv", DOPPEL_HAS_ONEDNN ? "oneDNN" : "own im2col and GEMM", DOPPEL_HAS_ONEDNN != 0,
       DOPPEL_HAS_ONEDNN
           ? ""
           : "install libdnnl-dev and build again: training on the CPU gets several times faster"});
  findings.push_back({"video", DOPPEL_MEDIA ? "FFmpeg's libraries" : "not in this build",
                      DOPPEL_MEDIA != 0, DOPPEL_MEDIA ? "" : "folders of pictures still work"});
  findings.push_back(examine_detection());
  findings.push_back(examine_networks());
  findings.push_back({"review_page", DOPPEL_REVIEW ? "built in" : "not in this build",
                      DOPPEL_REVIEW != 0, DOPPEL_REVIEW ? "" : "doppel faces does without"});
  return findings;
}
}  // namespace faceswap
