// Backend descriptors as lists of attributes, and the words for what they describe.
#pragma once
#include <cudnn.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace standin {

struct Descriptor;
using Shared = std::shared_ptr<Descriptor>;  // a plan outlives the descriptors it was made from

struct Value {
  cudnnBackendAttributeType_t type;
  std::int64_t count = 0;
  std::vector<std::byte> bytes;  // of numbers
  std::vector<Shared> parts;     // of descriptors
};

struct Descriptor {
  cudnnBackendDescriptorType_t type;
  bool finalized = false;
  std::map<int, Value> values;  // by attribute

  template <class T> std::vector<T> all(cudnnBackendAttributeName_t name) const {
    const auto found = values.find(name);
    if (found == values.end()) return {};
    std::vector<T> result(found->second.bytes.size() / sizeof(T));
    std::memcpy(result.data(), found->second.bytes.data(), result.size() * sizeof(T));
    return result;
  }
  template <class T> T one(cudnnBackendAttributeName_t name, T otherwise = {}) const {
    const std::vector<T> found = all<T>(name);
    return found.empty() ? otherwise : found.front();
  }
  Shared part(cudnnBackendAttributeName_t name) const {
    const auto found = values.find(name);
    return found == values.end() || found->second.parts.empty() ? nullptr
                                                                : found->second.parts.front();
  }
};

std::size_t value_size(cudnnBackendAttributeType_t);

// An operand in memory: its name in the graph, its extent by dimensions and strides.
struct TensorUse {
  std::int64_t id;
  std::string name;
  std::size_t bytes, alignment;
};
// The operations of a graph in words, and the operands that are not virtual.
std::string describe(const Descriptor& graph, std::vector<TensorUse>& operands);
bool is_fused(const Descriptor& graph);
cudnnDataType_t type_of_values(const Descriptor& graph);
}  // namespace standin
