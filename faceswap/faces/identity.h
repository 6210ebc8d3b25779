// The identity of a face: 128 numbers by dlib's face recognition network
// (face_identity.safetensors). Two pictures of one person lie close to each other, those of
// two people far apart. docs/face-networks.md has the measured distances.
#pragma once
#include <filesystem>
#include <span>
#include <vector>

#include "faceswap/faces/layer_list.h"
#include "faceswap/faces/similarity.h"

namespace faceswap {

// From the picture to the network's 150 x 150 pixels: eyes, nose and upper lip lie where
// dlib's alignment puts them, on average. landmarks: the 468 of faces/mesh.h.
Similarity to_identity_chip(const std::vector<Point>& landmarks);

class IdentityNetwork {
 public:
  static constexpr int kNumbers = 128;
  // Throws Error(input) if the file is not this network.
  explicit IdentityNetwork(const std::filesystem::path& file, nn::Device device = nn::Device::host);

  // The mean of the face's numbers and its mirror image's: nearer to the person than either.
  // rgb has square pixels, the landmarks lie in it. On the host one thread computes;
  // several may call at once.
  std::vector<float> operator()(const Image& rgb, const std::vector<Point>& landmarks) const;

 private:
  LayerList network_;
};

// Euclidean, of identities of the same length.
double identity_distance(std::span<const float> a, std::span<const float> b);
}  // namespace faceswap
