// Layer lists: a small network written here against plain loops in double precision, the
// faults of a file, and, where they are installed, the face networks against golden
// results of another runtime.
#include "faceswap/faces/layer_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>

#include "faceswap/faces/network_files.h"
#include "tests/faceswap/faces/layer_list_file.h"
#include "tests/faceswap/kind_of.h"
#include "tests/faceswap/scratch.h"
#include "tests/golden/formula.h"

namespace {

using faceswap::LayerList;
using kernels::ErrorKind;
using nlohmann::json;

Weights weights(const std::string& name, std::vector<std::int64_t> shape) {
  std::int64_t n = 1;
  for (const std::int64_t extent : shape) n *= extent;
  return {std::move(shape), golden::uniform(name, n, 0.8)};
}

// Every operator once or more; value 5 has gone when value 10 is made, value 1 has not.
NetworkText small_network() {
  return {json::parse(R"({"input": [4, 6, 2], "layers": [
    {"op": "conv2d", "in": [0], "weight": "w1", "bias": "b1", "stride": 1, "relu": true},
    {"op": "depthwise_conv2d", "in": [1], "weight": "w2", "stride": 1},
    {"op": "conv2d", "in": [2], "weight": "w3", "bias": "b3", "stride": 1},
    {"op": "add", "in": [1, 3]},
    {"op": "prelu", "in": [4], "slope": "s5"},
    {"op": "max_pool2d", "in": [5], "kernel": 2, "stride": 2},
    {"op": "pad_channels", "in": [6], "channels": 5},
    {"op": "upsample", "in": [6]},
    {"op": "add", "in": [8, 5], "relu": true},
    {"op": "pad2d", "in": [9], "top": 1, "left": -2, "height": 7, "width": 5}],
    "outputs": [{"name": "joined", "parts": [7, 10]}, {"name": "first", "parts": [1]}]})"),
          {{"w1", weights("w1", {3, 3, 3, 2})},
           {"b1", weights("b1", {3})},
           {"w2", weights("w2", {3, 3, 3})},
           {"w3", weights("w3", {3, 1, 1, 3})},
           {"b3", weights("b3", {3})},
           {"s5", weights("s5", {3})}}};
}

// A picture [h,w,c] of doubles, 0 outside.
struct Grid {
  int h, w, c;
  std::vector<double> v = std::vector<double>(static_cast<std::size_t>(h) * w * c);
  double& at(int y, int x, int i) { return v[(static_cast<std::size_t>(y) * w + x) * c + i]; }
  double get(int y, int x, int i) const {
    return y < 0 || y >= h || x < 0 || x >= w ? 0
                                              : v[(static_cast<std::size_t>(y) * w + x) * c + i];
  }
};
Grid filled(int h, int w, int c, const std::function<double(int, int, int)>& f) {
  Grid grid{h, w, c};
  for (int y = 0; y < h; ++y)
    for (int x = 0; x < w; ++x)
      for (int i = 0; i < c; ++i) grid.at(y, x, i) = f(y, x, i);
  return grid;
}

// The small network by its definition.
std::vector<std::vector<double>> expected(const NetworkText& network,
                                          std::span<const float> picture) {
  const auto number = [&](const char* name, int i) {
    return static_cast<double>(network.tensors.at(name).values[i]);
  };
  const Grid input =
      filled(4, 6, 2, [&](int y, int x, int i) { return picture[(y * 6 + x) * 2 + i]; });
  const Grid v1 = filled(4, 6, 3, [&](int y, int x, int o) {
    double sum = number("b1", o);
    for (int ky = 0; ky < 3; ++ky)
      for (int kx = 0; kx < 3; ++kx)
        for (int i = 0; i < 2; ++i)
          sum +=
              number("w1", ((o * 3 + ky) * 3 + kx) * 2 + i) * input.get(y + ky - 1, x + kx - 1, i);
    return std::max(sum, 0.0);
  });
  const Grid v2 = filled(4, 6, 3, [&](int y, int x, int o) {
    double sum = 0;
    for (int ky = 0; ky < 3; ++ky)
      for (int kx = 0; kx < 3; ++kx)
        sum += number("w2", (ky * 3 + kx) * 3 + o) * v1.get(y + ky - 1, x + kx - 1, o);
    return sum;
  });
  const Grid v5 = filled(4, 6, 3, [&](int y, int x, int o) {
    double sum = number("b3", o) + v1.get(y, x, o);
    for (int i = 0; i < 3; ++i) sum += number("w3", o * 3 + i) * v2.get(y, x, i);
    return sum > 0 ? sum : number("s5", o) * sum;
  });
  const Grid v6 = filled(2, 3, 3, [&](int y, int x, int i) {
    return std::max({v5.get(2 * y, 2 * x, i), v5.get(2 * y, 2 * x + 1, i),
                     v5.get(2 * y + 1, 2 * x, i), v5.get(2 * y + 1, 2 * x + 1, i)});
  });
  const Grid v7 = filled(2, 3, 5, [&](int y, int x, int i) { return i < 3 ? v6.get(y, x, i) : 0; });
  const auto v8 = [&](int y, int x, int i) {  // bilinear, areas scaled, edge repeated
    double sum = 0;
    for (int sy = 0; sy < 2; ++sy)
      for (int sx = 0; sx < 2; ++sx) {
        const int far_y = y % 2 == 0 ? y / 2 - 1 : y / 2 + 1,
                  far_x = x % 2 == 0 ? x / 2 - 1 : x / 2 + 1;
        sum += (sy != 0 ? 0.25 : 0.75) * (sx != 0 ? 0.25 : 0.75) *
               v6.get(std::clamp(sy != 0 ? far_y : y / 2, 0, 1),
                      std::clamp(sx != 0 ? far_x : x / 2, 0, 2), i);
      }
    return sum;
  };
  const Grid v9 = filled(
      4, 6, 3, [&](int y, int x, int i) { return std::max(v8(y, x, i) + v5.get(y, x, i), 0.0); });
  const Grid v10 =  // a row of zeros above, two columns cut off, two rows and a column added
      filled(7, 5, 3, [&](int y, int x, int i) { return v9.get(y - 1, x + 2, i); });
  std::vector<double> joined = v7.v;
  joined.insert(joined.end(), v10.v.begin(), v10.v.end());
  return {joined, v1.v};
}

TEST(LayerList, EqualsPlainLoopsForEveryPicture) {
  const Scratch scratch;
  const NetworkText small = small_network();
  const LayerList list(write_network(scratch / "small.safetensors", small));
  EXPECT_EQ(list.input(), (nn::Shape{4, 6, 2}));
  ASSERT_EQ(list.outputs().size(), 2u);
  EXPECT_EQ(list.outputs()[0].name, "joined");
  EXPECT_EQ(list.outputs()[0].size, 2 * 3 * 5 + 7 * 5 * 3);
  const std::vector<float> pictures = golden::uniform("pictures", 2 * 4 * 6 * 2, 1);
  const std::vector<nn::Tensor> outputs = list(nn::Tensor::from<float>(pictures, {2, 4, 6, 2}));
  ASSERT_EQ(outputs.size(), 2u);
  for (int n = 0; n < 2; ++n) {
    const auto want = expected(small, std::span(pictures).subspan(n * 48, 48));
    for (std::size_t k = 0; k < 2; ++k) {
      const std::vector<float> got = outputs[k].rows(n, n + 1).to_host<float>();
      ASSERT_EQ(got.size(), want[k].size());
      for (std::size_t i = 0; i < got.size(); ++i)
        EXPECT_NEAR(got[i], want[k][i], 1e-5) << "picture " << n << ", output " << k << ", " << i;
    }
  }
}

TEST(LayerList, RunsWithoutDataOnTheMetaDevice) {
  const Scratch scratch;
  const LayerList list(write_network(scratch / "small.safetensors", small_network()),
                       nn::Device::meta);
  const auto outputs = list(nn::Tensor::empty({3, 4, 6, 2}, nn::DType::f32, nn::Device::meta));
  EXPECT_EQ(outputs[1].shape(), (nn::Shape{3, 4 * 6 * 3}));
}

TEST(LayerList, RefusesAnInputOfAnotherShape) {
  const Scratch scratch;
  const LayerList list(write_network(scratch / "small.safetensors", small_network()));
  std::string message;
  EXPECT_EQ(kind_of(
                [&] {
                  list(nn::Tensor::zeros({1, 6, 4, 2}, nn::DType::f32, nn::Device::host));
                },
                &message),
            ErrorKind::usage);
  EXPECT_EQ(message, "network: input [1,6,4,2] of f32, expected [N,4,6,2] of f32");
}

struct Fault {
  const char* name;
  std::function<void(NetworkText&)> make;
  const char* message;  // part of it
};
void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

class LayerListFaults : public testing::TestWithParam<Fault> {};

TEST_P(LayerListFaults, AreNamed) {
  const Scratch scratch;
  NetworkText network = small_network();
  GetParam().make(network);
  const auto path = write_network(scratch / "faulty.safetensors", network);
  std::string message;
  EXPECT_EQ(kind_of([&] { LayerList{path}; }, &message), ErrorKind::input);
  EXPECT_NE(message.find(GetParam().message), std::string::npos) << message;
  EXPECT_TRUE(message.starts_with("network " + path.string() + ": ")) << message;
  EXPECT_NE(message.find("install_deps.sh faces"), std::string::npos) << message;
}

json& layer(NetworkText& network, int number) { return network.layers["layers"][number - 1]; }

const Fault faults[] = {
    {"Format", [](NetworkText& n) { n.format = "doppel network 9"; },
     "format \"doppel network 1\""},
    {"MissingTensor", [](NetworkText& n) { n.tensors.erase("w2"); },
     "layer 2: tensor \"w2\" is missing"},
    {"WrongShape",
     [](NetworkText& n) {
       n.tensors["w3"] = weights("w3", {3, 1, 1, 4});
     },
     "layer 3: conv2d: weight [3,1,1,4] (OHWI) expects 4 input channels"},
    {"WrongSlopes", [](NetworkText& n) { n.tensors["s5"] = weights("s5", {4}); },
     "layer 5: prelu: slope [4]"},
    {"UnlikeOperands",
     [](NetworkText& n) {
       layer(n, 9)["in"] = {6, 5};
     },
     "layer 9: add: operands"},
    {"UnknownOperator", [](NetworkText& n) { layer(n, 4)["op"] = "softmax"; },
     "layer 4: operator \"softmax\" is not known"},
    {"FutureValue",
     [](NetworkText& n) {
       layer(n, 4)["in"] = {1, 4};
     },
     "layer 4: value 4 does not exist"},
    {"NegativeValue",
     [](NetworkText& n) {
       layer(n, 4)["in"] = {1, -1};
     },
     "layer 4: value -1"},
    {"TooManyInputs",
     [](NetworkText& n) {
       layer(n, 5)["in"] = {1, 2};
     },
     "layer 5: 2 inputs, expected 1"},
    {"NoStride", [](NetworkText& n) { layer(n, 1).erase("stride"); }, "layer 1: "},
    {"Stride0", [](NetworkText& n) { layer(n, 6)["stride"] = 0; }, "layer 6: \"stride\" is 0"},
    {"StrideAsText", [](NetworkText& n) { layer(n, 1)["stride"] = "1"; }, "layer 1: "},
    {"FewerChannels", [](NetworkText& n) { layer(n, 7)["channels"] = 2; }, "layer 7: pad_channels"},
    {"HugeChannels", [](NetworkText& n) { layer(n, 7)["channels"] = 1 << 30; },
     "layer 7: \"channels\""},
    {"HugeResult",
     [](NetworkText& n) {
       for (int i = 0; i < 20; ++i)
         n.layers["layers"].push_back({{"op", "upsample"}, {"in", {10 + i}}});
     },
     "is too large"},
    {"NoOutputs", [](NetworkText& n) { n.layers.erase("outputs"); }, "outputs"},
    {"OutputOfNothing", [](NetworkText& n) { n.layers["outputs"][0]["parts"] = json::array(); },
     "output \"joined\" has no parts"},
    {"OutputPart10", [](NetworkText& n) { n.layers["outputs"][1]["parts"] = {11}; }, "value 11"},
    {"PadToNothing", [](NetworkText& n) { layer(n, 10)["height"] = 0; }, "layer 10: \"height\""},
    {"PadFarAway", [](NetworkText& n) { layer(n, 10)["top"] = 5000; }, "layer 10: \"top\""},
    {"Input",
     [](NetworkText& n) {
       n.layers["input"] = {4, 6};
     },
     "\"input\""},
};
INSTANTIATE_TEST_SUITE_P(Each, LayerListFaults, testing::ValuesIn(faults),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(LayerList, RefusesFilesThatAreNoNetwork) {
  const Scratch scratch;
  const auto whole = write_network(scratch / "whole.safetensors", small_network()),
             cut = scratch / "cut.safetensors";
  std::filesystem::copy_file(whole, cut);
  std::filesystem::resize_file(cut, std::filesystem::file_size(whole) - 100);
  std::ofstream(scratch / "text.safetensors") << "no network at all, only text";
  for (const auto& path : {cut, scratch / "text.safetensors", scratch / "absent.safetensors"}) {
    std::string message;
    EXPECT_EQ(kind_of([&] { LayerList{path}; }, &message), ErrorKind::input);
    EXPECT_NE(message.find(path.filename().string()), std::string::npos) << message;
  }
  NetworkText network = small_network();
  network.layers = "no object";
  write_network(scratch / "text.safetensors", network);
  EXPECT_EQ(kind_of([&] { LayerList{scratch / "text.safetensors"}; }), ErrorKind::input);
}

// tests/golden/make_network_golden.py ran the networks as they are in their packages.
class FaceNetworks : public testing::TestWithParam<const char*> {};

TEST_P(FaceNetworks, EqualTheReferenceRuntime) {
  const std::string name = GetParam();
  const auto path = faceswap::find_network(name + ".safetensors");
  if (path.empty())
    GTEST_SKIP() << name << " is not in " << faceswap::network_folder()
                 << ": run tools/install_deps.sh faces";
  const LayerList list(path);
  const int size = static_cast<int>(list.input()[0]);
  const auto outputs =
      list(nn::Tensor::from<float>(golden::picture(name, 1, size), {1, size, size, 3}));
  const nn::SafetensorsFile file(
      std::filesystem::path(DOPPEL_SOURCE_DIR) / "tests/golden/networks.safetensors",
      /*require_checksum=*/false);
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    const std::string entry = name + "/" + list.outputs()[k].name;
    const nn::TensorRecord* record = file.find(entry);
    ASSERT_NE(record, nullptr) << entry;
    golden::Summary want;
    ASSERT_EQ(record->bytes, sizeof want);
    std::memcpy(&want, record->data, sizeof want);
    const std::vector<float> values = outputs[k].to_host<float>();
    const golden::Summary got = golden::summarize<float>(entry, values);
    const double rms = want.norm / std::sqrt(static_cast<double>(values.size()));
    for (int i = 0; i < golden::kSamples; ++i)
      EXPECT_NEAR(got.samples[i], want.samples[i], 1e-4 * std::max(rms, 1.0)) << entry;
    for (int i = 0; i < golden::kProjections; ++i)
      EXPECT_NEAR(got.projections[i], want.projections[i], 1e-4 * std::max(want.norm, 1.0))
          << entry;
  }
}
INSTANTIATE_TEST_SUITE_P(Each, FaceNetworks,
                         testing::Values("face_landmark", "iris_landmark", "face_detection_short",
                                         "face_detection_full"),
                         [](const auto& each) { return std::string(each.param); });
}  // namespace
