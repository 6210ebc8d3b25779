// A convolution through copies of its operands with zero channels added (see
// padded_channels()).
//   x [N,H,W,I] -> [N,H,W,I'],     w [O,K,K,I] -> [O',K,K,I'],
//   y [N,OH,OW,O] -> [N,OH,OW,O'], bias [O] -> [O']
// Bytes moved beyond the convolution's own: each copy is written once and read once.
#pragma once
#include "kernels/conv/plans/problem.h"
#include "kernels/core/memory.h"
#include "kernels/layout.h"

namespace kernels {

// Pads the inputs of the pass, calls inner(x, w, bias, y) with operands of the shape
// `padded`, and cuts its result into y (forward), x (data) or w (filter). bias may be
// null. Operands with channels that fit are passed unchanged.
template <class D, class T, class Inner>
void conv_through_padded(Direction direction, Stream& stream, const ConvShape& s,
                         const ConvShape& padded,
                         const T* x,     // [N,H,W,I]
                         const T* w,     // [O,K,K,I]
                         const T* bias,  // [O], or null
                         const T* y,     // [N,OH,OW,O]
                         Inner&& inner) {
  const std::int64_t in = s.in_channels, wide_in = padded.in_channels, out = s.out_channels,
                     wide_out = padded.out_channels;
  const bool pads_in = wide_in != in, pads_out = wide_out != out;
  const std::int64_t x_rows = s.n * s.h * s.w, y_rows = s.n * s.out_h() * s.out_w(),
                     w_rows = out * s.kernel * s.kernel;
  const auto room = [&](bool needed, std::int64_t values) {
    return Buffer(stream.device(), needed ? sizeof(T) * static_cast<std::size_t>(values) : 0);
  };
  const Buffer wide_x = room(pads_in, padded.x_size()), wide_w = room(true, padded.w_size()),
               wide_y = room(pads_out, padded.y_size()),
               wide_bias = room(bias != nullptr, wide_out);

  if (direction != Direction::data && pads_in)
    pad_columns<D, T>(stream, x, wide_x.as<T>(), x_rows, in, wide_in);
  if (direction != Direction::forward && pads_out)
    pad_columns<D, T>(stream, y, wide_y.as<T>(), y_rows, out, wide_out);
  if (direction != Direction::filter) {
    const std::int64_t filled = w_rows * wide_in;
    pad_columns<D, T>(stream, w, wide_w.as<T>(), w_rows, in, wide_in);
    fill_zero(stream, wide_w.as<T>() + filled,
              sizeof(T) * static_cast<std::size_t>(padded.w_size() - filled));
  }
  if (bias) pad_columns<D, T>(stream, bias, wide_bias.as<T>(), 1, out, wide_out);

  inner(pads_in ? wide_x.as<const T>() : x, wide_w.as<const T>(), wide_bias.as<const T>(),
        pads_out ? wide_y.as<const T>() : y);

  const auto cut = [&](const Buffer& wide, std::int64_t pitch, const T* result, std::int64_t rows,
                       std::int64_t columns) {
    copy_columns<D, T>(stream, wide.as<T>(), pitch, const_cast<T*>(result), columns, rows, columns);
  };
  if (direction == Direction::forward && pads_out) cut(wide_y, wide_out, y, y_rows, out);
  if (direction == Direction::data && pads_in) cut(wide_x, wide_in, x, x_rows, in);
  if (direction == Direction::filter) cut(wide_w, wide_in, w, w_rows, in);
}
}  // namespace kernels
