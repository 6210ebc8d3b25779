// Shared libraries opened when first needed. A program linked against cuDNN would not
// start on a machine without it; this one starts everywhere and names what is missing.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace kernels {

class Library {
 public:
  // Opens the first of `files`, names of releases, in library_folders().before, the
  // loader's search path, or library_folders().after. Throws Error(device), with `what`
  // as name.
  Library(const char* what, const std::vector<std::string>& files);
  // The function of that name, as any pointer type. Throws Error(device) if it is missing.
  struct Symbol {
    void* address;
    template <class Function> operator Function*() const {
      return reinterpret_cast<Function*>(address);
    }
  };
  Symbol symbol(const char* name) const;
  const std::string& path() const { return path_; }  // of the file

 private:
  bool open(const std::string& file);
  void* handle_ = nullptr;  // never closed: CUDA libraries keep threads and memory
  std::string what_, path_;
};

// Folders that may hold CUDA's libraries, in the order of the search; only such that exist.
//   before the loader's path: $DOPPEL_CUDA_LIBS (folders divided by colons), and the
//     folder lib beside the program
//   after it: lib64 and lib of $CUDA_HOME, $CUDA_PATH and /usr/local/cuda; then
//     nvidia/*/lib of the Python packages of $VIRTUAL_ENV, $CONDA_PREFIX, the first
//     python3 on the PATH, and the user's own: PyTorch's wheels bring cuDNN and cuBLAS
struct LibraryFolders {
  std::vector<std::filesystem::path> before, after;
};
LibraryFolders library_folders();

// CUDA's libraries that this program opens. NVRTC is for cuDNN, which compiles kernels
// with an epilogue inside.
Library open_cudnn();
Library open_cublas();
Library open_nvrtc();
}  // namespace kernels
