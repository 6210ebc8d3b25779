#include "nn/checkpoint/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
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

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  SafetensorsHeader header() {
    SafetensorsHeader out;
    bool has_metadata = false;
    std::unordered_set<std::string> names;
    if (text_.empty() || text_[0] != '{') fail("the header does not begin with {");
    object([&](std::string name) {
      if (name == "__metadata__") {
        if (std::exchange(has_metadata, true)) fail("__metadata__ is there twice");
        object([&](std::string key) {
          const std::string shown = key;
          if (!out.metadata.emplace(std::move(key), string()).second)
            fail(fmt::format("metadata key \"{}\" is there twice", shown));
        });
        return;
      }
      if (!names.insert(name).second) fail(fmt::format("tensor \"{}\" is there twice", name));
      if (out.tensors.size() == max_tensors)
        fail(fmt::format("there are more than {} tensors", max_tensors));
      out.tensors.push_back(tensor(std::move(name)));
    });
    skip_space();
    if (at_ != text_.size()) fail("there is text behind the header's last }");
    return out;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw std::runtime_error(fmt::format("{} (byte {} of the header)", what, at_));
  }

  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
      ++at_;
  }
  bool accept(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(fmt::format("expected {}", c));
  }

  template <class Member> void object(Member member) {  // member(key) reads the value
    expect('{');
    if (accept('}')) return;
    do {
      std::string key = string();
      expect(':');
      member(std::move(key));
    } while (accept(','));
    expect('}');
  }

  std::vector<std::int64_t> integers(std::size_t at_most) {
    std::vector<std::int64_t> values;
    expect('[');
    if (accept(']')) return values;
    do {
      if (values.size() == at_most) fail(fmt::format("a list has more than {} numbers", at_most));
      values.push_back(integer());
    } while (accept(','));
    expect(']');
    return values;
  }

  std::int64_t integer() {  // no sign, no leading zero, no fraction, no exponent
    skip_space();
    const std::size_t start = at_;
    std::int64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      if (__builtin_mul_overflow(value, 10, &value) ||
          __builtin_add_overflow(value, text_[at_] - '0', &value))
        fail("a number is too large");
    }
    if (at_ == start || (text_[start] == '0' && at_ - start > 1)) fail("expected a whole number");
    return value;
  }

  unsigned hex4() {
    unsigned value = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = at_ < text_.size() ? text_[at_] : '\0';
      if (c >= '0' && c <= '9') value = value * 16 + static_cast<unsigned>(c - '0');
      else if ((c | 32) >= 'a' && (c | 32) <= 'f')
        value = value * 16 + static_cast<unsigned>((c | 32) - 'a') + 10;
      else fail("expected four hexadecimal digits");
    }
    return value;
  }

  void escape(std::string& out) {
    const char c = at_ < text_.size() ? text_[at_++] : '\0';
    switch (c) {
      case '"':
      case '\\':
      case '/': out += c; return;
      case 'b': out += '\b'; return;
      case 'f': out += '\f'; return;
      case 'n': out += '\n'; return;
      case 'r': out += '\r'; return;
      case 't': out += '\t'; return;
      case 'u': break;
      default: fail("unknown escape in a string");
    }
    std::uint32_t code = hex4();
    if (code >= 0xDC00 && code < 0xE000) fail("half a surrogate pair in a string");
    if (code >= 0xD800 && code < 0xDC00) {
      if (text_.substr(at_, 2) != "\\u") fail("half a surrogate pair in a string");
      at_ += 2;
      const std::uint32_t low = hex4();
      if (low < 0xDC00 || low >= 0xE000) fail("half a surrogate pair in a string");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    const auto byte = [&](std::uint32_t v) { out += static_cast<char>(v); };
    if (code < 0x80) {
      byte(code);
    } else if (code < 0x800) {
      byte(0xC0 | code >> 6);
      byte(0x80 | (code & 63));
    } else if (code < 0x10000) {
      byte(0xE0 | code >> 12);
      byte(0x80 | (code >> 6 & 63));
      byte(0x80 | (code & 63));
    } else {
      byte(0xF0 | code >> 18);
      byte(0x80 | (code >> 12 & 63));
      byte(0x80 | (code >> 6 & 63));
      byte(0x80 | (code & 63));
    }
  }

  std::string string() {
    expect('"');
    std::string out;
    while (true) {
      if (at_ == text_.size()) fail("a string does not end");
      const char c = text_[at_++];
      if (c == '"') break;
      if (static_cast<unsigned char>(c) < 0x20) fail("a control character in a string");
      if (c == '\\') escape(out);
      else out += c;
    }
    if (!valid_utf8(out)) fail("a string is not UTF-8");
    return out;
  }

  SafetensorsEntry tensor(std::string name) {
    std::optional<DType> dtype;
    std::optional<std::vector<std::int64_t>> shape, offsets;
    object([&](const std::string& key) {
      if (key == "dtype" && !dtype) {
        const std::string text = string();
        const auto known = std::find_if(std::begin(dtype_names), std::end(dtype_names),
                                        [&](const Name& n) { return text == n.text; });
        if (known == std::end(dtype_names))
          fail(fmt::format(
              "tensor \"{}\" has dtype \"{}\"; F32, BF16, F64, I32 and U8 are supported", name,
              text));
        dtype = known->dtype;
      } else if (key == "shape" && !shape) {
        shape = integers(max_rank);
      } else if (key == "data_offsets" && !offsets) {
        offsets = integers(2);
      } else {
        fail(fmt::format("tensor \"{}\" has \"{}\" twice, or should not have it", name, key));
      }
    });
    if (!dtype || !shape || !offsets || offsets->size() != 2)
      fail(fmt::format("tensor \"{}\" needs dtype, shape and two data_offsets", name));
    const auto begin = static_cast<std::uint64_t>((*offsets)[0]),
               end = static_cast<std::uint64_t>((*offsets)[1]);
    std::uint64_t bytes = size_of(*dtype);
    for (const std::int64_t extent : *shape) {
      if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(extent), &bytes))
        fail(fmt::format("tensor \"{}\" is too large", name));
    }
    if (begin > end || end - begin != bytes) {
      fail(fmt::format("tensor \"{}\" has {} bytes by its shape, but lies at [{}, {})", name, bytes,
                       begin, end));
    }
    return {std::move(name), *dtype, std::move(*shape), begin, end};
  }

  std::string_view text_;
  std::size_t at_ = 0;
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
  for (std::size_t i = 0; i < text.size();) {
    const auto at = [&](std::size_t k) {
      return k < text.size() ? static_cast<unsigned char>(text[k]) : 0u;
    };
    const unsigned lead = at(i);
    const std::size_t length = lead < 0x80                   ? 1
                               : lead >= 0xC2 && lead < 0xE0 ? 2
                               : lead >= 0xE0 && lead < 0xF0 ? 3
                               : lead >= 0xF0 && lead < 0xF5 ? 4
                                                             : 0;
    if (length == 0) return false;
    for (std::size_t k = 1; k < length; ++k)
      if ((at(i + k) & 0xC0) != 0x80) return false;
    // too long a form, a surrogate, or beyond U+10FFFF
    const unsigned second = at(i + 1);
    if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second >= 0xA0) ||
        (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second >= 0x90))
      return false;
    i += length;
  }
  return true;
}

SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t data_bytes) {
  SafetensorsHeader header = Parser(json).header();
  std::stable_sort(header.tensors.begin(), header.tensors.end(), [](const auto& a, const auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t reached = 0;
  for (const SafetensorsEntry& tensor : header.tensors) {
    if (tensor.begin != reached) {
      throw std::runtime_error(
          fmt::format("tensor \"{}\" begins at byte {} of the data, the one before it ends at {}",
                      tensor.name, tensor.begin, reached));
    }
    reached = tensor.end;
  }
  if (reached != data_bytes)
    throw std::runtime_error(
        fmt::format("the tensors take {} bytes, the file has {}", reached, data_bytes));
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
    const auto known = std::find_if(std::begin(dtype_names), std::end(dtype_names),
                                    [&](const Name& n) { return tensor.dtype == n.dtype; });
    out += fmt::format(R"(:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", known->text,
                       fmt::join(tensor.shape, ","), tensor.begin, tensor.end);
  }
  out += '}';
  out.resize((out.size() + 7) / 8 * 8, ' ');
  return out;
}

}  // namespace nn
