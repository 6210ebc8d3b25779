#include "faceswap/faces/literal.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "faceswap/image.h"

namespace faceswap {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 64;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  json parse() {
    json value = read_value(0);
    skip_space();
    if (at_ < text_.size()) refuse("the end");
    return value;
  }

 private:
  [[noreturn]] void refuse(const char* expected) const {
    throw Error(ErrorKind::damaged, fmt::format("no literal: expected {} at character {} of {}",
                                                expected, at_ + 1, text_.size()));
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool take_word(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  void skip_space() {
    while (at_ < text_.size() &&
           std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos)
      ++at_;
  }

  json read_value(int depth) {
    if (depth > kMaxDepth) refuse("at most 64 levels");
    skip_space();
    if (take('{')) return read_dictionary(depth);
    if (take('[')) return read_list(']', depth);
    if (take('(')) return read_list(')', depth);
    if (take_word("None") || take_word("null")) return nullptr;
    if (take_word("True") || take_word("true")) return true;
    if (take_word("False") || take_word("false")) return false;
    const char c = peek();
    if (c == '\'' || c == '"') return read_text(false);
    if ((c == 'b' || c == 'B') && at_ + 1 < text_.size() &&
        (text_[at_ + 1] == '\'' || text_[at_ + 1] == '"')) {
      ++at_;
      const std::string bytes = read_text(true);
      return json::binary({bytes.begin(), bytes.end()});
    }
    return read_number();
  }

  json read_dictionary(int depth) {
    json object = json::object();
    while (!take('}')) {
      if (!object.empty() && !take(',')) refuse("a comma or }");
      if (take('}')) break;  // behind a last comma
      const json key = read_value(depth + 1);
      if (!key.is_string() && !key.is_number()) refuse("a text or number as key");
      if (!take(':')) refuse("a colon");
      object[key.is_string() ? key.get<std::string>() : key.dump()] = read_value(depth + 1);
    }
    return object;
  }

  json read_list(char end, int depth) {
    json list = json::array();
    while (!take(end)) {
      if (!list.empty() && !take(',')) refuse("a comma or the list's end");
      if (take(end)) break;
      list.push_back(read_value(depth + 1));
    }
    return list;
  }

  json read_number() {
    const std::size_t begin = at_;
    const auto is_part = [](char c) {
      return (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.' || c == 'e' || c == 'E';
    };
    while (at_ < text_.size() && is_part(text_[at_])) ++at_;
    const char *first = text_.data() + begin, *last = text_.data() + at_;
    std::int64_t whole = 0;
    if (const auto [end, error] = std::from_chars(first, last, whole);
        error == std::errc() && end == last)
      return whole;
    double number = 0;
    const auto [end, error] = std::from_chars(first, last, number);
    if (first == last || error != std::errc() || end != last || !std::isfinite(number)) {
      at_ = begin;
      refuse("a value");
    }
    return number;
  }

  // `bytes`: without \u, and every \x is a byte instead of a character.
  std::string read_text(bool bytes) {
    const char quote = text_[at_++];
    std::string out;
    while (at_ < text_.size() && text_[at_] != quote) {
      const char c = text_[at_++];
      if (c != '\\') out += c;
      else read_escape(bytes, out);
    }
    if (at_ >= text_.size()) refuse("the text's end");
    ++at_;
    return out;
  }

  void read_escape(bool bytes, std::string& out) {
    constexpr std::string_view kLetters = "nrtbfav0\\'\"/", kMeaning{"\n\r\t\b\f\a\v\0\\'\"/", 12};
    const char c = peek();
    ++at_;
    if (c == 'x' || (!bytes && (c == 'u' || c == 'U'))) {
      std::uint32_t code = read_hex(c == 'x' ? 2 : c == 'u' ? 4 : 8);
      if (bytes) {
        out += static_cast<char>(code);
        return;
      }
      if (code >= 0xd800 && code < 0xdc00 && take_word("\\u"))  // JSON's pair of surrogates
        code = 0x10000 + ((code - 0xd800) << 10) + ((read_hex(4) - 0xdc00) & 0x3ff);
      append_utf8(code, out);
      return;
    }
    const std::size_t which = kLetters.find(c);
    if (c == '\0' || which == std::string_view::npos) refuse("an escape");
    out += kMeaning.substr(which, 1);
  }

  std::uint32_t read_hex(std::size_t digits) {
    std::uint32_t code = 0;
    const std::string_view hex = text_.substr(std::min(at_, text_.size()), digits);
    const auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), code, 16);
    if (hex.size() != digits || error != std::errc() || end != hex.data() + digits)
      refuse("hexadecimal digits");
    at_ += digits;
    return code;
  }

  void append_utf8(std::uint32_t code, std::string& out) const {
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) refuse("a Unicode character");
    const auto byte = [&out](std::uint32_t value) { out += static_cast<char>(value); };
    if (code < 0x80) return byte(code);
    if (code < 0x800) {
      byte(0xc0 | code >> 6);
    } else if (code < 0x10000) {
      byte(0xe0 | code >> 12), byte(0x80 | (code >> 6 & 0x3f));
    } else {
      byte(0xf0 | code >> 18), byte(0x80 | (code >> 12 & 0x3f)), byte(0x80 | (code >> 6 & 0x3f));
    }
    byte(0x80 | (code & 0x3f));
  }

  std::string_view text_;
  std::size_t at_ = 0;
};
}  // namespace

json parse_literal(std::string_view text) { return Parser(text).parse(); }
}  // namespace faceswap
