#include "faceswap/faces/face_file.h"

#include <algorithm>
#include <system_error>
#include <unordered_map>

#include <fmt/format.h>
#include <openssl/evp.h>

#include "faceswap/faces/decisions.h"
#include "faceswap/faces/face_json.h"
#include "faceswap/faces/face_mask.h"
#include "faceswap/media/media.h"

namespace faceswap {
namespace {

constexpr const char* kKeyword = "doppel-face";
constexpr const char* kMaskKeyword = "doppel-mask";
constexpr std::size_t kMaxMask = 65536;  // bytes of its text
constexpr int kPngHeader = 29;           // bytes up to the end of size, depth and kind

std::string to_base64(const std::vector<std::byte>& bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

// Nothing unless `text` is what to_base64() makes of the bytes: the decoder alone would
// skip spaces.
std::vector<std::byte> from_base64(const std::string& text) {
  if (text.size() % 4 != 0 || text.empty()) return {};
  std::vector<std::byte> bytes(3 * (text.size() / 4));
  const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
  if (length != static_cast<int>(bytes.size())) return {};
  bytes.resize(bytes.size() - (text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0));
  if (to_base64(bytes) != text) return {};
  return bytes;
}

Image read_mask(const std::string& text) {
  const auto refuse = [](const std::string& why) {
    throw Error(ErrorKind::damaged, fmt::format("face mask: {}; extract the faces again", why));
  };
  if (text.size() > kMaxMask)
    refuse(fmt::format("{} bytes, expected at most {}", text.size(), kMaxMask));
  const std::vector<std::byte> bytes = from_base64(text);
  if (bytes.empty()) refuse("it is not base64");
  // The header says the size, and so how much memory the pixels take.
  const std::vector<std::byte> blank = encode_png(Image(kMaskSize, kMaskSize, 1));
  if (bytes.size() < kPngHeader ||
      !std::equal(blank.begin(), blank.begin() + kPngHeader, bytes.begin()))
    refuse(fmt::format("expected a PNG of {0}x{0} grey pixels of 8 bits", kMaskSize));
  Image rgb;
  const std::string problem = decode_png(bytes, &rgb, nullptr);
  if (!problem.empty()) refuse("damaged PNG: " + problem);
  Image mask(kMaskSize, kMaskSize, 1);
  for (std::size_t i = 0; i < mask.pixels.size(); ++i) mask.pixels[i] = rgb.pixels[3 * i];
  return mask;
}

Face parse(const std::filesystem::path& path, const std::optional<std::string>& text) {
  if (!text)
    throw Error(ErrorKind::input,
                fmt::format("{}: not a face picture: no \"{}\" chunk, which `doppel extract` "
                            "writes; move the file out of the folder",
                            path.string(), kKeyword));
  try {
    return face_from_json(*text);
  } catch (const Error& e) {
    throw Error(e.kind(), fmt::format("{}: {}", path.string(), e.what()));
  }
}

// sheet.png, sheet-2.png, ...: faces/sheet.h
bool is_sheet(const std::string& name) {
  if (name == "sheet.png") return true;
  return name.starts_with("sheet-") && name.ends_with(".png") && name.size() > 10 &&
         std::all_of(name.begin() + 6, name.end() - 4, [](char c) { return c >= '0' && c <= '9'; });
}

void append_names(const std::filesystem::path& folder, const std::string& prefix,
                  std::vector<std::string>& names) {
  std::error_code problem;
  std::filesystem::directory_iterator entries(folder, problem);
  if (problem)
    throw Error(ErrorKind::input,
                fmt::format("{}: the folder cannot be listed: {}; check its permissions",
                            folder.string(), problem.message()));
  for (const auto& entry : entries) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() == ".png" && !is_sheet(name) && name.front() != '.' &&
        entry.is_regular_file(problem))
      names.push_back(prefix + name);
  }
}
}  // namespace

void write_face(const std::filesystem::path& path, const Image& crop, const Face& face,
                const Image& mask) {
  if (crop.channels != 3 || crop.width != face.crop_size || crop.height != face.crop_size)
    throw Error(
        ErrorKind::failure,
        fmt::format("write_face: {}: the crop is {}x{}x{}, expected {}x{}x3", path.string(),
                    crop.width, crop.height, crop.channels, face.crop_size, face.crop_size));
  if (!mask.empty() && (mask.width != kMaskSize || mask.height != kMaskSize || mask.channels != 1))
    throw Error(
        ErrorKind::failure,
        fmt::format("write_face: {}: the mask is {}x{}x{}, expected {}x{}x1 or none", path.string(),
                    mask.width, mask.height, mask.channels, kMaskSize, kMaskSize));
  std::vector<PngText> texts = {{kKeyword, to_json(face)}};
  if (!mask.empty()) texts.push_back({kMaskKeyword, to_base64(encode_png(mask))});
  write_png(path, crop, texts);
}

void rewrite_face(const std::filesystem::path& path, const Face& face) {
  replace_png_text(path, {kKeyword, to_json(face)});
}

FaceFile read_face(const std::filesystem::path& path) {
  PngFile png = read_png(path);
  FaceFile file;
  file.path = path;
  file.face = parse(path, find_text(png.texts, kKeyword));
  if (const std::optional<std::string> mask = find_text(png.texts, kMaskKeyword)) {
    try {
      file.mask = read_mask(*mask);
    } catch (const Error& e) {
      throw Error(e.kind(), fmt::format("{}: {}", path.string(), e.what()));
    }
  }
  file.crop = std::move(png.rgb);
  if (file.crop.width != file.face.crop_size || file.crop.height != file.face.crop_size)
    throw Error(
        ErrorKind::damaged,
        fmt::format("{}: the picture is {}x{}, its metadata says {}x{}; extract the faces again",
                    path.string(), file.crop.width, file.crop.height, file.face.crop_size,
                    file.face.crop_size));
  return file;
}

Face read_face_metadata(const std::filesystem::path& path) {
  return parse(path, read_png_text(path, kKeyword));
}

std::vector<std::string> face_names(const std::filesystem::path& folder) {
  std::error_code problem;
  if (!std::filesystem::is_directory(folder, problem))
    throw Error(ErrorKind::input,
                fmt::format("{}: no such folder of faces; make one with `doppel extract`",
                            folder.string()));
  std::vector<std::string> names;
  append_names(folder, "", names);
  const std::size_t own = names.size();
  if (std::filesystem::is_directory(folder / kRefusedFolder, problem))
    append_names(folder / kRefusedFolder, std::string(kRefusedFolder) + "/", names);
  std::sort(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(own));
  std::sort(names.begin() + static_cast<std::ptrdiff_t>(own), names.end());
  return names;
}

void refuse_empty_folder(const std::filesystem::path& folder) {
  throw Error(ErrorKind::nothing_found,
              fmt::format("{}: no face pictures (*.png) in this folder; run `doppel extract` first",
                          folder.string()));
}

std::vector<std::filesystem::path> list_faces(const std::filesystem::path& folder) {
  const std::vector<std::string> names = face_names(folder);
  if (names.empty()) refuse_empty_folder(folder);
  std::unordered_map<std::string, bool> kept;
  for (const std::string& name : names) kept[name] = !lies_in_refused(name);
  const DecisionFile decisions(folder);
  for (const DecisionStep& step : decisions.steps())
    for (const Decision& decision : step)
      if (decision.kind == Decision::drop || decision.kind == Decision::keep)
        for (const std::string& name : decision.faces)
          if (const auto found = kept.find(name); found != kept.end())
            found->second = decision.kind == Decision::keep;
  std::vector<std::filesystem::path> faces;
  for (const std::string& name : names)
    if (kept[name]) faces.push_back(folder / name);
  if (faces.empty())
    throw Error(ErrorKind::nothing_found,
                fmt::format("{0}: all {1} faces are refused or dropped; see them with "
                            "`doppel faces list {0}` and take some back with `doppel faces "
                            "keep` or `undo`",
                            folder.string(), names.size()));
  return faces;
}
}  // namespace faceswap
