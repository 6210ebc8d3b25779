#include "faceswap/sort_faces.h"

#include <fmt/format.h>

#include <algorithm>

#include "faceswap/faces/face_file.h"
#include "faceswap/faces/face_query.h"
#include "faceswap/train/reconstruction.h"

namespace faceswap {
namespace {

void check(const SortOptions& options) {
  if (options.key == FaceKey::loss && (options.model.empty() || options.left_out))
    throw Error(ErrorKind::usage,
                "the order by loss needs a trained model (--model), and takes the faces to train "
                "on alone");
  if (options.key != FaceKey::similarity && !options.like.empty())
    throw Error(ErrorKind::usage, "a face to start from (--like) is for the order by similarity");
}

std::size_t place_of(const FaceFolder& folder, const std::string& file, const FaceList& faces) {
  FaceQuery wanted;
  wanted.files = {file};
  const auto found = std::ranges::find(faces, find_faces(folder, wanted).front());
  if (found == faces.end())
    throw Error(ErrorKind::usage,
                fmt::format("{}: is left out, so it is not sorted; use --all", file));
  return static_cast<std::size_t>(found - faces.begin());
}
}  // namespace

SortedFaces sort_faces(const FaceFolder& folder, const SortOptions& options) {
  check(options);
  FaceList faces;
  for (const FolderFace& face : folder.faces())
    if (options.left_out || !face.dropped) faces.push_back(&face);
  if (faces.empty()) list_faces(folder.path());  // throws
  std::vector<double> values(faces.size());
  std::vector<std::size_t> order;
  SortedFaces result;
  if (options.key == FaceKey::similarity) {
    const FaceLooks looks(faces);
    if (options.like.empty()) {
      std::vector<double> steps;
      looks.chain(order, steps);
      for (std::size_t i = 0; i < order.size(); ++i) values[order[i]] = steps[i];
      result.by_value = false;
    } else {
      values = looks.distances_to(place_of(folder, options.like, faces));
    }
  } else if (options.key == FaceKey::time) {
    order = order_by_time(faces);
    std::ranges::transform(faces, values.begin(), [](auto* face) { return face->face.seconds; });
    result.by_value = false;
  } else {
    values = options.key == FaceKey::loss
                 ? reconstruction_errors(options.model, options.side, folder.path(), options.quiet)
                 : face_values(faces, options.key);
  }
  if (result.by_value) order = order_by(values);
  if (options.reverse) std::ranges::reverse(order);
  for (const std::size_t i : order) {
    result.faces.push_back(faces[i]);
    result.values.push_back(values[i]);
  }
  return result;
}

std::vector<SheetGroup> sheet_groups(const SortedFaces& sorted, int count) {
  std::vector<SheetGroup> groups;
  const std::size_t n = sorted.faces.size();
  const auto parts = std::min(static_cast<std::size_t>(count), n);
  for (std::size_t g = 0; g < parts; ++g) {
    const std::size_t begin = g * n / parts, end = (g + 1) * n / parts;
    SheetGroup group;
    group.new_row = true;
    group.label = {fmt::format("{} of {}", g + 1, parts)};
    if (sorted.by_value) {
      group.label.push_back(fmt::format("{:.3g}", sorted.values[begin]));
      group.label.push_back(fmt::format("to {:.3g}", sorted.values[end - 1]));
    }
    group.label.push_back(fmt::format("x{}", end - begin));
    group.faces.assign(sorted.faces.begin() + static_cast<std::ptrdiff_t>(begin),
                       sorted.faces.begin() + static_cast<std::ptrdiff_t>(end));
    groups.push_back(std::move(group));
  }
  return groups;
}
}  // namespace faceswap
