#include "bench/suite/suite.h"

namespace bench {

std::vector<tests::OpCase> op_table() { return tests::op_cases(); }

}  // namespace bench
