// One safetensors file holds everything a training run is: weights, moments, step, and string metadata. Its last tensor,
// __crc32c__ (U8[4]), is the CRC-32C of every byte before it, so that damage is found and other readers still understand
// the file. Saved so that no crash loses the previous one: written beside it, synced, the old one kept as .prev, renamed,
// the folder synced.
#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nn/tensor.h"

namespace nn {

struct TensorRecord {
  std::string name;
  DType dtype;
  std::vector<std::int64_t> shape;
  const std::byte* data;  // host memory
  std::size_t bytes;
};

// Throws Error(disk) naming the bytes needed where it cannot be written; the previous file is then still in place.
void save_safetensors(const std::filesystem::path& path,
                      const std::map<std::string, std::string>& metadata,
                      std::span<const TensorRecord> tensors);

class SafetensorsFile {
 public:
  // Reads and checks the whole file. Throws Error(input) if it cannot be opened, Error(damaged) if it is not a well-formed
  // safetensors file, or its checksum is absent (unless require_checksum is false) or wrong.
  explicit SafetensorsFile(const std::filesystem::path& path, bool require_checksum = true);
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::vector<TensorRecord>& tensors() const { return tensors_; }
  const TensorRecord* find(const std::string& name) const;
  bool has_checksum() const { return has_checksum_; }

 private:
  std::unique_ptr<std::byte[]> bytes_;  // the data section
  std::map<std::string, std::string> metadata_;
  std::vector<TensorRecord> tensors_;
  bool has_checksum_ = false;
};

// path, or path.prev where path is damaged or missing; *used says which. Throws what path threw where neither loads.
SafetensorsFile load_newest(const std::filesystem::path& path,
                            std::filesystem::path* used = nullptr);

// Writes the pieces, one after the other, to path by the protocol above. Throws Error(disk). keep_previous hard-links the old file to path.prev first.
void write_file_atomically(const std::filesystem::path& path,
                           std::span<const std::span<const std::byte>> pieces, bool keep_previous);

}  // namespace nn
