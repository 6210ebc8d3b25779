// Runs a row of the case table: makes its inputs, puts every operand between guard bands,
// fills outputs with poison, calls the launcher and compares with the reference. The tests
// and the benchmark share it.
#pragma once
#include "bench/cases/op_cases.h"
#include "kernels/core/memory.h"
#include "kernels/core/stream.h"
#include "kernels/simt/config.h"

namespace bench::cases {

using Bytes = std::vector<std::uint8_t>;

Bytes encode(const Values&, const Operand&);
Values decode(const Bytes&, const Operand&);

// The inputs of a row, as bytes; the same for every run.
std::vector<Bytes> make_inputs(const OpCase&);
// The same as numbers; outputs are empty.
std::vector<Values> decode_inputs(const OpCase&, const std::vector<Bytes>& inputs);
// All operands as they should be after the call.
std::vector<Values> expected(const OpCase&, const std::vector<Bytes>& inputs);

// Operands on a device, each with guard bands on both sides. By default an operand begins
// where its type may, and not on a round address: a kernel that counts on more alignment
// fails.
class Placed {
 public:
  Placed(const OpCase&, const std::vector<Bytes>& inputs, kernels::Device,
         bool round_addresses = false);
  const Pointers& pointers() const { return pointers_; }

  // The operands' present values. Throws where a guard band was touched.
  std::vector<Bytes> read(const OpCase&) const;

 private:
  kernels::Device device_;
  std::vector<kernels::Buffer> buffers_;
  std::vector<std::size_t> offsets_;
  Pointers pointers_;
};

// One run from fresh copies of the inputs; returns all operands. Throws where an input was
// changed. Kernels take their 16-byte path at round addresses only.
std::vector<Bytes> run_case(const OpCase&, const std::vector<Bytes>& inputs, kernels::Device,
                            bool round_addresses = false);

// "" where every output is within the row's tolerance, else the worst place in words.
std::string compare(const OpCase&, const std::vector<Bytes>& got, const std::vector<Values>& want);

// The same for a row with OpCase::element: element_samples elements, drawn anew each time,
// and no NaN anywhere. `inputs` as decode_inputs gives them.
constexpr int element_samples = 200;
std::string compare_elements(const OpCase&, const std::vector<Bytes>& got,
                             const std::vector<Values>& inputs);

// Sets the executor's knobs and puts them back.
class WithConfig {
 public:
  explicit WithConfig(unsigned workers, simt::Order = simt::Order::forward,
                      simt::InstructionSet = simt::InstructionSet::best, bool fibers = false);
  ~WithConfig();
  WithConfig(const WithConfig&) = delete;
  WithConfig& operator=(const WithConfig&) = delete;

 private:
  simt::Config saved_;
  bool fibers_;
};
}  // namespace bench::cases
