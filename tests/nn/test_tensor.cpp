// Shapes, storage sharing, conversions, and the errors of wrong use.
#include <gtest/gtest.h>

#include <cstring>

#include "nn/tensor.h"

namespace nn_test {
namespace {

using namespace nn;

template <class F> std::string message_of(F&& f, ErrorKind expected = ErrorKind::usage) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), expected) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

Tensor floats(std::vector<float> values, Shape shape) { return Tensor::from<float>(values, shape); }

TEST(Shape, ExtentsCountFromBothEnds) {
  const Shape s{8, 64, 32, 3};
  EXPECT_EQ(s.rank(), 4);
  EXPECT_EQ(s[0], 8);
  EXPECT_EQ(s[-1], 3);
  EXPECT_EQ(s[-4], 8);
  EXPECT_EQ(s.numel(), 8 * 64 * 32 * 3);
  EXPECT_EQ(s.rows(), 8 * 64 * 32);
  EXPECT_EQ(s.str(), "[8,64,32,3]");
  EXPECT_EQ(Shape{}.numel(), 1);
  EXPECT_EQ(Shape{}.str(), "[]");
  EXPECT_EQ((Shape{3, 0}).numel(), 0);
  EXPECT_NE((Shape{3, 1}), Shape{3});
  EXPECT_EQ(message_of([&] { s[4]; }), "shape: [8,64,32,3] has no extent 4");
  message_of([&] { s[-5]; });
}

TEST(Shape, RefusesWhatItCannotHold) {
  message_of([] { Shape{1, 2, 3, 4, 5}; });
  message_of([] { Shape{2, -1}; });
  message_of([] { Shape{1LL << 32, 1LL << 32}; });
}

TEST(Tensor, RoundTripsEveryDtype) {
  const auto check = [](auto values) {
    using T = typename decltype(values)::value_type;
    const Tensor t = Tensor::from<T>(values, {3, 2});
    EXPECT_EQ(t.dtype(), dtype_of<T>());
    const std::vector<T> back = t.to_host<T>();
    ASSERT_EQ(back.size(), values.size());
    EXPECT_EQ(std::memcmp(back.data(), values.data(), values.size() * sizeof(T)), 0);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(t.raw()) % 64, 0u);
  };
  check(std::vector<float>{1, 2, 3, 4, 5, 6});
  check(std::vector<double>{1, 2, 3, 4, 5, 6});
  check(std::vector<std::int32_t>{1, 2, 3, 4, 5, -6});
  check(std::vector<std::uint8_t>{1, 2, 3, 4, 5, 255});
  check(std::vector<kernels::bf16>(6, kernels::bf16(1.5f)));
}

TEST(Tensor, ConvertsBetweenFloatingDtypes) {
  const Tensor x = floats({1.f, -2.5f, 1.00390625f, 3e38f}, {4});
  EXPECT_EQ(x.to(DType::f64).to_host<double>(), (std::vector<double>{1, -2.5, 1.00390625, 3e38f}));
  const auto narrow = x.to(DType::bf16).to(DType::f32).to_host<float>();
  EXPECT_EQ(narrow[1], -2.5f);
  EXPECT_EQ(narrow[2], 1.f);  // halfway between 1 and 1.0078125: to even
  EXPECT_EQ(x.to(DType::f32).raw(), x.raw());
  EXPECT_EQ(message_of([&] { Tensor::zeros({1}, DType::u8, Device::host).to(DType::f32); }),
            "tensor: there is no kernel for u8 on host");
}

TEST(Tensor, ZerosAreZeroAndItemReadsOne) {
  for (const float v : Tensor::zeros({5, 7}, DType::f32, Device::host).to_host<float>())
    EXPECT_EQ(v, 0.f);
  EXPECT_EQ(floats({4.25f}, {1}).item(), 4.25);
  EXPECT_EQ(floats({4.25f}, {1}).to(DType::bf16).item(), 4.25);
  EXPECT_EQ(Tensor::from<std::uint8_t>(std::vector<std::uint8_t>{200}, {1, 1}).item(), 200);
  message_of([] { floats({1, 2}, {2}).item(); });
}

TEST(Tensor, ReshapeRowsAndDetachShareStorage) {
  const Tensor x = floats({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, {4, 3});
  EXPECT_EQ(x.reshape({2, 6}).raw(), x.raw());
  EXPECT_EQ(x.detach().raw(), x.raw());
  const Tensor part = x.rows(1, 3);
  EXPECT_EQ(part.shape(), (Shape{2, 3}));
  EXPECT_EQ(part.to_host<float>(), (std::vector<float>{3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(part.rows(1, 2).to_host<float>(), (std::vector<float>{6, 7, 8}));
  part.data<float>()[0] = 42;
  EXPECT_EQ(x.to_host<float>()[3], 42);
  EXPECT_EQ(x.rows(2, 2).numel(), 0);
  EXPECT_EQ(message_of([&] {
              x.reshape({5, 2});
            }),
            "reshape: [4,3] has 12 elements, [5,2] needs 10");
  EXPECT_EQ(message_of([&] { x.rows(2, 5); }), "rows: [2, 5) lies outside [4,3]");
  message_of([&] { x.rows(-1, 2); });
}

TEST(Tensor, RefusesWrongUse) {
  const Tensor undefined;
  EXPECT_EQ(message_of([&] { undefined.shape(); }), "tensor: shape of an undefined tensor");
  message_of([&] { undefined.raw(); });
  EXPECT_EQ(message_of([] {
              floats({1, 2}, {2}).data<double>();
            }),
            "tensor: [2] of f32 read as f64");
  EXPECT_EQ(message_of([] { floats({1, 2}, {3}); }), "tensor: 2 values cannot fill [3]");
  auto buffer = std::make_shared<kernels::Buffer>(Device::host, 64);
  EXPECT_NO_THROW(Tensor::adopt(buffer, 32, {8}, DType::f32));
  message_of([&] { Tensor::adopt(buffer, 36, {8}, DType::f32); });
  message_of([&] { Tensor::zeros({1}, DType::i32, Device::host).set_requires_grad(true); });
}

TEST(Tensor, KnowsWhetherItIsTheOnlyHandle) {
  Tensor x = floats({1, 2}, {2});
  EXPECT_TRUE(x.unshared());
  {
    const Tensor y = x;
    EXPECT_FALSE(x.unshared());
  }
  EXPECT_TRUE(x.unshared());
  const Tensor view = x.reshape({1, 2});
  EXPECT_FALSE(x.unshared());
}

TEST(Tensor, AFailedAllocationIsAnErrorOfItsOwnKind) {
  kernels::fail_allocation_after(1);
  message_of([] { Tensor::zeros({1 << 20}, DType::f32, Device::host); }, ErrorKind::memory);
  EXPECT_NO_THROW(Tensor::zeros({16}, DType::f32, Device::host));
}
}  // namespace
}  // namespace nn_test
