#include "faceswap/train/face_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "faceswap/faces/face_file.h"
#include "faceswap/faces/face_folder.h"
#include "faceswap/faces/view.h"
#include "faceswap/parallel.h"
#include "faceswap/progress.h"
#include "faceswap/train/loss_mask.h"
#include "kernels/core/memory.h"
#include "kernels/image/resample.h"
#include "nn/checkpoint/checkpoint.h"
#include "nn/checkpoint/crc32c.h"

namespace faceswap {
namespace {

// Weight of the loss outside the face: convert's soft edge must meet skin and hair.
constexpr float kBackgroundWeight = 0.1f;
constexpr double kFaceGrowth = 1.35;   // of the egg, for faces without a mask
constexpr double kDeviceShare = 0.25;  // of a GPU's free memory, for one person's faces

void store_picture(const Image& crop, int size, std::uint8_t* out /*[size,size,4]*/) {
  FloatImage small(size, size, 3);
  kernels::resize<kernels::Host, std::uint8_t>(kernels::Stream::of(kernels::Device::host),
                                               {crop.pixels.data(), crop.height, crop.width, 3},
                                               {small.pixels.data(), size, size, 3});
  for (int i = 0; i < size * size; ++i)
    for (int c = 0; c < 3; ++c)
      out[4 * i + c] =
          static_cast<std::uint8_t>(std::clamp(small.pixels[3 * i + c], 0.f, 1.f) * 255.f + 0.5f);
}

void store_weight(const FloatImage& mask, std::uint8_t* out /*[h,w,4]*/) {
  for (std::size_t i = 0; i < mask.pixels.size(); ++i)
    out[4 * i + 3] = static_cast<std::uint8_t>(
        (kBackgroundWeight + (1.f - kBackgroundWeight) * mask.pixels[i]) * 255.f + 0.5f);
}

// A model of two people at once draws neither well.
void warn_of_several_people(const FaceFolder& folder) {
  std::string groups;
  int count = 0;
  FolderPerson largest;
  for (const FolderPerson& person : folder.people()) {
    if (person.kept == 0) continue;
    groups +=
        fmt::format("{}{} ({} faces)", count++ == 0 ? "" : ", ", describe(person), person.kept);
    if (person.number >= 0 && person.kept > largest.kept) largest = person;
  }
  if (count > 1)
    fmt::print(stderr,
               "{0} holds several people: {1}. All are trained on as one; keep one with: doppel "
               "faces keep {0} --person {2} --only\n",
               folder.path().string(), groups, largest.number);
}
}  // namespace

int stored_size_for(int model_size) {
  return static_cast<int>(2 * model_size / kModelView.side / 16.f + 0.5f) * 16;
}
int stored_size_for(int model_size, const std::filesystem::path& folder) {
  return std::min(stored_size_for(model_size),
                  read_face_metadata(list_faces(folder).front()).crop_size);
}

std::size_t resident_bytes(std::size_t bytes, kernels::Device device, std::size_t available) {
  const bool too_large = device == kernels::Device::cuda &&
                         static_cast<double>(bytes) > kDeviceShare * static_cast<double>(available);
  return too_large ? 0 : bytes;
}

FaceSet::FaceSet(const std::filesystem::path& path, int stored_size, kernels::Device device,
                 bool quiet)
    : stored_size_(stored_size) {
  list_faces(path);  // throws where nothing is left to train on
  const FaceFolder folder(path);
  std::vector<const FolderFace*> faces;
  for (const FolderFace& face : folder.faces())
    if (!face.dropped) faces.push_back(&face);
  count_ = static_cast<int>(faces.size());
  if (!quiet) warn_of_several_people(folder);
  const std::size_t face_bytes = static_cast<std::size_t>(stored_size) * stored_size * 4;
  kernels::Buffer host(kernels::Device::host, face_bytes * faces.size());
  const auto stored = [&](int i) {
    return host.as<std::uint8_t>() + face_bytes * static_cast<std::size_t>(i);
  };
  std::vector<MaskedFace> masks(faces.size());

  Progress progress(fmt::format("reading {}", path.string()), count_, quiet);
  int done = 0;
  parallel_for(
      count_,
      [&](int i) {
        const auto at = static_cast<std::size_t>(i);
        const FaceFile file = read_decided(*faces[at]);
        store_picture(file.crop, stored_size, stored(i));
        masks[at] = masked_face(file);
      },
      [&] { progress.update(++done); });
  const FloatImage egg = egg_mask(stored_size, kFaceGrowth);
  const Image belongs = always_cut(masks);
  parallel_for(count_, [&](int i) {
    const MaskedFace& face = masks[static_cast<std::size_t>(i)];
    store_weight(face.mask.empty() ? egg : loss_mask(face, belongs, stored_size), stored(i));
  });
  const auto left_out = static_cast<int>(folder.faces().size()) - count_;
  progress.finish(left_out == 0 ? fmt::format("{} faces", count_)
                                : fmt::format("{} faces, {} left out: refused by extraction or "
                                              "dropped by decisions",
                                              count_, left_out));

  fingerprint_ = fmt::format("{} faces, crc32c {:08x}", count_,
                             nn::crc32c({host.as<std::byte>(), host.bytes()}));
  if (device == kernels::Device::host) {
    faces_ = std::move(host);
  } else if (resident_bytes(host.bytes(), device, kernels::available_memory(device)) == 0) {
    pinned_ = kernels::PinnedBuffer(host.bytes());
    std::memcpy(pinned_.data(), host.data(), host.bytes());
    if (!quiet)
      fmt::print(stderr,
                 "{}: {:.1f} GiB of faces stay in the computer's memory; the GPU reads them in "
                 "place\n",
                 path.string(), static_cast<double>(host.bytes()) / (1 << 30));
  } else {
    faces_ = kernels::Buffer(device, host.bytes());
    kernels::copy(faces_.data(), device, host.data(), kernels::Device::host, host.bytes());
  }
}
}  // namespace faceswap
