#include "tests/standin/cudart/card.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "card_json.h"

namespace standin {
namespace {

nlohmann::json description() {
  const char* const file = std::getenv("DOPPEL_STAND_IN_CARD");
  if (!file) return nlohmann::json::parse(kCardJson);
  std::ifstream stream(file);
  return nlohmann::json::parse(stream);
}

cudaDeviceProp read() {
  const nlohmann::json json = description();
  cudaDeviceProp p{};
  const std::string name = json.at("deviceName");
  std::copy_n(name.begin(), std::min(name.size(), sizeof p.name - 1), p.name);
  const int version = json.at("deviceVer");
  p.major = version / 100;
  p.minor = version % 100 / 10;
  p.totalGlobalMem = json.at("totalGlobalMem");
  p.multiProcessorCount = json.at("multiProcessorCount");
  p.warpSize = json.at("warpSize");
  p.l2CacheSize = json.at("l2CacheSize");
  p.regsPerBlock = json.at("regsPerBlock");
  p.regsPerMultiprocessor = json.at("maxRegistersPerSM");
  p.maxThreadsPerBlock = json.at("maxThreadsPerBlock");
  p.maxThreadsPerMultiProcessor = json.at("maxThreadsPerSM");
  p.maxBlocksPerMultiProcessor = json.at("maxCtasPerSM");
  p.sharedMemPerBlock = json.at("maxSharedMemoryPerBlock");
  p.sharedMemPerBlockOptin = json.at("maxSharedMemoryPerBlockOptin");
  p.reservedSharedMemPerBlock = json.at("reservedSharedMemoryPerBlock");
  p.sharedMemPerMultiprocessor = p.sharedMemPerBlockOptin + p.reservedSharedMemPerBlock;
  for (int i = 0; i < 3; ++i) {
    p.maxThreadsDim[i] = json.at("maxBlockSize").at(static_cast<std::size_t>(i));
    p.maxGridSize[i] = json.at("maxGridSize").at(static_cast<std::size_t>(i));
  }
  p.canMapHostMemory = p.unifiedAddressing = p.concurrentKernels = 1;
  p.memoryBusWidth = 6144;
  p.totalConstMem = 65536;
  return p;
}
}  // namespace

const cudaDeviceProp& card() {
  static const cudaDeviceProp properties = read();
  return properties;
}

int attribute(cudaDeviceAttr attribute) {
  const cudaDeviceProp& p = card();
  switch (attribute) {
    case cudaDevAttrL2CacheSize: return p.l2CacheSize;
    case cudaDevAttrMultiProcessorCount: return p.multiProcessorCount;
    case cudaDevAttrComputeCapabilityMajor: return p.major;
    case cudaDevAttrComputeCapabilityMinor: return p.minor;
    case cudaDevAttrWarpSize: return p.warpSize;
    case cudaDevAttrMaxThreadsPerBlock: return p.maxThreadsPerBlock;
    case cudaDevAttrMaxThreadsPerMultiProcessor: return p.maxThreadsPerMultiProcessor;
    case cudaDevAttrMaxBlocksPerMultiprocessor: return p.maxBlocksPerMultiProcessor;
    case cudaDevAttrMaxSharedMemoryPerBlock: return static_cast<int>(p.sharedMemPerBlock);
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: return static_cast<int>(p.sharedMemPerBlockOptin);
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      return static_cast<int>(p.sharedMemPerMultiprocessor);
    case cudaDevAttrMaxRegistersPerBlock: return p.regsPerBlock;
    case cudaDevAttrGlobalMemoryBusWidth: return p.memoryBusWidth;
    case cudaDevAttrClockRate: return 1980000;
    case cudaDevAttrMemoryClockRate: return 3201000;
    default: return -1;
  }
}
}  // namespace standin
