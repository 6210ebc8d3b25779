#include "faceswap/convert/converter.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <optional>

#include "faceswap/convert/choose_people.h"
#include "faceswap/faces/tracker.h"
#include "faceswap/media/read_ahead.h"
#include "faceswap/progress.h"
#include "faceswap/provenance.h"
#include "kernels/image/resample.h"

namespace faceswap {

namespace {

constexpr int kFramesAhead = 8;

using FacesByFrame = std::map<std::int64_t, std::vector<Face>>;

double area(const Face& face) {
  return 1.0 / (face.to_canonical.scale() * face.to_canonical.scale());
}

[[noreturn]] void refuse_track(const ConvertOptions& options, int wanted,
                               const std::map<int, std::pair<double, std::int64_t>>& tracks) {
  std::string there;
  for (const auto& [number, track] : tracks)
    there += fmt::format("{}{} ({} faces from {:.1f} s on)", there.empty() ? "" : ", ", number,
                         track.second, track.first);
  throw Error(ErrorKind::nothing_found,
              fmt::format("{}: there is no track {}; --tracks can name {}", options.input.string(),
                          wanted, there.empty() ? "none: no face was found" : there));
}

// The first pass's result: faces, in frames of square pixels.
struct Found {
  FacesByFrame faces;
  std::int64_t frames = 0;
  int width = 0, height = 0;  // of these frames
};

// First pass: every frame through the tracker.
Found find_faces(const ConvertOptions& options, const std::optional<ReferencePeople>& references) {
  const std::unique_ptr<FrameSource> source =
      read_ahead(open_source(options.input, {.square_pixels = true}), kFramesAhead);
  const std::unique_ptr<FaceTracker> tracker = make_tracker(options.detection, source->info());
  Progress progress("finding faces", source->info().frames, options.quiet);
  std::map<int, std::pair<double, std::int64_t>> tracks;  // -> first second, faces
  Found result;
  result.width = source->info().width, result.height = source->info().height;
  FacesByFrame& found = result.faces;
  std::int64_t& frames = result.frames;
  const auto collect = [&] {
    for (Face& face : tracker->take_finished()) {
      if (!face.refused.empty()) continue;
      ++tracks.try_emplace(face.track, face.seconds, 0).first->second.second;
      if (options.tracks.empty() || std::find(options.tracks.begin(), options.tracks.end(),
                                              face.track) != options.tracks.end())
        found[face.frame].push_back(std::move(face));
    }
  };
  for (Frame frame; source->next(frame); ++frames) {
    tracker->push(frame);
    collect();
    progress.update(frames + 1);
    if (stop_signal() != 0) return result;
  }
  tracker->finish();
  collect();
  for (const int wanted : options.tracks)
    if (!tracks.contains(wanted)) refuse_track(options, wanted, tracks);
  if (references) choose_people(options, *references, found);
  if (options.faces == FaceChoice::largest)
    for (auto& [index, faces] : found) {
      std::swap(faces.front(),
                *std::max_element(faces.begin(), faces.end(),
                                  [](const Face& x, const Face& y) { return area(x) < area(y); }));
      faces.resize(1);
    }
  progress.finish(fmt::format("{} of {} frames have a face", found.size(), frames));
  return result;
}

// A frame waiting for its decoded faces.
struct Pending {
  Frame frame;
  std::vector<Face> faces;
};

Box unite(const Box& a, const Box& b) {
  if (a.width == 0) return b;
  if (b.width == 0) return a;
  const int x = std::min(a.x, b.x), y = std::min(a.y, b.y);
  return {x, y, std::max(a.x + a.width, b.x + b.width) - x,
          std::max(a.y + a.height, b.y + b.height) - y};
}

void swap_and_write(const ConvertOptions& options, const Model& model, const PixelScale& pixels,
                    std::vector<Pending>& pending, FrameSink& sink, ConvertReport& report) {
  std::vector<FloatImage> views;
  for (const Pending& p : pending)
    for (const Face& face : p.faces)
      views.push_back(take_view(p.frame.rgb, face.to_canonical, kModelView, model.size(), pixels));
  const std::vector<FloatImage> decoded =
      swap_views(model, views, options.swap ? Side::a : Side::b);
  std::size_t next = 0;
  for (Pending& p : pending) {
    Box changed;
    for (const Face& face : p.faces) {
      changed = unite(changed, compose(p.frame.rgb, face.to_canonical, kModelView, decoded[next],
                                       views[next], options.compose, pixels));
      ++next;
    }
    sink.write(p.frame, changed);
    ++report.frames;
    report.frames_changed += changed.width > 0;
    report.faces += static_cast<std::int64_t>(p.faces.size());
  }
  pending.clear();
}
}  // namespace

FaceChoice face_choice(const std::string& text) {
  if (text == "largest") return FaceChoice::largest;
  if (text == "all") return FaceChoice::all;
  throw Error(ErrorKind::usage,
              fmt::format("faces '{}' is not known: choose largest or all", text));
}

FloatImage take_view(const Image& frame, const Similarity& to_canonical, const View& view, int size,
                     const PixelScale& pixels) {
  const Similarity view_to_square = view_to_canonical(view, size).then(to_canonical.inverse());
  FloatImage out(size, size, 3);
  const int supersample = std::clamp(static_cast<int>(view_to_square.scale() + 0.5), 1, 8);
  kernels::affine_warp<kernels::Host, std::uint8_t>(
      kernels::Stream::of(kernels::Device::host),
      {frame.pixels.data(), frame.height, frame.width, 3}, {out.pixels.data(), size, size, 3},
      pixels.to_oblong(view_to_square), supersample);
  return out;
}

std::int64_t padded_batch(std::int64_t count, nn::Device device) {
  if (device != nn::Device::cuda) return count;
  return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(count)));
}

std::vector<FloatImage> swap_views(const Model& model, const std::vector<FloatImage>& views,
                                   Side to) {
  if (views.empty()) return {};
  const nn::NoGrad no_grad;
  const nn::Device device = model.arena().device();
  const std::int64_t n = static_cast<std::int64_t>(views.size()), size = model.size();
  const nn::Tensor host =
      nn::Tensor::zeros({padded_batch(n, device), size, size, 3}, nn::DType::f32, nn::Device::host);
  for (std::int64_t i = 0; i < n; ++i)
    std::copy(views[i].pixels.begin(), views[i].pixels.end(),
              host.data<float>() + i * size * size * 3);
  const nn::Tensor input = host.to(device).to(model.arena().working().dtype());
  const nn::Tensor output =
      model.decode(to, model.encode(input)).to(nn::DType::f32).to(nn::Device::host);
  std::vector<FloatImage> decoded;
  for (std::int64_t i = 0; i < n; ++i) {
    FloatImage& image = decoded.emplace_back(static_cast<int>(size), static_cast<int>(size), 3);
    std::copy_n(output.data<float>() + i * size * size * 3, size * size * 3, image.pixels.begin());
  }
  return decoded;
}

ConvertReport convert(const ConvertOptions& options) {
  const nn::Device device = kernels::choose_device(options.device);
  const LoadedModel loaded =
      load_model(options.model_dir / kModelFile, device, choose_dtype(options.precision, device),
                 /*with_optimizer=*/false);

  ConvertReport report;
  std::unique_ptr<FrameSource> source = open_source(options.input);
  SinkOptions sink_options = options.sink;
  sink_options.comment =
      fmt::format("AI-generated: face swapped by doppel {} (compositeWithTrainedAlgorithmicMedia)",
                  DOPPEL_VERSION);
  // Opened before the long first pass, so an unwritable output or a bad picture fails at once.
  const std::unique_ptr<FrameSink> sink = open_sink(options.out, source->info(), sink_options);
  std::optional<ReferencePeople> references;
  if (!options.people.empty() || !options.not_people.empty())
    references = open_references({options.people, options.not_people}, options.detection);

  const Found first = find_faces(options, references);
  const FacesByFrame& found = first.faces;
  const PixelScale pixels{static_cast<double>(source->info().width) / first.width,
                          static_cast<double>(source->info().height) / first.height};
  if (stop_signal() != 0) return report;
  if (found.empty())
    throw Error(ErrorKind::nothing_found,
                fmt::format("{}: no face found in {} frames; {}", options.input.string(),
                            first.frames, detection_limits(options.detection)));

  Progress progress("converting", first.frames, options.quiet);
  std::vector<Pending> pending;
  int waiting = 0;
  for (Frame frame; source->next(frame);) {
    const auto faces = found.find(frame.index);
    pending.push_back(
        {std::move(frame), faces == found.end() ? std::vector<Face>{} : faces->second});
    waiting += static_cast<int>(pending.back().faces.size());
    if (waiting >= options.batch || static_cast<int>(pending.size()) >= 2 * options.batch) {
      swap_and_write(options, *loaded.model, pixels, pending, *sink, report);
      waiting = 0;
    }
    progress.update(report.frames);
    if (stop_signal() != 0) return report;  // the unfinished output is removed
    frame = Frame{};
  }
  swap_and_write(options, *loaded.model, pixels, pending, *sink, report);
  sink->finish();
  report.damaged_frames = source->info().damaged_frames;
  if (std::string note = sink->notes(); !note.empty()) report.notes.push_back(std::move(note));
  if (source->info().resized_frames > 0)
    report.notes.push_back(
        fmt::format("{} frames had another size than the first and were scaled to it",
                    source->info().resized_frames));
  if (source->info().repaired_times > 0)
    report.notes.push_back(
        fmt::format("{} time stamps did not rise and were moved", source->info().repaired_times));
  progress.finish(fmt::format("{} faces in {} of {} frames", report.faces, report.frames_changed,
                              report.frames));

  const std::string suffix = options.out.extension().string();
  if (suffix == ".mp4" || suffix == ".mov" || suffix == ".m4v")
    append_xmp_box(options.out, xmp_packet(fmt::format("doppel {}", DOPPEL_VERSION)));
  if (options.manifest)
    write_manifest(options.out, options.command, {{"input", options.input}, {"model", loaded.used}},
                   {{"direction", options.swap ? "B to A" : "A to B"},
                    {"model", loaded.model->name()},
                    {"model_step", fmt::format("{}", loaded.state.step)},
                    {"frames", fmt::format("{}", report.frames)},
                    {"frames_changed", fmt::format("{}", report.frames_changed)},
                    {"faces", fmt::format("{}", report.faces)}});
  return report;
}
}  // namespace faceswap
