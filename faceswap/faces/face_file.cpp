#include "faceswap/faces/face_file.h"

#include <algorithm>
#include <system_error>

#include <fmt/format.h>
#include <openssl/evp.h>

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

FaceFile read_face(const std::filesystem::path& path) {
  PngFile png = read_png(path);
  const std::optional<std::string> text = find_text(png.texts, kKeyword);
  if (!text)
    throw Error(ErrorKind::input,
                fmt::format("{}: not a face picture: no \"{}\" chunk, which `doppel extract` "
                            "writes; move the file out of the folder",
                            path.string(), kKeyword));
  FaceFile file;
  file.path = path;
  try {
    file.face = face_from_json(*text);
    if (const std::optional<std::string> mask = find_text(png.texts, kMaskKeyword))
      file.mask = read_mask(*mask);
  } catch (const Error& e) {
    throw Error(e.kind(), fmt::format("{}: {}", path.string(), e.what()));
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

std::vector<std::filesystem::path> list_faces(const std::filesystem::path& folder) {
  std::error_code problem;
  if (!std::filesystem::is_directory(folder, problem))
    throw Error(ErrorKind::input,
                fmt::format("{}: no such folder of faces; make one with `doppel extract`",
                            folder.string()));
  std::vector<std::filesystem::path> faces;
  std::filesystem::directory_iterator entries(folder, problem);
  if (problem)
    throw Error(ErrorKind::input,
                fmt::format("{}: the folder cannot be listed: {}; check its permissions",
                            folder.string(), problem.message()));
  for (const auto& entry : entries) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file(problem) && entry.path().extension() == ".png" &&
        name != "sheet.png" && name.front() != '.')
      faces.push_back(entry.path());
  }
  if (faces.empty())
    throw Error(
        ErrorKind::nothing_found,
        fmt::format("{}: no face pictures (*.png) in this folder; run `doppel extract` first",
                    folder.string()));
  std::sort(faces.begin(), faces.end());
  return faces;
}
}  // namespace faceswap
