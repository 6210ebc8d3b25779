#include "faceswap/faces/extract_inputs.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "faceswap/faces/gray.h"
#include "faceswap/media/files.h"
#include "faceswap/media/folder.h"
#include "faceswap/provenance.h"
#include "faceswap/statistics.h"

namespace faceswap {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPrefixBytes = 80;
constexpr std::uintmax_t kEndBytes = 64u << 10;
constexpr std::size_t kLeastFrames = 3;
constexpr double kRegularSteps = 0.9;  // share of the numbers that follow the last by the step
constexpr int kPairs = 5;              // of neighbours that are compared
constexpr double kAlike = 10;          // mean difference of their thumbnails, of 256 grey levels

// Absolute, but a link keeps its name.
fs::path plain(const fs::path& path) {
  const fs::path absolute = fs::absolute(path).lexically_normal();
  return absolute.has_filename() ? absolute : absolute.parent_path();
}

std::vector<std::byte> ends_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::error_code problem;
  const std::uintmax_t size = fs::file_size(path, problem);
  if (!file || problem)
    throw Error(ErrorKind::input,
                fmt::format("{}: cannot open it. Check the path and its rights", path.string()));
  std::vector<std::byte> ends(static_cast<std::size_t>(std::min(size, 2 * kEndBytes)));
  const auto half = static_cast<std::streamsize>(std::min<std::uintmax_t>(ends.size(), kEndBytes));
  auto* to = reinterpret_cast<char*>(ends.data());
  file.read(to, half);
  const auto rest = static_cast<std::streamsize>(ends.size()) - half;
  file.seekg(-rest, std::ios::end);
  file.read(to + half, rest);
  if (!file)
    throw Error(ErrorKind::input,
                fmt::format("{}: cannot be read. Check the disk it lies on", path.string()));
  return ends;
}

std::string content_of(const fs::path& file) {
  return fmt::format("{}-{}", fs::file_size(file), sha256_of_bytes(ends_of(file)));
}

std::string content_of_frames(const std::vector<fs::path>& pictures) {
  std::string list = content_of(pictures.front()) + "\n";
  for (const fs::path& picture : pictures) {
    std::error_code gone;
    list += fmt::format("{} {}\n", picture.filename().string(), fs::file_size(picture, gone));
  }
  return fmt::format("{}-{}", pictures.size(), sha256_of_bytes(std::as_bytes(std::span(list))));
}

struct NumberedName {
  std::string before, after;  // the name without its last number
  std::int64_t number = 0;
};

std::optional<NumberedName> numbered(const fs::path& path) {
  const std::string stem = path.stem().string();
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  std::size_t end = stem.size();
  while (end > 0 && !digit(stem[end - 1])) --end;
  std::size_t begin = end;
  while (begin > 0 && digit(stem[begin - 1])) --begin;
  NumberedName name{stem.substr(0, begin), stem.substr(end) + path.extension().string()};
  const auto [last, error] = std::from_chars(&stem[begin], &stem[end], name.number);
  if (begin == end || error != std::errc{}) return std::nullopt;
  return name;
}

bool numbered_in_steps(const std::vector<fs::path>& pictures) {
  std::optional<NumberedName> last;
  std::map<std::int64_t, std::size_t> steps;
  for (const fs::path& picture : pictures) {
    std::optional<NumberedName> name = numbered(picture);
    if (!name || (last && (name->before != last->before || name->after != last->after)))
      return false;
    if (last) ++steps[name->number - last->number];
    last = std::move(name);
  }
  // Photos that were not deleted leave gaps of all sizes between the others.
  return static_cast<double>(steps.begin()->second) >=
         kRegularSteps * static_cast<double>(pictures.size() - 1);
}

double difference(const fs::path& a, const fs::path& b) {
  const Image first = read_image(a), second = read_image(b);
  if (first.width != second.width || first.height != second.height) return 255;
  const int w = std::min(32, first.width), h = std::min(18, first.height);
  const Image x = shrink_to(to_gray(first), w, h), y = shrink_to(to_gray(second), w, h);
  double sum = 0;
  for (std::size_t i = 0; i < x.pixels.size(); ++i)
    sum += std::abs(static_cast<int>(x.pixels[i]) - static_cast<int>(y.pixels[i]));
  return sum / static_cast<double>(x.pixels.size());
}

bool keeps(unsigned code) {
  if (code < 0x80)
    return (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z') ||
           (code >= '0' && code <= '9') || code == '.' || code == '_' || code == '-';
  const bool control = code < 0xa0 || (code >= 0xfff0 && code <= 0xffff) || code == 0xfeff;
  const bool space = code == 0xa0 || code == 0x1680 || code == 0x3000 ||
                     (code >= 0x2000 && code <= 0x200b) || code == 0x205f;
  const bool direction = (code >= 0x200e && code <= 0x200f) || (code >= 0x2028 && code <= 0x202f) ||
                         (code >= 0x2060 && code <= 0x206f);
  return !control && !space && !direction;
}

// The character at `at` and its bytes; no bytes: not UTF-8.
std::pair<unsigned, std::size_t> utf8_at(const std::string& text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned>(static_cast<unsigned char>(text[i])) : 0u;
  };
  const unsigned first = byte(at);
  if (first < 0x80) return {first, 1};
  const std::size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return {0, 0};
  unsigned code = first & (0xffu >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return {0, 0};
    code = code << 6 | (byte(at + i) & 0x3f);
  }
  const unsigned least = bytes == 4 ? 0x10000 : bytes == 3 ? 0x800 : 0x80;
  if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return {0, 0};
  return {code, bytes};
}

void add_folder(const fs::path& folder, PictureFolders kind, int every, ExtractInputs& inputs) {
  const PictureFolder listed = list_pictures(folder);
  inputs.skipped.insert(inputs.skipped.end(), listed.skipped.begin(), listed.skipped.end());
  const bool frames = kind == PictureFolders::frames ||
                      (kind == PictureFolders::automatic && is_clip_in_frames(listed.pictures));
  if (kind == PictureFolders::automatic)
    inputs.notes.push_back(
        frames ? fmt::format("{}: {} pictures, taken as frames of a clip (numbered, neighbours "
                             "alike): every {}th is kept; --pictures photos takes all",
                             folder.string(), listed.pictures.size(), every)
               : fmt::format("{}: {} pictures, taken as photos: all are used; --pictures frames "
                             "takes them as a clip",
                             folder.string(), listed.pictures.size()));
  if (frames)
    return inputs.sources.push_back(
        {ExtractSource::frames, plain(folder), content_of_frames(listed.pictures)});
  for (const fs::path& picture : listed.pictures)
    inputs.sources.push_back({ExtractSource::photo, plain(picture), content_of(picture)});
}
}  // namespace

PictureFolders picture_folders(const std::string& text) {
  if (text == "auto") return PictureFolders::automatic;
  if (text == "frames") return PictureFolders::frames;
  if (text == "photos") return PictureFolders::photos;
  throw Error(ErrorKind::usage,
              fmt::format("pictures '{}' is not known: choose auto, frames or photos", text));
}

ExtractInputs list_inputs(const std::vector<fs::path>& inputs, PictureFolders folders, int every) {
  ExtractInputs listed;
  for (const fs::path& input : inputs) {
    if (fs::is_directory(input)) {
      add_folder(input, folders, every, listed);
    } else {
      if (!fs::is_regular_file(input)) open_source(input);  // throws
      listed.sources.push_back({is_image_file(input) ? ExtractSource::photo : ExtractSource::video,
                                plain(input), content_of(input)});
    }
  }
  return listed;
}

bool is_clip_in_frames(const std::vector<fs::path>& pictures) {
  if (pictures.size() < kLeastFrames || !numbered_in_steps(pictures)) return false;
  std::vector<double> differences;
  const std::size_t pairs = std::min<std::size_t>(kPairs, pictures.size() - 1);
  for (std::size_t k = 0; k < pairs; ++k) {
    const std::size_t at = k * (pictures.size() - 2) / std::max<std::size_t>(1, pairs - 1);
    try {
      differences.push_back(difference(pictures[at], pictures[at + 1]));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::input) throw;  // the extraction names damaged pictures
    }
  }
  return !differences.empty() && median(std::move(differences)) < kAlike;
}

std::string face_prefix(const fs::path& source) {
  const std::string stem = (fs::is_directory(source) ? source.filename() : source.stem()).string();
  std::string prefix;
  for (std::size_t at = 0; at < stem.size();) {
    const auto [code, bytes] = utf8_at(stem, at);
    const std::string next = bytes > 0 && keeps(code) ? stem.substr(at, bytes) : "_";
    if (prefix.size() + next.size() > kPrefixBytes) break;
    prefix += next;
    at += std::max<std::size_t>(1, bytes);
  }
  prefix.erase(0, prefix.find_first_not_of("-."));
  return prefix.empty() ? "clip" : prefix;
}
}  // namespace faceswap
