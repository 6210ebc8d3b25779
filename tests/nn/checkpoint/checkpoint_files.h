// Folders and small checkpoints for the checkpoint tests.
#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "nn/checkpoint/checkpoint.h"

namespace nn_test {

namespace fs = std::filesystem;
using Bytes = std::vector<std::byte>;

struct Folder {  // a fresh one, removed at the end
  fs::path path;
  Folder() {
    std::string name = (fs::temp_directory_path() / "doppel_test_XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(path))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }
};

inline Bytes read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

inline void write_file(const fs::path& path, std::span<const std::byte> bytes) {
  // Some file systems wait for the disk when a file is truncated, not when it is new.
  fs::remove(path);
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

// A checkpoint with its step in the metadata and in every number.
inline void save_step(const fs::path& path, int step, std::size_t numbers) {
  const std::vector<float> values(numbers, static_cast<float>(step));
  const nn::TensorRecord record{"weights",
                                nn::DType::f32,
                                {static_cast<std::int64_t>(numbers)},
                                std::as_bytes(std::span(values)).data(),
                                numbers * 4};
  nn::save_safetensors(path, {{"step", std::to_string(step)}}, std::span(&record, 1));
}

// The step of a loaded checkpoint; -1 if its numbers and its metadata disagree.
inline int step_of(const nn::SafetensorsFile& file) {
  const int step = std::stoi(file.metadata().at("step"));
  const nn::TensorRecord* weights = file.find("weights");
  if (weights == nullptr) return -1;
  for (std::size_t i = 0; i < weights->bytes; i += 4) {
    float value;
    std::memcpy(&value, weights->data + i, 4);
    if (value != static_cast<float>(step)) return -1;
  }
  return step;
}

template <class F> std::string error_of(F&& f, nn::ErrorKind expected) {
  try {
    f();
  } catch (const nn::Error& error) {
    EXPECT_EQ(error.kind(), expected) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}
}  // namespace nn_test
