// identity_by_dlib MODEL INPUT OUTPUT
// Runs dlib's face recognition network on the pictures of INPUT, [150,150,3] RGB values of
// f32 in [0,1] each, and writes 128 numbers each to OUTPUT. Prints the median time of a
// picture in milliseconds. make_identity_golden.py builds and calls this with Debian's
// libdlib-dev; nothing else of the project needs dlib.
//
// The network's definition is a type, as dlib wants it; it follows the public example
// dnn_face_recognition_ex.cpp of dlib (public domain).
#include <dlib/dnn.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>

namespace {

using namespace dlib;

template <int N, int stride, class Below>
using block = affine<con<N, 3, 3, 1, 1, relu<affine<con<N, 3, 3, stride, stride, Below>>>>>;
template <int N, class Below> using same = relu<add_prev1<block<N, 1, tag1<Below>>>>;
template <int N, class Below>
using down = relu<add_prev2<avg_pool<2, 2, 2, 2, skip1<tag2<block<N, 2, tag1<Below>>>>>>>;

using stem = max_pool<3, 3, 2, 2, relu<affine<con<32, 7, 7, 2, 2, input_rgb_image_sized<150>>>>>;
using level4 = same<32, same<32, same<32, stem>>>;
using level3 = same<64, same<64, same<64, down<64, level4>>>>;
using level2 = same<128, same<128, down<128, level3>>>;
using level1 = same<256, same<256, down<256, level2>>>;
using network = loss_metric<fc_no_bias<128, avg_pool_everything<down<256, level1>>>>;

constexpr int kSide = 150;
constexpr float kMean[3] = {122.782f, 117.001f, 104.298f};  // of input_rgb_image_sized

int run(const char* model, const char* input, const char* output) {
  network net;
  deserialize(model) >> net;
  std::ifstream in(input, std::ios::binary);
  std::ofstream out(output, std::ios::binary);
  std::vector<float> picture(kSide * kSide * 3);
  const auto bytes = static_cast<std::streamsize>(picture.size() * sizeof(float));
  // A picture goes in as a tensor, as the input layer would make it from 8-bit pixels.
  resizable_tensor x(1, 3, kSide, kSide);
  std::vector<double> times;
  while (in.read(reinterpret_cast<char*>(picture.data()), bytes)) {
    for (int i = 0; i < kSide * kSide; ++i)
      for (int c = 0; c < 3; ++c)
        x.host()[c * kSide * kSide + i] = (255 * picture[3 * i + c] - kMean[c]) / 256;
    const auto begin = std::chrono::steady_clock::now();
    const tensor& numbers = net.subnet().forward(x);
    out.write(reinterpret_cast<const char*>(numbers.host()),
              static_cast<std::streamsize>(numbers.size() * sizeof(float)));
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    times.push_back(took.count());
  }
  std::sort(times.begin(), times.end());
  if (!times.empty()) std::cout << times[times.size() / 2] << '\n';
  return 0;
}
}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: identity_by_dlib MODEL INPUT OUTPUT\n";
    return 2;
  }
  try {
    return run(argv[1], argv[2], argv[3]);
  } catch (const std::exception& error) {
    std::cerr << "identity_by_dlib: " << error.what() << '\n';
    return 3;
  }
}
