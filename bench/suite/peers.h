// Other people's ways to do what our kernels do, for the same operands in the same run: a plain loop, oneDNN, OpenBLAS, and on a GPU
// what comes with the toolkit. A peer whose library is not there is named with the reason, and the suite goes on without it.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "bench/cases/op_cases.h"

namespace bench {

struct PeerLibrary {
  std::string name;
  bool found = false;
  std::string version, reason;
};

struct Peer {
  std::string name;
  std::function<void(kernels::Stream&, const cases::Pointers&)>
      run;  // the row's own operands; the result is checked like ours
};

// OpenBLAS, opened at run time under the first of these names that exists.
std::vector<std::string> openblas_names();

class Peers {
 public:
  explicit Peers(const std::vector<std::string>& openblas = openblas_names());
  const std::vector<PeerLibrary>& libraries() const { return libraries_; }
  // The peers that can do this row on that device.
  std::vector<Peer> of(const cases::OpCase& c, kernels::Device device) const;

 private:
  std::vector<Peer> of_host(const cases::OpCase& c) const;
  std::vector<PeerLibrary> libraries_;
  using Sgemm = void (*)(int order, int transpose_a, int transpose_b, int m, int n, int k,
                         float alpha, const float* a, int lda, const float* b, int ldb, float beta,
                         float* c, int ldc);
  Sgemm sgemm_ = nullptr;
};

}  // namespace bench
