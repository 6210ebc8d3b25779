// Shared libraries that are opened when first needed. A program linked against cuDNN would not start on a machine that lacks it;
// this one starts everywhere and says what is missing when a GPU is asked for.
#pragma once
#include <string>
#include <vector>

namespace kernels {

class Library {
 public:
  // Opens the first of `names` that is found, in the loader's own search path, then in the toolkit folders: CUDA_HOME, CUDA_PATH,
  // /usr/local/cuda, each with lib64 and lib. `what` names the library in errors. Throws Error(device).
  Library(const char* what, const std::vector<std::string>& names);
  template <class Function> void load(Function*& function, const char* name) const {
    function = reinterpret_cast<Function*>(symbol(name));
  }
  const std::string& path() const { return path_; }

 private:
  void* symbol(const char* name) const;  // throws Error(device) where the library lacks it
  void* handle_ =
      nullptr;  // never closed: these libraries keep threads and device memory of their own
  std::string what_, path_;
};

}  // namespace kernels
