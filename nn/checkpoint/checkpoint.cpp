// A safetensors file: u64 length of the header (little-endian), the header's JSON, the
// tensors' bytes without gaps.
#include "nn/checkpoint/checkpoint.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <numeric>
#include <set>

#include "nn/check.h"
#include "nn/checkpoint/atomic_file.h"
#include "nn/checkpoint/crc32c.h"
#include "nn/checkpoint/safetensors.h"

namespace nn {
namespace {

namespace fs = std::filesystem;

constexpr const char* checksum_name = "__crc32c__";

template <class Integer> std::array<std::byte, sizeof(Integer)> little_endian(Integer value) {
  std::array<std::byte, sizeof(Integer)> bytes;
  for (std::size_t i = 0; i < sizeof(Integer); ++i)
    bytes[i] = static_cast<std::byte>(value >> (8 * i));
  return bytes;
}
template <class Integer> Integer from_little_endian(const std::byte* bytes) {
  Integer value = 0;
  for (std::size_t i = 0; i < sizeof(Integer); ++i)
    value |= static_cast<Integer>(bytes[i]) << (8 * i);
  return value;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

void read_exactly(int fd, void* destination, std::uint64_t bytes, const fs::path& path) {
  auto* at = static_cast<std::byte*>(destination);
  while (bytes > 0) {
    const ssize_t got = ::read(fd, at, std::min<std::uint64_t>(bytes, 1u << 30));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      fail(ErrorKind::input, "{}: cannot be read: {}", path.string(), std::strerror(errno));
    if (got == 0) fail(ErrorKind::damaged, "{}: became shorter while it was read", path.string());
    at += got;
    bytes -= static_cast<std::uint64_t>(got);
  }
}

[[noreturn]] void damaged(const fs::path& path, const std::string& what) {
  fail(ErrorKind::damaged, "{}: not an intact checkpoint: {}", path.string(), what);
}
}  // namespace

void save_safetensors(const fs::path& path, const std::map<std::string, std::string>& metadata,
                      std::span<const TensorRecord> tensors) {
  // Wide numbers first, so every tensor begins on a multiple of its element size.
  std::vector<const TensorRecord*> order(tensors.size());
  std::iota(order.begin(), order.end(), tensors.data());
  std::ranges::stable_sort(order, std::greater{},
                           [](const auto* tensor) { return size_of(tensor->dtype); });

  SafetensorsHeader header{metadata, {}};
  std::uint64_t offset = 0;
  for (const auto& [key, value] : metadata)
    check(valid_utf8(key) && valid_utf8(value), "save {}: metadata \"{}\" is not UTF-8",
          path.string(), key);
  check(tensors.size() < max_tensors, "save {}: {} tensors are too many", path.string(),
        tensors.size());
  std::set<std::string_view> names;
  for (const TensorRecord* tensor : order) {
    std::uint64_t bytes = size_of(tensor->dtype);
    for (const std::int64_t extent : tensor->shape) bytes *= static_cast<std::uint64_t>(extent);
    check(bytes == tensor->bytes && tensor->shape.size() <= max_rank,
          "save {}: tensor \"{}\" [{}] of {} does not have {} bytes", path.string(), tensor->name,
          fmt::join(tensor->shape, ","), name(tensor->dtype), tensor->bytes);
    check(
        valid_utf8(tensor->name) && tensor->name != checksum_name && tensor->name != "__metadata__",
        "save {}: a tensor cannot be named \"{}\"", path.string(), tensor->name);
    header.tensors.push_back({tensor->name, tensor->dtype, tensor->shape, offset, offset + bytes});
    check(names.insert(tensor->name).second, "save {}: two tensors are named \"{}\"", path.string(),
          tensor->name);
    offset += bytes;
  }
  header.tensors.push_back({checksum_name, DType::u8, {4}, offset, offset + 4});

  const std::string json = format_safetensors_header(header);
  check(json.size() <= max_header_bytes,
        "save {}: names and metadata take {} bytes, at most {} are allowed", path.string(),
        json.size(), max_header_bytes);
  const auto length = little_endian(static_cast<std::uint64_t>(json.size()));
  std::vector<std::span<const std::byte>> pieces{length, std::as_bytes(std::span(json))};
  for (const TensorRecord* tensor : order) pieces.emplace_back(tensor->data, tensor->bytes);
  std::uint32_t crc = 0;
  for (const auto& piece : pieces) crc = crc32c(piece, crc);
  const auto checksum = little_endian(crc);
  pieces.emplace_back(checksum);
  write_file_atomically(path, pieces, true);
}

SafetensorsFile::SafetensorsFile(const fs::path& path, bool require_checksum) {
  // Non-blocking: opening a pipe must not hang.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0)
    fail(ErrorKind::input, "{}: cannot be opened: {}", path.string(), std::strerror(errno));
  if (!S_ISREG(status.st_mode)) fail(ErrorKind::input, "{}: is not a file", path.string());
  const auto size = static_cast<std::uint64_t>(status.st_size);

  std::array<std::byte, 8> length;
  if (size < length.size()) damaged(path, fmt::format("it has {} bytes only", size));
  read_exactly(file.get(), length.data(), length.size(), path);
  const auto header_bytes = from_little_endian<std::uint64_t>(length.data());
  if (header_bytes > max_header_bytes || header_bytes > size - length.size()) {
    damaged(path, fmt::format("its header claims {} bytes, the file has {} and a header at most {}",
                              header_bytes, size, max_header_bytes));
  }
  std::string json(header_bytes, '\0');
  read_exactly(file.get(), json.data(), json.size(), path);
  const std::uint64_t data_bytes = size - length.size() - header_bytes;
  SafetensorsHeader header;
  try {
    header = parse_safetensors_header(json, data_bytes);
  } catch (const std::runtime_error& error) { damaged(path, error.what()); }

  // Memory for the data is taken only now that the header fits the file's size.
  try {
    bytes_ = std::make_unique_for_overwrite<std::byte[]>(data_bytes);
  } catch (const std::bad_alloc&) {
    fail(ErrorKind::memory, "{}: no memory for its {} bytes", path.string(), data_bytes);
  }
  read_exactly(file.get(), bytes_.get(), data_bytes, path);

  if (!header.tensors.empty() && header.tensors.back().name == checksum_name) {
    const SafetensorsEntry& last = header.tensors.back();
    if (last.dtype != DType::u8 || last.shape != std::vector<std::int64_t>{4})
      damaged(path, fmt::format("{} is not four bytes", checksum_name));
    std::uint32_t crc = crc32c(std::as_bytes(std::span(json)), crc32c(length));
    crc = crc32c(std::span(bytes_.get(), last.begin), crc);
    const auto stored = from_little_endian<std::uint32_t>(bytes_.get() + last.begin);
    if (crc != stored)
      damaged(path, fmt::format("its checksum is {:08x}, its content has {:08x}", stored, crc));
    has_checksum_ = true;
    header.tensors.pop_back();
  } else if (require_checksum) {
    damaged(path, fmt::format("it does not end with the tensor {}", checksum_name));
  }
  metadata_ = std::move(header.metadata);
  for (SafetensorsEntry& entry : header.tensors) {
    tensors_.push_back({std::move(entry.name), entry.dtype, std::move(entry.shape),
                        bytes_.get() + entry.begin,
                        static_cast<std::size_t>(entry.end - entry.begin)});
  }
}

const TensorRecord* SafetensorsFile::find(const std::string& wanted) const {
  const auto found = std::ranges::find(tensors_, wanted, &TensorRecord::name);
  return found == tensors_.end() ? nullptr : &*found;
}

SafetensorsFile load_newest(const fs::path& path, fs::path* used) {
  fs::path previous = path;
  previous += ".prev";
  try {
    SafetensorsFile file(path);
    if (used != nullptr) *used = path;
    return file;
  } catch (const Error&) {
    try {
      SafetensorsFile file(previous);
      if (used != nullptr) *used = previous;
      return file;
    } catch (const Error&) {}
    throw;  // the error of path
  }
}
}  // namespace nn
