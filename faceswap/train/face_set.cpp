#include "faceswap/train/face_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>

#include "faceswap/faces/view.h"
#include "faceswap/progress.h"
#include "kernels/core/memory.h"
#include "kernels/image/resample.h"
#include "nn/checkpoint/checkpoint.h"
#include "nn/checkpoint/crc32c.h"

namespace faceswap {
namespace {

// Weight of the loss outside the face: the mask's soft edge must meet skin and hair.
constexpr float kBackgroundWeight = 0.1f;
constexpr double kFaceGrowth = 1.35;
constexpr double kDeviceShare = 0.25;  // of a GPU's free memory, for one person's faces

void store_face(const FaceFile& file, const FloatImage& mask, int size,
                std::uint8_t* out /*[size,size,4]*/) {
  FloatImage small(size, size, 3);
  kernels::resize<kernels::Host, std::uint8_t>(
      kernels::Stream::of(kernels::Device::host),
      {file.crop.pixels.data(), file.crop.height, file.crop.width, 3},
      {small.pixels.data(), size, size, 3});
  for (int i = 0; i < size * size; ++i) {
    for (int c = 0; c < 3; ++c)
      out[4 * i + c] =
          static_cast<std::uint8_t>(std::clamp(small.pixels[3 * i + c], 0.f, 1.f) * 255.f + 0.5f);
    out[4 * i + 3] = static_cast<std::uint8_t>(
        (kBackgroundWeight + (1.f - kBackgroundWeight) * mask.pixels[i]) * 255.f + 0.5f);
  }
}
}  // namespace

int stored_size_for(int model_size) {
  return static_cast<int>(2 * model_size / kModelView.side / 16.f + 0.5f) * 16;
}
int stored_size_for(int model_size, const std::filesystem::path& folder) {
  return std::min(stored_size_for(model_size), read_face(list_faces(folder).front()).crop.width);
}

std::size_t resident_bytes(std::size_t bytes, kernels::Device device, std::size_t available) {
  const bool too_large = device == kernels::Device::cuda &&
                         static_cast<double>(bytes) > kDeviceShare * static_cast<double>(available);
  return too_large ? 0 : bytes;
}

FaceSet::FaceSet(const std::filesystem::path& folder, int stored_size, kernels::Device device,
                 bool quiet)
    : stored_size_(stored_size) {
  const std::vector<std::filesystem::path> files = list_faces(folder);
  count_ = static_cast<int>(files.size());
  const std::size_t face_bytes = static_cast<std::size_t>(stored_size) * stored_size * 4;
  kernels::Buffer host(kernels::Device::host, face_bytes * files.size());
  const FloatImage mask = egg_mask(stored_size, kFaceGrowth);

  Progress progress(fmt::format("reading {}", folder.string()), count_, quiet);
  std::atomic<int> next{0}, done{0};
  std::exception_ptr first_error;
  std::mutex mutex;
  const auto work = [&] {
    for (int i; (i = next.fetch_add(1)) < count_;) {
      try {
        store_face(read_face(files[i]), mask, stored_size,
                   host.as<std::uint8_t>() + face_bytes * i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!first_error) first_error = std::current_exception();
        next = count_;
      }
      const std::lock_guard lock(mutex);
      progress.update(++done);
    }
  };
  {
    std::vector<std::jthread> threads;
    const unsigned workers = std::max(1u, std::thread::hardware_concurrency());
    for (unsigned t = 1; t < workers; ++t) threads.emplace_back(work);
    work();
  }
  if (first_error) std::rethrow_exception(first_error);
  progress.finish();

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
                 folder.string(), static_cast<double>(host.bytes()) / (1 << 30));
  } else {
    faces_ = kernels::Buffer(device, host.bytes());
    kernels::copy(faces_.data(), device, host.data(), kernels::Device::host, host.bytes());
  }
}
}  // namespace faceswap
