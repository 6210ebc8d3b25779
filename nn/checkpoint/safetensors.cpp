#include "nn/checkpoint/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <unordered_set>
#include <utility>

namespace nn {
namespace {

struct Name {
  const char* text;
  DType dtype;
};
constexpr Name dtype_names[] = {{"F32", DType::f32}, {"BF16", DType::bf16}, {"F16", DType::f16},
                                {"F64", DType::f64}, {"I32", DType::i32},   {"U8", DType::u8}};

template <class... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
  throw std::runtime_error(fmt::format(format, std::forward<Args>(args)...));
}

// Builds the header from the events of nlohmann's parser, which checks the syntax and
// UTF-8. Every event is refused where the format has no place for it.
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  SafetensorsHeader header;

  bool start_object(std::size_t) override {
    if (place_ == Place::start) place_ = Place::header;
    else if (place_ == Place::header)
      place_ = key_ == "__metadata__" ? Place::metadata : Place::tensor;
    else misplaced("an object");
    if (place_ == Place::tensor) entry_ = {.name = key_, .dtype = {}, .shape = {}, .offsets = {}};
    return true;
  }
  bool key(std::string& key) override {
    key_ = key;
    if (place_ == Place::metadata) {
      if (header.metadata.contains(key)) refuse("metadata key \"{}\" is there twice", key);
    } else if (place_ == Place::tensor) {
      const bool fits = (key == "dtype" && !entry_.dtype) || (key == "shape" && !entry_.shape) ||
                        (key == "data_offsets" && !entry_.offsets);
      if (!fits) refuse("tensor \"{}\" has \"{}\" twice, or should not have it", entry_.name, key);
    } else {
      const bool metadata = key == "__metadata__";
      if (!names_.insert(key).second)
        refuse("{} is there twice", metadata ? key : fmt::format("tensor \"{}\"", key));
      if (!metadata && header.tensors.size() == max_tensors)
        refuse("there are more than {} tensors", max_tensors);
    }
    return true;
  }
  bool end_object() override {
    if (place_ == Place::tensor) header.tensors.push_back(finished(std::move(entry_)));
    place_ = Place::header;
    return true;
  }
  bool start_array(std::size_t) override {
    if (place_ != Place::tensor || key_ == "dtype") misplaced("a list");
    place_ = Place::list;
    (key_ == "shape" ? entry_.shape : entry_.offsets).emplace();
    return true;
  }
  bool end_array() override {
    place_ = Place::tensor;
    return true;
  }
  bool number_unsigned(std::uint64_t value) override {
    if (place_ != Place::list) misplaced("a number");
    if (value > std::numeric_limits<std::int64_t>::max())
      refuse("a number is too large: {}", value);
    std::vector<std::int64_t>& list = key_ == "shape" ? *entry_.shape : *entry_.offsets;
    const std::size_t at_most = key_ == "shape" ? max_rank : 2;
    if (list.size() == at_most) refuse("a list has more than {} numbers", at_most);
    list.push_back(static_cast<std::int64_t>(value));
    return true;
  }
  bool string(std::string& value) override {
    if (place_ == Place::metadata) header.metadata.emplace(key_, value);
    else if (place_ == Place::tensor && key_ == "dtype") entry_.dtype = dtype_called(value);
    else misplaced("a string");
    return true;
  }
  bool number_integer(std::int64_t) override { misplaced("a negative number"); }
  bool number_float(double, const std::string&) override {
    misplaced("a number that is not whole");
  }
  bool boolean(bool) override { misplaced("a boolean"); }
  bool null() override { misplaced("a null"); }
  bool binary(nlohmann::json::binary_t&) override { misplaced("binary data"); }
  bool parse_error(std::size_t at, const std::string&, const nlohmann::json::exception&) override {
    refuse("the header is not JSON at its byte {}", at);
  }

 private:
  enum class Place { start, header, metadata, tensor, list };
  struct Entry {
    std::string name;
    std::optional<DType> dtype;
    std::optional<std::vector<std::int64_t>> shape, offsets;
  };

  [[noreturn]] void misplaced(const char* what) const {
    refuse("the header has {} behind \"{}\", where the format has none", what, key_);
  }
  DType dtype_called(const std::string& text) const {
    for (const Name& name : dtype_names)
      if (text == name.text) return name.dtype;
    refuse("tensor \"{}\" has dtype \"{}\"; F32, BF16, F16, F64, I32 and U8 are supported",
           entry_.name, text);
  }
  static SafetensorsEntry finished(Entry entry) {
    const std::string& name = entry.name;
    if (!entry.dtype || !entry.shape || !entry.offsets || entry.offsets->size() != 2)
      refuse("tensor \"{}\" needs dtype, shape and two data_offsets", name);
    const auto begin = static_cast<std::uint64_t>((*entry.offsets)[0]),
               end = static_cast<std::uint64_t>((*entry.offsets)[1]);
    std::uint64_t bytes = size_of(*entry.dtype);
    for (const std::int64_t extent : *entry.shape)
      if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(extent), &bytes))
        refuse("tensor \"{}\" is too large", name);
    if (begin > end || end - begin != bytes)
      refuse("tensor \"{}\" has {} bytes by its shape, but lies at [{}, {})", name, bytes, begin,
             end);
    return {name, *entry.dtype, std::move(*entry.shape), begin, end};
  }

  Place place_ = Place::start;
  std::string key_;  // the last one read
  Entry entry_;
  std::unordered_set<std::string> names_;
};

void append_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else out += c;
  }
  out += '"';
}
}  // namespace

bool valid_utf8(std::string_view text) {
  std::string quoted;
  append_string(quoted, text);
  return nlohmann::json::accept(quoted);
}

SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t data_bytes) {
  // The parser skips a byte order mark and takes a zero byte for the end.
  if (!json.starts_with('{') || json.find('\0') != json.npos)
    refuse("the header does not begin with {{, or has a zero byte");
  HeaderReader reader;
  nlohmann::json::sax_parse(json, &reader);
  SafetensorsHeader header = std::move(reader.header);
  std::ranges::stable_sort(header.tensors, {},
                           [](const auto& tensor) { return std::pair(tensor.begin, tensor.end); });
  std::uint64_t reached = 0;
  for (const SafetensorsEntry& tensor : header.tensors) {
    if (tensor.begin != reached)
      refuse("tensor \"{}\" begins at byte {} of the data, the one before it ends at {}",
             tensor.name, tensor.begin, reached);
    reached = tensor.end;
  }
  if (reached != data_bytes)
    refuse("the tensors take {} bytes, the file has {}", reached, data_bytes);
  return header;
}

std::string format_safetensors_header(const SafetensorsHeader& header) {
  std::string out = "{";
  const auto separate = [&] {
    if (out.back() != '{') out += ',';
  };
  if (!header.metadata.empty()) {
    out += "\"__metadata__\":{";
    for (const auto& [key, value] : header.metadata) {
      separate();
      append_string(out, key);
      out += ':';
      append_string(out, value);
    }
    out += '}';
  }
  for (const SafetensorsEntry& tensor : header.tensors) {
    separate();
    append_string(out, tensor.name);
    const auto* known = std::ranges::find(dtype_names, tensor.dtype, &Name::dtype);
    out += fmt::format(R"(:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", known->text,
                       fmt::join(tensor.shape, ","), tensor.begin, tensor.end);
  }
  out += '}';
  out.resize((out.size() + 7) / 8 * 8, ' ');
  return out;
}
}  // namespace nn
