#include "bench/suite/table.h"

namespace bench {

std::vector<cases::OpCase> op_table() { return cases::op_cases(); }

}  // namespace bench
