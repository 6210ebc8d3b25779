#include "kernels/core/library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>

#include "kernels/core/error.h"

namespace kernels {

Library::Library(const char* what, const std::vector<std::string>& names) : what_(what) {
  std::vector<std::string> folders{""};
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"}) {
    if (const char* const value = std::getenv(variable); value && *value) folders.push_back(value);
  }
  folders.push_back("/usr/local/cuda");
  std::string reason;
  for (const std::string& folder : folders) {
    for (const std::string& name : names) {
      for (const char* sub : {"/lib64/", "/lib/"}) {
        path_ = folder.empty() ? name : folder + sub + name;
        handle_ = dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (handle_) return;
        if (const char* const e = dlerror(); e && reason.empty()) reason = e;
        if (folder.empty()) break;
      }
    }
  }
  throw Error(ErrorKind::device, fmt::format("{} ({}) was not found: install it, or set CUDA_HOME "
                                             "to the folder that holds lib64/{} ({})",
                                             what, names.front(), names.front(), reason));
}

Library::Symbol Library::symbol(const char* name) const {
  void* const found = dlsym(handle_, name);
  if (!found)
    throw Error(ErrorKind::device,
                fmt::format("{} at {} has no function {}: it is too old, install a newer release",
                            what_, path_, name));
  return {found};
}
}  // namespace kernels
