#include "kernels/core/library.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "kernels/core/error.h"

namespace kernels {
namespace {

namespace fs = std::filesystem;

// Folders divided by colons.
std::vector<fs::path> list_in(const char* variable) {
  std::vector<fs::path> all;
  const char* const value = std::getenv(variable);
  std::istringstream text(value ? value : "");
  for (std::string one; std::getline(text, one, ':');)
    if (!one.empty()) all.emplace_back(one);
  return all;
}

// Subfolders, sorted, whose name begins with `prefix`.
std::vector<fs::path> subfolders(const fs::path& folder, const std::string& prefix = "") {
  std::vector<fs::path> all;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (it->path().filename().string().starts_with(prefix)) all.push_back(it->path());
  std::ranges::sort(all);
  return all;
}

class FolderList {
 public:
  void add(const fs::path& folder) {
    std::error_code error;
    if (fs::is_directory(folder, error) && std::ranges::find(all, folder) == all.end())
      all.push_back(folder);
  }
  // <prefix>/lib/python3.*/{site,dist}-packages/nvidia/*/lib; Debian's has no ".*".
  void add_python(const fs::path& prefix) {
    for (const fs::path& python : subfolders(prefix / "lib", "python3"))
      for (const char* packages : {"site-packages", "dist-packages"})
        for (const fs::path& package : subfolders(python / packages / "nvidia"))
          add(package / "lib");
  }
  std::vector<fs::path> all;
};
}  // namespace

Library open_cudnn() { return {"cuDNN 9", {"libcudnn.so.9"}}; }
Library open_cublas() { return {"cuBLAS", {"libcublas.so.13", "libcublas.so.12"}}; }
Library open_nvrtc() { return {"NVRTC", {"libnvrtc.so.13", "libnvrtc.so.12"}}; }

LibraryFolders library_folders() {
  FolderList before, after;
  std::error_code error;
  for (const fs::path& folder : list_in("DOPPEL_CUDA_LIBS")) before.add(folder);
  before.add(fs::read_symlink("/proc/self/exe", error).parent_path() / "lib");

  const auto add_toolkit = [&](const fs::path& toolkit) {
    after.add(toolkit / "lib64");
    after.add(toolkit / "lib");
  };
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"})
    for (const fs::path& folder : list_in(variable)) add_toolkit(folder);
  add_toolkit("/usr/local/cuda");
  for (const char* variable : {"VIRTUAL_ENV", "CONDA_PREFIX"})
    for (const fs::path& prefix : list_in(variable)) after.add_python(prefix);
  for (const fs::path& folder : list_in("PATH")) {
    const fs::path python = folder / "python3";
    if (!fs::exists(python, error)) continue;
    after.add_python(folder.parent_path());  // of a virtual environment
    const fs::path real = fs::canonical(python, error);
    if (!error) after.add_python(real.parent_path().parent_path());
    break;
  }
  after.add_python("/usr/local");  // Debian's python3 is in /usr, what pip installs is here
  for (const fs::path& home : list_in("HOME")) after.add_python(home / ".local");
  return {before.all, after.all};
}

bool Library::open(const std::string& file) {
  handle_ = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle_) return false;
  path_ = file;
  link_map* map = nullptr;
  if (dlinfo(handle_, RTLD_DI_LINKMAP, &map) == 0 && map && *map->l_name) path_ = map->l_name;
  return true;
}

Library::Library(const char* what, const std::vector<std::string>& files) : what_(what) {
  std::string reason;  // of a file that is there and cannot be opened, else of the loader
  const auto found_in = [&](const std::vector<fs::path>& folders) {
    std::error_code error;
    for (const fs::path& folder : folders)
      for (const std::string& file : files) {
        if (!fs::exists(folder / file, error)) continue;
        if (open(folder / file)) return true;
        reason = dlerror();
      }
    return false;
  };
  const auto loader_finds = [&] {
    for (const std::string& file : files) {
      if (open(file)) return true;
      if (const char* const text = dlerror(); text && reason.empty()) reason = text;
    }
    return false;
  };
  const LibraryFolders folders = library_folders();
  if (found_in(folders.before) || loader_finds() || found_in(folders.after)) return;
  const std::string& file = files.front();
  throw Error(ErrorKind::device,
              fmt::format("{} ({}) was not found: install it, or set DOPPEL_CUDA_LIBS to the "
                          "folder that holds {}, or CUDA_HOME to one with lib64/{} ({})",
                          what_, file, file, file, reason));
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
