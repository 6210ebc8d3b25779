#include "faceswap/faces/face_file.h"

#include <algorithm>
#include <system_error>

#include <fmt/format.h>

#include "faceswap/faces/face_json.h"
#include "faceswap/media/media.h"

namespace faceswap {
namespace {

constexpr const char* kKeyword = "doppel-face";
}

void write_face(const std::filesystem::path& path, const Image& crop, const Face& face) {
  if (crop.channels != 3 || crop.width != face.crop_size || crop.height != face.crop_size)
    throw Error(
        ErrorKind::failure,
        fmt::format("write_face: {}: the crop is {}x{}x{}, expected {}x{}x3", path.string(),
                    crop.width, crop.height, crop.channels, face.crop_size, face.crop_size));
  write_png(path, crop, {{kKeyword, to_json(face)}});
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
