// The JSON header of a safetensors file, read strictly: only the values of the format
// are accepted, so no tree is built and nesting cannot go deeper than the format does.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "nn/tensor.h"

namespace nn {

struct SafetensorsEntry {
  std::string name;
  DType dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin, end;  // bytes within the data section
};

struct SafetensorsHeader {
  std::map<std::string, std::string> metadata;
  std::vector<SafetensorsEntry> tensors;  // in order of their data
};

constexpr std::uint64_t max_header_bytes = 100'000'000;  // the limit of the reference reader too
constexpr std::size_t max_tensors = 100'000, max_rank = 32;

// Throws std::runtime_error that says what is wrong and where. The tensors must cover
// the data section exactly: no holes, no overlaps.
SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t data_bytes);

// Padded with spaces to a multiple of 8 bytes.
std::string format_safetensors_header(const SafetensorsHeader&);

bool valid_utf8(std::string_view text);
}  // namespace nn
