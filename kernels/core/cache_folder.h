// The folder for files that can be made again: cuDNN plans, face networks.
#pragma once
#include <filesystem>

namespace kernels {

// $DOPPEL_CACHE_DIR, else $XDG_CACHE_HOME/doppel, else ~/.cache/doppel. Empty if none is
// set or the first is "". It need not exist.
std::filesystem::path cache_folder();
}  // namespace kernels
