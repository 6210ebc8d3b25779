// Options and clips for the tests of extraction.
#pragma once
#include <filesystem>
#include <utility>
#include <vector>

#include "faceswap/faces/extract.h"
#include "faceswap/synthetic/clip.h"

inline faceswap::ExtractOptions extraction(std::vector<std::filesystem::path> inputs,
                                           const std::filesystem::path& out, int size) {
  faceswap::ExtractOptions o;
  o.inputs = std::move(inputs);
  o.out = out;
  o.size = size;
  o.least_difference = 0;  // the heads hardly move
  o.quiet = true;
  o.detection.threads = 1;
  return o;
}

inline void render(const std::filesystem::path& path, char person, int frames) {
  faceswap::ClipOptions o;
  o.person = person;
  o.frames = frames;
  o.sound = false;
  o.quiet = true;
  std::filesystem::create_directories(path.parent_path());
  std::filesystem::remove(path);
  faceswap::render_clip(o, path);
}
