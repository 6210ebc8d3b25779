// The graph of operations that describes a convolution to cuDNN. The older
// cudnnConvolution* calls have one pad value per axis, so they cannot express Keras's
// 'same' padding at stride 2.
#pragma once
#include <vector>

#include "kernels/conv/cudnn/api.h"
#include "kernels/conv/plans/problem.h"

namespace kernels::cudnn {

// Names of the operands when a plan is executed.
enum Operand : std::int64_t { operand_x = 1, operand_w, operand_y, operand_bias };

// Finished descriptors must outlive the graph that refers to them.
struct Graph {
  std::vector<Descriptor> operands;
  Descriptor graph;
  cudnnStatus_t status = CUDNN_STATUS_SUCCESS;  // success if cuDNN accepts the graph
};
Graph make_graph(const Problem&, cudnnHandle_t handle);  // null handle: for a described device
}  // namespace kernels::cudnn
