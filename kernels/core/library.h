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
  // The function of that name, as any pointer type. Throws Error(device) if it is missing.
  struct Symbol {
    void* address;
    template <class Function> operator Function*() const {
      return reinterpret_cast<Function*>(address);
    }
  };
  Symbol symbol(const char* name) const;
  const std::string& path() const { return path_; }

 private:
  void* handle_ = nullptr;  // never closed: CUDA libraries keep threads and memory
  std::string what_, path_;
};
}  // namespace kernels
