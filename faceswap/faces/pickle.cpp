// Format: Python's Lib/pickletools.py describes every opcode. Objects live in one list and
// refer to each other by index, as the memo may name them again before they are complete.
#include "faceswap/faces/pickle.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <string>

#include "faceswap/image.h"

namespace faceswap {
namespace {

using nlohmann::json;
static_assert(std::endian::native == std::endian::little);

constexpr std::size_t kMaxBytes = 16u << 20;
constexpr std::size_t kMaxValues = 4'000'000;  // of the tree: a memo can name one value often
constexpr int kMaxDepth = 64;

struct Object {
  enum Kind : std::uint8_t { mark, plain, list, tuple, dictionary, function, type, array };
  Kind kind = plain;
  json value{};                      // of plain; the function's name
  std::vector<std::size_t> items{};  // of list, tuple; keys and values in turn; shape of array
  char letter = 0;                   // of type: 'f', 'i', 'u' or 'b', and
  std::size_t width = 0;             // bytes of an element
  std::size_t element = 0;           // of array: its type, an index
  std::string data{};                // of array
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : in_(bytes) {}

  json read() {
    if (in_.size() > kMaxBytes) refuse("more than 16 MiB");
    while (true) {
      const auto opcode = static_cast<unsigned char>(take(1)[0]);
      if (opcode == '.') return tree(pop(), 0);
      run(opcode);
    }
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw Error(ErrorKind::damaged, fmt::format("pickle: {} at byte {}", why, at_));
  }

  // --- bytes

  std::string_view take(std::size_t count) {
    if (count > in_.size() - at_) refuse("it ends early");
    at_ += count;
    return {reinterpret_cast<const char*>(in_.data()) + at_ - count, count};
  }
  template <class T> T number() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string line() {
    std::string text;
    for (char c; (c = take(1)[0]) != '\n';) text += c;
    return text;
  }
  double big_endian_double() {
    std::string bytes(take(8));
    std::reverse(bytes.begin(), bytes.end());
    double value;
    std::memcpy(&value, bytes.data(), 8);
    return value;
  }
  std::int64_t long_integer() {
    const std::string_view bytes = take(number<std::uint8_t>());
    if (bytes.size() > 8) refuse("a number of more than 64 bits");
    std::int64_t value = !bytes.empty() && bytes.back() < 0 ? -1 : 0;
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }

  // --- stack

  std::size_t add(Object object) {
    objects_.push_back(std::move(object));
    return objects_.size() - 1;
  }
  void push(Object object) { stack_.push_back(add(std::move(object))); }
  void push_value(json value) { push({Object::plain, std::move(value)}); }
  void push_bytes(std::string_view bytes) {
    push_value(json::binary({bytes.begin(), bytes.end()}));
  }
  std::size_t pop() {
    if (stack_.empty() || objects_[stack_.back()].kind == Object::mark) refuse("an empty stack");
    const std::size_t top = stack_.back();
    stack_.pop_back();
    return top;
  }
  std::vector<std::size_t> pop_to_mark() {
    std::vector<std::size_t> items;
    while (!stack_.empty() && objects_[stack_.back()].kind != Object::mark) items.push_back(pop());
    if (stack_.empty()) refuse("no mark");
    stack_.pop_back();
    std::reverse(items.begin(), items.end());
    return items;
  }
  void push_tuple(std::vector<std::size_t> items) {
    push({Object::tuple, nullptr, std::move(items)});
  }
  void push_tuple_of(std::size_t count) {
    std::vector<std::size_t> items(count);
    while (count > 0) items[--count] = pop();
    push_tuple(std::move(items));
  }
  void append(const std::vector<std::size_t>& items, Object::Kind kind) {
    const std::size_t target = pop();
    if (objects_[target].kind != kind || (kind == Object::dictionary && items.size() % 2 != 0))
      refuse("no list or dictionary to add to");
    objects_[target].items.insert(objects_[target].items.end(), items.begin(), items.end());
    stack_.push_back(target);
  }
  void memoize(std::size_t place) {
    if (stack_.empty()) refuse("an empty stack");
    memo_[place] = stack_.back();
  }
  void recall(std::size_t place) {
    const auto found = memo_.find(place);
    if (found == memo_.end()) refuse("a value that was not kept");
    stack_.push_back(found->second);
  }

  // --- opcodes

  void run(unsigned char opcode) {
    switch (opcode) {
      case 0x80: take(1); break;  // PROTO
      case 0x95: take(8); break;  // FRAME
      case '(': push({Object::mark}); break;
      case '0': pop(); break;
      case '1': pop_to_mark(); break;
      case 'N': push_value(nullptr); break;
      case 0x88: push_value(true); break;
      case 0x89: push_value(false); break;
      case 'J': push_value(number<std::int32_t>()); break;
      case 'K': push_value(number<std::uint8_t>()); break;
      case 'M': push_value(number<std::uint16_t>()); break;
      case 0x8a: push_value(long_integer()); break;
      case 'G': push_value(big_endian_double()); break;
      case 0x8c: push_value(std::string(take(number<std::uint8_t>()))); break;
      case 'X': push_value(std::string(take(number<std::uint32_t>()))); break;
      case 0x8d: push_value(std::string(take(number<std::uint64_t>()))); break;
      case 'C': push_bytes(take(number<std::uint8_t>())); break;
      case 'B': push_bytes(take(number<std::uint32_t>())); break;
      case 0x8e: push_bytes(take(number<std::uint64_t>())); break;
      case ']': push({Object::list}); break;
      case '}': push({Object::dictionary}); break;
      case ')': push_tuple({}); break;
      case 'l': push({Object::list, nullptr, pop_to_mark()}); break;
      case 't': push_tuple(pop_to_mark()); break;
      case 0x85:
      case 0x86:
      case 0x87: push_tuple_of(opcode - 0x84u); break;
      case 'a': append({pop()}, Object::list); break;
      case 'e': append(pop_to_mark(), Object::list); break;
      case 's': {
        const std::size_t value = pop(), key = pop();
        append({key, value}, Object::dictionary);
        break;
      }
      case 'u': append(pop_to_mark(), Object::dictionary); break;
      case 'q': memoize(number<std::uint8_t>()); break;
      case 'r': memoize(number<std::uint32_t>()); break;
      case 0x94: memoize(memo_.size()); break;
      case 'h': recall(number<std::uint8_t>()); break;
      case 'j': recall(number<std::uint32_t>()); break;
      case 'c': {
        const std::string module = line();
        push_function(module, line());
        break;
      }
      case 0x93: {
        const std::size_t name = pop(), module = pop();
        push_function(text(module), text(name));
        break;
      }
      case 'R': call(); break;
      case 'b': build(); break;
      default: refuse(fmt::format("opcode {:#04x}, which data does not need,", opcode));
    }
  }

  std::string text(std::size_t object) const {
    if (!objects_[object].value.is_string()) refuse("no text");
    return objects_[object].value.get<std::string>();
  }
  std::string bytes(std::size_t object) const {
    const json& value = objects_[object].value;
    if (!value.is_binary()) refuse("no bytes");
    return {value.get_binary().begin(), value.get_binary().end()};
  }

  void push_function(const std::string& module, const std::string& name) {
    const bool multiarray = module == "numpy.core.multiarray" || module == "numpy._core.multiarray";
    const bool known = (multiarray && (name == "_reconstruct" || name == "scalar")) ||
                       (module == "numpy" && (name == "ndarray" || name == "dtype")) ||
                       (module == "_codecs" && name == "encode");  // of bytes, in protocol 2
    if (!known)
      refuse(fmt::format("it names {}.{}, which no data needs,", module.substr(0, 60),
                         name.substr(0, 60)));
    push({Object::function, name});
  }

  void call() {
    const std::vector<std::size_t> arguments = objects_[pop()].items;
    const Object& function = objects_[pop()];
    const std::string name = function.kind == Object::function ? function.value : "";
    if (name == "_reconstruct") return push({Object::array});
    if (name == "dtype" && !arguments.empty()) return push_type(text(arguments[0]));
    if (name == "encode" && !arguments.empty()) return push_bytes(latin1(text(arguments[0])));
    if (name == "scalar" && arguments.size() == 2) {
      Object array{Object::array};
      array.element = arguments[0];
      array.data = bytes(arguments[1]);
      check_type(array, 1);
      return push_value(element(array, 0));
    }
    refuse("a call that builds no data");
  }

  void push_type(const std::string& name) {  // "f8", "<i4", "|u1"
    Object type{Object::type};
    const std::size_t letter = name.find_first_not_of("<|=");
    if (letter == std::string::npos || letter + 2 != name.size()) refuse("an unknown dtype");
    type.letter = name[letter];
    type.width = static_cast<std::size_t>(name[letter + 1] - '0');
    const bool known = type.letter == 'f' ? type.width == 4 || type.width == 8
                       : type.letter == 'i' || type.letter == 'u'
                           ? std::has_single_bit(type.width) && type.width <= 8
                           : type.letter == 'b' && type.width == 1;
    if (!known) refuse("an unknown dtype");
    push(std::move(type));
  }

  // The state of an array: (version, shape, dtype, Fortran's order?, bytes); of a dtype:
  // (version, byte order, ...).
  void build() {
    const std::vector<std::size_t> state = objects_[pop()].items;
    if (stack_.empty()) refuse("an empty stack");
    Object& object = objects_[stack_.back()];
    if (object.kind == Object::type) {
      if (state.size() < 2 || text(state[1]) == ">") refuse("a dtype of another byte order");
      return;
    }
    if (object.kind != Object::array || state.size() != 5 || objects_[state[3]].value == true)
      refuse("a state that is no array's");
    object.items = objects_[state[1]].items;
    object.element = state[2];
    object.data = bytes(state[4]);
    std::size_t count = 1;
    for (const std::size_t extent : object.items) {
      const json& value = objects_[extent].value;
      if (!value.is_number_integer() || value.get<std::int64_t>() < 0 ||
          value.get<std::int64_t>() > static_cast<std::int64_t>(kMaxBytes))
        refuse("a wrong shape");
      count *= value.get<std::size_t>();
      if (count > kMaxBytes) refuse("a wrong shape");
    }
    check_type(object, count);
  }

  void check_type(const Object& array, std::size_t count) const {
    const Object& type = objects_[array.element];
    if (type.kind != Object::type || array.data.size() != count * type.width)
      refuse("an array whose bytes do not fit its shape");
  }

  template <class T> static T value_at(const std::string& data, std::size_t index) {
    T value;
    std::memcpy(&value, data.data() + index * sizeof value, sizeof value);
    return value;
  }

  json element(const Object& array, std::size_t index) const {
    const Object& type = objects_[array.element];
    if (type.letter == 'f')
      return type.width == 8 ? value_at<double>(array.data, index)
                             : static_cast<double>(value_at<float>(array.data, index));
    if (type.letter == 'b') return array.data[index] != 0;
    std::uint64_t bits = 0;
    std::memcpy(&bits, array.data.data() + index * type.width, type.width);
    if (type.letter == 'u') return bits;
    const int unused = 64 - 8 * static_cast<int>(type.width);
    return static_cast<std::int64_t>(bits << unused) >> unused;
  }

  std::string latin1(const std::string& utf8) const {
    std::string out;
    for (std::size_t i = 0; i < utf8.size(); ++i) {
      const auto c = static_cast<unsigned char>(utf8[i]);
      if (c < 0x80) {
        out += utf8[i];
      } else if ((c == 0xc2 || c == 0xc3) && i + 1 < utf8.size()) {
        out += static_cast<char>((c & 3) << 6 | (utf8[++i] & 0x3f));
      } else {
        refuse("bytes that are none");
      }
    }
    return out;
  }

  // --- the result

  json array_tree(const Object& array, std::size_t axis, std::size_t& next) {
    if (axis == array.items.size()) {
      if (++values_ > kMaxValues) refuse("too many values");
      return element(array, next++);
    }
    json list = json::array();
    const auto extent = objects_[array.items[axis]].value.get<std::size_t>();
    for (std::size_t i = 0; i < extent; ++i) {
      if (++values_ > kMaxValues) refuse("too many values");
      list.push_back(array_tree(array, axis + 1, next));
    }
    return list;
  }

  json tree(std::size_t index, int depth) {
    const Object& object = objects_[index];
    if (depth > kMaxDepth || ++values_ > kMaxValues) refuse("too many values");
    json result;
    switch (object.kind) {
      case Object::plain: return object.value;
      case Object::list:
      case Object::tuple:
        result = json::array();
        for (const std::size_t item : object.items) result.push_back(tree(item, depth + 1));
        return result;
      case Object::dictionary:
        result = json::object();
        for (std::size_t i = 0; i < object.items.size(); i += 2)
          result[text(object.items[i])] = tree(object.items[i + 1], depth + 1);
        return result;
      case Object::array: {
        if (object.items.size() > 8) refuse("an array of more than 8 axes");
        check_built(object);
        if (objects_[object.element].letter == 'u' && objects_[object.element].width == 1)
          return json::binary({object.data.begin(), object.data.end()});
        std::size_t next = 0;
        return array_tree(object, 0, next);
      }
      default: refuse("a value that is no data");
    }
  }

  void check_built(const Object& array) const {
    if (objects_[array.element].kind != Object::type) refuse("an array without a state");
  }

  std::span<const std::byte> in_;
  std::size_t at_ = 0;
  std::vector<Object> objects_;
  std::vector<std::size_t> stack_;
  std::map<std::size_t, std::size_t> memo_;
  std::size_t values_ = 0;
};
}  // namespace

json parse_pickle(std::span<const std::byte> bytes) { return Reader(bytes).read(); }
}  // namespace faceswap
