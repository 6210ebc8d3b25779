#include "faceswap/provenance.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "faceswap/media/files.h"
#include "faceswap/media/media.h"

namespace faceswap {
namespace {

constexpr std::string_view kMark = "compositeWithTrainedAlgorithmicMedia";
constexpr std::array<unsigned char, 16> kXmpUuid{0xbe, 0x7a, 0xcf, 0xcb, 0x97, 0xa9, 0x42, 0xe8,
                                                 0x9c, 0x71, 0x99, 0x94, 0x91, 0xe3, 0xaf, 0xac};
constexpr std::uintmax_t kMaxXmp = 1u << 20;

// SHA-256 (FIPS 180-4): eight words of state, 64 rounds per block of 64 bytes.
class Sha256 {
 public:
  void add(std::span<const unsigned char> data) {
    length_ += data.size();
    while (!data.empty()) {
      const std::size_t n = std::min(data.size(), block_.size() - filled_);
      std::copy_n(data.begin(), n, block_.begin() + static_cast<std::ptrdiff_t>(filled_));
      filled_ += n;
      data = data.subspan(n);
      if (filled_ == block_.size()) round();
    }
  }

  std::string hex() {
    const std::uint64_t bits = length_ * 8;
    const unsigned char one = 0x80, zero = 0;
    add({&one, 1});
    while (filled_ != 56) add({&zero, 1});
    std::array<unsigned char, 8> size;
    for (std::size_t i = 0; i < 8; ++i) size[i] = static_cast<unsigned char>(bits >> (56 - 8 * i));
    add(size);
    std::string out;
    for (const std::uint32_t word : state_) out += fmt::format("{:08x}", word);
    return out;
  }

 private:
  void round() {
    static constexpr std::array<std::uint32_t, 64> k{
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
        0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
        0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
        0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
        0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
        0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
        0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
        0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
        0xc67178f2};
    std::array<std::uint32_t, 64> w;
    for (std::size_t i = 0; i < 16; ++i)
      w[i] = static_cast<std::uint32_t>(block_[4 * i]) << 24 |
             static_cast<std::uint32_t>(block_[4 * i + 1]) << 16 |
             static_cast<std::uint32_t>(block_[4 * i + 2]) << 8 | block_[4 * i + 3];
    for (std::size_t i = 16; i < 64; ++i) {
      const std::uint32_t s0 =
          std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
      const std::uint32_t s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    auto [a, b, c, d, e, f, g, h] = state_;
    for (std::size_t i = 0; i < 64; ++i) {
      const std::uint32_t t1 = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) +
                               ((e & f) ^ (~e & g)) + k[i] + w[i];
      const std::uint32_t t2 =
          (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    const std::array<std::uint32_t, 8> sum{a, b, c, d, e, f, g, h};
    for (std::size_t i = 0; i < 8; ++i) state_[i] += sum[i];
    filled_ = 0;
  }

  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<unsigned char, 64> block_{};
  std::size_t filled_ = 0;
  std::uint64_t length_ = 0;
};

std::uint64_t big_endian(const unsigned char* p, int bytes) {
  std::uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) value = value << 8 | p[i];
  return value;
}

// The XMP packet of a top-level uuid box; empty where there is none or the boxes make no sense.
std::string read_xmp_box(std::ifstream& file, std::uintmax_t size) {
  std::uintmax_t at = 0;
  for (int boxes = 0; at + 8 <= size && boxes < 10000; ++boxes) {
    std::array<unsigned char, 32> head{};
    file.clear();
    file.seekg(static_cast<std::streamoff>(at));
    file.read(reinterpret_cast<char*>(head.data()),
              static_cast<std::streamsize>(std::min<std::uintmax_t>(head.size(), size - at)));
    const bool wide = big_endian(head.data(), 4) == 1;  // a 64-bit length follows the type
    const std::uint64_t told = wide ? big_endian(&head[8], 8) : big_endian(head.data(), 4);
    const std::uint64_t length = told == 0 ? size - at : told;
    if (length < (wide ? 16u : 8u) || length > size - at) return {};
    const std::size_t body = wide ? 16 : 8;
    if (std::memcmp(&head[4], "uuid", 4) == 0 && !wide && length >= 24 && length <= kMaxXmp &&
        std::equal(kXmpUuid.begin(), kXmpUuid.end(), &head[body])) {
      std::string packet(static_cast<std::size_t>(length - 24), '\0');
      file.seekg(static_cast<std::streamoff>(at + 24));
      file.read(packet.data(), static_cast<std::streamsize>(packet.size()));
      return packet;
    }
    at += length;
  }
  return {};
}

// Matroska has no place for XMP: its comment carries the word, in the tags at the file's beginning or end.
bool ends_contain(std::ifstream& file, std::uintmax_t size, std::string_view word) {
  constexpr std::uintmax_t kWindow = 1u << 20;
  for (const std::uintmax_t begin : {std::uintmax_t{0}, size > kWindow ? size - kWindow : 0}) {
    std::string text(static_cast<std::size_t>(std::min(kWindow, size - begin)), '\0');
    file.clear();
    file.seekg(static_cast<std::streamoff>(begin));
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (text.find(word) != std::string::npos) return true;
  }
  return false;
}

// A folder's hash: of its files' names and hashes, in the order of their names.
std::string sha256_of_anything(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return sha256_of_file(path);
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (auto it = std::filesystem::directory_iterator(path, error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error))
    if (it->is_regular_file()) files.push_back(it->path());
  if (error)
    throw Error(ErrorKind::input,
                fmt::format("{}: cannot list the folder: {}", path.string(), error.message()));
  std::sort(files.begin(), files.end());
  std::string list;
  for (const std::filesystem::path& file : files)
    list += fmt::format("{}  {}\n", sha256_of_file(file), file.filename().string());
  Sha256 hash;
  hash.add({reinterpret_cast<const unsigned char*>(list.data()), list.size()});
  return hash.hex();
}

std::string now_utc() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string xml_escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

}  // namespace

std::string xmp_packet(const std::string& tool) {
  return fmt::format(
      "<?xpacket begin=\"\xef\xbb\xbf\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n"
      "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF "
      "xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n"
      "<rdf:Description rdf:about=\"\" xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\" "
      "xmlns:Iptc4xmpExt=\"http://iptc.org/std/Iptc4xmpExt/2008-02-29/\"\n"
      " xmp:CreatorTool=\"{}\"\n"
      " Iptc4xmpExt:DigitalSourceType=\"http://cv.iptc.org/newscodes/digitalsourcetype/{}\"/>\n"
      "</rdf:RDF></x:xmpmeta>\n"
      "<?xpacket end=\"w\"?>",
      xml_escaped(tool), kMark);
}

void append_xmp_box(const std::filesystem::path& mp4, const std::string& packet) {
  std::vector<std::byte> box;
  const std::uint32_t length = static_cast<std::uint32_t>(24 + packet.size());
  for (int shift = 24; shift >= 0; shift -= 8)
    box.push_back(static_cast<std::byte>(length >> shift & 0xff));
  for (const char c : std::string_view("uuid")) box.push_back(static_cast<std::byte>(c));
  for (const unsigned char c : kXmpUuid) box.push_back(static_cast<std::byte>(c));
  for (const char c : packet) box.push_back(static_cast<std::byte>(c));
  append_to_file(mp4, box);
}

bool has_synthetic_mark(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file || !std::filesystem::is_regular_file(path))
    throw Error(ErrorKind::input, fmt::format("{}: cannot open it", path.string()));
  const std::uintmax_t size = std::filesystem::file_size(path);
  std::array<unsigned char, 12> head{};
  file.read(reinterpret_cast<char*>(head.data()), head.size());
  if (head[0] == 0x89 && std::memcmp(&head[1], "PNG", 3) == 0)
    return read_png_text(path, kXmpKeyword).value_or("").find(kMark) != std::string::npos;
  if (std::memcmp(&head[4], "ftyp", 4) == 0)
    return read_xmp_box(file, size).find(kMark) != std::string::npos;
  return ends_contain(file, size, kMark);
}

std::string sha256_of_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file || !std::filesystem::is_regular_file(path))
    throw Error(ErrorKind::input, fmt::format("{}: cannot open it", path.string()));
  Sha256 hash;
  std::vector<unsigned char> buffer(1u << 18);
  while (file) {
    file.read(reinterpret_cast<char*>(buffer.data()), static_cast<std::streamsize>(buffer.size()));
    hash.add({buffer.data(), static_cast<std::size_t>(file.gcount())});
  }
  if (file.bad())
    throw Error(ErrorKind::input, fmt::format("{}: cannot be read to its end", path.string()));
  return hash.hex();
}

void write_manifest(const std::filesystem::path& out, const std::string& command,
                    const std::map<std::string, std::filesystem::path>& inputs,
                    const std::map<std::string, std::string>& facts) {
  const auto described = [](const std::filesystem::path& path) {
    return nlohmann::ordered_json{{"name", path.filename().string()},
                                  {"sha256", sha256_of_anything(path)}};
  };
  nlohmann::ordered_json manifest{
      {"tool", "doppel"},
      {"version", DOPPEL_VERSION},
      {"time", now_utc()},
      {"command", command},
      {"digital_source_type",
       fmt::format("http://cv.iptc.org/newscodes/digitalsourcetype/{}", kMark)},
      {"output", described(out)}};
  manifest["inputs"] = nlohmann::ordered_json::object();
  for (const auto& [role, path] : inputs) manifest["inputs"][role] = described(path);
  manifest["facts"] = nlohmann::ordered_json::object();
  for (const auto& [key, value] : facts) manifest["facts"][key] = value;
  // A path need not be UTF-8; what is not becomes the replacement character instead of an exception.
  const std::string text =
      manifest.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  std::filesystem::path file = out;
  if (!file.has_filename()) file = file.parent_path();  // "folder/"
  file += ".provenance.json";
  write_whole_file(file, {reinterpret_cast<const std::byte*>(text.data()), text.size()}, true,
                   true);
}

}  // namespace faceswap
