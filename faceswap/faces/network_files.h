// The face networks on this machine. tools/install_deps.sh faces puts them into the cache
// folder; none of them comes with the program.
#pragma once
#include <filesystem>
#include <span>
#include <string>

namespace faceswap {

struct NetworkFile {
  const char* name;     // of the file
  const char* purpose;  // for `doppel doctor`
};
std::span<const NetworkFile> known_networks();

std::filesystem::path network_folder();  // kernels::cache_folder()/networks, or empty
// The file, if it is there; otherwise an empty path.
std::filesystem::path find_network(const std::string& name);
}  // namespace faceswap
