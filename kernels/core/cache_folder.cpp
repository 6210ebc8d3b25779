#include "kernels/core/cache_folder.h"

#include <cstdlib>

namespace kernels {

std::filesystem::path cache_folder() {
  if (const char* own = std::getenv("DOPPEL_CACHE_DIR")) return own;
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache)
    return std::filesystem::path(cache) / "doppel";
  if (const char* home = std::getenv("HOME"); home && *home)
    return std::filesystem::path(home) / ".cache" / "doppel";
  return {};
}
}  // namespace kernels
