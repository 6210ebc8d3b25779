// A training run in one safetensors file: weights, moments, step and string metadata.
// The last tensor, __crc32c__ (U8[4]), is the CRC-32C of every byte before it: damage
// is found, and other readers still understand the file. No crash loses the previous
// one (atomic_file.h).
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

// Throws Error(disk), naming the bytes needed, if it cannot be written. The previous
// file is then still in place.
void save_safetensors(const std::filesystem::path& path,
                      const std::map<std::string, std::string>& metadata,
                      std::span<const TensorRecord> tensors);

class SafetensorsFile {
 public:
  // Reads and checks the whole file. Throws Error(input) if it cannot be opened and
  // Error(damaged) if it is not a well-formed safetensors file or its checksum is wrong
  // or, if required, absent.
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

// path, or path.prev if path is damaged or missing; *used becomes the one. Throws the
// error of path if neither loads.
SafetensorsFile load_newest(const std::filesystem::path& path,
                            std::filesystem::path* used = nullptr);
}  // namespace nn
