#include "faceswap/provenance.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <ctime>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "faceswap/media/files.h"
#include "faceswap/media/png.h"
#include "nn/checkpoint/atomic_file.h"

namespace faceswap {
namespace {

constexpr std::string_view kMark = "compositeWithTrainedAlgorithmicMedia";
constexpr std::array<unsigned char, 16> kXmpUuid{0xbe, 0x7a, 0xcf, 0xcb, 0x97, 0xa9, 0x42, 0xe8,
                                                 0x9c, 0x71, 0x99, 0x94, 0x91, 0xe3, 0xaf, 0xac};
constexpr std::uintmax_t kMaxXmp = 1u << 20;

class Sha256 {
 public:
  Sha256() { check(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr)); }
  void add(const void* data, std::size_t bytes) {
    check(EVP_DigestUpdate(context_.get(), data, bytes));
  }
  std::string hex() {
    std::array<unsigned char, 32> digest;
    check(EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr));
    return fmt::format("{:02x}", fmt::join(digest, ""));
  }

 private:
  static void check(int done) {
    if (done != 1)
      throw Error(ErrorKind::failure, "libcrypto has no SHA-256: check its installation");
  }
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_{EVP_MD_CTX_new(),
                                                                   EVP_MD_CTX_free};
};

std::uint64_t big_endian(const unsigned char* p, int bytes) {
  std::uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) value = value << 8 | p[i];
  return value;
}

// The XMP packet of a top-level uuid box; empty if there is none or a box is invalid.
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

// Looks for the word in the first and last MiB. Matroska has no place for XMP, so its
// comment carries the mark, in tags at the beginning or end of the file.
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

// Of a folder: the hash of its files' hashes and names, sorted by name.
std::string sha256_of_anything(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return sha256_of_file(path);
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (auto it = std::filesystem::directory_iterator(path, error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error))
    if (it->is_regular_file()) files.push_back(it->path());
  if (error)
    throw Error(ErrorKind::input, fmt::format("{}: cannot list the folder: {}. Check its rights",
                                              path.string(), error.message()));
  std::sort(files.begin(), files.end());
  std::string list;
  for (const std::filesystem::path& file : files)
    list += fmt::format("{}  {}\n", sha256_of_file(file), file.filename().string());
  Sha256 hash;
  hash.add(list.data(), list.size());
  return hash.hex();
}

std::string now_utc() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
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
    throw Error(ErrorKind::input,
                fmt::format("{}: cannot open it; a readable file was expected", path.string()));
  const std::uintmax_t size = std::filesystem::file_size(path);
  std::array<unsigned char, 12> head{};
  file.read(reinterpret_cast<char*>(head.data()), head.size());
  if (head[0] == 0x89 && std::memcmp(&head[1], "PNG", 3) == 0)
    return read_png_text(path, kXmpKeyword).value_or("").find(kMark) != std::string::npos;
  if (std::memcmp(&head[4], "ftyp", 4) == 0)
    return read_xmp_box(file, size).find(kMark) != std::string::npos;
  return ends_contain(file, size, kMark);
}

std::string sha256_of_bytes(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.add(bytes.data(), bytes.size());
  return hash.hex();
}

std::string sha256_of_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file || !std::filesystem::is_regular_file(path))
    throw Error(ErrorKind::input,
                fmt::format("{}: cannot open it; a readable file was expected", path.string()));
  Sha256 hash;
  std::vector<char> buffer(1u << 18);
  while (file) {
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    hash.add(buffer.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad())
    throw Error(
        ErrorKind::input,
        fmt::format("{}: cannot be read to its end. Check the disk it lies on", path.string()));
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
  // A path need not be UTF-8: invalid bytes become the replacement character.
  const std::string text =
      manifest.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  std::filesystem::path file = out;
  if (!file.has_filename()) file = file.parent_path();  // "folder/"
  file += ".provenance.json";
  const std::span<const std::byte> piece = std::as_bytes(std::span(text));
  nn::write_file_atomically(file, std::span(&piece, 1), false);
}
}  // namespace faceswap
