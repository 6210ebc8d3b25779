// Other implementations of our kernels' work, on the same operands in the same run:
// plain loops, oneDNN, OpenBLAS, and the CUDA toolkit's. A missing library is listed
// with the reason.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "bench/cases/op_cases.h"
#include "bench/suite/host_variants.h"

namespace bench {

struct PeerLibrary {
  std::string name;
  bool found = false;
  std::string version, reason;
};

struct Peer {
  std::string name;
  // Runs on the row's own operands; the result is checked like ours.
  std::function<void(kernels::Stream&, const cases::Pointers&)> run;
};

class Peers {
 public:
  explicit Peers(const std::vector<std::string>& openblas_names);
  const OpenBlas& openblas() const { return openblas_; }
  const std::vector<PeerLibrary>& libraries() const { return libraries_; }
  // The peers of this case on that device.
  std::vector<Peer> of(const cases::OpCase& c, kernels::Device device) const;

 private:
  std::vector<Peer> of_host(const cases::OpCase& c) const;
  OpenBlas openblas_;
  std::vector<PeerLibrary> libraries_;
};
}  // namespace bench
