// Shared libraries opened when first needed. A program linked against cuDNN would not
// start on a machine without it; this one starts everywhere and names what is missing.
#pragma once
#include <string>
#include <vector>

namespace kernels {

class Library {
 public:
  // Opens the first of `names` in the loader's search path, else in lib64 or lib of
  // CUDA_HOME, CUDA_PATH, /usr/local/cuda. Throws Error(device), with `what` as name.
  Library(const char* what, const std::vector<std::string>& names);
  template <class Function> void load(Function*& function, const char* name) const {
    function = reinterpret_cast<Function*>(symbol(name));
  }
  const std::string& path() const { return path_; }

 private:
  void* symbol(const char* name) const;  // throws Error(device) if it is missing
  void* handle_ = nullptr;               // never closed: CUDA libraries keep threads and memory
  std::string what_, path_;
};

}  // namespace kernels
