// The table of bench/cases/op_cases.h, compiled here alone because it takes long.
#pragma once
#include <vector>

#include "bench/cases/op_cases.h"

namespace bench {

std::vector<cases::OpCase> op_table();

}  // namespace bench
