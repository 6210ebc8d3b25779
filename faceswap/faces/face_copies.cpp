#include "faceswap/faces/face_copies.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <system_error>

#include "faceswap/faces/face_file.h"
#include "faceswap/media/files.h"
#include "faceswap/parallel.h"
#include "faceswap/progress.h"

namespace faceswap {
namespace {

namespace fs = std::filesystem;

void copy_face(const FolderFace& from, const fs::path& to, int size, bool force) {
  const bool same_size = size == 0 || size == from.face.crop_size;
  if (same_size && !from.changed)
    return write_whole_file(to, read_whole_file(from.path, UINTMAX_MAX), force);
  if (!force && fs::exists(to)) throw Error(ErrorKind::usage, to.string() + ": exists already");
  FaceFile file = read_decided(from, size);
  file.face.refused.clear();
  write_face(to, file.crop, file.face, file.mask);
}
}  // namespace

void make_empty_folder(const fs::path& out, const fs::path& from, bool force) {
  std::error_code problem;
  if (fs::equivalent(from, out, problem))
    throw Error(ErrorKind::usage,
                fmt::format("{}: is both input and output; name another folder", out.string()));
  if (fs::exists(out, problem) && !fs::is_directory(out, problem))
    throw Error(ErrorKind::usage,
                fmt::format("{}: is a file, expected a folder; name another", out.string()));
  if (!force && fs::is_directory(out, problem) && !fs::is_empty(out, problem))
    throw Error(ErrorKind::usage,
                fmt::format("{}: the folder is not empty; name another, or add to it with --force",
                            out.string()));
  fs::create_directories(out, problem);
  if (problem)
    throw Error(ErrorKind::disk, fmt::format("{}: the folder cannot be made: {}; choose another",
                                             out.string(), problem.message()));
}

std::vector<fs::path> copy_faces(const FaceList& faces, const fs::path& out, int size,
                                 bool numbered, bool force, bool quiet) {
  make_empty_folder(out, faces.empty() ? fs::path() : faces[0]->path.parent_path(), force);
  std::vector<fs::path> files;
  for (std::size_t i = 0; i < faces.size(); ++i) {
    std::string name = faces[i]->name;
    std::ranges::replace(name, '/', '_');  // of `refused/`
    files.push_back(out / (numbered ? fmt::format("{:06}_{}", i + 1, name) : name));
  }
  Progress progress("writing " + out.string(), static_cast<std::int64_t>(faces.size()), quiet);
  int done = 0;
  parallel_for(
      static_cast<int>(faces.size()),
      [&](int i) {
        copy_face(*faces[static_cast<std::size_t>(i)], files[static_cast<std::size_t>(i)], size,
                  force);
      },
      [&] { progress.update(++done); });
  progress.finish();
  return files;
}

FolderCheck verify_folder(const fs::path& folder, bool quiet) {
  const std::vector<std::string> names = face_names(folder);
  if (names.empty()) refuse_empty_folder(folder);
  FolderCheck check;
  check.faces = static_cast<int>(names.size());
  std::vector<std::string> problems(names.size());
  std::vector<std::size_t> hashes(names.size());
  Progress progress("checking " + folder.string(), check.faces, quiet);
  int done = 0;
  parallel_for(
      check.faces,
      [&](int index) {
        const auto i = static_cast<std::size_t>(index);
        try {
          const Image crop = read_face(folder / names[i]).crop;
          hashes[i] = std::hash<std::string_view>()(
              {reinterpret_cast<const char*>(crop.pixels.data()), crop.pixels.size()});
        } catch (const Error& error) { problems[i] = error.what(); }
      },
      [&] { progress.update(++done); });
  progress.finish();

  std::map<std::size_t, std::vector<std::string>> by_pixels;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (problems[i].empty()) by_pixels[hashes[i]].push_back(names[i]);
    else check.damaged.push_back(problems[i]);
  for (auto& [hash, same] : by_pixels)
    if (same.size() > 1) check.duplicates.push_back(std::move(same));
  std::ranges::sort(check.duplicates);
  try {
    const std::set<std::string> present(names.begin(), names.end());
    for (const std::string& name : DecisionFile(folder).names())
      if (!present.contains(name)) check.missing.push_back(name);
  } catch (const Error& error) { check.damaged.emplace_back(error.what()); }
  return check;
}
}  // namespace faceswap
