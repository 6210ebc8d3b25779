#include "faceswap/faces/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>
#include <optional>
#include <system_error>

#include "faceswap/faces/face_copies.h"
#include "faceswap/faces/face_file.h"
#include "faceswap/faces/face_pose.h"
#include "faceswap/faces/gray.h"
#include "faceswap/faces/literal.h"
#include "faceswap/faces/measures.h"
#include "faceswap/faces/mesh.h"
#include "faceswap/faces/network_files.h"
#include "faceswap/faces/pickle.h"
#include "faceswap/media/files.h"
#include "faceswap/media/images.h"
#include "faceswap/media/png.h"
#include "faceswap/progress.h"

namespace faceswap {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kMeshNetwork = "face_landmark.safetensors";
constexpr double kMostPixels = 1e6;  // pixels; a face's metadata takes 1e7
constexpr int kMaxFrameSide = 1 << 20;
constexpr std::size_t kPoints = 68;  // of iBUG's scheme: eyes are 36 to 41 and 42 to 47

struct Eyes {
  Point left, right;
};

// A face of another program.
struct ForeignFace {
  Image picture;
  std::string source;
  std::int64_t frame = 0;
  std::optional<Eyes> in_frame, in_picture;
};

[[noreturn]] void refuse(const std::string& why) { throw Error(ErrorKind::damaged, why); }

std::optional<Eyes> read_eyes(const json& landmarks) {
  if (!landmarks.is_array() || landmarks.size() != kPoints) return std::nullopt;
  const auto mean = [&](std::size_t begin) {
    Point sum;
    for (std::size_t i = begin; i < begin + 6; ++i) {
      const json& point = landmarks[i];
      if (!point.is_array() || point.size() != 2 || !point[0].is_number() || !point[1].is_number())
        refuse("its landmarks are no points");
      const double x = point[0].get<double>(), y = point[1].get<double>();
      if (!(std::abs(x) <= kMostPixels && std::abs(y) <= kMostPixels))
        refuse("a landmark lies outside every frame");
      sum.x += x / 6, sum.y += y / 6;
    }
    return sum;
  };
  const Eyes eyes{mean(36), mean(42)};
  if (distance(eyes.left, eyes.right) < 1) refuse("its eyes lie on one point");
  return eyes;
}

std::string read_name(const json& value) {
  if (!value.is_string()) return "";
  return fs::path(value.get<std::string>()).filename().string().substr(0, 1024);
}

// "clip_000123.png" -> 123: both programs name frames so.
std::int64_t frame_of(const std::string& source) {
  const std::string stem = fs::path(source).stem().string();
  const std::size_t begin = stem.find_last_not_of("0123456789") + 1;
  std::int64_t frame = 0;
  std::from_chars(stem.data() + begin, stem.data() + stem.size(), frame);
  return frame < (std::int64_t{1} << 40) ? frame : 0;
}

std::optional<ForeignFace> read_faceswap(const fs::path& path) {
  const std::optional<std::string> text = read_png_text(path, "faceswap");
  if (!text) return std::nullopt;
  const json record = parse_literal(*text);
  ForeignFace face;
  const json alignments = record.is_object() ? record.value("alignments", json()) : json();
  if (alignments.is_object()) face.in_frame = read_eyes(alignments.value("landmarks_xy", json()));
  if (!face.in_frame) refuse("it holds no 68 landmarks");
  const json source = record.value("source", json());
  if (source.is_object()) face.source = read_name(source.value("source_filename", json()));
  face.picture = read_image(path);
  return face;
}

// The content of the segment APP15, or nothing.
std::span<const std::byte> find_app15(std::span<const std::byte> jpeg) {
  const auto at = [&](std::size_t i) { return std::to_integer<unsigned>(jpeg[i]); };
  for (std::size_t i = 2; i + 4 <= jpeg.size() && at(i) == 0xff;) {
    const unsigned marker = at(i + 1);
    const std::size_t length = at(i + 2) << 8 | at(i + 3);
    if (marker == 0xda || length < 2 || i + 2 + length > jpeg.size()) break;  // the pixels
    if (marker == 0xef) return jpeg.subspan(i + 4, length - 2);
    i += 2 + length;
  }
  return {};
}

std::optional<ForeignFace> read_deepfacelab(const fs::path& path) {
  const std::vector<std::byte> bytes = read_whole_file(path, kMaxImageBytes);
  const std::span<const std::byte> segment = find_app15(bytes);
  if (segment.empty()) return std::nullopt;
  const json record = parse_pickle(segment);
  if (!record.is_object()) refuse("its segment APP15 holds no dictionary");
  ForeignFace face;
  face.in_picture = read_eyes(record.value("landmarks", json()));
  if (!face.in_picture) refuse("it holds no 68 landmarks");
  face.in_frame = read_eyes(record.value("source_landmarks", json()));
  face.source = read_name(record.value("source_filename", json()));
  face.picture = read_image(path);
  return face;
}

// A detector's square for the face. Faceswap's pictures hold a whole head.
Detection expected_square(const ForeignFace& face) {
  Detection square;
  const double side = face.picture.width;
  square.center = {0.5 * side, 0.5 * side};
  square.side = 0.45 * side;
  if (face.in_picture) {
    const auto [left, right] = *face.in_picture;
    const Similarity upright = similarity_from_eyes(left, right).inverse();
    square.center = upright({128, 128});
    square.side = 160 * upright.scale();
    square.eyes[0] = left, square.eyes[1] = right;
  }
  return square;
}

Eyes move(const Similarity& s, const Eyes& eyes) { return {s(eyes.left), s(eyes.right)}; }

// The mask too. The frame's edges are not known.
FaceMask measure(Face& face, const std::optional<Mesh>& mesh, const Image& crop) {
  face.sharpness = laplacian_variance(to_gray(crop));
  if (mesh) {
    const FacePose pose = pose_of(*mesh);
    face.measures.presence = mesh->presence;
    face.measures.yaw = pose.yaw, face.measures.pitch = pose.pitch;
    face.measures.roll = -face.to_canonical.angle() * 180 / std::numbers::pi;
  }
  FaceMask mask = face_mask(face, crop, kMaxFrameSide, kMaxFrameSide);
  measure_face(face, crop, mask);
  return mask;
}

// The crop and its metadata. mesh: null where it is not installed.
void write_foreign(const ForeignFace& from, const MeshFinder* mesh, int size, const fs::path& to) {
  Face face;
  std::optional<Eyes> in_picture = from.in_picture;
  const std::optional<Mesh> found =
      mesh ? mesh->find(from.picture, expected_square(from)) : std::nullopt;
  if (found) in_picture = Eyes{found->left_eye(), found->right_eye()};
  if (!in_picture)
    refuse(mesh ? "the mesh finds no face in it"
                : "its file does not say where in the picture the face is; the face mesh finds "
                  "it: run tools/install_deps.sh faces");
  // Without a place in the frame, the picture is the frame. The mesh moves the eyes a
  // little, in the frame as in the picture.
  Similarity to_frame;
  if (from.in_frame) {
    const Eyes known = from.in_picture ? *from.in_picture : *in_picture;
    to_frame = similarity_from_eyes(known.left, known.right)
                   .then(similarity_from_eyes(from.in_frame->left, from.in_frame->right).inverse());
  }
  const Similarity picture_to_canonical = similarity_from_eyes(in_picture->left, in_picture->right);
  const Eyes eyes = move(to_frame, *in_picture);
  face.eyes[0] = eyes.left, face.eyes[1] = eyes.right;
  face.to_canonical = similarity_from_eyes(eyes.left, eyes.right);
  const double scale = face.to_canonical.scale();
  if (!(scale >= 1e-3 && scale <= 1e3)) refuse("its eyes are too near to or far from each other");
  if (found)
    for (const Point& point : found->points) face.landmarks.push_back(to_frame(point));
  const Similarity to_box = face.to_canonical.inverse();
  face.box_side = 160 * to_box.scale();
  face.box_x = to_box({128, 128}).x - 0.5 * face.box_side;
  face.box_y = to_box({128, 128}).y - 0.5 * face.box_side;
  face.source = from.source;
  face.frame = from.frame;
  face.crop_size = size;
  const Image crop = crop_face(from.picture, picture_to_canonical, size);
  const FaceMask mask = measure(face, found, crop);
  write_face(to, crop, face, mask.picture);
}

std::vector<fs::path> picture_files(const fs::path& folder) {
  std::error_code problem;
  std::vector<fs::path> files;
  for (auto it = fs::directory_iterator(folder, problem);
       !problem && it != fs::directory_iterator(); it.increment(problem))
    if (is_image_file(it->path()) && it->path().filename().string().front() != '.')
      files.push_back(it->path());
  if (problem)
    throw Error(ErrorKind::input, fmt::format("{}: the folder cannot be listed: {}; name a folder "
                                              "of extracted faces",
                                              folder.string(), problem.message()));
  std::ranges::sort(files, natural_less, [](const fs::path& p) { return p.filename().string(); });
  return files;
}
}  // namespace

ImportReport import_faces(const fs::path& folder, const fs::path& out, int size, bool force,
                          bool quiet) {
  const std::vector<fs::path> files = picture_files(folder);
  make_empty_folder(out, folder, force);
  const fs::path network = find_network(kMeshNetwork);
  const std::optional<MeshFinder> mesh =
      network.empty() ? std::nullopt : std::optional<MeshFinder>(network);
  ImportReport report;
  Progress progress("importing " + folder.string(), static_cast<std::int64_t>(files.size()), quiet);
  for (std::size_t i = 0; i < files.size() && !stop_signal(); ++i) {
    const fs::path& file = files[i];
    try {
      const bool png = lower_suffix(file) == ".png";
      std::optional<ForeignFace> face = png ? read_faceswap(file) : read_deepfacelab(file);
      if (!face) refuse("it holds no metadata of Faceswap or DeepFaceLab");
      if (face->source.empty()) face->source = file.filename().string();
      face->frame = frame_of(face->source);
      const fs::path to = out / (file.stem().string() + ".png");
      if (!force && fs::exists(to)) refuse(to.string() + " exists already");
      write_foreign(*face, mesh ? &*mesh : nullptr, size, to);
      ++(png ? report.faceswap : report.deepfacelab);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::disk) throw;
      report.skipped.push_back(fmt::format("{}: {}", file.filename().string(), error.what()));
    }
    progress.update(static_cast<std::int64_t>(i) + 1);
  }
  report.faces = report.faceswap + report.deepfacelab;
  progress.finish(fmt::format("{} faces", report.faces));
  if (report.faces == 0)
    throw Error(
        ErrorKind::nothing_found,
        fmt::format("{}: no face of Faceswap or DeepFaceLab in {} pictures{}", folder.string(),
                    files.size(), report.skipped.empty() ? "" : "; " + report.skipped.front()));
  return report;
}
}  // namespace faceswap
