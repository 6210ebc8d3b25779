// A folder of its own for each test, removed afterwards; and faces that need no
// detector.
#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "faceswap/faces/face_file.h"
#include "faceswap/synthetic/head.h"

struct Scratch {
  std::filesystem::path path;
  Scratch() {
    const ::testing::TestInfo* info = ::testing::UnitTest::GetInstance()->current_test_info();
    path = std::filesystem::temp_directory_path() /
           ("doppel_" + std::string(info->test_suite_name()) + "_" + info->name() + "_" +
            std::to_string(::getpid()));
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::filesystem::path operator/(const std::string& name) const { return path / name; }
};

// Aligned crops of a synthetic person by the renderer's own landmarks.
inline void make_faces(const std::filesystem::path& folder, char person, std::uint32_t pose_seed,
                       int count, int size = 128) {
  std::filesystem::create_directories(folder);
  for (int i = 0; i < count; ++i) {
    const faceswap::HeadPicture picture =
        draw_head(faceswap::head_identity(person), faceswap::talking_pose(0.4 * i, pose_seed), 160,
                  120, 0, 1);
    faceswap::Face face;
    face.source = std::string(1, person) + ".mp4";
    face.frame = i;
    face.eyes[0] = picture.landmarks[0];
    face.eyes[1] = picture.landmarks[1];
    face.to_canonical = faceswap::similarity_from_eyes(face.eyes[0], face.eyes[1]);
    face.crop_size = size;
    face.confidence = 100;
    faceswap::write_face(
        folder / (std::string(1, person) + "_" + std::to_string(1000 + i) + ".png"),
        crop_face(picture.rgb, face.to_canonical, size), face);
  }
}
