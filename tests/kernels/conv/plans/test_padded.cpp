// Padded channels must not change a bit of the result: sums of whole numbers are exact
// in any order.
#include "kernels/conv/plans/padded.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <vector>

using kernels::Activation;
using kernels::ConvEpilogue;
using kernels::ConvShape;
using kernels::Direction;
using kernels::same_padding;
using kernels::cudnn::MathType;
using kernels::cudnn::padded_channels;

namespace {

template <class T> std::vector<T> whole_numbers(std::int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<T> values;
  for (std::int64_t i = 0; i < count; ++i)
    values.push_back(static_cast<T>(static_cast<float>(random() % 5) - 2.f));
  return values;
}
template <class T> std::vector<T> poison(std::int64_t count) {
  return std::vector<T>(static_cast<std::size_t>(count),
                        static_cast<T>(std::numeric_limits<float>::quiet_NaN()));
}

template <class T> std::vector<double> wide(const std::vector<T>& values) {
  std::vector<double> result;
  for (const T v : values)
    result.push_back(static_cast<double>(static_cast<kernels::compute_t<T>>(v)));
  return result;
}

template <class T> struct ConvPadded : testing::Test {};
using Types = testing::Types<float, kernels::bf16, double>;
TYPED_TEST_SUITE(ConvPadded, Types);

TYPED_TEST(ConvPadded, SameBitsAsWithoutPadding) {
  using T = TypeParam;
  using D = kernels::Host;
  kernels::Stream& stream = kernels::Stream::of(kernels::Device::host);
  const auto writable = [](const T* p) { return const_cast<T*>(p); };
  const ConvShape shapes[] = {
      same_padding(2, 8, 8, 3, 16, 5, 2),  // only the input's channels need it
      same_padding(2, 6, 6, 16, 3, 5, 1),  // only the output's
      same_padding(3, 5, 5, 11, 9, 3, 1),  // both
      same_padding(1, 4, 4, 8, 16, 3, 1),  // neither
      same_padding(1, 1, 1, 1, 1, 1, 1)};
  unsigned seed = 1;
  for (const ConvShape& s : shapes) {
    const ConvShape padded = padded_channels(s, MathType::bf16);
    const auto x = whole_numbers<T>(s.x_size(), seed++), w = whole_numbers<T>(s.w_size(), seed++),
               dy = whole_numbers<T>(s.y_size(), seed++),
               bias = whole_numbers<T>(s.out_channels, seed++);
    const T* const none = nullptr;

    for (const T* const b : {none, bias.data()}) {
      const ConvEpilogue epilogue{b ? Activation::leaky_relu : Activation::none, 0.25f};
      auto expected = poison<T>(s.y_size()), got = expected;
      kernels::conv_forward<D, T>(stream, s, x.data(), w.data(), b, expected.data(), epilogue);
      kernels::conv_through_padded<D, T>(
          Direction::forward, stream, s, padded, x.data(), w.data(), b, got.data(),
          [&](const T* px, const T* pw, const T* pb, const T* py) {
            kernels::conv_forward<D, T>(stream, padded, px, pw, pb, writable(py), epilogue);
          });
      EXPECT_EQ(wide(got), wide(expected)) << s.str() << " forward";
    }

    auto expected = poison<T>(s.x_size()), got = expected;
    kernels::conv_backward_data<D, T>(stream, s, dy.data(), w.data(), expected.data());
    kernels::conv_through_padded<D, T>(
        Direction::data, stream, s, padded, got.data(), w.data(), none, dy.data(),
        [&](const T* px, const T* pw, const T*, const T* py) {
          kernels::conv_backward_data<D, T>(stream, padded, py, pw, writable(px));
        });
    EXPECT_EQ(wide(got), wide(expected)) << s.str() << " data";

    expected = got = poison<T>(s.w_size());
    kernels::conv_backward_filter<D, T>(stream, s, x.data(), dy.data(), expected.data());
    kernels::conv_through_padded<D, T>(
        Direction::filter, stream, s, padded, x.data(), got.data(), none, dy.data(),
        [&](const T* px, const T* pw, const T*, const T* py) {
          kernels::conv_backward_filter<D, T>(stream, padded, px, py, writable(pw));
        });
    EXPECT_EQ(wide(got), wide(expected)) << s.str() << " filter";
  }
}
}  // namespace
