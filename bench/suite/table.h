// The op table of bench/cases/op_cases.h.
#pragma once
#include <vector>

#include "bench/cases/op_cases.h"

namespace bench {

std::vector<cases::OpCase> op_table();

}  // namespace bench
