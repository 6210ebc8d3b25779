// The abilities of this machine and this build, for `doppel doctor`.
#pragma once
#include <string>
#include <vector>

#include "kernels/core/device.h"

namespace faceswap {

using kernels::select_gpu;

struct Finding {
  std::string key, value;
  bool ok = true;
  std::string advice;  // what to do if not ok
};
std::vector<Finding> examine_system();
}  // namespace faceswap
