// Writes pickles like Python's, with numpy's arrays and numbers.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

class PickleText {
 public:
  explicit PickleText(int protocol) : protocol_(protocol) {
    out_ = {'\x80', static_cast<char>(protocol)};
  }
  std::string done() const { return out_ + "."; }

  void begin_dictionary() { out_ += "}("; }
  void end_dictionary() { out_ += "u"; }
  void text(const std::string& value) { sized('X', value); }
  void number(int value) { out_ += 'J' + raw(static_cast<std::int32_t>(value)); }

  // A list of points.
  void points(const std::vector<std::pair<double, double>>& points) {
    out_ += "](";
    for (const auto& [x, y] : points) {
      out_ += "](";
      real(x), real(y);
      out_ += 'e';
    }
    out_ += 'e';
  }
  void array(const std::string& dtype, const std::vector<int>& shape, const std::string& data) {
    function("numpy.core.multiarray", "_reconstruct");
    function("numpy", "ndarray");
    out_ += std::string("K\0\x85", 3);
    bytes("b");
    out_ += "\x87R(K\x01(";
    for (const int extent : shape) number(extent);
    out_ += "t";
    type(dtype);
    out_ += "\x89";
    bytes(data);
    out_ += "tb";
  }
  void scalar(const std::string& dtype, const std::string& data) {
    function("numpy.core.multiarray", "scalar");
    type(dtype);
    bytes(data);
    out_ += "\x86R";
  }
  void real(double value) {
    std::string big = raw(value);
    out_ += 'G' + std::string(big.rbegin(), big.rend());
  }
  static std::string floats(const std::vector<float>& values) {
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
  }

 private:
  template <class T> static std::string raw(T value) {
    std::string bytes(sizeof value, '\0');
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
  }
  void sized(char opcode, const std::string& value) {
    out_ += opcode + raw(static_cast<std::uint32_t>(value.size())) + value;
  }
  void function(const std::string& module, const std::string& name) {
    if (protocol_ < 4) {
      out_ += 'c' + module + '\n' + name + '\n';
    } else {
      text(module), text(name);
      out_ += '\x93';
    }
  }
  // Protocol 2 has no bytes: it calls an encoder on a text.
  void bytes(const std::string& value) {
    if (protocol_ > 2) return sized('B', value);
    function("_codecs", "encode");
    std::string utf8;
    for (const char c : value) {
      const auto code = static_cast<unsigned char>(c);
      if (code >= 0x80) utf8 += static_cast<char>(0xc0 | code >> 6);
      utf8 += static_cast<char>(code >= 0x80 ? 0x80 | (code & 0x3f) : code);
    }
    text(utf8), text("latin1");
    out_ += "\x86R";
  }
  void type(const std::string& dtype) {
    function("numpy", "dtype");
    text(dtype);
    out_ += "\x89\x88\x87R(K\x03";
    text("<");
    out_ += "NNN";
    number(-1), number(-1), number(0);
    out_ += "tb";
  }

  int protocol_;
  std::string out_;
};
